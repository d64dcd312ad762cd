"""Tables as plants export them, written as real files: Excel, Parquet, GBK; and their mappings."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import openpyxl

from enpilot.database import connect
from ingest.imports.result import ImportResult

_numbers = itertools.count(1)
UTC = dt.UTC
SHANGHAI = dt.timezone(dt.timedelta(hours=8))
REGISTER = """
point = "main"
quantity = "active_energy"
unit = "kWh"
raw_type = "uint32"
register_scale = "0.01"
side = "secondary"
counter = "lifetime"
modulus = "100000000"
"""
AMOUNT = """
point = "main"
quantity = "active_energy"
unit = "kWh"
kind = "consumption"
decimals = 2
"""


def text_file(folder: Path, text: str, encoding: str = "utf-8", name: str = "table.csv") -> Path:
    file = folder / f"{next(_numbers)}_{name}"
    file.write_bytes(text.encode(encoding))
    return file


def mapping_file(folder: Path, text: str, site: str = "works") -> Path:
    file = folder / f"{next(_numbers)}_mapping.toml"
    file.write_text(f'site = "{site}"\nsource = "test"\n{text}', "utf-8")
    return file


def workbook(
    folder: Path,
    rows: Iterable[Sequence[object]],
    *,
    sheet: str = "Sheet1",
    merged: Sequence[str] = (),
    other_sheets: Sequence[str] = (),
) -> Path:
    book = openpyxl.Workbook()
    page = book.active
    page.title = sheet
    for row in rows:
        page.append(list(row))
    for cells in merged:
        page.merge_cells(cells)
    for name in other_sheets:
        book.create_sheet(name)
    file = folder / f"{next(_numbers)}_table.xlsx"
    book.save(file)
    return file


def run_import(
    url: str, how: Callable[..., ImportResult], file: Path, mapping: Path, **options: Any
) -> ImportResult:
    with connect(url, "test", autocommit=True) as connection:
        return how(connection, file, mapping, "tester", **options)


def rows(url: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    with connect(url, "test") as connection:
        return connection.execute(query.encode(), parameters).fetchall()


def stored(url: str) -> list[tuple[dt.datetime, int | float | None]]:
    """What is in ``reading``, in order."""
    return [
        (ts, whole if whole is not None else real)
        for ts, whole, real in rows(
            url, "SELECT ts, raw_int, raw_real FROM reading ORDER BY ts, batch"
        )
    ]


def found(result: ImportResult) -> dict[str, int]:
    """How often each thing was found."""
    counts: dict[str, int] = {}
    for finding in result.findings:
        counts[finding.code] = counts.get(finding.code, 0) + finding.count
    return counts
