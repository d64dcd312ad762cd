"""A table of manual readings, line by line: which register, when, what stood there, who saw it."""

from __future__ import annotations

import datetime as dt
import hashlib
import zoneinfo
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np

from ingest.errors import ImportRefusedError
from ingest.imports.cells import amounts, texts
from ingest.imports.findings import Findings
from ingest.imports.mapping import ManualMapping
from ingest.imports.site import ImportSite
from ingest.imports.table_file import Chunk, Mistakes, Table, open_table
from ingest.imports.table_times import TimeColumn

__all__ = ["MANUAL_FIELDS", "ManualLine", "read_manual"]

# Field, and what stands for it where a file has no such column; None: it must.
MANUAL_FIELDS: Final[dict[str, str | None]] = {
    "level": None, "person": None, "plus_minus_min": "1", "photo": "", "note": "",
}  # fmt: skip
_LINES: Final = 20_000
_UNIX: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_US: Final = dt.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ManualLine:
    """One line: which series, when, what stood there."""

    line: int
    series: int
    at: dt.datetime
    level: Decimal
    plus_minus_s: int
    person: str
    photo_name: str | None
    photo_sha256: bytes | None
    note: str


def read_manual(
    file: Path, mapping: ManualMapping, site: ImportSite, findings: Findings
) -> tuple[Table, list[ManualLine]]:
    """Read a whole table.

    Raises
    ------
    ImportRefusedError
        With every line that cannot be read.
    """
    headers = {
        name: mapping.columns.get(name, name)
        for name, default in MANUAL_FIELDS.items()
        if name not in mapping.constants and (default is None or name in mapping.columns)
    }
    time = mapping.time
    times = [time.column] if isinstance(time.column, str) else time.column
    matched = [c for s in mapping.series for c in s.match]
    table = open_table(
        file, mapping.file, list(dict.fromkeys([*times, *headers.values(), *matched]))
    )
    headers |= {
        name: name
        for name in MANUAL_FIELDS
        if name not in headers and name not in mapping.constants and table.header.count(name) == 1
    }
    mistakes = Mistakes(file)
    zone = site.zone if time.zone is None else zoneinfo.ZoneInfo(time.zone)
    column = TimeColumn(times, time.format, zone, time.ambiguous, mistakes, findings)
    reader = _LineReader(table, mapping, headers, column, mistakes)
    read = []
    columns = list(dict.fromkeys([*times, *headers.values(), *matched]))
    for chunk in table.chunks(columns, _LINES, mistakes):
        read += reader.read(chunk)
    seen: dict[tuple[int, dt.datetime], int] = {}
    for r in read:
        before = seen.setdefault((r.series, r.at), r.line)
        if before != r.line:
            mistakes.add(r.line, None, f"the same series and time as line {before}")
    mistakes.refuse()
    if not read:
        raise ImportRefusedError(file, ["no line below the header"])
    return table, read


class _LineReader:
    """Turns lines into manual readings; what is wrong is collected."""

    def __init__(
        self,
        table: Table,
        mapping: ManualMapping,
        headers: dict[str, str],
        time: TimeColumn,
        mistakes: Mistakes,
    ) -> None:
        self._table = table
        self._mapping = mapping
        self._headers = headers
        self._time = time
        self._mistakes = mistakes

    def read(self, chunk: Chunk) -> list[ManualLine]:
        n = len(chunk)
        owner = self._owners(chunk)
        at_us, good = self._time.read(chunk, owner)
        words = {name: self._words(name, chunk) for name in MANUAL_FIELDS}
        levels = self._numbers("level", chunk, words["level"])
        minutes = self._numbers("plus_minus_min", chunk, words["plus_minus_min"])
        found = []
        for i in range(n):
            line = int(chunk.lines[i])
            level = self._amount(line, "level", levels[i])
            doubt = self._amount(line, "plus_minus_min", minutes[i])
            if owner[i] < 0:
                self._mistakes.add(line, None, "of no series in the mapping: add it, or drop it")
            if not words["person"][i]:
                self._mistakes.add(line, self._headers.get("person"), "who read it?")
            series = self._mapping.series[owner[i]] if owner[i] >= 0 else None
            if series and level is not None and level != round(level, series.decimals):
                self._mistakes.add(
                    line, self._headers.get("level"),
                    f"{level} has more than {series.decimals} decimals: set `decimals`",
                )  # fmt: skip
            name, sha256 = self._photo(line, words["photo"][i])
            if level is None or doubt is None or owner[i] < 0 or not good[i]:
                continue
            found.append(
                ManualLine(
                    line, int(owner[i]), _UNIX + int(at_us[i]) * _US, level, round(doubt * 60),
                    words["person"][i], name, sha256, words["note"][i],
                )
            )  # fmt: skip
        return found

    def _owners(self, chunk: Chunk) -> np.ndarray[Any, np.dtype[np.int64]]:
        owner = np.full(len(chunk), -1, np.int64)
        for series, said in enumerate(self._mapping.series):
            own = np.ones(len(chunk), np.bool_)
            for column, word in said.match.items():
                own &= np.array([w == word for w in texts(chunk.cells[column]).to_pylist()])
            owner[own] = series
        return owner

    def _words(self, name: str, chunk: Chunk) -> list[str]:
        header = self._headers.get(name)
        if header is None:
            constant = self._mapping.constants.get(name, MANUAL_FIELDS[name] or "")
            return [constant] * len(chunk)
        found: list[str] = texts(chunk.cells[header]).to_pylist()
        return found

    def _numbers(self, name: str, chunk: Chunk, words: list[str]) -> list[tuple[str | None, str]]:
        header = self._headers.get(name)
        if header is None:
            return [(word or None, word) for word in words]
        numbers = amounts(chunk.cells[header], self._mapping.file)
        return list(zip(numbers, words, strict=True))

    def _amount(self, line: int, name: str, cell: tuple[str | None, str]) -> Decimal | None:
        number, word = cell
        try:
            value = Decimal(number or "")
        except ArithmeticError:
            value = Decimal(-1)
        if value < 0:
            self._mistakes.add(
                line, self._headers.get(name, name), f"{word!r} is not a number of 0 or more"
            )
            return None
        return value

    def _photo(self, line: int, name: str) -> tuple[str | None, bytes | None]:
        if not name:
            return None, None
        folder = self._table.file.parent.resolve()
        photo = (folder / name).resolve()
        if not photo.is_relative_to(folder) or not photo.is_file():
            self._mistakes.add(
                line, self._headers.get("photo"), f"no file {name!r} beside the table"
            )
            return None, None
        with photo.open("rb") as handle:
            return name, hashlib.file_digest(handle, "sha256").digest()
