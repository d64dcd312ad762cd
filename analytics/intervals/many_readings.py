"""Load the readings of many series together, as arrays that the server has put together.

A row at a time the client reads 0.6 million readings/s; an array a series it is 2 to 3 million.
What an ordinary series does not have (corrections, amounts per interval, several readings at one
instant, rows that lie in the archive) takes the general way, a series at a time.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from analytics.intervals.readings import (
    ARCHIVE_AWAY,
    ArchiveAway,
    SeriesReadings,
    load_readings,
    microseconds,
    outside,
    retracted_ranges,
)
from enpilot.archive.manifest import dropped_spans
from enpilot.database.binary_copy import POSTGRES_EPOCH_US, array_values, raw_rows
from enpilot.wire import QualityFlag

__all__ = ["Wanted", "load_many"]

# A statement reads a span for all of its series: not much more than they want together.
_WASTE: Final = 1.5
# An array of the server holds at most 1 GiB; a reading every second for a year is a third of that.
_SLICE: Final = dt.timedelta(days=366)
_LEAST_SPAN: Final = dt.timedelta(days=2)
# Flags of readings that are not of an ordinary register.
_SPECIAL: Final = QualityFlag.BEGINS | QualityFlag.DERIVED
_NO_WHOLE: Final = np.empty(0, np.int64)
_NO_REAL: Final = np.empty(0, np.float64)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Good readings of a series with ``since <= ts <= until``.

    ``whole`` says whether its numbers are integers; None if both kinds may be there.
    """

    series_id: int
    since: dt.datetime
    until: dt.datetime
    whole: bool | None


def load_many(
    connection: psycopg.Connection[Any], wanted: Sequence[Wanted]
) -> list[SeriesReadings | ArchiveAway]:
    """Load what `load_readings` gives for each, with as few statements as the spans allow.

    Parameters
    ----------
    connection
        Inside a transaction: planner settings are local to it.
    wanted
        At most one for a series.

    Returns
    -------
    list of SeriesReadings, or of errors
        In the order given; an error where the archive is needed and cannot be read.
    """
    found: dict[int, SeriesReadings] = {}
    special = _with_corrections(connection, wanted)
    _prepare(connection)
    sources = _Sources.load(connection)
    for whole in (True, False):
        ordinary = [w for w in wanted if w.whole is whole and w.series_id not in special]
        for together in _of_like_spans(ordinary):
            found |= _load(connection, together, sources, whole=whole)
    # Asked last: what was dropped while the rows were read is then known to be.
    dropped = _dropped(connection, wanted)
    loaded: list[SeriesReadings | ArchiveAway] = []
    for one in wanted:
        here = found.get(one.series_id)
        if here is None or any(a <= one.until and b > one.since for a, b in dropped):
            try:
                here = load_readings(connection, one.series_id, one.since, one.until)
            except ARCHIVE_AWAY as error:
                loaded.append(error)
                continue
        loaded.append(here)
    return loaded


def _with_corrections(connection: psycopg.Connection[Any], wanted: Sequence[Wanted]) -> set[int]:
    rows = connection.execute(
        "SELECT w.s FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[]) w(s, a, b)"
        " WHERE EXISTS (SELECT FROM reading_void v WHERE v.series_id = w.s"
        "  AND v.superseded_commit_no IS NULL AND v.from_ts <= w.b AND v.to_ts > w.a)"
        " OR EXISTS (SELECT FROM reading_correction c WHERE c.series_id = w.s"
        "  AND c.superseded_commit_no IS NULL AND c.ts >= w.a AND c.ts <= w.b)",
        (
            [w.series_id for w in wanted],
            [w.since for w in wanted],
            [w.until for w in wanted],
        ),
    )
    return {row[0] for row in rows}


def _prepare(connection: psycopg.Connection[Any]) -> None:
    """Let the server read in the order of the table and keep the arrays of a group in memory.

    Readings of one series lie a page apart, because all series are written together: by the index
    a group would visit each page once a series. Sorting and compiling cost more than they save.
    """
    connection.execute(
        "SELECT set_config('work_mem', '256MB', true), set_config('jit', 'off', true),"
        " set_config('enable_sort', 'off', true),"
        " set_config('max_parallel_workers_per_gather', '0', true)"
    )


@dataclass(frozen=True, slots=True)
class _Sources:
    """What the batches of readings say of them.

    ``uniform`` holds where all streams alike are simulated or not and no batch is retracted: then
    nobody has to know the batch of a reading.
    """

    uniform: bool
    simulated: NDArray[np.int64]
    retracted: NDArray[np.int64]

    @classmethod
    def load(cls, connection: psycopg.Connection[Any]) -> _Sources:
        retracted = retracted_ranges(connection)
        kinds = connection.execute(
            "SELECT simulated, array_agg(stream_no) FROM stream GROUP BY simulated"
        ).fetchall()
        marked = [number for simulated, numbers in kinds if simulated for number in numbers]
        return cls(
            len(kinds) < 2 and not len(retracted), np.array(marked, dtype=np.int64), retracted
        )


