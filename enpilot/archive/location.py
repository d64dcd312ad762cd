"""Where the archive lies: a folder that ENPILOT_ARCHIVE_DIR names, laid out by owner and month."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from enpilot.archive.errors import ArchiveUnavailableError

__all__ = ["NO_OWNER", "VARIABLE", "archive_folder", "month_folder"]

VARIABLE: Final = "ENPILOT_ARCHIVE_DIR"
# Codes of enterprises are lower case; a site without an owner is filed here.
NO_OWNER: Final = "none"


def archive_folder(purpose: str) -> Path:
    """Return the archive's folder.

    Parameters
    ----------
    purpose
        What needs it, for the message ("readings of works in 2024-03 are in the archive").

    Raises
    ------
    ArchiveUnavailableError
        If the variable is not set or the folder is not there. It is never made: a disk that is not
        mounted must not be taken for an empty archive.
    """
    named = os.environ.get(VARIABLE, "")
    if not named:
        raise ArchiveUnavailableError(f"{purpose}: set {VARIABLE} to the archive's folder")
    folder = Path(named)
    if not folder.is_dir():
        raise ArchiveUnavailableError(
            f"{purpose}: there is no folder {folder} ({VARIABLE}); mount it, or make it if the"
            " archive is new"
        )
    return folder


def month_folder(enterprise: str | None, site: str, month: str) -> Path:
    """Return the folder of a site's month, relative to the archive."""
    return Path(f"enterprise={enterprise or NO_OWNER}", f"site={site}", f"month={month}")
