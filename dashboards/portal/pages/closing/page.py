"""Monthly closing: one screen for what people sign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from dashboards.portal.page import Head, Page, Visit, month_steps
from dashboards.portal.pages.closing import view
from dashboards.portal.pages.closing.model import ClosingPage, load_closing
from dashboards.portal.site import Site

__all__ = ["PAGE"]


def _load(connection: psycopg.Connection[Any], site: Site, asked: Mapping[str, str]) -> ClosingPage:
    return load_closing(connection, site, asked.get("t"))


def _head(page: ClosingPage, visit: Visit) -> Head:
    return Head(
        period=month_steps(visit, page.month),
        printable=True,
    )  # fmt: skip


PAGE = Page(
    code="closing", path="closing", names=("月度结账", "Closing"), group="todo",
    question=("这个月可以签字了吗？", "Can this month be signed?"),
    query={"t": "a month"}, load=_load, head=_head, build=view.build,
    count="SELECT count(*) FROM pending_difference WHERE site_id = %(site_id)s"
    " AND state = 'pending'",
)  # fmt: skip
