"""Load readings of one series into arrays, wherever they lie."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from enpilot.archive import overlaps_dropped, rows_with_archive
from enpilot.archive.rows import instant, microseconds
from enpilot.database.binary_copy import POSTGRES_EPOCH_US, copy_rows, row_type

__all__ = ["SeriesReadings", "instant", "load_readings", "microseconds"]

_ROW: Final = row_type(ts="timestamptz", whole="int8", real="float8", late="int2", batch="int8")


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
    """Return the good readings in [since, until] that no retraction took out.

    Raises
    ------
    enpilot.archive.ArchiveUnavailableError
        If the archive is needed and cannot be read: half of the readings would make a wrong figure.
    """
    rows = _stored(connection, series_id, since, until)
    batch = rows["batch"].astype(np.int64)
    kept = np.ones(len(rows), np.bool_)
    for low, high in connection.execute("SELECT from_batch, to_batch FROM retracted_batch"):
        kept &= (batch < low) | (batch > high)
    rows, batch = rows[kept], batch[kept]
    time_us = rows["ts"].astype(np.int64) + POSTGRES_EPOCH_US
    return SeriesReadings(
        time_us + rows["late"].astype(np.int64) * 1000,
        rows["whole"].astype(np.int64),
        rows["real"].astype(np.float64),
        batch,
    )


def _stored(
    connection: psycopg.Connection[Any], series_id: int, since: dt.datetime, until: dt.datetime
) -> NDArray[np.void]:
    """Return the good rows of [since, until], from the archive too where some were dropped (D9)."""
    rows = copy_rows(
        connection,
        "SELECT ts, coalesce(raw_int, 0), coalesce(raw_real, 0), late_ms, batch"
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
                         ("batch", "batch")):  # fmt: skip
        rows[name] = found[column]
    return rows
