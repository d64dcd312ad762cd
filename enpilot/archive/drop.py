"""Drop what is archived, verified and old enough: whole chunks, or bounded batches (D9, F19)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import psycopg
from psycopg.errors import LockNotAvailable

from enpilot.archive.errors import ArchiveError, RetentionError
from enpilot.archive.kept import base_years, day_boundaries_us, kept_rows
from enpilot.archive.manifest import ArchiveFile, Span, archive_files
from enpilot.archive.months import Month, series_of
from enpilot.archive.parquet_file import read_series
from enpilot.archive.rows import (
    KIND_INT,
    KIND_REAL,
    Rows,
    contained,
    instant,
    microseconds,
    series_rows,
    union,
)
from enpilot.database import read_capabilities
from enpilot.database.chunks import list_chunks

__all__ = ["LEAST_MONTHS", "Dropped", "drop_archived"]

LEAST_MONTHS: Final = 25
# One DELETE on plain PostgreSQL; short enough to let others through.
_BATCH_ROWS: Final = 20_000
# Neighbours of a boundary near the end of a span lie outside it.
_AROUND: Final = dt.timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Dropped:
    """What happened to one chunk, or one month on plain PostgreSQL.

    Attributes
    ----------
    span
        Its time.
    rows, kept
        Readings that went, and those of them that stay in ``kept_reading``.
    refusal
        Why nothing was dropped; None if it was.
    """

    span: Span
    rows: int
    kept: int
    refusal: str | None = None


def drop_archived(
    connection: psycopg.Connection[Any], root: Path, keep_months: int = LEAST_MONTHS
) -> Iterator[Dropped]:
    """Drop old readings whose archive was read back, oldest first.

    Stays: the last ``keep_months`` months, base periods of targets until five years after their
    end, anything not in a verified file, and the registers around each boundary of a local day.

    Parameters
    ----------
    connection
        As the owner of the schema, in autocommit mode.
    root
        The archive's folder.
    keep_months
        Whole months that stay on line, besides the running one.

    Yields
    ------
    Dropped
        One for each chunk or month that is old enough.

    Raises
    ------
    RetentionError
        For fewer than 25 months.
    ArchiveError
        If files and database disagree; nothing of that span was dropped.
    """
    if keep_months < LEAST_MONTHS:
        raise RetentionError(
            f"{keep_months} months on line are refused, the least are {LEAST_MONTHS}: original"
            " records are to be kept for two years (统计法实施条例), and the month now judged is"
            " compared with its own two years ago"
        )
    row = connection.execute("SELECT now()").fetchone()
    assert row is not None  # now() has one row
    edge = Month.of(row[0]).earlier(keep_months).span[0]
    chunked = read_capabilities(connection).timescaledb is not None
    for span in _chunks(connection, edge) if chunked else _months(connection, edge):
        yield _drop(connection, root, span, chunked=chunked)


def _chunks(connection: psycopg.Connection[Any], edge: dt.datetime) -> list[Span]:
    return [
        (chunk.since, chunk.until)
        for chunk in list_chunks(connection, "enpilot", "reading")
        if chunk.until <= edge
    ]


def _months(connection: psycopg.Connection[Any], edge: dt.datetime) -> Iterator[Span]:
    """Yield months that have rows; unfinished ones first of all have some left."""
    row = connection.execute(
        "SELECT min(first.ts) FROM series s CROSS JOIN LATERAL (SELECT ts FROM reading r"
        " WHERE r.series_id = s.series_id ORDER BY ts LIMIT 1) first"
    ).fetchone()
    unfinished = connection.execute(
        "SELECT min(from_ts) FROM dropped_span WHERE finished_at IS NULL"
    ).fetchone()
    assert row is not None  # an aggregate has one row
    assert unfinished is not None  # likewise
    begins = [at for at in (row[0], unfinished[0]) if at is not None]
    if not begins:
        return
    month = Month.of(min(begins))
    while month.span[1] <= edge:
        if _count(connection, month.span) or _is_unfinished(connection, month.span):
            yield month.span
        month = month.earlier(-1)


def _is_unfinished(connection: psycopg.Connection[Any], span: Span) -> bool:
    row = connection.execute(
        "SELECT 1 FROM dropped_span WHERE from_ts = %s AND to_ts = %s AND finished_at IS NULL",
        span,
    ).fetchone()
    return row is not None


def _drop(connection: psycopg.Connection[Any], root: Path, span: Span, *, chunked: bool) -> Dropped:
    for since, until in base_years(connection):
        if since < span[1] and until > span[0]:
            return _refused(
                span, f"a target's base period {since:%Y-%m-%d} to {until:%Y-%m-%d} is judged by it"
            )
    files = archive_files(connection, span=(span[0] - _AROUND, span[1] + _AROUND))
    unverified = [
        file.path
        for file in files
        if file.verified_at is None and file.first_ts < span[1] and file.last_ts >= span[0]
    ]
    if unverified:
        return _refused(span, f"{unverified[0]} was not read back yet: --verify")
    archived = _Archived(connection, root, files)
    count, kept = archived.check(span)
    if count != _count(connection, span):
        return _refused(span, "the archive does not hold all of its readings yet")
    if chunked:
        _drop_chunk(connection, span, count, kept)
    else:
        _delete(connection, span, count, kept, archived)
    # A file that is older than a span lost its rows there with it; a later one holds late rows.
    connection.execute(
        "UPDATE archive_file f SET dropped_at = now() WHERE dropped_at IS NULL"
        " AND verified_at IS NOT NULL AND tstzrange(first_ts, last_ts, '[]') <@ ("
        " SELECT range_agg(tstzrange(from_ts, to_ts)) FROM dropped_span d"
        " WHERE d.finished_at IS NOT NULL AND d.begun_at > f.archived_at)"
    )
    return Dropped(span, count, sum(map(len, kept)))


def _refused(span: Span, reason: str) -> Dropped:
    return Dropped(span, 0, 0, reason)


@dataclass(slots=True)
class _Archived:
    """The files over a span, next to what the database holds."""

    connection: psycopg.Connection[Any]
    root: Path
    files: list[ArchiveFile]

    def check(self, span: Span) -> tuple[int, list[Rows]]:
        """Compare each row that would go with the files once more, and choose what is kept.

        Returns
        -------
        count, kept
            How many rows of the database are in files; what stays of them, by series.
        """
        retracted = self.connection.execute(
            "SELECT from_batch, to_batch FROM retracted_batch"
        ).fetchall()
        count, kept = 0, []
        for site_id in sorted({file.site_id for file in self.files}):
            around = (span[0] - _AROUND, span[1] + _AROUND)
            boundaries = day_boundaries_us(self.connection, site_id, around)
            for series_id in series_of(self.connection, site_id):
                held = self.rows(site_id, series_id, around)
                here = series_rows(self.connection, "reading", series_id, *span)
                count += int(contained(here, held).sum())
                stay = _within(kept_rows(held, boundaries, retracted), span)
                if len(stay):
                    kept.append(stay)
        return count, kept

    def rows(self, site_id: int, series_id: int, span: Span) -> Rows:
        """Return what the files hold of a series in a span."""
        return union(
            [
                read_series(self.root / file.path, series_id, *map(microseconds, span))
                for file in self.files
                if file.site_id == site_id
            ]
        )


def _within(rows: Rows, span: Span) -> Rows:
    low, high = map(microseconds, span)
    return rows[(rows["ts_us"] >= low) & (rows["ts_us"] < high)]


def _count(connection: psycopg.Connection[Any], span: Span) -> int:
    row = connection.execute(
        "SELECT count(*) FROM reading WHERE ts >= %s AND ts < %s", span
    ).fetchone()
    assert row is not None  # an aggregate has one row
    return int(row[0])


def _drop_chunk(
    connection: psycopg.Connection[Any], span: Span, count: int, kept: list[Rows]
) -> None:
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '30s'")
        # Writers wait from here on; what came since the comparison is counted and stays.
        try:
            connection.execute("LOCK TABLE reading IN SHARE ROW EXCLUSIVE MODE")
        except LockNotAvailable as error:
            raise ArchiveError(
                "readings are written without a pause of 30 s; nothing more was dropped, try again"
            ) from error
        if _count(connection, span) != count:
            raise ArchiveError(
                f"readings came for {span[0]:%Y-%m-%d} to {span[1]:%Y-%m-%d} while it was checked;"
                " archive the month again, then drop"
            )
        _keep(connection, kept)
        connection.execute(
            "INSERT INTO dropped_span (from_ts, to_ts, rows, finished_at)"
            " VALUES (%s, %s, %s, now())",
            (*span, count),
        )
        gone = connection.execute(
            "SELECT drop_chunks('reading', older_than => %s::timestamptz,"
            " newer_than => %s::timestamptz)",
            (span[1], span[0]),
        ).fetchall()
        if len(gone) != 1:
            raise ArchiveError(f"{len(gone)} chunks where one was to be dropped; nothing was")


def _delete(
    connection: psycopg.Connection[Any],
    span: Span,
    count: int,
    kept: list[Rows],
    archived: _Archived,
) -> None:
    """Delete the rows that are in files; who reads meanwhile reads the archive too."""
    if not _is_unfinished(connection, span):
        connection.execute(
            "INSERT INTO dropped_span (from_ts, to_ts, rows) VALUES (%s, %s, %s)", (*span, count)
        )
    # What stays is there before the first row goes; a stop in the middle leaves it twice, and
    # reading takes each row once.
    with connection.transaction():
        _keep(connection, kept)
    for site_id in sorted({file.site_id for file in archived.files}):
        for series_id in series_of(connection, site_id):
            here = series_rows(connection, "reading", series_id, *span)
            here = here[contained(here, archived.rows(site_id, series_id, span))]
            for start in range(0, len(here), _BATCH_ROWS):
                part = here[start : start + _BATCH_ROWS]
                # A batch is written whole in one transaction, so its number names its rows.
                connection.execute(
                    "DELETE FROM reading WHERE series_id = %s AND ts >= %s AND ts <= %s"
                    " AND batch = ANY(%s)",
                    (series_id, instant(int(part["ts_us"][0])), instant(int(part["ts_us"][-1])),
                     np.unique(part["batch"]).tolist()),
                )  # fmt: skip
    connection.execute(
        "UPDATE dropped_span SET finished_at = now() WHERE from_ts = %s AND to_ts = %s"
        " AND finished_at IS NULL",
        span,
    )


def _keep(connection: psycopg.Connection[Any], parts: list[Rows]) -> None:
    """Insert rows into ``kept_reading`` that are not there yet."""
    for rows in parts:
        series_id = int(rows["series_id"][0])
        there = series_rows(
            connection, "kept_reading", series_id, instant(int(rows["ts_us"].min())),
            instant(int(rows["ts_us"].max()) + 1),
        )  # fmt: skip
        new = rows[~contained(rows, there)]
        with (
            connection.cursor() as cursor,
            cursor.copy(
                "COPY kept_reading (ts, series_id, raw_int, raw_real, quality, late_ms, batch)"
                " FROM STDIN"
            ) as copy,
        ):
            for row in new:
                copy.write_row(
                    (
                        instant(int(row["ts_us"])), series_id,
                        int(row["raw_int"]) if row["kind"] == KIND_INT else None,
                        float(row["raw_real"]) if row["kind"] == KIND_REAL else None,
                        int(row["quality"]), int(row["late_ms"]), int(row["batch"]),
                    )
                )  # fmt: skip
