"""Performance: are we on the 4 % path, and why or why not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from dashboards.portal.exports.links import export_links
from dashboards.portal.page import Choice, Head, Page, PeriodControl, Visit
from dashboards.portal.pages.enpi import view
from dashboards.portal.pages.enpi.filters import parse_enpi
from dashboards.portal.pages.enpi.model import EnpiPage, load_enpi
from dashboards.portal.site import Site

__all__ = ["PAGE"]


def _load(
    connection: psycopg.Connection[Any], site: Site, asked: Mapping[str, str]
) -> EnpiPage | None:
    code = asked.get("indicator")
    indicator = next((i for i in site.indicators if code in (i.code, None)), None)
    if indicator is None:
        return None
    return load_enpi(
        connection,
        site,
        indicator,
        parse_enpi(*(asked.get(n) for n in ("t", "month", "day", "view"))),
    )


def _head(page: EnpiPage, visit: Visit) -> Head:
    figure = page.year_to_date
    here = f"enpi/{page.indicator.code}"
    return Head(
        period=PeriodControl(
            name=str(page.year),
            choices=[
                Choice(str(y), visit.address(here, t=y), chosen=y == page.year) for y in page.years
            ],
        ),
        scopes=[
            Choice(
                i.name(visit.language),
                visit.address(f"enpi/{i.code}", t=page.year),
                chosen=i.code == page.indicator.code,
            )
            for i in page.site.indicators
        ],
        kinds=[]
        if page.baseline is None or not page.baseline.usable
        else [
            Choice(
                visit.say("实测", "Measured"), visit.here(view=None), chosen=not page.normalised
            ),
            Choice(
                visit.say("归一化", "Normalised"),
                visit.here(view="normalised"),
                chosen=page.normalised,
            ),
        ],
        indicator=page.indicator,
        completeness=None if figure is None else figure.reporting_completeness,
        factor_verified=figure is None or figure.factor_verified,
        printable=True,
        exports=export_links(visit, "enpi", t=page.year, indicator=page.indicator.code),
    )


def _build(page: EnpiPage, visit: Visit) -> None:
    view.build(page, visit)


PAGE = Page(
    code="enpi", path="enpi/{indicator}", entry="enpi", names=("能效", "Performance"),
    group="daily", phone=True,
    question=("在不在目标路径上，为什么？", "Are we on the 4 % path, and why or why not?"),
    query={"t": "a year, as 2018; the latest with figures if left out",
           "month": "a month of it, as 2018-08, whose days are shown",
           "day": "a day, as 2018-08-03, whose meters are shown",
           "view": "measured, or normalised: against the baseline"},
    load=_load, head=_head, build=_build, offered=lambda site: bool(site.indicators),
)  # fmt: skip
