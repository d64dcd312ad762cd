"""The poller: an aligned schedule, and a unit that fails does not disturb its neighbours."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import replace

import pytest
from pymodbus.constants import ExcCodes
from pymodbus.simulator import DataType, SimData, SimDevice
from structlog.testing import capture_logs

from edge_agent.address_search import Culprits
from edge_agent.bench.far_side import FarSide
from edge_agent.blocks import Stretch
from edge_agent.clock import Clock
from edge_agent.lines import make_line
from edge_agent.plan import UnitPlan
from edge_agent.poller import LinePoller, Sample
from enpilot.demo.processes import free_port
from enpilot.wire import Quality, QualityFlag
from tests.edge_agent.modbus_server import MeterUnderTest, serving
from tests.edge_agent.profiles_for_tests import line, profile, register, unit_plan

PERIOD_S = 0.1
PERIOD_US = 100_000


class Polling:
    """A poller that runs, and what it delivered."""

    def __init__(self, port: int, *units: UnitPlan, clock: Clock) -> None:
        self.samples: list[Sample] = []
        self.found: list[Culprits] = []
        self.given: list[Stretch] = []
        self.line = make_line(line(port))
        self.poller = LinePoller(
            self.line, units, clock, self.samples.append,
            lambda _, culprits: self.found.append(culprits),
            lambda _, stretch: self.given.append(stretch),
        )  # fmt: skip

    def of(self, group: int) -> list[Sample]:
        return [s for s in self.samples if s.group == group]

    async def run(self, seconds: float) -> None:
        task = asyncio.create_task(self.poller.run())
        await asyncio.sleep(seconds)
        while not task.done():  # a cancellation may be forgotten, see edge_agent.agent
            task.cancel()
            await asyncio.wait([task], timeout=0.5)
        assert task.cancelled()
        self.line.close()


def polling(port: int, *units: UnitPlan, clock: Clock | None = None) -> Polling:
    return Polling(port, *units, clock=clock or Clock())


def first_quality(sample: Sample) -> int:
    return Quality.GOOD if sample.quality is None else sample.quality[0]


COUNTER = profile(register(0, "uint32"), register(2, "float32"))
# Two blocks, since the gap between them is not read.
TWO_BLOCKS = profile(register(0), register(5), max_gap=0)


async def test_readings_are_stamped_with_the_schedule_and_their_delay() -> None:
    meter = MeterUnderTest(1, [0x0001, 0x0002, 0xC2ED, 0x4000])
    async with serving([meter.device()]) as port:
        poll = polling(port, unit_plan(1, PERIOD_S, COUNTER))
        before_us = time.time_ns() // 1000
        await poll.run(0.85)
        after_us = time.time_ns() // 1000
    stamps = [s.ts_us for s in poll.samples]
    assert len(stamps) >= 4
    assert all(before_us < ts <= after_us and ts % PERIOD_US == 0 for ts in stamps)
    assert all(a < b for a, b in itertools.pairwise(stamps))
    assert all(0 <= s.late_ms < 1000 for s in poll.samples)
    assert {tuple(s.values) for s in poll.samples} == {(65_538, -118.625)}
    assert {s.quality for s in poll.samples} == {None}
    # No drift: every period was polled, or counted as skipped.
    periods = (stamps[-1] - stamps[0]) // PERIOD_US + 1
    assert len(stamps) + poll.poller.counts.skipped >= periods
    assert poll.poller.counts.polls == len(stamps)


async def test_a_slow_unit_skips_periods_and_never_queues_them() -> None:
    meter = MeterUnderTest(1, [0, 1, 0, 0], delay_s=0.25)
    async with serving([meter.device()]) as port:
        poll = polling(port, unit_plan(1, PERIOD_S, COUNTER))
        await poll.run(1.1)
    stamps = [s.ts_us for s in poll.samples]
    assert 2 <= len(stamps) <= 5
    assert poll.poller.counts.skipped >= len(stamps) - 1
    assert all(ts % PERIOD_US == 0 for ts in stamps)
    assert all(s.late_ms >= 240 for s in poll.samples)


async def test_what_is_read_over_a_second_late_has_its_own_time() -> None:
    meter = MeterUnderTest(1, [0, 1, 0, 0], delay_s=1.05)
    async with serving([meter.device()]) as port:
        poll = polling(port, unit_plan(1, PERIOD_S, COUNTER, timeout_s=3))
        await poll.run(1.5)
    assert len(poll.samples) == 1
    assert poll.samples[0].ts_us % PERIOD_US != 0
    assert poll.samples[0].late_ms == 0


async def test_a_silent_unit_is_marked_and_asked_less_while_the_others_go_on() -> None:
    good = MeterUnderTest(1, [0, 1, 0, 0])
    # A block each, so that the second is marked without being asked for.
    silent = MeterUnderTest(2, [0] * 6, delay_s=30)
    async with serving([good.device(), silent.device()]) as port:
        poll = polling(
            port, unit_plan(1, PERIOD_S, COUNTER),
            unit_plan(2, PERIOD_S, TWO_BLOCKS, 1, timeout_s=0.08),
        )  # fmt: skip
        with capture_logs() as logs:
            await poll.run(1.6)
        assert poll.poller.units_down == 1
    assert len(poll.of(0)) >= 8
    assert all(s.quality is None for s in poll.of(0))
    # Pauses of 0.1, 0.2, 0.4 and 0.8 s between attempts: never more than five in 1.6 s.
    assert 2 <= len(silent.asked) <= 5
    assert {address for _, address, _ in silent.asked} == {0}
    for group in (1, 2):
        marked = poll.of(group)
        assert len(marked) == len(silent.asked)
        assert all(s.values == [None] and s.quality == [Quality.NO_RESPONSE] for s in marked)
    assert [e["event"] for e in logs] == ["unit does not answer"]


async def test_a_unit_that_comes_back_is_read_again_and_reported_once() -> None:
    meter = MeterUnderTest(1, [0, 9, 0, 0], exception=ExcCodes.GATEWAY_NO_RESPONSE)
    async with serving([meter.device()]) as port:
        poll = polling(port, unit_plan(1, PERIOD_S, COUNTER))

        async def mend() -> None:
            await asyncio.sleep(0.35)
            meter.exception = None

        with capture_logs() as logs:
            await asyncio.gather(poll.run(1.3), mend())
    qualities = [first_quality(s) for s in poll.samples]
    assert qualities[0] == Quality.NO_RESPONSE
    assert qualities[-1] == Quality.GOOD
    assert qualities == sorted(qualities, reverse=True)
    assert poll.poller.units_down == 0
    assert [e["event"] for e in logs] == ["unit does not answer", "unit is back"]


async def test_a_refused_block_does_not_stop_the_unit_s_other_blocks() -> None:
    meter = MeterUnderTest(1, [41])  # address 5 does not exist: illegal data address
    async with serving([meter.device()]) as port:
        poll = polling(port, unit_plan(1, PERIOD_S, TWO_BLOCKS))
        await poll.run(0.5)
        assert poll.poller.units_down == 0
    assert len(poll.of(0)) >= 2
    assert {tuple(s.values) for s in poll.of(0)} == {(41,)}
    assert {tuple(s.quality) for s in poll.of(1)} == {(Quality.EXCEPTION_REPLY,)}
    assert len(poll.of(1)) >= 2


async def test_a_gateway_that_is_off_marks_all_its_units() -> None:
    poll = polling(free_port(), unit_plan(1, PERIOD_S, COUNTER), unit_plan(2, PERIOD_S, COUNTER, 1))
    with capture_logs():
        await poll.run(0.4)
    assert {s.group for s in poll.samples} == {0, 1}
    assert {q for s in poll.samples for q in s.quality} == {Quality.NO_RESPONSE}
    assert poll.poller.units_down == 2


@pytest.mark.parametrize(
    ("raw_type", "words", "value", "quality"),
    [
        ("float32", [0x7FC0, 0x0000], None, Quality.NOT_FINITE),  # quiet NaN
        ("float32", [0xFF80, 0x0000], None, Quality.NOT_FINITE),  # minus infinity
        ("float32", [0x3F80, 0x0000], 1.0, Quality.GOOD),
        # The database's column is a signed 64-bit integer (D6).
        ("uint64", [0x8000, 0, 0, 0], None, Quality.OVERFLOW),
        ("uint64", [0x7FFF, 0xFFFF, 0xFFFF, 0xFFFF], 2**63 - 1, Quality.GOOD),
        ("int64", [0x8000, 0, 0, 0], -(2**63), Quality.GOOD),
    ],
)
async def test_a_number_that_cannot_be_stored_is_marked_and_left_out(
    raw_type: str, words: list[int], value: float | None, quality: Quality
) -> None:
    neighbour = register(len(words))
    async with serving([MeterUnderTest(1, [*words, 77]).device()]) as port:
        plan = unit_plan(1, PERIOD_S, profile(register(0, raw_type), neighbour))
        poll = polling(port, plan)
        await poll.run(0.25)
    assert poll.samples[0].values == [value, 77]
    assert first_quality(poll.samples[0]) == quality


async def test_a_clock_that_was_set_back_is_flagged_and_time_still_increases() -> None:
    set_back_ns = 0
    clock = Clock(lambda: time.time_ns() - set_back_ns)
    async with serving([MeterUnderTest(1, [0, 1, 0, 0]).device()]) as port:
        poll = polling(port, unit_plan(1, PERIOD_S, COUNTER), clock=clock)

        async def set_back() -> None:
            nonlocal set_back_ns
            await asyncio.sleep(0.35)
            set_back_ns = 3_600_000_000_000

        await asyncio.gather(poll.run(1.2), set_back())
    stamps = [s.ts_us for s in poll.samples]
    assert all(a < b for a, b in itertools.pairwise(stamps))
    assert stamps[-1] - stamps[0] < 1_200_000  # nobody's hour is missing
    assert first_quality(poll.samples[0]) == Quality.GOOD
    assert first_quality(poll.samples[-1]) == Quality.GOOD | QualityFlag.CLOCK_HELD


async def test_a_silent_unit_costs_its_neighbours_no_scan() -> None:
    period_s, units, silent, port = 0.5, range(1, 21), 7, free_port()
    plans = [unit_plan(u, period_s, COUNTER, u, timeout_s=1.0) for u in units]
    began_s = time.time()
    from_s, until_s = began_s + 1.2, began_s + 2.7
    gateway = asyncio.create_task(FarSide(ports=[port], silent={silent: (from_s, until_s)}).serve())
    await asyncio.sleep(0.1)
    poll = polling(port, *plans)
    with capture_logs() as logs:
        await poll.run(5.5)
    gateway.cancel()
    await asyncio.wait([gateway])
    assert [e["event"] for e in logs] == ["unit does not answer", "unit is back"]
    # Asked after 0.5 and 1 s, each time no longer than the line had time to spare.
    assert 2 <= poll.poller.counts.silences <= 3
    for unit in set(units) - {silent}:
        stamps = [s.ts_us for s in poll.of(unit) if s.quality is None]
        assert {b - a for a, b in itertools.pairwise(stamps)} == {500_000}
    assert poll.poller.counts.late == 0


async def test_units_that_went_down_together_are_asked_again_together() -> None:
    meters = [MeterUnderTest(u, [0] * 4, ExcCodes.GATEWAY_NO_RESPONSE) for u in (1, 2, 3)]
    async with serving([m.device() for m in meters]) as port:
        poll = polling(port, *(unit_plan(m.unit, PERIOD_S, COUNTER, m.unit) for m in meters))

        async def mend() -> None:
            await asyncio.sleep(0.75)
            for meter in meters:
                meter.exception = None
            meters[0].asked.clear()

        with capture_logs() as logs:
            await asyncio.gather(poll.run(2.5), mend())
    back = [e for e in logs if e["event"] == "unit is back"]
    assert len(back) == 3
    first = [next(s for s in poll.of(u) if s.quality is None).ts_us for u in (1, 2, 3)]
    assert max(first) - min(first) <= 2 * PERIOD_US


async def test_a_refused_gap_is_found_and_a_refused_value_may_come_back() -> None:
    wanted = profile(register(0), register(1), register(5), register(6))
    holes = SimDevice(
        1,
        simdata=[
            SimData(0, count=2, datatype=DataType.REGISTERS),
            SimData(5, count=2, datatype=DataType.REGISTERS),
        ],
    )
    async with serving([holes]) as port:
        poll = polling(port, unit_plan(1, PERIOD_S, wanted))
        await poll.run(0.35)
    assert poll.found == [Culprits(gaps=(Stretch("holding", 2, 4),))]
    refused = (Stretch("holding", 0, 0),)
    async with serving([MeterUnderTest(1, [41, 42, 0, 0, 0, 43, 44]).device()]) as port:
        plan = replace(unit_plan(1, PERIOD_S, profile(register(0))), refused=refused)
        poll = polling(port, plan)
        await poll.run(0.15)
    assert set(poll.given) == set(refused)


async def test_a_plan_is_changed_between_two_polls_without_losing_one() -> None:
    stamps: list[int] = []
    async with serving([MeterUnderTest(1, [0, 1, 0, 0], delay_s=0.01).device()]) as port:
        for _ in range(4):
            poll = polling(port, unit_plan(1, PERIOD_S, COUNTER))
            running = asyncio.create_task(poll.poller.run())
            await asyncio.sleep(0.33)
            poll.poller.finish()
            await running
            poll.line.close()
            stamps += [s.ts_us for s in poll.samples]
    assert {b - a for a, b in itertools.pairwise(stamps)} == {PERIOD_US}


async def test_a_line_that_is_never_idle_changes_its_plan_after_a_period() -> None:
    async with serving([MeterUnderTest(1, [0, 1, 0, 0], delay_s=0.15).device()]) as port:
        poll = polling(port, unit_plan(1, PERIOD_S, COUNTER))
        running = asyncio.create_task(poll.poller.run())
        await asyncio.sleep(0.2)
        poll.poller.finish()
        async with asyncio.timeout(1):
            await running
        poll.line.close()
