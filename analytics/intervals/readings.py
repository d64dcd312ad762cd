"""Load readings of one series into arrays, wherever they lie and whatever was said of them.

The general way, a series at a time; `analytics.intervals.many_readings` takes it where a series
needs it, and loads all others together.

D1, D9.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import numpy as np
import psycopg
from numpy.typing import NDArray

from enpilot.archive import (
    ArchiveMismatchError,
    ArchiveUnavailableError,
    overlaps_dropped,
    rows_with_archive,
)
from enpilot.archive.rows import instant, microseconds
from enpilot.database.binary_copy import POSTGRES_EPOCH_US, copy_rows, row_type
from enpilot.wire import QualityFlag

__all__ = [
    "ARCHIVE_AWAY",
    "ArchiveAway",
    "SeriesReadings",
    "instant",
    "load_readings",
    "microseconds",
    "outside",
    "retracted_ranges",
]

# Readings that are needed lie in an archive that cannot be read.
ArchiveAway: TypeAlias = ArchiveMismatchError | ArchiveUnavailableError
ARCHIVE_AWAY: Final = (ArchiveMismatchError, ArchiveUnavailableError)

_ROW: Final = row_type(
    ts="timestamptz", whole="int8", real="float8", late="int2", quality="int2", batch="int8"
)
_CORRECTION: Final = row_type(
    ts="timestamptz", batch="int8", void="bool", whole="int8", real="float8"
)
_ALL_BATCHES: Final = -1


@dataclass(frozen=True, slots=True)
class SeriesReadings:
    """Good readings of one series in order of time, then batch; all of shape (n,).

    ``time_us`` is the read instant, ``ts + late_ms`` [µs since 1970, UTC]. Where ``begins`` is set
    nothing is known of the advance since the reading before. ``whole`` and ``real`` hold register
    numbers of integer and of floating-point types [counts]; a series that has one kind only may
    leave the other empty.
    """

    time_us: NDArray[np.int64]
    whole: NDArray[np.int64]
    real: NDArray[np.float64]
    simulated: NDArray[np.bool_]
    begins: NDArray[np.bool_]

    def take(self, index: NDArray[np.intp] | slice) -> SeriesReadings:
        """Return the readings of ``index``."""
        return SeriesReadings(
            self.time_us[index],
            self.whole[index] if len(self.whole) else self.whole,
            self.real[index] if len(self.real) else self.real,
            self.simulated[index],
            self.begins[index],
        )

    def __len__(self) -> int:
        return len(self.time_us)


def load_readings(
    connection: psycopg.Connection[Any], series_id: int, since: dt.datetime, until: dt.datetime
) -> SeriesReadings:
    """Return the good readings in [since, until] that count, with what corrections made of them.

    Parameters
    ----------
    connection
        As a role that may read ``reading``.
    series_id
        The series.
    since, until
        Both instants included, by the scheduled time ``ts``.

    Returns
    -------
    SeriesReadings

    Raises
    ------
    enpilot.archive.ArchiveUnavailableError
        If the archive is needed and cannot be read: half of the readings would make a wrong figure.
    """
    rows = _stored(connection, series_id, since, until)
    batch = rows["batch"].astype(np.int64)
    kept = outside(retracted_ranges(connection), batch)
    ts = rows["ts"].astype(np.int64)
    whole, real = rows["whole"].astype(np.int64), rows["real"].astype(np.float64)
    kept &= _corrected(connection, series_id, since, until, ts, batch, whole, real)
    quality = rows["quality"].astype(np.int64)
    readings = SeriesReadings(
        ts + POSTGRES_EPOCH_US + rows["late"].astype(np.int64) * 1000,
        whole,
        real,
        _simulated(connection, batch),
        (quality & QualityFlag.BEGINS) != 0,
    ).take(np.flatnonzero(kept))
    return _in_segments(readings, quality[kept], batch[kept])


def retracted_ranges(connection: psycopg.Connection[Any]) -> NDArray[np.int64]:
    """Return the numbers of batches that count no more, first and last, in order; shape (n, 2).

    Parameters
    ----------
    connection
        As a role that may read ``retracted_batch``.

    Returns
    -------
    ndarray of int64, shape (n, 2)
        First and last number of each range; both columns rise.
    """
    found = connection.execute(
        "SELECT low, high FROM (SELECT from_batch AS low, to_batch AS high,"
        " max(to_batch) OVER (ORDER BY from_batch ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
        " AS reached FROM retracted_batch) r WHERE reached IS NULL OR high > reached ORDER BY low"
    ).fetchall()
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def outside(ranges: NDArray[np.int64], batch: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say of each batch whether no range holds it.

    Parameters
    ----------
    ranges
        As `retracted_ranges` gives them: both columns rise.
    batch
        Shape (n,).

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    if not len(ranges):
        return np.ones(len(batch), np.bool_)
    # The first range that ends at the batch or later holds it, or none does.
    place = np.searchsorted(ranges[:, 1], batch)
    inside: NDArray[np.bool_] = (place < len(ranges)) & (
        ranges[np.minimum(place, len(ranges) - 1), 0] <= batch
    )
    return ~inside


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


def _corrected(
    connection: psycopg.Connection[Any],
    series_id: int,
    since: dt.datetime,
    until: dt.datetime,
    ts: NDArray[np.int64],
    batch: NDArray[np.int64],
    whole: NDArray[np.int64],
    real: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Replace numbers in place; return which readings no correction voids."""
    kept = np.ones(len(ts), np.bool_)
    for low, high in connection.execute(
        "SELECT from_ts, to_ts FROM reading_void WHERE series_id = %s"
        " AND superseded_commit_no IS NULL AND from_ts <= %s AND to_ts > %s",
        (series_id, until, since),
    ):
        kept &= (ts < microseconds(low) - POSTGRES_EPOCH_US) | (
            ts >= microseconds(high) - POSTGRES_EPOCH_US
        )
    corrections = copy_rows(
        connection,
        "SELECT ts, coalesce(batch, -1), kind = 'void', coalesce(raw_int, 0),"
        " coalesce(raw_real, 0) FROM reading_correction WHERE series_id = %s AND ts >= %s"
        " AND ts <= %s AND superseded_commit_no IS NULL ORDER BY commit_no, reading_correction_id",
        (series_id, since, until),
        _CORRECTION,
    )
    if not len(corrections) or not len(ts):
        return kept
    of, void = corrections["batch"].astype(np.int64), corrections["void"]
    at = corrections["ts"].astype(np.int64)
    first = np.searchsorted(ts, at, "left")
    for place in range(int((np.searchsorted(ts, at, "right") - first).max(initial=0))):
        # Several readings may share an instant: look at the first of each, then at the second, ...
        row = np.minimum(first + place, len(ts) - 1)
        hit = (ts[row] == at) & ((of == _ALL_BATCHES) | (of == batch[row]))
        kept[row[hit & void]] = False
        whole[row[hit & ~void]] = corrections["whole"][hit & ~void]
        real[row[hit & ~void]] = corrections["real"][hit & ~void]
    return kept


