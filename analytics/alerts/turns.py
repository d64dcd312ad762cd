"""Who does what only one process may do: the session that holds an advisory lock."""

from __future__ import annotations

from typing import Any, Final

import psycopg

__all__ = ["DELIVERS", "EVALUATES", "take_turn"]

EVALUATES: Final = "enpilot.alerts"
DELIVERS: Final = "enpilot.alerts.delivery"


def take_turn(connection: psycopg.Connection[Any], what: str = EVALUATES) -> bool:
    """Become the one session that does something, or stay it, for as long as the connection lives.

    Parameters
    ----------
    connection
        In autocommit mode, to the server itself: a pooler that shares sessions breaks the lock.
    what
        What only one session does.

    Returns
    -------
    bool
        False while another session does it (F38).
    """
    row = connection.execute(
        "WITH wanted AS (SELECT hashtextextended(%s, 0) AS key)"
        " SELECT EXISTS (SELECT FROM pg_locks l, wanted WHERE l.locktype = 'advisory' AND l.granted"
        "  AND l.pid = pg_backend_pid() AND l.objsubid = 1"
        "  AND (l.classid::bigint << 32 | l.objid::bigint) = wanted.key"
        "  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
        " OR (SELECT pg_try_advisory_lock(key) FROM wanted)",
        (what,),
    ).fetchone()
    assert row is not None
    return bool(row[0])
