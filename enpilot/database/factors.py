"""Load the shipped conversion factors; what is already there, or was superseded, stays."""

from __future__ import annotations

import datetime as dt
import tomllib
from importlib.resources import files
from typing import Any

import msgspec
import psycopg

from enpilot.database.commit_order import draw_commit_no

__all__ = ["seed_factors"]


class _Factor(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}):
    standard: str
    edition: str
    medium: str
    basis: str
    value: str
    per_unit: str
    source: str
    verified: bool
    since: dt.date


class _FactorFile(msgspec.Struct, forbid_unknown_fields=True):
    factor: list[_Factor]


def seed_factors(connection: psycopg.Connection[Any]) -> int:
    """Insert the shipped factors that the database has never seen; return how many."""
    text = files("enpilot.database").joinpath("data/standard_coal.toml").read_text("utf-8")
    shipped = msgspec.convert(tomllib.loads(text), _FactorFile).factor
    with connection.transaction():
        known = set(
            connection.execute(
                "SELECT standard, edition, medium, basis, per_unit FROM factor"
                " WHERE kind = 'standard_coal'"
            )
        )
        new = [
            f
            for f in shipped
            if (f.standard, f.edition, f.medium, f.basis, f.per_unit) not in known
        ]
        if not new:
            return 0
        commit_no = draw_commit_no(connection)
        for f in new:
            connection.execute(
                "INSERT INTO factor (kind, standard, edition, medium, basis, value, unit, per_unit,"
                " source, verified, valid_from, author, reason, commit_no)"
                " VALUES ('standard_coal', %s, %s, %s, %s, %s, 'kgce', %s, %s, %s,"
                " %s::date::timestamp AT TIME ZONE 'Asia/Shanghai', 'enpilot',"
                " 'shipped with the program', %s)",
                (
                    f.standard, f.edition, f.medium, f.basis, f.value, f.per_unit, f.source,
                    f.verified, f.since, commit_no,
                ),
            )  # fmt: skip
    return len(new)
