"""The access log: who came in, who failed, who granted what. Rows are only added."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, Literal

import msgspec
import psycopg
from psycopg.rows import class_row

__all__ = ["PAGE", "Event", "LogRow", "read_log", "record"]

PAGE: Final = 100  # lines that are read at once

Event = Literal[
    "sign_in", "sign_out", "sign_in_failed", "locked", "link_made", "password_set", "person_made",
    "person_disabled", "person_enabled", "granted", "grant_revoked", "session_ended", "token_made",
    "token_revoked",
]  # fmt: skip


class LogRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the log."""

    access_log_id: int
    at_ts: dt.datetime
    event: Event
    actor: str
    login: str | None
    address: str | None
    detail: str


def record(
    connection: psycopg.Connection[Any],
    event: Event,
    actor: str,
    person_id: int | None = None,
    address: str | None = None,
    detail: str = "",
) -> None:
    """Add a line.

    Parameters
    ----------
    event
        What happened.
    actor
        A login, or who called the command.
    person_id
        Whom it concerns, as far as known.
    address
        Where from.
    detail
        Never a password, a token or a link.
    """
    connection.execute(
        "INSERT INTO access_log (event, actor, person_id, address, detail)"
        " VALUES (%s, %s, %s, %s, %s)",
        (event, actor, person_id, address, detail),
    )


def read_log(
    connection: psycopg.Connection[Any], before: int | None = None, most: int = PAGE
) -> list[LogRow]:
    """Return lines, latest first, older than the line ``before``."""
    return (
        connection.cursor(row_factory=class_row(LogRow))
        .execute(
            "SELECT l.access_log_id, l.at_ts, l.event, l.actor, p.login, l.address, l.detail"
            " FROM access_log l LEFT JOIN person p USING (person_id)"
            " WHERE %(before)s::bigint IS NULL OR l.access_log_id < %(before)s"
            " ORDER BY l.access_log_id DESC LIMIT %(most)s",
            {"before": before, "most": most},
        )
        .fetchall()
    )
