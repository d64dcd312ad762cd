"""Faults on a script: what a simulated unit does wrong, and when."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = ["Fault"]

_Seconds = Annotated[float, Meta(ge=0)]
_Address = Annotated[int, Meta(ge=0, le=65535)]


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One thing that goes wrong, from .. to seconds after the simulator began.

    With ``every_s`` it comes and goes: it lasts ``on_s`` of each ``every_s`` [s]. ``first`` and
    ``last`` limit an exception to requests that touch these addresses, ``code`` is the exception's.
    A ``late_reply`` goes out before the reply to the next request; a ``delay`` lasts ``delay_s``.
    ``value`` is what a glitch shows while it lasts, ``register`` the value that misbehaves, as in
    ``active_energy.total``; left out, all of them. A counter that rolls over or is reset stands at
    zero at ``from_s``.
    """

    kind: Literal[
        "exception", "silence", "delay", "late_reply", "wrong_length", "wrong_unit",
        "wrong_transaction", "bad_crc", "garbage", "rollover", "reset", "glitch", "frozen",
    ]  # fmt: skip
    from_s: _Seconds = 0.0
    to_s: Annotated[float, Meta(gt=0)] | None = None
    every_s: Annotated[float, Meta(gt=0)] | None = None
    on_s: Annotated[float, Meta(gt=0)] | None = None
    code: Annotated[int, Meta(ge=1, le=255)] = 2
    delay_s: _Seconds = 1.0
    first: _Address = 0
    last: _Address = 65535
    value: int = 0
    register: str | None = None

    def __post_init__(self) -> None:
        if (self.every_s is None) != (self.on_s is None):
            raise ValueError("`every_s` and `on_s` go together")
        if self.to_s is not None and self.to_s <= self.from_s:
            raise ValueError("`to_s` is not after `from_s`")

    def window(self, elapsed_s: float) -> int | None:
        """Return which time it is that the fault holds, counted from 0; None if it does not."""
        if elapsed_s < self.from_s or (self.to_s is not None and elapsed_s >= self.to_s):
            return None
        if self.every_s is None or self.on_s is None:
            return 0
        number, into_s = divmod(elapsed_s - self.from_s, self.every_s)
        return int(number) if into_s < self.on_s else None

    def touches(self, address: int, count: int) -> bool:
        """Whether a request reads one of its addresses."""
        return address <= self.last and address + count > self.first
