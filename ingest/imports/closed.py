"""Which signed periods a change touches: their figures stay, what would change waits (F2, F13)."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

__all__ = ["ClosedPeriod", "closed_among", "closed_periods"]


@dataclass(frozen=True, slots=True)
class ClosedPeriod:
    """A month or year that is signed, local dates [first, after)."""

    kind: str
    first: dt.date
    after: dt.date
    version: int

    def __str__(self) -> str:
        """Name it for people."""
        last = self.after - dt.timedelta(days=1)
        return f"{self.kind} {self.first} to {last} (version {self.version})"


def closed_periods(
    connection: psycopg.Connection[Any],
    site_id: int,
    zone: zoneinfo.ZoneInfo,
    spans: Iterable[tuple[dt.datetime, dt.datetime | None]],
) -> list[ClosedPeriod]:
    """Return the closed periods of a site that some spans touch.

    Parameters
    ----------
    zone
        Of the site.
    spans
        Instants [since, until), or without an end.

    Returns
    -------
    list of ClosedPeriod
        In order, months before years.
    """
    touched = [
        (
            since.astimezone(zone).date(),
            None if until is None
            else (until - dt.timedelta(microseconds=1)).astimezone(zone).date(),
        )
        for since, until in spans
    ]  # fmt: skip
    return [
        p
        for p in _closed(connection, site_id)
        if any(first < p.after and (last is None or p.first <= last) for first, last in touched)
    ]


def closed_among(
    connection: psycopg.Connection[Any], site_id: int, months: Sequence[str]
) -> list[str]:
    """Return which civil months, named as "2026-03", have days in a closed month or year."""
    with connection.transaction():
        closed = _closed(connection, site_id) if months else []
    found = []
    for month in months:
        first = dt.date.fromisoformat(f"{month}-01")
        after = (first + dt.timedelta(days=31)).replace(day=1)
        if any(p.first < after and first < p.after for p in closed):
            found.append(month)
    return found


def _closed(connection: psycopg.Connection[Any], site_id: int) -> list[ClosedPeriod]:
    return [
        ClosedPeriod(*row)
        for row in connection.execute(
            "SELECT kind, period_from, period_to, version FROM period_state WHERE site_id = %s"
            " AND action = 'closed' ORDER BY kind, period_from",
            (site_id,),
        )
    ]
