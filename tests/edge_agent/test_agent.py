"""The whole agent against a real meter: what was read is stored, whatever ends it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edge_agent.agent import Agent
from edge_agent.batcher import Batcher
from edge_agent.errors import OutboxError
from edge_agent.outbox import read_streams
from edge_agent.plan import ReadPlan
from edge_agent.poller import Sample
from edge_agent.settings import EdgeSettings, UplinkSettings
from enpilot.demo.processes import free_port
from enpilot.settings import MqttSettings
from enpilot.wire import Birth
from tests.edge_agent.modbus_server import MeterUnderTest, serving
from tests.edge_agent.profiles_for_tests import line, profile, register, unit_plan


class CountingBatcher(Batcher):
    """A batcher that says how many readings it was given."""

    given = 0

    def add(self, sample: Sample) -> None:
        self.given += len(sample.values)
        super().add(sample)


def an_agent(port: int, folder: Path, broker_port: int) -> tuple[Agent, CountingBatcher]:
    unit = unit_plan(1, 0.02, profile(register(0), register(1)))
    birth = Birth(v=1, agent="gw-1", software="test", groups=[])
    settings = EdgeSettings(
        plant=folder / "plant.toml",
        agent="gw-1",
        outbox=folder / "outbox.sqlite",
        mqtt=MqttSettings(port=broker_port),
        uplink=UplinkSettings(),
        batch_s=0.03,
        drain_s=0.0,
    )
    agent = Agent(settings, ReadPlan(((line(port), (unit,)),), birth))
    batcher = CountingBatcher(agent._birth[0], settings.batch_readings)
    agent._batcher = batcher
    return agent, batcher


async def test_a_stop_at_any_moment_stores_all_that_was_read(tmp_path: Path) -> None:
    given = 0
    async with serving([MeterUnderTest(1, [4, 5]).device()]) as port:
        for attempt in range(6):
            agent, batcher = an_agent(port, tmp_path, free_port())
            stop = asyncio.Event()
            with capture_logs():
                running = asyncio.create_task(agent.run(stop))
                await asyncio.sleep(0.15 + attempt * 0.007)
                stop.set()
                await running
            assert batcher.given > 0
            given += batcher.given
            assert sum(s.readings for s in read_streams(tmp_path / "outbox.sqlite")) == given


def fill_up(agent: Agent) -> None:
    while True:
        agent._outbox.append(agent._birth[0], b"x" * 200, 1, 1, 1)


async def test_an_outbox_that_fails_ends_the_agent_with_its_sentence(tmp_path: Path) -> None:
    async with serving([MeterUnderTest(1, [4, 5]).device()]) as port:
        agent, _ = an_agent(port, tmp_path, free_port())
        database = agent._outbox._db
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(OutboxError, match="disk is full"):
            fill_up(agent)
        with capture_logs(), pytest.raises(OutboxError, match="disk is full"):
            async with asyncio.timeout(5):
                await agent.run(asyncio.Event())
        agent._outbox.close()
