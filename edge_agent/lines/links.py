"""What moves the bytes of a line: a TCP connection, or a serial port.

A link knows no protocol. It hands over what comes, says when it is lost, and opens again when it is
asked to.
"""

from __future__ import annotations

import asyncio
import os
import socket
import termios
from collections.abc import Callable
from types import MappingProxyType
from typing import Final, Literal, Protocol

__all__ = ["Link", "SerialLink", "TcpLink"]

_RATES: Final = MappingProxyType(
    {
        rate: getattr(termios, f"B{rate}")
        for rate in (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
    }
)
_READ_BYTES: Final = 4096


def _ignore(_: bytes) -> None:
    pass


class Link(Protocol):
    """Moves bytes both ways.

    Attributes
    ----------
    where
        Address for people.
    receive
        Called with what came.
    lost
        Called with the reason when an open link breaks.
    """

    where: str
    receive: Callable[[bytes], None]
    lost: Callable[[str], None]

    @property
    def is_open(self) -> bool:
        """Whether bytes can be sent."""

    async def open(self) -> None:
        """Open it, or raise OSError."""

    def write(self, data: bytes) -> None:
        """Send bytes; OSError if it cannot."""

    def forget(self) -> None:
        """Make sure that what was asked before is not heard any more, as far as the link can."""

    def close(self) -> None:
        """Close it; `open` opens it again."""


class _Connection(asyncio.Protocol):
    """One TCP connection of a link; once it is given up, what comes through it is not heard."""

    def __init__(self, link: TcpLink) -> None:
        self._link: TcpLink | None = link
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self._link is not None:
            self._link.receive(data)

    def connection_lost(self, exc: Exception | None) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.connection_ended(str(exc) if exc else "the other side closed the connection")

    def give_up(self) -> None:
        self._link = None
        if self.transport is not None:
            self.transport.abort()


class TcpLink:
    """A TCP connection to a gateway or a serial server."""

    def __init__(self, host: str, port: int) -> None:
        self.where = f"{host}:{port}"
        self.receive: Callable[[bytes], None] = _ignore
        self.lost: Callable[[str], None] = lambda _: None
        self._host = host
        self._port = port
        self._connection: _Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether bytes can be sent."""
        return self._connection is not None

    async def open(self) -> None:
        """Connect."""
        loop = asyncio.get_running_loop()
        transport, connection = await loop.create_connection(
            lambda: _Connection(self), self._host, self._port
        )
        sock = transport.get_extra_info("socket")
        if sock is not None:
            # A gateway that lost its power leaves a connection that only probing ends.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._connection = connection

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self._connection is None or self._connection.transport is None:
            raise ConnectionError("not connected")
        self._connection.transport.write(data)

    def forget(self) -> None:
        """Close: the reply that may come later finds no listener."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.give_up()

    def connection_ended(self, reason: str) -> None:
        """Told by the connection."""
        self._connection = None
        self.lost(reason)


class SerialLink:
    """A serial port of this machine, raw, eight data bits; POSIX only, by the standard library.

    Parameters
    ----------
    path
        The device, such as ``/dev/ttyUSB0`` or a stable name under ``/dev/serial/by-id``.
    baud
        Bits a second, one of the standard rates from 300 to 115200.
    parity, stop_bits
        As the units are set.
    """

    def __init__(
        self, path: str, baud: int, parity: Literal["none", "even", "odd"], stop_bits: int
    ) -> None:
        self.where = path
        self.receive: Callable[[bytes], None] = _ignore
        self.lost: Callable[[str], None] = lambda _: None
        self._rate: int = _RATES[baud]
        self._parity = parity
        self._stop_bits = stop_bits
        self._fd: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_open(self) -> bool:
        """Whether bytes can be sent."""
        return self._fd is not None

    async def open(self) -> None:
        """Open the port and set it."""
        fd = os.open(self.where, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            self._set(fd)
        except termios.error as error:
            os.close(fd)
            raise OSError(*error.args) from error
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(fd, self._readable)

    def _set(self, fd: int) -> None:
        cflag = termios.CS8 | termios.CREAD | termios.CLOCAL
        if self._parity != "none":
            cflag |= termios.PARENB | (termios.PARODD if self._parity == "odd" else 0)
        if self._stop_bits == 2:
            cflag |= termios.CSTOPB
        characters = termios.tcgetattr(fd)[6]
        characters[termios.VMIN], characters[termios.VTIME] = 0, 0
        termios.tcsetattr(fd, termios.TCSANOW, [0, 0, cflag, 0, self._rate, self._rate, characters])
        termios.tcflush(fd, termios.TCIOFLUSH)

    def _readable(self) -> None:
        assert self._fd is not None
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:  # an adapter that was pulled out
            self._end(error.strerror or str(error))
            return
        if data:
            self.receive(data)
        else:
            self._end("the port has gone")

    def _end(self, reason: str) -> None:
        self.close()
        self.lost(reason)

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self._fd is None:
            raise ConnectionError("not open")
        if os.write(self._fd, data) != len(data):  # the driver holds more than any frame
            raise OSError("the port takes no more bytes")

    def forget(self) -> None:
        """Throw away what has come and was not read."""
        if self._fd is not None:
            termios.tcflush(self._fd, termios.TCIFLUSH)

    def close(self) -> None:
        """Close the port."""
        fd, self._fd = self._fd, None
        if fd is not None:
            assert self._loop is not None
            self._loop.remove_reader(fd)
            os.close(fd)
