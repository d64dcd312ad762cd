"""Poll the units of one line on a schedule that is aligned to the wall clock and does not drift."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from edge_agent.clock import Clock
from edge_agent.decode import compile_decoder
from edge_agent.errors import ReadError
from edge_agent.line import ModbusTcpLine
from edge_agent.plan import Block, UnitPlan
from enpilot.wire import Quality, QualityFlag

__all__ = ["LinePoller", "Sample"]

_log = structlog.get_logger("edge")
# A block read later than this is stamped with its own time, not with the schedule's (D7).
_ON_TIME_US = 1_000_000
_MAX_BACKOFF_S = 300.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One block read once: register numbers as they came, None where there is none."""

    group: int
    ts_us: int
    late_ms: int
    values: list[int | float | None]
    quality: list[int]


@dataclass(slots=True)
class _UnitState:
    plan: UnitPlan
    due_us: int
    failures: int = 0
    skip_until_us: int = 0


class LinePoller:
    """Ask the units of one line in turn; a unit that is silent costs one timeout a backoff step."""

    def __init__(
        self,
        line: ModbusTcpLine,
        units: tuple[UnitPlan, ...],
        clock: Clock,
        deliver: Callable[[Sample], None],
    ) -> None:
        self._line = line
        self._clock = clock
        self._deliver = deliver
        now = clock.now_us()
        self._units = [_UnitState(u, _next_due(now, u.period_s)) for u in units]
        self._decoders = {
            b.group: compile_decoder(b.registers, b.address) for u in units for b in u.blocks
        }
        self._last_ts: dict[int, int] = {}
        self.skipped = 0
        self.polls = 0

    @property
    def units_down(self) -> int:
        """Units that did not answer last time."""
        return sum(state.failures > 0 for state in self._units)

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            state = min(self._units, key=lambda s: s.due_us)
            wait_us = state.due_us - self._clock.now_us()
            if wait_us > 0:
                await asyncio.sleep(wait_us / 1e6)
                continue
            scheduled = state.due_us
            now = self._clock.now_us()
            # A poll that is a whole period late is skipped, never queued.
            state.due_us = _next_due(max(now, scheduled), state.plan.period_s)
            late_periods = (state.due_us - scheduled) // int(state.plan.period_s * 1e6) - 1
            if late_periods > 0:
                self.skipped += late_periods
                scheduled = state.due_us - int(state.plan.period_s * 1e6)
            if now >= state.skip_until_us:
                await self._poll(state, scheduled)

    async def _poll(self, state: _UnitState, scheduled_us: int) -> None:
        for i, block in enumerate(state.plan.blocks):
            try:
                registers = await self._line.read(state.plan.unit, block)
            except ReadError as error:
                read_us = self._clock.now_us()
                if error.quality == Quality.NO_RESPONSE:
                    # The unit's other blocks are not asked for, each would cost a timeout.
                    for missed in state.plan.blocks[i:]:
                        self._hand_over(missed, scheduled_us, read_us, None, error.quality)
                    self._failed(state, error)
                    return
                self._hand_over(block, scheduled_us, read_us, None, error.quality)
                continue
            self.polls += 1
            self._hand_over(block, scheduled_us, self._clock.now_us(), registers, Quality.GOOD)
        if state.failures:
            _log.info("unit is back", unit=state.plan.device.code, failures=state.failures)
        state.failures = 0

    def _failed(self, state: _UnitState, error: ReadError) -> None:
        if state.failures == 0:
            _log.warning("unit does not answer", unit=state.plan.device.code, reason=str(error))
        state.failures += 1
        pause_s = min(state.plan.period_s * 2 ** min(state.failures - 1, 16), _MAX_BACKOFF_S)
        state.skip_until_us = self._clock.now_us() + int(pause_s * 1e6) - 1

    def _hand_over(
        self,
        block: Block,
        scheduled_us: int,
        read_us: int,
        registers: list[int] | None,
        quality: Quality,
    ) -> None:
        on_time = 0 <= read_us - scheduled_us < _ON_TIME_US
        ts_us = scheduled_us if on_time else read_us
        last = self._last_ts.get(block.group)
        if last is not None and ts_us <= last:
            return  # within a series time strictly increases (D17)
        self._last_ts[block.group] = ts_us
        flag = QualityFlag.CLOCK_HELD if self._clock.held else 0
        if registers is None:
            values: list[int | float | None] = [None] * len(block.registers)
            qualities = [int(quality) | flag] * len(block.registers)
        else:
            sent = struct.pack(f">{len(registers)}H", *registers)
            values, qualities = self._decoders[block.group](sent)
            if flag:
                qualities = [q | flag for q in qualities]
        late_ms = (read_us - ts_us) // 1000
        self._deliver(Sample(block.group, ts_us, late_ms, values, qualities))


def _next_due(now_us: int, period_s: float) -> int:
    period_us = int(period_s * 1e6)
    return (now_us // period_us + 1) * period_us
