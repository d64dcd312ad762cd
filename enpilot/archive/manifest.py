"""What the archive holds and what was dropped, as the database knows it.

The manifest decides: a file that is not in it counts for nothing, a listed one must be there.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row

__all__ = ["ArchiveFile", "Span", "archive_files", "dropped_spans", "only_one"]

Span = tuple[dt.datetime, dt.datetime]


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A row of ``archive_file``; see migration 0007 for the columns."""

    archive_file_id: int
    site_id: int
    site: str
    enterprise: str | None
    month: dt.date
    supplement: bool
    path: str
    rows: int
    size_bytes: int
    sha256: bytes
    content_sha256: bytes
    first_ts: dt.datetime
    last_ts: dt.datetime
    first_commit_no: int | None
    last_commit_no: int | None
    archived_at: dt.datetime
    verified_at: dt.datetime | None
    dropped_at: dt.datetime | None


def archive_files(
    connection: psycopg.Connection[Any],
    *,
    site_id: int | None = None,
    month: dt.date | None = None,
    span: Span | None = None,
) -> list[ArchiveFile]:
    """Return listed files, by month and site, the first of a month before its supplements.

    Parameters
    ----------
    connection
        As the owner of the schema.
    site_id, month
        Only those of a site, of a month.
    span
        Only those with rows in [from, to).
    """
    since, until = span or (None, None)
    return (
        connection.cursor(row_factory=class_row(ArchiveFile))
        .execute(
            "SELECT archive_file_id, site_id, s.code AS site, e.code AS enterprise, month,"
            " supplement, path, rows, bytes AS size_bytes, sha256, content_sha256, first_ts,"
            " last_ts, first_commit_no, last_commit_no, archived_at, verified_at, dropped_at"
            " FROM archive_file JOIN site s USING (site_id) LEFT JOIN enterprise e"
            " USING (enterprise_id) WHERE (%(site)s::int IS NULL OR site_id = %(site)s)"
            " AND (%(month)s::date IS NULL OR month = %(month)s)"
            " AND (%(since)s::timestamptz IS NULL"
            "  OR (first_ts < %(until)s AND last_ts >= %(since)s))"
            " ORDER BY month, s.code, archive_file_id",
            {"site": site_id, "month": month, "since": since, "until": until},
        )
        .fetchall()
    )


def dropped_spans(
    connection: psycopg.Connection[Any],
    since: dt.datetime,
    until: dt.datetime,
    *,
    begun_after: dt.datetime | None = None,
) -> list[Span]:
    """Return the spans within [since, until) whose readings are, or may be, in files only.

    With ``begun_after`` only those that took away what was there at that instant.
    """
    return connection.execute(
        "SELECT from_ts, to_ts FROM dropped_span WHERE from_ts < %s AND to_ts > %s"
        " AND begun_at > coalesce(%s, '-infinity'::timestamptz) ORDER BY from_ts",
        (until, since, begun_after),
    ).fetchall()


def only_one(connection: psycopg.Connection[Any]) -> bool:
    """Take the lock of those who write or drop; false if another process has it.

    It is given back when the connection ends.
    """
    row = connection.execute(
        "SELECT pg_try_advisory_lock(hashtextextended('enpilot.archive', 0))"
    ).fetchone()
    return row == (True,)
