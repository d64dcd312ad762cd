"""Nothing but reading ever leaves: recorded on the wire of every kind of line."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.clock import Clock
from edge_agent.errors import ReadError
from edge_agent.lines import FieldLine
from edge_agent.lines.modbus_frames import READ_FUNCTIONS, crc16, request_pdu
from edge_agent.poller import LinePoller
from edge_agent.scan import scan_line
from tests.edge_agent.plant_on_a_line import line_of, opened, raw_server
from tests.edge_agent.profiles_for_tests import block, profile, register, unit_plan

METER = profile(
    register(0, "uint32"), register(90, "float32"), register(4, function="input"), max_gap=4
)


async def use_everything(connection: FieldLine) -> None:
    """Poll, probe and scan."""
    poller = LinePoller(connection, (unit_plan(1, 0.1, METER),), Clock(), lambda _: None)
    task = asyncio.create_task(poller.run())
    await asyncio.sleep(0.35)
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.5)
    for address in (0, 0x0100, 0xFFFF):
        for function in READ_FUNCTIONS:
            with contextlib.suppress(ReadError):
                await connection.read(1, block(address, 1, function), 0.02)
    async for _ in scan_line(connection, range(1, 12)):
        pass


def rtu_answer(request: bytes) -> bytes:
    assert len(request) == 8
    body = bytes([request[0], request[1], 2 * request[5]]) + bytes(2 * request[5])
    return body + crc16(body).to_bytes(2, "little")


async def test_only_functions_3_and_4_are_sent_over_tcp() -> None:
    def answer(request: bytes) -> list[bytes]:
        count = request[11]
        return [
            request[:4] + bytes([0, 3 + 2 * count, *request[6:8], 2 * count, *bytes(2 * count)])
        ]

    async with raw_server(answer) as server:
        with opened(line_of(host="127.0.0.1", port=server.port, timeout_s=0.1)) as connection:
            await use_everything(connection)
        assert len(server.heard) > 30
        assert all(len(request) == 12 for request in server.heard)
        assert {request[7] for request in server.heard} == {3, 4}


@pytest.mark.parametrize("answering", [True, False])
async def test_only_functions_3_and_4_are_sent_on_a_serial_line(answering: bool) -> None:
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    heard: list[bytes] = []

    def readable() -> None:
        request = os.read(ours, 4096)
        heard.append(request)
        if answering:
            os.write(ours, rtu_answer(request))

    asyncio.get_running_loop().add_reader(ours, readable)
    try:
        line = line_of(kind="serial", serial_port=os.ttyname(theirs), timeout_s=0.03)
        with opened(line) as connection:
            await use_everything(connection)
    finally:
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)
        os.close(theirs)
    assert len(heard) > 10
    assert all(len(request) == 8 and crc16(request) == 0 for request in heard)
    assert {request[1] for request in heard} <= {3, 4}


@given(st.text(), st.integers(), st.integers())
def test_no_other_request_can_be_built(function: str, address: int, count: int) -> None:
    wanted = SimpleNamespace(function=function, address=address, count=count)
    with contextlib.suppress(ValueError):
        assert request_pdu(wanted)[0] in (3, 4)


@pytest.mark.parametrize(
    ("function", "address", "count"),
    [("write", 0, 1), ("coil", 0, 1), ("holding", 0, 0), ("holding", 0, 126),
     ("input", 0xFFFF, 2), ("input", -1, 1)],
)  # fmt: skip
def test_what_is_no_read_is_refused_before_the_wire(
    function: str, address: int, count: int
) -> None:
    with pytest.raises(ValueError):
        request_pdu(SimpleNamespace(function=function, address=address, count=count))


def test_there_are_two_functions_and_nothing_can_be_added() -> None:
    assert dict(READ_FUNCTIONS) == {"holding": 3, "input": 4}
    with pytest.raises(TypeError):
        READ_FUNCTIONS["write"] = 16  # type: ignore[index]  # that is the point
