"""Rows of ``reading`` as arrays that keep every bit, in one order, with one hash."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from enpilot.database.binary_copy import POSTGRES_EPOCH_US, copy_rows, row_type

__all__ = [
    "KIND_INT",
    "KIND_NULL",
    "KIND_REAL",
    "ROW",
    "Rows",
    "contained",
    "in_order",
    "instant",
    "microseconds",
    "no_rows",
    "series_rows",
    "union",
]

KIND_NULL: Final = 0
KIND_INT: Final = 1
KIND_REAL: Final = 2
# What the content hash is taken over: 42 bytes a row, little-endian, in this order.
ROW: Final = np.dtype(
    [("series_id", "<i4"), ("ts_us", "<i8"), ("kind", "<i2"), ("raw_int", "<i8"),
     ("raw_real", "<f8"), ("quality", "<i2"), ("late_ms", "<i2"), ("batch", "<i8")]
)  # fmt: skip
Rows = NDArray[np.void]

_WIRE: Final = row_type(
    ts="timestamptz", series="int4", kind="int2", whole="int8", real="float8", quality="int2",
    late="int2", batch="int8",
)  # fmt: skip
_COLUMNS: Final = {
    "kind": "kind", "raw_int": "whole", "raw_real": "real", "quality": "quality",
    "late_ms": "late", "batch": "batch",
}  # fmt: skip
_UNIX: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def no_rows() -> Rows:
    """Return an empty array of rows."""
    return np.empty(0, ROW)


def series_rows(
    connection: psycopg.Connection[Any],
    relation: str,
    series_id: int,
    since: dt.datetime,
    until: dt.datetime,
) -> Rows:
    """Return the rows of one series in [since, until), of any quality, in order.

    Parameters
    ----------
    connection
        As a role that may read the relation.
    relation
        ``reading`` or ``kept_reading``.
    series_id, since, until
        Which rows.

    Returns
    -------
    ndarray of `ROW`, shape (n,)
        ``ts_us`` in µs since 1970, UTC; ``kind`` says whether ``raw_int``, ``raw_real`` or neither
        is set.
    """
    query = sql.SQL(
        "SELECT ts, series_id, (CASE WHEN raw_int IS NOT NULL THEN 1 WHEN raw_real IS NOT NULL"
        " THEN 2 ELSE 0 END)::smallint, coalesce(raw_int, 0), coalesce(raw_real, 0), quality,"
        " late_ms, batch FROM {} WHERE series_id = %s AND ts >= %s AND ts < %s"
    ).format(sql.Identifier(relation))
    found = copy_rows(connection, query.as_string(connection), (series_id, since, until), _WIRE)
    rows = np.empty(len(found), ROW)
    rows["series_id"] = found["series"]
    rows["ts_us"] = found["ts"].astype(np.int64) + POSTGRES_EPOCH_US
    for name, wire in _COLUMNS.items():
        rows[name] = found[wire]
    return in_order(rows)


def in_order(rows: Rows) -> Rows:
    """Sort by series, time and batch; rows alike in these by all that is left."""
    order = np.lexsort((rows["batch"], rows["ts_us"], rows["series_id"]))
    rows = rows[order]
    if len(rows) > 1 and bool(
        np.any(
            (rows["batch"][1:] == rows["batch"][:-1])
            & (rows["ts_us"][1:] == rows["ts_us"][:-1])
            & (rows["series_id"][1:] == rows["series_id"][:-1])
        )
    ):
        real_bits = np.ascontiguousarray(rows["raw_real"]).view(np.int64)
        order = np.lexsort(
            (rows["late_ms"], rows["quality"], real_bits, rows["raw_int"], rows["kind"],
             rows["batch"], rows["ts_us"], rows["series_id"])
        )  # fmt: skip
        rows = rows[order]
    return rows


def contained(rows: Rows, others: Rows) -> NDArray[np.bool_]:
    """Say for each row whether the same row, in every bit, is among the others."""
    if not len(rows) or not len(others):
        return np.zeros(len(rows), np.bool_)
    return np.isin(_bytes(rows), _bytes(others))


def union(parts: list[Rows]) -> Rows:
    """Join rows and leave out those that are there already, in every bit."""
    joined = np.concatenate(parts) if parts else no_rows()
    if len(joined) < 2:
        return joined
    _, index = np.unique(_bytes(joined), return_index=True)
    return in_order(joined[index])


def _bytes(rows: Rows) -> NDArray[np.bytes_]:
    # Same length, so that zeros at the end, which numpy leaves out, make no difference.
    return np.ascontiguousarray(rows).view(f"S{ROW.itemsize}")


def microseconds(at: dt.datetime) -> int:
    """Return an instant as µs since 1970, exactly."""
    return (at - _UNIX) // dt.timedelta(microseconds=1)


def instant(us: int) -> dt.datetime:
    """Return µs since 1970 as an instant, exactly."""
    return _UNIX + dt.timedelta(microseconds=us)
