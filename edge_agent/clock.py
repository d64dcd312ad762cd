"""The agent's clock: the wall's time, but it never runs backwards (D17)."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Clock"]

_STEP_US = 500_000
# While the wall clock is behind, this one runs slower until the wall has caught up: hardly for a
# small correction, so that powers stay right, and at half speed after a step.
_SMALL_SLOWDOWN = 10
_STEP_SLOWDOWN = 2


class Clock:
    """Follow the wall clock; after a step back run slower until it catches up.

    Timestamps of a series must strictly increase, so a clock that was set back must not stamp
    readings like earlier ones.
    """

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._steady_us = monotonic_ns() // 1000
        self._now_us = wall_ns() // 1000

    def now_us(self) -> int:
        """Return the time [µs since 1970, UTC]."""
        wall = self._wall_ns() // 1000
        steady = self._monotonic_ns() // 1000
        gone, self._steady_us = steady - self._steady_us, steady
        # How far the wall is behind where this clock would be had nobody set it.
        behind = self._now_us + gone - wall
        if behind > 0:
            slowdown = _STEP_SLOWDOWN if behind >= _STEP_US else _SMALL_SLOWDOWN
            self._now_us += gone - min(behind, gone // slowdown)
        else:
            self._now_us = wall
        return self._now_us

    @property
    def held(self) -> bool:
        """Whether the wall clock is far behind what is stamped."""
        return self.now_us() - self._wall_ns() // 1000 >= _STEP_US
