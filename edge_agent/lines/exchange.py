"""What a line needs of a protocol: one request, and what counts as its reply."""

from __future__ import annotations

from typing import Protocol, TypeAlias

__all__ = [
    "BadFrameError",
    "ExceptionReplyError",
    "Exchange",
    "MeterRefusalError",
    "RegisterBlock",
    "UnitAddress",
]

# A Modbus unit's number, or the digits of a DL/T 645 or CJ/T 188 meter's address.
UnitAddress: TypeAlias = int | str


class RegisterBlock(Protocol):
    """What one request reads: ``count`` registers from ``address``, or a data identifier."""

    @property
    def function(self) -> str:
        """The kind of registers, "holding" or "input"; else the meter's protocol."""

    @property
    def address(self) -> int:
        """The first register, from zero; else the data identifier."""

    @property
    def count(self) -> int:
        """How many [registers]; else how long the values are [bytes]."""


class ExceptionReplyError(Exception):
    """The unit answered that it will not; says with which code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class MeterRefusalError(ExceptionReplyError):
    """A meter's abnormal reply; says with which error byte.

    ``absent`` is true if the meter says that it does not have what was asked for.
    """

    def __init__(self, code: int, *, absent: bool) -> None:
        super().__init__(code)
        self.absent = absent


class BadFrameError(Exception):
    """What came cannot be the reply, nor can it be waited for any longer."""


class Exchange(Protocol):
    """A request of one unit for one block; used again each time the block is read.

    Attributes
    ----------
    stale
        Replies to other requests that were refused since `begin`.
    rest
        Bytes that came and do not make a reply yet.
    reply_bytes
        Length of the reply that is expected [bytes].
    names_block
        Whether a reply says which block it is of; else a late one may look like the next one's.
    """

    stale: int
    rest: bytes
    reply_bytes: int

    @property
    def names_block(self) -> bool:
        """See above."""

    def begin(self) -> bytes:
        """Return the request's bytes and expect its reply."""

    def take(self, data: bytes) -> bytes | None:
        """Return the values' bytes if the reply is whole; None if more must come.

        Raises
        ------
        ExceptionReplyError
            If the unit refuses; a `MeterRefusalError` where the protocol is not Modbus.
        BadFrameError
            If what came is no reply and the stream is out of step.
        """

    def is_stale_reply(self, data: bytes) -> bool:
        """Whether bytes are a whole reply of the protocol, to some other request."""
