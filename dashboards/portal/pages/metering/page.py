"""Data intake: do data come in, and what was lost or refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from dashboards.portal.page import Page
from dashboards.portal.pages.metering import view
from dashboards.portal.pages.metering.model import Intake, load_intake
from dashboards.portal.site import Site

__all__ = ["PAGE"]


def _load(connection: psycopg.Connection[Any], site: Site, _: Mapping[str, str]) -> Intake:
    return load_intake(connection, site)


PAGE = Page(
    code="metering", path="metering", names=("采集", "Metering"), group="plant",
    question=("数据都进来了吗？丢了、拒了什么？", "Do data come in, and what was lost or refused?"),
    load=_load, build=view.build,
)  # fmt: skip
