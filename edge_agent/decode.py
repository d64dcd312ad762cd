"""Registers to the number they hold, and back: lossless, so that a wrong order can be inverted.

`compile_decoder` is what polling runs: one unpacking for a whole block, and further steps only for
the registers that need them. What a device may send, it never raises: a value that is none comes
back as None with its `Quality`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from enpilot.wire import Quality
from enpilot.wire.messages import RawType

if TYPE_CHECKING:
    from edge_agent.profile import ProfileRegister

__all__ = [
    "RAW_TYPE",
    "WIDTH",
    "BlockDecoder",
    "Order",
    "RegisterType",
    "byte_places",
    "compile_decoder",
    "decode",
    "encode",
]

RegisterType: TypeAlias = Literal[
    "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64",
    "bcd16", "bcd32", "bcd48", "bcd64", "m10k32", "m10k48", "m10k64", "sm16", "sm32",
]  # fmt: skip
Order: TypeAlias = Literal["big", "little"]
BlockDecoder: TypeAlias = Callable[[bytes], tuple[list[int | float | None], list[int]]]
_Step: TypeAlias = Callable[[list[Any]], tuple[int | float | None, int]]

WIDTH: Final[MappingProxyType[str, int]] = MappingProxyType(
    {"int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "float32": 2, "int64": 4, "uint64": 4,
     "float64": 4, "bcd16": 1, "bcd32": 2, "bcd48": 3, "bcd64": 4, "m10k32": 2, "m10k48": 3,
     "m10k64": 4, "sm16": 1, "sm32": 2}
)  # fmt: skip
# As what a decoded number travels: the codings are undone here, the platform knows plain types.
RAW_TYPE: Final[MappingProxyType[str, RawType]] = MappingProxyType(
    {"int16": "int16", "uint16": "uint16", "int32": "int32", "uint32": "uint32",
     "int64": "int64", "uint64": "uint64", "float32": "float32", "float64": "float64",
     "bcd16": "uint16", "bcd32": "uint32", "bcd48": "uint64", "bcd64": "uint64",
     "m10k32": "int32", "m10k48": "int64", "m10k64": "int64", "sm16": "int16", "sm32": "int32"}
)  # fmt: skip
# Three registers are unpacked as four, with a zero in front.
_FORMAT: Final = {
    "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "float32": "f",
    "int64": "q", "uint64": "Q", "float64": "d",
    "bcd16": "H", "bcd32": "I", "bcd48": "Q", "bcd64": "Q",
    "m10k32": "I", "m10k48": "Q", "m10k64": "Q", "sm16": "H", "sm32": "I",
}  # fmt: skip
_PADDING: Final = 255  # no block has so many bytes, so this place of a table is always zero
_ZEROS: Final = bytes(256)
_MAX_INTEGER: Final = 2**63 - 1  # the database's column is signed
_SF_NONE: Final = -0x8000
_MAX_SF: Final = 10  # SunSpec: a scale factor is an exponent from -10 to 10
_GROUP: Final = 10_000
_GOOD: Final = int(Quality.GOOD)
_ABSENT: Final = (None, int(Quality.NOT_AVAILABLE))
_NO_NUMBER: Final = (None, int(Quality.NOT_FINITE))
_OVERFLOW: Final = (None, int(Quality.OVERFLOW))


def byte_places(registers: int, word_order: Order, byte_order: Order) -> list[int]:
    """Return where each byte of a number, highest first, stands in its registers.

    Parameters
    ----------
    registers
        How many registers the number takes.
    word_order
        "big": the first register holds the high word.
    byte_order
        "big": the first byte of each register is its high one, as Modbus wants it.
    """
    words = range(registers) if word_order == "big" else range(registers - 1, -1, -1)
    within = (0, 1) if byte_order == "big" else (1, 0)
    return [2 * word + byte for word in words for byte in within]


def decode(
    registers: Sequence[int],
    raw_type: RegisterType,
    word_order: Order,
    byte_order: Order = "big",
) -> int | float:
    """Return the number in some registers.

    Parameters
    ----------
    registers
        As many 16-bit words as the type takes, in the order of their addresses.
    raw_type
        How the bits are meant; a signed type stays signed under every order.
    word_order, byte_order
        See `byte_places`.

    Raises
    ------
    ValueError
        If the number of registers is wrong, or a BCD or mod-10k register holds no digits.
    """
    if len(registers) != WIDTH[raw_type]:
        raise ValueError(f"{raw_type} takes {WIDTH[raw_type]} registers, not {len(registers)}")
    sent = struct.pack(f">{len(registers)}H", *registers)
    ordered = bytes(sent[i] for i in byte_places(len(registers), word_order, byte_order))
    size = struct.calcsize(_FORMAT[raw_type])
    number: int | float = struct.unpack(f">{_FORMAT[raw_type]}", ordered.rjust(size, b"\0"))[0]
    uncode = _uncoder(raw_type)
    if uncode is None:
        return number
    plain = uncode(int(number))
    if plain is None:
        raise ValueError(f"no {raw_type} in {', '.join(f'{r:#06x}' for r in registers)}")
    return plain


def encode(
    number: float, raw_type: RegisterType, word_order: Order, byte_order: Order = "big"
) -> list[int]:
    """Return the registers that hold a number; the inverse of `decode`.

    Raises
    ------
    struct.error
        If the number does not fit the type.
    """
    width = WIDTH[raw_type]
    value = number if raw_type.startswith("float") else _coded(int(number), raw_type)
    ordered = struct.pack(f">{_FORMAT[raw_type]}", value)
    if any(ordered[: -2 * width]):
        raise struct.error(f"{number} does not fit {raw_type}")
    ordered = ordered[-2 * width :]
    sent = bytearray(2 * width)
    for byte, place in zip(ordered, byte_places(width, word_order, byte_order), strict=True):
        sent[place] = byte
    return list(struct.unpack(f">{width}H", sent))


def compile_decoder(registers: Sequence[ProfileRegister], address: int) -> BlockDecoder:
    """Return the function that turns the bytes of one block read into numbers and qualities.

    Parameters
    ----------
    registers
        The values in the block.
    address
        The block's first register; the registers that hold scale factors lie within the block too.

    Returns
    -------
    BlockDecoder
        Takes the block's bytes as they came on the wire, two a register, and returns values and
        qualities in the order of ``registers``: None wherever the quality is not GOOD. Never
        raises; bytes that are too few are NO_RESPONSE throughout, as for any wrong length.
    """
    count = len(registers)
    size = max((2 * (r.end - address) for r in registers), default=0)
    arrange = _arrangement(registers, address)
    steps = [(i, s) for i, r in enumerate(registers) if (s := _step(r, i, registers)) is not None]
    screens = [
        (i, markers, nan, r.type.startswith("float"))
        for i, r in enumerate(registers)
        for markers, nan in [_markers(r)]
        if markers or r.type.startswith("float")
    ]
    suspects = frozenset(m for _, markers, _, _ in screens for m in markers)
    real = any(is_float for *_, is_float in screens)
    # Bound once: looked up a million times otherwise.
    isfinite, innocent = math.isfinite, suspects.isdisjoint

    def short(data: bytes) -> tuple[list[int | float | None], list[int]]:
        del data
        return [None] * count, [int(Quality.NO_RESPONSE)] * count

    def plain(data: bytes) -> tuple[list[int | float | None], list[int]]:
        if len(data) != size:
            return short(data) if len(data) < size else plain(data[:size])
        return list(arrange(data)), [_GOOD] * count

    def screened(data: bytes) -> tuple[list[int | float | None], list[int]]:
        if len(data) != size:
            return short(data) if len(data) < size else screened(data[:size])
        values = list(arrange(data))
        quality = [_GOOD] * count
        # One sum finds out whether anything is infinite or NaN, one look-up whether a marker is in.
        if (real and not isfinite(sum(values))) or (suspects and not innocent(values)):
            for i, markers, nan, is_float in screens:
                value = values[i]
                if value in markers or (nan and value != value):  # NaN
                    values[i], quality[i] = _ABSENT
                elif is_float and not isfinite(value):
                    values[i], quality[i] = _NO_NUMBER
        for i, step in steps:
            if values[i] is not None:
                values[i], quality[i] = step(values)
        del values[count:]
        return values, quality

    return screened if steps or screens else plain


def _arrangement(
    registers: Sequence[ProfileRegister], address: int
) -> Callable[[bytes], tuple[Any, ...]]:
    """Return what unpacks a block: the registers' numbers, then the scale factors they need."""
    factors = _factor_addresses(registers)
    straight = not factors and all(_is_straight(r) for r in registers)
    if straight and all(a.end <= b.address for a, b in pairwise(registers)):
        parts, place = [">"], address
        for r in registers:
            parts += ["x" * 2 * (r.address - place), _FORMAT[r.type]]
            place = r.end
        return struct.Struct("".join(parts)).unpack
    # Else the bytes are first put in order, with one table look-up for all of them: the places are
    # translated by a table that is the block itself.
    places: list[int] = []
    for r in registers:
        start = 2 * (r.address - address)
        pad = struct.calcsize(_FORMAT[r.type]) - 2 * r.width
        places += [_PADDING] * pad
        places += [start + p for p in byte_places(r.width, r.word_order, r.byte_order)]
    for at in factors:
        places += [2 * (at - address), 2 * (at - address) + 1]
    shuffle = bytes(places).translate
    codes = "".join(_FORMAT[r.type] for r in registers) + "h" * len(factors)
    unpack = struct.Struct(">" + codes).unpack

    def arranged(data: bytes) -> tuple[Any, ...]:
        return unpack(shuffle(data + _ZEROS[len(data) :]))

    return arranged


