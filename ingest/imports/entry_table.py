"""Import a table of entries (output, ledger, variables): checked as a whole, one transaction."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import psycopg

from enpilot.database import draw_commit_no
from ingest import ledger
from ingest.errors import ImportRefusedError
from ingest.imports.cells import amounts, from_objects, texts
from ingest.imports.closed import closed_among
from ingest.imports.entries import (
    Entry,
    EntryKind,
    Planned,
    lock_entries,
    plan_entries,
    write_entries,
)
from ingest.imports.findings import Findings
from ingest.imports.instants import civil_spans, midnights_after
from ingest.imports.mapping import EntryMapping, EntryTime, FileForm
from ingest.imports.months import ChangedMonths
from ingest.imports.result import ImportResult
from ingest.imports.site import ImportSite, find_site, name_import, open_import
from ingest.imports.table_file import Chunk, Mistakes, Table, open_table
from ingest.imports.table_times import TimeColumn
from ingest.rows import batch_number

__all__ = ["EntryField", "EntryLine", "Span", "import_entries"]

_LINES: Final = 20_000
_UNIX: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_US: Final = dt.timedelta(microseconds=1)

Span: TypeAlias = tuple[dt.datetime, dt.datetime]


@dataclass(frozen=True, slots=True)
class EntryField:
    """A field of an entry: "words" are kept as text, "number" as a decimal.

    ``default`` None: every line must have it, from a column or from a constant.
    """

    name: str
    form: str = "words"
    default: str | None = None


@dataclass(slots=True)
class EntryLine:
    """Typed access to one line; what is wrong is collected, not raised."""

    number: int
    words: dict[str, str]
    numbers: dict[str, str | None]
    headers: dict[str, str]
    mistakes: Mistakes
    mapping: EntryMapping
    wrong: bool = field(default=False)

    def text(self, name: str) -> str:
        """Return a field as it stands, or what the mapping says its word means."""
        word = self.words[name]
        return self.mapping.words.get(name, {}).get(word, word)

    def one_of(self, name: str, allowed: Sequence[str]) -> str:
        """Return a field that must be one of some words."""
        text = self.text(name)
        if text not in allowed:
            self._add(name, f"{text!r} is none of {', '.join(allowed)}; `[words.{name}]` in the "
                            "mapping can say what it means")  # fmt: skip
        return text

    def amount(self, name: str) -> Decimal:
        """Return a number that is not negative."""
        value = self.optional(name)
        if value is None and not self.wrong:
            self._add(name, "no number")
        return value or Decimal(0)

    def level(self, name: str) -> Decimal:
        """Return a number of either sign."""
        number = self.numbers[name]
        if number is None:
            self._add(name, f"{self.words[name]!r} is not a number")
            return Decimal(0)
        return Decimal(number)

    def optional(self, name: str) -> Decimal | None:
        """Return a number that is not negative, None for an empty cell."""
        number, word = self.numbers[name], self.words[name]
        if number is None:
            if word:
                self._add(name, f"{word!r} is not a number of 0 or more")
            return None
        value = Decimal(number)
        if value < 0:
            self._add(name, f"{word!r} is not a number of 0 or more")
            return None
        return value

    def refuse(self, name: str, sentence: str) -> None:
        """Note what else is wrong with a field."""
        self._add(name, sentence)

    def _add(self, name: str, sentence: str) -> None:
        self.wrong = True
        self.mistakes.add(self.number, self.headers.get(name, name), sentence)


# Makes an entry of a line and its span.
MakeEntry: TypeAlias = Callable[[EntryLine, Span, ImportSite], Entry]
# Looks at what the site's entries become: what is planned, and whether it supersedes.
Judge: TypeAlias = Callable[
    [psycopg.Connection[Any], ImportSite, Planned, bool, Findings], Callable[[int], None] | None
]


def import_entries(
    connection: psycopg.Connection[Any],
    kind: EntryKind,
    file: Path,
    mapping_file: Path,
    mapping: EntryMapping,
    fields: Sequence[EntryField],
    make: MakeEntry,
    author: str,
    *,
    supersede: bool,
    dry_run: bool,
    judge: Judge | None = None,
) -> ImportResult:
    """Read, check and write a table of entries; see the callers for the parameters.

    ``judge`` looks at the whole once it is planned, before anything is written; what it returns is
    called with the commit number once it is.
    """
    site = find_site(connection, mapping.site, mapping_file)
    table, headers = _open(file, mapping_file, mapping, fields)
    findings = Findings()
    entries = _read(table, mapping, fields, headers, site, make, findings)
    named = name_import(connection, table, mapping, supersede=supersede)
    result = ImportResult(named.stream, dry_run=dry_run, rows_read=len(entries), findings=findings)
    months = ChangedMonths(site.zone)
    spans = [_span_of(kind, e) for e in entries]
    result.first = min(s[0] for s in spans).astimezone(site.zone)
    result.last = max(s[1] for s in spans).astimezone(site.zone)
    if dry_run:
        with connection.transaction():
            planned = plan_entries(connection, kind, site.site_id, entries)
            _say(kind, planned, supersede, result, months)
            if judge is not None:
                judge(connection, site, planned, supersede, findings)
        _note_months(connection, kind, site, months, result)
        return result
    stream_no = open_import(
        connection, named, site, kind.name, table, mapping, author, supersede=supersede, batches=1,
        extent=(result.first, result.last),
    )  # fmt: skip
    with connection.transaction():
        claim = ledger.Claim(
            stream_no, 1, named.digest, None, len(entries),
            (result.first - _UNIX) // _US, (result.last - _UNIX) // _US,
        )  # fmt: skip
        if not ledger.claim(connection, [claim]).new:
            result.rows_present = len(entries)
            return result
        lock_entries(connection, site.site_id)
        planned = plan_entries(connection, kind, site.site_id, entries)
        _say(kind, planned, supersede, result, months)
        after = judge(connection, site, planned, supersede, findings) if judge else None
        commit_no = draw_commit_no(connection)
        provenance = {
            "site_id": site.site_id,
            "source": mapping.source,
            "synthetic": mapping.synthetic is not None,
            "batch": batch_number(stream_no, 1),
            "author": author,
            "reason": f"import of {file.name}",
            "commit_no": commit_no,
        }
        write_entries(connection, kind, planned, provenance, supersede=supersede)
        connection.execute(
            "UPDATE import_run SET written = %s WHERE stream_no = %s",
            (result.rows_written, stream_no),
        )
        ledger.number_claims(connection, {(stream_no, 1)}, commit_no)
        if after is not None:
            after(commit_no)
        changed = [_span_of(kind, e) for e in _written(planned, supersede)]
        if changed:
            connection.execute(
                "INSERT INTO dirty_site (site_id, from_ts, to_ts, commit_no)"
                " VALUES (%s, %s, %s, %s)",
                (site.site_id, min(s[0] for s in changed), max(s[1] for s in changed), commit_no),
            )
    _note_months(connection, kind, site, months, result)
    return result


def _note_months(
    connection: psycopg.Connection[Any],
    kind: EntryKind,
    site: ImportSite,
    months: ChangedMonths,
    result: ImportResult,
) -> None:
    result.months = months.named()
    if kind.signed:
        result.closed = closed_among(connection, site.site_id, result.months)


def _written(planned: Planned, supersede: bool) -> list[Entry]:
    return planned.new + ([e for e, *_ in planned.differing] if supersede else [])


def _say(
    kind: EntryKind, planned: Planned, supersede: bool, result: ImportResult, months: ChangedMonths
) -> None:
    written = _written(planned, supersede)
    result.rows_written, result.rows_present = len(written), planned.present
    months.add_spans(_span_of(kind, e) for e in written)
    code = "superseded" if supersede else "differs"
    for entry, held, *_ in planned.differing:
        pairs = zip(kind.value, held, entry.value, strict=True)
        shown = ", ".join(f"{n} {a} there, {b} in the file" for n, a, b in pairs if a != b)
        result.findings.add(code, kind.table, f"line {entry.line}: {shown}")


def _span_of(kind: EntryKind, entry: Entry) -> Span:
    key = dict(zip(kind.key, entry.key, strict=True))
    return key["from_ts"], key["to_ts"]


def _open(
    file: Path, mapping_file: Path, mapping: EntryMapping, fields: Sequence[EntryField]
) -> tuple[Table, dict[str, str]]:
    """Open the table and return the header of each field that has a column."""
    times = ("from",) if mapping.time.span != "from_to" else ("from", "to")
    known = {f.name for f in fields} | set(times)
    errors = [
        f"no field {name!r}; there are: {', '.join(sorted(known))} - at `$.{where}`"
        for where, names in (("columns", mapping.columns), ("constants", mapping.constants),
                             ("words", mapping.words))
        for name in names
        if name not in known
    ]  # fmt: skip
    errors += [
        f"`{name}` is a column and a constant - at `$.constants.{name}`"
        for name in mapping.constants.keys() & mapping.columns.keys()
    ]
    if errors:
        raise ImportRefusedError(mapping_file, errors)
    needed = {
        name: mapping.columns.get(name, name)
        for name in (*(f.name for f in fields if f.default is None), *times)
        if name not in mapping.constants
    }
    needed |= mapping.columns
    table = open_table(file, mapping.file, list(dict.fromkeys(needed.values())))
    optional = {
        f.name: f.name
        for f in fields
        if f.default is not None and f.name not in mapping.constants
        and f.name not in mapping.columns and table.header.count(f.name) == 1
    }  # fmt: skip
    return table, needed | optional


def _read(
    table: Table,
    mapping: EntryMapping,
    fields: Sequence[EntryField],
    headers: dict[str, str],
    site: ImportSite,
    make: MakeEntry,
    findings: Findings,
) -> list[Entry]:
    mistakes = Mistakes(table.file)
    zone = site.zone if mapping.time.zone is None else zoneinfo.ZoneInfo(mapping.time.zone)
    spans = _Spans(mapping.time, headers, zone, mistakes, findings)
    seen: dict[tuple[Any, ...], Entry] = {}
    columns = list(dict.fromkeys(headers.values()))
    for chunk in table.chunks(columns, _LINES, mistakes):
        words = {f.name: _words(f, chunk, mapping, headers) for f in fields}
        numbers = {
            f.name: _numbers(f, chunk, mapping, headers) for f in fields if f.form == "number"
        }
        for i, span in enumerate(spans.read(chunk)):
            line = EntryLine(
                int(chunk.lines[i]), {n: w[i] for n, w in words.items()},
                {n: v[i] for n, v in numbers.items()}, headers, mistakes, mapping,
            )  # fmt: skip
            entry = make(line, span or (_UNIX, _UNIX), site)
            if line.wrong or span is None:
                continue
            before = seen.setdefault(entry.key, entry)
            if before is entry:
                continue
            if before.value == entry.value:
                findings.add("duplicate", table.file.name, f"line {entry.line} as {before.line}")
            else:
                mistakes.add(
                    line.number, None,
                    f"says something else than line {before.line} of the same entry; add them up, "
                    "or tell them apart",
                )  # fmt: skip
    mistakes.refuse()
    if not seen:
        raise ImportRefusedError(table.file, ["no line below the header"])
    return list(seen.values())


def _words(
    field_: EntryField, chunk: Chunk, mapping: EntryMapping, headers: dict[str, str]
) -> list[str]:
    header = headers.get(field_.name)
    if header is None:
        constant = mapping.constants.get(field_.name, field_.default or "")
        return [constant] * len(chunk)
    found: list[str] = texts(chunk.cells[header]).to_pylist()
    return found


def _numbers(
    field_: EntryField, chunk: Chunk, mapping: EntryMapping, headers: dict[str, str]
) -> list[str | None]:
    header = headers.get(field_.name)
    if header is None:
        constant = mapping.constants.get(field_.name, field_.default or "")
        return amounts(from_objects([constant]), FileForm()) * len(chunk)
    return amounts(chunk.cells[header], mapping.file)


class _Spans:
    """The span of each line: two times, or the civil day or month of one."""

    def __init__(
        self,
        time: EntryTime,
        headers: dict[str, str],
        zone: zoneinfo.ZoneInfo,
        mistakes: Mistakes,
        findings: Findings,
    ) -> None:
        self._time = time
        self._zone = zone
        self._mistakes = mistakes
        self._columns = [
            TimeColumn([headers[name]], time.format, zone, time.ambiguous, mistakes, findings)
            for name in ("from", "to")
            if name in headers and (name == "from" or time.span == "from_to")
        ]

    def read(self, chunk: Chunk) -> list[Span | None]:
        one = np.zeros(len(chunk), np.int64)
        first, good = self._columns[0].read(chunk, one)
        if self._time.span != "from_to":
            since, until = civil_spans(first, self._zone, self._time.span)
        else:
            since, (until, ends) = first, self._columns[1].read(chunk, one)
            good = good & ends
            if self._time.last_day_included:
                until = midnights_after(until, self._zone, "day")
        for i in np.flatnonzero(good & (until <= since)).tolist():
            self._mistakes.add(
                int(chunk.lines[i]), self._columns[-1].columns[0],
                "the end is not after the beginning; if it names the last day, say "
                "`last_day_included = true` under `[time]`",
            )  # fmt: skip
            good[i] = False
        return [
            (_instant(a), _instant(b)) if ok else None
            for a, b, ok in zip(since.tolist(), until.tolist(), good.tolist(), strict=True)
        ]


def _instant(us: int) -> dt.datetime:
    return _UNIX + dt.timedelta(microseconds=us)
