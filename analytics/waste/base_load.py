"""The load that never goes away: how high it is, whether it rose, what closed hours use."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analytics.accounting.holidays import DayKind
from analytics.waste.quarter_hours import (
    QUARTERS_A_DAY,
    QUARTERS_AN_HOUR,
    LocalQuarters,
    QuarterHours,
)

__all__ = ["BaseLoad", "ClosedLoad", "Rise", "base_load", "base_load_rise", "closed_load",
           "learned_closed", "night"]  # fmt: skip

# A day's base load: what it falls below in one of twenty quarter-hours only.
_LOW: Final = 0.05
_FEWEST_DAYS: Final = 5
_ENOUGH_OF_A_DAY: Final = 0.75
# A rise is one if chance would show it in one of a hundred comparisons, and it is worth a look.
_SIGNIFICANT: Final = 0.01
_SMALLEST_RISE: Final = 0.10
# Of closed hours, what exceeds their usual load by so many of its deviations, or by a tenth.
_DEVIATIONS: Final = 4.0
_ABOVE: Final = 1.10
_OF_THE_TOP: Final = 0.02
# Where load falls by less than this from busy to quiet, nothing ever closes.
_SWING: Final = 0.30
_QUIET: Final = 0.20
_SHORTEST_CLOSED: Final = 8
_NIGHT: Final = (0, 20)  # 00:00 to 05:00


@dataclass(frozen=True, slots=True)
class BaseLoad:
    """A robust base load.

    Attributes
    ----------
    rate
        Median of the days' base loads [unit/h].
    low, high
        Their quartiles [unit/h].
    share
        Base load of all hours in all energy of the same time; 0 .. 1; None without energy.
    days
        Days it was measured on.
    by_day
        Each day's, shape (days,) [unit/h].
    """

    rate: float
    low: float
    high: float
    share: float | None
    days: int
    by_day: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rise:
    """How much higher a base load is than another.

    Attributes
    ----------
    rate
        Median of the differences of all pairs of days [unit/h].
    before
        The earlier base load [unit/h].
    p
        Of the rank test, 0 .. 1.
    """

    rate: float
    before: float
    p: float

    @property
    def is_significant(self) -> bool:
        """Whether it is neither chance nor small."""
        return self.p < _SIGNIFICANT and self.rate > _SMALLEST_RISE * abs(self.before)


@dataclass(frozen=True, slots=True)
class ClosedLoad:
    """What was used while nobody worked.

    Attributes
    ----------
    amount
        Energy of all closed hours [unit].
    avoidable
        Energy above the usual load of closed hours, in those that clearly exceed it [unit].
    usual_rate
        That usual load [unit/h].
    hours, hours_above
        Known closed hours, and those that exceed it [h].
    above
        Avoidable energy of each quarter-hour [unit], shape (n,).
    """

    amount: float
    avoidable: float
    usual_rate: float
    hours: float
    hours_above: float
    above: NDArray[np.float64]


def night(quarters: LocalQuarters) -> NDArray[np.bool_]:
    """Return which quarter-hours are at night, 00:00 to 05:00 by the clock.

    Parameters
    ----------
    quarters
        Of a site, shape (n,).

    Returns
    -------
    ndarray of bool
        For each quarter-hour, shape (n,).

    Notes
    -----
    Our own choice of hours; a schedule of the plant file says better (F38).
    """
    return (quarters.quarter >= _NIGHT[0]) & (quarters.quarter < _NIGHT[1])


def base_load(
    used: QuarterHours, quarters: LocalQuarters, when: NDArray[np.bool_]
) -> BaseLoad | None:
    """Find the base load of a point at certain times.

    Parameters
    ----------
    used
        Energy by quarter-hours [unit].
    quarters
        The same.
    when
        Which of them count, shape (n,).

    Returns
    -------
    BaseLoad or None
        None with fewer than 5 days of which three quarters are known.

    Notes
    -----
    A low quantile for each day and the median over days: one night of work or one failed meter
    moves neither. Low percentiles of a day as its base load: Price, Methods for analyzing electric
    load shape and its variability, LBNL-3713E (2010).
    """
    by_day = []
    energy = 0.0
    counted = 0
    ends = np.searchsorted(quarters.day, np.arange(len(quarters.days) + 1))
    for begin, end in itertools.pairwise(ends.tolist()):
        wanted = when[begin:end]
        own = wanted & used.known[begin:end]
        if wanted.any() and own.sum() >= _ENOUGH_OF_A_DAY * wanted.sum():
            amounts = used.amount[begin:end][own]
            low = float(np.quantile(amounts, _LOW, method="lower"))
            by_day.append(low * QUARTERS_AN_HOUR)
            energy += float(amounts.sum())
            counted += int(own.sum())
    if len(by_day) < _FEWEST_DAYS:
        return None
    rate = float(np.median(by_day))
    low, high = np.quantile(by_day, (0.25, 0.75)).tolist()
    share = min(1.0, max(0.0, rate) * counted / QUARTERS_AN_HOUR / energy) if energy > 0 else None
    return BaseLoad(rate, low, high, share, len(by_day), np.array(by_day))


def base_load_rise(now: BaseLoad, before: BaseLoad) -> Rise:
    """Compare a base load with that of the same season a year before.

    Parameters
    ----------
    now, before
        Of the same point at the same times of the day (F8).

    Returns
    -------
    Rise
        Negative where it fell.

    Notes
    -----
    Hodges and Lehmann's shift and the one-sided rank-sum test of Mann and Whitney (1947).
    """
    differences = now.by_day[:, None] - before.by_day[None, :]
    test = stats.mannwhitneyu(now.by_day, before.by_day, alternative="greater")
    return Rise(float(np.median(differences)), before.rate, float(test.pvalue))


def learned_closed(used: QuarterHours, quarters: LocalQuarters) -> NDArray[np.bool_] | None:
    """Learn from the load when a point's part of the works is closed.

    Parameters
    ----------
    used
        Energy by quarter-hours; a few weeks [unit].
    quarters
        The same.

    Returns
    -------
    ndarray of bool or None
        Shape (n,); None if load hardly falls, as of a works that never closes.

    Notes
    -----
    By kind of day and quarter-hour, the median load of at least 3 days; closed where it lies in the
    lowest fifth between quiet and busy for two hours or more. Our own rule (F38).
    """
    free = quarters.of_kind(DayKind.REST, DayKind.HOLIDAY)
    standing = quarters.of_kind(DayKind.SHUTDOWN)
    typical: dict[bool, NDArray[np.float64]] = {}
    for kind in (False, True):
        medians = np.full(QUARTERS_A_DAY, np.inf)
        own = used.known & (free == kind) & ~standing
        for quarter in range(QUARTERS_A_DAY):
            rates = used.rate[own & (quarters.quarter == quarter)]
            if len(rates) >= 3:
                medians[quarter] = np.median(rates)
        typical[kind] = medians
    finite = np.concatenate([m[np.isfinite(m)] for m in typical.values()])
    if not len(finite):
        return None
    quiet, busy = np.quantile(finite, (_LOW, 1 - _LOW)).tolist()
    if busy <= 0 or busy - quiet < _SWING * busy:
        return None
    closed = {kind: m <= quiet + _QUIET * (busy - quiet) for kind, m in typical.items()}
    for kind, of_day in closed.items():
        closed[kind] = _long_enough(of_day)
    found: NDArray[np.bool_] = np.where(
        free, closed[True][quarters.quarter], closed[False][quarters.quarter]
    )
    return found


def _long_enough(of_day: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep stretches of two hours or more; one may run over midnight."""
    if of_day.all():
        return of_day
    shift = int(np.flatnonzero(~of_day)[0])
    rolled = np.roll(of_day, -shift)
    kept = np.zeros_like(rolled)
    start = None
    for n, held in enumerate([*rolled.tolist(), False]):
        if held and start is None:
            start = n
        elif not held and start is not None:
            kept[start:n] = n - start >= _SHORTEST_CLOSED
            start = None
    return np.roll(kept, shift)


