"""Civil days and months of a site as instants (F21). A local day has 23, 24 or 25 hours."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

__all__ = [
    "Period",
    "PeriodKind",
    "days_of",
    "local_date",
    "midnight",
    "month_after",
    "month_start",
    "months_of",
    "years_later",
    "years_to_date_of",
]

PeriodKind: TypeAlias = Literal["day", "month", "year_to_date"]


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """Local dates [first, after)."""

    first: dt.date
    after: dt.date
    kind: PeriodKind

    def moved(self, years: int) -> Period:
        """Return the same months, or the same days, ``years`` later."""
        return Period(years_later(self.first, years), years_later(self.after, years), self.kind)

    def overlaps(self, since: dt.date, until: dt.date) -> bool:
        """Whether the period has a day in [since, until)."""
        return self.first < until and since < self.after

    def cut(self, until: dt.date) -> Period:
        """Return the part before a day."""
        return Period(self.first, min(self.after, until), self.kind)


def midnight(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """Return the instant at which a local day begins."""
    return dt.datetime.combine(day, dt.time(0), zone).astimezone(dt.UTC)


def local_date(at: dt.datetime, zone: ZoneInfo) -> dt.date:
    """Return the local day that an instant lies in."""
    return at.astimezone(zone).date()


def month_start(day: dt.date) -> dt.date:
    """Return the first day of a day's month."""
    return day.replace(day=1)


def month_after(day: dt.date) -> dt.date:
    """Return the first day of the month after a day's."""
    return (day.replace(day=1) + dt.timedelta(days=32)).replace(day=1)


def years_later(day: dt.date, years: int) -> dt.date:
    """Return the same day of another year; 29 February becomes 1 March where there is none."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return dt.date(day.year + years, 3, 1)


def days_of(since: dt.date, until: dt.date) -> Iterator[Period]:
    """Yield the days in [since, until)."""
    for n in range((until - since).days):
        day = since + dt.timedelta(days=n)
        yield Period(day, day + dt.timedelta(days=1), "day")


def months_of(since: dt.date, until: dt.date) -> Iterator[Period]:
    """Yield the whole months that have a day in [since, until)."""
    first = month_start(since)
    while first < until:
        yield Period(first, month_after(first), "month")
        first = month_after(first)


def years_to_date_of(since: dt.date, until: dt.date) -> Iterator[Period]:
    """Yield the year up to the end of every month that has a day in [since, until)."""
    for month in months_of(since, until):
        yield Period(month.first.replace(month=1), month.after, "year_to_date")
