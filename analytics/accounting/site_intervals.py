"""Intervals of a site's series, loaded when they are first asked for."""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg

from analytics.accounting.site_facts import SiteFacts
from analytics.intervals.sums import SeriesIntervals, load_intervals

__all__ = ["SiteIntervals"]


class SiteIntervals:
    """Intervals of a site's series, loaded once over all that the periods at hand need."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        facts: SiteFacts,
        since: dt.datetime,
        until: dt.datetime,
    ) -> None:
        self._connection = connection
        self._quantities = {c.series_id: c.quantity for c in facts.counters}
        self._since, self._until = since, until
        self._known: dict[int, SeriesIntervals | None] = {}

    def __call__(self, series_id: int) -> SeriesIntervals | None:
        """Return the intervals of a series; None if it has no reading at all."""
        if series_id not in self._known:
            loaded = load_intervals(
                self._connection, {series_id: self._quantities[series_id]}, self._since, self._until
            )
            self._known[series_id] = loaded.get(series_id)
        return self._known[series_id]
