"""Data intake: do data come in, and what was lost or refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from dashboards.portal.page import Page, Visit
from dashboards.portal.pages.intake import view
from dashboards.portal.pages.intake.model import Intake, load_intake
from dashboards.portal.site import Site

__all__ = ["PAGE"]


def _load(connection: psycopg.Connection[Any], site: Site, _: Mapping[str, str]) -> Intake:
    return load_intake(connection, site)


def _build(page: Intake, visit: Visit) -> None:
    view.build(page, visit.language)


PAGE = Page(
    code="intake", path="intake", names=("数据接入", "Data intake"), group="plant",
    question=("数据都进来了吗？丢了、拒了什么？", "Do data come in, and what was lost or refused?"),
    load=_load, build=_build,
)  # fmt: skip
