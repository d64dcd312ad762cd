"""Alerts: what fires now, and who has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from dashboards.portal.page import Page
from dashboards.portal.pages.alerts import view
from dashboards.portal.pages.alerts.model import AlertsPage, load_alerts
from dashboards.portal.site import Site

__all__ = ["PAGE"]


def _load(connection: psycopg.Connection[Any], site: Site, _: Mapping[str, str]) -> AlertsPage:
    return load_alerts(connection, site)


PAGE = Page(
    code="alerts", path="alerts", names=("告警", "Alerts"), group="todo",
    question=("现在有什么告警，谁在处理？", "What fires now, who has it?"),
    load=_load, build=view.build, phone=True, urgent=True,
    count="SELECT count(*) FROM alert_state s JOIN alert_rule t USING (alert_rule_id)"
    " WHERE t.site_id = %(site_id)s AND s.state = 'firing' AND NOT s.muted",
)  # fmt: skip