def _is_straight(r: ProfileRegister) -> bool:
    in_order = r.byte_order == "big" and (r.word_order == "big" or r.width == 1)
    return in_order and struct.calcsize(_FORMAT[r.type]) == 2 * r.width


def _factor_addresses(registers: Sequence[ProfileRegister]) -> list[int]:
    return sorted({r.scale_register for r in registers if r.scale_register is not None})


def _markers(r: ProfileRegister) -> tuple[frozenset[int | float], bool]:
    """Return the unpacked numbers that mean "no value", and whether NaN does."""
    code = _FORMAT[r.type]
    size = struct.calcsize(code)
    numbers: set[int | float] = set()
    nan = False
    for marker in r.not_available:
        if isinstance(marker, float):
            number = marker
        else:
            number = struct.unpack(f">{code}", marker.to_bytes(size, "big"))[0]
        if number != number:  # NaN
            nan = True
        else:
            numbers.add(number)
    return frozenset(numbers), nan


def _step(r: ProfileRegister, i: int, registers: Sequence[ProfileRegister]) -> _Step | None:
    """Return what a register needs beyond unpacking and screening."""
    uncode = _uncoder(r.type)
    if r.bits is not None:
        low, width = r.bits
        mask = (1 << width) - 1
        return lambda values: ((values[i] >> low) & mask, _GOOD)
    if r.scale_register is not None:
        factor = len(registers) + _factor_addresses(registers).index(r.scale_register)
        # A scale of 0.01 is the exponent -2: a factor of -1 makes ten counts of each.
        shift = -Decimal(r.scale).adjusted()
        return lambda values: _normalised(values[i], values[factor], shift)
    if r.coding == "power_factor_4q":
        one = 1 / Decimal(r.scale)
        turn = float(one) if r.type.startswith("float") else int(one)
        return lambda values: _unfolded(values[i], turn)
    if uncode is not None:
        code = uncode  # for mypy: not None within the closure

        def uncoded(values: list[Any]) -> tuple[int | float | None, int]:
            number = code(values[i])
            return (number, _GOOD) if number is not None else _NO_NUMBER

        return uncoded
    if r.type == "uint64":
        # One such number would have its whole batch refused (D6).
        return lambda values: (values[i], _GOOD) if values[i] <= _MAX_INTEGER else _OVERFLOW
    return None


