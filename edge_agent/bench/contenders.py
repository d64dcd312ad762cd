"""The contenders, each in a process of its own: the whole agent, and two plain pymodbus loops."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

import msgspec
from pymodbus.client import AsyncModbusTcpClient

from edge_agent.agent import Agent
from edge_agent.blocks import needed
from edge_agent.plan import ReadPlan, plan_for_agent
from edge_agent.settings import EdgeSettings, UplinkSettings
from enpilot.plant import load_plant
from enpilot.settings import MqttSettings

__all__ = ["Contest", "Measured"]


class Contest(msgspec.Struct, kw_only=True):
    """What a contender has to do.

    Attributes
    ----------
    contender
        "agent": polls, stores and publishes. "blocks": pymodbus, one request a block.
        "registers": pymodbus, one request a value, as most gateways do it.
    plant
        Plant file whose only agent is ``bench``.
    period_s
        Instead of the plant's [s]; so short that no contender keeps it is flat out.
    warm_up_s, seconds
        Before it is measured, and while it is [s].
    outbox
        Where the agent keeps its readings.
    broker_port
        On the loopback interface.
    """

    contender: Literal["agent", "blocks", "registers"]
    plant: Path
    seconds: float
    warm_up_s: float = 2.0
    period_s: float | None = None
    outbox: Path = Path("outbox.sqlite")
    broker_port: int = 1883


class Measured(msgspec.Struct, kw_only=True):
    """What a contender did while it was measured; ``rss_mb`` is its most, from its start."""

    values: int
    seconds: float
    cpu_s: float
    rss_mb: float
    began_s: float
    ended_s: float
    polls: int = 0
    late: int = 0
    skipped: int = 0

    @property
    def values_per_s(self) -> float:
        """Values read each second."""
        return self.values / self.seconds

    @property
    def cpu_seconds_per_1000_values(self) -> float:
        """Processor time [s], of the kernel too."""
        return self.cpu_s / self.values * 1000 if self.values else 0.0


class _Meter:
    """Counts what happens between two moments."""

    def __init__(self) -> None:
        self.values = 0
        self._at = (time.time(), time.process_time(), 0)

    def begin(self) -> None:
        self._at = (time.time(), time.process_time(), self.values)

    def end(self, polls: int = 0, late: int = 0, skipped: int = 0) -> Measured:
        began_s, cpu_s, values = self._at
        ended_s = time.time()
        return Measured(
            values=self.values - values, seconds=ended_s - began_s,
            cpu_s=time.process_time() - cpu_s, began_s=began_s, ended_s=ended_s,
            rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            polls=polls, late=late, skipped=skipped,
        )  # fmt: skip


async def _agent(contest: Contest, plan: ReadPlan) -> Measured:
    settings = EdgeSettings(
        plant=contest.plant, agent="bench", outbox=contest.outbox,
        mqtt=MqttSettings(port=contest.broker_port), uplink=UplinkSettings(),
    )  # fmt: skip
    agent = Agent(settings, plan)
    stop = asyncio.Event()
    running = asyncio.create_task(agent.run(stop))
    meter = _Meter()
    await asyncio.sleep(contest.warm_up_s)
    before = agent.poll_counts()
    meter.values = agent.readings
    meter.begin()
    await asyncio.sleep(contest.seconds)
    after = agent.poll_counts()
    meter.values = agent.readings
    measured = meter.end(
        after.polls - before.polls, after.late - before.late, after.skipped - before.skipped
    )
    stop.set()
    await running
    return measured


async def _plain(contest: Contest, plan: ReadPlan) -> Measured:
    meter = _Meter()

    async def read(client: AsyncModbusTcpClient, unit: int, address: int, count: int) -> int:
        reply = await client.read_holding_registers(address, count=count, device_id=unit)
        if len(reply.registers) != count:
            raise ConnectionError(f"{len(reply.registers)} registers, not {count}")
        return count

    async def serve(line: int) -> None:
        described, units = plan.lines[line]
        client = AsyncModbusTcpClient(described.host, port=described.port, timeout=2)
        await client.connect()
        while True:
            due_s = 0.0
            if contest.period_s is None:
                due_s = (time.time() // units[0].period_s + 1) * units[0].period_s
                await asyncio.sleep(due_s - time.time())
            for unit in units:
                assert isinstance(unit.unit, int)  # the bench's plant is all Modbus
                for block in unit.blocks:
                    if contest.contender == "blocks":
                        await read(client, unit.unit, block.address, block.count)
                        meter.values += len(block.registers)
                        continue
                    for register in block.registers:
                        wanted = needed(register)
                        count = wanted.last - wanted.first + 1
                        await read(client, unit.unit, wanted.first, count)
                        meter.values += 1

    tasks = [asyncio.create_task(serve(i)) for i in range(len(plan.lines))]
    await asyncio.sleep(contest.warm_up_s)
    meter.begin()
    await asyncio.sleep(contest.seconds)
    measured = meter.end()
    ending = set(tasks)
    while ending:  # again and again: pymodbus may forget a cancellation that comes with a reply
        for task in ending:
            task.cancel()
        _, ending = await asyncio.wait(ending, timeout=1)
    return measured


def _plan(contest: Contest) -> ReadPlan:
    plan = plan_for_agent(load_plant(contest.plant), "bench", contest.plant)
    if contest.period_s is None:
        return plan
    return ReadPlan(
        tuple(
            (line, tuple(replace(unit, period_s=contest.period_s) for unit in units))
            for line, units in plan.lines
        ),
        plan.birth,
    )


def _main() -> None:
    contest = msgspec.json.decode(sys.argv[1], type=Contest, dec_hook=lambda kind, x: kind(x))
    contender = _agent if contest.contender == "agent" else _plain
    measured = asyncio.run(contender(contest, _plan(contest)))
    print(msgspec.json.encode(measured).decode())


if __name__ == "__main__":
    _main()
