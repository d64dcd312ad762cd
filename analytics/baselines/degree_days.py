"""Degree days: how far, and how long, it was colder or warmer than a base temperature.

Bases are data of the plant file: China counts heating below 18 °C and cooling above 26 °C (GB
50176, JGJ 26), North America below and above 65 °F.

ISO 15927-6.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["DegreeKind", "daily_means", "degree_days"]

Floats: TypeAlias = NDArray[np.float64]
DegreeKind: TypeAlias = Literal["heating", "cooling"]

_HELD_US = 2 * 3_600_000_000  # a thermometer's level is taken to hold two hours at most


def degree_days(daily_mean: Floats, base: float, kind: DegreeKind) -> float:
    """Add up the degrees of each day beyond a base.

    Where only a month's mean is known it stands for each of its days; the sum is then too low in
    months whose days lie on both sides of the base.

    Parameters
    ----------
    daily_mean
        Mean temperature of each day, shape (days,) [°C or °F]; without missing days.
    base
        Base temperature [the same unit].
    kind
        ``heating``: below the base; ``cooling``: above it.

    Returns
    -------
    float
        Degree days [K·d or °F·d], at least 0.

    Raises
    ------
    ValueError
        If a day has no temperature: a missing day is not one at the base.
    """
    if not np.isfinite(daily_mean).all():
        raise ValueError("a day without a temperature has no degree days")
    beyond = base - daily_mean if kind == "heating" else daily_mean - base
    return float(np.maximum(0.0, beyond).sum())


def daily_means(
    read_us: NDArray[np.int64], level: Floats, midnights_us: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Average a thermometer's readings over days, each reading by the time until the next.

    A level holds for two hours at most: after that nothing is known.

    Parameters
    ----------
    read_us
        Instants, increasing, shape (n,) [µs since 1970].
    level
        Temperatures, shape (n,) [°C or °F].
    midnights_us
        Beginnings of the days and the end of the last, shape (days + 1,) [µs since 1970].

    Returns
    -------
    tuple of numpy.ndarray
        Means, and the share of each day that is known, 0 .. 1, both of shape (days,). The mean of a
        day that is not known at all is 0 with share 0.
    """
    days = len(midnights_us) - 1
    weighted, known = np.zeros(days), np.zeros(days)
    if len(read_us):
        ends = np.append(read_us[1:], read_us[-1] + _HELD_US)
        ends = np.minimum(ends, read_us + _HELD_US)
        for i in range(days):
            low, high = midnights_us[i], midnights_us[i + 1]
            a = max(0, int(np.searchsorted(read_us, low)) - 1)
            b = int(np.searchsorted(read_us, high))
            inside = np.minimum(ends[a:b], high) - np.maximum(read_us[a:b], low)
            held = np.maximum(0, inside).astype(np.float64)
            known[i] = held.sum() / (high - low)
            weighted[i] = float(held @ level[a:b]) / held.sum() if held.sum() > 0 else 0.0
    return weighted, known
