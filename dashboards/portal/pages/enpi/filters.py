"""The performance page's address: ``t`` is a year, ``month`` one of its months, ``day`` a day."""

from __future__ import annotations

import datetime as dt
import re

import msgspec

from dashboards.portal.pages.overview.filters import parse_day, parse_month

__all__ = ["EnpiFilters", "parse_enpi"]


class EnpiFilters(msgspec.Struct, frozen=True, kw_only=True):
    """What the address asks for."""

    year: int | None = None
    month: dt.date | None = None  # its first day
    day: dt.date | None = None
    normalised: bool = False
    misread: str | None = None  # given, but not understood; the page says so


def parse_enpi(
    t: str | None, month: str | None, day: str | None = None, view: str | None = None
) -> EnpiFilters:
    """Read ``?t=2018&month=2018-09&day=2018-09-13&view=normalised``; the finest part leads."""
    single = parse_day(day)
    chosen = parse_month(month) if single is None else single.replace(day=1)
    year = int(t) if t and re.fullmatch(r"[12]\d{3}", t) else None
    misread = None
    if t and year is None:
        misread = t[:40]
    elif month and chosen is None:
        misread = month[:40]
    elif day and single is None:
        misread = day[:40]
    if chosen is not None:
        year = chosen.year
    return EnpiFilters(
        year=year, month=chosen, day=single, normalised=view == "normalised", misread=misread
    )
