"""Commit numbers and the identity of the database that draws them (D1, D3)."""

from __future__ import annotations

from typing import Any

import psycopg

__all__ = ["data_version", "database_identity", "draw_commit_no"]


def draw_commit_no(connection: psycopg.Connection[Any]) -> int:
    """Draw the number of the current transaction; from here on other writers wait for its end.

    Must be the last thing a transaction does before the few rows that carry the number, so that
    numbers follow commit order.
    """
    row = connection.execute("SELECT draw_commit_no()").fetchone()
    assert row is not None  # a function call always returns a row
    return int(row[0])


def data_version(connection: psycopg.Connection[Any]) -> int:
    """Return the highest commit number of which all transactions up to it have ended.

    Waits for the writer that is committing right now, in a transaction of its own (the connection
    must not be inside one); a snapshot taken afterwards contains everything up to the number.
    """
    with connection.transaction():
        connection.execute(
            "SELECT pg_advisory_xact_lock_shared(hashtextextended('enpilot.commit_no', 0))"
        )
        row = connection.execute(
            "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM commit_no_seq"
        ).fetchone()
    assert row is not None  # a sequence is a one-row relation
    return int(row[0])


def database_identity(connection: psycopg.Connection[Any]) -> str:
    """Return what changes when this is no longer the database that issued earlier receipts.

    System identifier, timeline and the database's own number: a restore into another cluster, a
    promotion, or a database dropped and created anew each change one of them.
    """
    row = connection.execute(
        "SELECT s.system_identifier, c.timeline_id, d.oid"
        " FROM pg_control_system() s, pg_control_checkpoint() c, pg_database d"
        " WHERE d.datname = current_database()"
    ).fetchone()
    assert row is not None  # current_database() exists
    return "/".join(str(part) for part in row)
