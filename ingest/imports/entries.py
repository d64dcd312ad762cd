"""Versioned entries with a business key: the same again is nothing, another value a new version."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

__all__ = ["put_entry"]


def put_entry(
    connection: psycopg.Connection[Any],
    table: str,
    key: dict[str, Any],
    value: dict[str, Any],
    provenance: dict[str, Any],
    *,
    supersede: bool,
) -> str:
    """Write one entry unless it is there.

    Parameters
    ----------
    table
        ``output`` or ``energy_ledger``.
    key, value
        What identifies the entry, and what it says.
    provenance
        Batch, author, reason, commit_no and the like.
    supersede
        Replace an entry that says something else by a new version.

    Returns
    -------
    str
        "written", "present" or "conflict".
    """
    where = sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder()) for name in key
    )
    row = connection.execute(
        sql.SQL("SELECT version, {} FROM {} WHERE {} AND superseded_commit_no IS NULL").format(
            sql.SQL(", ").join(map(sql.Identifier, value)), sql.Identifier(table), where
        ),
        list(key.values()),
    ).fetchone()
    version = 1
    if row is not None:
        if tuple(row[1:]) == tuple(value.values()):
            return "present"
        if not supersede:
            return "conflict"
        version = row[0] + 1
        connection.execute(
            sql.SQL(
                "UPDATE {} SET superseded_commit_no = {} WHERE {} AND superseded_commit_no IS NULL"
            ).format(sql.Identifier(table), sql.Placeholder(), where),
            [provenance["commit_no"], *key.values()],
        )
    columns = {**key, **value, **provenance, "version": version}
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(sql.Placeholder() * len(columns)),
        ),
        list(columns.values()),
    )
    return "written"
