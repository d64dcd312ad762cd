"""``enpilot import``: plant, readings, output, energy, retract."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from uuid import UUID

import cyclopts

from enpilot.database import connect, database_url
from enpilot.plant import load_plant
from ingest.imports.energy import import_energy
from ingest.imports.output import import_output
from ingest.imports.plant import import_plant
from ingest.imports.readings import import_readings
from ingest.imports.result import ImportResult
from ingest.imports.retract import retract as retract_import

__all__ = ["app"]

app = cyclopts.App(name="import", help="Files into the database; the same file twice is once.")


@app.command
def plant(file: Path, *, reason: str = "plant file applied") -> None:
    """Apply a plant file; what changes is superseded, never edited."""
    described = load_plant(file)
    with connect(database_url(), "import plant", autocommit=True) as connection:
        changes = import_plant(connection, described, _author(), reason)
    done = ", ".join(f"{n} {kind}" for kind, n in changes.changes.items() if n)
    print(f"site {changes.site}: {done or 'nothing to change'}")


@app.command
def readings(file: Path, *, mapping: Path, supersede: bool = False) -> None:
    """Import a history of register counts (CSV)."""

    def progress(lines: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{file.name}: {lines:,} lines", end="", file=sys.stderr, flush=True)

    with connect(database_url(), "import readings", autocommit=True) as connection:
        result = import_readings(
            connection, file, mapping, _author(), supersede=supersede, progress=progress
        )
    _report(file, result)


@app.command
def output(file: Path, *, mapping: Path, supersede: bool = False) -> None:
    """Import production figures (CSV)."""
    with connect(database_url(), "import output", autocommit=True) as connection:
        result = import_output(connection, file, mapping, _author(), supersede=supersede)
    _report(file, result)


@app.command
def energy(file: Path, *, mapping: Path, supersede: bool = False) -> None:
    """Import an energy ledger (CSV): fuels, steam and heat that no register counts."""
    with connect(database_url(), "import energy", autocommit=True) as connection:
        result = import_energy(connection, file, mapping, _author(), supersede=supersede)
    _report(file, result)


@app.command
def retract(stream: UUID, *, reason: str) -> None:
    """Take an import out of all figures; its rows stay, with who retracted them and why."""
    with connect(database_url(), "import retract", autocommit=True) as connection:
        rows = retract_import(connection, stream, _author(), reason)
    print(f"retracted {rows:,} rows of {stream}")


def _report(file: Path, result: ImportResult) -> None:
    print(
        f"{file.name}: {result.rows_read:,} values read, {result.rows_written:,} written, "
        f"{result.rows_present:,} there already (import {result.stream})"
    )
    for sentence in result.conflicts[:20]:
        print(f"  differs, use --supersede to replace: {sentence}")
    if len(result.conflicts) > 20:
        print(f"  and {len(result.conflicts) - 20:,} more")


def _author() -> str:
    return getpass.getuser()
