"""How simulated units are reached: a TCP port, a pseudo-terminal, or a DTU that dials in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from edge_agent.simulator.responder import Responder
from edge_agent.simulator.scenario import DialIn

__all__ = ["dial_in", "serve_serial", "serve_tcp"]


class _Talk:
    """Requests in, replies out, each after its delay."""

    def __init__(self, responder: Responder, write: Callable[[bytes], None]) -> None:
        self._responder = responder
        self._write = write
        self._rest = b""

    def hear(self, data: bytes) -> None:
        requests, self._rest = self._responder.split(self._rest + data)
        loop = asyncio.get_running_loop()
        for request in requests:
            for delay_s, frame in self._responder.answer(request):
                if delay_s:
                    loop.call_later(delay_s, self._write, frame)
                else:
                    self._write(frame)


class _TcpTalk(asyncio.Protocol):
    def __init__(self, responder: Responder, open_ones: set[asyncio.Transport]) -> None:
        self._responder = responder
        self._open = open_ones
        self._talk: _Talk | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open.add(transport)
        self._talk = _Talk(self._responder, transport.write)

    def data_received(self, data: bytes) -> None:
        assert self._talk is not None
        self._talk.hear(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._transport is not None:
            self._open.discard(self._transport)


@contextlib.asynccontextmanager
async def serve_tcp(responder: Responder, host: str, port: int) -> AsyncIterator[int]:
    """Answer on a TCP port until left; gives the port."""
    loop = asyncio.get_running_loop()
    open_ones: set[asyncio.Transport] = set()
    server = await loop.create_server(lambda: _TcpTalk(responder, open_ones), host, port)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for transport in list(open_ones):
            transport.abort()
        await server.wait_closed()


@contextlib.asynccontextmanager
async def serve_serial(responder: Responder, name: Path | None = None) -> AsyncIterator[str]:
    """Answer on a pseudo-terminal until left; gives the path that looks like a serial port.

    Parameters
    ----------
    responder
        Answers, in RTU frames.
    name
        A symbolic link to make, so that the path is the same each time.
    """
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    path = os.ttyname(theirs)
    talk = _Talk(responder, lambda frame: _write(ours, frame))
    loop = asyncio.get_running_loop()

    def readable() -> None:
        with contextlib.suppress(OSError):
            talk.hear(os.read(ours, 4096))

    loop.add_reader(ours, readable)
    _name(name, path)
    try:
        yield path if name is None else str(name)
    finally:
        loop.remove_reader(ours)
        os.close(ours)
        os.close(theirs)
        _name(name, None)


def _name(name: Path | None, path: str | None) -> None:
    if name is not None:
        name.unlink(missing_ok=True)
        if path is not None:
            name.symlink_to(path)


def _write(fd: int, frame: bytes) -> None:
    with contextlib.suppress(OSError):  # nobody reads, or a late reply after the end
        os.write(fd, frame)


async def dial_in(responder: Responder, host: str, port: int, dtu: DialIn) -> None:
    """Dial in, register and answer, again and again until cancelled."""
    while True:
        with contextlib.suppress(OSError):
            await _one_call(responder, host, port, dtu)
        await asyncio.sleep(dtu.redial_s)


async def _one_call(responder: Responder, host: str, port: int, dtu: DialIn) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    def say(frame: bytes) -> None:
        size = dtu.split_bytes or len(frame)
        for start in range(0, len(frame), size):
            pieces.put_nowait((loop.time() + dtu.latency_s, frame[start : start + size]))

    async def send() -> None:
        while True:
            due_s, piece = await pieces.get()
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            writer.write(piece)
            await writer.drain()
            if dtu.split_bytes:
                await asyncio.sleep(0.005)  # so that the pieces travel apart

    async def beat() -> None:
        while dtu.heartbeat_bytes:
            await asyncio.sleep(dtu.heartbeat_s)
            writer.write(dtu.heartbeat_bytes)

    writer.write(dtu.registration_bytes)
    talk = _Talk(responder, say)
    helpers = [asyncio.create_task(send()), asyncio.create_task(beat())]
    try:
        while data := await reader.read(4096):
            talk.hear(data)
    finally:
        for task in helpers:
            task.cancel()
        writer.close()
