"""The load of one day: mean power over each 15 minutes, and where it is not known."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import psycopg

from dashboards.portal.site import Site
from enpilot.quantities import unit_ratio

__all__ = ["INTERVAL_MINUTES", "Load", "LoadInterval", "load_of_day"]

INTERVAL_MINUTES = 15
_HALF = 0.5  # an interval more than half guessed is drawn as guessed


class LoadInterval(msgspec.Struct, frozen=True, kw_only=True):
    """One interval; minutes count from the day's midnight, in true time."""

    minute: float
    kw: float
    estimated: bool


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """A day's load line with its gaps."""

    minutes: int  # length of the day: 1380 or 1500 when clocks change
    intervals: list[LoadInterval]
    missing: list[tuple[float, float]]  # [minutes] without any interval, up to the data's end
    peak: LoadInterval | None
    simulated: bool


def load_of_day(connection: psycopg.Connection[Any], site: Site, day: dt.date) -> Load:
    """Sum the electricity meters at the site's boundary by interval and divide by its length."""
    begin = site.midnight(day)
    end = site.midnight(day + dt.timedelta(days=1))
    rows = connection.execute(
        "SELECT a.ts, e.unit, sum(a.advance_micro * e.scale) / 1e6,"
        " sum(a.estimated_micro * e.scale) / 1e6, count(DISTINCT a.series_id),"
        " min(a.measured_s), bool_or(a.simulated)"
        " FROM visible_interval_advance a JOIN current_epoch e USING (epoch_id)"
        " WHERE a.ts >= %(begin)s AND a.ts < %(end)s AND a.series_id = ANY(ARRAY("
        "  SELECT s.series_id FROM series s JOIN point p USING (point_id)"
        "  JOIN LATERAL (SELECT * FROM point_record r WHERE r.point_id = p.point_id"
        "   AND r.superseded_commit_no IS NULL AND r.valid_from < %(end)s"
        "   ORDER BY r.valid_from DESC LIMIT 1) r ON true"
        "  WHERE s.site_id = %(site)s AND s.quantity = 'active_energy' AND s.channel = 'total'"
        "  AND p.medium = 'electricity' AND r.role = 'boundary' AND r.direction = 'import'))"
        " GROUP BY a.ts, e.unit ORDER BY a.ts",
        {"begin": begin, "end": end, "site": site.site_id},
    ).fetchall()
    minutes = int((end - begin).total_seconds() // 60)
    meters = max((row[4] for row in rows), default=0)
    intervals = []
    for ts, unit, advance, estimated, present, measured_s, _ in rows:
        if present < meters:
            continue  # one of several meters is missing: the sum would read as a dip
        kwh = float(advance) * float(unit_ratio("active_energy", unit))
        guessed = abs(float(estimated)) > _HALF * abs(float(advance))
        running = ts is rows[-1][0] and measured_s < INTERVAL_MINUTES * 60 and not guessed
        if running and ts + dt.timedelta(minutes=INTERVAL_MINUTES) > site.now:
            continue  # still being filled: its mean would read as a drop
        intervals.append(
            LoadInterval(
                minute=(ts - begin).total_seconds() / 60,
                kw=kwh * 60 / INTERVAL_MINUTES,
                estimated=guessed,
            )
        )
    known_to = minutes
    if site.data_through is not None:
        known_to = int(min(max((site.data_through - begin).total_seconds() / 60, 0), minutes))
    return Load(
        minutes=minutes,
        intervals=intervals,
        missing=_missing(intervals, known_to),
        peak=max((i for i in intervals if not i.estimated), key=lambda i: i.kw, default=None),
        simulated=any(row[6] for row in rows),
    )


def _missing(intervals: list[LoadInterval], until: int) -> list[tuple[float, float]]:
    spans = []
    reached = 0.0
    for interval in intervals:
        if interval.minute > reached:
            spans.append((reached, interval.minute))
        reached = interval.minute + INTERVAL_MINUTES
    if intervals and until - reached >= INTERVAL_MINUTES:
        spans.append((reached, float(until)))
    return spans
