"""The imports of an installation, with what became of them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import psycopg

__all__ = ["ImportRun", "list_imports"]


@dataclass(frozen=True, slots=True)
class ImportRun:
    """One import.

    ``state`` is "cut off" while batches are missing: running it again goes on where it stopped.
    """

    stream: UUID
    site: str
    kind: str
    file_name: str
    author: str
    opened_at: dt.datetime
    first: dt.datetime | None
    last: dt.datetime | None
    written: int
    superseding: bool
    state: Literal["complete", "cut off", "retracted"]
    retracted_by: str | None
    reason: str | None


def list_imports(connection: psycopg.Connection[Any], site: str | None = None) -> list[ImportRun]:
    """Return the imports of a site, or of all, the newest first."""
    with connection.transaction():
        rows = connection.execute(
            "SELECT s.stream, t.code, r.kind, r.file_name, s.author, s.opened_at, r.first_ts,"
            " r.last_ts, r.written, r.superseding, x.author, x.reason,"
            " NOT i.complete FROM import_run r JOIN import_state i USING (stream_no)"
            " JOIN stream s USING (stream_no) JOIN site t USING (site_id)"
            " LEFT JOIN LATERAL (SELECT author, reason FROM retraction WHERE stream_no ="
            "  r.stream_no AND superseded_commit_no IS NULL LIMIT 1) x ON true"
            " WHERE %(site)s::text IS NULL OR t.code = %(site)s ORDER BY r.stream_no DESC",
            {"site": site},
        ).fetchall()
    return [
        ImportRun(
            stream, code, kind, file_name, author, opened_at, first, last, written, superseding,
            "retracted" if retracted_by is not None else "cut off" if cut_off else "complete",
            retracted_by, reason,
        )
        for stream, code, kind, file_name, author, opened_at, first, last, written, superseding,
            retracted_by, reason, cut_off in rows
    ]  # fmt: skip
