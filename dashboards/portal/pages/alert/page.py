"""One alert rule: when did it fire, and when would it have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from dashboards.portal.page import Page
from dashboards.portal.pages.alert import view
from dashboards.portal.pages.alert.model import AlertPage, load_alert
from dashboards.portal.site import Site

__all__ = ["PAGE"]


def _load(
    connection: psycopg.Connection[Any], site: Site, asked: Mapping[str, str]
) -> AlertPage | None:
    return load_alert(connection, site, asked["rule"])


PAGE = Page(
    code="alert", path="alerts/{rule}", names=("告警规则", "Alert rule"), group=None,
    question=("这条规则何时触发过？", "When did this rule fire, and when would it have?"),
    load=_load, build=view.build,
)  # fmt: skip
