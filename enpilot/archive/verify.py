"""Read a file back and compare it with the database, row by row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from enpilot.archive.errors import ArchiveMismatchError
from enpilot.archive.manifest import ArchiveFile, Span, dropped_spans
from enpilot.archive.parquet_file import file_sha256, read_groups
from enpilot.archive.rows import Rows, contained, instant, microseconds, series_rows

__all__ = ["Verified", "by_series", "outside", "verify_file"]


@dataclass(frozen=True, slots=True)
class Verified:
    """What was compared.

    Attributes
    ----------
    rows
        Rows of the file.
    compared
        Those of them that the database still holds; the others are in spans that were dropped.
    """

    rows: int
    compared: int


def verify_file(connection: psycopg.Connection[Any], root: Path, file: ArchiveFile) -> Verified:
    """Read a file back; note in the manifest that it is what it should be.

    Checked are the hash of its bytes, the hash of its rows, their number, and that each row is in
    ``reading`` with the same bits, unless its span was dropped.

    Raises
    ------
    ArchiveMismatchError
        If anything differs; the message says what and, for a row, which.
    ArchiveUnavailableError
        If the file cannot be read.
    """
    path = root / file.path
    if file_sha256(path) != file.sha256:
        raise ArchiveMismatchError(
            f"{path}: other bytes than were archived; put a copy back (sha256 {file.sha256.hex()})"
        )
    content, rows, compared = hashlib.sha256(), 0, 0
    gone = dropped_spans(
        connection, file.first_ts, instant(microseconds(file.last_ts) + 1),
        begun_after=file.archived_at,
    )  # fmt: skip
    for series in by_series(path):
        content.update(series.tobytes())
        rows += len(series)
        still = outside(series, gone)
        compared += len(still)
        _compare(connection, path, still)
    if content.digest() != file.content_sha256 or rows != file.rows:
        raise ArchiveMismatchError(
            f"{path}: {rows} rows where the manifest has {file.rows}, or other ones"
        )
    connection.execute(
        "UPDATE archive_file SET verified_at = now() WHERE archive_file_id = %s",
        (file.archive_file_id,),
    )
    return Verified(rows, compared)


def by_series(path: Path) -> Iterator[Rows]:
    """Yield the rows of a file, one series at a time, in order."""
    for group in read_groups(path):
        borders = np.flatnonzero(np.diff(group["series_id"])) + 1
        yield from np.split(group, borders)


def outside(rows: Rows, spans: list[Span]) -> Rows:
    """Return the rows that lie in none of the spans."""
    keep = np.ones(len(rows), np.bool_)
    for since, until in spans:
        keep &= (rows["ts_us"] < microseconds(since)) | (rows["ts_us"] >= microseconds(until))
    return rows[keep]


def _compare(connection: psycopg.Connection[Any], path: Path, rows: Rows) -> None:
    if not len(rows):
        return
    here = series_rows(
        connection, "reading", int(rows["series_id"][0]), instant(int(rows["ts_us"].min())),
        instant(int(rows["ts_us"].max()) + 1),
    )  # fmt: skip
    if np.array_equal(rows, here):
        return
    found = contained(rows, here)  # the database may hold more: what came late
    if not found.all():
        odd = rows[~found][0]
        raise ArchiveMismatchError(
            f"{path}: {np.count_nonzero(~found)} rows of series {odd['series_id']} are not in the"
            f" database as archived, the first at {instant(int(odd['ts_us'])).isoformat()}"
        )
