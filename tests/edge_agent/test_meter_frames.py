"""Frames of DL/T 645-2007 and CJ/T 188: as people recorded them, and in any pieces.

The frames typed in are public: https://www.cnblogs.com/cj94/p/18534598 and
https://blog.csdn.net/qingwufeiyang12346/article/details/46824903 (CJ/T 188; the last page prints a
wrong sum, the frame's own is used here), and a recorded dialogue with the meter 000000000161 that
several document sites keep under the name "DLT645-2007 message analysis" (DL/T 645).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.blocks import plan_blocks
from edge_agent.data_items import DataItem, compile_item_decoder, encode_item
from edge_agent.lines.exchange import BadFrameError, ExceptionReplyError, MeterRefusalError
from edge_agent.lines.meter_frames import READ_CONTROLS, MeterExchange, meter_exchange
from edge_agent.profile import load_profile
from enpilot.wire import Quality

WAKE = "FE FE FE FE "
METER = "000000000161"
WATER = "78330011223344"
ENERGY, VOLTAGE_A = 0x00010000, 0x02010100


def exchange(
    unit: str = METER, identifier: int = ENERGY, count: int = 4, noise: tuple[bytes, ...] = ()
) -> MeterExchange:
    function = "dlt645" if len(unit) == 12 else "cjt188"
    block = SimpleNamespace(function=function, address=identifier, count=count)
    return meter_exchange(unit, block, noise)


def item(**keys: Any) -> DataItem:
    plain = {
        "protocol": "dlt645", "data_id": "00010000", "digits": 8, "quantity": "active_energy",
        "channel": "total", "unit": "kWh", "scale": "0.01", "counter": "lifetime",
    }  # fmt: skip
    return DataItem(**(plain | keys))


def dlt645(field: bytes, control: int = 0x91, meter: str = METER) -> bytes:
    coded = bytes(byte + 0x33 & 0xFF for byte in field)
    address = bytes.fromhex(meter)[::-1]
    frame = b"\x68" + address + b"\x68" + bytes([control, len(coded)]) + coded
    return frame + bytes([sum(frame) & 0xFF, 0x16])


def cjt188(field: bytes, control: int = 0x81, meter: str = WATER, kind: int = 0x10) -> bytes:
    address = bytes.fromhex(meter)[::-1]
    frame = bytes([0x68, kind]) + address + bytes([control, len(field)]) + field
    return frame + bytes([sum(frame) & 0xFF, 0x16])


@pytest.mark.parametrize(
    ("unit", "identifier", "request_hex", "reply_hex", "data_hex"),
    [
        (METER, ENERGY, "68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16",
         "68 61 01 00 00 00 00 68 91 08 33 33 34 33 59 33 33 33 8A 16", "26 00 00 00"),
        (METER, VOLTAGE_A, "68 61 01 00 00 00 00 68 11 04 33 34 34 35 17 16",
         "68 61 01 00 00 00 00 68 91 06 33 34 34 35 34 43 10 16", "01 10"),
        (WATER, 0x10901F, "68 10 44 33 22 11 00 33 78 01 03 1F 90 00 80 16",
         WAKE + "68 10 44 33 22 11 00 33 78 81 16 1F 90 00 00 77 66 55 2C 00 77 66 55 2C "
         "31 01 22 11 05 15 20 21 84 13 16",
         "00 77 66 55 2C 00 77 66 55 2C 31 01 22 11 05 15 20 21 84"),
        # A maker that sends the identifier the other way round.
        ("00002020120218", 0x101F90, "68 10 18 02 12 20 20 00 00 01 03 90 1F 00 97 16",
         WAKE + "68 10 18 02 12 20 20 00 00 81 16 90 1F 00 00 02 00 00 2C 00 02 00 00 2C "
         "00 00 00 00 00 00 00 00 FF 85 16",
         "00 02 00 00 2C 00 02 00 00 2C 00 00 00 00 00 00 00 00 FF"),
    ],
)  # fmt: skip
def test_recorded_frames_are_asked_and_understood(
    unit: str, identifier: int, request_hex: str, reply_hex: str, data_hex: str
) -> None:
    asking = exchange(unit, identifier)
    assert asking.begin() == bytes.fromhex(WAKE + request_hex)
    assert asking.take(bytes.fromhex(reply_hex)) == bytes.fromhex(data_hex)
    assert asking.stale == 0


def test_recorded_values_are_those_that_the_pages_name() -> None:
    def value(data: str, **keys: Any) -> int | float | None:
        return compile_item_decoder([item(**keys)])(bytes.fromhex(data))[0][0]

    assert value("26 00 00 00") == 26  # 0.26 kWh
    assert value("01 10", digits=4) == 1001  # 100.1 V
    assert value("00 77 66 55 2C", unit_code=0x2C) == 55_667_700  # 556677.00 m3
    assert value("00 02 00 00 2C", unit_code=0x2C) == 200


def test_the_shipped_profiles_ask_for_blocks_and_declare_what_they_are() -> None:
    meter = plan_blocks(load_profile("dlt645-2007"))
    assert [(b.function, b.address, b.count, len(b.registers)) for b in meter] == [
        ("dlt645", 0x00010000, 4, 1), ("dlt645", 0x0001FF00, 20, 4), ("dlt645", 0x0201FF00, 6, 3),
        ("dlt645", 0x0202FF00, 9, 3), ("dlt645", 0x0203FF00, 12, 4), ("dlt645", 0x0206FF00, 8, 4),
    ]  # fmt: skip
    (water,) = plan_blocks(load_profile("cjt188-cold-water"))
    assert (water.function, water.address, water.count) == ("cjt188", 0x10901F, 5)
    energy = meter[0].registers[0]
    assert (energy.modulus, energy.scale, energy.raw_type) == ("100000000", "0.01", "uint32")
    assert energy.place == "dlt645:00010000 byte 0 bcd 8"
    power = meter[4].registers[0]
    assert (power.raw_type, power.scale) == ("int32", "0.0001")
    assert [load_profile(c).verified for c in ("dlt645-2007", "cjt188-cold-water")] == [False] * 2


def test_a_block_brings_several_values_and_a_short_one_those_that_it_has() -> None:
    block = plan_blocks(load_profile("dlt645-2007"))[4]
    # 12.3456 kW, -4.1152 kW (the highest bit is the sign), no value, no digits.
    data = bytes.fromhex("56 34 12 52 11 84 FF FF FF 0A 00 00")
    assert block.decoder()(data) == (
        [123_456, -41_152, None, None],
        [0, 0, Quality.NOT_AVAILABLE, Quality.NOT_FINITE],
    )
    assert block.decoder()(data[:3]) == ([123_456, None, None, None], [0, 3, 3, 3])
    assert block.decoder()(b"") == ([None] * 4, [3] * 4)


def test_a_number_in_another_unit_is_no_value() -> None:
    read = compile_item_decoder([item(unit_code=0x2C)])
    assert read(bytes.fromhex("00 77 66 55 29")) == ([None], [Quality.OVERFLOW])
    assert read(bytes.fromhex("00 77 66 55")) == ([None], [Quality.NOT_AVAILABLE])


@pytest.mark.parametrize(
    "before",
    [
        WAKE, "FE", "FE" * 20, "00 FF",
        WAKE + "68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16",  # the adapter's echo
        "68 61 01",  # the beginning of something
    ],
)  # fmt: skip
def test_what_stands_before_a_reply_is_skipped(before: str) -> None:
    asking = exchange()
    asking.begin()
    reply = dlt645(bytes.fromhex("00000100 26000000"))
    assert asking.take(bytes.fromhex(before) + reply) == bytes.fromhex("26000000")
    assert asking.stale == 0


@pytest.mark.parametrize(
    "other",
    [
        dlt645(bytes.fromhex("00010102 0110")),  # another identifier
        dlt645(bytes.fromhex("00000100 26000000"), meter="000000000162"),
        cjt188(bytes.fromhex("00000100 26000000")),
        dlt645(bytes.fromhex("00000100 26000000"))[:-2] + b"\x00\x16",  # a wrong sum
        dlt645(bytes.fromhex("00000100 26000000"))[:-1] + b"\x17",
    ],
)
def test_another_s_reply_is_refused_and_the_right_one_awaited(other: bytes) -> None:
    asking = exchange()
    asking.begin()
    assert asking.take(other) is None
    right = dlt645(bytes.fromhex("00000100 27000000"))
    assert asking.take(right[:7]) is None
    assert asking.take(right[7:]) == bytes.fromhex("27000000")


def test_a_stale_reply_is_known_as_one() -> None:
    asking = exchange()
    asking.begin()
    stale = dlt645(bytes.fromhex("00010102 0110"))
    assert asking.take(b"\xfe\xfe" + stale) is None
    assert asking.is_stale_reply(asking.rest)
    assert asking.take(dlt645(bytes.fromhex("00000100 27000000"))) is not None
    assert asking.stale == 1
    assert not asking.is_stale_reply(b"")
    assert not asking.is_stale_reply(asking.begin())


def test_a_reply_of_another_type_of_meter_is_not_the_water_meter_s() -> None:
    asking = exchange(WATER, 0x10901F)
    asking.begin()
    field = bytes.fromhex("1F9000 00776655 2C")
    assert asking.take(cjt188(field, kind=0x20)) is None
    assert asking.take(cjt188(bytes.fromhex("1F9007 00776655 2C"))) is not None  # its own number


@pytest.mark.parametrize(
    ("unit", "identifier", "reply", "code", "absent"),
    [
        (METER, ENERGY, dlt645(b"\x02", 0xD1), 2, True),
        (METER, ENERGY, dlt645(b"\x01", 0xD1), 1, False),
        (METER, ENERGY, dlt645(b"", 0xD1), 0, False),
        (WATER, 0x10901F, cjt188(b"\x00\x02\x00", 0xC1), 2, False),
    ],
)
def test_an_abnormal_reply_is_a_refusal(
    unit: str, identifier: int, reply: bytes, code: int, absent: bool
) -> None:
    asking = exchange(unit, identifier)
    asking.begin()
    with pytest.raises(MeterRefusalError) as caught:
        asking.take(reply)
    assert (caught.value.code, caught.value.absent) == (code, absent)


def test_a_reply_that_goes_on_is_said_to_be_too_long() -> None:
    asking = exchange()
    asking.begin()
    with pytest.raises(BadFrameError, match="fewer values"):
        asking.take(dlt645(bytes.fromhex("00000100 26000000"), 0xB1))


def test_a_heartbeat_in_the_middle_of_a_reply_is_cut_out() -> None:
    asking = exchange(noise=(b"alive", b"dtu-7"))
    asking.begin()
    reply = dlt645(bytes.fromhex("00000100 26000000"))
    for cut in range(1, len(reply)):
        asking.begin()
        assert asking.take(reply[:cut] + b"alive" + reply[cut:]) == bytes.fromhex("26000000")


@given(
    st.sampled_from([4, 6, 8, 10, 12]).flatmap(
        lambda d: st.tuples(st.just(d), st.integers(0, 8 * 10 ** (d - 1) - 1))
    ),
    st.booleans(), st.booleans(), st.integers(0, 5), st.integers(1, 9), st.binary(max_size=9),
)  # fmt: skip
def test_what_a_meter_encodes_is_read_however_it_is_cut(
    sized: tuple[int, int], negative: bool, water: bool, at: int, size: int, before: bytes
) -> None:
    digits, number = sized
    if water:
        held = item(protocol="cjt188", data_id="901F", digits=digits, at=at, unit_code=0x2C)
    else:
        held = item(digits=digits, at=at, signed=True)
        number = -number if negative else number
    data = bytes(at) + encode_item(number, held)
    stream = before + (
        cjt188(b"\x1f\x90\x00" + data) if water else dlt645(bytes.fromhex("00000100") + data)
    )
    asking = exchange(WATER if water else METER, 0x10901F if water else ENERGY, len(data))
    asking.begin()
    pieces = (stream[i : i + size] for i in range(0, len(stream), size))
    found = next((f for f in map(asking.take, pieces) if f is not None), None)
    assert found == data
    assert compile_item_decoder([held])(found) == ([number], [0])


_REAL = dlt645(bytes.fromhex("00000100 26000000"))


@given(
    st.lists(st.one_of(st.binary(max_size=40), st.just(_REAL), st.just(_REAL[:9])), max_size=8),
    st.booleans(),
)
def test_any_bytes_in_any_pieces_are_taken(pieces: list[bytes], water: bool) -> None:
    asking = exchange(WATER, 0x10901F) if water else exchange(noise=(b"\x33",))
    asking.begin()
    for piece in pieces:
        try:
            found = asking.take(piece)
        except (ExceptionReplyError, BadFrameError):
            return
        assert len(asking.rest) <= 1100
        asking.is_stale_reply(piece)
        if found is not None:
            assert found == bytes.fromhex("26000000")
            return


@given(st.binary(max_size=30))
def test_any_data_is_decoded_into_numbers_or_qualities(data: bytes) -> None:
    for code in ("dlt645-2007", "cjt188-cold-water"):
        for block in plan_blocks(load_profile(code)):
            values, quality = block.decoder()(data)
            assert len(values) == len(quality) == len(block.registers)
            assert all((v is None) == (q != 0) for v, q in zip(values, quality, strict=True))


@given(st.text(), st.integers(), st.text())
def test_no_other_request_can_be_built(function: str, identifier: int, unit: str) -> None:
    block = SimpleNamespace(function=function, address=identifier, count=4)
    with pytest.raises(ValueError):
        meter_exchange(unit, block)


@given(st.integers(0, 2**32 - 1), st.integers(0, 10**12 - 1))
def test_every_request_reads(identifier: int, meter: int) -> None:
    asked = exchange(f"{meter:012d}", identifier).begin()
    assert asked[12:14] == b"\x11\x04"
    asked = exchange(f"{meter:014d}", identifier & 0xFFFFFF).begin()
    assert asked[13:15] == b"\x01\x03"


def test_there_are_two_control_codes_and_nothing_can_be_added() -> None:
    assert dict(READ_CONTROLS) == {"dlt645": 0x11, "cjt188": 0x01}
    with pytest.raises(TypeError):
        READ_CONTROLS["dlt645"] = 0x14  # type: ignore[index]  # that is the point


@pytest.mark.parametrize(
    ("unit", "function", "identifier"),
    [("00000000016A", "dlt645", 1), ("161", "dlt645", 1), (METER, "cjt188", 0x10901F),
     (WATER, "dlt645", 1), (METER, "dlt645", 2**32), (WATER, "cjt188", 0x1_00_901F),
     ("7833001122334X", "cjt188", 0x10901F), (METER, "holding", 0)],
)  # fmt: skip
def test_what_is_no_read_is_refused_before_the_wire(
    unit: str, function: str, identifier: int
) -> None:
    block = SimpleNamespace(function=function, address=identifier, count=4)
    with pytest.raises(ValueError, match="cannot be read"):
        meter_exchange(unit, block)
