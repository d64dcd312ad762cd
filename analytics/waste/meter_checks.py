"""Meters that stand still, drift or fall silent, and ratios that leave their range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analytics.waste.quarter_hours import QuarterHours, runs_of

__all__ = ["RatioCheck", "StuckRun", "Trend", "check_ratio", "robust_trend", "stuck_runs"]

_SHORTEST_STUCK: Final = 24  # six hours
_BELIEVED: Final = 0.9
_FEWEST: Final = 28
_SIGNIFICANT: Final = 0.001


@dataclass(frozen=True, slots=True)
class StuckRun:
    """A register that stood still while something else says that energy flowed.

    Attributes
    ----------
    first, after
        Numbers of its first quarter-hour and the one after its last.
    missed
        What the witness says should have been counted [unit].
    """

    first: int
    after: int
    missed: float


@dataclass(frozen=True, slots=True)
class Trend:
    """How a figure moves with time, robustly.

    Attributes
    ----------
    slope
        Median slope of pairs in the same season [1/d].
    change
        Slope times the span of the days.
    p
        Of no trend, two-sided, 0 .. 1.
    days
        Days with a figure.
    """

    slope: float
    change: float
    p: float
    days: int

    @property
    def is_significant(self) -> bool:
        """Whether chance would show it in less than one of a thousand meters."""
        return self.p < _SIGNIFICANT


@dataclass(frozen=True, slots=True)
class RatioCheck:
    """A ratio of two amounts over the same days.

    Attributes
    ----------
    ratio
        Of the sums.
    numerator, denominator
        The sums [unit].
    days
        Days on which both are known and the denominator is above zero.
    excess
        Numerator above what the range allows [unit]; 0 inside or below it.
    inside
        Whether the ratio lies in its range.
    """

    ratio: float
    numerator: float
    denominator: float
    days: int
    excess: float
    inside: bool


def stuck_runs(
    used: QuarterHours, witness: QuarterHours, least: float, shortest: int = _SHORTEST_STUCK
) -> list[StuckRun]:
    """Find where a register stands still against a witness.

    Parameters
    ----------
    used
        Energy of the meter by quarter-hours; readings came, or it is not known [unit].
    witness
        What flows by another source: its own power, or its main meter less its siblings [unit].
    least
        What the witness must say in a quarter-hour to count as flowing; above 0 [unit].
    shortest
        Quarter-hours that it stands still at least.

    Returns
    -------
    list of StuckRun
        Runs in which the register did not move at all, and the witness flowed in nine of ten.

    Notes
    -----
    A value repeated under new timestamps is stale, not fresh (F33). Zero without a witness is a
    machine that is off.
    """
    still = used.known & (used.amount == 0.0)
    flows = witness.known & (witness.amount >= least)
    found = []
    for low, high in runs_of(still, shortest):
        # Trim what is plainly off at both ends.
        flowing = np.flatnonzero(flows[low:high])
        if not len(flowing):
            continue
        first, after = low + int(flowing[0]), low + int(flowing[-1]) + 1
        own = slice(first, after)
        if after - first >= shortest and flows[own].mean() >= _BELIEVED:
            found.append(StuckRun(first, after, float(witness.amount[own][flows[own]].sum())))
    return found


def robust_trend(
    days: NDArray[np.int64], values: NDArray[np.float64], seasons: Sequence[object]
) -> Trend | None:
    """Find the trend of a daily figure, within its seasons.

    Parameters
    ----------
    days
        Numbers of the days, rising, shape (n,).
    values
        The figure of each, shape (n,).
    seasons
        What days are compared with each other, such as kinds of days; length n.

    Returns
    -------
    Trend or None
        None with fewer than 28 days.

    Notes
    -----
    Slope: Sen (1968) within seasons. Test: seasonal Kendall (Hirsch, Slack and Smith 1982) with
    continuity correction; its variance is raised by (1 + r) / (1 - r) of the lag-1 correlation r of
    the detrended figures, since days that follow each other are not independent (Yue and Wang
    2004).
    """
    if len(days) < _FEWEST:
        return None
    names = sorted({str(s) for s in seasons})
    season = np.array([names.index(str(s)) for s in seasons], dtype=np.int64)
    slopes, score, variance = [], 0.0, 0.0
    for number in range(len(names)):
        own = season == number
        x, y = days[own].astype(np.float64), values[own]
        n = len(x)
        if n < 3:
            continue
        upper = np.triu_indices(n, 1)
        rise = (y[None, :] - y[:, None])[upper]
        slopes.append(rise / (x[None, :] - x[:, None])[upper])
        score += float(np.sign(rise).sum())
        _, ties = np.unique(y, return_counts=True)
        tied = float((ties * (ties - 1) * (2 * ties + 5)).sum())
        variance += (n * (n - 1) * (2 * n + 5) - tied) / 18
    if not slopes:
        return None
    slope = float(np.median(np.concatenate(slopes)))
    change = slope * float(days[-1] - days[0])
    if variance <= 0:
        return Trend(slope, change, 1.0, len(days))
    rest = values - slope * days
    for number in range(len(names)):
        own = season == number
        if own.any():
            rest[own] -= np.median(rest[own])
    correlation = min(0.95, max(0.0, _lag_one(rest)))
    variance *= (1 + correlation) / (1 - correlation)
    z = max(0.0, abs(score) - 1) / math.sqrt(variance)
    return Trend(slope, change, float(2 * stats.norm.sf(z)), len(days))


def _lag_one(values: NDArray[np.float64]) -> float:
    centred = values - values.mean()
    whole = float(np.dot(centred, centred))
    return float(np.dot(centred[:-1], centred[1:])) / whole if whole > 0 else 0.0


def check_ratio(
    numerator: NDArray[np.float64],
    denominator: NDArray[np.float64],
    known: NDArray[np.bool_],
    low: float | None,
    high: float | None,
) -> RatioCheck | None:
    """Compare a ratio over many days with its expected range.

    Parameters
    ----------
    numerator, denominator
        Amounts of each day [unit], shape (n,).
    known
        Days on which both are known, shape (n,).
    low, high
        The range, ends included; None is open.

    Returns
    -------
    RatioCheck or None
        None if no day has a denominator above zero.

    Notes
    -----
    The ratio of sums: ratios are never averaged (F25). What is used on days without output is no
    ratio and not in it. Compressors [kWh/m3], boilers [t steam per fuel] (F38).
    """
    own = known & (denominator > 0)
    if not own.any():
        return None
    above, below = float(numerator[own].sum()), float(denominator[own].sum())
    ratio = above / below
    inside = (low is None or ratio >= low) and (high is None or ratio <= high)
    excess = max(0.0, above - high * below) if high is not None else 0.0
    return RatioCheck(ratio, above, below, int(own.sum()), excess, inside)
