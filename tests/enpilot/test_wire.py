"""Wire version 1: round trips, exact bytes, and every bad payload ends in a WireError."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from enpilot.wire import (
    MAX_INFLATED_BYTES,
    MAX_WIRE_BYTES,
    Batch,
    Birth,
    DataMessage,
    GroupDeclaration,
    GroupReadings,
    Quality,
    QualityFlag,
    Receipt,
    Refusal,
    SeriesDeclaration,
    Status,
    StreamReceipt,
    TopicError,
    WireError,
    decode_batch,
    decode_birth,
    decode_data,
    decode_receipt,
    decode_status,
    encode,
    parse_topic,
    sha256_hex,
    topic,
)

STATUS = b'{"v":1,"agent":"gw-1","state":"online","since_us":1767225600000000}'
INT64_MAX = 2**63 - 1


def refusal(payload: bytes) -> Refusal:
    with pytest.raises(WireError) as caught:
        decode_status(payload)
    assert "\n" not in str(caught.value)
    return caught.value.code


def code_of(decode: Callable[[bytes], object], payload: bytes) -> Refusal | None:
    """Return why a payload is refused; any other error than a WireError fails the test."""
    try:
        decode(payload)
    except WireError as error:
        return error.code
    return None


def data_message(batch: bytes, **envelope: Any) -> DataMessage:
    fields = {"stream": "0198", "seq": 7, "first": 5, "sent_us": 1} | envelope
    return DataMessage(v=1, agent="gw-1", batch=msgspec.Raw(batch), **fields)


whole = st.integers(0, INT64_MAX)
text = st.text(max_size=20)
readings = st.builds(
    GroupReadings,
    group=st.integers(0, 500),
    ts=whole,
    dt=st.lists(whole, max_size=4),
    late_ms=st.lists(st.integers(0, 999), max_size=4),
    values=st.lists(
        st.lists(
            st.none()
            | st.integers(-(2**53), 2**53)
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.integers(2**53, 2**64 - 1).map(str),
            max_size=4,
        ),
        max_size=3,
    ),
    quality=st.none() | st.lists(st.lists(st.integers(0, 0x7FFF), max_size=4), max_size=3),
)
series = st.builds(
    SeriesDeclaration,
    point=text,
    quantity=text,
    channel=text,
    unit=text,
    raw_type=st.sampled_from(["int16", "uint32", "float64", "uint64"]),
    register_scale=st.sampled_from(["1", "0.01", "0.001"]),
    counter=st.none() | st.sampled_from(["lifetime", "periodic", "preset"]),
    modulus=st.none() | st.just("100000000"),
    rated_max_per_h=st.none() | st.floats(0, 1e9),
)
births = st.builds(
    Birth,
    v=st.just(1),
    agent=text,
    software=text,
    simulated=st.booleans(),
    groups=st.lists(
        st.builds(
            GroupDeclaration,
            group=st.integers(0, 99),
            period_s=st.floats(1, 3600),
            series=st.lists(series, max_size=3),
        ),
        max_size=3,
    ),
)
receipts = st.builds(
    Receipt,
    v=st.just(1),
    agent=text,
    db=text,
    commit_no=whole,
    need=st.lists(text, max_size=2),
    streams=st.lists(
        st.builds(
            StreamReceipt,
            stream=text,
            through=whole,
            ahead=st.lists(st.tuples(whole, whole), max_size=3),
            refused=st.lists(st.tuples(whole, text), max_size=3),
        ),
        max_size=3,
    ),
)
statuses = st.builds(
    Status,
    v=st.just(1),
    agent=text,
    state=st.sampled_from(["online", "offline"]),
    since_us=whole,
    stream=st.none() | text,
    oldest_held_us=st.none() | whole,
)


@given(births, receipts, statuses, st.booleans())
def test_a_message_comes_back_as_it_was(
    birth: Birth, receipt: Receipt, status: Status, compress: bool
) -> None:
    assert decode_birth(encode(birth, compress=compress)) == birth
    assert decode_receipt(encode(receipt, compress=compress)) == receipt
    assert decode_status(encode(status, compress=compress)) == status


@given(st.lists(readings, max_size=3), st.booleans())
def test_a_batch_keeps_its_exact_bytes_in_any_envelope(
    groups: list[GroupReadings], compress: bool
) -> None:
    body = encode(Batch(birth="ab" * 32, groups=groups))
    for first in (1, 7):
        message = decode_data(encode(data_message(body, first=first), compress=compress))
        assert bytes(message.batch) == body
        assert sha256_hex(message.batch) == hashlib.sha256(body).hexdigest()
        assert decode_batch(message.batch) == Batch(birth="ab" * 32, groups=groups)


def test_the_hash_is_over_the_bytes_that_came_not_over_their_meaning() -> None:
    spaced = b'{ "birth" : "00", "groups" : [] }'
    payload = (
        b'{"v":1,"agent":"gw-1","stream":"s","seq":1,"first":1,"sent_us":1,"batch":' + spaced + b"}"
    )
    message = decode_data(payload)
    # sha256sum of the 33 bytes above.
    assert sha256_hex(message.batch) == hashlib.sha256(spaced).hexdigest()
    assert sha256_hex(message.batch) != sha256_hex(b'{"birth":"00","groups":[]}')
    # FIPS 180-4, "abc".
    assert sha256_hex(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_batch_reads_like_json_for_people() -> None:
    group = GroupReadings(
        group=3, ts=1_767_225_600_000_000, dt=[0, 1_000_000], late_ms=[4, 5],
        values=[[1234, 1235], [None, "18446744073709551615"]], quality=[[0, 0], [1, 0]],
    )  # fmt: skip
    assert encode(Batch(birth="00", groups=[group])) == (
        b'{"birth":"00","groups":[{"group":3,"ts":1767225600000000,"dt":[0,1000000],'
        b'"late_ms":[4,5],"values":[[1234,1235],[null,"18446744073709551615"]],'
        b'"quality":[[0,0],[1,0]]}]}'
    )


def test_a_short_message_stays_plain_and_a_long_one_is_a_smaller_frame() -> None:
    short = encode(decode_status(STATUS), compress=True)
    assert short.startswith(b"{")
    groups = [GroupReadings(group=g, ts=1, dt=[0], late_ms=[0], values=[[g]]) for g in range(200)]
    plain = encode(Batch(birth="00", groups=groups))
    packed = encode(Batch(birth="00", groups=groups), compress=True)
    assert packed[:4] == bytes.fromhex("28b52ffd")  # RFC 8878, 3.1.1
    assert len(packed) < len(plain) / 3


def test_fields_of_a_newer_agent_are_ignored() -> None:
    assert decode_status(STATUS[:-1] + b',"sig":"x","later":{"a":[1]}}') == decode_status(STATUS)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"1",
        b"null",
        b"hello",
        b"\xff\xfe",
        b'{"v":1',
        b'{"v":"1"}',
        b'{"v":1.0}',
        b'{"v":true}',
        b'{"agent":"gw-1"}',
        b'{"v":1,"agent":"gw-1"}',
        STATUS + b"x",
        STATUS.replace(b"gw-1", b"gw\xff1"),
        STATUS.replace(b"gw-1", rb"gw\ud800"),
        STATUS.replace(b'"online"', b'"asleep"'),
        STATUS.replace(b"1767225600000000", b"NaN"),
        STATUS.replace(b"1767225600000000", b"1e15"),
        b"\x28\xb5\x2f\xfd",
        b"\x28\xb5\x2f\xfdgarbage that is no frame",
        zstandard.ZstdCompressor().compress(STATUS)[:-3],
        zstandard.ZstdCompressor().compress(STATUS) + b"trailing",
        zstandard.ZstdCompressor().compress(b"not json"),
    ],
)
def test_what_is_no_message_is_malformed(payload: bytes) -> None:
    assert refusal(payload) == Refusal.MALFORMED


@pytest.mark.parametrize(
    "nested", [b"[" * 30_000 + b"]" * 30_000, b'{"a":' * 9_000 + b"1" + b"}" * 9_000]
)
def test_deep_nesting_is_malformed_and_not_a_crash(nested: bytes) -> None:
    assert refusal(STATUS[:-1] + b',"later":' + nested + b"}") == Refusal.MALFORMED
    with pytest.raises(WireError):
        decode_batch(b'{"birth":"00","groups":[],"later":' + nested + b"}")


@pytest.mark.parametrize("version", [0, 2, -1, 10**30])
def test_another_version_is_named(version: int) -> None:
    assert refusal(b'{"v":%d,"agent":3}' % version) == Refusal.UNKNOWN_VERSION


def test_a_payload_may_have_64_kib_and_no_byte_more() -> None:
    largest = STATUS + b" " * (MAX_WIRE_BYTES - len(STATUS))
    assert decode_status(largest).agent == "gw-1"
    assert refusal(largest + b" ") == Refusal.TOO_LARGE


def test_a_frame_that_announces_too_much_is_refused_before_it_is_inflated() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(MAX_INFLATED_BYTES + 1))
    assert len(bomb) < 200
    assert refusal(bomb) == Refusal.TOO_LARGE


def test_a_frame_that_announces_nothing_is_cut_off() -> None:
    quiet = zstandard.ZstdCompressor(write_content_size=False)
    assert refusal(quiet.compress(bytes(300 * MAX_INFLATED_BYTES))) == Refusal.MALFORMED
    padded = STATUS + b" " * (MAX_INFLATED_BYTES - len(STATUS))
    assert decode_status(quiet.compress(padded)).agent == "gw-1"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_wire_error(payload: bytes) -> None:
    for decode in (decode_birth, decode_data, decode_receipt, decode_status, decode_batch):
        assert code_of(decode, payload) in (None, Refusal.MALFORMED, Refusal.UNKNOWN_VERSION)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(
    st.sampled_from(["v", "agent", "stream", "seq", "first", "sent_us", "batch", "previous"]),
    json_values,
)
def test_a_wrong_value_anywhere_is_a_wire_error(key: str, value: Any) -> None:
    message = json.loads(encode(data_message(b'{"birth":"00","groups":[]}', previous="0197")))
    payload = json.dumps(message | {key: value}).encode()
    code = code_of(lambda p: decode_batch(decode_data(p).batch), payload)
    assert code in (None, Refusal.MALFORMED, Refusal.UNKNOWN_VERSION)


@pytest.mark.parametrize("number", [-1, INT64_MAX + 1, 10**30])
def test_a_receipt_that_no_agent_can_store_is_malformed(number: int) -> None:
    for field in (
        '"through":%d',
        '"through":0,"ahead":[[1,%d]]',
        '"through":0,"refused":[[%d,"x"]]',
    ):
        stream = '{"stream":"s",' + field % number + "}"
        payload = '{"v":1,"agent":"a","db":"d","commit_no":1,"streams":[' + stream + "]}"
        with pytest.raises(WireError) as caught:
            decode_receipt(payload.encode())
        assert caught.value.code == Refusal.MALFORMED


@pytest.mark.parametrize("kind", ["birth", "data", "status", "receipt"])
def test_a_topic_goes_both_ways(kind: str) -> None:
    assert topic("gw-1", kind) == f"enpilot/v1/gw-1/{kind}"
    assert parse_topic(topic("gw-1", kind)) == ("gw-1", kind)


@pytest.mark.parametrize(
    "name",
    [
        "enpilot/v1/gw-1", "enpilot/v1/gw-1/data/x", "enpilot/v2/gw-1/data", "enpilot/v1//data",
        "enpilot/v1/GW/data", "enpilot/v1/+/data", "enpilot/v1/gw-1/command",
        "/enpilot/v1/gw-1/data",
        "enpilot/v1/gw-1\n/data", "enpilot/v1/" + "a" * 64 + "/data", "",
    ],
)  # fmt: skip
def test_another_topic_is_refused(name: str) -> None:
    with pytest.raises(TopicError):
        parse_topic(name)


def test_an_agent_id_that_would_reach_other_topics_is_refused() -> None:
    for agent in ("#", "a/b", "", "Gw", "gw\n"):
        with pytest.raises(TopicError):
            topic(agent, "data")
    assert topic("+", "data") == "enpilot/v1/+/data"


def test_codes_that_are_stored_for_decades_keep_their_numbers() -> None:
    # Written out here so that a change shows up as a failing test (D6, wire version 1).
    assert {q.name: q.value for q in Quality} == {
        "GOOD": 0, "NO_RESPONSE": 1, "EXCEPTION_REPLY": 2, "NOT_AVAILABLE": 3, "NOT_FINITE": 4,
        "OVERFLOW": 5, "STALE": 6, "SENSOR_FAULT": 7,
    }  # fmt: skip
    assert {f.name: f.value for f in QualityFlag} == {
        "CLOCK_HELD": 0x100, "THINNED": 0x200, "IMPORTED": 0x400, "OUT_OF_RANGE": 0x800,
        "MANUAL": 0x1000, "DERIVED": 0x2000, "BEGINS": 0x4000,
    }  # fmt: skip
    assert sorted(Refusal) == [
        "fork", "future_timestamp", "malformed", "no_grant", "overflow", "shape", "too_large",
        "unknown_group", "unknown_version", "write_failed", "wrong_identity",
    ]  # fmt: skip
