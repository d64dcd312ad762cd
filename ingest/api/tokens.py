"""Tokens of those who write over HTTP: random, shown once, kept as a hash, for one site each.

A token has 256 random bits, so that a plain SHA-256 of it says nothing; a slow hash is for words
that people choose.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Any, Final, Literal

import psycopg

from ingest.errors import TokenError

__all__ = [
    "Grant",
    "Scope",
    "Token",
    "create_token",
    "find_grant",
    "looks_like_one",
    "revoke_token",
]

Scope = Literal["output", "readings"]
_FORM: Final = re.compile(r"enp_([0-9]{1,9})_([A-Za-z0-9_-]{43})\Z")


@dataclass(frozen=True, slots=True)
class Token:
    """A new token; ``text`` is what its holder sends, and cannot be shown again."""

    token_id: int
    text: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What the holder of a token may do, and where."""

    token_id: int
    name: str
    site_id: int
    site: str
    scopes: frozenset[str]


def create_token(
    connection: psycopg.Connection[Any],
    site: str,
    name: str,
    scopes: list[Scope],
    valid_to: dt.datetime,
    author: str,
) -> Token:
    """Make a token.

    Parameters
    ----------
    site
        Code of the only site that it opens.
    name
        Who will hold it; the source of what it writes.
    scopes
        What it may write.
    valid_to
        When it ends.
    author
        Who hands it out.

    Raises
    ------
    TokenError
        If there is no such site, or the end has passed.
    """
    if valid_to <= dt.datetime.now(dt.UTC):
        raise TokenError(f"{valid_to.isoformat()} has passed: give a day to come")
    secret = secrets.token_urlsafe(32)
    with connection.transaction():
        row = connection.execute(
            "INSERT INTO api_token (site_id, name, secret_sha256, scopes, created_by, valid_to)"
            " SELECT site_id, %s, %s, %s, %s, %s FROM site WHERE code = %s RETURNING token_id",
            (name, _hashed(secret), sorted(set(scopes)), author, valid_to, site),
        ).fetchone()
    if row is None:
        raise TokenError(f"no site {site!r}: see `enpilot import plant`")
    return Token(row[0], f"enp_{row[0]}_{secret}")


def looks_like_one(text: str) -> bool:
    """Return whether a text has the form of a token, so that it is worth looking up."""
    return _FORM.match(text) is not None


def find_grant(connection: psycopg.Connection[Any], text: str) -> Grant | None:
    """Return what a token opens now; None if it is unknown, over or revoked."""
    parts = _FORM.match(text)
    if parts is None:
        return None
    with connection.transaction():
        row = connection.execute(
            "SELECT t.token_id, t.name, t.site_id, s.code, t.scopes, t.secret_sha256,"
            " t.revoked_at IS NULL AND now() < t.valid_to,"
            " coalesce(t.last_used_at < now() - interval '1 minute', true)"
            " FROM api_token t JOIN site s USING (site_id) WHERE t.token_id = %s",
            (int(parts[1]),),
        ).fetchone()
        # Compared even if there is no such token, so that an answer takes as long.
        held = bytes(row[5]) if row is not None else bytes(32)
        if not hmac.compare_digest(held, _hashed(parts[2])) or row is None or not row[6]:
            return None
        if row[7]:
            connection.execute(
                "UPDATE api_token SET last_used_at = now() WHERE token_id = %s", (row[0],)
            )
    return Grant(row[0], row[1], row[2], row[3], frozenset(row[4]))


def revoke_token(connection: psycopg.Connection[Any], token_id: int, author: str) -> None:
    """End a token; raises `TokenError` if there is none, or it is revoked already."""
    with connection.transaction():
        ended = connection.execute(
            "UPDATE api_token SET revoked_by = %s, revoked_at = now()"
            " WHERE token_id = %s AND revoked_at IS NULL",
            (author, token_id),
        ).rowcount
    if not ended:
        raise TokenError(f"there is no token {token_id} that could be revoked")


def _hashed(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
