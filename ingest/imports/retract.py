"""Retract an import: nothing is deleted, figures are computed anew without it (D1, D16)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg

from enpilot.database import draw_commit_no
from enpilot.errors import ConfigurationError

__all__ = ["retract"]


def retract(connection: psycopg.Connection[Any], stream: UUID, author: str, reason: str) -> int:
    """Retract every batch of an import stream.

    Returns
    -------
    int
        Readings, entries of output and of the ledger that no longer count.

    Raises
    ------
    ConfigurationError
        If there is no such import, or it is retracted already.
    """
    with connection.transaction():
        row = connection.execute(
            "SELECT stream_no FROM stream WHERE stream = %s AND origin = 'import'", (stream,)
        ).fetchone()
        if row is None:
            raise ConfigurationError(f"there is no import {stream}")
        stream_no = row[0]
        done = connection.execute(
            "SELECT 1 FROM retraction WHERE stream_no = %s AND superseded_commit_no IS NULL",
            (stream_no,),
        ).fetchone()
        if done is not None:
            raise ConfigurationError(f"import {stream} is retracted already")
        low, high = stream_no << 32, stream_no + 1 << 32
        readings = connection.execute(
            "SELECT series_id, min(ts), max(ts), count(*) FROM reading"
            " WHERE batch >= %s AND batch < %s GROUP BY series_id",
            (low, high),
        ).fetchall()
        commit_no = draw_commit_no(connection)
        connection.execute(
            "INSERT INTO retraction (stream_no, from_seq, to_seq, author, reason, commit_no)"
            " VALUES (%s, 1, 4294967295, %s, %s, %s)",
            (stream_no, author, reason, commit_no),
        )
        for series_id, first, last, _ in readings:
            connection.execute(
                "INSERT INTO dirty (series_id, from_ts, to_ts, commit_no) VALUES (%s, %s, %s, %s)",
                (series_id, first, last, commit_no),
            )
        entries = 0
        for table in ("output", "energy_ledger"):
            spans = connection.execute(
                f"UPDATE {table} SET superseded_commit_no = %s WHERE batch >= %s AND batch < %s"
                " AND superseded_commit_no IS NULL RETURNING site_id, from_ts, to_ts",
                (commit_no, low, high),
            ).fetchall()
            entries += len(spans)
            for site_id, first, last in spans:
                connection.execute(
                    "INSERT INTO dirty_site (site_id, from_ts, to_ts, commit_no)"
                    " VALUES (%s, %s, %s, %s)",
                    (site_id, first, last, commit_no),
                )
    return sum(int(r[3]) for r in readings) + entries
