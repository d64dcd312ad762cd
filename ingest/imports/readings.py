"""Import a history: registers, gauges and amounts per interval, of any size (D16).

The whole file is read twice. First all of it is checked, so that a mistake in its last line leaves
nothing behind; then it is written, chunk by chunk, each a batch and a transaction of its own.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from enpilot.database import draw_commit_no
from enpilot.progress import Tell
from enpilot.wire import QualityFlag
from ingest import ledger
from ingest.errors import ImportRefusedError
from ingest.imports.closed import closed_among
from ingest.imports.consumption import foreign_readings, plan_derived
from ingest.imports.findings import Findings
from ingest.imports.mapping import ReadingsMapping, read_mapping
from ingest.imports.meanings import (
    cover,
    find_series,
    mean_per_h,
    meaning_mistake,
    ratio_at,
)
from ingest.imports.months import ChangedMonths
from ingest.imports.present import compare, others_there, refresh_latest, void
from ingest.imports.reading_table import (
    Parsed,
    SeriesPart,
    needed_columns,
    parse,
    period_us,
    series_name,
)
from ingest.imports.result import ImportResult
from ingest.imports.series_checks import SeriesCheck, shown_time
from ingest.imports.site import ImportSite, OpenImport, find_site, name_import, open_import
from ingest.imports.table_file import Mistakes, Table, open_table
from ingest.meaning import Meaning, series_of
from ingest.rows import Readings, batch_number, concatenate
from ingest.writer import mark_dirty, write_readings

__all__ = ["import_readings"]

# Values a chunk: a transaction of about a second, and some 50 MB of memory.
_CHUNK_VALUES: Final = 200_000
# Beyond so many mistakes the rest of the file is not worth reading.
_ENOUGH_MISTAKES: Final = 10_000
_UNIX: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def import_readings(
    connection: psycopg.Connection[Any],
    file: Path,
    mapping_file: Path,
    author: str,
    *,
    supersede: bool = False,
    dry_run: bool = False,
    progress: Tell | None = None,
    chunk_values: int = _CHUNK_VALUES,
) -> ImportResult:
    """Import a table of readings.

    An import that is cut off goes on where it stopped when it is run again, and one that is
    complete changes nothing.

    Parameters
    ----------
    connection
        Not inside a transaction.
    file, mapping_file
        The table, and what its columns mean.
    author
        Kept with the import.
    supersede
        Let values of the file count instead of others that are there for the same series and time.
        What they replace stays, and comes back when this import is retracted.
    dry_run
        Check and compare everything, write nothing.
    progress
        Told how far it is.
    chunk_values
        Values a transaction. Another number is another division into batches: do not change it
        between two runs of an import that was cut off.

    Raises
    ------
    ImportRefusedError
        If file or mapping do not fit, with everything that is wrong; nothing is written then.
    """
    mapping = read_mapping(mapping_file, ReadingsMapping)
    site = find_site(connection, mapping.site, mapping_file)
    _require_points(mapping, mapping_file, site)
    table = open_table(file, mapping.file, needed_columns(mapping))
    zone = site.zone if mapping.time.zone is None else zoneinfo.ZoneInfo(mapping.time.zone)
    lines = max(1, chunk_values // (1 if mapping.long else len(mapping.series)))
    run = _ReadingsImport(
        connection, table, mapping, mapping_file, site, zone, lines, author, supersede,
        progress or _silent,
    )  # fmt: skip
    return run.rehearse() if dry_run else run.perform()


@dataclass(slots=True)
class _Extent:
    first_us: int
    last_us: int


class _ReadingsImport:
    """One run over a table: check all of it, then compare or write it."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        table: Table,
        mapping: ReadingsMapping,
        mapping_file: Path,
        site: ImportSite,
        zone: zoneinfo.ZoneInfo,
        lines: int,
        author: str,
        supersede: bool,
        progress: Tell,
    ) -> None:
        self._connection = connection
        self._table = table
        self._mapping = mapping
        self._mapping_file = mapping_file
        self._site = site
        self._zone = zone
        self._lines = lines
        self._author = author
        self._supersede = supersede
        self._progress = progress
        self._declared = [s.declaration() for s in mapping.series]
        self._months = ChangedMonths(site.zone)
        self._extents: dict[int, _Extent] = {}
        self._chunks = 0
        with connection.transaction():
            self._series = [
                find_series(connection, site, s.point, s.quantity, s.channel)
                for s in mapping.series
            ]
            self._named = name_import(connection, table, mapping, supersede=supersede)
        self._result = ImportResult(self._named.stream)

    def rehearse(self) -> ImportResult:
        """Say what an import would do."""
        self._result.dry_run = True
        self._check()
        for parsed in self._parsed("comparing"):
            with self._connection.transaction():
                self._rows(parsed, 0)
        return self._finished()

    def perform(self) -> ImportResult:
        """Import what is not there yet."""
        self._check()
        with self._connection.transaction():
            self._series = [
                series_of(
                    self._connection, self._site.site_id, self._site.points[s.point], s.quantity,
                    s.channel,
                )
                for s in self._mapping.series
            ]  # fmt: skip
        stream_no = open_import(
            self._connection, self._named, self._site, "readings", self._table, self._mapping,
            self._author, supersede=self._supersede, batches=self._chunks,
            extent=(self._result.first, self._result.last),
        )  # fmt: skip
        self._named = OpenImport(self._named.stream, self._named.digest, stream_no)
        for seq, parsed in enumerate(self._parsed("writing"), 1):
            with self._connection.transaction():
                self._write(seq, parsed)
        return self._finished()

    def _check(self) -> None:
        """Read everything once; refuse it all if anything is wrong."""
        mistakes = Mistakes(self._table.file)
        checks: dict[int, SeriesCheck] = {}
        for parsed in parse(
            self._table, self._mapping, self._zone, self._lines, mistakes, self._result.findings
        ):
            self._chunks += 1
            self._result.rows_read += parsed.values
            for part in parsed.parts:
                if not len(part):
                    continue
                if part.series not in checks:
                    checks[part.series] = self._series_check(part)
                checks[part.series].feed(part)
                self._extend(part)
            self._progress("checking", parsed.share)
            if mistakes.count > _ENOUGH_MISTAKES:
                break
        mistakes.refuse()
        if not self._result.rows_read:
            raise ImportRefusedError(self._table.file, ["no line below the header"])
        self._result.series = [checks[s].summary() for s in sorted(checks)]
        if self._extents:
            extents, zone = self._extents.values(), self._site.zone
            self._result.first = _instant(min(e.first_us for e in extents)).astimezone(zone)
            self._result.last = _instant(max(e.last_us for e in extents)).astimezone(zone)
        self._check_meanings()

    def _extend(self, part: SeriesPart) -> None:
        first, last = int(part.ts_us[0]), int(part.end_us[-1])
        extent = self._extents.setdefault(part.series, _Extent(first, last))
        extent.first_us = min(extent.first_us, first)
        extent.last_us = max(extent.last_us, last)

    def _series_check(self, part: SeriesPart) -> SeriesCheck:
        column, declared = self._mapping.series[part.series], self._declared[part.series]
        point_id = self._site.points[column.point]
        series_id = self._series[part.series]
        with self._connection.transaction():
            ratio = ratio_at(self._connection, point_id, declared, int(part.ts_us[0]))
            known = None if series_id is None else mean_per_h(self._connection, series_id)
        return SeriesCheck(
            column, self._site.zone, period_us(self._mapping),
            float(declared.register_scale) * abs(ratio), known, self._result.findings,
        )  # fmt: skip

    def _check_meanings(self) -> None:
        errors = []
        with self._connection.transaction():
            for series, extent in sorted(self._extents.items()):
                series_id, column = self._series[series], self._mapping.series[series]
                if series_id is None:
                    continue
                # The end of a consumption is the next one's start, and may belong to another.
                last_us = extent.last_us - (column.kind == "consumption")
                mistake = meaning_mistake(
                    self._connection, series_id, self._declared[series], extent.first_us, last_us,
                    self._site,
                )  # fmt: skip
                if mistake is None and foreign_readings(
                    self._connection, series_id, extent.first_us + 1, last_us - 1,
                    derived=column.kind == "consumption",
                ):  # fmt: skip
                    mistake = (
                        f"{series_name(column)} holds registers and amounts per interval for the "
                        "same time: give one of them another channel"
                    )
                if mistake is not None:
                    errors.append(f"{mistake} - at `$.series[{series}]`")
        if errors:
            raise ImportRefusedError(self._mapping_file, errors)

    def _parsed(self, doing: str) -> Any:
        """Read everything again; mistakes and findings were said the first time."""
        mistakes, findings = Mistakes(self._table.file), Findings()
        for done, parsed in enumerate(
            parse(self._table, self._mapping, self._zone, self._lines, mistakes, findings), 1
        ):
            yield parsed
            self._progress(doing, done / max(1, self._chunks))

    def _rows(self, parsed: Parsed, batch: int) -> tuple[list[Readings], NDArray[np.void] | None]:
        """Return what is to be written of a chunk, and what of the old no longer counts."""
        registers: list[SeriesPart] = []
        amounts: list[SeriesPart] = []
        for part in parsed.parts:
            derived = self._mapping.series[part.series].kind == "consumption"
            (amounts if derived else registers).append(part)
        rows: list[Readings] = []
        old: list[NDArray[np.void]] = []
        if registers:
            self._register_rows(registers, batch, rows, old)
        for part in amounts:
            self._derived_rows(part, batch, rows, old)
        return rows, np.concatenate(old) if old else None

    def _register_rows(
        self,
        parts: Sequence[SeriesPart],
        batch: int,
        rows: list[Readings],
        old: list[NDArray[np.void]],
    ) -> None:
        found = concatenate([self._readings(part, batch) for part in parts])
        there = compare(self._connection, found)
        lines = np.concatenate([part.lines for part in parts])
        owner = np.repeat([part.series for part in parts], [len(part) for part in parts])
        differing = np.flatnonzero(there.differs)
        for series in np.unique(owner[differing]).tolist():
            own = differing[owner[differing] == series]
            shown = [
                f"line {lines[i]}, {shown_time(int(found.ts_us[i]), self._site.zone)}: "
                f"{there.shown(i, int(found.kind[i]))} there, {_number(found, i)} in the file"
                for i in own[:5].tolist()
            ]
            self._say_differs(series, shown, len(own))
        self._result.rows_present += int(there.same.sum())
        kept = ~there.same if self._supersede else ~there.same & ~there.differs
        written = found.take(np.flatnonzero(kept))
        self._count(int(kept.sum()), written.ts_us)
        rows.append(written)
        if self._supersede and len(differing) and not self._result.dry_run:
            replaced = found.take(differing)
            old.append(
                others_there(
                    self._connection, replaced.series_id, replaced.ts_us, batch, derived=False
                )
            )  # fmt: skip

    def _derived_rows(
        self, part: SeriesPart, batch: int, rows: list[Readings], old: list[NDArray[np.void]]
    ) -> None:
        series_id = self._series[part.series]
        if not len(part):
            return
        plan = plan_derived(
            self._connection, series_id or 0, part, batch, supersede=self._supersede
        )
        scale = 10 ** self._mapping.series[part.series].decimals
        unit = self._mapping.series[part.series].unit
        said = [
            f"line {part.lines[i]}, {shown_time(int(part.ts_us[i]), self._site.zone)}: "
            + (
                f"{plan.there[i] / scale} {unit} there, {part.whole[i] / scale} in the file"
                if plan.differs[i] else "overlaps an interval that is there; never replaced"
            )
            for i in np.flatnonzero(plan.differs | plan.overlaps)[:5].tolist()
        ]  # fmt: skip
        kept_out = plan.overlaps | (plan.differs & ~plan.written)
        if said:
            self._say_differs(part.series, said, int((plan.differs | plan.overlaps).sum()),
                              all_replaced=not kept_out.any())  # fmt: skip
        self._result.rows_present += int(plan.same.sum())
        self._count(int(plan.written.sum()), part.ts_us[plan.written])
        rows.append(plan.rows)
        if len(plan.void_us) and series_id is not None and not self._result.dry_run:
            ids = np.full(len(plan.void_us), series_id, np.int32)
            old.append(others_there(self._connection, ids, plan.void_us, batch, derived=True))

    def _say_differs(
        self, series: int, shown: list[str], count: int, *, all_replaced: bool | None = None
    ) -> None:
        replaced = self._supersede if all_replaced is None else all_replaced
        name = series_name(self._mapping.series[series])
        for i, evidence in enumerate(shown):
            rest = count - len(shown) if i == len(shown) - 1 else 0
            self._result.findings.add(
                "superseded" if replaced else "differs", name, evidence, 1 + rest
            )

    def _readings(self, part: SeriesPart, batch: int) -> Readings:
        n = len(part)
        return Readings(
            part.ts_us, np.full(n, self._series[part.series] or 0, np.int32), part.kind,
            part.whole, part.real, (part.quality | QualityFlag.IMPORTED).astype(np.int16),
            np.zeros(n, np.int16), np.full(n, batch, np.int64),
        )  # fmt: skip

    def _write(self, seq: int, parsed: Parsed) -> None:
        stream_no = self._named.stream_no
        batch = batch_number(stream_no, seq)
        ends = [(int(p.ts_us.min()), int(p.end_us.max())) for p in parsed.parts if len(p)]
        claim = ledger.Claim(
            stream_no, seq, self._named.digest, None, parsed.values,
            min((e[0] for e in ends), default=None), max((e[1] for e in ends), default=None),
        )  # fmt: skip
        if not ledger.claim(self._connection, [claim]).new:
            self._result.rows_present += parsed.values
            return
        before = self._result.rows_written
        written, old = self._rows(parsed, batch)
        rows = concatenate(written)
        if len(rows):
            write_readings(self._connection, rows)
        self._connection.execute(
            "UPDATE import_run SET written = written + %s WHERE stream_no = %s",
            (self._result.rows_written - before, stream_no),
        )
        commit_no = draw_commit_no(self._connection)
        ledger.number_claims(self._connection, {(stream_no, seq)}, commit_no)
        if old is not None:
            void(
                self._connection, old, batch, self._author,
                f"superseded by import of {self._table.file.name}", commit_no,
            )  # fmt: skip
            refresh_latest(self._connection, np.unique(rows.series_id).tolist())
        if len(rows):
            self._mean(parsed, rows, commit_no)

    def _mean(self, parsed: Parsed, rows: Readings, commit_no: int) -> None:
        """Give the new readings a meaning where they have none, and mark their spans."""
        for part in parsed.parts:
            series_id = self._series[part.series]
            own = rows.ts_us[rows.series_id == series_id]
            if series_id is None or not len(own):
                continue
            cover(
                self._connection, self._meaning(series_id, part.series),
                int(own.min()), int(own.max()), commit_no,
            )  # fmt: skip
        mark_dirty(self._connection, rows, {}, commit_no, set())

    def _meaning(self, series_id: int, series: int) -> Meaning:
        # An amount of a day says nothing of its hours: no schedule, so that all of it is a gap
        # between two registers, known in sum and estimated within.
        amount = self._mapping.series[series].kind == "consumption"
        coarse = amount and period_us(self._mapping) > 3600 * 1_000_000
        period = None if coarse else period_us(self._mapping) // 1_000_000
        return Meaning(series_id, self._declared[series], period, "import", None, self._author)

    def _count(self, written: int, ts_us: NDArray[np.int64]) -> None:
        self._result.rows_written += written
        if written:
            self._months.add_instants(ts_us)

    def _finished(self) -> ImportResult:
        result = self._result
        result.months = self._months.named()
        result.closed = closed_among(self._connection, self._site.site_id, result.months)
        return result


def _require_points(mapping: ReadingsMapping, mapping_file: Path, site: ImportSite) -> None:
    errors = [
        f"site {mapping.site!r} has no point {column.point!r} - at `$.series[{i}].point`"
        for i, column in enumerate(mapping.series)
        if column.point not in site.points
    ]
    if errors:
        raise ImportRefusedError(mapping_file, errors)


def _number(rows: Readings, i: int) -> str:
    return str(int(rows.whole[i])) if rows.kind[i] == 0 else repr(float(rows.real[i]))


def _instant(us: int) -> dt.datetime:
    return _UNIX + dt.timedelta(microseconds=us)


def _silent(doing: str, share: float) -> None:
    """Progress that nobody looks at."""
