"""The test works with forty days of 2015 in the database, computed, and an archive's folder."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from analytics.engine import mark_dirty, run_once
from enpilot.archive import (
    ArchiveFile,
    Dropped,
    archive_files,
    archive_month,
    drop_archived,
    finished_months,
    verify_file,
)
from enpilot.database import connect
from tests.analytics.conftest import WORKS
from tests.imported import apply_plant, import_counts

ZONE = dt.timezone(dt.timedelta(hours=8))
QUARTER = dt.timedelta(minutes=15)
FIRST = dt.datetime(2015, 3, 1, tzinfo=ZONE)
LAST = dt.datetime(2015, 4, 10, 6, tzinfo=ZONE)
NO_QUIET = dt.timedelta(0)
PLANT = WORKS.replace("from = 2024-01-01", "from = 2010-01-01")
FIGURES = {
    "interval_advance": "series_id, ts, epoch_id, advance_micro, estimated_micro, measured_s,"
    " readings, simulated",
    "gap": "series_id, epoch_id, from_ts, to_ts, advance_micro",
    "finding": "site_id, code, at_ts, to_ts, evidence::text, withdrawn_version IS NULL",
    "energy_period": "point_id, quantity, period_kind, period_from, amount, estimated_share,"
    " coverage, distribution_coverage, reporting_completeness, withheld_code",
}


@dataclass
class ArchivedWorks:
    """A database, a connection to it, and the folder of its archive."""

    url: str
    connection: psycopg.Connection[Any]
    root: Path
    folder: Path

    def archive(self) -> list[ArchiveFile]:
        return [
            file
            for month in finished_months(self.connection, self.site_id, NO_QUIET)
            for file in archive_month(self.connection, self.root, self.site_id, month, NO_QUIET)
        ]

    def verify(self) -> None:
        for file in archive_files(self.connection):
            verify_file(self.connection, self.root, file)

    def drop(self) -> list[Dropped]:
        return list(drop_archived(self.connection, self.root))

    @property
    def site_id(self) -> int:
        return int(self.one("SELECT site_id FROM site"))

    def import_counts(self, every: list[dt.datetime]) -> Any:
        return import_counts(self.url, self.folder, every, [count_at(at) for at in every])

    def compute(self) -> int:
        done = 0
        while (one := run_once(self.connection)).did_anything:
            done += one.intervals
        return done

    def compute_anew(self) -> int:
        mark_dirty(self.connection, ["works"], FIRST - dt.timedelta(days=1), LAST)
        return self.compute()

    def figures(self) -> dict[str, list[tuple[Any, ...]]]:
        return {
            table: self.connection.execute(
                f"SELECT {columns} FROM {table} ORDER BY 1, 2, 3, 4"
            ).fetchall()
            for table, columns in FIGURES.items()
        }

    def one(self, query: str) -> Any:
        row = self.connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


def times(since: dt.datetime = FIRST, until: dt.datetime = LAST) -> list[dt.datetime]:
    return [since + i * QUARTER for i in range((until - since) // QUARTER + 1)]


def count_at(at: dt.datetime) -> int:
    """A register that is not steady, and rolls over in April."""
    i = (at - FIRST) // QUARTER
    return (99_950_000 + 17 * i + (i * i) % 13) % 100_000_000


def with_a_gap() -> list[dt.datetime]:
    """All times but two days across a month's end, and some single ones."""
    gap = (FIRST + dt.timedelta(days=30), FIRST + dt.timedelta(days=32))
    return [at for i, at in enumerate(times()) if i % 101 and not gap[0] < at < gap[1]]


def archived_works(url: str, folder: Path) -> ArchivedWorks:
    root = folder / "archive"
    root.mkdir()
    apply_plant(url, folder, PLANT)
    connection = connect(url, "test", autocommit=True)
    works = ArchivedWorks(url, connection, root, folder)
    works.import_counts(with_a_gap())
    works.compute()
    return works
