"""Read a series as if nothing had been dropped: archive, kept rows and readings as one (D9)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import psycopg

from enpilot.archive.location import archive_folder
from enpilot.archive.manifest import ArchiveFile, archive_files, dropped_spans
from enpilot.archive.parquet_file import read_series
from enpilot.archive.rows import Rows, instant, microseconds, series_rows, union

__all__ = [
    "overlaps_dropped",
    "reading_after",
    "reading_before",
    "readings_around",
    "rows_with_archive",
]

# By the index, also where nothing is known of a table's statistics.
_LAST_BEFORE: Final = (
    "(SELECT ts FROM {} WHERE series_id = %(s)s AND ts < %(at)s ORDER BY ts DESC LIMIT 1)"
)
_FIRST_FROM: Final = (
    "(SELECT ts FROM {} WHERE series_id = %(s)s AND ts >= %(at)s ORDER BY ts LIMIT 1)"
)
_FIRST: Final = dt.datetime.min.replace(tzinfo=dt.UTC)
_LAST: Final = dt.datetime.max.replace(tzinfo=dt.UTC)


def overlaps_dropped(
    connection: psycopg.Connection[Any], since: dt.datetime, until: dt.datetime
) -> bool:
    """Say whether some of [since, until) is, or may be, in files only.

    Ask after the readings were read: rows that go meanwhile are then known to be gone.
    """
    return bool(dropped_spans(connection, since, until))


def rows_with_archive(
    connection: psycopg.Connection[Any], series_id: int, since: dt.datetime, until: dt.datetime
) -> Rows:
    """Return all rows of a series in [since, until), each once, wherever they lie.

    Parameters
    ----------
    connection
        As a role that may read ``reading``.
    series_id, since, until
        Which rows.

    Returns
    -------
    ndarray of `enpilot.archive.rows.ROW`, shape (n,)
        Of any quality, retracted ones too, in order of time, then batch.

    Raises
    ------
    ArchiveUnavailableError
        If files are needed and ENPILOT_ARCHIVE_DIR is not set, or a file is not there: half of
        the rows would make a wrong figure.
    ArchiveMismatchError
        If a file is damaged.
    """
    parts = [
        series_rows(connection, relation, series_id, since, until)
        for relation in ("reading", "kept_reading")
    ]
    if overlaps_dropped(connection, since, until):
        parts += [
            read_series(path, series_id, microseconds(since), microseconds(until))
            for path, _ in _files(connection, series_id, since, until)
        ]
    return union(parts)


def readings_around(
    connection: psycopg.Connection[Any],
    series_ids: Sequence[int],
    before: Sequence[dt.datetime],
    after: Sequence[dt.datetime],
) -> list[tuple[dt.datetime | None, dt.datetime | None]]:
    """Return `reading_before` and `reading_after` of many series, from the database alone.

    Right where nothing was dropped between an instant and what was found for it; ask
    `overlaps_dropped` afterwards.

    Parameters
    ----------
    connection
        As a role that may read ``reading``.
    series_ids, before, after
        Of the same length: a series, and from where to look back and on.
    """
    sides = [
        f"{choose}({query.format('counted_reading')}, {query.format('counted_kept_reading')})"
        for choose, query in (
            ("greatest", _LAST_BEFORE.replace("%(s)s", "w.s").replace("%(at)s", "w.a")),
            ("least", _FIRST_FROM.replace("%(s)s", "w.s").replace("%(at)s", "w.b")),
        )
    ]
    return connection.execute(
        f"SELECT {sides[0]}, {sides[1]} FROM unnest(%s::int[], %s::timestamptz[],"
        " %s::timestamptz[]) WITH ORDINALITY w(s, a, b, n) ORDER BY w.n",
        (list(series_ids), list(before), list(after)),
    ).fetchall()


def reading_before(
    connection: psycopg.Connection[Any], series_id: int, at: dt.datetime
) -> dt.datetime | None:
    """Return the ``ts`` of the last reading before an instant that counts.

    Errors as `rows_with_archive`.
    """
    row = connection.execute(
        f"SELECT greatest({_LAST_BEFORE.format('counted_reading')},"
        f" {_LAST_BEFORE.format('counted_kept_reading')})",
        {"s": series_id, "at": at},
    ).fetchone()
    assert row is not None  # a scalar always makes a row
    found: dt.datetime | None = row[0]
    since = _FIRST if found is None else found
    if overlaps_dropped(connection, since, at):
        for path, file in reversed(_files(connection, series_id, since, at)):
            if found is not None and file.last_ts <= found:
                continue
            rows = read_series(path, series_id, microseconds(since), microseconds(at))
            rows = _counted(connection, series_id, rows)
            if len(rows):
                last = instant(int(rows["ts_us"].max()))
                found = last if found is None else max(found, last)
    return found


def reading_after(
    connection: psycopg.Connection[Any], series_id: int, at: dt.datetime
) -> dt.datetime | None:
    """Return the ``ts`` of the first reading from an instant on that counts; errors likewise."""
    row = connection.execute(
        f"SELECT least({_FIRST_FROM.format('counted_reading')},"
        f" {_FIRST_FROM.format('counted_kept_reading')})",
        {"s": series_id, "at": at},
    ).fetchone()
    assert row is not None  # a scalar always makes a row
    found: dt.datetime | None = row[0]
    until = _LAST if found is None else found
    if overlaps_dropped(connection, at, until):
        for path, file in _files(connection, series_id, at, until):
            if found is not None and file.first_ts >= found:
                continue
            rows = read_series(path, series_id, microseconds(at), microseconds(until))
            rows = _counted(connection, series_id, rows)
            if len(rows):
                first = instant(int(rows["ts_us"].min()))
                found = first if found is None else min(found, first)
    return found


def _counted(connection: psycopg.Connection[Any], series_id: int, rows: Rows) -> Rows:
    """Return rows of a file that no retraction and no void takes out."""
    batch, ts_us = rows["batch"], rows["ts_us"]
    kept = np.ones(len(rows), np.bool_)
    for low, high in connection.execute("SELECT from_batch, to_batch FROM retracted_batch"):
        kept &= (batch < low) | (batch > high)
    for at, of in connection.execute(
        "SELECT ts, batch FROM reading_correction WHERE series_id = %s AND kind = 'void'"
        " AND superseded_commit_no IS NULL",
        (series_id,),
    ):
        kept &= (ts_us != microseconds(at)) | (batch != (batch if of is None else of))
    for low, high in connection.execute(
        "SELECT from_ts, to_ts FROM reading_void WHERE series_id = %s"
        " AND superseded_commit_no IS NULL",
        (series_id,),
    ):
        kept &= (ts_us < microseconds(low)) | (ts_us >= microseconds(high))
    return rows[kept]


def _files(
    connection: psycopg.Connection[Any], series_id: int, since: dt.datetime, until: dt.datetime
) -> list[tuple[Path, ArchiveFile]]:
    """Return the verified files of the series' site over a span; only their rows were dropped."""
    row = connection.execute(
        "SELECT site_id FROM series WHERE series_id = %s", (series_id,)
    ).fetchone()
    if row is None:
        return []
    files = [
        file
        for file in archive_files(connection, site_id=row[0], span=(since, until))
        if file.verified_at is not None
    ]
    if not files:
        return []
    root = archive_folder(f"readings of {files[0].site} in {files[0].month:%Y-%m} were archived")
    return [(root / file.path, file) for file in files]
