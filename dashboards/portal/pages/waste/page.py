"""Waste findings: what costs money without making product, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from dashboards.portal.exports.links import export_links
from dashboards.portal.page import Choice, Head, Page, Visit
from dashboards.portal.pages.waste import view
from dashboards.portal.pages.waste.model import STANDS_ALONE, WastePage, load_waste
from dashboards.portal.site import Site
from enpilot.text import pick
from enpilot.waste_words import DECISIONS

__all__ = ["PAGE"]


def _load(
    connection: psycopg.Connection[Any], site: Site, asked: Mapping[str, str]
) -> WastePage | None:
    state = asked.get("state", "open")
    return load_waste(connection, site, state if state in DECISIONS else "open", asked.get("id"))


def _head(page: WastePage, visit: Visit) -> Head:
    kinds = [
        Choice(
            pick(visit.language, *names).capitalize(),
            visit.address("waste", state=None if state == "open" else state),
            state == page.state,
        )
        for state, names in DECISIONS.items()
    ]
    return Head(kinds=kinds, exports=export_links(visit, "waste", state=page.state))


PAGE = Page(
    code="waste", path="waste", names=("浪费线索", "Waste"), group="todo",
    question=("什么在花钱而不出产品？", "What costs money without making product?"),
    query={"state": "open, planned, done or not_waste", "id": "the finding shown in detail"},
    load=_load, head=_head, build=view.build, phone=True,
    count="SELECT count(*) FROM waste_finding w WHERE w.site_id = %(site_id)s"
    f" AND w.withdrawn_version IS NULL AND {STANDS_ALONE} AND NOT EXISTS"
    "  (SELECT 1 FROM waste_decision d WHERE d.waste_id = w.waste_id"
    "   AND d.superseded_commit_no IS NULL AND d.state <> 'open')",
    offered=lambda site: site.metered,
)  # fmt: skip
