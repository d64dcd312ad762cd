"""``enpilot db archive``: write finished months, read them back, drop what may go."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, Final

import cyclopts
import psycopg

from enpilot.archive.drop import LEAST_MONTHS, drop_archived
from enpilot.archive.location import archive_folder
from enpilot.archive.manifest import ArchiveFile, archive_files, only_one
from enpilot.archive.months import Month, finished_months, has_rows
from enpilot.archive.verify import verify_file
from enpilot.archive.write import archive_month
from enpilot.database.connection import connect, database_url
from enpilot.errors import ConfigurationError

__all__ = ["app"]

app = cyclopts.App(name="archive", help="Finished months as checked Parquet files.")
_QUIET_H: Final = 72.0


@app.default
def archive(
    *,
    month: str | None = None,
    verify: bool = False,
    drop: bool = False,
    keep_months: int = LEAST_MONTHS,
    quiet_h: float = _QUIET_H,
) -> None:
    """Write each finished month, of every site, that the archive does not hold whole.

    ENPILOT_ARCHIVE_DIR names the folder. Nothing is dropped unless asked for.

    Parameters
    ----------
    month
        Only this one, as 2026-03 (UTC).
    verify
        Then read files back and compare them with the database row by row: those never verified,
        or all of the month.
    drop
        Then drop readings whose files are verified and that are old enough.
    keep_months
        Whole months that stay on line; fewer than 25 are refused.
    quiet_h
        A month is finished once nothing came for it for so many hours.
    """
    only = None if month is None else Month.parse(month)
    root = archive_folder("the archive is to be written")
    with connect(database_url(), "db archive", autocommit=True) as connection:
        if not only_one(connection):
            raise ConfigurationError("another process is at the archive right now; wait for it")
        _write(connection, root, only, dt.timedelta(hours=quiet_h))
        if verify:
            _verify(connection, root, only)
        if drop:
            _drop(connection, root, keep_months)


def _write(
    connection: psycopg.Connection[Any], root: Path, only: Month | None, quiet: dt.timedelta
) -> None:
    sites = connection.execute("SELECT site_id, code FROM site ORDER BY code").fetchall()
    written: list[ArchiveFile] = []
    for site_id, code in sites:
        if only is None:
            months = finished_months(connection, site_id, quiet)
        else:
            months = [only] if has_rows(connection, site_id, only.span) else []
        for one in months:
            for file in archive_month(connection, root, site_id, one, quiet):
                kind = "late rows" if file.supplement else "month"
                print(
                    f"{code} {one}: {kind} archived, {file.rows:,} rows,"
                    f" {file.size_bytes / file.rows:.2f} B a row: {file.path}"
                )
                written.append(file)
    if not written:
        which = "every finished month" if only is None else f"what there is of {only}"
        print(f"nothing to archive: {which} is in the archive whole")


def _verify(connection: psycopg.Connection[Any], root: Path, only: Month | None) -> None:
    for file in archive_files(connection, month=None if only is None else only.first):
        if only is None and file.verified_at is not None:
            continue
        done = verify_file(connection, root, file)
        print(
            f"{file.site} {file.month:%Y-%m}: {done.rows:,} rows read back,"
            f" {done.compared:,} compared with the database: {file.path}"
        )


def _drop(connection: psycopg.Connection[Any], root: Path, keep_months: int) -> None:
    any_span = False
    for dropped in drop_archived(connection, root, keep_months):
        any_span = True
        span = f"{dropped.span[0]:%Y-%m-%d} to {dropped.span[1]:%Y-%m-%d}"
        if dropped.refusal is not None:
            print(f"{span}: stays: {dropped.refusal}")
        else:
            print(f"{span}: {dropped.rows:,} readings dropped, {dropped.kept:,} kept on line")
    if not any_span:
        print(f"nothing to drop: no readings are older than {keep_months} whole months")
