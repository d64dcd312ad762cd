"""The scan tells units that refuse from units that are not there."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from edge_agent.scan import FoundUnit, scan_line, scan_now, units_of
from edge_agent.simulator.serving import serve_serial, serve_tcp
from enpilot.demo.processes import free_port
from enpilot.errors import ConfigurationError
from tests.edge_agent.plant_on_a_line import CountingUnit, fault, line_of, opened, responder


def units() -> list[CountingUnit]:
    return [
        CountingUnit(1),
        CountingUnit(3, [fault("exception", code=2)]),
        CountingUnit(4, [fault("exception", code=0x0B)]),
        CountingUnit(5, [fault("silence")]),
        CountingUnit(247),
    ]


FOUND = [
    FoundUnit(1, holding=0x0107, input=0x0107),
    FoundUnit(3, holding_exception=2, input_exception=2),
    FoundUnit(247, holding=0xF707, input=0xF707),
]


async def found_on(line: object) -> list[FoundUnit]:
    with opened(line) as connection:  # type: ignore[arg-type]  # a Line
        return [f async for _, f in scan_line(connection, units_of("1-6,246-247"), 7) if f]


async def test_units_that_answer_or_refuse_are_found_on_tcp() -> None:
    talking = responder(*units(), frames="tcp")
    async with serve_tcp(talking, "127.0.0.1", 0) as port:
        assert await found_on(line_of(host="127.0.0.1", port=port, timeout_s=0.15)) == FOUND


async def test_units_that_answer_or_refuse_are_found_on_a_serial_line() -> None:
    talking = responder(*units(), frames="rtu")
    async with serve_serial(talking) as path:
        line = line_of(kind="serial", serial_port=path, timeout_s=0.15)
        assert await found_on(line) == FOUND


@pytest.fixture
def gateway() -> Iterator[int]:
    """A gateway with RTU frames in a thread of its own, since commands have their own loop."""
    port = free_port()
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()

    async def main() -> None:
        async with serve_tcp(responder(*units(), frames="rtu"), "127.0.0.1", port):
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    ready.wait(5)
    yield port
    loop.call_soon_threadsafe(stop.set)
    thread.join(5)
    loop.close()


def scan_command(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "enpilot", "edge", "scan", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_lists_units_for_people_and_programs(gateway: int) -> None:
    words = [
        f"127.0.0.1:{gateway}", "--rtu", "--units", "1-5", "--address", "7", "--timeout-s", "0.15",
    ]  # fmt: skip
    told = scan_command(*words)
    assert told.returncode == 0, told.stderr
    assert "unit   1: holding 0x0107, input 0x0107" in told.stdout
    assert "unit   3: holding exception 0x02, input exception 0x02" in told.stdout
    assert told.stdout.endswith("2 of 5 units are there\n")
    assert [u["unit"] for u in json.loads(scan_command(*words, "--json").stdout)] == [1, 3]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "say where: HOST[:PORT], or --serial"),
        (["127.0.0.1", "--serial", "/dev/x"], "say where"),
        (["127.0.0.1:no"], "cannot scan 127.0.0.1:no"),
        (["127.0.0.1", "--units", "0-9"], "'0-9' is no range of units within 1 to 247"),
        (["--serial", "/dev/no-such-port"], "no connection to /dev/no-such-port"),
        (["--serial", "/dev/x", "--baud", "1"], "cannot scan /dev/x"),
    ],
)
def test_a_wrong_call_is_one_line(words: list[str], sentence: str) -> None:
    told = scan_command(*words)
    assert told.returncode == 2
    assert sentence in told.stderr
    assert told.stderr.count("\n") == 1


def test_progress_and_a_port_that_nobody_serves() -> None:
    said: list[str] = []
    line = line_of(host="127.0.0.1", port=free_port(), timeout_s=0.2)
    with pytest.raises(ConfigurationError, match=r"no connection to 127\.0\.0\.1"):
        scan_now(line, "1-247", 0, said.append)
    assert said == [f"127.0.0.1:{line.port}: asking 247 units, 0.2 s each"]


@pytest.mark.parametrize("text", ["", "1-", "a", "248", "5-2", "-3"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        units_of(text)


def test_a_range_is_sorted_and_has_each_unit_once() -> None:
    assert units_of("7,1-3,2") == [1, 2, 3, 7]
