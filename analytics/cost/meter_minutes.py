"""Minutes of counters from their readings: what demand and bands inside an interval need."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, Final

import numpy as np
import psycopg

from analytics.cost.demand import (
    MINUTE_US,
    Minutes,
    added_minutes,
    minutes_of_power,
    reading_edges,
)
from analytics.counters.decisions import REFRESH_US
from analytics.counters.levels import MICRO
from analytics.counters.recode import Recoding
from analytics.intervals.account_runs import Part, account_parts
from analytics.intervals.counter_facts import (
    LEAST_GAP_S,
    PointSeries,
    load_epochs,
    load_replacements,
)
from analytics.intervals.readings import SeriesReadings, load_readings, microseconds
from analytics.intervals.sums import load_scales
from enpilot.archive import reading_after, reading_before
from enpilot.quantities import unit_ratio

__all__ = ["load_minutes", "load_power_minutes", "load_register_peak", "register_peak"]

_GAP_PERIODS: Final = 2.5


def load_minutes(
    connection: psycopg.Connection[Any],
    series_ids: Sequence[int],
    since: dt.datetime,
    until: dt.datetime,
) -> Minutes:
    """Return the energy of each minute that some counters counted together.

    Parameters
    ----------
    connection
        To the database.
    series_ids
        Counters of active energy.
    since, until
        Span on whole minutes.

    Returns
    -------
    Minutes
        By the counter accounting's rules on a grid of a minute; a minute is measured as far as
        every counter is.

    Raises
    ------
    enpilot.archive.ArchiveUnavailableError
        If readings were dropped and the archive cannot be read.
    """
    low, high = microseconds(since), microseconds(until)
    n = (high - low) // MINUTE_US
    edges = low + np.arange(n + 1, dtype=np.int64) * MINUTE_US
    kwh = np.zeros(n)
    measured = np.full(n, 60.0 if series_ids else 0.0)
    before, after = edges.copy(), edges.copy()
    for series_id in series_ids:
        readings = _readings(connection, series_id, since, until)
        own_kwh, own_measured = np.zeros(n), np.zeros(n)
        for part, kwh_per_count in _parts(connection, series_id, readings, (low, high)):
            for done in account_parts([part]):
                if done is not None:
                    place = (done.start_us - low) // MINUTE_US
                    own_kwh[place] += done.advance_micro * (float(kwh_per_count) / MICRO)
                    own_measured[place] += done.measured_s
        kwh += own_kwh
        measured = np.minimum(measured, own_measured)
        earlier, later = reading_edges(readings.time_us, edges)
        before, after = np.minimum(before, earlier), np.maximum(after, later)
    return Minutes(low, kwh, measured, before, after)


def load_power_minutes(
    connection: psycopg.Connection[Any],
    series_ids: Sequence[int],
    since: dt.datetime,
    until: dt.datetime,
) -> Minutes:
    """Return the energy of each minute under some power gauges together.

    Parameters
    ----------
    connection
        To the database.
    series_ids
        Gauges of active power.
    since, until
        Span on whole minutes.

    Returns
    -------
    Minutes
        See `minutes_of_power`; it bounds nothing.

    Raises
    ------
    enpilot.archive.ArchiveUnavailableError
        If readings were dropped and the archive cannot be read.
    """
    low, high = microseconds(since), microseconds(until)
    parts = []
    for series_id in series_ids:
        readings = _readings(connection, series_id, since, until)
        time_us = readings.time_us
        kw = np.zeros(len(time_us))
        known = np.zeros(len(time_us), dtype=np.bool_)
        gap_s = float(LEAST_GAP_S)
        for read_type, raw_type, decoding, scale, offset, unit, period, *span in connection.execute(
            'SELECT coalesce(read_type, raw_type), raw_type, decoding, scale, "offset", unit,'
            " period_s, valid_from, valid_to FROM series_epoch WHERE series_id = %s"
            " AND superseded_commit_no IS NULL ORDER BY valid_from",
            (series_id,),
        ):
            recoding = Recoding(read_type, raw_type, decoding)
            raw = recoding.apply(readings.whole if recoding.reads_whole else readings.real)
            held = time_us >= microseconds(span[0])
            if span[1] is not None:
                held &= time_us < microseconds(span[1])
            ratio = float(unit_ratio("active_power", unit))
            kw[held] = (raw[held] * float(scale) + float(offset)) * ratio
            known |= held
            gap_s = max(gap_s, (period or 0) * _GAP_PERIODS)
        first = np.append(True, np.diff(time_us) > 0)[: len(time_us)] & known
        parts.append(minutes_of_power(time_us[first], kw[first], gap_s, low, high))
    return added_minutes(parts)


def _readings(
    connection: psycopg.Connection[Any], series_id: int, since: dt.datetime, until: dt.datetime
) -> SeriesReadings:
    before = reading_before(connection, series_id, since) or since
    after = reading_after(connection, series_id, until) or until
    # A fall is told from a glitch by what stood before it.
    context = dt.timedelta(microseconds=REFRESH_US)
    return load_readings(connection, series_id, before - context, after)


def _parts(
    connection: psycopg.Connection[Any],
    series_id: int,
    readings: SeriesReadings,
    window: tuple[int, int],
) -> Iterator[tuple[Part, Fraction]]:
    """Yield the parts of a window in which a counter means one thing, on a grid of a minute."""
    row = connection.execute(
        "SELECT site_id, point_id, quantity FROM series WHERE series_id = %s", (series_id,)
    ).fetchone()
    assert row is not None  # it is a counter of the account
    series = PointSeries(series_id, *row)
    replaced = load_replacements(connection, [series]).get(series_id, ())
    scales = load_scales(connection, series_id, series.quantity)
    for epoch in load_epochs(connection, [series_id]).get(series_id, ()):
        held = epoch.within(window)
        if held is not None:
            by_minute = replace(epoch, rules=replace(epoch.rules, interval_s=60))
            yield Part(readings, by_minute, held, replaced), scales[epoch.epoch_id].scale


def load_register_peak(
    connection: psycopg.Connection[Any], series_id: int, since: dt.datetime, until: dt.datetime
) -> Fraction | None:
    """Return what a meter's register of maximum demand showed for a billing period.

    Parameters
    ----------
    connection
        To the database.
    series_id
        A series of ``maximum_demand``.
    since, until
        The billing period.

    Returns
    -------
    Fraction or None
        See `register_peak` [kW].
    """
    rows = connection.execute(
        "SELECT extract(epoch FROM r.ts)::float8,"
        ' (coalesce(r.raw_int::numeric, r.raw_real::numeric) * e.scale + e."offset"), e.unit'
        " FROM counted_reading r JOIN series_epoch e ON e.series_id = r.series_id"
        " AND e.superseded_commit_no IS NULL AND r.ts >= e.valid_from"
        " AND (e.valid_to IS NULL OR r.ts < e.valid_to)"
        " WHERE r.series_id = %s AND r.ts >= %s AND r.ts < %s AND r.quality & 255 = 0"
        " ORDER BY r.ts",
        (series_id, since, until),
    ).fetchall()
    times = [row[0] for row in rows]
    values = [Fraction(row[1]) * unit_ratio("maximum_demand", row[2]) for row in rows]
    return register_peak(times, values, since.timestamp(), until.timestamp())


def register_peak(
    times_s: Sequence[float], kw: Sequence[Fraction], since_s: float, until_s: float
) -> Fraction | None:
    """Return the billing period's value of a register that holds the highest demand until reset.

    Parameters
    ----------
    times_s
        Read instants inside the period, in order [s since 1970].
    kw
        What the register showed [kW].
    since_s, until_s
        The period [s].

    Returns
    -------
    Fraction or None
        The highest value of the stretch between two falls that takes most of the period [kW]:
        the register may be reset some minutes before or after the period turns. None without
        readings.

    Notes
    -----
    F26: the billed figure is the billing meter's register.
    """
    if not times_s:
        return None
    runs: list[list[int]] = [[0]]
    for i in range(1, len(kw)):
        if kw[i] < kw[i - 1]:
            runs.append([])
        runs[-1].append(i)
    starts = [since_s, *(times_s[run[0]] for run in runs[1:])]
    ends = [*starts[1:], until_s]
    longest = max(range(len(runs)), key=lambda r: ends[r] - starts[r])
    return max(kw[i] for i in runs[longest])
