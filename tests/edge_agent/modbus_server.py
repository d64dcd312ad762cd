"""A small Modbus TCP server on a free port, whose units do what a test says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from enpilot.demo.processes import free_port


@dataclass
class MeterUnderTest:
    """One unit: its registers from address 0, and how it misbehaves."""

    unit: int
    registers: list[int]
    exception: ExcCodes | None = None
    delay_s: float = 0.0
    forbidden: range = range(0)
    asked: list[tuple[int, int, int]] = field(default_factory=list)

    def device(self) -> SimDevice:
        async def show(
            function: int, start: int, address: int, count: int, current: list[int], _: object
        ) -> ExcCodes | None:
            self.asked.append((function, address, count))
            delay_s, exception, words = self.delay_s, self.exception, list(self.registers)
            if delay_s:
                await asyncio.sleep(delay_s)
            current[: len(words)] = words
            if any(a in self.forbidden for a in range(address, address + count)):
                return ExcCodes.ILLEGAL_ADDRESS
            return exception

        return SimDevice(
            self.unit,
            simdata=[SimData(0, count=len(self.registers), datatype=DataType.REGISTERS)],
            action=show,
        )


@contextlib.asynccontextmanager
async def serving(devices: list[SimDevice], port: int | None = None) -> AsyncIterator[int]:
    """Serve until left."""
    port = free_port() if port is None else port
    server = ModbusTcpServer(devices, address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    try:
        yield port
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus leaves it untyped
