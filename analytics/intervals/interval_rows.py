"""Interval rows, gaps and findings of many accounts into the database, in bulk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from analytics.counters.account import Account, Finding, FindingKind
from analytics.counters.levels import MICRO
from analytics.intervals.counter_facts import CounterEpoch, PointSeries
from analytics.intervals.finding_rows import FindingRow, Severity, insert_findings
from analytics.intervals.readings import SeriesReadings, instant
from enpilot.database.binary_copy import POSTGRES_EPOCH_US, new_rows, row_type, write_rows

__all__ = [
    "GRID_US",
    "Computed",
    "clear_windows",
    "write_findings",
    "write_gaps",
    "write_intervals",
]

GRID_US: Final = 900 * 1_000_000
_ROW: Final = row_type(
    series="int4", ts="timestamptz", epoch="int4", advance="int8", estimated="int8",
    measured="float4", readings="int4", simulated="bool", version="int8",
)  # fmt: skip
_TARGET: Final = (
    "interval_advance (series_id, ts, epoch_id, advance_micro, estimated_micro, measured_s,"
    " readings, simulated, data_version)"
)
_SEVERITY: Final[dict[FindingKind, Severity]] = {
    FindingKind.ROLLOVER: "note",
    FindingKind.REPLACEMENT: "note",
    FindingKind.RESET: "warning",
    FindingKind.GLITCH: "warning",
    FindingKind.SPIKE: "warning",
    FindingKind.JUMP: "fault",
}


@dataclass(frozen=True, slots=True)
class Computed:
    """What came out of the readings of a series in a window [µs], by epoch in order of time."""

    series: PointSeries
    window: tuple[int, int]
    readings: SeriesReadings | None
    parts: Sequence[tuple[CounterEpoch, Account]]


def clear_windows(connection: psycopg.Connection[Any], computed: Sequence[Computed]) -> None:
    """Delete the interval rows of the windows, and the gaps that touch them.

    Parameters
    ----------
    connection
        Inside the transaction that claimed the spans.
    computed
        What came out, at most one a series.
    """
    spans = (
        [one.series.series_id for one in computed],
        [instant(one.window[0]) for one in computed],
        [instant(one.window[1]) for one in computed],
    )
    # Rows of a compressed chunk are decompressed first; a group's are more than the default allows.
    connection.execute(
        "SELECT set_config(name, '0', true) FROM pg_settings"
        " WHERE name = 'timescaledb.max_tuples_decompressed_per_dml_transaction'"
    )
    # The outermost instants are said apart, so that chunks beyond them are not looked at.
    connection.execute(
        "DELETE FROM interval_advance i USING"
        " unnest(%s::int[], %s::timestamptz[], %s::timestamptz[]) w(s, a, b)"
        " WHERE i.series_id = w.s AND i.ts >= w.a AND i.ts < w.b AND i.ts >= %s AND i.ts < %s",
        (*spans, min(spans[1]), max(spans[2])),
    )
    connection.execute(
        "DELETE FROM gap g USING unnest(%s::int[], %s::timestamptz[], %s::timestamptz[]) w(s, a, b)"
        " WHERE g.series_id = w.s AND g.to_ts > w.a AND g.from_ts < w.b",
        spans,
    )


def write_intervals(
    connection: psycopg.Connection[Any], computed: Sequence[Computed], version: int
) -> None:
    """Write the interval rows of all accounts in one COPY.

    Parameters
    ----------
    connection
        Inside the transaction that claimed the spans.
    computed
        What came out, at most one a series.
    version
        Data version that the rows will name.
    """
    parts = [(c, epoch, account) for c in computed for epoch, account in c.parts]
    sizes = [len(account.start_us) for _, _, account in parts]
    rows = new_rows(_ROW, sum(sizes))
    if not len(rows):
        return
    rows["series"] = np.repeat([c.series.series_id for c, _, _ in parts], sizes)
    rows["epoch"] = np.repeat([epoch.epoch_id for _, epoch, _ in parts], sizes)
    rows["version"] = version
    at = 0
    for (one, _, account), size in zip(parts, sizes, strict=True):
        own = rows[at : at + size]
        own["ts"] = account.start_us - POSTGRES_EPOCH_US
        own["advance"] = account.advance_micro
        own["estimated"] = account.estimated_micro
        own["measured"] = account.measured_s
        own["readings"] = account.readings
        own["simulated"] = _simulated(one.readings, account)
        at += size
    write_rows(connection, _TARGET, rows)


def _simulated(readings: SeriesReadings | None, account: Account) -> NDArray[np.bool_]:
    """Say for each interval whether a reading in it, or the one that ends it, was simulated."""
    if readings is None or not readings.simulated.any():
        return np.zeros(len(account.start_us), np.bool_)
    ordered = np.argsort(readings.time_us, kind="stable")
    time_us, simulated = readings.time_us[ordered], readings.simulated[ordered]
    counted = np.concatenate(([0], np.cumsum(simulated)))
    first = np.searchsorted(time_us, account.start_us, "right")
    last = np.searchsorted(time_us, account.start_us + GRID_US, "left") + 1
    flags: NDArray[np.bool_] = counted[np.minimum(last, len(time_us))] > counted[first]
    return flags


def write_gaps(
    connection: psycopg.Connection[Any], computed: Sequence[Computed], version: int
) -> None:
    """Write each account's gaps; one across the border of two epochs is named by the first.

    Parameters
    ----------
    connection
        Inside the transaction that claimed the spans.
    computed
        What came out, at most one a series.
    version
        Data version that the rows will name.
    """
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO gap (series_id, epoch_id, from_ts, to_ts, advance_micro, data_version)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (series_id, from_ts) DO UPDATE"
            " SET to_ts = excluded.to_ts, advance_micro = excluded.advance_micro,"
            " data_version = excluded.data_version",
            [
                (
                    one.series.series_id, epoch.epoch_id, instant(gap.from_us),
                    instant(gap.to_us), gap.advance_micro, version,
                )
                for one in computed
                for epoch, account in one.parts
                for gap in account.gaps
            ],
        )  # fmt: skip


def write_findings(
    connection: psycopg.Connection[Any], computed: Sequence[Computed], version: int
) -> None:
    """Keep findings that are found again, add new ones, withdraw those that are gone.

    Parameters
    ----------
    connection
        Inside the transaction that claimed the spans.
    computed
        What came out, at most one a series.
    version
        Data version that the rows will name.
    """
    found = [
        (one.series, epoch, finding)
        for one in computed
        for epoch, account in one.parts
        for finding in account.findings
    ]
    held = set(
        connection.execute(
            "SELECT f.series_id, f.code, f.at_ts FROM finding f JOIN"
            " unnest(%s::int[], %s::timestamptz[], %s::timestamptz[]) w(s, a, b)"
            " ON f.series_id = w.s AND f.at_ts >= w.a AND f.at_ts < w.b"
            " WHERE f.withdrawn_version IS NULL AND f.code = ANY(%s)",
            (
                [one.series.series_id for one in computed],
                [instant(one.window[0]) for one in computed],
                [instant(one.window[1]) for one in computed],
                [kind.value for kind in FindingKind],
            ),
        ).fetchall()
    )
    now = {(series.series_id, f.kind.value, instant(f.at_us)) for series, _, f in found}
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE finding SET withdrawn_version = %s WHERE series_id = %s AND code = %s"
            " AND at_ts = %s AND withdrawn_version IS NULL",
            [(version, *gone) for gone in sorted(held - now)],
        )
    rows = [
        FindingRow(
            finding.kind.value, instant(finding.at_us), instant(finding.until_us),
            _SEVERITY[finding.kind], _evidence(epoch, finding), series.point_id, series.series_id,
        )
        for series, epoch, finding in found
    ]  # fmt: skip
    insert_findings(
        connection, [(f[0].site_id, row) for f, row in zip(found, rows, strict=True)], version
    )


def _evidence(epoch: CounterEpoch, finding: Finding) -> dict[str, object]:
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
