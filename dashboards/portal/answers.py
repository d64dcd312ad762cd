"""What came of what people asked the services to do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

__all__ = ["Answer", "find_answer", "last_answer"]

_COLUMNS = "request_id, kind, asked_by, asked_at, state, outcome, refusal"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A request and what a service said to it.

    Attributes
    ----------
    state
        waiting, done, refused, or failed (a defect of ours).
    outcome
        Of one that is done.
    refusal
        Why one had no effect, in the words of the service.
    """

    request_id: int
    kind: str
    asked_by: str
    asked_at: dt.datetime
    state: str
    outcome: dict[str, Any] | None
    refusal: str | None


def find_answer(
    connection: psycopg.Connection[Any], site_id: int, number: str | None
) -> Answer | None:
    """Return a request of a site by the number in an address; None if there is none to see."""
    if number is None or not number.isdecimal() or len(number) > 15:
        return None
    return (
        connection.cursor(row_factory=class_row(Answer))
        .execute(
            f"SELECT {_COLUMNS} FROM work_request WHERE site_id = %s AND request_id = %s".encode(),
            (site_id, int(number)),
        )
        .fetchone()
    )


def last_answer(
    connection: psycopg.Connection[Any], site_id: int, kind: str, arguments: Mapping[str, object]
) -> Answer | None:
    """Return the last request of a kind that was done with these arguments."""
    return (
        connection.cursor(row_factory=class_row(Answer))
        .execute(
            f"SELECT {_COLUMNS} FROM work_request WHERE site_id = %s AND kind = %s"
            " AND state = 'done' AND arguments @> %s::jsonb"
            " ORDER BY request_id DESC LIMIT 1".encode(),
            (site_id, kind, msgspec.json.encode(dict(arguments)).decode()),
        )
        .fetchone()
    )
