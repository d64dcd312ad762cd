"""Modbus frames for reading, and for nothing else: functions 3 and 4 over TCP and RTU.

A request is its bytes; a reply is compared with the bytes it must begin with, so a healthy one
costs one comparison. No function that writes can be built here.
"""

from __future__ import annotations

import struct
from itertools import count
from types import MappingProxyType
from typing import Final

from edge_agent.lines.exchange import BadFrameError, ExceptionReplyError, RegisterBlock
from edge_agent.lines.noise import without_noise

__all__ = ["READ_FUNCTIONS", "RtuExchange", "TcpExchange", "crc16", "request_pdu"]

# Modbus Application Protocol 1.1b3, sections 6.3 and 6.4.
READ_FUNCTIONS: Final = MappingProxyType({"holding": 3, "input": 4})
_MAX_REGISTERS: Final = 125
_EXCEPTION_BIT: Final = 0x80
_MBAP_BYTES: Final = 6  # up to and without the unit
_MAX_LENGTH: Final = 254  # of the length field: unit, function and 252 bytes
# A reply has at most 256 bytes; what is older than a few of them is noise.
_MAX_NOISE: Final = 1024
_LEAST_REPLY: Final = 5  # of RTU: a refusal


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_CRC_TABLE: Final = _crc_table()


def crc16(data: bytes) -> int:
    """Return the CRC of a frame; 0 for one that ends with its own, low byte first.

    References
    ----------
    MODBUS over Serial Line 1.02, section 6.2.2.
    """
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


def request_pdu(block: RegisterBlock) -> bytes:
    """Return the request for a block: function, address, count.

    Raises
    ------
    ValueError
        If it is not a read of 1 to 125 registers within the 65,536 addresses.
    """
    function = READ_FUNCTIONS.get(block.function)
    if function is None:
        raise ValueError(f"{block.function!r} is not a function that reads registers")
    if not 1 <= block.count <= _MAX_REGISTERS or not 0 <= block.address <= 0x10000 - block.count:
        raise ValueError(f"{block.count} registers from {block.address:#06x} cannot be read")
    return struct.pack(">BHH", function, block.address, block.count)


class TcpExchange:
    """A request over Modbus TCP; the transaction id tells its reply from stale ones."""

    __slots__ = ("_begins", "_head", "_tail", "_transactions", "reply_bytes", "rest", "stale")
    names_block = True

    def __init__(self, unit: int, block: RegisterBlock, transactions: count[int]) -> None:
        pdu = request_pdu(block)
        length = 2 * block.count
        self._transactions = transactions
        self._tail = struct.pack(">HHB", 0, 1 + len(pdu), unit) + pdu
        self._head = struct.pack(">HHBBB", 0, 3 + length, unit, pdu[0], length)
        self._begins = b""
        self.reply_bytes = _MBAP_BYTES + 3 + length
        self.stale = 0
        self.rest = b""

    def begin(self) -> bytes:
        """Return the request's bytes and expect its reply."""
        transaction = (next(self._transactions) & 0xFFFF).to_bytes(2, "big")
        self._begins = transaction + self._head
        self.stale = 0
        self.rest = b""
        return transaction + self._tail

    def take(self, data: bytes) -> bytes | None:
        """Return the registers' bytes if the reply is whole; see `Exchange`."""
        if self.rest:
            data = self.rest + data
        if data.startswith(self._begins) and len(data) == self.reply_bytes:
            self.rest = b""
            return data[9:]
        return self._take_slowly(data)

    def _take_slowly(self, data: bytes) -> bytes | None:
        while len(data) >= _MBAP_BYTES:
            protocol, length = struct.unpack_from(">HH", data, 2)
            if protocol != 0 or not 3 <= length <= _MAX_LENGTH:
                raise BadFrameError(f"no Modbus TCP frame begins with {data[:8].hex(' ')}")
            end = _MBAP_BYTES + length
            if len(data) < end:
                break
            frame, data = data[:end], data[end:]
            if frame[:2] == self._begins[:2]:
                self.rest = b""
                return self._reply(frame)
            self.stale += 1
        self.rest = data
        return None

    def _reply(self, frame: bytes) -> bytes:
        if frame.startswith(self._begins) and len(frame) == self.reply_bytes:
            return frame[9:]
        unit, function = self._begins[6], self._begins[7]
        if frame[6] == unit and frame[7] == function | _EXCEPTION_BIT and len(frame) == 9:
            raise ExceptionReplyError(frame[8])
        raise BadFrameError(
            f"the reply is of unit {frame[6]}, function {frame[7]} and {len(frame) - 9} bytes; "
            f"asked for were unit {unit}, function {function} and {self.reply_bytes - 9} bytes"
        )

    def is_stale_reply(self, data: bytes) -> bool:
        """Whether bytes are a whole reply."""
        return len(data) >= 9 and data[2:4] == b"\0\0" and len(data) == 6 + data[4] * 256 + data[5]


class RtuExchange:
    """A request over Modbus RTU; unit, function, length and CRC tell its reply from others.

    Parameters
    ----------
    unit, block
        What is asked for.
    noise
        What a DTU puts between the bytes of a reply, at any place: its heartbeat.
    """

    __slots__ = ("_head", "_noise", "_refusal", "_request", "reply_bytes", "rest", "stale")
    names_block = False

    def __init__(self, unit: int, block: RegisterBlock, noise: tuple[bytes, ...] = ()) -> None:
        pdu = request_pdu(block)
        frame = bytes([unit]) + pdu
        self._request = frame + crc16(frame).to_bytes(2, "little")
        self._head = bytes([unit, pdu[0], 2 * block.count])
        self._refusal = bytes([unit, pdu[0] | _EXCEPTION_BIT])
        self._noise = noise
        self.reply_bytes = 5 + 2 * block.count
        self.stale = 0
        self.rest = b""

    def begin(self) -> bytes:
        """Return the request's bytes and expect its reply."""
        self.stale = 0
        self.rest = b""
        return self._request

    def take(self, data: bytes) -> bytes | None:
        """Return the registers' bytes if the reply is whole; see `Exchange`.

        The reply may stand anywhere: an adapter's echo or the noise of a driver that switches
        direction comes before it, a stale reply too.
        """
        if self.rest:
            data = self.rest + data
        end = self.reply_bytes
        if len(data) == end and data.startswith(self._head) and crc16(data) == 0:
            self.rest = b""
            return data[3 : end - 2]
        for stream in (data, *without_noise(data, self._noise, _LEAST_REPLY)):
            found = self._find(stream)
            if found is not None:
                self.rest = b""
                return found
        self.rest = data[-_MAX_NOISE:]
        return None

    def _find(self, data: bytes) -> bytes | None:
        for head, length in ((self._head, self.reply_bytes), (self._refusal, _LEAST_REPLY)):
            start = data.find(head)
            while 0 <= start <= len(data) - length:
                frame = data[start : start + length]
                if crc16(frame) == 0:
                    if start and self.is_stale_reply(data[:start]):
                        self.stale += 1
                    if head is self._refusal:
                        raise ExceptionReplyError(frame[2])
                    return frame[3:-2]
                start = data.find(head, start + 1)
        return None

    def is_stale_reply(self, data: bytes) -> bool:
        """Whether bytes are a whole frame of some unit."""
        return len(data) >= 5 and crc16(data) == 0
