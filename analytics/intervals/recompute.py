"""Dirty spans of a point's counters to interval rows, gaps and findings (D11).

One transaction a point: lock it, claim its dirty spans, read, compute, write, commit. A span is
widened to the neighbouring readings first, because they decide what the advance at its edges is.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from analytics.counters.account import (
    Account,
    CounterKind,
    CounterRules,
    Finding,
    FindingKind,
    Replacement,
    account,
)
from analytics.counters.decisions import REFRESH_US
from analytics.counters.levels import MICRO, collapse_readings, to_level_micro
from analytics.counters.recode import Recoding
from analytics.counters.runs import join_accounts
from analytics.errors import LevelRangeError
from analytics.intervals.readings import SeriesReadings, instant, load_readings, microseconds
from analytics.intervals.spans import merge_spans
from analytics.intervals.substitution import load_substitutions, substitute
from enpilot.archive import reading_after, reading_before

__all__ = ["Touched", "recompute_point"]

_GRID_US: Final = 900 * 1_000_000
# Readings this much further apart than scheduled leave a gap; five minutes are nothing to a
# quarter-hourly figure.
_GAP_PERIODS: Final = 2.5
_LEAST_GAP_S: Final = 300
# Dirty spans nearer than this are computed in one go.
_NEAR: Final = dt.timedelta(days=1)
_INSTANT: Final = dt.timedelta(microseconds=1)  # the least that two instants differ by
# What a meter may deliver beyond its rated maximum before a reading is called impossible.
_RATED_MARGIN: Final = 1.2
_SEVERITY: Final = {
    FindingKind.ROLLOVER: "note",
    FindingKind.REPLACEMENT: "note",
    FindingKind.RESET: "warning",
    FindingKind.GLITCH: "warning",
    FindingKind.SPIKE: "warning",
    FindingKind.JUMP: "fault",
}


@dataclass(frozen=True, slots=True)
class Touched:
    """A span of a site whose figures must be computed anew."""

    site_id: int
    since: dt.datetime
    until: dt.datetime
    intervals: int


@dataclass(frozen=True, slots=True)
class _Epoch:
    epoch_id: int
    counter_kind: str
    recoding: Recoding
    modulus: int
    rated_micro_per_s: int
    gap_s: int
    valid_from: dt.datetime
    valid_to: dt.datetime | None


@dataclass(frozen=True, slots=True)
class _Series:
    series_id: int
    site_id: int
    point_id: int
    quantity: str


def recompute_point(
    connection: psycopg.Connection[Any], point_id: int, version: int
) -> list[Touched]:
    """Compute what is dirty at a point, in one transaction.

    Parameters
    ----------
    connection
        Not inside a transaction.
    point_id
        The point.
    version
        Data version that the rows will name.

    Returns
    -------
    list of Touched
        What changed; empty if another process had claimed it.
    """
    with connection.transaction():
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('enpilot.point', %s))", (point_id,)
        )
        # A statement of its own, after the lock: it sees what the last holder left (D11).
        claimed = connection.execute(
            "DELETE FROM dirty d USING series s WHERE s.series_id = d.series_id"
            " AND s.point_id = %s RETURNING d.series_id, s.site_id, s.quantity, d.from_ts, d.to_ts",
            (point_id,),
        ).fetchall()
        spans: dict[_Series, list[tuple[dt.datetime, dt.datetime]]] = defaultdict(list)
        for series_id, site_id, quantity, since, until in claimed:
            spans[_Series(series_id, site_id, point_id, quantity)].append((since, until))
        touched = [
            done
            for series, dirty in spans.items()
            for since, until in merge_spans(dirty, _NEAR)
            if (done := _recompute_series(connection, series, since, until, version)) is not None
        ]
        for done in touched:
            connection.execute(
                "INSERT INTO dirty_site (site_id, from_ts, to_ts, commit_no)"
                " VALUES (%s, %s, %s, %s)",
                (done.site_id, done.since, done.until, version),
            )
        return touched


def _recompute_series(
    connection: psycopg.Connection[Any],
    series: _Series,
    since: dt.datetime,
    until: dt.datetime,
    version: int,
) -> Touched | None:
    epochs = _epochs(connection, series.series_id)
    low, high = _widened(connection, series.series_id, since, until)
    substitutions = load_substitutions(connection, series.series_id, series.quantity, low, high)
    # A substitution is shared out over its whole span, so all of that is computed.
    low = min([low, *(s.since for s in substitutions)])
    high = max([high, *(s.until for s in substitutions)])
    window = (
        microseconds(low) // _GRID_US * _GRID_US,
        -(-microseconds(high) // _GRID_US) * _GRID_US,
    )
    connection.execute(
        "DELETE FROM interval_advance WHERE series_id = %s AND ts >= %s AND ts < %s",
        (series.series_id, instant(window[0]), instant(window[1])),
    )
    connection.execute(
        "DELETE FROM gap WHERE series_id = %s AND to_ts > %s AND from_ts < %s",
        (series.series_id, instant(window[0]), instant(window[1])),
    )
    if not epochs:  # a gauge, or numbers that mean nothing any more
        _write_findings(connection, series, [], window, version)
        return Touched(series.site_id, instant(window[0]), instant(window[1]), 0)
    readings = _readings_for(connection, series.series_id, window, epochs)
    simulated = _simulated(connection, readings.batch)
    replacements = _replacements(connection, series)
    found: list[tuple[_Epoch, Finding]] = []
    rows = 0
    for epoch in epochs:
        part = _intersection(window, epoch)
        if part is None:
            continue
        result = _account(readings, epoch, part, replacements)
        if result is None:
            continue
        _write_intervals(
            connection, series, epoch, result, _flags(readings.time_us, simulated, result), version
        )
        _write_gaps(connection, series, epoch, result, version)
        found += [(epoch, f) for f in result.findings]
        rows += len(result.start_us)
    for substitution in substitutions:
        substitute(connection, series.series_id, series.quantity, substitution, version)
    _write_findings(connection, series, found, window, version)
    return Touched(series.site_id, instant(window[0]), instant(window[1]), rows)


def _epochs(connection: psycopg.Connection[Any], series_id: int) -> list[_Epoch]:
    rows = connection.execute(
        "SELECT epoch_id, counter_kind, coalesce(read_type, raw_type), raw_type, decoding, modulus,"
        " rated_max_per_h, scale, period_s, valid_from, valid_to FROM series_epoch"
        " WHERE series_id = %s AND superseded_commit_no IS NULL AND counter_kind IS NOT NULL"
        " ORDER BY valid_from",
        (series_id,),
    ).fetchall()
    epochs = []
    for epoch_id, kind, read_type, raw_type, decoding, modulus, rated, scale, period, *span in rows:
        rated_micro_per_s = (
            int(float(rated) / float(abs(scale)) / 3600 * MICRO * _RATED_MARGIN) if rated else 0
        )
        gap_s = max(_LEAST_GAP_S, int((period or 0) * _GAP_PERIODS))
        epochs.append(
            _Epoch(
                epoch_id, kind, Recoding(read_type, raw_type, decoding),
                int((modulus or 0) * MICRO), rated_micro_per_s, gap_s, *span,
            )
        )  # fmt: skip
    return epochs


def _widened(
    connection: psycopg.Connection[Any], series_id: int, since: dt.datetime, until: dt.datetime
) -> tuple[dt.datetime, dt.datetime]:
    """Return the span out to the last reading before and the first after, and to open questions."""
    row = connection.execute(
        "SELECT min(at_ts) FROM finding WHERE series_id = %s AND withdrawn_version IS NULL"
        " AND (evidence->>'pending')::boolean AND at_ts < %s",
        (series_id, since),
    ).fetchone()
    assert row is not None  # an aggregate has one row
    before = reading_before(connection, series_id, since)
    after = reading_after(connection, series_id, until + _INSTANT)
    low = min(x for x in (since, before, row[0]) if x is not None)
    # One microsecond more, so that the last reading's own quarter hour is inside the window.
    return low, max(x for x in (until, after) if x is not None) + _INSTANT


def _readings_for(
    connection: psycopg.Connection[Any],
    series_id: int,
    window: tuple[int, int],
    epochs: list[_Epoch],
) -> SeriesReadings:
    """Load the window with enough before it to decide, and the first reading after it."""
    since, until = instant(window[0]), instant(window[1])
    before = reading_before(connection, series_id, since) or since
    after = reading_after(connection, series_id, until) or until
    context = dt.timedelta(microseconds=REFRESH_US)
    readings = load_readings(connection, series_id, before - context, after)
    result = _account(readings, epochs[0], window, ())
    if result is not None and result.context_short:
        far = dt.timedelta(seconds=CounterRules(gap_s=_LEAST_GAP_S).glitch_s)
        readings = load_readings(connection, series_id, before - far, after)
    return readings


def _intersection(window: tuple[int, int], epoch: _Epoch) -> tuple[int, int] | None:
    low = max(window[0], microseconds(epoch.valid_from))
    high = window[1] if epoch.valid_to is None else min(window[1], microseconds(epoch.valid_to))
    return (low, high) if low < high else None


def _account(
    readings: SeriesReadings,
    epoch: _Epoch,
    window: tuple[int, int],
    replacements: tuple[Replacement, ...] | list[Replacement],
) -> Account | None:
    """Account a part of an epoch; where a register begins anew, each side by itself."""
    edges = np.flatnonzero(readings.begins[1:]) + 1
    parts = [
        done
        for a, b in itertools.pairwise([0, *edges.tolist(), len(readings)])
        if b - a > (1 if len(edges) else 0)  # one reading alone measures nothing
        and (done := _account_run(readings.take(slice(a, b)), epoch, window, replacements))
        is not None
    ]
    return join_accounts(parts) if parts else None


def _account_run(
    readings: SeriesReadings,
    epoch: _Epoch,
    window: tuple[int, int],
    replacements: tuple[Replacement, ...] | list[Replacement],
) -> Account | None:
    if not len(readings):
        return None
    raw = epoch.recoding.apply(readings.whole if epoch.recoding.reads_whole else readings.real)
    try:
        levels = to_level_micro(raw)
    except LevelRangeError:
        believable = np.abs(raw) < 4e12  # what the 1e-6 grid can hold; the rest is a fault
        levels = to_level_micro(np.where(believable, raw, 0))
    time_us, level_micro, _ = collapse_readings(readings.time_us, levels)
    rules = CounterRules(
        gap_s=epoch.gap_s,
        kind=CounterKind(epoch.counter_kind),
        modulus_micro=epoch.modulus,
        rated_micro_per_s=epoch.rated_micro_per_s,
    )
    return account(time_us, level_micro, rules, window=window, replacements=replacements)


def _replacements(connection: psycopg.Connection[Any], series: _Series) -> list[Replacement]:
    """Return where one device followed another at the point, with the registers noted then."""
    rows = connection.execute(
        "SELECT i.valid_from, i.device_id, r.opening_raw, r.closing_raw FROM installation i"
        " LEFT JOIN installation_register r ON r.installation_id = i.installation_id"
        " AND r.series_id = %s AND r.superseded_commit_no IS NULL"
        " WHERE i.point_id = %s AND i.superseded_commit_no IS NULL ORDER BY i.valid_from",
        (series.series_id, series.point_id),
    ).fetchall()
    return [
        Replacement(
            microseconds(after[0]),
            None if before[3] is None else int(before[3] * MICRO),
            None if after[2] is None else int(after[2] * MICRO),
        )
        for before, after in itertools.pairwise(rows)
        if before[1] != after[1]
    ]


def _simulated(connection: psycopg.Connection[Any], batch: NDArray[np.int64]) -> NDArray[np.bool_]:
    stream = batch >> 32
    marked = [
        row[0]
        for row in connection.execute(
            "SELECT stream_no FROM stream WHERE simulated AND stream_no = ANY(%s)",
            (np.unique(stream).tolist(),),
        )
    ]
    return np.isin(stream, marked)


def _flags(
    time_us: NDArray[np.int64], simulated: NDArray[np.bool_], result: Account
) -> NDArray[np.bool_]:
    """Say for each interval whether a reading in it, or the one that ends it, was simulated."""
    ordered = np.argsort(time_us, kind="stable")
    time_us, simulated = time_us[ordered], simulated[ordered]
    counted = np.concatenate(([0], np.cumsum(simulated)))
    first = np.searchsorted(time_us, result.start_us, "right")
    last = np.searchsorted(time_us, result.start_us + _GRID_US, "left") + 1
    return counted[np.minimum(last, len(time_us))] > counted[first]


def _write_intervals(
    connection: psycopg.Connection[Any],
    series: _Series,
    epoch: _Epoch,
    result: Account,
    simulated: NDArray[np.bool_],
    version: int,
) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY interval_advance (series_id, ts, epoch_id, advance_micro, estimated_micro,"
            " measured_s, readings, simulated, data_version) FROM STDIN (FORMAT binary)"
        ) as copy,
    ):
        copy.set_types(["int4", "timestamptz", "int4", "int8", "int8", "float4", "int4", "bool",
                        "int8"])  # fmt: skip
        for row in zip(
            result.start_us.tolist(), result.advance_micro.tolist(),
            result.estimated_micro.tolist(), result.measured_s.tolist(),
            result.readings.tolist(), simulated.tolist(), strict=True,
        ):  # fmt: skip
            start, advance, estimated, measured, count, flag = row
            copy.write_row(
                (series.series_id, instant(start), epoch.epoch_id, advance, estimated, measured,
                 count, flag, version)
            )  # fmt: skip


def _write_gaps(
    connection: psycopg.Connection[Any],
    series: _Series,
    epoch: _Epoch,
    result: Account,
    version: int,
) -> None:
    for gap in result.gaps:
        connection.execute(
            "INSERT INTO gap (series_id, epoch_id, from_ts, to_ts, advance_micro, data_version)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (series_id, from_ts) DO UPDATE"
            " SET to_ts = excluded.to_ts, advance_micro = excluded.advance_micro,"
            " data_version = excluded.data_version",
            (
                series.series_id, epoch.epoch_id, instant(gap.from_us), instant(gap.to_us),
                gap.advance_micro, version,
            ),
        )  # fmt: skip


def _write_findings(
    connection: psycopg.Connection[Any],
    series: _Series,
    found: list[tuple[_Epoch, Finding]],
    window: tuple[int, int],
    version: int,
) -> None:
    """Keep findings that are found again, add new ones, withdraw those that are gone."""
    codes = [kind.value for kind in FindingKind]
    held = {
        (code, at)
        for code, at in connection.execute(
            "SELECT code, at_ts FROM finding WHERE series_id = %s AND withdrawn_version IS NULL"
            " AND code = ANY(%s) AND at_ts >= %s AND at_ts < %s",
            (series.series_id, codes, instant(window[0]), instant(window[1])),
        )
    }
    now = {(f.kind.value, instant(f.at_us)) for _, f in found}
    for code, at in held - now:
        connection.execute(
            "UPDATE finding SET withdrawn_version = %s WHERE series_id = %s AND code = %s"
            " AND at_ts = %s AND withdrawn_version IS NULL",
            (version, series.series_id, code, at),
        )
    for epoch, finding in found:
        connection.execute(
            "INSERT INTO finding (site_id, point_id, series_id, code, at_ts, to_ts, severity,"
            " evidence, data_version) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (site_id, code, at_ts, coalesce(series_id, 0))"
            " WHERE withdrawn_version IS NULL DO UPDATE SET evidence = excluded.evidence,"
            " to_ts = excluded.to_ts, data_version = excluded.data_version",
            (
                series.site_id, series.point_id, series.series_id, finding.kind.value,
                instant(finding.at_us), instant(finding.until_us), _SEVERITY[finding.kind],
                json.dumps(_evidence(epoch, finding)), version,
            ),
        )  # fmt: skip


def _evidence(epoch: _Epoch, finding: Finding) -> dict[str, object]:
    after = finding.after_us
    return {
        "epoch_id": epoch.epoch_id,
        "before": {"at": instant(finding.before_us).isoformat(),
                   "counts": finding.before_micro / MICRO},
        "odd_counts": finding.level_micro / MICRO,
        "after": None if after is None or finding.after_micro is None else
                 {"at": instant(after).isoformat(), "counts": finding.after_micro / MICRO},
        "booked_counts": finding.advance_micro / MICRO,
        "pending": finding.pending,
        "inconsistent": finding.inconsistent,
    }  # fmt: skip
