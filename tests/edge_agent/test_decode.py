"""Registers to numbers; expected values worked out by hand or from IEEE 754's own examples."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.decode import WIDTH, decode, encode


@pytest.mark.parametrize(
    ("words", "raw_type", "order", "number"),
    [
        ([0xFFFF], "uint16", "big", 65535),
        ([0xFFFE], "int16", "big", -2),
        ([0x0001, 0x0000], "uint32", "big", 65536),
        ([0x0000, 0x0001], "uint32", "little", 65536),
        # int32 -2 came out as 4,294,967,294 where words were swapped after decoding.
        ([0xFFFF, 0xFFFE], "int32", "big", -2),
        ([0xFFFE, 0xFFFF], "int32", "little", -2),
        ([0xFFFF, 0xFFFF, 0xFFFF, 0xFFFB], "int64", "big", -5),
        ([0xFFFB, 0xFFFF, 0xFFFF, 0xFFFF], "int64", "little", -5),
        ([0x8000, 0, 0, 0], "uint64", "big", 2**63),
        # IEEE 754: 1.0 is 3F80 0000, pi rounds to 4049 0FDB.
        ([0x3F80, 0x0000], "float32", "big", 1.0),
        ([0x0FDB, 0x4049], "float32", "little", 3.1415927410125732),
        ([0x3FF0, 0, 0, 0], "float64", "big", 1.0),
    ],
)
def test_typed_in_registers(words, raw_type, order, number) -> None:
    assert decode(words, raw_type, order) == number
    assert encode(number, raw_type, order) == words


def test_a_float_that_is_no_number_stays_one() -> None:
    assert math.isnan(decode([0x7FC0, 0], "float32", "big"))
    # Tested after the order is right: swapped, the same words are an ordinary small number.
    assert math.isfinite(decode([0x7FC0, 0], "float32", "little"))


def test_a_wrong_number_of_registers_is_refused() -> None:
    with pytest.raises(ValueError, match="2 registers"):
        decode([1], "uint32", "big")


@given(st.sampled_from(sorted(WIDTH)), st.sampled_from(["big", "little"]), st.data())
def test_nothing_is_lost_in_either_order(raw_type, order, data) -> None:
    words = data.draw(
        st.lists(st.integers(0, 65535), min_size=WIDTH[raw_type], max_size=WIDTH[raw_type])
    )
    number = decode(words, raw_type, order)
    if not math.isnan(number):
        assert encode(number, raw_type, order) == words
