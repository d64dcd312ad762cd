"""Serve the units of a scenario; registers are computed when they are asked for."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import structlog
from pymodbus.constants import ExcCodes
from pymodbus.simulator import DataType, SimData, SimDevice

from edge_agent.errors import WiringError
from edge_agent.simulator.faulty_unit import FaultyUnit
from edge_agent.simulator.meter_unit import SimulatedMeter
from edge_agent.simulator.meters import SimulatedUnit
from edge_agent.simulator.responder import Responder
from edge_agent.simulator.scenario import Scenario
from edge_agent.simulator.serving import dial_in, serve_serial, serve_tcp

__all__ = ["build_units", "serve"]

_log = structlog.get_logger("simulator")
_WRITE_FUNCTIONS = frozenset({5, 6, 15, 16, 22, 23})


def build_units(scenario: Scenario) -> list[SimulatedUnit]:
    """Return the Modbus units of a scenario, on one common load."""
    load = scenario.load()
    modbus = (unit for unit in scenario.unit if unit.meter_address is None)
    return [SimulatedUnit(scenario, unit, load) for unit in modbus]


def sim_device(unit: SimulatedUnit, now_s: Callable[[], float]) -> SimDevice:
    """Return pymodbus' device for a unit: one block from its first to its last register.

    For whoever serves units by pymodbus' server, which knows no faults.
    """
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
    began_s = time.time()
    load = scenario.load()
    units = [
        FaultyUnit(scenario, unit, load, began_s)
        for unit in scenario.unit
        if unit.meter_address is None
    ]
    meters = [
        SimulatedMeter(scenario, unit, load)
        for unit in scenario.unit
        if unit.meter_address is not None
    ]
    frames: Literal["tcp", "rtu"] = "tcp" if scenario.link == "modbus_tcp" else "rtu"
    responder = Responder(units, frames, time.time, began_s, meters)

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        where = f"{scenario.host}:{scenario.port}"
        async with contextlib.AsyncExitStack() as stack:
            if scenario.dial_in is not None:
                dialling = asyncio.create_task(
                    dial_in(responder, scenario.host, scenario.port, scenario.dial_in)
                )
                stack.callback(dialling.cancel)
            elif scenario.link == "serial":
                name = Path(scenario.serial_link) if scenario.serial_link else None
                where = await stack.enter_async_context(serve_serial(responder, name))
            else:
                try:
                    await stack.enter_async_context(
                        serve_tcp(responder, scenario.host, scenario.port)
                    )
                except OSError as error:
                    raise WiringError(
                        f"no simulator on {where}: the port is in use, or the address is not this "
                        "machine's"
                    ) from error
            for unit in units:
                unit.registers(time.time())  # builds its tables before the first request
            _log.info(
                "simulated meters answer", link=scenario.link, address=where,
                note=scenario.label.en,
            )  # fmt: skip
            await stop.wait()

    asyncio.run(main())
