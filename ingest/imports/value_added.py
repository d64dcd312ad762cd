"""Import value added of enterprises: period, price basis, value; a new vintage supersedes (F17)."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, Final

import psycopg

from ingest.imports.entries import VALUE_ADDED, Entry
from ingest.imports.entry_table import EntryField, EntryLine, Span, import_entries
from ingest.imports.mapping import ValueAddedMapping, read_mapping
from ingest.imports.result import ImportResult
from ingest.imports.site import ImportSite, find_site

__all__ = ["VALUE_ADDED_FIELDS", "import_value_added"]

VALUE_ADDED_FIELDS: Final = (
    EntryField("enterprise"),
    EntryField("price_year"),
    EntryField("value_yuan", "number"),
    EntryField("deflator", "number", default=""),
    EntryField("published", default=""),
)
_CURRENT: Final = "current"


def import_value_added(
    connection: psycopg.Connection[Any],
    file: Path,
    mapping_file: Path,
    author: str,
    *,
    supersede: bool = False,
    dry_run: bool = False,
) -> ImportResult:
    """Import a table with the fields enterprise, price_year, value_yuan, from, to.

    ``price_year`` is the year of constant prices, or "current". A value that was revised needs
    ``supersede`` and becomes the next vintage; ``deflator`` and ``published`` are kept with it.

    See `ingest.imports.output.import_output` for what happens to entries that are there.

    Raises
    ------
    ingest.errors.ImportRefusedError
        With every line that cannot be read; nothing is written then.
    """
    mapping = read_mapping(mapping_file, ValueAddedMapping)
    owners = _owners(connection, find_site(connection, mapping.site, mapping_file))

    def entry(line: EntryLine, span: Span, site: ImportSite) -> Entry:
        enterprise = line.one_of("enterprise", tuple(sorted(owners)))
        first, after = (at.astimezone(site.zone).date() for at in span)
        return Entry(
            line.number,
            (owners.get(enterprise, 0), _price_year(line), *span),
            (line.level("value_yuan"),),
            (first, after, line.optional("deflator"), _published(line)),
        )

    return import_entries(
        connection, VALUE_ADDED, file, mapping_file, mapping, VALUE_ADDED_FIELDS, entry, author,
        supersede=supersede, dry_run=dry_run,
    )  # fmt: skip


def _price_year(line: EntryLine) -> int:
    word = line.text("price_year")
    if word == _CURRENT:
        return 0
    if not (word.isascii() and word.isdigit() and 1949 <= int(word) <= 2200):
        line.refuse(
            "price_year", f'{word!r} is neither "{_CURRENT}" nor the year of constant prices'
        )
        return 0
    return int(word)


def _published(line: EntryLine) -> dt.date | None:
    word = line.text("published")
    if not word:
        return None
    try:
        return dt.date.fromisoformat(word)
    except ValueError:
        line.refuse("published", f"{word!r} is not a date like 2026-01-31")
        return None


def _owners(connection: psycopg.Connection[Any], site: ImportSite) -> dict[str, int]:
    with connection.transaction():
        return dict(
            connection.execute(
                "SELECT DISTINCT e.code, e.enterprise_id FROM enterprise e"
                " JOIN site_enterprise s USING (enterprise_id) WHERE s.site_id = %s"
                " AND s.superseded_commit_no IS NULL",
                (site.site_id,),
            ).fetchall()
        )
