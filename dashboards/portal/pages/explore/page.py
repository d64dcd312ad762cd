"""Explorer: anything that the other pages do not answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from dashboards.portal.page import Choice, Head, Page, PeriodControl, Visit
from dashboards.portal.pages.explore import view
from dashboards.portal.pages.explore.filters import QUERY
from dashboards.portal.pages.explore.model import ExplorePage, load_explore
from dashboards.portal.pages.explore.series_bar import canonical
from dashboards.portal.pages.explore.words import FORMS
from dashboards.portal.period import period_name
from dashboards.portal.site import Site

__all__ = ["PAGE"]


def _load(connection: psycopg.Connection[Any], site: Site, asked: Mapping[str, str]) -> ExplorePage:
    return load_explore(connection, site, asked)


def _head(page: ExplorePage, visit: Visit) -> Head:
    period = page.period
    here = canonical(page, visit)
    following = None if period.end > page.site.today else period.following().text()
    return Head(
        period=PeriodControl(
            name=period_name(visit.language, period),
            previous=here(t=period.previous().text()),
            following=None if following is None else here(t=following),
            latest=here(t=None),
        ),
        kinds=[
            Choice(visit.say(*names), here(form=None if form == "lines" else form),
                   form == page.form)
            for form, names in FORMS.items()
        ],
        exports=view.exports(page, visit), printable=True,
    )  # fmt: skip


PAGE = Page(
    code="explore", path="explore", names=("探索", "Explorer"), group="plant",
    question=("想看任何别的？", "Anything else?"),
    query=QUERY, load=_load, head=_head, build=view.build, permission="see_trade_secrets",
    offered=lambda site: site.metered,
)  # fmt: skip
