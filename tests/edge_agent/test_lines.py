"""Lines of every kind over real sockets and pseudo-terminals."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus import FramerType
from pymodbus.server import ModbusTcpServer
from structlog.testing import capture_logs

from edge_agent.errors import ReadError
from edge_agent.lines import DialInListener, FieldLine, make_line
from edge_agent.lines.exchange import BadFrameError, ExceptionReplyError
from edge_agent.lines.modbus_frames import RtuExchange, TcpExchange, crc16
from edge_agent.simulator.responder import Responder
from edge_agent.simulator.scenario import DialIn
from edge_agent.simulator.serving import dial_in, serve_serial, serve_tcp
from enpilot.demo.processes import free_port
from enpilot.plant import Device
from enpilot.wire import Quality
from tests.edge_agent.modbus_server import MeterUnderTest
from tests.edge_agent.plant_on_a_line import (
    CountingUnit,
    fault,
    line_of,
    opened,
    raw_server,
    responder,
    shown,
)
from tests.edge_agent.profiles_for_tests import block

SHORT_S = 0.15


def rtu(body: bytes) -> bytes:
    return body + crc16(body).to_bytes(2, "little")


def rtu_reply(unit: int, address: int, count: int, function: int = 3) -> bytes:
    return rtu(bytes([unit, function, 2 * count]) + shown(unit, address, count))


async def error_of(connection: FieldLine, unit: int, at: int = 0, count: int = 2) -> ReadError:
    with pytest.raises(ReadError) as caught:
        await connection.read(unit, block(at, count))
    return caught.value


@contextlib.asynccontextmanager
async def line_to(kind: str, talking: Responder, **keys: object) -> AsyncIterator[FieldLine]:
    """Open a line of a kind to a responder."""
    async with contextlib.AsyncExitStack() as stack:
        described: dict[str, object] = {"kind": kind, "timeout_s": SHORT_S, **keys}
        if kind == "serial":
            described["serial_port"] = await stack.enter_async_context(serve_serial(talking))
        elif kind == "listen":
            described |= {"host": "127.0.0.1", "port": free_port(), "registration": "dtu-7"}
            dtu = DialIn(registration="dtu-7", redial_s=0.02, split_bytes=3)
            call = dial_in(talking, "127.0.0.1", int(str(described["port"])), dtu)
            task = asyncio.create_task(call)
            stack.callback(task.cancel)
        else:
            port = await stack.enter_async_context(serve_tcp(talking, "127.0.0.1", 0))
            described |= {"host": "127.0.0.1", "port": port}
        connection = stack.enter_context(opened(line_of(**described)))
        if kind == "listen":
            await until_answered(connection, 1)
        yield connection


async def until_answered(connection: FieldLine, unit: int) -> None:
    for _ in range(200):
        with contextlib.suppress(ReadError):
            await connection.read(unit, block(0, 1))
            return
        await asyncio.sleep(0.02)
    raise AssertionError("no answer")


KINDS = ["modbus_tcp", "rtu_over_tcp", "serial", "listen"]


def frames_of(kind: str) -> str:
    return "tcp" if kind == "modbus_tcp" else "rtu"


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_line_reads_whole_blocks_of_both_functions(kind: str) -> None:
    talking = responder(CountingUnit(1), CountingUnit(9), frames=frames_of(kind))
    async with line_to(kind, talking, timeout_s=2.0) as connection:
        assert await connection.read(1, block(3, 125)) == shown(1, 3, 125)
        assert await connection.read(9, block(0, 1, "input")) == shown(9, 0, 1)
        units = [1, 9] * 5
        answers = await asyncio.gather(*(connection.read(u, block(7, 40)) for u in units))
        assert answers == [shown(u, 7, 40) for u in units]
        counts = connection.counts
        assert counts.replies >= 12
        assert (counts.bad_frames, counts.stale, counts.reconnects) == (0, 0, 0)
        assert counts.busy_s > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("wrong", "quality"),
    [
        ("silence", Quality.NO_RESPONSE),
        ("wrong_length", Quality.NO_RESPONSE),
        ("wrong_unit", Quality.NO_RESPONSE),
        ("wrong_transaction", Quality.NO_RESPONSE),
        ("bad_crc", Quality.NO_RESPONSE),
        ("garbage", Quality.NO_RESPONSE),
        ("late_reply", Quality.NO_RESPONSE),
        ("exception", Quality.EXCEPTION_REPLY),
    ],
)
async def test_a_unit_that_goes_wrong_disturbs_no_other(
    kind: str, wrong: str, quality: Quality
) -> None:
    if wrong == ("bad_crc" if kind == "modbus_tcp" else "wrong_transaction"):
        return  # the frames of this line have no such field
    bad = CountingUnit(2, [fault(wrong)])
    talking = responder(CountingUnit(1), bad, frames=frames_of(kind))
    async with line_to(kind, talking, timeout_s=0.1) as connection:
        for _ in range(3):
            assert await connection.read(1, block(0, 40), 1.0) == shown(1, 0, 40)
            assert (await error_of(connection, 2, count=40)).quality == quality
        bad.faults.clear()
        assert await connection.read(1, block(0, 40), 1.0) == shown(1, 0, 40)
        await until_answered(connection, 2)
        assert await connection.read(2, block(5, 40), 1.0) == shown(2, 5, 40)


async def test_rtu_agrees_with_another_s_implementation() -> None:
    meter = MeterUnderTest(17, [1, 2, 3, 0xFFFF])
    port = free_port()
    server = ModbusTcpServer([meter.device()], framer=FramerType.RTU, address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    with opened(line_of(kind="rtu_over_tcp", host="127.0.0.1", port=port)) as connection:
        assert await connection.read(17, block(0, 4)) == b"\0\1\0\2\0\3\xff\xff"
        assert (await error_of(connection, 17, at=100)).exception_code == 2
    await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus leaves it untyped


def test_the_crc_is_the_standard_s() -> None:
    # Modbus over Serial Line 1.02, section 6.2.2 and its common examples.
    assert crc16(bytes.fromhex("0207")).to_bytes(2, "little") == bytes.fromhex("4112")
    assert crc16(b"123456789") == 0x4B37


async def test_a_stale_tcp_reply_is_refused_and_the_right_one_awaited() -> None:
    def answer(request: bytes) -> list[bytes]:
        right = request[:2] + struct.pack(">HHBBB", 0, 7, 1, 3, 4) + shown(1, 0, 2)
        stale = b"\x77\x77" + struct.pack(">HHBBB", 0, 7, 1, 3, 4) + b"\xee" * 4
        return [stale, stale[:5], stale[5:] + right[:3], right[3:]]

    async with raw_server(answer) as server:
        with opened(line_of(host="127.0.0.1", port=server.port)) as connection:
            for _ in range(3):
                assert await connection.read(1, block(0, 2)) == shown(1, 0, 2)
            assert connection.counts.stale == 6
            assert server.connections == 1


async def test_a_timeout_on_tcp_reconnects_so_that_late_bytes_find_nobody() -> None:
    silent = True

    def answer(request: bytes) -> list[bytes]:
        if silent:
            return []
        return [request[:2] + struct.pack(">HHBBB", 0, 7, 1, 3, 4) + shown(1, 0, 2)]

    async with raw_server(answer) as server:
        keys = {"host": "127.0.0.1", "port": server.port, "timeout_s": 0.1}
        with opened(line_of(**keys)) as connection:
            assert "no reply within 0.1 s" in str(await error_of(connection, 1))
            silent = False
            assert await connection.read(1, block(0, 2)) == shown(1, 0, 2)
            assert server.connections == 2
            counts = connection.counts
            assert (counts.requests, counts.replies, counts.timeouts) == (2, 1, 1)
            assert counts.reconnects == 1


async def test_a_late_rtu_reply_is_not_taken_for_another_block_of_the_same_unit() -> None:
    """RTU has no transaction id: unit, function and length of the late reply fit."""
    slow = CountingUnit(1, [fault("delay", delay_s=0.4)])
    async with line_to("serial", responder(slow, frames="rtu")) as connection:
        await error_of(connection, 1, at=0)
        slow.faults.clear()
        assert await connection.read(1, block(100, 2)) == shown(1, 100, 2)
        assert connection.counts.stale == 1


async def test_echo_noise_and_a_stale_reply_before_the_reply_are_skipped() -> None:
    def answer(request: bytes) -> list[bytes]:
        return [request + b"\xff\x00", rtu_reply(4, 0, 2) + rtu_reply(1, 0, 2)[:4],
                rtu_reply(1, 0, 2)[4:]]  # fmt: skip

    async with raw_server(answer) as server:
        keys = {"kind": "rtu_over_tcp", "host": "127.0.0.1", "port": server.port}
        with opened(line_of(**keys)) as connection:
            assert await connection.read(1, block(0, 2)) == shown(1, 0, 2)


async def test_retries_and_timeouts_are_the_unit_s_own() -> None:
    asked = 0

    def answer(request: bytes) -> list[bytes]:
        nonlocal asked
        asked += 1
        return [] if asked % 3 else [rtu_reply(request[0], 0, 2)]

    async with raw_server(answer) as server:
        line = line_of(kind="rtu_over_tcp", host="127.0.0.1", port=server.port, timeout_s=30.0)
        patient = Device(code="a", line="hall", unit=5, timeout_s=0.05, retries=2)
        connection = make_line(line, [patient])
        assert await connection.read(5, block(0, 2)) == shown(5, 0, 2)
        assert asked == 3
        connection.close()


async def test_a_line_may_be_closed_after_reading_and_pauses_between_frames() -> None:
    async with raw_server(lambda request: [rtu_reply(request[0], 0, 2)]) as server:
        line = line_of(
            kind="rtu_over_tcp", host="127.0.0.1", port=server.port, pause_s=0.1,
            close_after_read=True,
        )  # fmt: skip
        with opened(line) as connection:
            began = asyncio.get_running_loop().time()
            for _ in range(3):
                await connection.read(1, block(0, 2))
            assert asyncio.get_running_loop().time() - began >= 0.2
            assert server.connections == 1
            await asyncio.sleep(0.4)
            assert not connection.is_open
            await connection.read(1, block(0, 2))
            assert server.connections == 2
            assert connection.counts.reconnects == 0


async def test_a_reader_that_is_cancelled_leaves_the_line_in_order() -> None:
    slow = CountingUnit(1, [fault("delay", delay_s=0.1)])
    talking = responder(slow, CountingUnit(2), frames="tcp")
    async with line_to("modbus_tcp", talking, timeout_s=5.0) as connection:
        task = asyncio.create_task(connection.read(1, block(0, 2)))
        await asyncio.sleep(0.03)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await connection.read(2, block(0, 2)) == shown(2, 0, 2)


async def test_a_serial_port_that_is_not_there_is_reported_once() -> None:
    with (
        capture_logs() as logs,
        opened(line_of(kind="serial", serial_port="/dev/no-such-port")) as connection,
    ):
        for _ in range(3):
            assert (await error_of(connection, 1)).quality == Quality.NO_RESPONSE
    assert [entry["event"] for entry in logs] == ["line is down"]


# --- DTUs that dial in


class Dtu:
    """A DTU in a test's hands."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def dial(cls, port: int, said: bytes) -> Dtu:
        for _ in range(100):
            try:
                dtu = cls(*await asyncio.open_connection("127.0.0.1", port))
                break
            except OSError:
                await asyncio.sleep(0.02)
        dtu.writer.write(said)
        await asyncio.sleep(0.05)
        return dtu

    async def answer(self, *pieces: bytes) -> bytes:
        request = await self.reader.readexactly(8)
        for piece in pieces:
            self.writer.write(piece)
            await asyncio.sleep(0.01)
        return request


