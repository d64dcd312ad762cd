"""Rows and arrays between database and numpy in PostgreSQL's binary formats, without a loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

__all__ = [
    "COPY_HEADER",
    "COPY_TRAILER",
    "POSTGRES_EPOCH_US",
    "array_values",
    "copy_rows",
    "new_rows",
    "raw_rows",
    "row_type",
    "write_rows",
]

COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER: Final = b"\xff\xff"
_ARRAY_HEAD_BYTES: Final = 20
POSTGRES_EPOCH_US: Final = 946_684_800_000_000  # 2000-01-01T00:00Z
_WIRE: Final = {
    "timestamptz": ">i8", "int8": ">i8", "int4": ">i4", "int2": ">i2", "float8": ">f8",
    "float4": ">f4", "bool": "?",
}  # fmt: skip


def row_type(**columns: str) -> np.dtype[np.void]:
    """Return the layout of a binary COPY row without NULLs.

    Parameters
    ----------
    **columns
        Name and PostgreSQL type of each column, in order of the query.

    Source: PostgreSQL manual, COPY, "Binary Format": a count, then a length before each field.
    """
    fields: list[tuple[str, str]] = [("fields_", ">i2")]
    for name, kind in columns.items():
        fields += [(f"{name}_length_", ">i4"), (name, _WIRE[kind])]
    return np.dtype(fields)


def new_rows(row: np.dtype[np.void], count: int) -> NDArray[np.void]:
    """Return rows for `write_rows` whose named columns are yet to be filled."""
    rows = np.empty(count, row)
    names = row.names or ()
    rows["fields_"] = len(names) // 2
    for length, column in zip(names[1::2], names[2::2], strict=True):
        rows[length] = row[column].itemsize
    return rows


def write_rows(connection: psycopg.Connection[Any], target: str, rows: NDArray[np.void]) -> None:
    """Append rows to ``target``, "table (column, ...)" in the order of their type."""
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {target} FROM STDIN (FORMAT binary)") as copy,
    ):
        copy.write(COPY_HEADER)
        copy.write(rows.tobytes())
        copy.write(COPY_TRAILER)


def raw_rows(
    connection: psycopg.Connection[Any],
    query: str,
    parameters: Sequence[object] | Mapping[str, object],
) -> Iterator[list[bytes | None]]:
    """Yield the columns of each row as the server sends them in binary, for `array_values`."""
    with connection.cursor(binary=True) as cursor:
        cursor.execute(query, parameters)
        result = cursor.pgresult
        assert result is not None  # a query has an answer
        for row in range(result.ntuples):
            yield [result.get_value(row, column) for column in range(result.nfields)]


def array_values(value: bytes, kind: str) -> NDArray[Any] | None:
    """Return the elements of a one-dimensional array in binary, or None if one of them is NULL.

    Parameters
    ----------
    value
        As the server sent it.
    kind
        PostgreSQL type of the elements, of fixed width.

    Returns
    -------
    ndarray, shape (n,)
        Big-endian, over the given bytes: take a copy in the machine's order before computing.

    Source: ``array_send`` in PostgreSQL: dimensions, whether there are NULLs, element type, then
    length and lower bound, then a length before each element.
    """
    dimensions, has_nulls = np.frombuffer(value, ">i4", 2).tolist()
    if has_nulls:
        return None
    element = np.dtype([("length", ">i4"), ("value", _WIRE[kind])])
    return np.frombuffer(value, element, offset=_ARRAY_HEAD_BYTES if dimensions else 12)["value"]


def copy_rows(
    connection: psycopg.Connection[Any],
    query: str,
    parameters: Sequence[object] | Mapping[str, object],
    row: np.dtype[np.void],
) -> NDArray[np.void]:
    """Return the rows of a query whose columns are never NULL and have the types of ``row``."""
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)", parameters) as copy,
    ):
        body = b"".join(bytes(block) for block in copy)
    return np.frombuffer(body[len(COPY_HEADER) : len(body) - len(COPY_TRAILER)], row)
