"""Reports: the paper, and how to prove that it is the one that was signed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from dashboards.portal.page import Page
from dashboards.portal.pages.reports import view
from dashboards.portal.pages.reports.model import ReportsPage, load_reports
from dashboards.portal.site import Site

__all__ = ["PAGE"]


def _load(connection: psycopg.Connection[Any], site: Site, _: Mapping[str, str]) -> ReportsPage:
    return load_reports(connection, site)


PAGE = Page(
    code="reports", path="reports", names=("报告", "Reports"), group="ledger",
    question=("签字的报告在哪里，能核验吗？", "Give me the paper, and its proof."),
    load=_load, build=view.build,
)  # fmt: skip
