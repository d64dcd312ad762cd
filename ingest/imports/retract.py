"""Retract an import: nothing is deleted, and what it had superseded counts again (D1, D16)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg

from enpilot.database import draw_commit_no
from enpilot.errors import ConfigurationError
from ingest.imports.entries import (
    DECLARED,
    ENERGY,
    MANUAL,
    OUTPUT,
    VALUE_ADDED,
    VARIABLES,
    bring_back,
    lock_entries,
)
from ingest.imports.ledger_checks import check_ledger, current_ledger, keep_findings
from ingest.imports.present import refresh_latest

__all__ = ["retract"]


def retract(connection: psycopg.Connection[Any], stream: UUID, author: str, reason: str) -> int:
    """Retract every batch of an import stream.

    Returns
    -------
    int
        Readings, entries of output, of the ledger, of variables and of declared totals, and manual
        readings that no longer count.

    Raises
    ------
    ConfigurationError
        If there is no such import, or it is retracted already.
    """
    with connection.transaction():
        row = connection.execute(
            "SELECT s.stream_no, r.site_id FROM stream s LEFT JOIN import_run r USING (stream_no)"
            " WHERE s.stream = %s AND s.origin = 'import'",
            (stream,),
        ).fetchone()
        if row is None:
            raise ConfigurationError(
                f"there is no import {stream}; `enpilot import list` names them"
            )
        stream_no, site_id = row
        if site_id is not None:
            lock_entries(connection, site_id)
        done = connection.execute(
            "SELECT author, reason FROM retraction WHERE stream_no = %s"
            " AND superseded_commit_no IS NULL",
            (stream_no,),
        ).fetchone()
        if done is not None:
            raise ConfigurationError(
                f"import {stream} was retracted already, by {done[0]}: {done[1]}"
            )
        return _Retraction(connection, stream_no, author, reason).apply()


class _Retraction:
    def __init__(
        self, connection: psycopg.Connection[Any], stream_no: int, author: str, reason: str
    ) -> None:
        self._connection = connection
        self._stream_no = stream_no
        self._author = author
        self._reason = reason
        self._range = (stream_no << 32, stream_no + 1 << 32)

    def apply(self) -> int:
        """Take everything of the stream out; return how many rows."""
        readings = self._connection.execute(
            "SELECT series_id, min(ts), max(ts), count(*) FROM reading"
            " WHERE batch >= %(low)s AND batch < %(high)s"
            # The extent leaves most of the table unread.
            " AND ts >= coalesce((SELECT first_ts FROM import_run WHERE stream_no = %(no)s),"
            "  '-infinity') AND ts <= coalesce((SELECT last_ts FROM import_run"
            "  WHERE stream_no = %(no)s), 'infinity') GROUP BY series_id",
            {"low": self._range[0], "high": self._range[1], "no": self._stream_no},
        ).fetchall()
        commit_no = draw_commit_no(self._connection)
        self._connection.execute(
            "INSERT INTO retraction (stream_no, from_seq, to_seq, author, reason, commit_no)"
            " VALUES (%s, 1, 4294967295, %s, %s, %s)",
            (self._stream_no, self._author, self._reason, commit_no),
        )
        self._connection.execute(
            "UPDATE reading_correction SET superseded_commit_no = %s WHERE by_batch >= %s"
            " AND by_batch < %s AND superseded_commit_no IS NULL",
            (commit_no, *self._range),
        )
        for series_id, first, last, _ in readings:
            self._connection.execute(
                "INSERT INTO dirty (series_id, from_ts, to_ts, commit_no) VALUES (%s, %s, %s, %s)",
                (series_id, first, last, commit_no),
            )
        series_ids = [row[0] for row in readings]
        refresh_latest(self._connection, series_ids)
        self._end_meanings(series_ids, commit_no)
        return sum(int(row[3]) for row in readings) + self._entries(commit_no)

    def _end_meanings(self, series_ids: list[int], commit_no: int) -> None:
        """Supersede what imports said of numbers where none is left that it could mean."""
        self._connection.execute(
            "UPDATE series_epoch e SET superseded_commit_no = %s WHERE e.series_id = ANY(%s)"
            " AND e.origin = 'import' AND e.superseded_commit_no IS NULL"
            " AND NOT EXISTS (SELECT FROM counted_reading r WHERE r.series_id = e.series_id"
            "  AND r.ts >= e.valid_from AND (e.valid_to IS NULL OR r.ts < e.valid_to))",
            (commit_no, series_ids),
        )

    def _entries(self, commit_no: int) -> int:
        entries = 0
        for kind in (OUTPUT, ENERGY, VARIABLES, VALUE_ADDED, DECLARED, MANUAL):
            count, keys = bring_back(
                self._connection, kind, self._stream_no, self._author,
                f"brought back: {self._reason}", commit_no,
            )  # fmt: skip
            entries += count
            for key in keys if kind is not MANUAL else ():
                self._connection.execute(
                    "INSERT INTO dirty_site (site_id, from_ts, to_ts, commit_no)"
                    " VALUES (%s, %s, %s, %s)",
                    (key["site_id"], key["from_ts"], key["to_ts"], commit_no),
                )
            if kind is ENERGY:
                for site_id in {key["site_id"] for key in keys}:
                    ledger = current_ledger(self._connection, site_id)
                    keep_findings(
                        self._connection, site_id, check_ledger(list(ledger.values())), commit_no
                    )
            if kind is MANUAL:
                for key in keys:
                    self._connection.execute(
                        "UPDATE finding SET withdrawn_version = %s WHERE series_id = %s"
                        " AND at_ts = %s AND withdrawn_version IS NULL"
                        " AND code IN ('anchor_disagrees', 'register_below_previous')",
                        (commit_no, key["series_id"], key["ts"]),
                    )
        return entries
