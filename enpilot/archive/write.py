"""Write a finished month: one snapshot, one file an owner, the manifest in the same transaction."""

from __future__ import annotations

import datetime as dt
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from enpilot.archive.description import describe
from enpilot.archive.errors import ArchiveUnavailableError
from enpilot.archive.location import month_folder
from enpilot.archive.manifest import ArchiveFile, Span, archive_files, dropped_spans
from enpilot.archive.months import Month, has_rows, owners, series_of, why_unfinished
from enpilot.archive.parquet_file import FileWriter, file_sha256, read_series
from enpilot.archive.rows import Rows, contained, instant, microseconds, series_rows
from enpilot.database import data_version
from enpilot.errors import ConfigurationError

__all__ = ["archive_month"]


def archive_month(
    connection: psycopg.Connection[Any],
    root: Path,
    site_id: int,
    month: Month,
    quiet: dt.timedelta,
) -> list[ArchiveFile]:
    """Write what the archive does not hold yet of a site's month.

    The first time the whole month, one file for each owner; later what came late, as supplements.

    Parameters
    ----------
    connection
        As the owner of the schema, in autocommit mode.
    root
        The archive's folder.
    site_id, month
        What to write.
    quiet
        See `why_unfinished`.

    Returns
    -------
    list of ArchiveFile
        What was written; empty if the archive holds it all.

    Raises
    ------
    ConfigurationError
        If the month is not finished.
    ArchiveUnavailableError
        If the folder cannot be written.
    """
    reason = why_unfinished(connection, site_id, month, quiet)
    if reason is not None:
        raise ConfigurationError(f"{month} cannot be archived: {reason}")
    held = archive_files(connection, site_id=site_id, month=month.first)
    if held and _holds_all(connection, site_id, month, held):
        return []
    version = data_version(connection)
    written = []
    with connection.transaction():
        # One snapshot for all series: what a batch brought is in a file whole, or not at all.
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for owner, span in owners(connection, site_id, month.span):
            new = _write(connection, root, site_id, month, owner, span, held, version)
            if new is not None:
                written.append(new)
    return [
        file
        for file in archive_files(connection, site_id=site_id, month=month.first)
        if file.archive_file_id in written
    ]


def _holds_all(
    connection: psycopg.Connection[Any], site_id: int, month: Month, held: list[ArchiveFile]
) -> bool:
    """Say whether nothing came late; rows are only ever added, so their number tells."""
    if not has_rows(connection, site_id, month.span):
        return True
    if dropped_spans(connection, *month.span):
        return False  # part of the month is gone: only comparing row by row can tell
    row = connection.execute(
        "SELECT count(*) FROM reading WHERE series_id = ANY(%s) AND ts >= %s AND ts < %s",
        (series_of(connection, site_id), *month.span),
    ).fetchone()
    assert row is not None  # an aggregate has one row
    return int(row[0]) == sum(file.rows for file in held)


def _write(
    connection: psycopg.Connection[Any],
    root: Path,
    site_id: int,
    month: Month,
    owner: tuple[int, str] | None,
    span: Span,
    held: list[ArchiveFile],
    version: int,
) -> int | None:
    site = connection.execute("SELECT code FROM site WHERE site_id = %s", (site_id,)).fetchone()
    assert site is not None  # the caller found the site
    enterprise = None if owner is None else owner[1]
    folder = month_folder(enterprise, site[0], str(month))
    try:
        (root / folder).mkdir(parents=True, exist_ok=True)
        part = root / folder / f".{secrets.token_hex(6)}.part"
        try:
            batches = np.empty(0, np.int64)
            with FileWriter(part) as writer:
                for series_id in series_of(connection, site_id):
                    rows = series_rows(connection, "reading", series_id, *span)
                    rows = _without(rows, root, series_id, span, held)
                    writer.add(rows)
                    batches = np.union1d(batches, rows["batch"])
            if not writer.rows:
                return None
            sha256, content = file_sha256(part), writer.content_sha256()
            facts: dict[str, object] = {
                "rows": writer.rows, "sha256": sha256.hex(), "content_sha256": content.hex(),
                "supplement": bool(held), "data_version": version,
            }  # fmt: skip
            text = describe(
                connection, site_id, enterprise, month, span, np.unique(batches >> 32).tolist(),
                facts,
            )  # fmt: skip
            # Named by its content: the same rows make the same name, other rows never overwrite.
            file = folder / f"readings-{content.hex()[:16]}.parquet"
            size = part.stat().st_size
            _put(part, root / file)
            _put_text(text, (root / file).with_suffix(".json"))
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ArchiveUnavailableError(
            f"{root / folder}: the archive cannot be written: {error.strerror or error}"
        ) from error
    row = connection.execute(
        "INSERT INTO archive_file (site_id, enterprise_id, month, supplement, path, rows, bytes,"
        " sha256, content_sha256, first_ts, last_ts, first_commit_no, last_commit_no, data_version)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " RETURNING archive_file_id",
        (
            site_id, None if owner is None else owner[0], month.first, bool(held), str(file),
            writer.rows, size, sha256, content, instant(writer.first_us), instant(writer.last_us),
            *_commit_numbers(connection, batches), version,
        ),
    ).fetchone()  # fmt: skip
    assert row is not None  # RETURNING gives the row that was inserted
    return int(row[0])


def _without(rows: Rows, root: Path, series_id: int, span: Span, held: list[ArchiveFile]) -> Rows:
    """Leave out what earlier files of the month hold."""
    for file in held if len(rows) else ():
        if file.first_ts < span[1] and file.last_ts >= span[0]:
            known = read_series(
                root / file.path, series_id, microseconds(span[0]), microseconds(span[1])
            )
            rows = rows[~contained(rows, known)]
    return rows


def _commit_numbers(
    connection: psycopg.Connection[Any], batches: NDArray[np.int64]
) -> tuple[int | None, int | None]:
    row = connection.execute(
        "SELECT min(n), max(n) FROM unnest(%s::bigint[]) b CROSS JOIN LATERAL ("
        " SELECT commit_no AS n FROM batch_ledger WHERE stream_no = b >> 32"
        "  AND seq = b & 4294967295"
        " UNION ALL SELECT commit_nos[(b & 4294967295) - from_seq + 1] FROM batch_fold"
        "  WHERE stream_no = b >> 32 AND b & 4294967295 BETWEEN from_seq AND to_seq) c",
        (batches.tolist(),),
    ).fetchone()
    assert row is not None  # an aggregate has one row
    return row[0], row[1]


def _put(part: Path, file: Path) -> None:
    """Let a file appear whole or not at all, also after a power cut."""
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    part.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _put_text(text: str, file: Path) -> None:
    part = file.with_name(f".{secrets.token_hex(6)}.part")
    try:
        part.write_text(text, "utf-8")
        _put(part, file)
    finally:
        part.unlink(missing_ok=True)
