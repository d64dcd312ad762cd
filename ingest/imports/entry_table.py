"""Import a table of entries (output, energy ledger) in one transaction, all errors at once."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import psycopg

from enpilot.database import draw_commit_no
from ingest import ledger
from ingest.errors import ImportRefusedError
from ingest.imports.entries import put_entry
from ingest.imports.result import ImportResult
from ingest.imports.site import ImportSite, find_site, open_import
from ingest.imports.table_file import (
    EnergyMapping,
    OutputMapping,
    Table,
    import_stream,
    parse_instant,
    read_mapping,
    read_table,
)
from ingest.rows import batch_number

__all__ = ["Entry", "EntryRow", "import_entries"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: what identifies it, what it says, what else is kept with it."""

    key: dict[str, Any]
    value: dict[str, Any]
    extra: dict[str, Any]


@dataclass(slots=True)
class EntryRow:
    """Typed access to one line; what is wrong is collected, not raised."""

    table: Table
    number: int
    cells: list[str]
    zone: zoneinfo.ZoneInfo
    errors: list[str] = field(default_factory=list)

    def text(self, column: str) -> str:
        """Return a cell as it stands."""
        return self.cells[self.table.position(column)].strip()

    def one_of(self, column: str, allowed: tuple[str, ...]) -> str:
        """Return a cell that must be one of some words."""
        text = self.text(column)
        if text not in allowed:
            self._wrong(column, f"{text!r} is none of {', '.join(allowed)}")
            return allowed[0] if allowed else text
        return text

    def amount(self, column: str) -> Decimal:
        """Return a number that is not negative."""
        text = self.text(column)
        try:
            value = Decimal(text)
        except InvalidOperation:
            value = Decimal("NaN")
        if not (value.is_finite() and value >= 0):
            self._wrong(column, f"{text!r} is not a number of 0 or more")
            return Decimal(0)
        return value

    def instant(self, column: str) -> dt.datetime:
        """Return a time; without an offset it is the site's."""
        try:
            return parse_instant(self.text(column), self.zone)
        except ValueError as error:
            self._wrong(column, str(error))
            return dt.datetime.now(dt.UTC)

    def _wrong(self, column: str, sentence: str) -> None:
        self.errors.append(f"line {self.number}, column {column!r}: {sentence}")


def import_entries(
    connection: psycopg.Connection[Any],
    target: str,
    file: Path,
    mapping_file: Path,
    mapping_kind: type[OutputMapping | EnergyMapping],
    entry_of: Callable[[EntryRow, ImportSite], Iterator[Entry]],
    author: str,
    supersede: bool,
) -> ImportResult:
    """Read, check and write a table of entries; see the callers for the parameters."""
    mapping = read_mapping(mapping_file, mapping_kind)
    table = read_table(file)
    site = find_site(connection, mapping.site, mapping_file)
    entries, spans = _read(table, site, entry_of)
    stream, digest = import_stream(table, mapping)
    stream_no = open_import(connection, stream, digest, mapping, author)
    result = ImportResult(stream, rows_read=len(entries))
    with connection.transaction():
        claim = ledger.Claim(stream_no, 1, digest, None, 0, None, None)
        if not ledger.claim(connection, [claim]).new and not supersede:
            result.rows_present = len(entries)
            return result
        commit_no = draw_commit_no(connection)
        provenance = {
            "source": mapping.source,
            "synthetic": mapping.synthetic is not None,
            "batch": batch_number(stream_no, 1),
            "author": author,
            "reason": f"import of {file.name}",
            "commit_no": commit_no,
        }
        for entry, (since, until) in zip(entries, spans, strict=True):
            key = {"site_id": site.site_id, **entry.key, "from_ts": since, "to_ts": until}
            outcome = put_entry(
                connection, target, key, entry.value, {**provenance, **entry.extra},
                supersede=supersede,
            )  # fmt: skip
            result.rows_written += outcome == "written"
            result.rows_present += outcome == "present"
            if outcome == "conflict":
                result.conflicts.append(
                    f"{target} from {since.isoformat()} to {until.isoformat()} is there with "
                    "another quantity"
                )
        ledger.number_claims(connection, {(stream_no, 1)}, commit_no)
        if result.rows_written:
            connection.execute(
                "INSERT INTO dirty_site (site_id, from_ts, to_ts, commit_no)"
                " VALUES (%s, %s, %s, %s)",
                (site.site_id, min(s[0] for s in spans), max(s[1] for s in spans), commit_no),
            )
    return result


def _read(
    table: Table, site: ImportSite, entry_of: Callable[[EntryRow, ImportSite], Iterator[Entry]]
) -> tuple[list[Entry], list[tuple[dt.datetime, dt.datetime]]]:
    entries: list[Entry] = []
    spans: list[tuple[dt.datetime, dt.datetime]] = []
    errors: list[str] = []
    for number, cells in table.lines():
        row = EntryRow(table, number, cells, site.zone)
        since, until = row.instant("from"), row.instant("to")
        if not row.errors and until <= since:
            row.errors.append(f"line {number}: `to` is not after `from`")
        for entry in entry_of(row, site):
            entries.append(entry)
            spans.append((since, until))
        errors += row.errors
    if errors:
        more = len(errors) - 20
        raise ImportRefusedError(
            table.file, errors[:20] + ([f"and {more} more"] if more > 0 else [])
        )
    return entries, spans
