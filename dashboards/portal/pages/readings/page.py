"""Raw readings: what exactly did the meter say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from dashboards.portal.exports.links import export_links
from dashboards.portal.page import Choice, Head, Page, PeriodControl, Visit
from dashboards.portal.pages.readings import view
from dashboards.portal.pages.readings.model import Readings, load_readings
from dashboards.portal.period import parse_period, period_name
from dashboards.portal.site import Site

__all__ = ["PAGE"]


def _load(
    connection: psycopg.Connection[Any], site: Site, asked: Mapping[str, str]
) -> Readings | None:
    return load_readings(connection, site, asked["series"], asked.get("t"))


def _head(page: Readings, visit: Visit) -> Head:
    period = parse_period(page.span.text, page.site.today)
    if period is None:
        day, _, hours = page.span.text.partition("T")
        name = f"{day} {hours.replace('..', '–')}"
        return Head(period=PeriodControl(name=name, latest=visit.here(t=None)),
                    exports=_exports(page, visit))  # fmt: skip
    return Head(
        period=PeriodControl(
            name=period_name(visit.language, period),
            previous=visit.here(t=period.previous().text()),
            following=visit.here(t=period.following().text()),
            latest=visit.here(t=None),
        ),
        exports=_exports(page, visit),
    )


def _exports(page: Readings, visit: Visit) -> list[Choice]:
    """Return the files of the whole days that the span lies in."""
    day = page.span.text.partition("T")[0]
    return export_links(visit, "readings", series=page.series_id, t=day)


PAGE = Page(
    code="readings", path="readings/{series}", names=("原始读数", "Raw readings"), group=None,
    question=("表计到底说了什么？", "What exactly did the meter say?"),
    query={"t": "a day, or a part of one as 2018-09-12T14:00..16:00; the last day if left out"},
    load=_load, head=_head, build=view.build, permission="see_trade_secrets",
)  # fmt: skip
