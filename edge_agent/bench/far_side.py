"""What an agent under measurement talks to: gateways below it, and above it a platform's receipts.

A process of its own, so that what it takes is not counted, and the same one for every contender.
Its receipts confirm what no database holds: nothing but the agent is measured here.
"""

from __future__ import annotations

import asyncio
import struct
import sys
import time
from contextlib import AsyncExitStack
from typing import Final

import aiomqtt
import msgspec

from enpilot.wire import WIRE_VERSION, Receipt, StreamReceipt, decode_data, encode, topic

__all__ = ["FarSide"]

_REQUEST: Final = struct.Struct(">HHHBBHH")
_HEAD: Final = struct.Struct(">HHHBBB")
_REGISTERS: Final = 256
_RECEIPT_EVERY_S: Final = 0.2


class FarSide(msgspec.Struct, kw_only=True):
    """What to serve.

    Attributes
    ----------
    ports
        One gateway each, on the loopback interface.
    delay_s
        How long each reply takes [s].
    silent
        Units that say nothing, and from when to when [s since 1970].
    broker_port
        Where to confirm batches, on the loopback interface; None confirms nothing.
    """

    ports: list[int]
    delay_s: float = 0.0
    silent: dict[int, tuple[float, float]] = {}
    broker_port: int | None = None

    async def serve(self) -> None:
        """Serve until cancelled."""
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            for port in self.ports:
                server = await loop.create_server(lambda: _Gateway(self), "127.0.0.1", port)
                stack.push_async_exit(server)
            if self.broker_port is not None:
                await _confirm(self.broker_port)
            await asyncio.Event().wait()


class _Gateway(asyncio.Protocol):
    """One connection of a gateway that answers as fast as it can; values move once a second."""

    def __init__(self, served: FarSide) -> None:
        self._served = served
        self._bytes = b""
        self._second = 0
        self._registers = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._bytes += data
        while len(self._bytes) >= _REQUEST.size:
            number, _, _, unit, function, address, count = _REQUEST.unpack_from(self._bytes)
            self._bytes = self._bytes[_REQUEST.size :]
            since_s, until_s = self._served.silent.get(unit, (0.0, 0.0))
            if since_s <= time.time() < until_s:
                continue
            reply = _HEAD.pack(number, 0, 3 + 2 * count, unit, function, 2 * count)
            reply += self._now()[2 * address : 2 * (address + count)]
            if self._served.delay_s:
                self._loop.call_later(self._served.delay_s, self._transport.write, reply)
            else:
                self._transport.write(reply)

    def _now(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            # Half of the registers count, the others are gauges that wander.
            numbers = [
                (second + i) & 0xFFFF if i % 2 else 2300 + second * 7919 * (i + 1) % 50
                for i in range(_REGISTERS)
            ]
            self._registers = struct.pack(f">{_REGISTERS}H", *numbers)
            self._second = second
        return self._registers


async def _confirm(broker_port: int) -> None:
    through: dict[tuple[str, str], int] = {}
    commit_no = 0
    async with aiomqtt.Client("127.0.0.1", broker_port) as client:
        await client.subscribe(topic("+", "data"), qos=1)
        answered_s = 0.0
        async for message in client.messages:
            data = decode_data(message.payload)
            key = (data.agent, data.stream)
            through[key] = max(through.get(key, 0), data.seq)
            if time.monotonic() - answered_s < _RECEIPT_EVERY_S:
                continue
            answered_s = time.monotonic()
            commit_no += 1
            receipt = Receipt(
                v=WIRE_VERSION, agent=data.agent, db="bench", commit_no=commit_no,
                streams=[StreamReceipt(stream=data.stream, through=through[key])],
            )  # fmt: skip
            await client.publish(topic(data.agent, "receipt"), encode(receipt), qos=1)


if __name__ == "__main__":
    asyncio.run(msgspec.json.decode(sys.argv[1], type=FarSide).serve())
