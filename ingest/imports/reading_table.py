"""A table of readings, wide or long, as arrays of one series after the other, chunk by chunk."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from enpilot.wire import Quality
from ingest.imports.cells import (
    MISSING,
    READ,
    WRONG,
    Cells,
    number_mistake,
    real_numbers,
    texts,
    whole_numbers,
)
from ingest.imports.findings import Findings
from ingest.imports.instants import midnights_after
from ingest.imports.mapping import ReadingColumn, ReadingsMapping
from ingest.imports.table_file import Chunk, Mistakes, Table
from ingest.imports.table_times import TimeColumn
from ingest.rows import KIND_INT, KIND_NULL, KIND_REAL

__all__ = ["Parsed", "SeriesPart", "needed_columns", "parse", "period_us", "series_name"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SeriesPart:
    """Lines of one series in order of time, each instant once; arrays of shape (n,).

    ``ts_us`` is the instant of a register or the start of a consumption, ``end_us`` the latter's
    end. ``kind`` says whether ``whole``, ``real`` or neither holds the number (`ingest.rows`).
    """

    series: int
    lines: Ints
    ts_us: Ints
    end_us: Ints
    kind: NDArray[np.int8]
    whole: Ints
    real: NDArray[np.float64]
    quality: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.lines)

    def take(self, index: NDArray[Any]) -> SeriesPart:
        """Return the lines of ``index``, positions or a mask."""
        return SeriesPart(
            self.series, self.lines[index], self.ts_us[index], self.end_us[index],
            self.kind[index], self.whole[index], self.real[index], self.quality[index],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one chunk of lines says."""

    parts: list[SeriesPart]
    values: int  # that the chunk held, repeated ones too
    share: float


@dataclass(slots=True)
class _Last:
    """The last line of a series so far, for what goes across chunks."""

    line: int
    ts_us: int
    end_us: int
    kind: int
    whole: int
    real: float


def series_name(column: ReadingColumn) -> str:
    """Return how a series is called in findings."""
    return f"{column.point} {column.quantity} {column.channel}"


def period_us(mapping: ReadingsMapping) -> int:
    """Return the period of the lines [µs]; a month counts 31 days."""
    seconds = {"day": 86_400, "month": 31 * 86_400}.get(mapping.period or "", mapping.period_s)
    return seconds * 1_000_000


def needed_columns(mapping: ReadingsMapping) -> list[str]:
    """Return the columns that the mapping speaks of, each once."""
    columns = list(_time_columns(mapping))
    if mapping.long is not None:
        columns += [mapping.long.value, *(c for s in mapping.series for c in s.match or {})]
    else:
        columns += [s.column for s in mapping.series if s.column is not None]
    return list(dict.fromkeys(columns))


def parse(
    table: Table,
    mapping: ReadingsMapping,
    zone: zoneinfo.ZoneInfo,
    lines: int,
    mistakes: Mistakes,
    findings: Findings,
) -> Iterator[Parsed]:
    """Read a table from its first line to its last.

    Parameters
    ----------
    table, mapping
        The file, and what its columns mean.
    zone
        Of times without an offset.
    lines
        How many at a time.
    mistakes, findings
        Collect what is wrong, and what is odd.
    """
    parser = _Parser(mapping, zone, mistakes, findings)
    for chunk in table.chunks(needed_columns(mapping), lines, mistakes):
        yield parser.read(chunk)


def _time_columns(mapping: ReadingsMapping) -> list[str]:
    column = mapping.time.column
    return [column] if isinstance(column, str) else column


