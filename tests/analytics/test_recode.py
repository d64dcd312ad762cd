"""Recoding gives back what stood on the registers, whatever they were taken for."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.counters.recode import Recoding
from analytics.errors import RecodeError

ORDERS = {
    "big": lambda b: b,
    "words": lambda b: b"".join(b[i : i + 2] for i in range(len(b) - 2, -1, -2)),
    "bytes": lambda b: b"".join(b[i + 1 : i + 2] + b[i : i + 1] for i in range(0, len(b), 2)),
    "words_and_bytes": lambda b: b[::-1],
}
FORMATS = {"int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q"}


@given(st.sampled_from(sorted(FORMATS)), st.sampled_from(sorted(ORDERS)), st.data())
def test_every_order_of_every_integer(name: str, order: str, data: st.DataObject) -> None:
    size = struct.calcsize(FORMATS[name])
    true = data.draw(st.binary(min_size=size, max_size=size))
    registers = ORDERS[order](true)  # as they came over the wire
    stored = struct.unpack(FORMATS[name], registers)[0]
    recoded = Recoding(name, name, order).apply(np.array([stored], np.int64))
    assert recoded.tolist() == [struct.unpack(FORMATS[name], true)[0]]


@given(st.floats(width=32, allow_nan=False), st.sampled_from(sorted(ORDERS)))
def test_a_float_that_was_read_as_an_integer(value: float, order: str) -> None:
    registers = ORDERS[order](struct.pack(">f", value))
    stored = np.array([struct.unpack(">I", registers)[0]], np.int64)
    assert Recoding("uint32", "float32", order).apply(stored).tolist() == [value]


def test_minus_two_read_unsigned_is_minus_two() -> None:
    stored = np.array([4_294_967_294], np.int64)
    assert Recoding("uint32", "int32", "big").apply(stored).tolist() == [-2]


def test_a_type_of_another_width_is_refused() -> None:
    with pytest.raises(RecodeError, match="uint16 takes other registers than float32"):
        Recoding("float32", "uint16", "big")
