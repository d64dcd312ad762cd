"""Amounts per interval as a running register, so that they are accounted like any other (F4).

A run of intervals without a hole becomes a register that begins at zero (flag BEGINS) and stands at
the sum of the amounts at each interval's end (flag DERIVED). Sums are whole numbers, hence exact. A
missing interval ends the run: between two runs nothing is known, and nothing is booked. Levels of
different runs have nothing to do with each other, so a hole can be filled later, in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from enpilot.database.binary_copy import POSTGRES_EPOCH_US, copy_rows, row_type
from enpilot.wire import QualityFlag
from ingest.imports.reading_table import SeriesPart
from ingest.rows import KIND_INT, Readings

__all__ = ["DerivedPlan", "foreign_readings", "plan_derived"]

_FLAGS: Final = int(QualityFlag.IMPORTED | QualityFlag.DERIVED)
_BEGINS: Final = int(QualityFlag.BEGINS)
_ROW: Final = row_type(ts="timestamptz", level="int8", begins="bool")
_INSTANT: Final = "timestamptz 'epoch' + {} * interval '1 microsecond'"

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DerivedPlan:
    """What the intervals of one part become.

    ``same``, ``differs``, ``overlaps`` and ``written`` are masks over the part; ``there`` are the
    amounts of those that differ. ``void_us`` are the instants whose readings no longer count.
    """

    same: Mask
    differs: Mask
    overlaps: Mask
    written: Mask
    there: Ints
    rows: Readings
    void_us: Ints


@dataclass(frozen=True, slots=True)
class _Known:
    """Intervals that are there, in order; ``level_us``: what the register shows at an instant."""

    start_us: Ints
    end_us: Ints
    amount: Ints
    start_level: Ints


def plan_derived(
    connection: psycopg.Connection[Any],
    series_id: int,
    part: SeriesPart,
    batch: int,
    *,
    supersede: bool,
) -> DerivedPlan:
    """Compare the intervals of a part with those that are there, and lay out what to write.

    An interval that overlaps others without being one of them is never written.
    """
    known = _known(connection, series_id, int(part.ts_us[0]), int(part.end_us[-1]))
    n = len(part)
    at = np.searchsorted(known.end_us, part.ts_us, "right")
    inside = at < len(known.start_us)
    near = np.minimum(at, max(0, len(known.start_us) - 1))
    met, exact, equal = np.zeros(n, np.bool_), np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    there = np.zeros(n, np.int64)
    if len(known.start_us):
        met = inside & (known.start_us[near] < part.end_us)
        exact = met & (known.start_us[near] == part.ts_us) & (known.end_us[near] == part.end_us)
        there = known.amount[near]
        equal = there == part.whole
    same, differs, overlaps = exact & equal, exact & ~equal, met & ~exact
    written = ~met | (differs if supersede else np.zeros(n, np.bool_))
    replaced = differs & written
    rows, void_us = _lay_out(series_id, part, batch, written, replaced, known, near)
    return DerivedPlan(same, differs, overlaps, written, there, rows, void_us)


def foreign_readings(
    connection: psycopg.Connection[Any],
    series_id: int,
    since_us: int,
    until_us: int,
    *,
    derived: bool,
) -> bool:
    """Say whether a span holds readings of the other sort: registers among amounts, or reverse."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM counted_reading WHERE series_id = %s"
        f" AND ts BETWEEN {_INSTANT.format('%s::bigint')} AND {_INSTANT.format('%s::bigint')}"
        " AND quality & 255 = 0 AND ((quality & %s) <> 0) <> %s)",
        (series_id, since_us, until_us, int(QualityFlag.DERIVED), derived),
    ).fetchone()
    return bool(row and row[0])


def _known(
    connection: psycopg.Connection[Any], series_id: int, since_us: int, until_us: int
) -> _Known:
    found = copy_rows(
        connection,
        "SELECT ts, raw_int, (quality & %(begins)s) <> 0 FROM counted_reading"
        " WHERE series_id = %(s)s AND quality & 255 = 0 AND (quality & %(derived)s) <> 0"
        "  AND ts >= coalesce((SELECT max(ts) FROM counted_reading WHERE series_id = %(s)s"
        f"   AND ts <= {_INSTANT.format('%(a)s::bigint')}), {_INSTANT.format('%(a)s::bigint')})"
        "  AND ts <= coalesce((SELECT min(ts) FROM counted_reading WHERE series_id = %(s)s"
        # Past the end, so that an interval which goes on there is among them.
        f"   AND ts > {_INSTANT.format('%(b)s::bigint')}), {_INSTANT.format('%(b)s::bigint')})"
        " ORDER BY ts, (quality & %(begins)s), batch",
        {
            "s": series_id, "a": since_us, "b": until_us, "begins": _BEGINS,
            "derived": int(QualityFlag.DERIVED),
        },
        _ROW,
    )  # fmt: skip
    ts = found["ts"].astype(np.int64) + POSTGRES_EPOCH_US
    level, begins = found["level"].astype(np.int64), found["begins"]
    ends = np.flatnonzero(~begins[1:] & (np.diff(ts) > 0)) + 1
    return _Known(ts[ends - 1], ts[ends], level[ends] - level[ends - 1], level[ends - 1])


def _lay_out(
    series_id: int,
    part: SeriesPart,
    batch: int,
    written: Mask,
    replaced: Mask,
    known: _Known,
    near: Ints,
) -> tuple[Readings, Ints]:
    chosen = np.flatnonzero(written)
    start, end, amount = part.ts_us[chosen], part.end_us[chosen], part.whole[chosen]
    first = np.append(True, start[1:] != end[:-1])[: len(chosen)]
    total = np.cumsum(amount)
    run = np.cumsum(first) - 1
    before_run = (total - amount)[first]
    level = total - before_run[run] if len(chosen) else total
    last = np.append(first[1:], True)[: len(chosen)]
    # What went on after a replaced interval begins anew, at the level it had.
    goes_on = np.zeros(len(chosen), np.bool_)
    resumed = np.zeros(len(chosen), np.int64)
    if len(known.start_us) and len(chosen):
        following = np.minimum(near[chosen] + 1, len(known.start_us) - 1)
        goes_on = last & replaced[chosen] & (known.start_us[following] == end)
        resumed = known.start_level[following]
    ts = np.concatenate((start[first], end, end[goes_on]))
    levels = np.concatenate((np.zeros(int(first.sum()), np.int64), level, resumed[goes_on]))
    begins = np.concatenate(
        (np.ones(int(first.sum()), np.bool_), np.zeros(len(end), np.bool_),
         np.ones(int(goes_on.sum()), np.bool_))
    )  # fmt: skip
    inner_start = part.ts_us[chosen][~first & replaced[chosen]]
    return (
        _readings(series_id, ts, levels, begins, batch),
        np.unique(np.concatenate((part.end_us[replaced], inner_start))),
    )


def _readings(series_id: int, ts_us: Ints, level: Ints, begins: Mask, batch: int) -> Readings:
    n = len(ts_us)
    return Readings(
        ts_us, np.full(n, series_id, np.int32), np.full(n, KIND_INT, np.int8), level,
        np.zeros(n), np.where(begins, _FLAGS | _BEGINS, _FLAGS).astype(np.int16),
        np.zeros(n, np.int16), np.full(n, batch, np.int64),
    )  # fmt: skip
