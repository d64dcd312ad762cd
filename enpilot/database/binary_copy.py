"""Rows of one fixed width out of the database as one numpy array, through COPY in binary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

__all__ = ["POSTGRES_EPOCH_US", "copy_rows", "row_type"]

_HEADER_BYTES: Final = 19
_TRAILER_BYTES: Final = 2
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
    return np.frombuffer(body[_HEADER_BYTES : len(body) - _TRAILER_BYTES], row)