def closed_load(used: QuarterHours, closed: NDArray[np.bool_]) -> ClosedLoad | None:
    """Find what closed hours use beyond their own usual load.

    Parameters
    ----------
    used
        Energy by quarter-hours [unit].
    closed
        In which of them nobody works, shape (n,).

    Returns
    -------
    ClosedLoad or None
        None with less than a day of known closed hours.

    Notes
    -----
    The usual load is estimated from the lower part of closed hours (5th and 20th percentile, as of
    a normal distribution), so that it holds even where something was left on in every second
    night. That it was reached is why what exceeds it can be avoided. F38.
    """
    own = closed & used.known
    if own.sum() < QUARTERS_A_DAY:
        return None
    rates = used.rate[own]
    lowest, low = np.quantile(rates, (0.05, 0.20), method="lower").tolist()
    deviation = (low - lowest) / _BETWEEN
    usual = low + _BELOW_MEAN * deviation
    top = float(np.quantile(used.rate[used.known], 0.95))
    limit = max(usual + _DEVIATIONS * deviation, _ABOVE * usual, usual + _OF_THE_TOP * top)
    exceeds = own & (used.rate > limit)
    above = np.where(exceeds, used.amount - usual / QUARTERS_AN_HOUR, 0.0)
    return ClosedLoad(
        float(used.amount[own].sum()),
        float(above.sum()),
        float(usual),
        float(own.sum()) / QUARTERS_AN_HOUR,
        float(exceeds.sum()) / QUARTERS_AN_HOUR,
        above,
    )


# Of a standard normal distribution: between the 5th and the 20th percentile, and from that to 0.
_BELOW_MEAN: Final = 0.8416
_BETWEEN: Final = 1.6449 - _BELOW_MEAN