def listening(port: int, **keys: object) -> Any:
    plain: dict[str, object] = {
        "kind": "listen", "host": "127.0.0.1", "port": port, "registration": "0x01ab",
        "heartbeat": "0xfe0003", "timeout_s": 1.0,
    }  # fmt: skip
    return line_of(**plain | keys)


@pytest.mark.parametrize("cut", [1, 3, 4, 6, 8])
async def test_heartbeats_are_swallowed_wherever_they_come(cut: int) -> None:
    beat = b"\xfe\x00\x03"
    with opened(listening(free_port())) as connection:
        await error_of(connection, 1)  # listens from now on
        port = int(connection.where.rpartition(":")[2])
        dtu = await Dtu.dial(port, beat + b"\x01\xab" + beat)
        whole = rtu_reply(1, 0, 2)
        for pieces in (
            (whole[:cut], beat, whole[cut:]),
            (whole[:cut] + beat + whole[cut:],),
            (beat + whole,),
            (whole[:cut] + beat[:1], beat[1:] + whole[cut:]),
            (beat, b"\x01\xab", whole[:cut], beat + whole[cut:] + beat),
        ):
            reading = asyncio.create_task(connection.read(1, block(0, 2)))
            await dtu.answer(*pieces)
            assert await reading == shown(1, 0, 2)
        dtu.writer.close()


