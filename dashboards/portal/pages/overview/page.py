"""Overview: what happened on the last complete day, what is there to do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import psycopg

from dashboards.portal.page import Head, Page, PeriodControl, Visit
from dashboards.portal.pages.overview import view
from dashboards.portal.pages.overview.filters import parse_overview
from dashboards.portal.pages.overview.model import Overview, load_overview
from dashboards.portal.pages.overview.words import period_name
from dashboards.portal.site import Site

__all__ = ["PAGE"]


def _load(connection: psycopg.Connection[Any], site: Site, asked: Mapping[str, str]) -> Overview:
    return load_overview(connection, site, parse_overview(asked.get("t")))


def _head(page: Overview, visit: Visit) -> Head:
    def address(period: dt.date | None) -> str | None:
        if period is None:
            return None
        text = f"{period:%Y-%m-%d}" if page.kind == "day" else f"{period:%Y-%m}"
        return visit.address("overview", t=text)

    figure = page.figure
    return Head(
        period=PeriodControl(
            name=period_name(visit.language, page),
            previous=address(page.previous),
            following=address(page.following),
            latest=None if page.defaulted else visit.address("overview"),
        ),
        indicator=page.indicator,
        completeness=None if figure is None else figure.reporting_completeness,
        factor_verified=figure is None or figure.factor_verified,
        printable=True,
    )


PAGE = Page(
    code="overview", path="overview", names=("总览", "Overview"), group="daily", phone=True,
    question=("昨天怎么样，今天做什么？", "What happened yesterday, what do I do today?"),
    query={"t": "a day, as 2018-09-13, or a month; the last complete one if left out"},
    load=_load, head=_head, build=view.build,
)  # fmt: skip
