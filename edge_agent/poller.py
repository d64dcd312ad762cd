"""Poll the units of one line on a schedule that is aligned to the wall clock and does not drift.

A unit that is silent leaves the schedule. It is asked again with growing pauses, in the time that
the line has to spare, so that its neighbours keep their periods.
"""

from __future__ import annotations

import heapq
import itertools
import time
from asyncio import Event, timeout
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from typing import Final, Protocol

import structlog

from edge_agent.address_search import REFUSING, Culprits, find_culprits
from edge_agent.blocks import Block, Stretch
from edge_agent.clock import Clock
from edge_agent.decode import BlockDecoder
from edge_agent.errors import ReadError
from edge_agent.lines.exchange import UnitAddress
from edge_agent.plan import UnitPlan
from edge_agent.reply_timeout import ReplyTimeout
from enpilot.wire import Quality, QualityFlag

__all__ = ["BlockReader", "LinePoller", "PollCounts", "Sample", "UnitState"]

_log = structlog.get_logger("edge")
# A block read later than this is stamped with its own time, not with the schedule's (D7).
_ON_TIME_US: Final = 1_000_000
_MAX_BACKOFF_S: Final = 300.0
# What asking a silent unit may cost its line beyond the time to spare, of the pause before.
_BACKOFF_SHARE: Final = 0.01
_LEAST_PROBE_S: Final = 0.25
_USABLE_IDLE: Final = 0.9
# Units that went down together, perhaps with their power, are asked again together.
_TOGETHER_S: Final = 60.0
_SEARCH_AGAIN_S: Final = 3600.0


class BlockReader(Protocol):
    """What a poller needs of a line."""

    def read(
        self, unit: UnitAddress, block: Block, timeout_s: float, *, retry: bool
    ) -> Awaitable[bytes]:
        """Return the bytes of a block, or raise `ReadError`; at once if it may not retry."""


@dataclass(slots=True)
class Sample:
    """One block read once: register numbers as they came, None where there is none.

    ``quality`` is None if all of them are good.
    """

    group: int
    ts_us: int
    late_ms: int
    values: list[int | float | None]
    quality: list[int] | None


@dataclass(slots=True)
class PollCounts:
    """What a line's poller did since it began. ``late`` polls ended over a period after their time.

    ``skipped`` polls were not made since their time had passed, ``spared`` since the unit is down.
    """

    polls: int = 0
    late: int = 0
    skipped: int = 0
    spared: int = 0
    silences: int = 0
    refusals: int = 0

    def __add__(self, other: PollCounts) -> PollCounts:
        """Return both together."""
        return PollCounts(*map(sum, zip(astuple(self), astuple(other), strict=True)))


@dataclass(slots=True)
class UnitState:
    """How a unit has answered so far."""

    timeout: ReplyTimeout
    failures: int = 0
    down_since_us: int = 0
    ask_again_us: int = 0
    pause_s: float = 0.0
    searched_us: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Job:
    """The blocks of a unit that share a period."""

    plan: UnitPlan
    unit: UnitState
    period_us: int
    blocks: list[tuple[Block, BlockDecoder]]
    due_us: int


