"""What some registers may mean: every decoding side by side, and which of them look like a mains.

Pure functions over 16-bit words. Plausible is what a low-voltage network of 50 Hz shows: a mark is
a hint for an engineer, not a verdict.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Final, Literal, get_args

import msgspec

from edge_agent.decode import WIDTH, Order, RegisterType, byte_places, decode

__all__ = [
    "Decoding",
    "Layout",
    "Mark",
    "decodings",
    "guess_layouts",
    "letters_of",
    "marks_of",
    "numbers_in",
]

MarkCode = Literal[
    "phase_voltage", "line_voltage", "frequency", "power_factor", "zero", "not_available"
]

ORDERS: Final[tuple[tuple[Order, Order], ...]] = (
    ("big", "big"), ("little", "big"), ("big", "little"), ("little", "little"),
)  # fmt: skip
# What a low-voltage network shows: 220/380 V less 10 % to 230/400 V and 10 % more (GB/T 12325,
# IEC 60038), 50 Hz and half a hertz either side.
_RANGES: Final[tuple[tuple[MarkCode, float, float], ...]] = (
    ("phase_voltage", 198.0, 253.0),
    ("line_voltage", 342.0, 440.0),
    ("frequency", 49.5, 50.5),
)
_INTEGER_SCALES: Final = (0.1, 0.01, 0.001, 1.0)
_FLOAT_SCALES: Final = (1.0, 0.1, 0.01)
_LEAST_POWER_FACTOR: Final = 0.3
# A float beyond these is rather some other number read wrongly.
_SMALLEST: Final = 1e-4
_LARGEST: Final = 1e10
_SAME_VOLTAGE: Final = 0.05


class Mark(msgspec.Struct, frozen=True):
    """What a number looks like, once multiplied by ``scale``."""

    code: MarkCode
    scale: float = 1.0


class Decoding(msgspec.Struct, frozen=True):
    """One way to read the registers from an address on.

    ``value`` is None where the bits are no number of that type: no digits, or not finite.
    ``sensible`` says that its magnitude may be that of a reading.
    """

    address: int
    type: RegisterType
    letters: str
    value: int | float | None
    sensible: bool
    marks: tuple[Mark, ...] = ()


class Layout(msgspec.Struct, frozen=True):
    """A type, order and scale under which three neighbours are the phase voltages of a network."""

    type: RegisterType
    letters: str
    scale: float
    voltages: tuple[int, int, int]
    values_v: tuple[float, float, float]
    frequency: int | None = None


def letters_of(register_type: RegisterType, word_order: Order, byte_order: Order) -> str:
    """Return an order as engineers write it, A being the highest byte: ABCD, CDAB and so on."""
    places = byte_places(WIDTH[register_type], word_order, byte_order)
    return "".join(chr(ord("A") + places.index(place)) for place in range(len(places)))


def decodings(words: Mapping[int, int]) -> Iterator[Decoding]:
    """Read registers in every type and order.

    Parameters
    ----------
    words
        16-bit words by address; what could not be read is not in it.

    Yields
    ------
    Decoding
        By address, then by type; an order that gives the same number is left out.
    """
    for address in sorted(words):
        for register_type in get_args(RegisterType):
            width = WIDTH[register_type]
            if any(address + i not in words for i in range(width)):
                continue
            sent = [words[address + i] for i in range(width)]
            seen: set[str] = set()
            for word_order, byte_order in ORDERS:
                letters = letters_of(register_type, word_order, byte_order)
                if letters not in seen:
                    seen.add(letters)
                    yield _decoding(address, sent, register_type, word_order, byte_order, letters)


def _decoding(
    address: int,
    sent: list[int],
    register_type: RegisterType,
    word_order: Order,
    byte_order: Order,
    letters: str,
) -> Decoding:
    try:
        value: int | float | None = decode(sent, register_type, word_order, byte_order)
    except ValueError:
        value = None
    if value is not None and not math.isfinite(value):
        value = None
    marks = marks_of(value, register_type, sent)
    return Decoding(address, register_type, letters, value, _is_sensible(value), marks)


def _is_sensible(value: float | None) -> bool:
    if value is None:
        return False
    size = abs(value)
    return size == 0 or (size < _LARGEST and (isinstance(value, int) or size > _SMALLEST))


def marks_of(
    value: float | None, register_type: RegisterType, sent: Iterable[int]
) -> tuple[Mark, ...]:
    """Return what a number looks like.

    Parameters
    ----------
    value
        The number, or None where there is none.
    register_type
        As what it was decoded.
    sent
        Its words, in which the usual markers for "no value" are looked for.
    """
    words = list(sent)
    if _is_marker(words, register_type):
        return (Mark("not_available"),)
    if value is None:
        return ()
    if value == 0:
        return (Mark("zero"),)
    is_float = register_type.startswith("float")
    is_bcd = register_type.startswith("bcd")  # four digits from 3420 to 4400 are too common
    for scale in _FLOAT_SCALES if is_float else _INTEGER_SCALES:
        for code, low, high in _RANGES:
            if low <= value * scale <= high and not (is_bcd and code == "line_voltage"):
                return (Mark(code, scale),)
    # Only where it may hardly be anything else: small integers are everywhere.
    one = 1.0 if is_float else 1000.0
    if _LEAST_POWER_FACTOR <= abs(value) / one <= 1 and register_type in ("float32", "int16"):
        return (Mark("power_factor", 1 / one),)
    return ()


def _is_marker(words: list[int], register_type: RegisterType) -> bool:
    if register_type.startswith("float"):
        number: float = struct.unpack(
            ">f" if len(words) == 2 else ">d", struct.pack(f">{len(words)}H", *words)
        )[0]
        return math.isnan(number)
    rest = words[1:]
    ends = (0x8000, 0x7FFF) if register_type.startswith("int") else ()
    if all(w == 0xFFFF for w in words):
        return not register_type.startswith("int")  # -1 is a number
    return (words[0] == 0x8000 in ends and not any(rest)) or (
        words[0] == 0x7FFF in ends and all(w == 0xFFFF for w in rest)
    )


def guess_layouts(words: Mapping[int, int]) -> list[Layout]:
    """Find types and orders under which three neighbours look like phase voltages.

    Parameters
    ----------
    words
        16-bit words by address.

    Returns
    -------
    list of Layout
        The best first: with a frequency among the registers, then in the order of their addresses.
    """
    found: list[Layout] = []
    for register_type, (word_order, byte_order) in product(_VOLTAGE_TYPES, ORDERS):
        letters = letters_of(register_type, word_order, byte_order)
        if register_type == "uint16" and word_order == "little":
            continue  # one word has no order
        numbers = numbers_in(words, register_type, word_order, byte_order)
        width = WIDTH[register_type]
        taken: set[int] = set()
        for a in sorted(numbers):
            places = (a, a + width, a + 2 * width)
            if taken.intersection(places) or not all(p in numbers for p in places):
                continue
            scale = _common_voltage_scale([numbers[p] for p in places], register_type)
            if scale is None:
                continue
            taken.update(places)
            x, y, z = (numbers[p] * scale for p in places)
            hertz = _frequency(numbers, register_type)
            found.append(Layout(register_type, letters, scale, places, (x, y, z), hertz))
    # Read from the middle of one number to that of the next, neighbours look alike in the other
    # word order. What is read begins with a value: of what overlaps, that which is in step with it.
    start = min(words, default=0)
    found.sort(key=lambda f: ((f.voltages[0] - start) % WIDTH[f.type], f.voltages))
    apart = [
        f
        for i, f in enumerate(found)
        if not any(
            e.type == f.type
            and e.voltages[0] <= f.voltages[-1] + 1
            and f.voltages[0] <= e.voltages[-1] + 1
            for e in found[:i]
        )
    ]
    return sorted(apart, key=lambda f: (f.frequency is None, f.voltages))


_VOLTAGE_TYPES: Final[tuple[RegisterType, ...]] = ("float32", "uint16", "uint32", "float64")


def numbers_in(
    words: Mapping[int, int], register_type: RegisterType, word_order: Order, byte_order: Order
) -> dict[int, float]:
    """Return every finite number of one type and order, by its address."""
    width = WIDTH[register_type]
    numbers: dict[int, float] = {}
    for a in words:
        sent = [words[a + i] for i in range(width) if a + i in words]
        if len(sent) == width:
            number = decode(sent, register_type, word_order, byte_order)
            if math.isfinite(number):
                numbers[a] = float(number)
    return numbers


def _common_voltage_scale(values: list[float], register_type: RegisterType) -> float | None:
    """Return the scale under which all three are phase voltages of about the same height."""
    if max(values) > (1 + _SAME_VOLTAGE) * min(values):
        return None
    scales = _FLOAT_SCALES if register_type.startswith("float") else _INTEGER_SCALES
    _, low, high = _RANGES[0]
    fitting = (s for s in scales if all(low <= v * s <= high for v in values))
    return next(fitting, None)


def _frequency(numbers: Mapping[int, float], register_type: RegisterType) -> int | None:
    scales = _FLOAT_SCALES if register_type.startswith("float") else (0.01, 0.1)
    _, low, high = _RANGES[2]
    found = (a for a, n in sorted(numbers.items()) if any(low <= n * s <= high for s in scales))
    return next(found, None)
