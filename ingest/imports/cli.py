"""``enpilot import``: plant, readings, output, energy, variables, manual, list, retract."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated
from uuid import UUID

import cyclopts

from enpilot.database import connect, database_url
from enpilot.plant import load_plant
from enpilot.progress import progress_bar
from ingest.imports.declared import import_declared
from ingest.imports.energy import import_energy
from ingest.imports.invoice import import_invoice
from ingest.imports.manual import import_manual
from ingest.imports.output import import_output
from ingest.imports.plant import import_plant
from ingest.imports.readings import import_readings
from ingest.imports.report import months_line, report_lines
from ingest.imports.result import ImportResult
from ingest.imports.retract import retract as retract_import
from ingest.imports.run_list import list_imports
from ingest.imports.value_added import import_value_added
from ingest.imports.variables import import_variables

__all__ = ["app"]

app = cyclopts.App(name="import", help="Files into the database; the same file twice is once.")

Mapping = Annotated[Path, cyclopts.Parameter(help="What the columns mean (TOML).")]
Supersede = Annotated[bool, cyclopts.Parameter(help="Replace other values that are there.")]
DryRun = Annotated[bool, cyclopts.Parameter(help="Check and compare everything, write nothing.")]


@app.command
def plant(
    file: Path, *, reason: str = "plant file applied", reopen_reason: str | None = None
) -> None:
    """Apply a plant file; what changes is superseded, never edited.

    Parameters
    ----------
    file
        See the reference of plant files.
    reason
        Kept with every record that changes.
    reopen_reason
        Why it may change what closed periods were computed of; without, it is refused.
    """
    described = load_plant(file)
    with connect(database_url(), "import plant", autocommit=True) as connection:
        changes = import_plant(
            connection, described, _author(), reason, reopen_reason=reopen_reason
        )
    done = ", ".join(f"{n} {kind}" for kind, n in changes.changes.items() if n)
    print(f"site {changes.site}: {done or 'nothing to change'}")
    if changes.total:
        print(months_line(changes.months))
    for period in changes.closed:
        print(f"  {period} is closed: what changes waits, see `enpilot close differences`")


@app.command
def readings(
    file: Path, *, mapping: Mapping, supersede: Supersede = False, dry_run: DryRun = False
) -> None:
    """Import a history: registers, gauges, amounts per interval (CSV, Excel, Parquet)."""
    with (
        connect(database_url(), "import readings", autocommit=True) as connection,
        progress_bar(file.name) as progress,
    ):
        result = import_readings(
            connection, file, mapping, _author(), supersede=supersede, dry_run=dry_run,
            progress=progress,
        )  # fmt: skip
    _report(file, result)


@app.command
def output(
    file: Path, *, mapping: Mapping, supersede: Supersede = False, dry_run: DryRun = False
) -> None:
    """Import production figures (CSV, Excel, Parquet)."""
    with connect(database_url(), "import output", autocommit=True) as connection:
        result = import_output(
            connection, file, mapping, _author(), supersede=supersede, dry_run=dry_run
        )
    _report(file, result)


@app.command
def energy(
    file: Path, *, mapping: Mapping, supersede: Supersede = False, dry_run: DryRun = False
) -> None:
    """Import an energy ledger with stock: fuels, steam and heat that no register counts."""
    with connect(database_url(), "import energy", autocommit=True) as connection:
        result = import_energy(
            connection, file, mapping, _author(), supersede=supersede, dry_run=dry_run
        )
    _report(file, result)


@app.command(name="value-added")
def value_added(
    file: Path, *, mapping: Mapping, supersede: Supersede = False, dry_run: DryRun = False
) -> None:
    """Import value added of enterprises, by price basis; a revision is a new vintage."""
    with connect(database_url(), "import value-added", autocommit=True) as connection:
        result = import_value_added(
            connection, file, mapping, _author(), supersede=supersede, dry_run=dry_run
        )
    _report(file, result)


@app.command
def declared(
    file: Path, *, mapping: Mapping, supersede: Supersede = False, dry_run: DryRun = False
) -> None:
    """Import totals that were declared to an authority, to stand beside meters and invoices."""
    with connect(database_url(), "import declared", autocommit=True) as connection:
        result = import_declared(
            connection, file, mapping, _author(), supersede=supersede, dry_run=dry_run
        )
    _report(file, result)


@app.command
def variables(
    file: Path, *, mapping: Mapping, supersede: Supersede = False, dry_run: DryRun = False
) -> None:
    """Import values of relevant variables: operating days, outdoor temperature (CSV, Excel)."""
    with connect(database_url(), "import variables", autocommit=True) as connection:
        result = import_variables(
            connection, file, mapping, _author(), supersede=supersede, dry_run=dry_run
        )
    _report(file, result)


@app.command
def manual(
    file: Path, *, mapping: Mapping, supersede: Supersede = False, dry_run: DryRun = False
) -> None:
    """Import what people read off registers: anchors beside telemetry, else readings."""
    with connect(database_url(), "import manual", autocommit=True) as connection:
        result = import_manual(
            connection, file, mapping, _author(), supersede=supersede, dry_run=dry_run
        )
    _report(file, result)


@app.command
def invoice(file: Path) -> None:
    """Import a utility's invoice (TOML); another one of the same number supersedes it."""
    with connect(database_url(), "import invoice", autocommit=True) as connection:
        done = import_invoice(connection, file, _author())
    print(
        f"invoice {done.number}: "
        + (f"version {done.version}" if done.changed else "nothing to change")
    )


@app.command(name="list")
def list_runs(*, site: str | None = None) -> None:
    """List imports, the newest first: what they wrote, and whether they still count."""
    with connect(database_url(), "import list", autocommit=True) as connection:
        runs = list_imports(connection, site)
    for run in runs:
        span = f"{run.first:%Y-%m-%d} to {run.last:%Y-%m-%d}" if run.first and run.last else ""
        superseding = ", superseding" if run.superseding else ""
        print(
            f"{run.stream}  {run.opened_at:%Y-%m-%d %H:%M}  {run.site}  {run.kind}  "
            f"{run.file_name}  {span}  {run.written:,} written{superseding}  {run.state}"
        )
        if run.state == "retracted":
            print(f"    by {run.retracted_by}: {run.reason}")
        if run.state == "cut off":
            print("    run the same import again: it goes on where it stopped")
    if not runs:
        print("no imports")


@app.command
def retract(stream: UUID, *, reason: str) -> None:
    """Take an import out of all figures; what it had superseded counts again."""
    with connect(database_url(), "import retract", autocommit=True) as connection:
        rows = retract_import(connection, stream, _author(), reason)
    print(f"retracted {rows:,} rows of {stream}")


def _report(file: Path, result: ImportResult) -> None:
    for line in report_lines(file, result):
        print(line)


def _author() -> str:
    return getpass.getuser()
