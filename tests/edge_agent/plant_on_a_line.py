"""Units that show the number of their address, on any line, with the faults that tests choose."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from edge_agent.lines import FieldLine, make_line
from edge_agent.simulator.faults import Fault
from edge_agent.simulator.meters import SimulatedUnit
from edge_agent.simulator.responder import Responder
from enpilot.plant import Line


@dataclass
class _Description:
    unit: int
    fault: list[Fault]


@dataclass
class CountingUnit:
    """Register n of unit u shows 256 u + n, in 200 registers of both functions."""

    number: int
    faults: list[Fault] = field(default_factory=list)

    @property
    def unit(self) -> _Description:
        return _Description(self.number, self.faults)

    def registers(self, at_s: float) -> dict[tuple[str, int], int]:
        del at_s
        return {(f, n): 256 * self.number + n for f in ("holding", "input") for n in range(200)}


def responder(*units: CountingUnit, frames: Any) -> Responder:
    return Responder(cast(list[SimulatedUnit], list(units)), frames, time.time, time.time())


def shown(unit: int, address: int, count: int) -> bytes:
    return b"".join((256 * unit + n).to_bytes(2, "big") for n in range(address, address + count))


def fault(kind: str, **more: object) -> Fault:
    return msgspec.convert({"kind": kind, **more}, Fault)


def line_of(**keys: object) -> Line:
    return msgspec.convert({"code": "hall", "agent": "gw-1", **keys}, Line)


@contextlib.contextmanager
def opened(line: Line) -> Any:
    connection: FieldLine = make_line(line)
    try:
        yield connection
    finally:
        connection.close()


@dataclass
class RawServer:
    """A TCP server that records what it hears and sends what a test says."""

    answer: Callable[[bytes], list[bytes]]
    heard: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0


@contextlib.asynccontextmanager
async def raw_server(answer: Callable[[bytes], list[bytes]]) -> AsyncIterator[RawServer]:
    server = RawServer(answer)
    writers: list[asyncio.StreamWriter] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        writers.append(writer)
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                server.heard.append(data)
                for piece in server.answer(data):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.005)

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)
