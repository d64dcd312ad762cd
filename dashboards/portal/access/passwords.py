"""Passwords: argon2id, and the same time for a login that does not exist."""

from __future__ import annotations

import functools
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

__all__ = ["SHORTEST", "check_password", "hash_password", "weakness"]

# Parameters of RFC 9106 for little memory: 64 MiB, three passes.
_HASHER: Final = PasswordHasher()
SHORTEST: Final = 10
_LONGEST: Final = 200


def hash_password(password: str) -> str:
    """Return the hash that is kept."""
    return _HASHER.hash(password)


def check_password(kept: str | None, password: str) -> tuple[bool, str | None]:
    """Compare, in the same time whether there is something to compare with or not.

    Parameters
    ----------
    kept
        The hash; None: there is no such person, or no password.
    password
        What was typed.

    Returns
    -------
    right
        Whether it is the password.
    renewed
        A new hash to keep, if the old one was made with weaker parameters.
    """
    try:
        _HASHER.verify(kept or _nobodys(), password[:_LONGEST])
    except (VerificationError, InvalidHashError):
        return False, None
    if kept is None:
        return False, None
    return True, _HASHER.hash(password) if _HASHER.check_needs_rehash(kept) else None


def weakness(login: str, password: str) -> str | None:
    """Return why a password cannot be taken: "short", "long" or "login"; None if it can."""
    if len(password) < SHORTEST:
        return "short"
    if len(password) > _LONGEST:
        return "long"
    if len(login) > 3 and login.lower() in password.lower():
        return "login"
    return None


@functools.cache
def _nobodys() -> str:
    return _HASHER.hash("nobody's")
