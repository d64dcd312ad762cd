"""Load readings of one series into arrays, through COPY in binary rows of one width."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

__all__ = ["SeriesReadings", "instant", "load_readings", "microseconds"]

_HEADER_BYTES: Final = 19
_TRAILER: Final = b"\xff\xff"
_POSTGRES_EPOCH_US: Final = 946_684_800_000_000  # 2000-01-01T00:00Z
_ROW: Final = np.dtype(
    [("n", ">i2"), ("l0", ">i4"), ("ts", ">i8"), ("l1", ">i4"), ("whole", ">i8"),
     ("l2", ">i4"), ("real", ">f8"), ("l3", ">i4"), ("late", ">i2"), ("l4", ">i4"),
     ("batch", ">i8")]
)  # fmt: skip
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
    """Return the good readings in [since, until] that no retraction took out."""
    rows = _copy(
        connection,
        "COPY (SELECT ts, coalesce(raw_int, 0), coalesce(raw_real, 0), late_ms, batch"
        " FROM reading WHERE series_id = %s AND ts >= %s AND ts <= %s AND quality & 255 = 0"
        " ORDER BY ts, batch) TO STDOUT (FORMAT binary)",
        (series_id, since, until),
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
    rows, batch = rows[kept], batch[kept]
    time_us = rows["ts"].astype(np.int64) + _POSTGRES_EPOCH_US
    return SeriesReadings(
        time_us + rows["late"].astype(np.int64) * 1000,
        rows["whole"].astype(np.int64),
        rows["real"].astype(np.float64),
        batch,
    )


def _copy(
    connection: psycopg.Connection[Any], query: str, parameters: tuple[object, ...]
) -> NDArray[np.void]:
    with connection.cursor() as cursor, cursor.copy(query, parameters) as copy:
        body = b"".join(bytes(block) for block in copy)
    return np.frombuffer(body[_HEADER_BYTES : len(body) - len(_TRAILER)], _ROW)


def microseconds(at: dt.datetime) -> int:
    """Return an instant as µs since 1970, exactly."""
    return (at - _UNIX) // dt.timedelta(microseconds=1)


def instant(us: int) -> dt.datetime:
    """Return µs since 1970 as an instant, exactly."""
    return _UNIX + dt.timedelta(microseconds=us)
