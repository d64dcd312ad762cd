"""One Modbus TCP line: a single connection, shared by all units behind it, one request at a time.

Reading only: this module knows two requests, read holding registers and read input registers.
"""

from __future__ import annotations

import asyncio

import structlog
from pymodbus import FramerType, ModbusException
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.constants import ExcCodes

from edge_agent.blocks import Block
from edge_agent.errors import ReadError
from enpilot.plant import Line
from enpilot.wire import Quality

__all__ = ["ModbusTcpLine"]

_log = structlog.get_logger("edge")


class ModbusTcpLine:
    """A gateway's connection; connects when first used and again after it broke."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._turn = asyncio.Lock()
        self._down = False
        self._client = AsyncModbusTcpClient(
            line.host,
            port=line.port,
            framer=FramerType.SOCKET,
            timeout=line.timeout_s,
            retries=0,
            reconnect_delay=0,  # this class reconnects, so that a timeout drops late replies
        )

    async def read(self, unit: int, block: Block, timeout_s: float | None = None) -> bytes:
        """Return the bytes of a block's registers, waiting at most so long [s].

        Raises
        ------
        ReadError
            If the unit does not answer in time, answers with an exception or with a wrong length.
        """
        async with self._turn:
            await self._connect()
            call = (
                self._client.read_holding_registers
                if block.function == "holding"
                else self._client.read_input_registers
            )
            try:
                self._client.ctx.comm_params.timeout_connect = timeout_s or self._line.timeout_s
                reply = await call(block.address, count=block.count, device_id=unit)
            except (TimeoutError, ModbusException, OSError) as error:
                # A reply that comes later must not be taken for the next one's.
                self._client.close()
                raise ReadError(
                    Quality.NO_RESPONSE, f"line {self._line.code}, unit {unit}: {error}"
                ) from error
        if reply.isError():
            # A gateway answers for a unit that is silent behind it.
            silent = reply.exception_code in (
                ExcCodes.GATEWAY_PATH_UNAVIABLE,
                ExcCodes.GATEWAY_NO_RESPONSE,
            )
            raise ReadError(
                Quality.NO_RESPONSE if silent else Quality.EXCEPTION_REPLY,
                f"line {self._line.code}, unit {unit}, {block.function} {block.address:#06x}"
                f"+{block.count}: {reply}",
                reply.exception_code,
            )
        if len(reply.registers) != block.count:
            self._client.close()
            raise ReadError(
                Quality.NO_RESPONSE,
                f"line {self._line.code}, unit {unit}: {len(reply.registers)} registers came, "
                f"{block.count} were asked for",
            )
        return b"".join(r.to_bytes(2, "big") for r in reply.registers)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    async def _connect(self) -> None:
        if self._client.connected:
            return
        where = f"{self._line.host}:{self._line.port}"
        if not await self._client.connect():
            if not self._down:
                _log.warning("line is down", line=self._line.code, address=where)
            self._down = True
            raise ReadError(
                Quality.NO_RESPONSE, f"line {self._line.code}: no connection to {where}"
            )
        if self._down:
            _log.info("line is back", line=self._line.code, address=where)
        self._down = False
