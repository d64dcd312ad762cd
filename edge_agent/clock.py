"""The agent's clock: the wall's time once it can be believed, and never backwards (D17)."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from typing import Final

__all__ = ["Clock", "ClockTrust", "kernel_clock_is_synchronised", "steady_clock"]

_STEP_US: Final = 500_000
# While the wall clock is behind, this one runs slower until the wall has caught up: hardly for a
# small correction, so that powers stay right, and at half speed after a step.
_SMALL_SLOWDOWN: Final = 10
_STEP_SLOWDOWN: Final = 2
# No reading of this software can be older, or this much younger: 2026-01-01 and 2056-01-01.
_NOT_BEFORE_US: Final = 1_767_225_600_000_000
_NOT_AFTER_US: Final = 2_713_910_400_000_000
# A reading in the outbox that is this far ahead was stamped by a wrong clock, and binds nobody.
_ABSURDLY_AHEAD_US: Final = 3_600_000_000
_UNSYNCHRONISED: Final = 5  # TIME_ERROR of adjtimex(2)
_TIMEX_BYTES: Final = 512  # more than struct timex has on any machine


class Clock:
    """Follow the wall clock; after a step back run slower until it catches up.

    Timestamps of a series must strictly increase, so a clock that was set back must not stamp
    readings like earlier ones. ``jumps`` counts the steps of the wall clock that were seen, the
    last one by ``jump_us``.

    Parameters
    ----------
    not_before_us
        The latest reading so far [µs since 1970]: this clock begins there if the wall is behind.
    """

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        not_before_us: int | None = None,
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._steady_us = monotonic_ns() // 1000
        self._wall_us = self._now_us = wall_ns() // 1000
        if not_before_us is not None and not_before_us - self._now_us < _ABSURDLY_AHEAD_US:
            self._now_us = max(self._now_us, not_before_us)
        self.jumps = 0
        self.jump_us = 0

    def now_us(self) -> int:
        """Return the time [µs since 1970, UTC]."""
        wall = self._wall_ns() // 1000
        steady = self._monotonic_ns() // 1000
        gone, self._steady_us = steady - self._steady_us, steady
        jump, self._wall_us = wall - self._wall_us - gone, wall
        if abs(jump) >= _STEP_US:
            self.jumps += 1
            self.jump_us = jump
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


def steady_clock() -> Clock:
    """Return a clock that nobody can set, for as long as the wall's time is not believed."""
    return Clock(wall_ns=lambda: _NOT_BEFORE_US * 1000 + time.monotonic_ns())


class ClockTrust:
    """Whether the wall clock can be believed; once it is, that is for good.

    Many gateways have no battery-backed clock: after a power cut they begin in 1970, or where they
    stopped, until the network tells them the time.

    Parameters
    ----------
    wait_for_sync_s
        For how long after the machine's start [s] the kernel's word is waited for.
    synchronised
        The kernel's word.
    boot_s
        Seconds since the machine's start.
    """

    def __init__(
        self,
        wait_for_sync_s: float,
        wall_ns: Callable[[], int] = time.time_ns,
        synchronised: Callable[[], bool] | None = None,
        boot_s: Callable[[], float] | None = None,
    ) -> None:
        self._wait_for_sync_s = wait_for_sync_s
        self._wall_ns = wall_ns
        self._synchronised = synchronised or kernel_clock_is_synchronised
        self._boot_s = boot_s or _seconds_since_boot
        self._credible = False

    def credible(self) -> bool:
        """Return whether readings can be stamped by the wall clock."""
        if not self._credible:
            plausible = _NOT_BEFORE_US <= self._wall_ns() // 1000 <= _NOT_AFTER_US
            waited = self._boot_s() >= self._wait_for_sync_s
            self._credible = plausible and (waited or self._synchronised())
        return self._credible


def kernel_clock_is_synchronised() -> bool:
    """Return what the kernel says of its clock, see adjtimex(2); False where it says nothing."""
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (AttributeError, OSError):
        return False
    # All zero: nothing is to be changed, only told.
    state = int(adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
    return 0 <= state < _UNSYNCHRONISED


def _seconds_since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
