"""Histories of the test works, brought in through the real import."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from enpilot.database import connect
from enpilot.plant import load_plant
from ingest.imports.output import import_output
from ingest.imports.plant import import_plant
from ingest.imports.readings import import_readings
from ingest.imports.result import ImportResult

_numbers = itertools.count(1)
COLUMN = {
    "column": "kwh", "point": "main", "quantity": "active_energy", "channel": "total",
    "unit": "kWh", "raw_type": "uint32", "register_scale": "0.01", "side": "secondary",
    "counter": "lifetime", "modulus": "100000000",
}  # fmt: skip


def apply_plant(url: str, folder: Path, text: str) -> None:
    file = folder / f"plant{next(_numbers)}.toml"
    file.write_text(text, "utf-8")
    with connect(url, "test", autocommit=True) as connection:
        import_plant(connection, load_plant(file), "tester", "test")


def write_counts(
    folder: Path,
    times: Sequence[dt.datetime],
    counts: Sequence[int | str],
    *,
    period_s: int = 900,
    synthetic: bool = False,
    **column: str | None,
) -> tuple[Path, Path]:
    """Write a CSV file of register counts and its mapping."""
    number = next(_numbers)
    table, mapping = folder / f"counts{number}.csv", folder / f"counts{number}.toml"
    lines = [f"{t.isoformat()},{c}" for t, c in zip(times, counts, strict=True)]
    table.write_text("\n".join(["ts,kwh", *lines]) + "\n", "utf-8")
    said = {k: v for k, v in {**COLUMN, **column}.items() if v is not None}
    mapping.write_text(
        'site = "works"\nsource = "test"\n'
        f"period_s = {period_s}\n"
        + ('[synthetic]\nzh = "合成"\nen = "made up"\n' if synthetic else "")
        + "[[series]]\n"
        + "".join(f"{k} = {json.dumps(v)}\n" for k, v in said.items()),
        "utf-8",
    )
    return table, mapping


def import_counts(
    url: str,
    folder: Path,
    times: Sequence[dt.datetime],
    counts: Sequence[int | str],
    *,
    supersede: bool = False,
    period_s: int = 900,
    synthetic: bool = False,
    **column: str | None,
) -> UUID:
    files = write_counts(folder, times, counts, period_s=period_s, synthetic=synthetic, **column)
    return import_files(url, *files, supersede=supersede).stream


def import_files(url: str, table: Path, mapping: Path, *, supersede: bool = False) -> ImportResult:
    with connect(url, "test", autocommit=True) as connection:
        return import_readings(connection, table, mapping, "tester", supersede=supersede)


def import_production(
    url: str,
    folder: Path,
    spans: Sequence[tuple[dt.datetime, dt.datetime, str]],
    *,
    product: str = "section",
    disposition: str = "good",
    line: str = "l1",
    lots: Sequence[str] | None = None,
    site: str = "works",
) -> None:
    number = next(_numbers)
    table, mapping = folder / f"output{number}.csv", folder / f"output{number}.toml"
    lines = [
        f"{product},{line},qualified,{disposition},{quantity},{a.isoformat()},{b.isoformat()},{lot}"
        for (a, b, quantity), lot in zip(spans, lots or [""] * len(spans), strict=True)
    ]
    table.write_text(
        "\n".join(["product,line,stage,disposition,quantity,from,to,lot", *lines]) + "\n", "utf-8"
    )
    mapping.write_text(f'site = "{site}"\nsource = "test"\n', "utf-8")
    with connect(url, "test", autocommit=True) as connection:
        import_output(connection, table, mapping, "tester")
