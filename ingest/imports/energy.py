"""Import the energy ledger: fuels and steam without registers, by document (F5, D16)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from enpilot.quantities import MEDIA
from ingest.imports.entry_table import Entry, EntryRow, import_entries
from ingest.imports.result import ImportResult
from ingest.imports.site import ImportSite
from ingest.imports.table_file import EnergyMapping

__all__ = ["import_energy"]

_KINDS = (
    "opening", "purchase", "own_production", "transfer_in", "transfer_out", "sale", "feedstock",
    "non_industrial", "loss", "closing",
)  # fmt: skip


def import_energy(
    connection: psycopg.Connection[Any],
    file: Path,
    mapping_file: Path,
    author: str,
    *,
    supersede: bool = False,
) -> ImportResult:
    """Import a CSV file with columns medium, kind, quantity, unit, from, to, document.

    See `ingest.imports.output.import_output` for what happens to entries that are there.

    Raises
    ------
    ingest.errors.ImportRefusedError
        With every line that cannot be read; nothing is written then.
    """
    return import_entries(
        connection, "energy_ledger", file, mapping_file, EnergyMapping, _entry, author, supersede
    )


def _entry(row: EntryRow, site: ImportSite) -> Iterator[Entry]:
    del site  # a medium belongs to no point
    yield Entry(
        {
            "medium": row.one_of("medium", tuple(sorted(MEDIA))),
            "kind": row.one_of("kind", _KINDS),
            "document": row.text("document"),
        },
        {"quantity": row.amount("quantity"), "unit": row.text("unit")},
        {},
    )
