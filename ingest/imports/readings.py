"""Import a history of readings: raw register counts, one column a series (D16)."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from enpilot.database import draw_commit_no
from enpilot.quantities import UnitError, unit_ratio
from enpilot.wire import Quality, QualityFlag, SeriesDeclaration
from ingest import ledger
from ingest.errors import ImportRefusedError
from ingest.imports.result import ImportResult
from ingest.imports.site import ImportSite, find_site, open_import
from ingest.imports.table_file import (
    ReadingsMapping,
    Table,
    import_stream,
    parse_instant,
    read_mapping,
    read_table,
)
from ingest.meaning import Meaning, series_of
from ingest.rows import KIND_INT, KIND_NULL, KIND_REAL, Readings, batch_number
from ingest.writer import mark_dirty, write_readings

__all__ = ["import_readings"]

_CHUNK_LINES: Final = 20_000


def import_readings(
    connection: psycopg.Connection[Any],
    file: Path,
    mapping_file: Path,
    author: str,
    *,
    supersede: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportResult:
    """Import a CSV file of register counts.

    Each chunk of lines is one batch and one transaction; an import that is cut off goes on where it
    stopped when it is run again, and one that is complete changes nothing.

    Parameters
    ----------
    connection
        Not inside a transaction.
    file, mapping_file
        The table, and what its columns mean.
    author
        Kept with the import.
    supersede
        Import values that differ from what is there for the same series and time; the accounting
        then uses the batch that came first and says so in a finding.
    progress
        Called with the number of lines done so far.

    Raises
    ------
    ImportRefusedError
        If file or mapping do not fit; a chunk is written whole or not at all.
    """
    mapping = read_mapping(mapping_file, ReadingsMapping)
    table = read_table(file)
    site = find_site(connection, mapping.site, mapping_file)
    with connection.transaction():
        meanings = _meanings(connection, mapping, mapping_file, site, author)
    stream, digest = import_stream(table, mapping)
    stream_no = open_import(connection, stream, digest, mapping, author)
    result = ImportResult(stream)
    done = 0
    for seq, chunk in enumerate(_chunks(table), 1):
        rows = _rows(table, mapping, site.zone, chunk, meanings, batch_number(stream_no, seq))
        with connection.transaction():
            _write(connection, stream_no, seq, digest, rows, meanings, result, supersede)
        done += len(chunk)
        if progress is not None:
            progress(done)
    return result


def _meanings(
    connection: psycopg.Connection[Any],
    mapping: ReadingsMapping,
    mapping_file: Path,
    site: ImportSite,
    author: str,
) -> list[Meaning]:
    errors = []
    meanings = []
    for i, column in enumerate(mapping.series):
        try:
            unit_ratio(column.quantity, column.unit)
        except UnitError as error:
            errors.append(f"{error} - at `$.series[{i}]`")
            continue
        if column.point not in site.points:
            errors.append(
                f"site {mapping.site!r} has no point {column.point!r} - at `$.series[{i}]`"
            )
            continue
        declaration = SeriesDeclaration(
            point=column.point, quantity=column.quantity, channel=column.channel,
            unit=column.unit, raw_type=column.raw_type, register_scale=column.register_scale,
            side=column.side, counter=column.counter, modulus=column.modulus,
            rated_max_per_h=column.rated_max_per_h,
        )  # fmt: skip
        series_id = series_of(
            connection, site.site_id, site.points[column.point], column.quantity, column.channel
        )
        meanings.append(Meaning(series_id, declaration, mapping.period_s, "import", None, author))
    if errors:
        raise ImportRefusedError(mapping_file, errors)
    return meanings


def _chunks(table: Table) -> Any:
    chunk: list[tuple[int, list[str]]] = []
    for line in table.lines():
        chunk.append(line)
        if len(chunk) == _CHUNK_LINES:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _rows(
    table: Table,
    mapping: ReadingsMapping,
    zone: zoneinfo.ZoneInfo,
    chunk: list[tuple[int, list[str]]],
    meanings: list[Meaning],
    batch: int,
) -> Readings:
    time_at = table.position(mapping.time_column)
    n = len(chunk)
    ts_us = np.empty(n, np.int64)
    for i, (number, cells) in enumerate(chunk):
        try:
            ts_us[i] = round(parse_instant(cells[time_at], zone).timestamp() * 1_000_000)
        except ValueError as error:
            raise ImportRefusedError(table.file, [f"line {number}: {error}"]) from error
    columns = [
        _column(table, table.position(c.column), chunk, m)
        for c, m in zip(mapping.series, meanings, strict=True)
    ]
    width = len(columns)
    imported = np.concatenate([quality for *_, quality in columns]) | QualityFlag.IMPORTED
    return Readings(
        np.tile(ts_us, width),
        np.repeat(np.asarray([m.series_id for m in meanings], np.int32), n),
        np.concatenate([kind for kind, *_ in columns]),
        np.concatenate([whole for _, whole, _, _ in columns]),
        np.concatenate([real for _, _, real, _ in columns]),
        imported.astype(np.int16),
        np.zeros(n * width, np.int16),
        np.full(n * width, batch, np.int64),
    )


def _column(
    table: Table, position: int, chunk: list[tuple[int, list[str]]], meaning: Meaning
) -> tuple[NDArray[np.int8], NDArray[np.int64], NDArray[np.float64], NDArray[np.int16]]:
    n = len(chunk)
    integer = "int" in meaning.declaration.raw_type
    kind = np.full(n, KIND_INT if integer else KIND_REAL, np.int8)
    whole, real = np.zeros(n, np.int64), np.zeros(n, np.float64)
    quality = np.zeros(n, np.int16)
    for i, (number, cells) in enumerate(chunk):
        text = cells[position].strip()
        try:
            if not text:
                kind[i], quality[i] = KIND_NULL, Quality.NOT_AVAILABLE
            elif integer:
                whole[i] = int(text)
            else:
                real[i] = float(text)
        except (ValueError, OverflowError) as error:
            raise ImportRefusedError(
                table.file, [f"line {number}, column {table.header[position]!r}: {error}"]
            ) from error
    if not np.isfinite(real).all():
        kind[~np.isfinite(real)] = KIND_NULL
        quality[~np.isfinite(real)] = Quality.NOT_FINITE
    return kind, whole, real, quality


def _write(
    connection: psycopg.Connection[Any],
    stream_no: int,
    seq: int,
    digest: bytes,
    rows: Readings,
    meanings: list[Meaning],
    result: ImportResult,
    supersede: bool,
) -> None:
    read = len(rows)
    result.rows_read += read
    claim = ledger.Claim(
        stream_no, seq, digest, None, read, int(rows.ts_us.min()), int(rows.ts_us.max())
    )
    if not ledger.claim(connection, [claim]).new:
        result.rows_present += read
        return
    rows = _without_present(connection, rows, result, supersede)
    if len(rows):
        write_readings(connection, rows)
    commit_no = draw_commit_no(connection)
    ledger.number_claims(connection, {(stream_no, seq)}, commit_no)
    if len(rows):
        mark_dirty(connection, rows, {m.series_id: m for m in meanings}, commit_no, set())
    result.rows_written += len(rows)


def _without_present(
    connection: psycopg.Connection[Any], rows: Readings, result: ImportResult, supersede: bool
) -> Readings:
    """Leave out values that are there already, and those that differ unless they supersede."""
    present = {
        (series_id, ts_us): value
        for series_id, ts_us, value in connection.execute(
            "SELECT series_id, (extract(epoch FROM ts) * 1000000)::bigint,"
            " coalesce(raw_int::float8, raw_real) FROM reading"
            " WHERE series_id = ANY(%s)"
            " AND ts BETWEEN timestamptz 'epoch' + %s * interval '1 microsecond'"
            " AND timestamptz 'epoch' + %s * interval '1 microsecond'",
            (
                np.unique(rows.series_id).tolist(),
                int(rows.ts_us.min()),
                int(rows.ts_us.max()),
            ),
        )
    }
    if not present:
        return rows
    keep = []
    for i, key in enumerate(zip(rows.series_id.tolist(), rows.ts_us.tolist(), strict=True)):
        if key not in present:
            keep.append(i)
            continue
        value = rows.whole[i] if rows.kind[i] == KIND_INT else rows.real[i]
        if rows.kind[i] == KIND_NULL or present[key] == value:
            result.rows_present += 1
        elif supersede:
            keep.append(i)
        else:
            result.conflicts.append(
                f"series {key[0]} at {key[1]} µs: stored {present[key]}, in the file {value}"
            )
    return rows.take(np.asarray(keep, np.intp))