async def test_a_newer_call_of_the_same_dtu_replaces_the_older_one() -> None:
    with opened(listening(free_port())) as connection:
        await error_of(connection, 1)
        port = int(connection.where.rpartition(":")[2])
        older = await Dtu.dial(port, b"\x01\xab")
        reading = asyncio.create_task(connection.read(1, block(0, 2)))
        await asyncio.sleep(0.05)
        newer = await Dtu.dial(port, b"\x01\xab")
        with pytest.raises(ReadError, match="dialled in anew"):
            await reading
        with contextlib.suppress(ConnectionError):
            await older.reader.read()
            assert older.reader.at_eof()
        older.writer.close()
        reading = asyncio.create_task(connection.read(1, block(0, 2)))
        await newer.answer(rtu_reply(1, 0, 2))
        assert await reading == shown(1, 0, 2)
        newer.writer.close()


async def test_an_unknown_dtu_is_refused_and_named_once() -> None:
    with opened(listening(free_port())) as connection, capture_logs() as logs:
        await error_of(connection, 1)
        port = int(connection.where.rpartition(":")[2])
        for _ in range(3):
            stranger = await Dtu.dial(port, b"IMEI 86012")
            with contextlib.suppress(ConnectionError):
                assert await stranger.reader.read() == b""
            stranger.writer.close()
        assert (await error_of(connection, 1)).quality == Quality.NO_RESPONSE
    refused = [entry for entry in logs if entry["event"] == "unknown DTU refused"]
    assert [entry["registration"] for entry in refused] == ["IMEI 86012"]


