"""Serve simulated units on a Modbus TCP socket; registers are computed when they are asked for."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable

import structlog
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge_agent.errors import WiringError
from edge_agent.simulator.meters import SimulatedUnit
from edge_agent.simulator.scenario import Scenario

__all__ = ["build_units", "serve"]

_log = structlog.get_logger("simulator")
_WRITE_FUNCTIONS = frozenset({5, 6, 15, 16, 22, 23})


def build_units(scenario: Scenario) -> list[SimulatedUnit]:
    """Return the units of a scenario, on one common load."""
    load = scenario.load()
    return [SimulatedUnit(scenario, unit, load) for unit in scenario.unit]


def sim_device(unit: SimulatedUnit, now_s: Callable[[], float]) -> SimDevice:
    """Return pymodbus' device for a unit: one block from its first to its last register."""
    addresses = sorted(
        address for r in unit.profile.register for address in range(r.address, r.address + r.width)
    )
    first = addresses[0]

    async def show(
        function_code: int,
        start_address: int,
        address: int,
        count: int,
        current: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        del values
        if function_code in _WRITE_FUNCTIONS:
            return ExcCodes.ILLEGAL_FUNCTION
        words = unit.registers(now_s())
        for (_, at), word in words.items():
            if address <= at < address + count:
                current[at - start_address] = word
        return None

    return SimDevice(
        unit.unit.unit,
        simdata=[SimData(first, count=addresses[-1] - first + 1, datatype=DataType.REGISTERS)],
        action=show,
    )


def serve(scenario: Scenario) -> None:
    """Answer requests until SIGINT or SIGTERM.

    Raises
    ------
    WiringError
        If the address is taken.
    """
    units = build_units(scenario)

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        server = ModbusTcpServer(
            [sim_device(u, time.time) for u in units], address=(scenario.host, scenario.port)
        )
        where = f"{scenario.host}:{scenario.port}"
        try:
            await server.serve_forever(background=True)
        except (OSError, RuntimeError) as error:
            raise WiringError(
                f"no simulator on {where}: the port is in use, or the address is not this machine's"
            ) from error
        for unit in units:
            unit.registers(time.time())  # builds its tables before the first request
        _log.info("simulated meters answer", address=where, note=scenario.label.en)
        await stop.wait()
        await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus leaves it untyped

    asyncio.run(main())
