"""Readings of a gauge, and what a counter advanced per hour."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, Final

import psycopg

from analytics.alerts.rules import Rule, Sighting, Subject

__all__ = ["see_series"]

_SLOT: Final = dt.timedelta(minutes=15)
# Of a window's time that lies between neighbouring readings; below, its rate is not known.
_LEAST_MEASURED: Final = 0.9
_HOUR_S: Final = 3600.0


def see_series(
    connection: psycopg.Connection[Any], rule: Rule, since: dt.datetime, until: dt.datetime
) -> Iterator[Sighting]:
    """Yield the values of a threshold rule's series in (since, until].

    Parameters
    ----------
    connection
        To the database.
    rule
        Its ``watch`` says whether levels are meant, or advances of a counter per hour over a
        window.
    since, until
        Instants of readings, and ends of windows.

    Yields
    ------
    Sighting
        In the order of time; readings that are bad, retracted or voided are left out.
    """
    row = connection.execute(
        "SELECT p.code, r.name_zh, r.name_en, (SELECT e.unit FROM current_epoch e"
        "  WHERE e.series_id = s.series_id ORDER BY e.valid_from DESC LIMIT 1)"
        " FROM series s JOIN point p USING (point_id) JOIN point_record r USING (point_id)"
        " WHERE s.series_id = %s AND r.superseded_commit_no IS NULL"
        " ORDER BY r.valid_from DESC LIMIT 1",
        (rule.series_id,),
    ).fetchone()
    if row is None or row[3] is None:
        return  # nothing was ever read
    subject = Subject(row[0], row[1], row[2], row[3])
    if rule.measure == "rate":
        window = dt.timedelta(seconds=rule.watch.get("window_s", 900))
        per_hour = Subject(row[0], row[1], row[2], _per_hour(row[3]))
        yield from _rates(connection, rule, per_hour, window, since, until)
        return
    for at, value, simulated in connection.execute(
        "SELECT r.ts, coalesce(r.raw_int::double precision, r.raw_real)"
        ' * e.scale::double precision + e."offset"::double precision,'
        " EXISTS (SELECT FROM stream t WHERE t.stream_no = r.batch >> 32 AND t.simulated)"
        " FROM counted_reading r JOIN current_epoch e ON e.series_id = r.series_id"
        "  AND e.valid_from <= r.ts AND (e.valid_to IS NULL OR r.ts < e.valid_to)"
        " WHERE r.series_id = %s AND r.ts > %s AND r.ts <= %s AND r.quality & 255 = 0"
        " ORDER BY r.ts",
        (rule.series_id, since, until),
    ):
        yield Sighting(subject, at, value, synthetic=simulated)


def _rates(
    connection: psycopg.Connection[Any],
    rule: Rule,
    subject: Subject,
    window: dt.timedelta,
    since: dt.datetime,
    until: dt.datetime,
) -> Iterator[Sighting]:
    slots = connection.execute(
        # An interval that the last reading does not pass is not over yet.
        "SELECT a.ts, sum(a.advance_micro * e.scale / 1000000)::double precision,"
        " sum(a.measured_s)::double precision, bool_or(a.simulated)"
        " FROM interval_advance a JOIN series_epoch e USING (epoch_id)"
        " JOIN latest l ON l.series_id = a.series_id"
        " WHERE a.series_id = %s AND a.ts > %s AND a.ts + interval '15 minutes' <= %s"
        "  AND a.ts + interval '15 minutes' <= l.ts"
        "  AND NOT EXISTS (SELECT FROM dirty d WHERE d.series_id = a.series_id"
        "   AND d.from_ts < a.ts + interval '15 minutes' AND d.to_ts >= a.ts)"
        " GROUP BY a.ts ORDER BY a.ts",
        (rule.series_id, since - window, until),
    ).fetchall()
    known = {at: rest for at, *rest in slots}
    n = window // _SLOT
    for at, *_ in slots:
        end = at + _SLOT
        if end <= since:
            continue
        parts = [known.get(at - k * _SLOT) for k in range(n)]
        measured = sum(p[1] for p in parts if p is not None)
        if measured < _LEAST_MEASURED * window.total_seconds():
            yield Sighting(subject, end, None)
            continue
        amount = sum(p[0] for p in parts if p is not None)
        synthetic = any(p[2] for p in parts if p is not None)
        rate = amount * _HOUR_S / window.total_seconds()
        yield Sighting(subject, end, rate, synthetic=synthetic)


def _per_hour(unit: str) -> str:
    return {"kWh": "kW", "MWh": "MW"}.get(unit, f"{unit}/h")