async def test_dtus_that_share_a_port_are_told_apart_by_their_registration() -> None:
    port = free_port()
    listeners: dict[tuple[str, int], DialInListener] = {}
    codes = ["dtu-1", "dtu-12"]
    lines = [
        make_line(listening(port, code=c, registration=c, heartbeat=None), (), listeners)
        for c in codes
    ]
    for connection in lines:
        await error_of(connection, 1)
    dtus = []
    for unit, (code, connection) in enumerate(zip(codes, lines, strict=True), 1):
        dtu = await Dtu.dial(port, code[:3].encode())
        dtus.append(dtu)
        dtu.writer.write(code[3:].encode())
        await asyncio.sleep(0.05)
        reading = asyncio.create_task(connection.read(unit, block(0, 2)))
        await dtu.answer(rtu_reply(unit, 0, 2))
        assert await reading == shown(unit, 0, 2)
    for connection, dtu in zip(lines, dtus, strict=True):
        connection.close()
        dtu.writer.close()


async def test_a_dtu_with_seconds_of_latency_and_split_frames_is_read() -> None:
    port = free_port()
    with opened(listening(port, registration="86012", timeout_s=5.0)) as connection:
        dtu = DialIn(
            registration="86012", heartbeat="0xfe0003", heartbeat_s=0.05, latency_s=1.2,
            split_bytes=2, redial_s=0.05,
        )  # fmt: skip
        call = dial_in(responder(CountingUnit(1), frames="rtu"), "127.0.0.1", port, dtu)
        task = asyncio.create_task(call)
        await until_answered(connection, 1)
        assert await connection.read(1, block(0, 10)) == shown(1, 0, 10)
        task.cancel()


