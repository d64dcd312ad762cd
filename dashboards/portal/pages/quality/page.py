"""Data quality: which figures cannot be trusted, and who fixes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from dashboards.portal.page import Head, Page, PeriodControl, Visit
from dashboards.portal.pages.quality import view
from dashboards.portal.pages.quality.model import QualityPage, load_quality
from dashboards.portal.period import period_name
from dashboards.portal.site import Site

__all__ = ["PAGE"]


def _load(connection: psycopg.Connection[Any], site: Site, asked: Mapping[str, str]) -> QualityPage:
    return load_quality(connection, site, asked.get("t"))


def _head(page: QualityPage, visit: Visit) -> Head:
    following = page.month.following()
    return Head(
        period=PeriodControl(
            name=period_name(visit.language, page.month),
            previous=visit.here(t=page.month.previous().text()),
            following=None if following.first > page.site.today else visit.here(
                t=following.text()),
            latest=visit.here(t=None),
        )
    )  # fmt: skip


PAGE = Page(
    code="quality", path="quality", names=("数据质量", "Data quality"), group="todo",
    question=("哪些数据不可信，谁来修复？", "Which figures can I not trust, and who fixes it?"),
    query={"t": "a month"}, load=_load, head=_head, build=view.build,
    count="SELECT count(*) FROM finding WHERE site_id = %(site_id)s AND withdrawn_version IS NULL"
    " AND severity <> 'note' AND coalesce(to_ts, at_ts) >= now() - interval '7 days'",
    offered=lambda site: site.metered,
)  # fmt: skip
