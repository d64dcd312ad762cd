"""The whole agent against a real meter: what was read is stored, whatever ends it."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edge_agent.agent import Agent, load_plan
from edge_agent.clock import ClockTrust
from edge_agent.errors import OutboxError
from edge_agent.outbox import read_batches, read_streams
from edge_agent.plan import ReadPlan
from edge_agent.settings import ClockSettings, EdgeSettings, UplinkSettings
from enpilot.demo.processes import free_port
from enpilot.plant import load_plant
from enpilot.settings import MqttSettings
from enpilot.wire import (
    Birth,
    GroupDeclaration,
    GroupReadings,
    QualityFlag,
    SeriesDeclaration,
    Status,
)
from tests.edge_agent.agent_under_test import lay_out, until
from tests.edge_agent.modbus_server import MeterUnderTest, serving
from tests.edge_agent.profiles_for_tests import line, profile, register, unit_plan


def an_agent(port: int, folder: Path, broker_port: int) -> Agent:
    unit = unit_plan(1, 0.02, profile(register(0), register(1)))
    series = [
        SeriesDeclaration(
            point="p", quantity="status", channel=c, unit="1", raw_type="uint16", register_scale="1"
        )
        for c in ("a", "b")
    ]
    groups = [GroupDeclaration(group=0, period_s=0.02, series=series)]
    birth = Birth(v=1, agent="gw-1", software="test", groups=groups)
    settings = EdgeSettings(
        plant=folder / "plant.toml",
        agent="gw-1",
        outbox=folder / "outbox.sqlite",
        mqtt=MqttSettings(port=broker_port),
        uplink=UplinkSettings(),
        batch_s=0.03,
        drain_s=0.0,
        clock=ClockSettings(wait_for_sync_s=0.0),
    )
    return Agent(settings, ReadPlan(((line(port), (unit,)),), birth))


async def test_a_stop_at_any_moment_stores_all_that_was_read(tmp_path: Path) -> None:
    given = 0
    async with serving([MeterUnderTest(1, [4, 5]).device()]) as port:
        for attempt in range(6):
            agent = an_agent(port, tmp_path, free_port())
            stop = asyncio.Event()
            with capture_logs():
                running = asyncio.create_task(agent.run(stop))
                await asyncio.sleep(0.15 + attempt * 0.007)
                stop.set()
                await running
            assert agent.readings > 0
            given += agent.readings
            assert sum(s.readings for s in read_streams(tmp_path / "outbox.sqlite")) == given


async def test_a_full_disk_stops_nothing_and_costs_nothing_that_fits_in_memory(
    tmp_path: Path,
) -> None:
    async with serving([MeterUnderTest(1, [4, 5]).device()]) as port:
        agent = an_agent(port, tmp_path, free_port())
        database = agent.outbox._db
        stop = asyncio.Event()
        with capture_logs() as logs:
            running = asyncio.create_task(agent.run(stop))
            pages = database.execute("PRAGMA page_count").fetchone()[0]
            database.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own word for full
            await until(lambda: agent.outbox_read_only and agent.unstored_readings > 20)
            status = Status(v=1, agent="gw-1", state="online", since_us=0)
            agent._describe(status)
            assert status.outbox_state == "read_only"
            database.execute("PRAGMA max_page_count = 100000")
            await until(lambda: not agent.outbox_read_only)
            stop.set()
            await running
    assert sum(s.readings for s in read_streams(tmp_path / "outbox.sqlite")) == agent.readings
    said = [entry["event"] for entry in logs if "outbox" in entry["event"]]
    assert said == [
        "the outbox takes nothing: readings wait in memory", "the outbox takes readings again",
    ]  # fmt: skip


async def test_an_outbox_that_is_damaged_ends_the_agent_with_its_sentence(tmp_path: Path) -> None:
    async with serving([MeterUnderTest(1, [4, 5]).device()]) as port:
        agent = an_agent(port, tmp_path, free_port())
        agent.outbox._db.execute("DROP TABLE batch")
        with capture_logs(), pytest.raises(OutboxError, match="no such table"):
            async with asyncio.timeout(5):
                await agent.run(asyncio.Event())


def scans(folder: Path) -> list[tuple[str, int]]:
    """Return birth and scheduled time of each scan in an outbox, in order."""
    return sorted(
        {(b.birth, g.ts + d) for b in read_batches(folder / "outbox.sqlite") for g in b.groups
         for d in g.dt},
        key=lambda scan: scan[1],
    )  # fmt: skip


async def test_another_plant_file_takes_over_without_losing_a_scan(tmp_path: Path) -> None:
    async with serving([MeterUnderTest(1, [4, 5, 6]).device()]) as port:
        settings = lay_out(tmp_path, port, [0, 1])
        agent = Agent(settings, load_plan(settings), plant=load_plant(settings.plant))
        stop = asyncio.Event()
        with capture_logs() as logs:
            running = asyncio.create_task(agent.run(stop))
            await until(lambda: agent.readings >= 4)
            (tmp_path / "plant.toml").write_text("not TOML [", "utf-8")
            agent.reload()
            await until(lambda: any("going on as before" in e["event"] for e in logs))
            first = agent.reading
            lay_out(tmp_path, port, [0, 1, 2])
            agent.reload()
            await until(lambda: agent.reading is not first)
            seen = agent.readings
            await until(lambda: agent.readings >= seen + 6)
            status = Status(v=1, agent="gw-1", state="online", since_us=0)
            agent._describe(status)
            assert status.findings == []  # a status register has no wiring to be wrong
            assert agent._watch is not None
            assert agent._watch._latest.keys() == {0}  # and it follows the new plan
            stop.set()
            await running
    found = scans(tmp_path)
    assert len({birth for birth, _ in found}) == 2
    stamps = [ts for _, ts in found]
    assert {b - a for a, b in itertools.pairwise(stamps)} == {1_000_000}
    assert agent.poll_counts().skipped == 0


def groups_of(folder: Path, birth: str) -> list[GroupReadings]:
    """Return what an outbox holds under a birth; a batch may be cut in the middle of a scan."""
    return [g for b in read_batches(folder / "outbox.sqlite") if b.birth == birth for g in b.groups]


async def test_a_register_that_the_unit_refuses_is_read_around_and_remembered(
    tmp_path: Path,
) -> None:
    meter = MeterUnderTest(1, [1, 2, 3, 4, 5, 6, 7, 8], forbidden=range(3, 5))
    async with serving([meter.device()]) as port:
        settings = lay_out(tmp_path, port, [0, 1, 6, 7])
        agent = Agent(settings, load_plan(settings))
        stop = asyncio.Event()
        with capture_logs():
            running = asyncio.create_task(agent.run(stop))
            await until(lambda: agent.reading.plan.requests_per_scan == 2)
            [(birth, _)] = agent.reading.births
            await until(lambda: len(groups_of(tmp_path, birth)) >= 2)
            stop.set()
            await running
    groups = groups_of(tmp_path, birth)
    assert {v for g in groups for column in g.values for v in column} == {1, 2, 7, 8}
    assert load_plan(settings).requests_per_scan == 2  # after a restart too


class Distrust(ClockTrust):
    """A clock that is believed when the test says so."""

    believed = False

    def credible(self) -> bool:
        return self.believed


async def test_readings_are_held_back_until_the_clock_is_believed(tmp_path: Path) -> None:
    async with serving([MeterUnderTest(1, [4, 5]).device()]) as port:
        settings = lay_out(tmp_path, port, [0, 1])
        trust = Distrust(0.0)
        agent = Agent(settings, load_plan(settings), trust)
        stop = asyncio.Event()
        began_us = time.time_ns() // 1000
        with capture_logs():
            running = asyncio.create_task(agent.run(stop))
            await until(lambda: agent.held_readings >= 4)
            assert not agent.clock_credible
            assert read_streams(tmp_path / "outbox.sqlite") == []
            trust.believed = True
            await until(lambda: agent.clock_credible and agent.held_readings == 0)
            seen = agent.readings
            await until(lambda: agent.readings >= seen + 4)
            stop.set()
            await running
    batches = list(read_batches(tmp_path / "outbox.sqlite"))
    groups = [g for b in batches for g in b.groups]
    stamps = sorted(g.ts + d for g in groups for d in g.dt)
    assert began_us <= stamps[0]
    assert stamps[-1] <= time.time_ns() // 1000
    assert sum(len(g.dt) * len(g.values) for g in groups) == agent.readings
    flagged = [q for g in groups for column in g.quality or [] for q in column]
    assert len(flagged) >= 4
    assert set(flagged) == {QualityFlag.CLOCK_HELD}
    steps = [b - a for a, b in itertools.pairwise(stamps)]
    assert all(0 < step < 2_500_000 for step in steps)  # another phase, never backwards