# --- garbage


_REAL = rtu_reply(1, 0, 2)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=40), st.just(_REAL), st.just(_REAL[:5])), max_size=8))
def test_rtu_takes_any_bytes_in_any_pieces(pieces: list[bytes]) -> None:
    exchange = RtuExchange(1, block(0, 2), (b"\xfe\x00",))
    exchange.begin()
    for piece in pieces:
        try:
            found = exchange.take(piece)
        except (ExceptionReplyError, BadFrameError):
            return
        assert found is None or len(found) == 4
        assert len(exchange.rest) <= 1024
        if found is not None:
            return


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_tcp_takes_any_bytes_in_any_pieces(pieces: list[bytes]) -> None:
    exchange = TcpExchange(1, block(0, 2), iter(range(1, 100)))  # type: ignore[arg-type]  # counts
    exchange.begin()
    for piece in pieces:
        try:
            found = exchange.take(piece)
        except (ExceptionReplyError, BadFrameError):
            return
        assert found is None


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.binary(max_size=6))
def test_a_reply_is_found_however_it_is_cut_and_whatever_stands_before(
    size: int, before: bytes
) -> None:
    exchange = RtuExchange(1, block(0, 40))
    exchange.begin()
    stream = before + rtu_reply(1, 0, 40)
    found = None
    for start in range(0, len(stream), size):
        found = exchange.take(stream[start : start + size])
    assert found == shown(1, 0, 40)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.binary(min_size=1, max_size=60), max_size=3), min_size=5, max_size=5))
@pytest.mark.parametrize("kind", ["modbus_tcp", "rtu_over_tcp"])
def test_garbage_on_a_live_line_raises_nothing_but_read_errors(
    kind: str, said: list[list[bytes]]
) -> None:
    async def main() -> None:
        answers = iter(said)
        async with raw_server(lambda _: next(answers, [])) as server:
            keys = {"kind": kind, "host": "127.0.0.1", "port": server.port, "timeout_s": 0.03}
            failures: list[dict[str, Any]] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, c: failures.append(c))
            with opened(line_of(**keys)) as connection:
                for _ in range(5):
                    with contextlib.suppress(ReadError):
                        assert len(await connection.read(1, block(0, 2))) == 4
            assert failures == []

    asyncio.run(main())


async def test_a_port_that_is_pulled_out_and_comes_back_is_read_again(tmp_path: Path) -> None:
    name = tmp_path / "ttyUSB0"
    talking = responder(CountingUnit(1), frames="rtu")
    with opened(line_of(kind="serial", serial_port=str(name), timeout_s=0.2)) as connection:
        async with serve_serial(talking, name):
            assert await connection.read(1, block(0, 2)) == shown(1, 0, 2)
        await asyncio.sleep(0.02)
        assert (await error_of(connection, 1)).quality == Quality.NO_RESPONSE
        async with serve_serial(talking, name):
            assert await connection.read(1, block(0, 2)) == shown(1, 0, 2)
        assert connection.counts.reconnects == 1
