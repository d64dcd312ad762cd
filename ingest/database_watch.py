"""Whether the database is still the one that confirmed what it confirmed (D3).

Two things can be known. The identity (system, timeline, database) is recorded in the database
itself: a restore into another cluster, a promotion or a recovery to an earlier time changes it, and
the next worker sees the old record. An old data folder put back under the same identity leaves no
trace in it; a worker that lived through it remembers higher commit numbers and streams that were
further, and compares at each new connection. A worker that starts only afterwards cannot know; the
agents can, since their receipts say less than before, and they send again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
import structlog

from enpilot.database import database_identity, draw_commit_no
from ingest.findings import report_restored
from ingest.ledger import coverage_of

__all__ = ["DatabaseWatch"]

_log = structlog.get_logger("ingest")


class DatabaseWatch:
    """What one worker remembers of the database."""

    def __init__(self) -> None:
        self._identity = ""
        self._commit_no = 0

    def saw(self, commit_no: int) -> None:
        """Remember the number of a transaction that is committed."""
        self._commit_no = max(self._commit_no, commit_no)

    def check(
        self, connection: psycopg.Connection[Any], confirmed: Mapping[int, int]
    ) -> tuple[str, bool]:
        """Compare a new connection's database with what is recorded and remembered.

        Parameters
        ----------
        confirmed
            For each stream number, how far this worker's receipts said that it is through.

        Returns
        -------
        tuple of str and bool
            The database's identity, and whether what was confirmed may be missing.
        """
        identity = database_identity(connection)
        facts: dict[str, object] = {}
        recorded = _recorded(connection)
        if recorded is not None and recorded != identity:
            facts = {"recorded": recorded, "found": identity}
        elif self._identity == identity:
            facts = self._fallen(connection, confirmed)
        if recorded != identity or facts:
            self._record(connection, identity, facts)
        self._identity = identity
        return identity, bool(facts)

    def _fallen(
        self, connection: psycopg.Connection[Any], confirmed: Mapping[int, int]
    ) -> dict[str, object]:
        now = _highest(connection)
        covered = coverage_of(connection, dict.fromkeys(confirmed, 0)) if confirmed else {}
        fallen = [
            {
                "stream_no": n,
                "confirmed": through,
                "found": covered[n].through if n in covered else 0,
            }
            for n, through in sorted(confirmed.items())
            if n not in covered or covered[n].through < through
        ]
        if now >= self._commit_no and not fallen:
            return {}
        return {"confirmed_commit_no": self._commit_no, "found_commit_no": now, "streams": fallen}

    def _record(
        self, connection: psycopg.Connection[Any], identity: str, facts: dict[str, object]
    ) -> None:
        with connection.transaction():
            if facts:
                commit_no = draw_commit_no(connection)
                # Another worker may have seen the same change, and waited for the same lock.
                if "recorded" in facts and _recorded(connection) == identity:
                    return
                report_restored(connection, facts, commit_no)
                _log.error("the database is not the one that confirmed earlier batches", **facts)
            connection.execute(
                "INSERT INTO ingest_database (identity, commit_no) VALUES (%s, %s)"
                " ON CONFLICT (identity)"
                " DO UPDATE SET first_seen_at = now(), commit_no = excluded.commit_no",
                (identity, _highest(connection)),
            )


def _recorded(connection: psycopg.Connection[Any]) -> str | None:
    row = connection.execute(
        "SELECT identity FROM ingest_database ORDER BY first_seen_at DESC LIMIT 1"
    ).fetchone()
    return None if row is None else str(row[0])


def _highest(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute(
        "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM commit_no_seq"
    ).fetchone()
    assert row is not None  # a sequence is a one-row relation
    return int(row[0])