class _Parser:
    def __init__(
        self,
        mapping: ReadingsMapping,
        zone: zoneinfo.ZoneInfo,
        mistakes: Mistakes,
        findings: Findings,
    ) -> None:
        self._mapping = mapping
        self._zone = zone
        self._mistakes = mistakes
        self._findings = findings
        time = mapping.time
        self._times = TimeColumn(
            _time_columns(mapping), time.format, zone, time.ambiguous, mistakes, findings
        )
        self._last: dict[int, _Last] = {}

    def read(self, chunk: Chunk) -> Parsed:
        parts: list[SeriesPart] = []
        values = 0
        for series, part in self._columns(chunk):
            values += len(part)
            column = self._mapping.series[series]
            part = self._numbered(part, column)
            if len(part):
                parts.append(self._in_order(part, column))
        return Parsed(parts, values, chunk.share)

    def _columns(self, chunk: Chunk) -> Iterator[tuple[int, SeriesPart]]:
        """Yield the readable lines of each series; numbers are not looked at beyond their form."""
        long = self._mapping.long
        if long is None:
            utc, placed = self._times.read(chunk, np.zeros(len(chunk), np.int64))
            keep = np.flatnonzero(placed)
            for series, column in enumerate(self._mapping.series):
                assert column.column is not None  # a wide table's mapping has been checked
                part = self._values(chunk, chunk.cells[column.column], series, utc, column.column)
                yield series, part.take(keep)
            return
        owner = self._owners(chunk)
        utc, placed = self._times.read(chunk, owner)
        for series in np.unique(owner[owner >= 0]).tolist():
            part = self._values(
                chunk, chunk.cells[long.value], series, utc, long.value, owner == series
            )
            yield series, part.take(np.flatnonzero(placed & (owner == series)))

    def _owners(self, chunk: Chunk) -> Ints:
        long = self._mapping.long
        assert long is not None  # only asked of long tables
        words = {c: texts(chunk.cells[c]) for s in self._mapping.series for c in s.match or {}}
        owner = np.full(len(chunk), -1, np.int64)
        for series, column in enumerate(self._mapping.series):
            own = np.ones(len(chunk), np.bool_)
            for name, word in (column.match or {}).items():
                own &= pc.equal(words[name], word).to_numpy(zero_copy_only=False)
            for i in np.flatnonzero(own & (owner >= 0)).tolist():
                self._mistakes.add(
                    int(chunk.lines[i]), None,
                    f"belongs to `$.series[{owner[i]}]` and to `$.series[{series}]`",
                )  # fmt: skip
            owner[own] = series
        others = np.flatnonzero(owner < 0)
        if len(others):
            self._say_others(chunk, words, others.tolist(), long.others)
        return owner

    def _say_others(
        self, chunk: Chunk, words: dict[str, Any], others: list[int], rule: str
    ) -> None:
        def shown(i: int) -> str:
            return ", ".join(f"{name} {column[i].as_py()!r}" for name, column in words.items())

        if rule == "ignore":
            first = f"line {chunk.lines[others[0]]}: {shown(others[0])}"
            self._findings.add("other_lines", self._mapping.site, first, len(others))
            return
        for i in others:
            self._mistakes.add(
                int(chunk.lines[i]), None,
                f'{shown(i)} is no series of the mapping; add it, or say `others = "ignore"` '
                "under `[long]`",
            )  # fmt: skip

    def _values(
        self,
        chunk: Chunk,
        cells: Cells,
        series: int,
        utc: Ints,
        name: str,
        own: NDArray[np.bool_] | None = None,
    ) -> SeriesPart:
        column = self._mapping.series[series]
        n = len(chunk)
        whole, real = np.zeros(n, np.int64), np.zeros(n, np.float64)
        is_whole = "int" in column.declaration().raw_type
        if is_whole:
            whole, states = whole_numbers(cells, column.decimals, self._mapping.file)
        else:
            real, states = real_numbers(cells, self._mapping.file)
        wrong = states == WRONG if own is None else (states == WRONG) & own
        for i in np.flatnonzero(wrong).tolist():
            decimals = column.decimals if is_whole else None
            self._mistakes.add(
                int(chunk.lines[i]), name,
                number_mistake(cells.shown(i), decimals, self._mapping.file),
            )  # fmt: skip
        kind = np.where(states == READ, KIND_INT if is_whole else KIND_REAL, KIND_NULL)
        quality = np.where(states == MISSING, Quality.NOT_AVAILABLE, Quality.GOOD)
        infinite = ~np.isfinite(real)
        kind[infinite], quality[infinite] = KIND_NULL, Quality.NOT_FINITE
        real[infinite] = 0.0
        return SeriesPart(
            series, chunk.lines, utc, utc, kind.astype(np.int8), whole, real,
            quality.astype(np.int16),
        )  # fmt: skip

    def _numbered(self, part: SeriesPart, column: ReadingColumn) -> SeriesPart:
        """Say what is empty, give spans to consumption, move stamps to the start."""
        name = series_name(column)
        for code, quality in (
            ("not_available", Quality.NOT_AVAILABLE), ("not_finite", Quality.NOT_FINITE),
        ):  # fmt: skip
            found = np.flatnonzero(part.quality == quality)
            if len(found):
                self._findings.add(code, name, f"line {part.lines[found[0]]}", len(found))
        stamp = self._mapping.time.stamp
        if column.kind == "consumption":
            part = part.take(part.kind != KIND_NULL)  # not known is not zero: no interval at all
            for i in np.flatnonzero(part.whole < 0).tolist():
                self._mistakes.add(
                    int(part.lines[i]), column.column,
                    "a consumption below zero: what flows back is a channel of its own",
                )  # fmt: skip
        if stamp == "instant" or not len(part):
            return part
        if stamp == "start":
            return replace(part, end_us=self._moved(part.ts_us, back=False))
        return replace(part, ts_us=self._moved(part.ts_us, back=True))

    def _moved(self, ts_us: Ints, *, back: bool) -> Ints:
        if self._mapping.period is None:
            step = self._mapping.period_s * 1_000_000
            return ts_us - step if back else ts_us + step
        return midnights_after(ts_us, self._zone, self._mapping.period, back=back)

    def _in_order(self, part: SeriesPart, column: ReadingColumn) -> SeriesPart:
        """Order a part by time and drop what is said twice; a contradiction is a mistake."""
        name = series_name(column)
        last = self._last.get(part.series)
        backward = np.flatnonzero(np.diff(part.ts_us) < 0)
        if last is not None and part.ts_us[0] < last.ts_us:
            backward = np.append(backward, -1)
        if len(backward):
            line = part.lines[int(backward.min()) + 1]
            self._findings.add("disorder", name, f"line {line}", len(backward))
        if len(backward):
            part = part.take(np.argsort(part.ts_us, kind="stable"))
        follows = last is not None and last.ts_us <= part.ts_us[0]
        if last is not None and follows:
            part = _join(_one(part.series, last), part)
        again = np.flatnonzero(np.diff(part.ts_us) == 0) + 1
        self._say_again(part, again, column)
        keep = np.ones(len(part), np.bool_)
        keep[again] = False
        if column.kind == "consumption":
            self._overlaps(part.take(keep), column)
        if follows:
            keep[0] = False
        part = part.take(keep)
        if len(part) and (last is None or part.ts_us[-1] > last.ts_us):
            self._last[part.series] = _Last(
                int(part.lines[-1]), int(part.ts_us[-1]), int(part.end_us[-1]),
                int(part.kind[-1]), int(part.whole[-1]), float(part.real[-1]),
            )  # fmt: skip
        return part

    def _say_again(self, part: SeriesPart, again: Ints, column: ReadingColumn) -> None:
        name = series_name(column)
        for i in again.tolist():
            same = (
                part.kind[i] == part.kind[i - 1]
                and part.whole[i] == part.whole[i - 1]
                and part.real[i] == part.real[i - 1]
            )
            if same:
                self._findings.add(
                    "duplicate", name, f"line {part.lines[i]} as line {part.lines[i - 1]}"
                )
            else:
                self._mistakes.add(
                    int(part.lines[i]), column.column,
                    f"another value than line {part.lines[i - 1]} for the same time; where the "
                    'clock went back, say `ambiguous = "by_order"` under `[time]`',
                )  # fmt: skip

    def _overlaps(self, part: SeriesPart, column: ReadingColumn) -> None:
        for i in np.flatnonzero(part.ts_us[1:] < part.end_us[:-1]).tolist():
            self._mistakes.add(
                int(part.lines[i + 1]), column.column,
                f"begins before the interval of line {part.lines[i]} ends: is the period right "
                "(`period_s`, `period`)?",
            )  # fmt: skip


def _one(series: int, last: _Last) -> SeriesPart:
    return SeriesPart(
        series, np.array([last.line]), np.array([last.ts_us]), np.array([last.end_us]),
        np.array([last.kind], np.int8), np.array([last.whole]), np.array([last.real]),
        np.zeros(1, np.int16),
    )  # fmt: skip


def _join(first: SeriesPart, rest: SeriesPart) -> SeriesPart:
    return SeriesPart(
        rest.series, np.append(first.lines, rest.lines), np.append(first.ts_us, rest.ts_us),
        np.append(first.end_us, rest.end_us), np.append(first.kind, rest.kind),
        np.append(first.whole, rest.whole), np.append(first.real, rest.real),
        np.append(first.quality, rest.quality),
    )  # fmt: skip
