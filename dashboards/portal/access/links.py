"""One-time links: the first administrator, invitations, forgotten passwords, the demonstration."""

from __future__ import annotations

import secrets
from typing import Any, Final, Literal

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.portal.access.log import record
from dashboards.portal.access.sessions import hashed

__all__ = ["Link", "Purpose", "first_link", "make_link", "peek_link", "use_link"]

Purpose = Literal["first_start", "invitation", "reset", "sign_in"]
_HOURS: Final[dict[Purpose, int]] = {
    "first_start": 24, "invitation": 7 * 24, "reset": 4, "sign_in": 24
}  # fmt: skip
# A link for the first administrator opens nothing once there is a person.
_IN_FORCE: Final = (
    "l.used_at IS NULL AND now() < l.valid_to AND p.disabled_at IS NULL"
    " AND (l.purpose <> 'first_start' OR NOT EXISTS (SELECT 1 FROM person))"
)


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """What a link opens."""

    link_id: int
    purpose: Purpose
    person_id: int | None
    login: str | None
    name: str | None


def make_link(
    connection: psycopg.Connection[Any], purpose: Purpose, person_id: int | None, author: str
) -> str:
    """Make a link and return its path; earlier ones of the same purpose and person end.

    Parameters
    ----------
    purpose
        What it opens.
    person_id
        Whom; None for the first start.
    author
        Who asks for it.
    """
    token = secrets.token_urlsafe(32)
    connection.execute(
        "UPDATE sign_in_link SET used_at = now() WHERE used_at IS NULL AND purpose = %s"
        " AND person_id IS NOT DISTINCT FROM %s",
        (purpose, person_id),
    )
    connection.execute(
        "INSERT INTO sign_in_link (token_sha256, purpose, person_id, created_by, valid_to)"
        " VALUES (%s, %s, %s, %s, now() + %s * interval '1 hour')",
        (hashed(token), purpose, person_id, author, _HOURS[purpose]),
    )
    record(connection, "link_made", author, person_id, detail=purpose)
    return f"/link/{token}"


def first_link(connection: psycopg.Connection[Any], author: str) -> str | None:
    """Return the path of a new link for the first administrator; None if there is a person."""
    with connection.transaction():
        row = connection.execute("SELECT EXISTS (SELECT 1 FROM person)").fetchone()
        if row == (True,):
            return None
        return make_link(connection, "first_start", None, author)


def peek_link(connection: psycopg.Connection[Any], token: str) -> Link | None:
    """Return what a link opens, without using it; None if it is unknown, used or over."""
    return (
        connection.cursor(row_factory=class_row(Link))
        .execute(
            "SELECT l.link_id, l.purpose, l.person_id, p.login, p.name"
            " FROM sign_in_link l LEFT JOIN person p USING (person_id)"
            f" WHERE l.token_sha256 = %s AND {_IN_FORCE}",
            (hashed(token),),
        )
        .fetchone()
    )


def use_link(connection: psycopg.Connection[Any], token: str) -> Link | None:
    """Use a link up; None if another was quicker."""
    # Two who open the first link at once: the second waits here, and finds a person.
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('enpilot.sign_in_link', 0))")
    link = peek_link(connection, token)
    if link is None:
        return None
    used = connection.execute(
        "UPDATE sign_in_link SET used_at = now() WHERE link_id = %s AND used_at IS NULL",
        (link.link_id,),
    ).rowcount
    return link if used else None
