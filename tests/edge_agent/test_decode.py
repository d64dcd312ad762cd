"""Registers to numbers: typed-in vectors for every type and word order."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.decode import RAW_TYPE, WIDTH, decode, encode

# Floats: IEEE 754 encodings as printed in textbooks (1.0, -118.625, pi, 1/3, the smallest
# subnormal); 36.6254 is a TUF-2000M's flow as the domain notes quote it, low word first.
VECTORS: list[tuple[str, str, list[int], float]] = [
    ("int16", "big", [0x0000], 0),
    ("int16", "big", [0x7FFF], 32_767),
    ("int16", "big", [0x8000], -32_768),
    ("int16", "big", [0xFFFF], -1),
    ("int16", "little", [0xFF38], -200),
    ("uint16", "big", [0xFFFF], 65_535),
    ("uint16", "little", [0x8000], 32_768),
    ("int32", "big", [0x0001, 0x0000], 65_536),
    ("int32", "little", [0x0001, 0x0000], 1),
    ("int32", "big", [0xFFFF, 0xFFFE], -2),
    ("int32", "little", [0xFFFE, 0xFFFF], -2),
    ("int32", "big", [0x8000, 0x0000], -2_147_483_648),
    ("uint32", "big", [0xFFFF, 0xFFFF], 4_294_967_295),
    ("uint32", "big", [0x05F5, 0xE0FF], 99_999_999),
    ("uint32", "little", [0xE0FF, 0x05F5], 99_999_999),
    ("int64", "big", [0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF], -1),
    ("int64", "big", [0x7FFF, 0xFFFF, 0xFFFF, 0xFFFF], 9_223_372_036_854_775_807),
    ("int64", "big", [0x0000, 0x0000, 0x0001, 0x0000], 65_536),
    ("int64", "little", [0x0000, 0x0001, 0x0000, 0x0000], 65_536),
    ("uint64", "big", [0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF], 18_446_744_073_709_551_615),
    ("uint64", "little", [0x0001, 0x0000, 0x0000, 0x8000], 9_223_372_036_854_775_809),
    ("float32", "big", [0x3F80, 0x0000], 1.0),
    ("float32", "big", [0xC2ED, 0x4000], -118.625),
    ("float32", "little", [0x4000, 0xC2ED], -118.625),
    ("float32", "big", [0x4049, 0x0FDB], 3.1415927410125732),
    ("float32", "little", [0x806B, 0x4212], 36.62540817260742),
    ("float32", "big", [0x0000, 0x0001], 1.401298464324817e-45),
    ("float32", "big", [0x7F7F, 0xFFFF], 3.4028234663852886e38),
    ("float64", "big", [0x3FF0, 0x0000, 0x0000, 0x0000], 1.0),
    ("float64", "big", [0x4009, 0x21FB, 0x5444, 0x2D18], math.pi),
    ("float64", "little", [0x2D18, 0x5444, 0x21FB, 0x4009], math.pi),
    ("float64", "big", [0x3FD5, 0x5555, 0x5555, 0x5555], 1 / 3),
    ("bcd16", "big", [0x1234], 1234),
    ("bcd16", "little", [0x9999], 9999),
    ("bcd32", "big", [0x0012, 0x3456], 123_456),
    ("bcd32", "little", [0x3456, 0x0012], 123_456),
    ("bcd48", "big", [0x0001, 0x2345, 0x6789], 123_456_789),
    ("bcd48", "little", [0x6789, 0x2345, 0x0001], 123_456_789),
    ("bcd64", "big", [0x9999, 0x9999, 0x9999, 0x9999], 9_999_999_999_999_999),
    ("bcd64", "little", [0x0001, 0x0000, 0x0000, 0x0000], 1),
    # Modulo 10,000: each register holds four decimal digits and the sign.
    ("m10k32", "big", [12, 3456], 123_456),
    ("m10k32", "little", [3456, 12], 123_456),
    ("m10k32", "big", [0xFFFF, 0xD8F1], -19_999),
    ("m10k48", "big", [1, 2, 3], 100_020_003),
    ("m10k48", "little", [3, 2, 1], 100_020_003),
    ("m10k64", "big", [9999, 9999, 9999, 9999], 9_999_999_999_999_999),
    ("m10k64", "little", [0xFFFF, 0, 0, 0], -1),
    ("sm16", "big", [0x8005], -5),
    ("sm16", "little", [0x0005], 5),
    ("sm32", "big", [0x8000, 0x0007], -7),
    ("sm32", "little", [0x0007, 0x8000], -7),
]
# The types in which every bit pattern is a number of its own.
PLAIN = [t for t in WIDTH if RAW_TYPE[t] == t]


@pytest.mark.parametrize(("raw_type", "order", "registers", "number"), VECTORS)
def test_registers_hold_the_number(
    raw_type: Any, order: Any, registers: list[int], number: float
) -> None:
    decoded = decode(registers, raw_type, order)
    assert decoded == number
    assert isinstance(decoded, float if raw_type.startswith("float") else int)
    assert encode(number, raw_type, order) == registers


def test_every_type_has_a_vector_in_both_orders() -> None:
    assert {(t, o) for t, o, _, _ in VECTORS} >= {(t, o) for t in WIDTH for o in ("big", "little")}


@pytest.mark.parametrize(
    ("raw_type", "registers"),
    [
        ("float32", [0x7FC0, 0x0000]),  # quiet NaN
        ("float32", [0xFFFF, 0xFFFF]),  # what many meters show for "no value"
        ("float64", [0x7FF8, 0, 0, 0]),
    ],
)
def test_not_a_number_stays_not_a_number(raw_type: Any, registers: list[int]) -> None:
    assert math.isnan(decode(registers, raw_type, "big"))


def test_infinities_keep_their_sign() -> None:
    assert decode([0x7F80, 0x0000], "float32", "big") == math.inf
    assert decode([0xFF80, 0x0000], "float32", "big") == -math.inf


@given(st.data(), st.sampled_from(sorted(PLAIN)), st.sampled_from(["big", "little"]))
def test_decoding_loses_no_bit(data: st.DataObject, raw_type: Any, order: Any) -> None:
    words = st.integers(0, 0xFFFF)
    registers = data.draw(st.lists(words, min_size=WIDTH[raw_type], max_size=WIDTH[raw_type]))
    number = decode(registers, raw_type, order)
    if math.isfinite(number):
        assert encode(number, raw_type, order) == registers
    other: Any = "little" if order == "big" else "big"
    # A wrong word order, found years later, is inverted from the number alone.
    if math.isfinite(number):
        assert decode(encode(number, raw_type, order)[::-1], raw_type, other) == number


@pytest.mark.parametrize("raw_type", sorted(WIDTH))
def test_a_wrong_number_of_registers_is_refused(raw_type: Any) -> None:
    with pytest.raises(ValueError, match=f"{raw_type} takes {WIDTH[raw_type]} registers, not 5"):
        decode([0, 0, 0, 0, 0], raw_type, "big")


def test_a_number_that_does_not_fit_is_refused() -> None:
    for number, raw_type in ((65_536, "uint16"), (-1, "uint32"), (2**31, "int32")):
        with pytest.raises(struct.error):
            encode(number, raw_type, "big")  # type: ignore[arg-type]  # a Literal by its value
