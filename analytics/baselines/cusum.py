"""Actual against expected energy, added up, and the dates at which performance changed.

S = Σ (actual - expected): where its slope changes, performance changed; its level with the sign
turned is the cumulative saving (ISO 50006:2014 annex; Puma, Energy monitoring and targeting).

Shifts are found by optimal partitioning (Jackson and others, IEEE Signal Processing Letters 12,
2005, the exact search that PELT prunes): least squares around one level a segment, plus a price
for every further segment. The price is the squared quantile of Student's t that a single shift at
the best of all places exceeds in one of twenty records without any (Bonferroni), with the scatter
of the baseline model and its degrees of freedom.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from analytics.baselines.regression import t_quantile

__all__ = ["LEAST_PERIODS", "Segment", "cusum", "find_shifts"]

Floats: TypeAlias = NDArray[np.float64]

LEAST_PERIODS: Final = 3  # a level of fewer periods is an event, not performance
_FALSE_ALARMS: Final = 0.05  # of a record without a shift


@dataclass(frozen=True, slots=True)
class Segment:
    """Periods [first, after) whose energy differs from what was expected by one level.

    ``level`` is the mean of actual minus expected [energy unit per period].
    """

    first: int
    after: int
    level: float


def cusum(actual: Floats, expected: Floats) -> Floats:
    """Add up actual minus expected energy.

    Parameters
    ----------
    actual, expected
        Of each period, shape (n,) [energy unit].

    Returns
    -------
    numpy.ndarray
        Running sum, shape (n,) [energy unit]; falling where energy is saved.

    Source: ISO 50006:2014, cumulative sum of differences.
    """
    return np.asarray(np.cumsum(actual - expected), dtype=np.float64)


def find_shifts(
    differences: Floats,
    scatter: float,
    degrees_of_freedom: int,
    *,
    autocorrelation: float = 0.0,
    least: int = LEAST_PERIODS,
) -> list[Segment]:
    """Cut a record into segments of one level each.

    Parameters
    ----------
    differences
        Actual minus expected energy of each period, shape (n,) [energy unit].
    scatter
        Standard error of the model's regression, above 0 [energy unit].
    degrees_of_freedom
        Of that scatter, at least 1.
    autocorrelation
        Of neighbouring residuals: where they follow each other (ρ > 0) the scatter of a level is
        wider by (1+ρ)/(1-ρ), and shifts are seen later.
    least
        Periods that a segment has at least, 1 or more.

    Returns
    -------
    list of Segment
        In order; one if performance did not change. Its ends are the dates of change.

    Raises
    ------
    ValueError
        If the scatter is not above 0: then every difference is a shift.
    """
    if scatter <= 0:
        raise ValueError(f"a scatter of {scatter:g} makes every difference a shift")
    n = len(differences)
    if n == 0:
        return []
    rho = min(max(autocorrelation, 0.0), 0.9)
    z = differences / (scatter * np.sqrt((1 + rho) / (1 - rho)))
    price = _price(n, degrees_of_freedom, least)
    sums = np.concatenate([[0.0], np.cumsum(z)])
    squares = np.concatenate([[0.0], np.cumsum(z**2)])
    cost = np.full(n + 1, np.inf)
    cost[0] = 0.0
    before = np.zeros(n + 1, dtype=np.int64)
    for end in range(min(least, n), n + 1):
        starts = np.arange(0, max(1, end - least + 1))
        length = end - starts
        around = squares[end] - squares[starts] - (sums[end] - sums[starts]) ** 2 / length
        total = cost[starts] + around + price
        best = int(np.argmin(total))
        cost[end], before[end] = total[best], starts[best]
    cuts = [n]
    while cuts[-1] > 0:
        cuts.append(int(before[cuts[-1]]))
    cuts.reverse()
    return [Segment(a, b, float(differences[a:b].mean())) for a, b in itertools.pairwise(cuts)]


def _price(n: int, degrees_of_freedom: int, least: int) -> float:
    places = max(1, n - 2 * least + 1)
    return t_quantile(1 - _FALSE_ALARMS / places, degrees_of_freedom) ** 2
