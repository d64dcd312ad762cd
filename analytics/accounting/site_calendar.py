"""Days, shifts, weeks, months and years of a site as instants (F21).

A site counts by civil days, and by production days that begin when the first shift does: a night
shift belongs to the day it began. A local day has 23, 24 or 25 hours. A reporting month may begin
on another day than the first; it is named by the month in which it ends. Energy and output of a
figure are always cut on the same calendar.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

__all__ = [
    "JUDGED_KINDS",
    "Period",
    "PeriodKind",
    "Shift",
    "SiteCalendar",
    "days_of",
    "local_date",
    "midnight",
    "month_after",
    "month_start",
    "months_of",
    "years_later",
]

PeriodKind: TypeAlias = Literal[
    "day", "shift", "week", "month", "quarter", "year_to_date", "rolling_12"
]
# Only whole months can be held against the same months of the base year (F8).
JUDGED_KINDS = frozenset({"month", "quarter", "year_to_date", "rolling_12"})
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """Local dates [first, after); a shift is one on the production day ``first``."""

    first: dt.date
    after: dt.date
    kind: PeriodKind
    shift: str = ""

    def moved(self, years: int) -> Period:
        """Return the same months, or the same days, ``years`` later."""
        return Period(
            years_later(self.first, years), years_later(self.after, years), self.kind, self.shift
        )

    def overlaps(self, since: dt.date, until: dt.date) -> bool:
        """Whether the period has a day in [since, until)."""
        return self.first < until and since < self.after

    def cut(self, until: dt.date) -> Period:
        """Return the part before a day."""
        return Period(self.first, min(self.after, until), self.kind, self.shift)


@dataclass(frozen=True, slots=True)
class Shift:
    """A crew's hours; one that ends no later than it starts ends on the next civil day."""

    code: str
    starts: dt.time
    ends: dt.time
    valid_from: dt.datetime
    valid_to: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class SiteCalendar:
    """How a site cuts time.

    Attributes
    ----------
    zone
        Of the site.
    day_start
        Local time at which a day begins; midnight for the civil calendar.
    month_day
        Day on which a reporting month begins; 1 .. 28.
    shifts
        Of the production day, dated.
    """

    zone: ZoneInfo
    day_start: dt.time = dt.time(0)
    month_day: int = 1
    shifts: Sequence[Shift] = field(default=())

    def begins(self, day: dt.date) -> dt.datetime:
        """Return the instant at which a day begins [UTC]."""
        return dt.datetime.combine(day, self.day_start, self.zone).astimezone(dt.UTC)

    def day_of(self, at: dt.datetime) -> dt.date:
        """Return the day that an instant belongs to."""
        local = at.astimezone(self.zone)
        return local.date() if local.time() >= self.day_start else local.date() - _DAY

    def span(self, period: Period) -> tuple[dt.datetime, dt.datetime]:
        """Return the instants [since, until) of a period [UTC].

        Raises
        ------
        KeyError
            If the period is a shift that the site does not have.
        """
        if period.kind != "shift":
            return self.begins(period.first), self.begins(period.after)
        for shift in self.shifts:
            if shift.code == period.shift:
                since, until = self._shift_span(shift, period.first)
                if _holds(shift, since):
                    return since, until
        raise KeyError(f"no shift {period.shift!r} on {period.first}")

    def _shift_span(self, shift: Shift, day: dt.date) -> tuple[dt.datetime, dt.datetime]:
        first = day if shift.starts >= self.day_start else day + _DAY
        last = first if shift.ends > shift.starts else first + _DAY
        return (
            dt.datetime.combine(first, shift.starts, self.zone).astimezone(dt.UTC),
            dt.datetime.combine(last, shift.ends, self.zone).astimezone(dt.UTC),
        )

    def month_start(self, day: dt.date) -> dt.date:
        """Return the first day of a day's reporting month."""
        return month_start(day, self.month_day)

    def year_start(self, day: dt.date) -> dt.date:
        """Return the first day of the year of reporting months that a day lies in."""
        last = month_after(day, self.month_day) - _DAY
        return self.month_start(dt.date(last.year, 1, 1))

    def month_number(self, first: dt.date) -> int:
        """Return 1 .. 12, the month in which the reporting month from ``first`` on ends."""
        return (month_after(first, self.month_day) - _DAY).month

    def days(self, since: dt.date, until: dt.date) -> Iterator[Period]:
        """Return the days in [since, until)."""
        return days_of(since, until)

    def shifts_of(self, since: dt.date, until: dt.date) -> Iterator[Period]:
        """Yield the shifts of the production days in [since, until)."""
        for n in range((until - since).days):
            day = since + n * _DAY
            for shift in self.shifts:
                if _holds(shift, self._shift_span(shift, day)[0]):
                    yield Period(day, day + _DAY, "shift", shift.code)

    def weeks(self, since: dt.date, until: dt.date) -> Iterator[Period]:
        """Yield the weeks from Monday on that have a day in [since, until) (ISO 8601)."""
        first = since - since.weekday() * _DAY
        while first < until:
            yield Period(first, first + 7 * _DAY, "week")
            first += 7 * _DAY

    def months(self, since: dt.date, until: dt.date) -> Iterator[Period]:
        """Return the whole reporting months that have a day in [since, until)."""
        return months_of(since, until, self.month_day)

    def quarters(self, since: dt.date, until: dt.date) -> Iterator[Period]:
        """Yield the whole quarters that have a day in [since, until)."""
        first = self.month_start(since)
        while self.month_number(first) % 3 != 1:
            first = self.month_start(first - _DAY)
        while first < until:
            after = first
            for _ in range(3):
                after = month_after(after, self.month_day)
            yield Period(first, after, "quarter")
            first = after

    def years_to_date(self, since: dt.date, until: dt.date) -> Iterator[Period]:
        """Yield the year up to the end of every month that has a day in [since, until)."""
        for month in self.months(since, until):
            yield Period(self.year_start(month.first), month.after, "year_to_date")

    def rolling_years(self, since: dt.date, until: dt.date) -> Iterator[Period]:
        """Yield the twelve months up to the end of every month that has a day in [since, until)."""
        for month in self.months(since, until):
            yield Period(years_later(month.after, -1), month.after, "rolling_12")


