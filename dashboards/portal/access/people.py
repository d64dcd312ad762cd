"""Persons: made once, disabled, never deleted."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, Final

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.errors import AccessError
from dashboards.portal.access.log import record
from dashboards.portal.access.passwords import hash_password
from dashboards.portal.access.sessions import end_sessions

__all__ = [
    "Person",
    "find_person",
    "list_people",
    "make_person",
    "set_disabled",
    "set_password",
    "set_preference",
]

_LOGIN: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,63}\Z")


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who may sign in."""

    person_id: int
    login: str
    name: str
    has_password: bool
    disabled_at: dt.datetime | None
    seen_at: dt.datetime | None


_SELECT: Final = (
    "SELECT person_id, login, name, password_hash IS NOT NULL AS has_password, disabled_at,"
    " (SELECT max(seen_at) FROM portal_session s WHERE s.person_id = p.person_id) AS seen_at"
    " FROM person p"
)


def make_person(connection: psycopg.Connection[Any], login: str, name: str, author: str) -> int:
    """Make a person without a password and return its number.

    Raises
    ------
    AccessError
        If the login is taken, or is none.
    """
    login = login.strip().lower()
    if _LOGIN.match(login) is None:
        raise AccessError(
            f"{login!r} is no login: 2 to 64 letters a-z, digits and . _ @ + -, a letter or digit"
            " first",
            f"“{login}”不能作登录名：2 至 64 个小写字母、数字和 . _ @ + -，以字母或数字开头",
        )
    row = connection.execute(
        "INSERT INTO person (login, name, created_by) VALUES (%s, %s, %s)"
        " ON CONFLICT (login) DO NOTHING RETURNING person_id",
        (login, name.strip() or login, author),
    ).fetchone()
    if row is None:
        raise AccessError(f"there is a person {login!r} already", f"已有“{login}”这个人")
    record(connection, "person_made", author, row[0])
    return int(row[0])


def find_person(connection: psycopg.Connection[Any], login: str) -> Person | None:
    """Return the person of a login."""
    return (
        connection.cursor(row_factory=class_row(Person))
        .execute(f"{_SELECT} WHERE login = %s", (login.strip().lower(),))
        .fetchone()
    )


def list_people(connection: psycopg.Connection[Any]) -> list[Person]:
    """Return all persons by login."""
    return (
        connection.cursor(row_factory=class_row(Person))
        .execute(f"{_SELECT} ORDER BY login")
        .fetchall()
    )


def set_password(
    connection: psycopg.Connection[Any],
    person_id: int,
    password: str,
    author: str,
    keep_session: int | None = None,
) -> None:
    """Set a password and end the person's sessions, but the one that set it."""
    connection.execute(
        "UPDATE person SET password_hash = %s WHERE person_id = %s",
        (hash_password(password), person_id),
    )
    end_sessions(connection, person_id, but=keep_session)
    record(connection, "password_set", author, person_id)


def set_disabled(
    connection: psycopg.Connection[Any], person_id: int, author: str, *, disabled: bool
) -> None:
    """Let a person in no more, or again; disabling ends the person's sessions."""
    changed = connection.execute(
        "UPDATE person SET disabled_at = CASE WHEN %(off)s THEN now() END,"
        " disabled_by = CASE WHEN %(off)s THEN %(author)s END"
        " WHERE person_id = %(person)s AND (disabled_at IS NULL) = %(off)s",
        {"off": disabled, "author": author, "person": person_id},
    ).rowcount
    if not changed:
        return
    if disabled:
        end_sessions(connection, person_id)
    record(connection, "person_disabled" if disabled else "person_enabled", author, person_id)


def set_preference(
    connection: psycopg.Connection[Any],
    person_id: int,
    language: str | None = None,
    theme: str | None = None,
) -> None:
    """Keep what a person chose; None leaves it as it is."""
    connection.execute(
        "UPDATE person SET language = coalesce(%s, language), theme = coalesce(%s, theme)"
        " WHERE person_id = %s",
        (language, theme, person_id),
    )
