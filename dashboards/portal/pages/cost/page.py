"""Cost: what the bill will be, and what of it was avoidable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from dashboards.portal.exports.links import export_links
from dashboards.portal.page import Choice, Head, Page, Visit, month_steps
from dashboards.portal.pages.cost import view
from dashboards.portal.pages.cost.model import CostPage, load_cost
from dashboards.portal.period import period_of
from dashboards.portal.site import Site
from enpilot.text import pick

__all__ = ["PAGE"]


def _load(
    connection: psycopg.Connection[Any], site: Site, asked: Mapping[str, str]
) -> CostPage | None:
    return load_cost(connection, site, asked.get("t"), asked.get("account"))


def _head(page: CostPage, visit: Visit) -> Head:
    scopes = [
        Choice(pick(visit.language, zh, en), visit.here(account=code), code == page.account)
        for code, zh, en in page.accounts
    ]
    if page.bill is None:
        return Head(scopes=scopes)
    month = period_of("month", page.bill.period_from)
    return Head(
        period=month_steps(visit, month), scopes=scopes, printable=True,
        exports=export_links(visit, "cost", t=month.text(), account=page.account, kind="billing"),
    )  # fmt: skip


PAGE = Page(
    code="cost", path="cost", names=("电费", "Cost"), group="daily",
    question=("电费会是多少，哪些本可避免？", "What will the bill be, and what was avoidable?"),
    query={"t": "a month, in which the billing period begins", "account": "an account's code"},
    load=_load, head=_head, build=view.build, permission="see_trade_secrets",
    offered=lambda site: site.metered,
)  # fmt: skip
