"""Import totals that were declared to an authority: medium, span, quantity, tce, document (F15)."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import psycopg

from enpilot.quantities import MEDIA, QUANTITIES, energy_quantity
from ingest.imports.entries import DECLARED, Entry
from ingest.imports.entry_table import EntryField, EntryLine, Span, import_entries
from ingest.imports.mapping import DeclaredMapping, read_mapping
from ingest.imports.result import ImportResult
from ingest.imports.site import ImportSite

__all__ = ["DECLARED_FIELDS", "import_declared"]

DECLARED_FIELDS: Final = (
    EntryField("medium"),
    EntryField("quantity", "number"),
    EntryField("unit"),
    EntryField("tce", "number", default=""),
    EntryField("document"),
)


def import_declared(
    connection: psycopg.Connection[Any],
    file: Path,
    mapping_file: Path,
    author: str,
    *,
    supersede: bool = False,
    dry_run: bool = False,
) -> ImportResult:
    """Import a table with the fields medium, quantity, unit, from, to, document.

    ``tce`` is kept as it was declared. A total that was handed in again needs ``supersede``.

    See `ingest.imports.output.import_output` for what happens to entries that are there.

    Raises
    ------
    ingest.errors.ImportRefusedError
        With every line that cannot be read; nothing is written then.
    """
    mapping = read_mapping(mapping_file, DeclaredMapping)

    def entry(line: EntryLine, span: Span, site: ImportSite) -> Entry:
        return _entry(line, span, mapping, site)

    return import_entries(
        connection, DECLARED, file, mapping_file, mapping, DECLARED_FIELDS, entry, author,
        supersede=supersede, dry_run=dry_run,
    )  # fmt: skip


def _entry(line: EntryLine, span: Span, mapping: DeclaredMapping, site: ImportSite) -> Entry:
    medium = line.one_of("medium", tuple(sorted(MEDIA)))
    word = line.text("unit")
    said = mapping.units.get(word)
    unit = word if said is None else said.unit
    known = QUANTITIES[energy_quantity(medium)].units
    if unit not in known:
        line.refuse(
            "unit",
            f"{medium} is compared in {', '.join(known)}; `[units.{word!r}]` in the mapping can say"
            " what it means",
        )
    quantity = line.amount("quantity") * (Decimal(1) if said is None else Decimal(said.times))
    document = line.text("document")
    if not document:
        line.refuse("document", "no document: name the declaration")
    if span[0] < span[1] and any(at.astimezone(site.zone).time() != dt.time() for at in span):
        line.refuse("from", "a total is declared for whole days of the site")
    return Entry(line.number, (medium, *span), (quantity, unit, line.optional("tce"), document))
