"""The overview's address: ``t`` is a day, a month, or absent for the last complete period."""

from __future__ import annotations

import datetime as dt
import re

import msgspec

__all__ = ["OverviewFilters", "parse_day", "parse_month", "parse_overview"]


class OverviewFilters(msgspec.Struct, frozen=True, kw_only=True):
    """What the address asks for."""

    day: dt.date | None = None
    month: dt.date | None = None  # its first day
    misread: str | None = None  # given, but not a period; the page says so and shows the default


def parse_overview(t: str | None) -> OverviewFilters:
    """Read ``?t=``; what cannot be read opens the default page, never a blank one."""
    if not t or t == "yesterday":
        return OverviewFilters()
    month = parse_month(t)
    if month is not None:
        return OverviewFilters(month=month)
    day = parse_day(t)
    return OverviewFilters(misread=t[:40]) if day is None else OverviewFilters(day=day)


def parse_day(text: str | None) -> dt.date | None:
    """Read ``2018-09-13``, else None."""
    if not text or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def parse_month(text: str | None) -> dt.date | None:
    """Read ``2018-09`` as the first day of that month, else None."""
    if not text or not re.fullmatch(r"\d{4}-\d{2}", text):
        return None
    try:
        return dt.date.fromisoformat(f"{text}-01")
    except ValueError:
        return None