def _normalised(number: int, factor: int, shift: int) -> tuple[int | None, int]:
    if factor == _SF_NONE:
        return _ABSENT
    if not -_MAX_SF <= factor <= _MAX_SF:
        return _OVERFLOW
    exponent = factor + shift
    if exponent >= 0:
        counts = number * 10**exponent
        return (counts, _GOOD) if abs(counts) <= _MAX_INTEGER else _OVERFLOW
    counts, rest = divmod(number, 10**-exponent)
    # Digits finer than the profile's scale are rounded away.
    return counts + (2 * rest >= 10**-exponent), _GOOD


def _unfolded(value: float, one: float) -> tuple[int | float | None, int]:
    """Undo the four-quadrant power factor: beyond 1 it is leading, counted back from 2."""
    if -one <= value <= one:
        return value, _GOOD
    if one < value <= 2 * one:
        return 2 * one - value, _GOOD
    if -2 * one <= value < -one:
        return -2 * one - value, _GOOD
    return _OVERFLOW


def _uncoder(register_type: str) -> Callable[[int], int | None] | None:
    if register_type.startswith("bcd"):
        return _from_bcd
    if register_type.startswith("m10k"):
        return _from_m10k
    if register_type.startswith("sm"):
        sign = 1 << (16 * WIDTH[register_type] - 1)
        return lambda bits: sign - bits if bits & sign else bits
    return None


def _from_bcd(bits: int) -> int | None:
    digits = f"{bits:x}"
    return int(digits) if digits.isdecimal() else None


def _from_m10k(bits: int) -> int | None:
    """Return the number of groups of four digits, each a signed register; signs must agree."""
    total, weight, signs = 0, 1, set()
    while bits:
        group = bits & 0xFFFF
        group -= (group & 0x8000) << 1
        if abs(group) >= _GROUP:
            return None
        if group:
            signs.add(group > 0)
        total += group * weight
        weight *= _GROUP
        bits >>= 16
    return total if len(signs) <= 1 else None


def _coded(number: int, register_type: str) -> int:
    width = WIDTH[register_type]
    if register_type.startswith("bcd"):
        if not 0 <= number < 10 ** (4 * width):
            raise struct.error(f"{number} does not fit {register_type}")
        return int(str(number), 16)
    if register_type.startswith("m10k"):
        if abs(number) >= _GROUP**width:
            raise struct.error(f"{number} does not fit {register_type}")
        sign, rest, bits = (-1 if number < 0 else 1), abs(number), 0
        for place in range(width):
            rest, group = divmod(rest, _GROUP)
            bits |= (sign * group & 0xFFFF) << (16 * place)
        return bits
    if register_type.startswith("sm"):
        sign_bit = 1 << (16 * width - 1)
        if abs(number) >= sign_bit:
            raise struct.error(f"{number} does not fit {register_type}")
        return abs(number) | (sign_bit if number < 0 else 0)
    return number
