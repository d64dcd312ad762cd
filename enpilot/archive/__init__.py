"""Finished months of readings in Parquet files, checked by reading back, and read as if still here.

Needs the extra ``archive``. Rooms meet here: one function reads archive, kept rows and readings
(D9), so that a figure is never computed from half of them.
"""

from enpilot.archive.drop import Dropped, drop_archived
from enpilot.archive.errors import (
    ArchiveError,
    ArchiveMismatchError,
    ArchiveUnavailableError,
    RetentionError,
)
from enpilot.archive.location import archive_folder
from enpilot.archive.manifest import ArchiveFile, archive_files
from enpilot.archive.months import Month, finished_months
from enpilot.archive.read import (
    overlaps_dropped,
    reading_after,
    reading_before,
    readings_around,
    rows_with_archive,
)
from enpilot.archive.verify import Verified, verify_file
from enpilot.archive.write import archive_month

__all__ = [
    "ArchiveError",
    "ArchiveFile",
    "ArchiveMismatchError",
    "ArchiveUnavailableError",
    "Dropped",
    "Month",
    "RetentionError",
    "Verified",
    "archive_files",
    "archive_folder",
    "archive_month",
    "drop_archived",
    "finished_months",
    "overlaps_dropped",
    "reading_after",
    "reading_before",
    "readings_around",
    "rows_with_archive",
    "verify_file",
]
