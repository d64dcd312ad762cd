"""Import what people read off registers: anchors beside telemetry, readings where there is none.

A manual reading never creates a reset: one that lies below an earlier register is kept as evidence
and not used (F23).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import psycopg

from enpilot.database import draw_commit_no
from enpilot.quantities import unit_ratio
from enpilot.wire import QualityFlag
from ingest import ledger
from ingest.errors import ImportRefusedError
from ingest.imports.anchors import Anchor, compare_anchor, earlier_level, has_telemetry_around
from ingest.imports.closed import closed_among
from ingest.imports.entries import MANUAL, Entry, Planned, lock_entries, plan_entries, write_entries
from ingest.imports.findings import FINDINGS, Findings
from ingest.imports.manual_table import MANUAL_FIELDS, ManualLine, read_manual
from ingest.imports.mapping import ManualMapping, ManualSeries, read_mapping
from ingest.imports.meanings import cover
from ingest.imports.months import ChangedMonths
from ingest.imports.present import others_there, refresh_latest, void
from ingest.imports.result import ImportResult
from ingest.imports.site import ImportSite, find_site, name_import, open_import
from ingest.imports.table_file import Table
from ingest.meaning import Meaning, series_of
from ingest.rows import KIND_INT, KIND_REAL, Readings, batch_number
from ingest.writer import mark_dirty, write_readings

__all__ = ["import_manual"]

_UNIX: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_US: Final = dt.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Judged:
    """What a manual reading is used for; ``counts`` is it in the series' register counts."""

    entry: Entry
    series_id: int
    at: dt.datetime
    counts: Fraction
    whole_number: bool
    role: str
    anchor: Anchor | None


def import_manual(
    connection: psycopg.Connection[Any],
    file: Path,
    mapping_file: Path,
    author: str,
    *,
    supersede: bool = False,
    dry_run: bool = False,
) -> ImportResult:
    """Import a table with the fields level, person, plus_minus_min, photo, note, and a time.

    The whole file is one transaction. A photo is a file beside the table; its hash is kept.

    Raises
    ------
    ingest.errors.ImportRefusedError
        With every line that cannot be read; nothing is written then.
    """
    mapping = read_mapping(mapping_file, ManualMapping)
    site = find_site(connection, mapping.site, mapping_file)
    wrong = [
        f"site {mapping.site!r} has no point {s.point!r} - at `$.series[{i}].point`"
        for i, s in enumerate(mapping.series)
        if s.point not in site.points
    ]
    wrong += [
        f"no field {name!r}; there are: {', '.join(MANUAL_FIELDS)} - at `$.{where}`"
        for where, names in (("columns", mapping.columns), ("constants", mapping.constants))
        for name in names
        if name not in MANUAL_FIELDS
    ]
    if wrong:
        raise ImportRefusedError(mapping_file, wrong)
    findings = Findings()
    table, read = read_manual(file, mapping, site, findings)
    return _ManualImport(
        connection, table, mapping, site, read, findings, author, supersede
    ).run(dry_run=dry_run)  # fmt: skip


