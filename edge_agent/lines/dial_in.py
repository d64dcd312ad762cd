"""Lines of 4G DTUs that dial in: the DTU connects, says who it is, and then passes bytes through.

One listener serves a port; the registration bytes tell which line a connection belongs to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

__all__ = ["DialInLink", "DialInListener"]

_log = structlog.get_logger("edge")
_REGISTER_WITHIN_S: Final = 60.0
_MAX_STRANGERS: Final = 100


class DialInLink:
    """The line's end of a DTU; open while the DTU is connected."""

    def __init__(
        self, listener: DialInListener, registration: bytes, heartbeat: bytes | None
    ) -> None:
        self.where = f"DTU {_readable(registration)} at {listener.where}"
        self.receive: Callable[[bytes], None] = lambda _: None
        self.lost: Callable[[str], None] = lambda _: None
        self.registration = registration
        # DTUs repeat their registration too.
        self.noise = (registration,) if heartbeat is None else (heartbeat, registration)
        self._listener = listener
        self._connection: _DtuConnection | None = None
        listener.add(self)

    @property
    def is_open(self) -> bool:
        """Whether the DTU is connected."""
        return self._connection is not None

    async def open(self) -> None:
        """Listen; raises ConnectionError until the DTU has dialled in."""
        await self._listener.start()
        if self._connection is None:
            raise ConnectionError("the DTU has not dialled in")

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self._connection is None or self._connection.transport is None:
            raise ConnectionError("the DTU is not connected")
        self._connection.transport.write(data)

    def forget(self) -> None:
        """Do nothing: a DTU that is sent away may need a minute to dial in again."""

    def close(self) -> None:
        """Leave the listener; the last link closes it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.give_up()
        self._listener.remove(self)

    def attach(self, connection: _DtuConnection) -> None:
        """Use a newer connection of the same DTU instead of the older one."""
        older, self._connection = self._connection, connection
        if older is not None:
            older.give_up()
            self.lost("the DTU dialled in anew")

    def detach(self, connection: _DtuConnection, reason: str) -> None:
        """Told that a connection ended."""
        if connection is self._connection:
            self._connection = None
            self.lost(reason)

    def hear(self, data: bytes) -> None:
        """Pass on what came, except a piece that is nothing but heartbeats."""
        for noise in self.noise:
            if len(data) % len(noise) == 0 and data == noise * (len(data) // len(noise)):
                return
        self.receive(data)


class DialInListener:
    """One TCP port at which DTUs dial in."""

    def __init__(self, host: str, port: int) -> None:
        self.where = f"{host}:{port}"
        self._host = host
        self._port = port
        self._links: list[DialInLink] = []
        self._server: asyncio.Server | None = None
        self._connections: set[_DtuConnection] = set()
        self._strangers: set[str] = set()
        self._starting = asyncio.Lock()
        self.refused = 0

    @property
    def bound_port(self) -> int:
        """The port that is listened on; differs from the one asked for if that was 0."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def add(self, link: DialInLink) -> None:
        """Serve one more DTU."""
        self._links.append(link)
        # The longest first, so that DTU 12 is not taken for DTU 1.
        self._links.sort(key=lambda known: -len(known.registration))

    def remove(self, link: DialInLink) -> None:
        """Serve one DTU less."""
        if link in self._links:
            self._links.remove(link)
        if not self._links:
            self._stop()

    async def start(self) -> None:
        """Listen, if not yet; OSError if the port is taken."""
        async with self._starting:
            if self._server is None:
                loop = asyncio.get_running_loop()
                self._server = await loop.create_server(
                    lambda: _DtuConnection(self), self._host, self._port
                )

    def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.give_up()

    def came(self, connection: _DtuConnection) -> None:
        """Told that someone connected."""
        self._connections.add(connection)

    def went(self, connection: _DtuConnection) -> None:
        """Told that someone's connection ended."""
        self._connections.discard(connection)

    def whose(self, said: bytes) -> tuple[DialInLink | None, bytes] | None:
        """Return whose DTU began with these bytes and what follows; None if more must come.

        With no DTU in the answer it is a stranger.
        """
        for link in self._links:
            heard = said
            heartbeat = link.noise[0]
            while heartbeat != link.registration and heard.startswith(heartbeat):
                heard = heard[len(heartbeat) :]
            if heard.startswith(link.registration):
                return link, heard[len(link.registration) :]
        if any(n.startswith(said[: len(n)]) for link in self._links for n in link.noise):
            return None
        return None, said

    def refuse(self, said: bytes, peer: str) -> None:
        """Say once who was refused; count always."""
        self.refused += 1
        shown = _readable(said[:64])
        if shown not in self._strangers and len(self._strangers) < _MAX_STRANGERS:
            self._strangers.add(shown)
            _log.warning(
                "unknown DTU refused", registration=shown, peer=peer, address=self.where,
                remedy="add a line of kind listen with this registration",
            )  # fmt: skip


class _DtuConnection(asyncio.Protocol):
    """Someone who dialled in."""

    def __init__(self, listener: DialInListener) -> None:
        self._listener = listener
        self._link: DialInLink | None = None
        self._said = b""
        self._patience: asyncio.TimerHandle | None = None
        self._given_up = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._listener.came(self)
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(_REGISTER_WITHIN_S, self._refuse)

    def data_received(self, data: bytes) -> None:
        if self._given_up:
            return
        if self._link is not None:
            self._link.hear(data)
            return
        self._said += data
        answer = self._listener.whose(self._said)
        if answer is None:
            return
        link, rest = answer
        if link is None:
            self._refuse()
            return
        if self._patience is not None:
            self._patience.cancel()
        self._link, self._said = link, b""
        link.attach(self)
        if rest:
            link.hear(rest)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._listener.went(self)
        if self._link is not None and not self._given_up:
            self._link.detach(self, str(exc) if exc else "the DTU closed the connection")

    def _refuse(self) -> None:
        assert self.transport is not None
        peer = self.transport.get_extra_info("peername")
        self._listener.refuse(self._said, peer[0] if peer else "?")
        self.give_up()

    def give_up(self) -> None:
        """Close, and hear nothing more."""
        self._given_up = True
        if self.transport is not None:
            self.transport.abort()


def _readable(data: bytes) -> str:
    text = data.decode("ascii", "replace")
    return text if text.isascii() and text.isprintable() and text else "0x" + data.hex()
