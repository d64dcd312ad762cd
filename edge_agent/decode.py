"""Registers to the number they hold, and back: lossless, so that a wrong order can be inverted."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from enpilot.wire import Quality
from enpilot.wire.messages import RawType

if TYPE_CHECKING:  # profiles know how wide a type is, from here
    from edge_agent.profile import ProfileRegister

__all__ = ["WIDTH", "compile_decoder", "decode", "encode"]

_MAX_INTEGER = 2**63 - 1

WIDTH: MappingProxyType[str, int] = MappingProxyType(
    {"int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "float32": 2, "int64": 4, "uint64": 4,
     "float64": 4}
)  # fmt: skip
_FORMAT = {
    "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "float32": ">f",
    "int64": ">q", "uint64": ">Q", "float64": ">d",
}  # fmt: skip


def decode(
    registers: Sequence[int], raw_type: RawType, word_order: Literal["big", "little"]
) -> int | float:
    """Return the number in some registers.

    Parameters
    ----------
    registers
        As many 16-bit words as the type takes, in the order of their addresses.
    raw_type
        How the bits are meant; a signed type stays signed under every order.
    word_order
        "big": the first register holds the high word.

    Raises
    ------
    ValueError
        If the number of registers is wrong.
    """
    if len(registers) != WIDTH[raw_type]:
        raise ValueError(f"{raw_type} takes {WIDTH[raw_type]} registers, not {len(registers)}")
    words = registers if word_order == "big" else registers[::-1]
    number: int | float = struct.unpack(_FORMAT[raw_type], struct.pack(f">{len(words)}H", *words))[
        0
    ]
    return number


def encode(number: float, raw_type: RawType, word_order: Literal["big", "little"]) -> list[int]:
    """Return the registers that hold a number; the inverse of `decode`.

    Raises
    ------
    struct.error
        If the number does not fit the type.
    """
    value = number if raw_type.startswith("float") else int(number)
    words = list(struct.unpack(f">{WIDTH[raw_type]}H", struct.pack(_FORMAT[raw_type], value)))
    return words if word_order == "big" else words[::-1]


def compile_decoder(
    registers: Sequence[ProfileRegister], address: int
) -> Callable[[bytes], tuple[list[int | float | None], list[int]]]:
    """Return what turns the bytes of a block read into numbers and their qualities.

    Parameters
    ----------
    registers
        The values of the block; the results are in their order.
    address
        Of the block's first register.
    """

    def run(data: bytes) -> tuple[list[int | float | None], list[int]]:
        words = struct.unpack(f">{len(data) // 2}H", data)
        values: list[int | float | None] = []
        qualities: list[int] = []
        for r in registers:
            start = r.address - address
            number = decode(words[start : start + r.width], r.type, r.word_order)
            quality = _quality(number)
            values.append(number if quality == Quality.GOOD else None)
            qualities.append(quality)
        return values, qualities

    return run


def _quality(number: float) -> Quality:
    if not math.isfinite(number):
        return Quality.NOT_FINITE
    # The database's column is signed; one such number would have its whole batch refused (D6).
    if number > _MAX_INTEGER and isinstance(number, int):
        return Quality.OVERFLOW
    return Quality.GOOD