class _ManualImport:
    def __init__(
        self,
        connection: psycopg.Connection[Any],
        table: Table,
        mapping: ManualMapping,
        site: ImportSite,
        read: list[ManualLine],
        findings: Findings,
        author: str,
        supersede: bool,
    ) -> None:
        self._connection = connection
        self._table = table
        self._mapping = mapping
        self._site = site
        self._read = sorted(read, key=lambda r: (r.series, r.at))
        self._findings = findings
        self._author = author
        self._supersede = supersede
        self._months = ChangedMonths(site.zone)
        self._previous: dict[int, Fraction] = {}

    def run(self, *, dry_run: bool) -> ImportResult:
        """Compare, and unless it is a rehearsal, write."""
        connection = self._connection
        named = name_import(connection, self._table, self._mapping, supersede=self._supersede)
        result = ImportResult(
            named.stream, dry_run=dry_run, rows_read=len(self._read), findings=self._findings,
            first=min(r.at for r in self._read).astimezone(self._site.zone),
            last=max(r.at for r in self._read).astimezone(self._site.zone),
        )  # fmt: skip
        if dry_run:
            with connection.transaction(force_rollback=True):
                self._plan(result)
            self._note_months(result)
            return result
        stream_no = open_import(
            connection, named, self._site, "manual", self._table, self._mapping, self._author,
            supersede=self._supersede, batches=1, extent=(result.first, result.last),
        )  # fmt: skip
        with connection.transaction():
            claim = ledger.Claim(
                stream_no, 1, named.digest, None, len(self._read),
                (result.first - _UNIX) // _US if result.first else None,
                (result.last - _UNIX) // _US if result.last else None,
            )  # fmt: skip
            if not ledger.claim(connection, [claim]).new:
                result.rows_present = len(self._read)
                return result
            lock_entries(connection, self._site.site_id)
            planned, judged = self._plan(result)
            self._write(planned, judged, stream_no, result)
        self._note_months(result)
        return result

    def _note_months(self, result: ImportResult) -> None:
        result.months = self._months.named()
        result.closed = closed_among(self._connection, self._site.site_id, result.months)

    def _plan(self, result: ImportResult) -> tuple[Planned, list[_Judged]]:
        judged = [self._judge(read) for read in self._read]
        planned = plan_entries(
            self._connection, MANUAL, self._site.site_id, [j.entry for j in judged]
        )
        lines = {e.line for e in planned.new}
        if self._supersede:
            lines |= {e.line for e, *_ in planned.differing}
        written = [j for j in judged if j.entry.line in lines]
        for entry, held, *_ in planned.differing:
            pairs = zip(MANUAL.value, held, entry.value, strict=True)
            shown = ", ".join(f"{n} {a} there, {b} in the file" for n, a, b in pairs if a != b)
            code = "superseded" if self._supersede else "differs"
            self._findings.add(code, "manual_reading", f"line {entry.line}: {shown}")
        for j in written:
            self._say(j)
        result.rows_written, result.rows_present = len(written), planned.present
        used = [j for j in written if j.role == "reading"]
        self._months.add_instants(np.array([(j.at - _UNIX) // _US for j in used], np.int64))
        return planned, written

    def _judge(self, read: ManualLine) -> _Judged:
        """Find out what a line is used for; creates its series if it is new."""
        series = self._mapping.series[read.series]
        series_id = series_of(
            self._connection, self._site.site_id, self._site.points[series.point],
            series.quantity, series.channel,
        )  # fmt: skip
        scale, whole_number, modulus = self._counts_per_unit(series_id, series, read.at)
        counts = Fraction(read.level) * scale
        resolution = Fraction(1, 10**series.decimals) * scale
        anchor = None
        if has_telemetry_around(self._connection, series_id, read.at):
            role = "anchor"
            anchor = compare_anchor(
                self._connection, series_id, read.at, dt.timedelta(seconds=read.plus_minus_s),
                counts, resolution,
            )  # fmt: skip
        else:
            before = self._previous.get(read.series)
            if before is None:
                before = earlier_level(self._connection, series_id, read.at)
            fell = before is not None and counts < before
            # Half a turn back is a register that has gone round, not one that was misread.
            round_again = fell and modulus is not None and (before or 0) - counts > modulus / 2
            role = "evidence" if fell and not round_again else "reading"
            if role == "reading":
                self._previous[read.series] = counts
        entry = Entry(
            read.line, (series_id, read.at),
            (
                read.level, series.unit, Decimal(1).scaleb(-series.decimals), read.plus_minus_s,
                read.person, read.photo_name, read.photo_sha256, read.note,
            ),
            (role,),
        )  # fmt: skip
        return _Judged(entry, series_id, read.at, counts, whole_number, role, anchor)

    def _counts_per_unit(
        self, series_id: int, series: ManualSeries, at: dt.datetime
    ) -> tuple[Fraction, bool, Fraction | None]:
        """Return register counts per unit of the display, if they are whole, and the modulus."""
        row = self._connection.execute(
            "SELECT register_scale, unit, raw_type, modulus FROM series_epoch WHERE series_id = %s"
            " AND superseded_commit_no IS NULL AND valid_from <= %s"
            " AND (valid_to IS NULL OR %s < valid_to)",
            (series_id, at, at),
        ).fetchone()
        if row is None:
            own = None if series.modulus is None else Fraction(series.modulus)
            return Fraction(10**series.decimals), True, own
        ratio = unit_ratio(series.quantity, series.unit) / unit_ratio(series.quantity, row[1])
        modulus = None if row[3] is None else Fraction(row[3])
        return ratio / Fraction(row[0]), "int" in row[2], modulus

    def _say(self, judged: _Judged) -> None:
        series = self._mapping.series[self._read_of(judged).series]
        name = f"{series.point} {series.quantity} {series.channel}"
        at = judged.at.astimezone(self._site.zone).isoformat(" ", "minutes")
        where = f"line {judged.entry.line}, {at}: {judged.entry.value[0]} {series.unit}"
        if judged.role == "evidence":
            self._findings.add("register_below_previous", name, where)
        elif judged.anchor is not None and not judged.anchor.checked:
            self._findings.add("anchor_unchecked", name, where)
        elif judged.anchor is not None and not judged.anchor.agrees:
            a = judged.anchor
            assert a.low is not None  # it was checked
            assert a.high is not None
            self._findings.add(
                "anchor_disagrees", name,
                f"{where}, {float(a.read):.12g} counts; the register was {float(a.low):.12g} to "
                f"{float(a.high):.12g}, give or take {float(a.tolerance):.6g}",
            )  # fmt: skip

    def _read_of(self, judged: _Judged) -> ManualLine:
        return next(r for r in self._read if r.line == judged.entry.line)

    def _write(
        self, planned: Planned, judged: Sequence[_Judged], stream_no: int, result: ImportResult
    ) -> None:
        connection = self._connection
        batch = batch_number(stream_no, 1)
        used = [j for j in judged if j.role == "reading"]
        rows = _rows(used, batch)
        if len(rows):
            write_readings(connection, rows)
        commit_no = draw_commit_no(connection)
        provenance = {
            "site_id": self._site.site_id,
            "source": self._mapping.source,
            "synthetic": self._mapping.synthetic is not None,
            "batch": batch,
            "author": self._author,
            "reason": f"import of {self._table.file.name}",
            "commit_no": commit_no,
        }
        write_entries(connection, MANUAL, planned, provenance, supersede=self._supersede)
        connection.execute(
            "UPDATE import_run SET written = %s WHERE stream_no = %s",
            (result.rows_written, stream_no),
        )
        ledger.number_claims(connection, {(stream_no, 1)}, commit_no)
        self._keep_findings(judged, commit_no)
        if not len(rows):
            return
        if self._supersede:
            others = others_there(connection, rows.series_id, rows.ts_us, batch, derived=False)
            void(
                connection, others, batch,
                self._author, f"superseded by import of {self._table.file.name}", commit_no,
            )  # fmt: skip
            refresh_latest(connection, np.unique(rows.series_id).tolist())
        for j in used:
            series = self._mapping.series[self._read_of(j).series]
            # People keep no schedule: all between two readings is one gap, exact in sum.
            meaning = Meaning(j.series_id, series.declaration(), None, "import", None, self._author)
            at_us = (j.at - _UNIX) // _US
            cover(connection, meaning, at_us, at_us, commit_no)
        mark_dirty(connection, rows, {}, commit_no, set())

    def _keep_findings(self, judged: Sequence[_Judged], commit_no: int) -> None:
        for j in judged:
            if j.role == "evidence":
                code, evidence = "register_below_previous", {"read_counts": float(j.counts)}
            elif j.anchor is not None and j.anchor.checked and not j.anchor.agrees:
                code, evidence = "anchor_disagrees", j.anchor.evidence()
            else:
                continue
            evidence |= {"person": j.entry.value[4], "plus_minus_s": j.entry.value[3]}
            self._connection.execute(
                "INSERT INTO finding (site_id, point_id, series_id, code, at_ts, severity,"
                " evidence, data_version) SELECT site_id, point_id, series_id, %s, %s, %s, %s, %s"
                " FROM series WHERE series_id = %s"
                " ON CONFLICT (site_id, code, at_ts, coalesce(point_id, 0), coalesce(series_id, 0),"
                " subject)"
                " WHERE withdrawn_version IS NULL DO UPDATE SET evidence = excluded.evidence,"
                " data_version = excluded.data_version",
                (
                    code, j.at, FINDINGS[code][0], json.dumps(evidence, ensure_ascii=False),
                    commit_no, j.series_id,
                ),
            )  # fmt: skip


def _rows(used: Sequence[_Judged], batch: int) -> Readings:
    n = len(used)
    kind = np.array([KIND_INT if j.whole_number else KIND_REAL for j in used], np.int8)
    return Readings(
        np.array([(j.at - _UNIX) // _US for j in used], np.int64),
        np.array([j.series_id for j in used], np.int32),
        kind,
        np.array([round(j.counts) if j.whole_number else 0 for j in used], np.int64),
        np.array([0.0 if j.whole_number else float(j.counts) for j in used]),
        np.full(n, QualityFlag.IMPORTED | QualityFlag.MANUAL, np.int16),
        np.zeros(n, np.int16),
        np.full(n, batch, np.int64),
    )
