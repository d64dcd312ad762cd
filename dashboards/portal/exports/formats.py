"""The file formats: each writes batches of rows as they come, in memory that does not grow.

A text that a spreadsheet would take for a formula is a text in all of them. Every file says what it
is of: site, time zone, data version, what is made up and what nobody checked.
"""

from __future__ import annotations

import csv
import datetime as dt
import zoneinfo
from collections.abc import Sequence
from decimal import Context, Decimal
from pathlib import Path
from typing import Any, Final, Protocol

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from openpyxl.cell import WriteOnlyCell

from dashboards.errors import ExportTooLongError
from dashboards.portal.exports.columns import Column
from enpilot.text import Language

__all__ = ["MEDIA_TYPES", "XLSX_ROWS", "Writer", "open_writer"]

MEDIA_TYPES: Final = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
}
XLSX_ROWS: Final = 1_000_000  # a sheet ends at 1,048,576
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
# Decimals of money and registers; a wider one of a database is cut nowhere else.
_EXACT: Final = pa.decimal128(38, 9)
_DIGITS: Final = Context(prec=38)
_TYPES: Final = {
    "text": pa.string(), "number": pa.float64(), "exact": _EXACT, "integer": pa.int64(),
    "flag": pa.bool_(), "date": pa.date32(),
}  # fmt: skip


class Writer(Protocol):
    """What writes one file."""

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows."""

    def close(self) -> None:
        """Finish the file."""


def open_writer(
    kind: str,
    path: Path,
    columns: Sequence[Column],
    labels: Sequence[tuple[str, str]],
    *,
    zone: zoneinfo.ZoneInfo,
    language: Language,
    bom: bool = False,
) -> Writer:
    """Begin a file.

    Parameters
    ----------
    kind
        csv, xlsx or parquet.
    labels
        What the file is of, as names and values.
    zone
        Of the site: instants are written in its time, with their offset.
    bom
        Whether a CSV begins with the mark by which Excel knows UTF-8.
    """
    if kind == "csv":
        return _Csv(path, columns, labels, zone, language, bom=bom)
    if kind == "xlsx":
        return _Xlsx(path, columns, labels, zone, language)
    return _Parquet(path, columns, labels, zone)


class _Csv:
    def __init__(
        self, path: Path, columns: Sequence[Column], labels: Sequence[tuple[str, str]],
        zone: zoneinfo.ZoneInfo, language: Language, *, bom: bool,
    ) -> None:  # fmt: skip
        self._kinds = [c.kind for c in columns]
        self._zone = zone
        self._file = path.open("w", encoding="utf-8-sig" if bom else "utf-8", newline="")
        for name, value in labels:
            self._file.write(f"# {name}: {' '.join(value.split())}\r\n")
        self._rows = csv.writer(self._file)
        self._rows.writerow(_safe(c.title(language)) for c in columns)

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        self._rows.writerows(
            [
                _written(kind, value, self._zone)
                for kind, value in zip(self._kinds, row, strict=True)
            ]
            for row in rows
        )

    def close(self) -> None:
        self._file.close()


class _Xlsx:
    def __init__(
        self, path: Path, columns: Sequence[Column], labels: Sequence[tuple[str, str]],
        zone: zoneinfo.ZoneInfo, language: Language,
    ) -> None:  # fmt: skip
        self._path, self._kinds, self._zone = path, [c.kind for c in columns], zone
        self._book = openpyxl.Workbook(write_only=True)
        self._sheet = self._book.create_sheet("数据" if language == "zh" else "data")
        self._sheet.freeze_panes = "A2"
        self._sheet.append([self._text(c.title(language)) for c in columns])
        about = self._book.create_sheet("说明" if language == "zh" else "about")
        for name, value in labels:
            about.append([self._text(name, about), self._text(value, about)])
        self._count = 0

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        self._count += len(rows)
        if self._count > XLSX_ROWS:
            raise ExportTooLongError(
                f"export: more than {XLSX_ROWS:,} rows, and a sheet of Excel ends there: choose a"
                " shorter period, or CSV or Parquet"
            )
        for row in rows:
            self._sheet.append(
                [self._cell(kind, value) for kind, value in zip(self._kinds, row, strict=True)]
            )

    def close(self) -> None:
        self._book.save(self._path)

    def _cell(self, kind: str, value: Any) -> Any:
        if value is None or kind in ("number", "integer", "flag", "date", "exact"):
            return value
        return self._text(_iso(value, self._zone) if kind == "time" else str(value))

    def _text(self, text: str, sheet: Any = None) -> Any:
        if not text.startswith("="):
            return text
        cell = WriteOnlyCell(sheet or self._sheet, value=text)
        cell.data_type = "s"
        return cell


class _Parquet:
    def __init__(
        self, path: Path, columns: Sequence[Column], labels: Sequence[tuple[str, str]],
        zone: zoneinfo.ZoneInfo,
    ) -> None:  # fmt: skip
        time = pa.timestamp("us", tz=zone.key)
        self._schema = pa.schema(
            [
                pa.field(c.name, _TYPES.get(c.kind, time),
                         metadata={"unit": c.unit, "title_zh": c.title("zh")})
                for c in columns
            ],
            metadata=dict(labels),
        )  # fmt: skip
        self._exact = [c.kind == "exact" for c in columns]
        self._file = pq.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        arrays = [
            pa.array([_nine(v) if exact else v for v in values], field.type)
            for exact, values, field in zip(
                self._exact, zip(*rows, strict=True), self._schema, strict=True
            )
        ]
        self._file.write_table(pa.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        self._file.close()


def _nine(value: Decimal | None) -> Decimal | None:
    return None if value is None else value.quantize(Decimal("1e-9"), context=_DIGITS)


def _written(kind: str, value: Any, zone: zoneinfo.ZoneInfo) -> Any:
    if value is None:
        return ""
    if kind == "text":
        return _safe(str(value))
    if kind == "time":
        return _iso(value, zone)
    if kind == "flag":
        return "true" if value else "false"
    if kind == "number":
        return repr(float(value))
    return f"{value:f}" if isinstance(value, Decimal) else value


def _safe(text: str) -> str:
    """Keep a spreadsheet from running a text that looks like a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _iso(value: dt.datetime, zone: zoneinfo.ZoneInfo) -> str:
    return value.astimezone(zone).isoformat()
