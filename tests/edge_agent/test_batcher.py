"""Samples into batches: every reading once, in order, and never too large for a message."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.batcher import Batcher, FilledBatch
from edge_agent.poller import Sample
from enpilot.wire import MAX_WIRE_BYTES, decode_batch

BIRTH = "ab" * 32
T0 = 1_767_225_600_000_000  # 2026-01-01T00:00Z


def cut_all(batcher: Batcher) -> list[FilledBatch]:
    return list(iter(batcher.cut, None))


def unpack(batches: list[FilledBatch]) -> list[Sample]:
    """Read samples back out of the bytes, as a receiver does."""
    found = []
    for filled in batches:
        batch = decode_batch(filled.body)
        assert batch.birth == BIRTH
        for g in batch.groups:
            for i, (delta, late) in enumerate(zip(g.dt, g.late_ms, strict=True)):
                values = [column[i] for column in g.values]
                quality = [0 if g.quality is None else column[i] for column in g.quality or values]
                found.append(
                    Sample(
                        g.group,
                        g.ts + delta,
                        late,
                        [int(v) if isinstance(v, str) else v for v in values],
                        quality,
                    )
                )
    return found


def test_a_batch_is_columns_by_group() -> None:
    batcher = Batcher(BIRTH, 1000, frozenset(range(10)))
    batcher.add(Sample(7, T0, 3, [100, 2.5], [0, 0]))
    batcher.add(Sample(2, T0, 4, [None], [1]))
    batcher.add(Sample(7, T0 + 1_000_000, 5, [101, 2.75], [0, 0]))
    filled = batcher.cut()
    assert filled is not None
    assert json.loads(filled.body) == {
        "birth": BIRTH,
        "groups": [
            {"group": 2, "ts": T0, "dt": [0], "late_ms": [4], "values": [[None]],
             "quality": [[1]]},
            {"group": 7, "ts": T0, "dt": [0, 1_000_000], "late_ms": [3, 5],
             "values": [[100, 101], [2.5, 2.75]]},
        ],
    }  # fmt: skip
    assert (filled.readings, filled.first_us, filled.last_us) == (5, T0, T0 + 1_000_000)
    assert batcher.cut() is None


@pytest.mark.parametrize(
    ("number", "on_wire"),
    [
        (2**53, 2**53),
        (2**53 + 1, "9007199254740993"),
        (-(2**53) - 1, "-9007199254740993"),
        (2**63 - 1, "9223372036854775807"),
    ],
)
def test_integers_that_other_readers_would_round_travel_as_text(
    number: int, on_wire: int | str
) -> None:
    batcher = Batcher(BIRTH, 10, frozenset(range(10)))
    batcher.add(Sample(0, T0, 0, [number], [0]))
    filled = batcher.cut()
    assert filled is not None
    assert json.loads(filled.body)["groups"][0]["values"] == [[on_wire]]


samples = st.lists(
    st.integers(0, 5).flatmap(
        lambda group: st.builds(
            Sample,
            group=st.just(group),
            ts_us=st.integers(T0, T0 + 10**12),
            late_ms=st.integers(0, 999),
            values=st.lists(
                st.none()
                | st.integers(-(2**63), 2**63 - 1)
                | st.floats(allow_nan=False, allow_infinity=False),
                min_size=group + 1,
                max_size=group + 1,
            ),
            quality=st.lists(st.integers(0, 0x1FFF), min_size=group + 1, max_size=group + 1),
        )
    ),
    max_size=60,
)


@given(samples, st.integers(1, 50))
def test_every_reading_is_in_one_batch_and_a_series_keeps_its_order(
    taken: list[Sample], most: int
) -> None:
    batcher = Batcher(BIRTH, most, frozenset(range(10)))
    for sample in taken:
        batcher.add(sample)
    assert batcher.full == (sum(len(s.values) for s in taken) >= most)
    batches = cut_all(batcher)
    assert not batcher.full or most == 0
    found = unpack(batches)
    for group in {s.group for s in taken}:
        assert [s for s in found if s.group == group] == [s for s in taken if s.group == group]
    assert len(found) == len(taken)
    for filled in batches:
        assert filled.readings <= max(most, 6)
        held = unpack([filled])
        assert filled.readings == sum(len(s.values) for s in held)
        assert filled.first_us == min(s.ts_us for s in held)
        assert filled.last_us == max(s.ts_us for s in held)


def test_what_piles_up_while_the_disk_is_slow_still_fits_messages() -> None:
    batcher = Batcher(BIRTH, 2000, frozenset(range(10)))
    taken = [
        Sample(i % 900, T0 + i, 999, [9_007_199_254_740_993 + i, 0.1234567890123 + i], [0x101] * 2)
        for i in range(9_000)
    ]
    for sample in taken:
        batcher.add(sample)
    batches = cut_all(batcher)
    assert max(len(b.body) for b in batches) <= MAX_WIRE_BYTES - 1024  # the envelope's room
    assert sum(b.readings for b in batches) == 18_000
    assert sorted(unpack(batches), key=lambda s: s.ts_us) == taken


def test_one_block_of_everything_a_request_can_hold_fits_a_message() -> None:
    batcher = Batcher(BIRTH, 1, frozenset(range(10)))
    batcher.add(Sample(65_535, T0, 999, [2**63 - 1] * 125, [0x1FFF] * 125))
    filled = batcher.cut()
    assert filled is not None
    assert len(filled.body) < 8_000
