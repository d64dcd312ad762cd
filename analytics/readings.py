"""Load readings of one series into arrays, through COPY in binary rows of one width."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from analytics.binary_copy import POSTGRES_EPOCH_US, copy_rows, row_type

__all__ = ["SeriesReadings", "instant", "load_readings", "microseconds"]

_ROW: Final = row_type(ts="timestamptz", whole="int8", real="float8", late="int2", batch="int8")
_UNIX: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class SeriesReadings:
    """Good readings of one series in order of time, then batch; all of shape (n,).

    ``time_us`` is the read instant, ``ts + late_ms`` [µs since 1970, UTC].
    """

    time_us: NDArray[np.int64]
    whole: NDArray[np.int64]
    real: NDArray[np.float64]
    batch: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.time_us)


def load_readings(
    connection: psycopg.Connection[Any], series_id: int, since: dt.datetime, until: dt.datetime
) -> SeriesReadings:
    """Return the good readings in [since, until] that nobody retracted or voided."""
    rows = copy_rows(
        connection,
        "SELECT ts, coalesce(raw_int, 0), coalesce(raw_real, 0), late_ms, batch"
        " FROM reading WHERE series_id = %s AND ts >= %s AND ts <= %s AND quality & 255 = 0"
        " ORDER BY ts, batch",
        (series_id, since, until),
        _ROW,
    )
    batch = rows["batch"].astype(np.int64)
    kept = np.ones(len(rows), np.bool_)
    for stream_no, low, high in connection.execute(
        "SELECT stream_no, from_seq, to_seq FROM retraction WHERE superseded_commit_no IS NULL"
    ):
        kept &= (
            ~(batch >> 32 == stream_no)
            | ((batch & 0xFFFFFFFF) < low)
            | ((batch & 0xFFFFFFFF) > high)
        )
    ts_us = rows["ts"].astype(np.int64) + POSTGRES_EPOCH_US
    for low, high in connection.execute(
        "SELECT from_ts, to_ts FROM reading_void WHERE series_id = %s"
        " AND superseded_commit_no IS NULL AND from_ts <= %s AND to_ts > %s",
        (series_id, until, since),
    ):
        kept &= (ts_us < microseconds(low)) | (ts_us >= microseconds(high))
    rows, batch = rows[kept], batch[kept]
    time_us = rows["ts"].astype(np.int64) + POSTGRES_EPOCH_US
    return SeriesReadings(
        time_us + rows["late"].astype(np.int64) * 1000,
        rows["whole"].astype(np.int64),
        rows["real"].astype(np.float64),
        batch,
    )


def microseconds(at: dt.datetime) -> int:
    """Return an instant as µs since 1970, exactly."""
    return (at - _UNIX) // dt.timedelta(microseconds=1)


def instant(us: int) -> dt.datetime:
    """Return µs since 1970 as an instant, exactly."""
    return _UNIX + dt.timedelta(microseconds=us)
