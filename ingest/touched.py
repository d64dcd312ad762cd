"""What rows touch besides ``reading``: the latest value and the dirty span of each series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from enpilot.database.binary_copy import POSTGRES_EPOCH_US
from ingest.arrays import float8s, int2s, int4s, int8s
from ingest.rows import Readings, concatenate, copy_stream

__all__ = ["Touched", "join_touched", "mark_touched", "move_latest", "touched_by"]

_DIRTY_ROW: Final = np.dtype(
    [("n", ">i2"), ("l0", ">i4"), ("series", ">i4"), ("l1", ">i4"), ("from", ">i8"),
     ("l2", ">i4"), ("to", ">i8"), ("l3", ">i4"), ("commit", ">i8")]
)  # fmt: skip
_COPY_DIRTY: Final = "COPY dirty (series_id, from_ts, to_ts, commit_no) FROM STDIN (FORMAT binary)"


@dataclass(frozen=True, slots=True)
class Touched:
    """The series of rows, in order, shape (S,).

    ``first_us`` and ``last_us`` are the instants of their first and last row [µs since 1970],
    ``latest`` are their last rows.
    """

    series_id: NDArray[np.int32]
    first_us: NDArray[np.int64]
    last_us: NDArray[np.int64]
    latest: Readings


def touched_by(rows: Readings) -> Touched:
    """Return what rows touch, which are sorted by series and time."""
    ends = np.flatnonzero(np.diff(rows.series_id, append=np.int32(-1)))
    begins = np.concatenate(([0], ends[:-1] + 1)).astype(np.intp)[: len(ends)]
    latest = rows.take(ends)
    return Touched(latest.series_id, rows.ts_us[begins], latest.ts_us, latest)


def join_touched(parts: list[Touched]) -> Touched:
    """Return what several sets of rows touch together."""
    if len(parts) == 1:
        return parts[0]
    latest = concatenate([part.latest for part in parts])
    order = np.lexsort((latest.ts_us, latest.series_id))
    series = latest.series_id[order]
    ends = np.flatnonzero(np.diff(series, append=np.int32(-1)))
    begins = np.concatenate(([0], ends[:-1] + 1)).astype(np.intp)[: len(ends)]
    first_us = np.concatenate([part.first_us for part in parts])[order]
    latest = latest.take(order[ends])
    return Touched(latest.series_id, np.minimum.reduceat(first_us, begins), latest.ts_us, latest)


def move_latest(connection: psycopg.Connection[Any], touched: Touched) -> None:
    """Move ``latest`` on, in the order of the series so that workers wait and do not deadlock."""
    last = touched.latest
    connection.execute(
        "INSERT INTO latest (series_id, ts, raw_int, raw_real, quality, batch)"
        " SELECT s, timestamptz 'epoch' + t * interval '1 microsecond',"
        " CASE k WHEN 0 THEN w END, CASE k WHEN 1 THEN r END, q, b"
        " FROM unnest(%s::int[], %s::bigint[], %s::smallint[], %s::bigint[], %s::float8[],"
        " %s::smallint[], %s::bigint[]) AS u(s, t, k, w, r, q, b) ORDER BY s"
        " ON CONFLICT (series_id) DO UPDATE SET ts = excluded.ts, raw_int = excluded.raw_int,"
        " raw_real = excluded.raw_real, quality = excluded.quality, batch = excluded.batch"
        " WHERE excluded.ts > latest.ts",
        (
            int4s(last.series_id), int8s(last.ts_us), int2s(last.kind), int8s(last.whole),
            float8s(last.real), int2s(last.quality), int8s(last.batch),
        ),
    )  # fmt: skip


def mark_touched(connection: psycopg.Connection[Any], touched: Touched, commit_no: int) -> None:
    """Write one dirty span a series (D11)."""
    packed = np.empty(len(touched.series_id), _DIRTY_ROW)
    packed["n"] = 4
    packed["l0"], packed["series"] = 4, touched.series_id
    packed["l1"], packed["from"] = 8, touched.first_us - POSTGRES_EPOCH_US
    packed["l2"], packed["to"] = 8, touched.last_us - POSTGRES_EPOCH_US
    packed["l3"], packed["commit"] = 8, commit_no
    with connection.cursor() as cursor, cursor.copy(_COPY_DIRTY) as copy:
        copy.write(copy_stream([packed.tobytes()]))