def _holds(shift: Shift, at: dt.datetime) -> bool:
    return shift.valid_from <= at and (shift.valid_to is None or at < shift.valid_to)


def midnight(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """Return the instant at which a civil day begins (F21).

    Parameters
    ----------
    day
        Local.
    zone
        Of the site.

    Returns
    -------
    datetime
        In UTC.
    """
    return dt.datetime.combine(day, dt.time(0), zone).astimezone(dt.UTC)


def local_date(at: dt.datetime, zone: ZoneInfo) -> dt.date:
    """Return the civil day that an instant lies in (F21).

    Parameters
    ----------
    at
        With a zone.
    zone
        Of the site.

    Returns
    -------
    date
        Local.
    """
    return at.astimezone(zone).date()


def month_start(day: dt.date, month_day: int = 1) -> dt.date:
    """Return the first day of a day's month (F21).

    Parameters
    ----------
    day
        Local.
    month_day
        On which reporting months begin; 1 .. 28.

    Returns
    -------
    date
        On or before the day.
    """
    if day.day >= month_day:
        return day.replace(day=month_day)
    return (day.replace(day=1) - _DAY).replace(day=month_day)


def month_after(day: dt.date, month_day: int = 1) -> dt.date:
    """Return the first day of the month after a day's (F21).

    Parameters
    ----------
    day, month_day
        See `month_start`.

    Returns
    -------
    date
        After the day.
    """
    return (month_start(day, month_day).replace(day=1) + 32 * _DAY).replace(day=month_day)


def days_of(since: dt.date, until: dt.date) -> Iterator[Period]:
    """Yield the days in [since, until).

    Parameters
    ----------
    since, until
        Local dates.

    Yields
    ------
    Period
        Of one day.
    """
    for n in range((until - since).days):
        yield Period(since + n * _DAY, since + (n + 1) * _DAY, "day")


def months_of(since: dt.date, until: dt.date, month_day: int = 1) -> Iterator[Period]:
    """Yield the whole months that have a day in [since, until).

    Parameters
    ----------
    since, until
        Local dates.
    month_day
        On which reporting months begin; 1 .. 28.

    Yields
    ------
    Period
        Of one month.
    """
    first = month_start(since, month_day)
    while first < until:
        after = month_after(first, month_day)
        yield Period(first, after, "month")
        first = after


def years_later(day: dt.date, years: int) -> dt.date:
    """Return the same day of another year (F8).

    Parameters
    ----------
    day
        Any date.
    years
        May be negative.

    Returns
    -------
    date
        29 February becomes 1 March where there is none.
    """
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return dt.date(day.year + years, 3, 1)
