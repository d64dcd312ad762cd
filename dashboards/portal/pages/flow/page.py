"""Energy flow and meter balance: where it went, and whether the meters agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from dashboards.portal.page import Head, Page, PeriodControl, Visit
from dashboards.portal.pages.flow import view
from dashboards.portal.pages.flow.model import FlowPage, load_flow
from dashboards.portal.period import period_name
from dashboards.portal.site import Site

__all__ = ["PAGE"]


def _load(connection: psycopg.Connection[Any], site: Site, asked: Mapping[str, str]) -> FlowPage:
    return load_flow(connection, site, asked.get("t"))


def _head(page: FlowPage, visit: Visit) -> Head:
    following = page.month.following()
    return Head(
        period=PeriodControl(
            name=period_name(visit.language, page.month),
            previous=visit.here(t=page.month.previous().text()),
            following=None if following.first > page.site.today else visit.here(
                t=following.text()),
            latest=visit.here(t=None),
        ),
        factor_verified=all(m.verified for m in page.media), printable=True,
    )  # fmt: skip


PAGE = Page(
    code="flow", path="flow", names=("能流与平衡", "Flow & balance"), group="daily",
    question=("能源去了哪里，表计对得上吗？", "Where did it go, do the meters agree?"),
    query={"t": "a month"}, load=_load, head=_head, build=view.build,
    permission="see_trade_secrets", offered=lambda site: site.metered,
)  # fmt: skip
