"""Made-up registers of a works: a load by the hour of the day, meters that roll over and reset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["BEGIN_US", "MINUTE_US", "MODULUS", "Registers", "make_up"]

BEGIN_US: Final = 1_767_225_600_000_000  # 2026-01-01T00:00Z
MINUTE_US: Final = 60_000_000
MODULUS: Final = 100_000_000
_SEED: Final = 20_260_101
# One meter in so many rolls over, and one is reset, in the middle.
_ODD: Final = 50


@dataclass(frozen=True, slots=True)
class Registers:
    """One-minute registers of some meters.

    Attributes
    ----------
    raw
        Shape (minutes, meters), 0 .. `MODULUS` - 1 [counts]; minute i is at BEGIN_US + i minutes.
    late_ms
        How long after the minute each was read, shape (minutes,) [ms].
    ordinary
        Which meters neither roll over nor reset, shape (meters,).
    """

    raw: NDArray[np.int64]
    late_ms: NDArray[np.int16]
    ordinary: NDArray[np.bool_]


def make_up(meters: int, minutes: int, *, odd: bool = True) -> Registers:
    """Return registers that are the same for the same arguments.

    Parameters
    ----------
    meters, minutes
        How many.
    odd
        Whether some roll over, some are reset, and readings come some milliseconds late.

    Returns
    -------
    Registers
    """
    chance = np.random.default_rng(_SEED)
    of_hour = 6 + 4 * np.sin(np.arange(1440) / 1440 * 2 * np.pi - 1.5)
    load = np.tile(of_hour, -(-minutes // 1440))[:minutes]
    steps = chance.poisson(load[:, np.newaxis], (minutes, meters)).astype(np.int64)
    raw = np.cumsum(steps, axis=0)
    raw += chance.integers(0, 1_000_000, meters)
    ordinary = np.ones(meters, np.bool_)
    late_ms = np.zeros(minutes, np.int16)
    if odd:
        late_ms = chance.integers(0, 20, minutes).astype(np.int16)
        middle = minutes // 2
        rolling, reset = np.arange(0, meters, _ODD), np.arange(1, meters, _ODD)
        raw[:, rolling] += MODULUS - raw[middle, rolling]
        raw[middle:, reset] -= raw[middle, reset]
        ordinary[rolling] = ordinary[reset] = False
    return Registers(raw % MODULUS, late_ms, ordinary)
