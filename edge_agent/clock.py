"""The agent's clock: the wall's time, but it never runs backwards (D17)."""

from __future__ import annotations

import time

__all__ = ["Clock"]

_STEP_US = 500_000


class Clock:
    """Follow the wall clock; after a step back go on by monotonic time until it catches up.

    Timestamps of a series must strictly increase, so a clock that was set back must not stamp
    readings like earlier ones.
    """

    def __init__(self) -> None:
        self._offset_us = time.time_ns() // 1000 - time.monotonic_ns() // 1000

    def now_us(self) -> int:
        """Return the time [µs since 1970, UTC]."""
        steady = time.monotonic_ns() // 1000 + self._offset_us
        wall = time.time_ns() // 1000
        if wall > steady or steady - wall < _STEP_US:
            # Small corrections are followed both ways, but never to before the last answer.
            self._offset_us += max(wall - steady, 0)
            return max(wall, steady)
        return steady

    @property
    def held(self) -> bool:
        """Whether the wall clock is behind what was already stamped."""
        steady = time.monotonic_ns() // 1000 + self._offset_us
        return steady - time.time_ns() // 1000 >= _STEP_US
