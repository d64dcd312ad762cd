"""Load and demand: what sets the demand charge, and who ran then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from dashboards.portal.exports.links import export_links
from dashboards.portal.page import Choice, Head, Page, PeriodControl, Visit
from dashboards.portal.pages.load import view
from dashboards.portal.pages.load.model import LoadPage, load_load
from dashboards.portal.period import period_name, period_of
from dashboards.portal.points import main_import
from dashboards.portal.site import Site

__all__ = ["PAGE"]


def _load(
    connection: psycopg.Connection[Any], site: Site, asked: Mapping[str, str]
) -> LoadPage | None:
    return load_load(connection, site, asked.get("t"), asked.get("meter"))


def _head(page: LoadPage, visit: Visit) -> Head:
    day = page.day
    summed = [page.meter] if page.meter is not None else main_import(page.meters)
    following = None if day.end > page.site.today else day.following().text()
    month = period_of("month", day.first)
    scopes = [
        Choice(visit.say("全厂进线合计", "Whole site"), visit.here(meter=None), page.meter is None)
    ]
    scopes += [
        Choice(p.name(visit.language), visit.here(meter=p.code),
               page.meter is not None and p.code == page.meter.code)
        for p in page.meters
    ]  # fmt: skip
    return Head(
        period=PeriodControl(
            name=period_name(visit.language, day),
            previous=visit.here(t=day.previous().text()),
            following=None if following is None else visit.here(t=following),
            latest=visit.here(t=None),
        ),
        kinds=[
            Choice(visit.say("上月", "Month before"), visit.here(t=month.previous().text())),
            Choice(visit.say("本月最大", "Month's peak"), visit.here(t=month.text())),
        ],
        scopes=scopes if len(page.meters) > 1 else [], printable=True,
        exports=export_links(visit, "explore", series=",".join(p.code for p in summed),
                             t=page.month.text(), step="15min"),
    )  # fmt: skip


PAGE = Page(
    code="load", path="load", names=("负荷与需量", "Load & demand"), group="daily",
    question=("需量电费由什么决定？", "What sets my demand charge?"),
    query={"t": "a day, or a month: the day of its peak", "meter": "a point's code"},
    load=_load, head=_head, build=view.build, permission="see_trade_secrets",
    offered=lambda site: site.metered,
)  # fmt: skip
