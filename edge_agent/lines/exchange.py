"""What a line needs of a protocol: one request, and what counts as its reply."""

from __future__ import annotations

from typing import Protocol

__all__ = ["BadFrameError", "ExceptionReplyError", "Exchange", "RegisterBlock"]


class RegisterBlock(Protocol):
    """``count`` registers from ``address`` that one request reads."""

    @property
    def function(self) -> str:
        """The kind of registers."""

    @property
    def address(self) -> int:
        """The first one, from zero."""

    @property
    def count(self) -> int:
        """How many [registers]."""


class ExceptionReplyError(Exception):
    """The unit answered that it will not; says with which code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


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
    """

    stale: int
    rest: bytes
    reply_bytes: int

    def begin(self) -> bytes:
        """Return the request's bytes and expect its reply."""

    def take(self, data: bytes) -> bytes | None:
        """Return the registers' bytes if the reply is whole; None if more must come.

        Raises
        ------
        ExceptionReplyError
            If the unit refuses.
        BadFrameError
            If what came is no reply and the stream is out of step.
        """

    def is_stale_reply(self, data: bytes) -> bool:
        """Whether bytes are a whole reply of the protocol, to some other request."""
