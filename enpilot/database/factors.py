"""Load the shipped conversion factors; what is already there, or was superseded, stays."""

from __future__ import annotations

import csv
import datetime as dt
import io
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, Final

import msgspec
import psycopg

from enpilot.database.commit_order import draw_commit_no

__all__ = ["seed_factors"]

_DATA: Final = files("enpilot.database").joinpath("data")
_GRID_STANDARD: Final = "MEE grid factor"
# When the factors of a year of data were published; until then the year before is the latest.
_PUBLISHED: Final = {
    "2021": dt.date(2024, 4, 12),
    "2022": dt.date(2024, 12, 26),
    "2023": dt.date(2025, 12, 31),
}


class _Factor(
    msgspec.Struct,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"since": "from", "until": "to"},
):
    standard: str
    edition: str
    medium: str
    basis: str
    value: str
    per_unit: str
    source: str
    verified: bool
    since: dt.date
    until: dt.date | None = None
    region: str = ""
    data_year: int = 0


class _FactorFile(msgspec.Struct, forbid_unknown_fields=True):
    factor: list[_Factor]


def _grid_rows() -> list[dict[str, str]]:
    text = _DATA.joinpath("grid_factors.csv").read_text("utf-8")
    return list(csv.DictReader(io.StringIO(text)))


def _shipped() -> Iterator[tuple[str, str, _Factor]]:
    """Yield kind, unit and factor."""
    for kind, unit, name in (("standard_coal", "kgce", "standard_coal.toml"),
                             ("carbon", "kgCO2", "carbon.toml")):  # fmt: skip
        text = _DATA.joinpath(name).read_text("utf-8")
        for factor in msgspec.convert(tomllib.loads(text), _FactorFile).factor:
            yield kind, unit, factor
    for row in _grid_rows():
        year = row["data_year"]
        yield (
            "carbon",
            "kgCO2",
            _Factor(
                standard=_GRID_STANDARD, edition="average", medium="electricity",
                basis="physical", value=row["kgco2_per_kwh"], per_unit="kWh",
                source=f"grid average of {year}, ministry of ecology and environment; day of"
                " publication from general knowledge",
                verified=row["verified"] == "true", since=_PUBLISHED[year],
                region=row["region"], data_year=int(year),
            ),
        )  # fmt: skip


def seed_factors(connection: psycopg.Connection[Any]) -> int:
    """Insert the shipped factors that the database has never seen; return how many.

    Parameters
    ----------
    connection
        In autocommit mode, as the owner.

    Returns
    -------
    int
        Rows inserted; a factor that somebody superseded, or replaced by her own, stays so.
    """
    with connection.transaction():
        known = set(
            connection.execute(
                "SELECT kind, standard, edition, medium, basis, per_unit, region, data_year,"
                " (valid_from AT TIME ZONE 'Asia/Shanghai')::date FROM factor"
            )
        )
        new = [
            (kind, unit, f)
            for kind, unit, f in _shipped()
            if (kind, f.standard, f.edition, f.medium, f.basis, f.per_unit, f.region, f.data_year,
                f.since) not in known
        ]  # fmt: skip
        if not new:
            return 0
        commit_no = draw_commit_no(connection)
        inserted = 0
        for kind, unit, f in new:
            inserted += connection.execute(
                "INSERT INTO factor (kind, standard, edition, medium, basis, value, unit, per_unit,"
                " source, verified, region, data_year, valid_from, valid_to, author, reason,"
                " commit_no) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,"
                " %s::date::timestamp AT TIME ZONE 'Asia/Shanghai',"
                " %s::date::timestamp AT TIME ZONE 'Asia/Shanghai', 'enpilot',"
                " 'shipped with the program', %s) ON CONFLICT DO NOTHING",
                (
                    kind, f.standard, f.edition, f.medium, f.basis, f.value, unit, f.per_unit,
                    f.source, f.verified, f.region, f.data_year, f.since, f.until, commit_no,
                ),
            ).rowcount  # fmt: skip
    return inserted
