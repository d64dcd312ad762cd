"""Energy by quarter-hours of a site's local days, as arrays that detectors work on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from analytics.accounting.energy_parts import MeteredPoint
from analytics.accounting.holidays import DayKind, HolidayCalendar
from analytics.accounting.site_calendar import midnight
from analytics.counters.levels import MICRO
from analytics.intervals.readings import microseconds
from analytics.intervals.sums import GRID_US, SeriesIntervals

__all__ = [
    "QUARTERS_AN_HOUR",
    "QUARTERS_A_DAY",
    "LocalQuarters",
    "QuarterHours",
    "local_quarters",
    "quarter_hours",
    "runs_of",
]  # fmt: skip

QUARTERS_AN_HOUR: Final = 4
QUARTERS_A_DAY: Final = 96
_QUARTER: Final = dt.timedelta(minutes=15)
_DAY: Final = dt.timedelta(days=1)
# An interval tells its own energy if nearly all of it lies between neighbouring readings.
_MEASURED_S: Final = 0.9 * 900


@dataclass(frozen=True, slots=True)
class LocalQuarters:
    """The quarter-hours of local days in order.

    Attributes
    ----------
    since
        Instant of the first one.
    days, kinds
        Each local day and what it is.
    day
        Of each quarter-hour, the number of its day in ``days``, shape (n,).
    quarter
        What the clock shows, 0 .. 95, shape (n,); twice where an hour comes twice.
    """

    since: dt.datetime
    days: Sequence[dt.date]
    kinds: Sequence[DayKind]
    day: NDArray[np.int64]
    quarter: NDArray[np.int64]

    def instant(self, number: int) -> dt.datetime:
        """Return when a quarter-hour begins; ``number`` may be one past the last."""
        return self.since + number * _QUARTER

    def of_kind(self, *kinds: DayKind) -> NDArray[np.bool_]:
        """Return which quarter-hours lie in days of some kinds, shape (n,)."""
        return np.array([k in kinds for k in self.kinds], dtype=np.bool_)[self.day]

    def from_day(self, first: dt.date) -> NDArray[np.bool_]:
        """Return which quarter-hours lie in or after a local day, shape (n,)."""
        return np.array([d >= first for d in self.days], dtype=np.bool_)[self.day]


@dataclass(frozen=True, slots=True)
class QuarterHours:
    """What a point used in each quarter-hour.

    Attributes
    ----------
    amount
        Energy [unit of the point], shape (n,); 0 where it is not known.
    known
        Whether readings tell it without a guess, shape (n,).
    simulated
        Some reading came from a simulated source.
    """

    amount: NDArray[np.float64]
    known: NDArray[np.bool_]
    simulated: bool = False

    @property
    def rate(self) -> NDArray[np.float64]:
        """Mean power or flow [unit/h], shape (n,)."""
        return self.amount * QUARTERS_AN_HOUR

    def day_sums(self, quarters: LocalQuarters) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return each day's energy, and whether all of its quarter-hours are known."""
        n = len(quarters.days)
        sums = _sums(quarters.day, self.amount, n)
        unknown = _sums(quarters.day, ~self.known, n)
        return sums, unknown == 0


