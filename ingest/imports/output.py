"""Import production figures: product, stage, good or scrap, span (F12, D16)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from ingest.imports.entry_table import Entry, EntryRow, import_entries
from ingest.imports.result import ImportResult
from ingest.imports.site import ImportSite
from ingest.imports.table_file import OutputMapping

__all__ = ["import_output"]

_STAGES = ("counted", "qualified", "warehoused", "shipped")
_DISPOSITIONS = ("good", "scrap", "rework")


def import_output(
    connection: psycopg.Connection[Any],
    file: Path,
    mapping_file: Path,
    author: str,
    *,
    supersede: bool = False,
) -> ImportResult:
    """Import a CSV file with columns product, line, stage, disposition, quantity, from, to.

    The whole file is one transaction. An entry that is there with the same quantity is left alone;
    one with another quantity needs ``supersede`` and becomes a new version.

    Raises
    ------
    ingest.errors.ImportRefusedError
        With every line that cannot be read; nothing is written then.
    """
    return import_entries(
        connection, "output", file, mapping_file, OutputMapping, _entry, author, supersede
    )


def _entry(row: EntryRow, site: ImportSite) -> Iterator[Entry]:
    product = row.one_of("product", tuple(site.products))
    yield Entry(
        {
            "product_id": site.products[product],
            "line": row.text("line"),
            "stage": row.one_of("stage", _STAGES),
            "disposition": row.one_of("disposition", _DISPOSITIONS),
        },
        {"quantity": row.amount("quantity")},
        {"booked_at": row.instant("to")},
    )
