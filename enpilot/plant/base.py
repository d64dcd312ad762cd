"""What every structure of a plant file is made of: strict, dated, named in both languages."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["Code", "Dated", "Instant", "Names", "PositiveShare", "Rate", "Share", "Strict"]

# \Z, since $ would let a line break at the end through.
Code = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}\Z")]
Share = Annotated[str, Meta(pattern=r"^(0(\.[0-9]+)?|1(\.0+)?)\Z")]
PositiveShare = Annotated[str, Meta(pattern=r"^(?=.*[1-9])(0\.[0-9]+|1(\.0+)?)\Z")]
Rate = Annotated[str, Meta(pattern=r"^(-[0-9]+|0)(\.[0-9]+)?\Z")]  # below 1; 4 % is "0.04"
Instant = Annotated[dt.datetime, Meta(tz=True)]


class Strict(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of every structure in a plant file: a misspelt key is refused, not ignored."""


class Names(Strict, kw_only=True):
    """A name in both languages."""

    zh: str
    en: str


class Dated(Strict, kw_only=True, rename={"valid_from": "from", "valid_to": "to"}):
    """Holds in the plant from .. to; left out, ``from`` is the site's."""

    valid_from: Instant | None = None
    valid_to: Instant | None = None
