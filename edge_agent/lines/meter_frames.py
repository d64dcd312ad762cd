"""Frames of DL/T 645-2007 and CJ/T 188 for reading one data identifier, and for nothing else.

Both wake the meter with 0xFE, begin with 0x68 and end with a sum and 0x16; the reply repeats the
meter's address and the data identifier, so a reply to another request is never taken for this one.
No control code but that of reading can be built here.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from edge_agent.lines.exchange import (
    BadFrameError,
    MeterRefusalError,
    RegisterBlock,
    UnitAddress,
)
from edge_agent.lines.noise import without_noise

__all__ = ["READ_CONTROLS", "MeterExchange", "meter_exchange"]

READ_CONTROLS: Final = MappingProxyType({"dlt645": 0x11, "cjt188": 0x01})
_START, _END, _WAKE = 0x68, 0x16, b"\xfe"
_WAKE_BYTES: Final = 4
# Bits of the control code of a reply.
_REPLY, _REFUSED = 0x80, 0x40
_DLT645_GOES_ON: Final = 0x20  # of CJ/T 188 the bit belongs to the maker's own codes
_DLT645_SHIFT: Final = 0x33  # added to every byte of the data field
_DLT645_NO_SUCH_DATA: Final = 0x02  # a bit of the error byte
_CJT188_SERIAL: Final = 0x00  # meters should repeat it, but some say what they like
# The longest that CJ/T 188 knows: what a heat meter says of 0x901F.
_CJT188_MOST_BYTES: Final = 46
# A frame has at most 269 bytes; what is older than a few of them is noise.
_MAX_NOISE: Final = 1100


class MeterExchange:
    """A request for one data identifier of one meter; see `Exchange`.

    Parameters
    ----------
    start
        How every frame to and from this meter begins, up to its address.
    control
        The control code of reading.
    asked
        What the request's data field holds, and the reply's begins with as far as ``same``.
    same
        How much of ``asked`` the reply repeats [bytes]; the values follow after all of it.
    shift
        What is added to each byte of a data field.
    error_at
        Where the error byte stands in the data field of a refusal.
    expected
        Length of the values [bytes].
    noise
        What a DTU puts between the bytes of a reply.
    """

    __slots__ = (
        "_asked", "_control", "_error_at", "_goes_on", "_noise", "_request", "_same", "_shift",
        "_start", "reply_bytes", "rest", "stale",
    )  # fmt: skip
    names_block = True

    def __init__(
        self,
        start: bytes,
        control: int,
        asked: bytes,
        same: int,
        *,
        shift: int,
        error_at: int,
        expected: int,
        noise: tuple[bytes, ...],
    ) -> None:
        field = bytes(byte + shift & 0xFF for byte in asked)
        frame = start + bytes([control, len(field)]) + field
        self._request = _WAKE * _WAKE_BYTES + frame + bytes([sum(frame) & 0xFF, _END])
        self._start = start
        self._control = control
        self._asked = asked
        self._same = asked[:same]
        self._shift = shift
        self._goes_on = _DLT645_GOES_ON if shift else 0
        self._error_at = error_at
        self._noise = noise
        self.reply_bytes = len(self._request) + expected
        self.stale = 0
        self.rest = b""

    def begin(self) -> bytes:
        """Return the request's bytes and expect its reply."""
        self.stale = 0
        self.rest = b""
        return self._request

    def take(self, data: bytes) -> bytes | None:
        """Return the values' bytes, the low one first, if the reply is whole; see `Exchange`.

        Before it may stand any number of 0xFE, an adapter's echo, or another reply.
        """
        if self.rest:
            data = self.rest + data
        for stream in (data, *without_noise(data, self._noise, len(self._start) + 4)):
            found = self._find(stream)
            if found is not None:
                self.rest = b""
                return found
        self.rest = data[-_MAX_NOISE:]
        return None

    def _find(self, data: bytes) -> bytes | None:
        start = data.find(self._start)
        while start >= 0:
            field = self._field(data, start)
            if field is not None:
                control = data[start + len(self._start)]
                if control == self._control | _REPLY | _REFUSED:
                    raise self._refusal(field)
                answer = control & ~self._goes_on == self._control | _REPLY
                if answer and field.startswith(self._same):
                    if control & self._goes_on:
                        raise BadFrameError(
                            "the reply goes on in a second frame, which is not read: ask for "
                            "fewer values at once"
                        )
                    if start and self.is_stale_reply(data[:start]):
                        self.stale += 1
                    return field[len(self._asked) :]
            start = data.find(self._start, start + 1)
        return None

    def _field(self, data: bytes, start: int) -> bytes | None:
        """Return the data field of the frame that begins there, if it is whole and sound."""
        at = start + len(self._start) + 2
        if len(data) < at:
            return None
        end = at + data[at - 1]
        if len(data) < end + 2 or data[end + 1] != _END or sum(data[start:end]) & 0xFF != data[end]:
            return None
        return bytes(byte - self._shift & 0xFF for byte in data[at:end])

    def _refusal(self, field: bytes) -> MeterRefusalError:
        error = field[self._error_at] if len(field) > self._error_at else 0
        absent = self._shift == _DLT645_SHIFT and bool(error & _DLT645_NO_SUCH_DATA)
        return MeterRefusalError(error, absent=absent)

    def is_stale_reply(self, data: bytes) -> bool:
        """Whether bytes are a whole reply of some meter of this protocol."""
        frame = data.lstrip(_WAKE)
        at = len(self._start)
        if len(frame) < at + 4 or frame[0] != _START or not frame[at] & _REPLY:
            return False
        return len(frame) == at + 4 + frame[at + 1] and self._field(frame, 0) is not None


def meter_exchange(
    unit: UnitAddress, block: RegisterBlock, noise: tuple[bytes, ...] = ()
) -> MeterExchange:
    """Return the exchange for a data identifier of a meter.

    Parameters
    ----------
    unit
        The meter's address as it is written on it: 12 decimal digits for DL/T 645, 14 hexadecimal
        ones for CJ/T 188.
    block
        Its ``address`` is the data identifier; for CJ/T 188 with the meter's type in front.
    noise
        What a DTU puts between the bytes of a reply.

    Raises
    ------
    ValueError
        If it is not a read of one data identifier.

    References
    ----------
    DL/T 645-2007, sections 5 and 7; CJ/T 188-2004, section 7.
    """
    control = READ_CONTROLS.get(block.function)
    digits = str(unit)
    try:
        if control is None or not 0 <= block.address <= 0xFFFF_FFFF:
            raise ValueError
        if block.function == "dlt645":
            if len(digits) != 12 or not digits.isdecimal():
                raise ValueError
            identifier = block.address.to_bytes(4, "little")
            return MeterExchange(
                bytes([_START, *reversed(bytes.fromhex(digits)), _START]), control,
                identifier, len(identifier),
                shift=_DLT645_SHIFT, error_at=0, expected=block.count, noise=noise,
            )  # fmt: skip
        meter_type, identifier = block.address >> 16, block.address.to_bytes(4, "little")[:2]
        if len(digits) != 14 or meter_type > 0xFF:
            raise ValueError
        return MeterExchange(
            bytes([_START, meter_type, *reversed(bytes.fromhex(digits))]), control,
            identifier + bytes([_CJT188_SERIAL]), len(identifier),
            shift=0, error_at=1, expected=max(block.count, _CJT188_MOST_BYTES), noise=noise,
        )  # fmt: skip
    except ValueError:
        raise ValueError(
            f"{block.function} {block.address:#x} of meter {digits!r} cannot be read"
        ) from None
