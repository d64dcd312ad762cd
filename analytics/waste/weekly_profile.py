"""What a quarter-hour of the week usually uses, and runs that exceed it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.accounting.holidays import DayKind
from analytics.waste.quarter_hours import (
    QUARTERS_A_DAY,
    QUARTERS_AN_HOUR,
    LocalQuarters,
    QuarterHours,
    runs_of,
)

__all__ = ["HISTORY_DAYS", "Deviation", "Expected", "deviations", "expected_profile"]

HISTORY_DAYS: Final = 70
_FEWEST_DAYS: Final = 4
_FEWEST_OF_A_KIND: Final = 6
_MAD: Final = 1.4826
# A profile is never believed to be finer than this part of its own top.
_FINEST: Final = 0.03
_FEW_DAYS: Final = 4.0
_Z: Final = 4.0
_SHORTEST: Final = 4  # an hour
_BRIDGED: Final = 2


@dataclass(frozen=True, slots=True)
class Expected:
    """What was to be expected of each quarter-hour.

    Attributes
    ----------
    amount
        Median of comparable days [unit], shape (n,).
    deviation
        Their spread as a standard deviation [unit], shape (n,).
    known
        Whether enough comparable days came before, shape (n,).
    """

    amount: NDArray[np.float64]
    deviation: NDArray[np.float64]
    known: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Deviation:
    """A run of quarter-hours above what was expected.

    Attributes
    ----------
    first, after
        Numbers of its first quarter-hour and the one after its last.
    above
        Energy above what was expected [unit].
    expected
        What was expected over the run [unit].
    z
        Median of its excess in standard deviations.
    """

    first: int
    after: int
    above: float
    expected: float
    z: float

    @property
    def hours(self) -> float:
        """How long it lasted [h]."""
        return (self.after - self.first) / QUARTERS_AN_HOUR


def expected_profile(
    used: QuarterHours, quarters: LocalQuarters, since: dt.date, history_days: int = HISTORY_DAYS
) -> Expected:
    """Expect each quarter-hour from comparable days before it.

    Parameters
    ----------
    used
        Energy by quarter-hours, with the days before ``since`` [unit].
    quarters
        The same.
    since
        First local day for which something is to be expected.
    history_days
        How far back comparable days are taken; 28 or more [d].

    Returns
    -------
    Expected
        Unknown for days with fewer than 4 comparable days before them, and for days on which the
        works stands still as planned.

    Notes
    -----
    Comparable are days of the same kind: the same weekday where there are enough of it, else any
    working day, weekend day or holiday. Median and median absolute deviation (Hampel 1974); the
    deviation of a quarter-hour is at least the day's typical one and 3 % of the top.
    """
    shape = used.amount.shape
    found = Expected(np.zeros(shape), np.ones(shape), np.zeros(shape, dtype=np.bool_))
    table, told = _by_day(used, quarters)
    weekday = np.array([d.weekday() for d in quarters.days], dtype=np.int64)
    kinds = np.array([list(DayKind).index(k) for k in quarters.kinds], dtype=np.int64)
    ordinals = np.array([d.toordinal() for d in quarters.days], dtype=np.int64)
    standing = list(DayKind).index(DayKind.SHUTDOWN)
    for number, day in enumerate(quarters.days):
        if day < since or kinds[number] == standing:
            continue
        before = (ordinals < ordinals[number]) & (ordinals >= ordinals[number] - history_days)
        same = before & (kinds == kinds[number]) & told.any(axis=1)
        alike = same & (weekday == weekday[number])
        days = alike if alike.sum() >= _FEWEST_OF_A_KIND else same
        own = np.flatnonzero(quarters.day == number)
        median, deviation, enough = _robust(table[days], told[days])
        quarter = quarters.quarter[own]
        found.amount[own] = median[quarter]
        found.deviation[own] = deviation[quarter]
        found.known[own] = enough[quarter]
    return found


def _by_day(
    used: QuarterHours, quarters: LocalQuarters
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return energy by day and clock; of an hour that comes twice, the second."""
    table = np.zeros((len(quarters.days), QUARTERS_A_DAY))
    told = np.zeros(table.shape, dtype=np.bool_)
    table[quarters.day, quarters.quarter] = used.amount
    told[quarters.day, quarters.quarter] = used.known
    return table, told


def _robust(
    table: NDArray[np.float64], told: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    enough = told.sum(axis=0) >= _FEWEST_DAYS
    if not enough.any():
        return np.zeros(QUARTERS_A_DAY), np.ones(QUARTERS_A_DAY), enough
    if told.all():
        median = np.median(table, axis=0)
        spread = _MAD * np.median(np.abs(table - median), axis=0)
    else:
        # nanmedian leaves out what is not known; of a quarter-hour without any it gives 0 here.
        there = np.where(told | ~told.any(axis=0), table, np.nan)
        median = np.nanmedian(there, axis=0)
        spread = _MAD * np.nanmedian(np.abs(there - median), axis=0)
    top = float(np.max(np.abs(median[enough])))
    # Of few days the median is itself uncertain, and their median deviation too small.
    spread *= 1 + _FEW_DAYS / len(told)
    typical = float(np.median(spread[enough]))
    return median, np.maximum(spread, max(typical, _FINEST * top, 1e-9)), enough


def deviations(used: QuarterHours, expected: Expected) -> list[Deviation]:
    """Find runs of an hour or more that exceed what was expected.

    Parameters
    ----------
    used
        Energy by quarter-hours [unit].
    expected
        Of the same.

    Returns
    -------
    list of Deviation
        In order of time; each quarter-hour exceeds by 4 standard deviations, breaks of up to half
        an hour excepted.

    Notes
    -----
    z by median and median absolute deviation (Hampel 1974); the limit is our own choice.
    """
    both = used.known & expected.known
    z = np.where(both, (used.amount - expected.amount) / expected.deviation, 0.0)
    found = []
    for low, high in runs_of(z > _Z, _SHORTEST, _BRIDGED):
        own = both[low:high]
        excess = (used.amount[low:high] - expected.amount[low:high])[own]
        found.append(
            Deviation(
                low,
                high,
                float(excess.sum()),
                float(expected.amount[low:high][own].sum()),
                float(np.median(z[low:high][own])),
            )
        )
    return found
