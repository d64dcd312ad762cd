"""Polling over real sockets: a silent unit neither starves the others nor loses a reading."""

from __future__ import annotations

import asyncio
from pathlib import Path

from edge_agent.clock import Clock
from edge_agent.line import ModbusTcpLine
from edge_agent.plan import plan_for_agent
from edge_agent.poller import LinePoller, Sample
from enpilot.demo.processes import free_port
from enpilot.plant import load_plant
from enpilot.wire import Quality
from tests.ingest.gateway import PLANT


class _Gateway:
    """A Modbus TCP gateway of bytes: answers unit 1 with zeros, says nothing for unit 2."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readexactly(8)
                body = await reader.readexactly(4)
                unit, count = head[6], int.from_bytes(body[2:], "big")
                self.asked.append(unit)
                if unit == 1:
                    reply = bytes([unit, head[7], 2 * count]) + bytes(2 * count)
                    writer.write(head[:4] + len(reply).to_bytes(2, "big") + reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def poll(seconds: float, folder: Path, port: int) -> tuple[list[Sample], LinePoller]:
    second = PLANT.replace('code = "m1"\nline', 'code = "m1"\nperiod_s = 1\nline') + (
        '[[device]]\ncode = "m2"\nline = "l1"\nunit = 2\nperiod_s = 1\nprofile = "acrel-adl400"\n'
        '[[point]]\ncode = "second"\nname = {zh = "二", en = "Second"}\nmedium = "electricity"\n'
        'role = "sub"\n[[installation]]\npoint = "second"\ndevice = "m2"\n'
    )
    file = folder / "plant.toml"
    file.write_text(
        second.replace('host = "127.0.0.1"', f'host = "127.0.0.1"\nport = {port}\ntimeout_s = 0.2'),
        "utf-8",
    )
    plan = plan_for_agent(load_plant(file), "gw1", file)
    samples: list[Sample] = []
    (line, units) = plan.lines[0]
    modbus = ModbusTcpLine(line)
    poller = LinePoller(modbus, units, Clock(), samples.append)
    task = asyncio.create_task(poller.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    modbus.close()
    return samples, poller


async def test_a_silent_unit_does_not_starve_the_others(tmp_path: Path) -> None:
    gateway = _Gateway()
    server = await asyncio.start_server(gateway.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        samples, poller = await poll(4.2, tmp_path, port)
    good = [s for s in samples if s.quality and s.quality[0] == Quality.GOOD]
    bad = [s for s in samples if s.quality and s.quality[0] == Quality.NO_RESPONSE]
    first_group = min(s.group for s in good)
    stamps = [s.ts_us for s in good if s.group == first_group]
    assert len(stamps) >= 3
    # On the schedule's own grid: whole seconds, whatever the silent unit costs.
    assert all(ts % 1_000_000 == 0 for ts in stamps)
    assert stamps == sorted(set(stamps))
    # A bad reading has no number, and backoff makes them rarer than the schedule.
    assert bad
    assert all(v is None for s in bad for v in s.values)
    assert poller.units_down == 1
    assert gateway.asked.count(2) < 4


async def test_a_line_that_is_down_gives_bad_readings_and_comes_back(tmp_path: Path) -> None:
    samples, poller = await poll(1.3, tmp_path, free_port())
    assert samples
    assert all(q == Quality.NO_RESPONSE for s in samples for q in s.quality)
    assert poller.units_down == 2