def local_quarters(
    zone: ZoneInfo, calendar: HolidayCalendar, since: dt.date, until: dt.date
) -> LocalQuarters:
    """Return the quarter-hours of local days [since, until).

    Parameters
    ----------
    zone, calendar
        Of the site.
    since, until
        Local days.

    Returns
    -------
    LocalQuarters
        92, 96 or 100 for a day (F21).
    """
    days = [since + n * _DAY for n in range((until - since).days)]
    day: list[NDArray[np.int64]] = []
    quarter: list[NDArray[np.int64]] = []
    for number, date in enumerate(days):
        begin, end = midnight(date, zone), midnight(date + _DAY, zone)
        length = (end - begin) // _QUARTER
        day.append(np.full(length, number, dtype=np.int64))
        if length == QUARTERS_A_DAY:
            quarter.append(np.arange(QUARTERS_A_DAY, dtype=np.int64))
            continue
        clock = [(begin + n * _QUARTER).astimezone(zone) for n in range(length)]
        quarter.append(np.array([c.hour * 4 + c.minute // 15 for c in clock], dtype=np.int64))
    none = [np.zeros(0, dtype=np.int64)]
    return LocalQuarters(
        midnight(since, zone),
        days,
        [calendar.of(date).kind for date in days],
        np.concatenate(day or none),
        np.concatenate(quarter or none),
    )


def quarter_hours(
    parts: Sequence[MeteredPoint],
    intervals: Callable[[int], SeriesIntervals | None],
    quarters: LocalQuarters,
) -> QuarterHours | None:
    """Add up what counts of a point by quarter-hours.

    Parameters
    ----------
    parts
        Series of one point, with their signs and the time for which each counts.
    intervals
        Gives a series' intervals; they reach over ``quarters``.
    quarters
        Where to look.

    Returns
    -------
    QuarterHours or None
        None if no part has any interval there. A quarter-hour is known where each part that counts
        then was read around it without a gap (F4).
    """
    n = len(quarters.day)
    begin = microseconds(quarters.since)
    amount, counted = np.zeros(n), np.zeros(n, dtype=np.bool_)
    known = np.ones(n, dtype=np.bool_)
    simulated = anything = False
    for part in parts:
        low = max(0, -(-(microseconds(part.valid_from) - begin) // GRID_US))
        high = n if part.valid_to is None else (microseconds(part.valid_to) - begin) // GRID_US
        low, high = min(low, n), max(0, min(high, n))
        if low >= high:
            continue
        counted[low:high] = True
        series = intervals(part.series_id)
        told = np.zeros(n, dtype=np.bool_)
        if series is not None:
            of_series, told = _of_series(series, begin, n, part.sign)
            amount[low:high] += of_series[low:high]
            anything = anything or bool(told[low:high].any())
            simulated = simulated or bool(series.simulated.any())
        known[low:high] &= told[low:high]
    known &= counted
    return QuarterHours(np.where(known, amount, 0.0), known, simulated) if anything else None


def _of_series(
    series: SeriesIntervals, begin: int, n: int, sign: int | Fraction
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    number = (series.start_us - begin) // GRID_US
    inside = (number >= 0) & (number < n)
    number = number[inside]
    scaled = np.zeros(len(number))
    for epoch_id, scale in series.scales.items():
        own = series.epoch[inside] == epoch_id
        scaled[own] = series.advance[inside][own] * float(sign * scale.scale / MICRO)
    measured = _sums(number, series.measured_s[inside], n)
    guessed = _sums(number, series.estimated[inside] != 0, n)
    return _sums(number, scaled, n), (measured >= _MEASURED_S) & (guessed == 0)


def _sums(
    number: NDArray[np.int64], values: NDArray[np.float64] | NDArray[np.bool_], n: int
) -> NDArray[np.float64]:
    return np.bincount(number, weights=values, minlength=n).astype(np.float64)


def runs_of(held: NDArray[np.bool_], shortest: int = 1, bridged: int = 0) -> list[tuple[int, int]]:
    """Return where something holds without a break.

    Parameters
    ----------
    held
        Whether it holds, shape (n,).
    shortest
        Runs of fewer are left out; breaks inside do not count.
    bridged
        Breaks of at most so many are part of a run.

    Returns
    -------
    list of tuple
        First and one past the last of each run, in order.

    Notes
    -----
    What a run adds up to is a sum over the grid, in order (F36).
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([False], held, [False])).astype(np.int8)))
    found: list[tuple[int, int]] = []
    for low, high in edges.reshape(-1, 2).tolist():
        if found and low - found[-1][1] <= bridged:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return [(a, b) for a, b in found if int(held[a:b].sum()) >= shortest]
