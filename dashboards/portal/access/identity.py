"""For whom the portal acts just now: set by the middleware, read by every query."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["Identity", "acting", "acting_as"]


@dataclass(frozen=True, slots=True)
class Identity:
    """A person, by a session or a token.

    Attributes
    ----------
    session_id
        None with a token.
    scopes
        Of the token; None with a session.
    only_site_id
        The only site that the token opens; None: all that the person sees.
    csrf
        What a form must send back; empty with a token.
    """

    person_id: int
    login: str
    name: str
    session_id: int | None = None
    scopes: frozenset[str] | None = None
    only_site_id: int | None = None
    language: str | None = None
    theme: str | None = None
    csrf: str = ""


_acting: ContextVar[Identity | None] = ContextVar("enpilot_acting", default=None)


def acting() -> Identity | None:
    """Return for whom this task acts; None: nobody, who sees nothing."""
    return _acting.get()


@contextlib.contextmanager
def acting_as(identity: Identity | None) -> Iterator[None]:
    """Act for someone inside the block, also in tasks and threads that it starts."""
    before = _acting.set(identity)
    try:
        yield
    finally:
        _acting.reset(before)
