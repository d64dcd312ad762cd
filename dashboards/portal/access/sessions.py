"""Sessions on the server: the cookie holds 256 random bits, the database their hash."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import secrets
from typing import Any, Final

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.portal.access.identity import Identity

__all__ = [
    "ABSOLUTE_S",
    "SessionRow",
    "csrf_of",
    "end_session",
    "end_sessions",
    "find_session",
    "hashed",
    "live_sessions",
    "own_sessions",
    "start_session",
]

_IDLE_S: Final = 12 * 3600
ABSOLUTE_S: Final = 7 * 86400
_IN_FORCE: Final = "s.revoked_at IS NULL AND now() < s.idle_to AND now() < s.valid_to"


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A session in force, as its owner sees it."""

    session_id: int
    created_at: dt.datetime
    seen_at: dt.datetime
    valid_to: dt.datetime
    address: str
    agent: str


def hashed(secret: str) -> bytes:
    """Return what is kept of a secret of 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()


def csrf_of(token: str) -> str:
    """Return what forms of a session send back; says nothing of the token."""
    return hmac.new(token.encode(), b"enpilot form", hashlib.sha256).hexdigest()[:43]


def start_session(
    connection: psycopg.Connection[Any], person_id: int, address: str, agent: str
) -> str:
    """Begin a session and return its token, which is not kept."""
    token = secrets.token_urlsafe(32)
    connection.execute(
        "INSERT INTO portal_session (token_sha256, person_id, idle_to, valid_to, address, agent)"
        " VALUES (%s, %s, now() + %s * interval '1 s', now() + %s * interval '1 s', %s, %s)",
        (hashed(token), person_id, _IDLE_S, ABSOLUTE_S, address, agent[:200]),
    )
    return token


def find_session(connection: psycopg.Connection[Any], token: str) -> Identity | None:
    """Return whose session a token is, and move its idle end; None if it is over."""
    row = connection.execute(
        "SELECT s.session_id, p.person_id, p.login, p.name, p.language, p.theme,"
        " s.seen_at < now() - interval '1 minute'"
        " FROM portal_session s JOIN person p USING (person_id)"
        f" WHERE s.token_sha256 = %s AND {_IN_FORCE} AND p.disabled_at IS NULL",
        (hashed(token),),
    ).fetchone()
    if row is None:
        return None
    if row[6]:
        connection.execute(
            "UPDATE portal_session SET seen_at = now(),"
            " idle_to = least(now() + %s * interval '1 s', valid_to) WHERE session_id = %s",
            (_IDLE_S, row[0]),
        )
    return Identity(
        person_id=row[1], login=row[2], name=row[3], session_id=row[0], language=row[4],
        theme=row[5], csrf=csrf_of(token),
    )  # fmt: skip


def own_sessions(connection: psycopg.Connection[Any], person_id: int) -> list[SessionRow]:
    """Return a person's sessions in force, latest first."""
    return (
        connection.cursor(row_factory=class_row(SessionRow))
        .execute(
            "SELECT session_id, created_at, seen_at, valid_to, address, agent"
            f" FROM portal_session s WHERE person_id = %s AND {_IN_FORCE}"
            " ORDER BY session_id DESC",
            (person_id,),
        )
        .fetchall()
    )


def end_session(connection: psycopg.Connection[Any], person_id: int, session_id: int) -> bool:
    """End one of a person's sessions; False if it is not one of them, or over."""
    return bool(
        connection.execute(
            "UPDATE portal_session SET revoked_at = now()"
            " WHERE session_id = %s AND person_id = %s AND revoked_at IS NULL",
            (session_id, person_id),
        ).rowcount
    )


def end_sessions(
    connection: psycopg.Connection[Any], person_id: int, but: int | None = None
) -> None:
    """End all sessions of a person, but one."""
    connection.execute(
        "UPDATE portal_session SET revoked_at = now()"
        " WHERE person_id = %s AND revoked_at IS NULL AND session_id IS DISTINCT FROM %s",
        (person_id, but),
    )


def live_sessions(connection: psycopg.Connection[Any], session_ids: list[int]) -> set[int]:
    """Return which of some sessions are in force."""
    rows = connection.execute(
        "SELECT session_id FROM portal_session s JOIN person p USING (person_id)"
        f" WHERE session_id = ANY (%s) AND {_IN_FORCE} AND p.disabled_at IS NULL",
        (session_ids,),
    )
    return {row[0] for row in rows}
