"""One Modbus TCP connection, over a real socket."""

from __future__ import annotations

import asyncio
import struct

import pytest
from pymodbus.constants import ExcCodes
from structlog.testing import capture_logs

from edge_agent.errors import ReadError
from edge_agent.lines import FieldLine, make_line
from enpilot.demo.processes import free_port
from enpilot.wire import Quality
from tests.edge_agent.modbus_server import MeterUnderTest, serving
from tests.edge_agent.profiles_for_tests import block, line


def words(data: bytes) -> list[int]:
    return list(struct.unpack(f">{len(data) // 2}H", data))


async def quality_of(connection: FieldLine, unit: int, count: int = 2) -> Quality:
    with pytest.raises(ReadError) as caught:
        await connection.read(unit, block(0, count))
    assert f"line hall, unit {unit}" in str(caught.value) or "no connection" in str(caught.value)
    return caught.value.quality


async def test_both_functions_read_the_registers_that_are_there() -> None:
    meter = MeterUnderTest(1, [11, 22, 33, 0xFFFF])
    async with serving([meter.device()]) as port:
        connection = make_line(line(port))
        assert words(await connection.read(1, block(0, 4))) == [11, 22, 33, 0xFFFF]
        assert words(await connection.read(1, block(1, 2, "input"))) == [22, 33]
        connection.close()
    # Function 3 reads holding, 4 input registers (Modbus application protocol, 6.3 and 6.4).
    assert meter.asked == [(3, 0, 4), (4, 1, 2)]


async def test_125_registers_come_in_one_request() -> None:
    async with serving([MeterUnderTest(1, list(range(125))).device()]) as port:
        connection = make_line(line(port))
        assert words(await connection.read(1, block(0, 125))) == list(range(125))
        connection.close()


@pytest.mark.parametrize(
    ("code", "quality"),
    [
        (ExcCodes.ILLEGAL_ADDRESS, Quality.EXCEPTION_REPLY),
        (ExcCodes.DEVICE_BUSY, Quality.EXCEPTION_REPLY),
        # What a gateway answers for a unit that does not answer it.
        (ExcCodes.GATEWAY_PATH_UNAVIABLE, Quality.NO_RESPONSE),
        (ExcCodes.GATEWAY_NO_RESPONSE, Quality.NO_RESPONSE),
    ],
)
async def test_an_exception_reply_is_told_from_silence(code: ExcCodes, quality: Quality) -> None:
    refusing = MeterUnderTest(1, [0, 0], exception=code)
    async with serving([refusing.device(), MeterUnderTest(2, [5, 6]).device()]) as port:
        connection = make_line(line(port))
        assert await quality_of(connection, 1) == quality
        assert words(await connection.read(2, block(0, 2))) == [5, 6]
        connection.close()


async def test_a_silent_unit_costs_one_timeout_and_the_next_is_read() -> None:
    silent = MeterUnderTest(9, [0, 0], delay_s=30)
    async with serving([MeterUnderTest(1, [5, 6]).device(), silent.device()]) as port:
        connection = make_line(line(port, timeout_s=0.2))
        began = asyncio.get_running_loop().time()
        assert await quality_of(connection, 9) == Quality.NO_RESPONSE
        assert 0.15 < asyncio.get_running_loop().time() - began < 1.0
        assert words(await connection.read(1, block(0, 2))) == [5, 6]
        connection.close()


async def test_a_late_reply_is_never_taken_for_the_next_one_s() -> None:
    slow = MeterUnderTest(1, [111, 111], delay_s=0.3)
    async with serving([slow.device(), MeterUnderTest(2, [222, 222]).device()]) as port:
        connection = make_line(line(port, timeout_s=0.15))
        assert await quality_of(connection, 1) == Quality.NO_RESPONSE
        slow.delay_s, slow.registers = 0.0, [333, 333]
        for _ in range(20):
            assert words(await connection.read(2, block(0, 2))) == [222, 222]
            await asyncio.sleep(0.01)  # the late reply falls into this loop
        assert words(await connection.read(1, block(0, 2))) == [333, 333]
        connection.close()


async def test_requests_of_several_tasks_go_one_at_a_time() -> None:
    meters = [MeterUnderTest(unit, [unit, unit * 256]) for unit in (1, 2, 3)]
    async with serving([m.device() for m in meters]) as port:
        connection = make_line(line(port))
        units = [1, 2, 3] * 20
        answers = await asyncio.gather(*(connection.read(u, block(0, 2)) for u in units))
        assert [words(a) for a in answers] == [[u, u * 256] for u in units]
        connection.close()


async def test_a_gateway_that_goes_and_comes_back_is_reported_once_each() -> None:
    port = free_port()
    connection = make_line(line(port, timeout_s=0.3))
    with capture_logs() as logs:
        for _ in range(3):
            assert await quality_of(connection, 1) == Quality.NO_RESPONSE
        meter = MeterUnderTest(1, [7, 8])
        async with serving([meter.device()], port):
            assert words(await connection.read(1, block(0, 2))) == [7, 8]
        assert await quality_of(connection, 1) == Quality.NO_RESPONSE
        async with serving([meter.device()], port):
            assert words(await connection.read(1, block(0, 2))) == [7, 8]
    connection.close()
    events = [entry["event"] for entry in logs]
    assert events[:2] == ["line is down", "line is back"]
    assert logs[0]["address"] == f"127.0.0.1:{port}"
    assert len(events) <= 4


async def test_a_host_that_has_no_address_is_no_response() -> None:
    described = line(502, timeout_s=0.5)
    described.host = "no-such-host.invalid"  # RFC 6761: never resolves
    connection = make_line(described)
    assert await quality_of(connection, 1) == Quality.NO_RESPONSE
    connection.close()