def _in_segments(
    readings: SeriesReadings, quality: NDArray[np.int64], batch: NDArray[np.int64]
) -> SeriesReadings:
    """Break where a register made of amounts and one that was read follow each other.

    At one instant the end of a run of amounts comes first, the beginning of the next last.
    """
    derived = (quality & QualityFlag.DERIVED) != 0
    if not derived.any():
        return readings
    rank = np.where(derived, np.where(readings.begins, 2, 0), 1)
    order = np.lexsort((batch, rank, readings.time_us))
    derived, readings = derived[order], readings.take(order)
    changes = np.append(False, derived[1:] != derived[:-1])
    return replace(readings, begins=readings.begins | changes)


def _stored(
    connection: psycopg.Connection[Any], series_id: int, since: dt.datetime, until: dt.datetime
) -> NDArray[np.void]:
    """Return the good rows of [since, until], from the archive too where some were dropped (D9)."""
    rows = copy_rows(
        connection,
        "SELECT ts, coalesce(raw_int, 0), coalesce(raw_real, 0), late_ms, quality, batch"
        " FROM reading WHERE series_id = %s AND ts >= %s AND ts <= %s AND quality & 255 = 0"
        " ORDER BY ts, batch",
        (series_id, since, until),
        _ROW,
    )
    beyond = until + dt.timedelta(microseconds=1)
    # Asked last: what was dropped while the rows were read is then known to be.
    if not overlaps_dropped(connection, since, beyond):
        return rows
    found = rows_with_archive(connection, series_id, since, beyond)
    found = found[found["quality"].astype(np.int32) & 255 == 0]
    rows = np.empty(len(found), _ROW)
    rows["ts"] = found["ts_us"] - POSTGRES_EPOCH_US
    for name, column in (("whole", "raw_int"), ("real", "raw_real"), ("late", "late_ms"),
                         ("quality", "quality"), ("batch", "batch")):  # fmt: skip
        rows[name] = found[column]
    return rows
