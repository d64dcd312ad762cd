"""Tokens by which a person's programs read: shown once, kept as a hash."""

from __future__ import annotations

import datetime as dt
import hmac
import re
import secrets
from typing import Any, Final, Literal

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.errors import AccessError
from dashboards.portal.access.identity import Identity
from dashboards.portal.access.log import record
from dashboards.portal.access.sessions import hashed

__all__ = ["ReadScope", "TokenRow", "find_token", "make_token", "own_tokens", "revoke_token"]

ReadScope = Literal["read", "export"]
_FORM: Final = re.compile(r"enp_([0-9]{1,9})_([A-Za-z0-9_-]{43})\Z")
_MOST_DAYS: Final = 730


class TokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """A token in force, without what it is."""

    token_id: int
    name: str
    scopes: list[str]
    site: str | None
    valid_to: dt.datetime
    last_used_at: dt.datetime | None


def make_token(
    connection: psycopg.Connection[Any],
    identity: Identity,
    name: str,
    scopes: list[ReadScope],
    days: int,
    site: str | None = None,
) -> str:
    """Make a token for the person's own rights and return it.

    Parameters
    ----------
    name
        What it is for.
    scopes
        "read" for the API, "export" for files.
    days
        How long it holds [d], 1 to 730.
    site
        Code of the only site that it opens; None: all that the person sees.

    Raises
    ------
    AccessError
        If something is missing, or the person does not see the site.
    """
    if not name.strip() or not scopes or not 1 <= days <= _MOST_DAYS:
        raise AccessError(f"a token needs a purpose, a scope and 1 to {_MOST_DAYS} days",
                          f"令牌须有用途、范围和 1 至 {_MOST_DAYS} 天的期限")  # fmt: skip
    site_id = None
    if site:
        row = connection.execute(
            "SELECT s.site_id FROM site s JOIN person_permission p USING (site_id)"
            " WHERE s.code = %s AND p.person_id = %s AND p.permission = 'see'",
            (site, identity.person_id),
        ).fetchone()
        if row is None:
            raise AccessError(f"there is no site {site!r}", f"没有厂区“{site}”")
        site_id = row[0]
    secret = secrets.token_urlsafe(32)
    made = connection.execute(
        "INSERT INTO api_token (site_id, name, secret_sha256, scopes, created_by, valid_to,"
        " person_id) VALUES (%s, %s, %s, %s, %s, now() + %s * interval '1 day', %s)"
        " RETURNING token_id",
        (site_id, name.strip(), hashed(secret), sorted(set(scopes)), identity.login, days,
         identity.person_id),
    ).fetchone()  # fmt: skip
    assert made is not None  # RETURNING
    record(connection, "token_made", identity.login, identity.person_id, detail=f"{made[0]}")
    return f"enp_{made[0]}_{secret}"


def find_token(connection: psycopg.Connection[Any], text: str) -> Identity | None:
    """Return for whom a token reads; None if it is unknown, over, revoked, or only writes."""
    parts = _FORM.match(text)
    if parts is None:
        return None
    row = connection.execute(
        "SELECT t.secret_sha256, t.scopes, t.site_id, p.person_id, p.login, p.name,"
        " coalesce(t.last_used_at < now() - interval '1 minute', true)"
        " FROM api_token t JOIN person p USING (person_id) WHERE t.token_id = %s"
        " AND t.revoked_at IS NULL AND now() < t.valid_to AND p.disabled_at IS NULL",
        (int(parts[1]),),
    ).fetchone()
    # Compared even if there is no such token, so that an answer takes as long.
    held = bytes(row[0]) if row is not None else bytes(32)
    if not hmac.compare_digest(held, hashed(parts[2])) or row is None:
        return None
    if row[6]:
        connection.execute(
            "UPDATE api_token SET last_used_at = now() WHERE token_id = %s", (int(parts[1]),)
        )
    return Identity(
        person_id=row[3], login=row[4], name=row[5], scopes=frozenset(row[1]), only_site_id=row[2]
    )


def own_tokens(connection: psycopg.Connection[Any], person_id: int) -> list[TokenRow]:
    """Return a person's tokens in force, latest first."""
    return (
        connection.cursor(row_factory=class_row(TokenRow))
        .execute(
            "SELECT token_id, name, scopes, s.code AS site, valid_to, last_used_at"
            " FROM api_token t LEFT JOIN site s USING (site_id)"
            " WHERE person_id = %s AND revoked_at IS NULL AND now() < valid_to"
            " ORDER BY token_id DESC",
            (person_id,),
        )
        .fetchall()
    )


def revoke_token(connection: psycopg.Connection[Any], identity: Identity, token_id: int) -> bool:
    """End one of the person's tokens; False if it is not one of them."""
    ended = connection.execute(
        "UPDATE api_token SET revoked_by = %s, revoked_at = now()"
        " WHERE token_id = %s AND person_id = %s AND revoked_at IS NULL",
        (identity.login, token_id, identity.person_id),
    ).rowcount
    if ended:
        record(connection, "token_revoked", identity.login, identity.person_id,
               detail=str(token_id))  # fmt: skip
    return bool(ended)
