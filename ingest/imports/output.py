"""Import production figures: product, stage, good or scrap, span (F12, D16)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import psycopg

from ingest.imports.entries import OUTPUT, Entry
from ingest.imports.entry_table import EntryField, EntryLine, Span, import_entries
from ingest.imports.mapping import OutputMapping, read_mapping
from ingest.imports.result import ImportResult
from ingest.imports.site import ImportSite

__all__ = ["OUTPUT_FIELDS", "import_output"]

_STAGES: Final = ("counted", "qualified", "warehoused", "shipped")
_DISPOSITIONS: Final = ("good", "scrap", "rework")
OUTPUT_FIELDS: Final = (
    EntryField("product"),
    EntryField("line", default=""),
    EntryField("stage"),
    EntryField("disposition"),
    EntryField("quantity", "number"),
    EntryField("lot", default=""),
)


def import_output(
    connection: psycopg.Connection[Any],
    file: Path,
    mapping_file: Path,
    author: str,
    *,
    supersede: bool = False,
    dry_run: bool = False,
) -> ImportResult:
    """Import a table with the fields product, line, stage, disposition, quantity, lot, from, to.

    The whole file is one transaction. An entry that is there with the same quantity is left alone;
    one with another quantity needs ``supersede`` and becomes a new version.

    Raises
    ------
    ingest.errors.ImportRefusedError
        With every line that cannot be read; nothing is written then.
    """
    return import_entries(
        connection, OUTPUT, file, mapping_file, read_mapping(mapping_file, OutputMapping),
        OUTPUT_FIELDS, _entry, author, supersede=supersede, dry_run=dry_run,
    )  # fmt: skip


def _entry(line: EntryLine, span: Span, site: ImportSite) -> Entry:
    product = line.one_of("product", tuple(site.products))
    return Entry(
        line.number,
        (
            site.products.get(product, 0), line.text("line"), line.one_of("stage", _STAGES),
            line.one_of("disposition", _DISPOSITIONS), *span,
        ),
        (line.amount("quantity"),),
        (span[1], line.text("lot")),
    )  # fmt: skip
