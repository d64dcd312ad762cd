"""A folder that others put files into: each complete file is imported, then set aside (F33).

A file moves to ``done`` or ``refused`` after its import is committed; one that is taken again after
a crash in between is the same import and changes nothing (D16).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import psycopg
import structlog

from ingest.errors import ImportRefusedError
from ingest.imports.energy import import_energy
from ingest.imports.output import import_output
from ingest.imports.readings import import_readings
from ingest.imports.report import report_lines
from ingest.publishers.source import Folder, Source

__all__ = ["take_files"]

_log = structlog.get_logger("publishers")
_IMPORTS: Final = {"readings": import_readings, "output": import_output, "energy": import_energy}


def take_files(connection: psycopg.Connection[Any], source: Source) -> int:
    """Import every complete file of a source's folder, the oldest first; return how many.

    Parameters
    ----------
    connection
        Not inside a transaction.
    source
        Of kind "folder".
    """
    folder = source.folder
    assert folder is not None  # load_source sees to it
    files = _complete(folder)
    for file in files:
        try:
            result = _IMPORTS[folder.what](
                connection, file, folder.mapping, f"source {source.name}"
            )
        except ImportRefusedError as error:
            aside = _set_aside(file, "refused")
            aside.with_name(f"{aside.name}.txt").write_text("\n".join([*error.errors, ""]), "utf-8")
            _log.warning("file is refused", source=source.name, file=file.name, reason=str(error))
            continue
        aside = _set_aside(file, "done")
        if list(result.findings):
            report = aside.with_name(f"{aside.name}.txt")
            report.write_text("\n".join([*report_lines(file, result), ""]), "utf-8")
        _log.info(
            "file is imported", source=source.name, file=file.name, written=result.rows_written,
            present=result.rows_present, conflicts=result.conflicts,
        )  # fmt: skip
    return len(files)


def _complete(folder: Folder) -> list[Path]:
    """Return files that have not grown for a while, the oldest first."""
    found = []
    for file in folder.path.glob(folder.pattern):
        if not file.is_file() or file.name.startswith("."):
            continue
        changed = file.stat().st_mtime
        if time.time() - changed >= folder.settle_s:
            found.append((changed, file))
    return [file for _, file in sorted(found)]


def _set_aside(file: Path, name: str) -> Path:
    """Move a file into a folder beside it, under a name that is free there."""
    folder = file.parent / name
    folder.mkdir(exist_ok=True)
    target = folder / file.name
    number = 1
    while target.exists():
        number += 1
        target = folder / f"{file.stem}.{number}{file.suffix}"
    return file.rename(target)
