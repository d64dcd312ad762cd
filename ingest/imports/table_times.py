"""The time column of a table: local times to UTC, with the line of what cannot be placed."""

from __future__ import annotations

import zoneinfo
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ingest.imports.cells import Cells, texts
from ingest.imports.findings import Findings
from ingest.imports.instants import (
    ClockChanges,
    LocalTimes,
    ambiguous,
    nonexistent,
    read_serials,
    read_texts,
    to_utc,
)
from ingest.imports.mapping import Ambiguous
from ingest.imports.table_file import Chunk, Mistakes

__all__ = ["TimeColumn"]

_MIDNIGHT: Final = " 00:00:00"


class TimeColumn:
    """Reads one column (or date and time in two) chunk by chunk.

    Wall clock times that came twice "by order" are told apart by the line before, so the chunks of
    a table must be read in order.
    """

    def __init__(
        self,
        columns: list[str],
        form: str,
        zone: zoneinfo.ZoneInfo,
        rule: Ambiguous,
        mistakes: Mistakes,
        findings: Findings,
    ) -> None:
        self.columns = columns
        self._form = form
        self._zone = zone
        self._rule = rule
        self._mistakes = mistakes
        self._findings = findings
        self._last_utc: dict[int, int] = {}

    def read(
        self, chunk: Chunk, series: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return instants [µs since 1970, UTC], and which lines have one.

        Parameters
        ----------
        chunk
            Some lines.
        series
            Which series each line belongs to; order is kept within a series.
        """
        times = self._joined(chunk) if len(self.columns) > 1 else self._single(chunk)
        name = self.columns[0]
        for i in np.flatnonzero(~times.is_read).tolist():
            self._mistakes.add(int(chunk.lines[i]), name, self._unreadable(chunk, i))
        local = times.is_read & ~times.is_utc
        changes = ClockChanges.of(self._zone, times.us[local])
        skipped = local & nonexistent(changes, times.us)
        for i in np.flatnonzero(skipped).tolist():
            self._mistakes.add(
                int(chunk.lines[i]), name,
                f"{self._shown(chunk, i)!r} never was: the clock of {self._zone.key} went forward "
                "over it; is `zone` right?",
            )  # fmt: skip
        placed = times.is_read & ~skipped
        twice = local & ambiguous(changes, times.us)
        second = np.full(len(chunk), self._rule == "second")
        if twice.any():
            self._say_twice(chunk, twice)
        utc = np.where(local, to_utc(changes, times.us, second), times.us)
        if self._rule == "by_order":
            self._by_order(utc, to_utc(changes, times.us, ~second), twice, series)
        return utc, placed & (~twice if self._rule == "refuse" else True)

    def _single(self, chunk: Chunk) -> LocalTimes:
        cells = chunk.cells[self.columns[0]]
        if self._form == "excel":
            words = pc.utf8_trim_whitespace(cells.text)
            number = pc.match_substring_regex(words, r"^[0-9]+([.][0-9]+)?$")
            typed = pc.cast(pc.if_else(number, words, None), pa.float64())
            days = pc.fill_null(typed, np.nan).to_numpy(zero_copy_only=False).copy()
            days[cells.is_whole] = cells.whole[cells.is_whole]
            days[cells.is_real] = cells.real[cells.is_real]
            read = read_serials(days)
        else:
            read = read_texts(cells.text, self._form)
        return _with_dates(read, cells)

    def _joined(self, chunk: Chunk) -> LocalTimes:
        """Read date and time that stand in two columns."""
        parts = [
            pc.replace_substring_regex(texts(chunk.cells[c]), f"{_MIDNIGHT}$", "")
            if chunk.cells[c].is_instant.any() else texts(chunk.cells[c])
            for c in self.columns
        ]  # fmt: skip
        return read_texts(pc.binary_join_element_wise(*parts, " "), self._form)

    def _say_twice(self, chunk: Chunk, twice: NDArray[np.bool_]) -> None:
        lines = np.flatnonzero(twice).tolist()
        if self._rule != "refuse":
            shown = f"line {chunk.lines[lines[0]]}: {self._shown(chunk, lines[0])}"
            self._findings.add("clock_change", self._zone.key, shown, len(lines))
            return
        for i in lines:
            self._mistakes.add(
                int(chunk.lines[i]), self.columns[0],
                f"{self._shown(chunk, i)!r} came twice when the clock of {self._zone.key} went "
                'back: say `ambiguous = "first"`, "second" or "by_order" under `[time]`',
            )  # fmt: skip

    def _by_order(
        self,
        utc: NDArray[np.int64],
        later: NDArray[np.int64],
        twice: NDArray[np.bool_],
        series: NDArray[np.int64],
    ) -> None:
        """Move a time to its second coming where its series would else not go forward."""
        order = np.argsort(series, kind="stable")
        before = np.full(len(utc), -1, np.int64)
        same = series[order][1:] == series[order][:-1]
        before[order[1:][same]] = order[:-1][same]
        for i in np.flatnonzero(twice).tolist():
            last = utc[before[i]] if before[i] >= 0 else self._last_utc.get(int(series[i]))
            if last is not None and utc[i] <= last:
                utc[i] = later[i]
        for i in order[np.flatnonzero(np.append(~same, True))].tolist():
            self._last_utc[int(series[i])] = int(utc[i])

    def _unreadable(self, chunk: Chunk, i: int) -> str:
        shown = self._shown(chunk, i)
        if not shown:
            return "no time"
        cells = chunk.cells[self.columns[0]]
        if (cells.is_whole[i] or cells.is_real[i]) and self._form != "excel":
            return f'{shown} is a number: if it is Excel\'s, say `format = "excel"` under `[time]`'
        return f"{shown!r} is not a time of the form {self._form!r}; see `format` under `[time]`"

    def _shown(self, chunk: Chunk, i: int) -> str:
        return " ".join(chunk.cells[c].shown(i) for c in self.columns).strip()


def _with_dates(read: LocalTimes, cells: Cells) -> LocalTimes:
    """Let cells that are dates already count whatever the declared form."""
    if not cells.is_instant.any():
        return read
    dated: Any = cells.is_instant
    return LocalTimes(
        np.where(dated, cells.instant_us, read.us),
        np.where(dated, cells.utc, read.is_utc),
        read.is_read | dated,
    )
