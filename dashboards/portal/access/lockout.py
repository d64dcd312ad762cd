"""Slowing down who guesses: a wait that grows with each failure, by login and by address."""

from __future__ import annotations

import hashlib
import math
from typing import Any, Final

import psycopg

__all__ = ["begin_attempt", "succeeded", "wait_s"]

# Failures that cost nothing, and the wait after the next one [s]; it doubles with each further.
_FREE: Final = {"login": 5, "address": 20}
_FIRST_S: Final = 30
_LONGEST_S: Final = 3600
_REMEMBERED: Final = "1 day"


def wait_s(failures: int, since_last_s: float, free: int) -> int:
    """Return for how long a next attempt is refused.

    Parameters
    ----------
    failures
        Since the last success, within a day.
    since_last_s
        Time since the last of them [s].
    free
        Failures that cost nothing.

    Returns
    -------
    int
        What is left of the wait [s], 0 if there is none.
    """
    if failures < free:
        return 0
    whole = min(_FIRST_S << min(failures - free, 16), _LONGEST_S)
    return max(0, math.ceil(whole - since_last_s))


def begin_attempt(
    connection: psycopg.Connection[Any], login: str, address: str
) -> tuple[int | None, int, bool]:
    """Count an attempt as failed before it is looked at, so that many at once gain nothing.

    Returns
    -------
    attempt_id
        For `succeeded`; None: refused, and not counted.
    wait_s
        How long the next attempt must wait [s].
    locks
        Whether this attempt, if it fails, begins a wait.
    """
    hashed = hashlib.sha256(login.encode()).digest()
    # One attempt of a login, or from an address, at a time.
    for key in sorted((hashed.hex(), address)):
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('enpilot.sign_in ' || %s, 0))", (key,)
        )
    waits, locks = 0, False
    for column, value in (("login_sha256", hashed), ("address", address)):
        free = _FREE["login" if column == "login_sha256" else "address"]
        row = connection.execute(
            "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - max(at_ts)), 0)"
            f" FROM sign_in_attempt WHERE {column} = %(value)s AND NOT succeeded"
            f" AND at_ts > now() - interval '{_REMEMBERED}' AND at_ts > coalesce("
            f" (SELECT max(at_ts) FROM sign_in_attempt WHERE {column} = %(value)s AND succeeded),"
            " '-infinity')",
            {"value": value},
        ).fetchone()
        assert row is not None  # count has one row
        waits = max(waits, wait_s(row[0], float(row[1]), free))
        locks = locks or row[0] + 1 >= free
    if waits:
        return None, waits, False
    connection.execute(
        f"DELETE FROM sign_in_attempt WHERE at_ts < now() - interval '{_REMEMBERED}'"
    )
    made = connection.execute(
        "INSERT INTO sign_in_attempt (login_sha256, address) VALUES (%s, %s) RETURNING attempt_id",
        (hashed, address),
    ).fetchone()
    assert made is not None  # RETURNING
    return made[0], 0, locks


def succeeded(connection: psycopg.Connection[Any], attempt_id: int) -> None:
    """Say that an attempt was right: what failed before it counts no more."""
    connection.execute(
        "UPDATE sign_in_attempt SET succeeded = true WHERE attempt_id = %s", (attempt_id,)
    )