class LinePoller:
    """Ask the units of one line in turn.

    Parameters
    ----------
    line
        Reads blocks, one at a time.
    units
        What to read.
    clock
        Says when.
    deliver
        Takes each sample.
    refused
        Told why a unit refuses a block, once that is found out.
    given
        Told that a unit gives a value that it refused before.
    known
        How the units are, from a poller that read them before.
    """

    def __init__(
        self,
        line: BlockReader,
        units: tuple[UnitPlan, ...],
        clock: Clock,
        deliver: Callable[[Sample], None],
        refused: Callable[[UnitPlan, Culprits], None] | None = None,
        given: Callable[[UnitPlan, Stretch], None] | None = None,
        known: dict[UnitAddress, UnitState] | None = None,
    ) -> None:
        self._line = line
        self._clock = clock
        self._deliver = deliver
        self._refused = refused
        self._given = given
        now = clock.now_us()
        self._units: dict[UnitAddress, UnitState] = {}
        jobs = []
        for order, plan in enumerate(units):
            before = (known or {}).get(plan.unit)
            unit = self._units.setdefault(
                plan.unit, before or UnitState(ReplyTimeout(plan.timeout_s))
            )
            period_us = round(plan.period_s * 1e6)
            blocks = [(b, b.decoder()) for b in plan.blocks]
            due_us = _next_due(now, period_us)
            jobs.append((due_us, order, _Job(plan, unit, period_us, blocks, due_us)))
        heapq.heapify(jobs)
        self._jobs = jobs
        self._last_ts: dict[int, int] = {}
        self._end_by_us: int | None = None
        self._hurry = Event()
        self.counts = PollCounts()

    @property
    def units_down(self) -> int:
        """Units that did not answer last time."""
        return sum(unit.failures > 0 for unit in self._units.values())

    @property
    def units(self) -> dict[UnitAddress, UnitState]:
        """How the units are, by their address."""
        return self._units

    def finish(self) -> None:
        """Let `run` return when nothing is due, so that no poll is lost, or after a period."""
        shortest_us = min((j.period_us for _, _, j in self._jobs), default=0)
        self._end_by_us = self._clock.now_us() + shortest_us
        self._hurry.set()

    async def run(self) -> None:
        """Poll until cancelled, or until `finish`."""
        while self._jobs:
            now = self._clock.now_us()
            due_us, order, job = self._jobs[0]
            if self._end_by_us is not None and (due_us > now or now > self._end_by_us):
                return
            if due_us > now:
                probe = self._silent_unit_to_ask(now)
                if probe is not None:
                    silent, timeout_s = probe
                    await self._poll(silent, silent.due_us - silent.period_us, timeout_s)
                else:
                    await self._sleep(due_us - now)
                continue
            # A poll that is a whole period late is skipped, never queued.
            job.due_us = _next_due(now, job.period_us)
            passed = (job.due_us - due_us) // job.period_us - 1
            heapq.heapreplace(self._jobs, (job.due_us, order, job))
            if job.unit.failures:
                self.counts.spared += 1 + passed
                continue
            self.counts.skipped += passed
            await self._poll(job, job.due_us - job.period_us, job.unit.timeout.seconds)

    async def _sleep(self, wait_us: int) -> None:
        with suppress(TimeoutError):
            async with timeout(wait_us / 1e6):
                await self._hurry.wait()

    def _silent_unit_to_ask(self, now: int) -> tuple[_Job, float] | None:
        """Return a unit that is down and should be asked now, and how long to wait for it [s]."""
        down = [j for _, _, j in self._jobs if j.unit.failures and j.unit.ask_again_us <= now]
        if not down:
            return None
        job = min(down, key=lambda j: (j.unit.ask_again_us, j.period_us))
        live = [due for due, _, j in self._jobs if not j.unit.failures]
        idle_s = (min(live) - now) / 1e6 * _USABLE_IDLE if live else float("inf")
        unit = job.unit
        ceiling_s = job.plan.timeout_s
        may_cost_s = max(idle_s, unit.pause_s * _BACKOFF_SHARE)
        least_s = min(ceiling_s, _LEAST_PROBE_S)
        overdue_s = (now - unit.ask_again_us) / 1e6
        if may_cost_s < least_s and overdue_s < unit.pause_s:
            return None
        return job, max(least_s, min(ceiling_s, may_cost_s))

    async def _poll(self, job: _Job, scheduled_us: int, timeout_s: float) -> None:
        unit = job.plan.unit
        for i, (block, decoder) in enumerate(job.blocks):
            asked_s = time.monotonic()
            try:
                # Asking a silent unit costs its line one timeout a pause, whatever the retries.
                data = await self._line.read(unit, block, timeout_s, retry=not job.unit.failures)
            except ReadError as error:
                read_us = self._clock.now_us()
                if error.quality == Quality.NO_RESPONSE:
                    # The unit's other blocks are not asked for, each would cost a timeout.
                    for missed, _ in job.blocks[i:]:
                        self._hand_over_nothing(missed, scheduled_us, read_us, error.quality)
                    self._went_silent(job, error)
                    return
                self.counts.refusals += 1
                self._hand_over_nothing(block, scheduled_us, read_us, error.quality)
                if error.exception_code in REFUSING:
                    await self._search(job, block, timeout_s)
                elif error.absent and self._refused is not None:
                    # A meter that names its data says just what it lacks: nothing to search for.
                    self._refused(job.plan, Culprits(values=block.runs))
                continue
            job.unit.timeout.answered(time.monotonic() - asked_s)
            self._hand_over(block, decoder, scheduled_us, self._clock.now_us(), data)
            if self._given is not None and job.plan.refused and block.runs[0] in job.plan.refused:
                self._given(job.plan, block.runs[0])
        self.counts.polls += 1
        if self._clock.now_us() - scheduled_us > job.period_us:
            self.counts.late += 1
        if job.unit.failures:
            self._came_back(job)

    def _went_silent(self, job: _Job, error: ReadError) -> None:
        unit = job.unit
        now = self._clock.now_us()
        self.counts.silences += 1
        if unit.failures == 0:
            unit.down_since_us = now
            unit.timeout.silent()
            _log.warning("unit does not answer", unit=job.plan.device.code, reason=str(error))
        unit.failures += 1
        shortest_s = min(j.period_us for _, _, j in self._jobs if j.unit is unit) / 1e6
        unit.pause_s = min(shortest_s * 2 ** min(unit.failures - 1, 16), _MAX_BACKOFF_S)
        unit.ask_again_us = now + int(unit.pause_s * 1e6) - 1

    def _came_back(self, job: _Job) -> None:
        unit = job.unit
        _log.info("unit is back", unit=job.plan.device.code, failures=unit.failures)
        unit.failures = 0
        for other in self._units.values():
            if other.failures and abs(other.down_since_us - unit.down_since_us) < _TOGETHER_S * 1e6:
                other.ask_again_us = 0

    async def _search(self, job: _Job, block: Block, timeout_s: float) -> None:
        now = self._clock.now_us()
        last = job.unit.searched_us.get(block.group)
        alone = len(block.registers) == 1
        if self._refused is None or alone or (last and now - last < _SEARCH_AGAIN_S * 1e6):
            return
        job.unit.searched_us[block.group] = now

        def ask(stretch: Stretch) -> Awaitable[bytes]:
            count = stretch.last - stretch.first + 1
            part = Block(block.group, stretch.function, stretch.first, count, ())
            return self._line.read(job.plan.unit, part, timeout_s, retry=True)

        with suppress(ReadError):
            found = await find_culprits(block, ask)
            if found is not None:
                self._refused(job.plan, found)

    def _hand_over(
        self, block: Block, decoder: BlockDecoder, scheduled_us: int, read_us: int, data: bytes
    ) -> None:
        ts_us = self._stamp(block, scheduled_us, read_us)
        if ts_us is None:
            return
        values, qualities = decoder(data)
        quality = self._flagged(qualities) if self._clock.held or any(qualities) else None
        self._deliver(Sample(block.group, ts_us, (read_us - ts_us) // 1000, values, quality))

    def _hand_over_nothing(
        self, block: Block, scheduled_us: int, read_us: int, quality: Quality
    ) -> None:
        ts_us = self._stamp(block, scheduled_us, read_us)
        if ts_us is None:
            return
        width = len(block.registers)
        qualities = self._flagged(itertools.repeat(int(quality), width))
        late_ms = (read_us - ts_us) // 1000
        self._deliver(Sample(block.group, ts_us, late_ms, [None] * width, qualities))

    def _flagged(self, qualities: Iterable[int]) -> list[int]:
        flag = QualityFlag.CLOCK_HELD if self._clock.held else 0
        return [int(q) | flag for q in qualities]

    def _stamp(self, block: Block, scheduled_us: int, read_us: int) -> int | None:
        ts_us = scheduled_us if 0 <= read_us - scheduled_us < _ON_TIME_US else read_us
        last = self._last_ts.get(block.group)
        if last is not None and ts_us <= last:
            return None  # within a series time strictly increases (D17)
        self._last_ts[block.group] = ts_us
        return ts_us


def _next_due(now_us: int, period_us: int) -> int:
    return (now_us // period_us + 1) * period_us
