"""Output: what was made, and where an entry is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from dashboards.portal.exports.links import export_links
from dashboards.portal.page import Choice, Head, Page, PeriodControl, Visit
from dashboards.portal.pages.output import view
from dashboards.portal.pages.output.model import OutputPage, load_output
from dashboards.portal.period import period_name
from dashboards.portal.site import Site
from enpilot.text import pick

__all__ = ["PAGE"]


def _load(
    connection: psycopg.Connection[Any], site: Site, asked: Mapping[str, str]
) -> OutputPage | None:
    return load_output(
        connection, site, asked.get("t"), asked.get("product"), asked.get("stage"),
        asked.get("cell"), edit=asked.get("edit") == "1",
    )  # fmt: skip


def _head(page: OutputPage, visit: Visit) -> Head:
    following = page.month.following()
    chosen = page.product.code if page.product else None
    stages = [
        Choice(pick(visit.language, *view.STAGES[s]), visit.here(stage=s), s == page.stage)
        for s in page.stages
    ]
    return Head(
        period=PeriodControl(
            name=period_name(visit.language, page.month),
            previous=visit.here(t=page.month.previous().text(), cell=None),
            following=None if following.first > page.site.today else visit.here(
                t=following.text(), cell=None),
            latest=visit.here(t=None, cell=None),
        ),
        kinds=stages,
        scopes=[
            Choice(pick(visit.language, p.name_zh, p.name_en),
                   visit.here(product=p.code, cell=None, stage=None), p.code == chosen)
            for p in page.products
        ],
        exports=export_links(visit, "output", t=page.month.text(), product=chosen),
    )  # fmt: skip


PAGE = Page(
    code="output", path="output", names=("产量", "Output"), group="ledger",
    question=("生产了什么？录入或导入。", "What did we make? Enter or import it."),
    query={
        "t": "a month", "product": "its code", "stage": "counted, qualified, warehoused, shipped",
        "cell": "the entry whose history is shown", "edit": "1: cells can be entered",
    },
    load=_load, head=_head, build=view.build, permission="see_trade_secrets",
)  # fmt: skip
