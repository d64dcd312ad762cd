"""Follow a counter and the rate that it integrates, at the meter or through what was stored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from edge_agent.commissioning.progress import Stretch
from edge_agent.commissioning.sources import Snapshot
from edge_agent.errors import ReadError
from edge_agent.power_check import Measured

__all__ = ["CounterLaw", "WalkClock", "follow_history", "follow_meter"]

_SAMPLE_S: Final = 10.0
_KEEP_EVERY_S: Final = 150.0
_KEPT: Final = 5
_MAX_FAILURES: Final = 100


@dataclass(frozen=True, slots=True)
class WalkClock:
    """The time [s since 1970] and how to let it pass."""

    now_s: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class CounterLaw:
    """A counter, its rate, and the counter's units in an hour of the rate."""

    counter: str | None
    rate: str | None
    per_rate: float

    def extend(self, running: Stretch, snapshot: Snapshot) -> Stretch:
        """Return the stretch with one more look, or a new one where there is a gap."""
        level = snapshot.values.get(self.counter or "")
        rate = snapshot.values.get(self.rate or "")
        if level is None or rate is None:
            return running
        # A counter has no direction; a reversed installation only turns its sign.
        amount = Measured(abs(level.value), level.step)
        if not running.add(snapshot.at_s, amount, rate.value * self.per_rate):
            running = Stretch()
            running.add(snapshot.at_s, amount, rate.value * self.per_rate)
        return running


async def follow_meter(
    read: Callable[[], Awaitable[Snapshot]], clock: WalkClock, until_s: float, law: CounterLaw
) -> tuple[Stretch, list[Snapshot]]:
    """Look every ten seconds until an instant; return the longest stretch and some of the looks.

    Parameters
    ----------
    read
        Brings one look.
    clock
        The time.
    until_s
        When to end [s since 1970].
    law
        What belongs to what.

    Raises
    ------
    ReadError
        If the meter stays away.
    """
    best, running = Stretch(), Stretch()
    kept: list[Snapshot] = []
    kept_s, failures = clock.now_s(), 0
    while clock.now_s() < until_s:
        try:
            snapshot = await read()
        except ReadError:
            failures += 1
            if failures > _MAX_FAILURES:
                raise
        else:
            running = law.extend(running, snapshot)
            if running.seconds > best.seconds:
                best = running
            if snapshot.at_s - kept_s >= _KEEP_EVERY_S:
                kept_s = snapshot.at_s
                kept.append(snapshot)
        await clock.sleep(_SAMPLE_S)
    return best, kept


def follow_history(history: Iterable[Snapshot], law: CounterLaw) -> tuple[Stretch, list[Snapshot]]:
    """Return the longest stretch in what was stored, and some of the looks."""
    looks = list(history)
    best, running = Stretch(), Stretch()
    for snapshot in looks:
        running = law.extend(running, snapshot)
        if running.seconds > best.seconds:
            best = running
    return best, looks[:: max(1, len(looks) // _KEPT)]
