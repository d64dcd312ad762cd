"""Periods in addresses: ``2018-09-13``, ``2018-W37``, ``2018-09``, ``2018``, ``a..b``, words.

One grammar for every page. A relative word is what a bookmark should hold; days are the site's.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Literal

import msgspec

from enpilot.text import Language, day, month, pick

__all__ = ["Kind", "Period", "parse_period", "period_name", "period_of"]

Kind = Literal["day", "week", "month", "year", "span"]


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """Whole local days ``[first, end)``."""

    kind: Kind
    first: dt.date
    end: dt.date  # exclusive

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.end - self.first).days

    def text(self) -> str:
        """Return it as an address says it."""
        if self.kind == "day":
            return f"{self.first:%Y-%m-%d}"
        if self.kind == "week":
            return f"{self.first:%G-W%V}"
        if self.kind == "month":
            return f"{self.first:%Y-%m}"
        if self.kind == "year":
            return f"{self.first:%Y}"
        return f"{self.first:%Y-%m-%d}..{self.end - dt.timedelta(days=1):%Y-%m-%d}"

    def previous(self) -> Period:
        """Return the one before it, of the same kind; a span's is as long."""
        if self.kind == "span":
            length = self.end - self.first
            return Period(kind="span", first=self.first - length, end=self.first)
        return period_of(self.kind, self.first - dt.timedelta(days=1))

    def following(self) -> Period:
        """Return the one after it, of the same kind; a span's is as long."""
        if self.kind == "span":
            return Period(kind="span", first=self.end, end=self.end + (self.end - self.first))
        return period_of(self.kind, self.end)

    def year_before(self) -> Period:
        """Return the same days of the year before; a week begins on the same weekday."""
        if self.kind in ("week", "day"):
            back = dt.timedelta(days=364)
            return Period(kind=self.kind, first=self.first - back, end=self.end - back)
        return Period(kind=self.kind, first=_year_less(self.first), end=_year_less(self.end))


def _year_less(date: dt.date) -> dt.date:
    leap = (date.month, date.day) == (2, 29)
    return date.replace(year=date.year - 1, day=28 if leap else date.day)


def period_of(kind: Kind, date: dt.date) -> Period:
    """Return the day, week (from Monday), month or year that a date lies in."""
    if kind == "week":
        first = date - dt.timedelta(days=date.weekday())
        return Period(kind=kind, first=first, end=first + dt.timedelta(days=7))
    if kind == "month":
        first = date.replace(day=1)
        return Period(kind=kind, first=first, end=(first + dt.timedelta(days=32)).replace(day=1))
    if kind == "year":
        return Period(kind=kind, first=dt.date(date.year, 1, 1), end=dt.date(date.year + 1, 1, 1))
    return Period(kind="day", first=date, end=date + dt.timedelta(days=1))


def parse_period(text: str | None, today: dt.date) -> Period | None:
    """Read a period; None if there is none, or it cannot be read.

    Parameters
    ----------
    text
        As in an address.
    today
        The running day at the site, for relative words.
    """
    if not text:
        return None
    if ".." in text:
        ends = [parse_period(part, today) for part in text.split("..", 1)]
        if ends[0] is None or ends[1] is None or ends[0].first >= ends[1].end:
            return None
        return Period(kind="span", first=ends[0].first, end=ends[1].end)
    relative = _relative(text, today)
    if relative is not None:
        return relative
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return period_of("day", dt.date.fromisoformat(text))
        if re.fullmatch(r"\d{4}-W\d{2}", text):
            return period_of("week", dt.date.fromisocalendar(int(text[:4]), int(text[6:]), 1))
        if re.fullmatch(r"\d{4}-\d{2}", text):
            return period_of("month", dt.date.fromisoformat(f"{text}-01"))
        if re.fullmatch(r"[12]\d{3}", text):
            return period_of("year", dt.date(int(text), 1, 1))
    except ValueError:
        pass
    return None


def _relative(text: str, today: dt.date) -> Period | None:
    kinds: dict[str, Kind] = {"week": "week", "month": "month", "year": "year"}
    if text == "today":
        return period_of("day", today)
    if text == "yesterday":
        return period_of("day", today - dt.timedelta(days=1))
    which, _, name = text.partition("-")
    if which not in ("this", "last") or name not in kinds:
        return None
    this = period_of(kinds[name], today)
    return this if which == "this" else this.previous()


def period_name(language: Language, period: Period) -> str:
    """Write a period as people say it."""
    last = period.end - dt.timedelta(days=1)
    if period.kind == "day":
        return day(language, period.first)
    if period.kind == "month":
        return month(language, period.first)
    if period.kind == "year":
        return pick(language, f"{period.first.year}年", str(period.first.year))
    if period.kind == "week":
        number = period.first.isocalendar()
        return pick(
            language, f"{number.year}年第{number.week}周", f"{number.year}, week {number.week}"
        )
    return f"{period.first:%Y-%m-%d}–{last:%Y-%m-%d}"
