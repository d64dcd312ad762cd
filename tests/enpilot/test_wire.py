"""Wire version 1: what is sent comes back, what is not a message is refused with its reason."""

from __future__ import annotations

import hashlib
import json

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from enpilot.wire import (
    Batch,
    DataMessage,
    GroupReadings,
    Refusal,
    WireError,
    decode_batch,
    decode_birth,
    decode_data,
    decode_receipt,
    encode,
    parse_topic,
    sha256_hex,
    topic,
)
from enpilot.wire.codec import MAX_INFLATED_BYTES, MAX_WIRE_BYTES
from enpilot.wire.topics import TopicError


def message(batch: Batch) -> DataMessage:
    return DataMessage(
        v=1, agent="gw1", stream="s", seq=1, first=1, sent_us=0, batch=msgspec.Raw(encode(batch))
    )


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    groups = []
    for group in range(draw(st.integers(1, 3))):
        n = draw(st.integers(1, 5))
        whole = st.integers(-(2**53), 2**53)
        value = st.one_of(whole, st.floats(allow_nan=False, allow_infinity=False), st.none())
        column = st.lists(value, min_size=n, max_size=n)
        groups.append(
            GroupReadings(
                group=group,
                ts=draw(st.integers(0, 2**52)),
                dt=draw(st.lists(st.integers(0, 10**9), min_size=n, max_size=n)),
                late_ms=draw(st.lists(st.integers(0, 999), min_size=n, max_size=n)),
                values=draw(st.lists(column, min_size=1, max_size=3)),
            )
        )
    return Batch(birth="00" * 32, groups=groups)


@given(batches(), st.booleans())
def test_a_batch_comes_back_and_keeps_its_hash(batch: Batch, compress: bool) -> None:
    body = encode(batch)
    back = decode_data(encode(message(batch), compress=compress))
    assert bytes(back.batch) == body
    assert sha256_hex(back.batch) == hashlib.sha256(body).hexdigest()
    assert decode_batch(back.batch) == batch


def test_the_envelope_may_change_and_the_batch_stays_the_same() -> None:
    batch = Batch(birth="x", groups=[])
    first, later = message(batch), message(batch)
    later.first, later.sent_us = 9, 10**15
    assert sha256_hex(decode_data(encode(first)).batch) == sha256_hex(
        decode_data(encode(later)).batch
    )


def test_unknown_fields_are_ignored() -> None:
    said = json.loads(encode(message(Batch(birth="x", groups=[]))))
    said["tomorrow"] = {"new": 1}
    assert decode_data(json.dumps(said).encode()).seq == 1


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", Refusal.MALFORMED),
        (b"{", Refusal.MALFORMED),
        (b"\xff\xfe", Refusal.MALFORMED),
        (b"[]", Refusal.MALFORMED),
        (b'{"v":"1"}', Refusal.MALFORMED),
        (b'{"v":1}', Refusal.MALFORMED),
        (b'{"v":1,"agent":"a","stream":"s","seq":"one","first":1,"sent_us":0,"batch":{}}',
         Refusal.MALFORMED),
        (b'{"v":2}', Refusal.UNKNOWN_VERSION),
        (b"[" * 60_000, Refusal.MALFORMED),
        (b"\x28\xb5\x2f\xfd not a frame", Refusal.MALFORMED),
        (b" " * (MAX_WIRE_BYTES + 1), Refusal.TOO_LARGE),
        (zstandard.compress(b" " * (MAX_INFLATED_BYTES + 1)), Refusal.TOO_LARGE),
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused_with_its_reason(payload: bytes, code: Refusal) -> None:
    with pytest.raises(WireError) as refused:
        decode_data(payload)
    assert refused.value.code is code
    assert str(refused.value)


def test_a_frame_that_hides_its_size_is_not_inflated_beyond_the_limit() -> None:
    bomb = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    frame = bomb.compress(b" " * (4 * MAX_INFLATED_BYTES)) + bomb.flush()
    assert len(frame) < MAX_WIRE_BYTES
    with pytest.raises(WireError):
        decode_data(frame)


@given(st.binary(max_size=300))
def test_no_bytes_ever_raise_anything_else(payload: bytes) -> None:
    for decode in (decode_data, decode_birth, decode_receipt):
        with pytest.raises(WireError):
            decode(payload)


def test_topics() -> None:
    assert topic("gw-1", "data") == "enpilot/v1/gw-1/data"
    assert parse_topic("enpilot/v1/gw-1/birth") == ("gw-1", "birth")
    for wrong in ("enpilot/v1/GW/data", "enpilot/v1/a/b/data", "enpilot/v2/a/data", "", "a"):
        with pytest.raises(TopicError):
            parse_topic(wrong)
    with pytest.raises(TopicError):
        topic("a/b", "data")