def _of_like_spans(wanted: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    """Put those together whose spans lie so near that reading one for all wastes little."""
    together: list[Wanted] = []
    own = dt.timedelta(0)
    low = high = dt.datetime.min.replace(tzinfo=dt.UTC)
    for one in sorted(wanted, key=lambda w: (w.since, w.until)):
        length = max(one.until - one.since, _LEAST_SPAN)
        reach = max(high, one.until)
        if together and (reach - low) * (len(together) + 1) > (own + length) * _WASTE:
            yield together
            together, own, high = [], dt.timedelta(0), one.until
        if not together:
            low, high = one.since, one.until
        together.append(one)
        own += length
        high = max(high, one.until)
    if together:
        yield together


def _load(
    connection: psycopg.Connection[Any],
    wanted: Sequence[Wanted],
    sources: _Sources,
    *,
    whole: bool,
) -> dict[int, SeriesReadings]:
    """Load the ordinary ones of some series; what is not in the answer needs the general way."""
    low, high = min(w.since for w in wanted), max(w.until for w in wanted)
    parts: dict[int, list[_Arrays]] = defaultdict(list)
    unusual: set[int] = set()
    since = low
    while since <= high:
        until = min(since + _SLICE, high)
        for series_id, arrays in _arrays(
            connection, [w.series_id for w in wanted], since, until, sources, whole=whole
        ):
            if arrays is None:
                unusual.add(series_id)
            else:
                parts[series_id].append(arrays)
        since = until + dt.timedelta(microseconds=1)
    found = {}
    for one in wanted:
        if one.series_id in unusual:
            continue
        readings = _assemble(parts.get(one.series_id, []), one, sources, whole=whole)
        if readings is not None:
            found[one.series_id] = readings
    return found


@dataclass(frozen=True, slots=True)
class _Arrays:
    """Columns of some readings of one series; ``batch`` is empty where nobody asks for it."""

    ts: NDArray[np.int64]
    number: NDArray[Any]
    late_ms: NDArray[np.int64]
    batch: NDArray[np.int64]


def _arrays(
    connection: psycopg.Connection[Any],
    series_ids: list[int],
    since: dt.datetime,
    until: dt.datetime,
    sources: _Sources,
    *,
    whole: bool,
) -> Iterator[tuple[int, _Arrays | None]]:
    batch = "NULL" if sources.uniform else "array_agg(batch)"
    number, kind = ("raw_int", "int8") if whole else ("raw_real", "float8")
    for row in raw_rows(
        connection,
        f"SELECT series_id, bit_or(quality), array_agg(ts), array_agg({number}),"
        f" array_agg(late_ms), {batch} FROM reading WHERE series_id = ANY(%s::int[])"
        " AND ts >= %s AND ts <= %s AND quality & 255 = 0 GROUP BY series_id",
        (series_ids, since, until),
    ):
        series_id, flags = (int.from_bytes(value or b"", signed=True) for value in row[:2])
        numbers = array_values(row[3] or b"", kind)
        if flags & _SPECIAL or numbers is None:
            yield series_id, None
            continue
        ts = array_values(row[2] or b"", "timestamptz")
        late_ms = array_values(row[4] or b"", "int2")
        batches = _NO_WHOLE if row[5] is None else array_values(row[5], "int8")
        assert ts is not None  # declared NOT NULL, like the other two
        assert late_ms is not None
        assert batches is not None
        yield series_id, _Arrays(
            ts.astype(np.int64), numbers.astype(np.int64 if whole else np.float64),
            late_ms.astype(np.int64), batches.astype(np.int64),
        )  # fmt: skip


def _assemble(
    parts: Sequence[_Arrays], one: Wanted, sources: _Sources, *, whole: bool
) -> SeriesReadings | None:
    """Return the readings in order of time; None if two share an instant: their batches decide."""
    if not parts:
        return _readings(
            _NO_WHOLE, _NO_WHOLE if whole else _NO_REAL, np.empty(0, np.bool_), whole=whole
        )
    ts, number, late_ms, batch = (
        np.concatenate([getattr(p, name) for p in parts]) if len(parts) > 1
        else getattr(parts[0], name)
        for name in ("ts", "number", "late_ms", "batch")
    )  # fmt: skip
    step = np.diff(ts)
    if (step <= 0).any():
        order = np.argsort(ts, kind="stable")
        ts, number, late_ms = ts[order], number[order], late_ms[order]
        batch = batch[order] if len(batch) else batch
        if (np.diff(ts) == 0).any():
            return None
    low, high = (microseconds(at) - POSTGRES_EPOCH_US for at in (one.since, one.until))
    first, after = np.searchsorted(ts, [low, high + 1]).tolist()
    kept: slice | NDArray[np.intp] = slice(first, after)
    if len(sources.retracted):
        kept = first + np.flatnonzero(outside(sources.retracted, batch[first:after]))
    time_us = ts[kept] + late_ms[kept] * 1000 + POSTGRES_EPOCH_US
    simulated = (
        np.full(len(time_us), bool(len(sources.simulated)))
        if sources.uniform
        else np.isin(batch[kept] >> 32, sources.simulated)
    )
    return _readings(time_us, number[kept], simulated, whole=whole)


def _readings(
    time_us: NDArray[np.int64], number: NDArray[Any], simulated: NDArray[np.bool_], *, whole: bool
) -> SeriesReadings:
    return SeriesReadings(
        time_us,
        number if whole else _NO_WHOLE,
        _NO_REAL if whole else number,
        simulated,
        np.zeros(len(time_us), np.bool_),
    )


def _dropped(
    connection: psycopg.Connection[Any], wanted: Sequence[Wanted]
) -> list[tuple[dt.datetime, dt.datetime]]:
    if not wanted:
        return []
    beyond = dt.timedelta(microseconds=1)
    return dropped_spans(
        connection, min(w.since for w in wanted), max(w.until for w in wanted) + beyond
    )
