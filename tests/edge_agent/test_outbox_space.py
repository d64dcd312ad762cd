"""What gives way when the outbox is full, and what never does (D4)."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.outbox import Outbox, OutboxLimits, read_batches, read_usage
from edge_agent.outbox.thinning import thinned
from enpilot.wire import Batch, GroupReadings, QualityFlag, Receipt, StreamReceipt, encode

BIRTH = "ab" * 32
START_US = 1_780_000_200_000_000  # a multiple of 15 minutes
BATCH_S = 10
SMALL = OutboxLimits(max_mb=0.25, keep_free_mb=0)


def batch(number: int, quality: int = 0) -> Batch:
    """Ten seconds of a counter and a power, every second."""
    ts = START_US + number * BATCH_S * 1_000_000
    seconds = range(BATCH_S)
    return Batch(
        birth=BIRTH,
        groups=[
            GroupReadings(
                group=0,
                ts=ts,
                dt=[i * 1_000_000 for i in seconds],
                late_ms=[7] * BATCH_S,
                values=[
                    [number * BATCH_S + i for i in seconds],
                    [((number * 7919 + i * 104_729) % 65_521) / 7 for i in seconds],
                ],
                quality=[[quality] * BATCH_S] * 2 if quality else None,
            )
        ],
    )


def append(outbox: Outbox, numbers: range) -> None:
    for n in numbers:
        first = START_US + n * BATCH_S * 1_000_000
        body = encode(batch(n))
        outbox.append(BIRTH, body, 2 * BATCH_S, first, first + (BATCH_S - 1) * 1_000_000)


def opened(file: Path, limits: OutboxLimits) -> Outbox:
    outbox = Outbox(file, "gw-1", limits)
    outbox.keep_birth(BIRTH, b'{"v":1}')
    return outbox


def samples(batches: list[Batch]) -> dict[int, tuple[list[object], list[int]]]:
    """Return values and qualities by time."""
    return {
        g.ts + d: ([c[i] for c in g.values], [c[i] for c in g.quality or []])
        for b in batches for g in b.groups for i, d in enumerate(g.dt)
    }  # fmt: skip


def test_what_is_confirmed_gives_way_first(tmp_path: Path) -> None:
    outbox = opened(tmp_path / "o.sqlite", SMALL)
    append(outbox, range(2000))
    for _ in range(17):
        held = outbox.next_held(100)
        outbox.note_sent(held)
        streams = [StreamReceipt(stream=outbox.stream, through=held[-1].seq)]
        outbox.apply_receipt(Receipt(v=1, agent="gw-1", db="d", commit_no=1, streams=streams))
    before = outbox.load()
    assert before.batches == 300
    assert outbox.tidy([BIRTH]) == 0  # no reading that waits was given up
    assert outbox.load() == before
    usage = outbox.usage()
    assert usage.used_bytes <= usage.limit_bytes
    assert (usage.dropped_readings, usage.thinned_readings) == (0, 0)
    outbox.close()


def test_by_thinning_the_oldest_keep_a_value_every_quarter_of_an_hour(tmp_path: Path) -> None:
    file = tmp_path / "o.sqlite"
    outbox = opened(file, SMALL)
    append(outbox, range(2500))
    cost = outbox.tidy([BIRTH])
    usage = outbox.usage()
    assert usage.used_bytes <= usage.limit_bytes
    assert (usage.dropped_readings, usage.thinned_readings) == (0, cost)
    kept = samples(list(read_batches(file)))
    full = samples([batch(n) for n in range(2500)])
    assert {t: v for t, (v, _) in kept.items()} == {t: full[t][0] for t in kept}  # as it was read
    thin = sorted(t for t, (_, quality) in kept.items() if quality)
    assert {q for t in thin for q in kept[t][1]} == {QualityFlag.THINNED}
    assert {b - a for a, b in itertools.pairwise(thin)} == {900_000_000}
    assert thin[0] == START_US
    # The newest are whole.
    whole = sorted(kept.keys() - set(thin))
    assert whole[-1] == max(full)
    assert {b - a for a, b in itertools.pairwise(whole)} == {1_000_000}
    assert usage.readings + cost == 2500 * 2 * BATCH_S
    # Its number is the last one of the run; the platform books what is below as a gap.
    first = outbox.next_held(10_000)[0]
    assert first.seq > 1
    assert first.first == first.seq
    outbox.close()
    assert read_usage(file, SMALL).thinned_readings == cost


def test_a_batch_that_was_sent_is_never_thinned(tmp_path: Path) -> None:
    outbox = opened(tmp_path / "o.sqlite", SMALL)
    append(outbox, range(2500))
    sent = {b.seq: b.body for b in outbox.next_held(40)}
    outbox.note_sent(outbox.next_held(40))
    outbox.tidy([BIRTH])
    left = {b.seq: b.body for b in outbox.next_held(10_000)}
    assert {seq: left[seq] for seq in sent} == sent
    outbox.close()


def test_by_dropping_the_oldest_go_and_the_gap_is_below_first(tmp_path: Path) -> None:
    file = tmp_path / "o.sqlite"
    outbox = opened(file, OutboxLimits(max_mb=0.25, keep_free_mb=0, policy="drop_oldest"))
    append(outbox, range(2500))
    cost = outbox.tidy([BIRTH])
    left = [b.seq for b in outbox.next_held(10_000)]
    assert left == list(range(left[0], 2501))
    assert cost == (left[0] - 1) * 2 * BATCH_S == outbox.usage().dropped_readings
    assert {b.first for b in outbox.next_held(10_000)} == {left[0]}
    outbox.close()


def test_what_waits_too_long_is_dropped_but_a_stream_keeps_its_last_number(tmp_path: Path) -> None:
    file = tmp_path / "o.sqlite"
    old = opened(file, SMALL)
    append(old, range(30))
    old.close()
    hours = (time.time() - START_US / 1e6) / 3600
    outbox = opened(file, OutboxLimits(max_h=max(hours - 1, 0.001), keep_free_mb=0))
    if hours > 1:
        cost = outbox.tidy([BIRTH])
        assert cost == 30 * 2 * BATCH_S
        (last,) = outbox.next_held(100)
        assert (last.stream, last.seq, last.first) == (old.stream, 30, 30)
        assert last.body == encode(Batch(birth=BIRTH, groups=[]))  # it only says: 29 are missing
    outbox.close()


def test_on_a_full_disk_it_makes_room_within_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = opened(tmp_path / "o.sqlite", OutboxLimits(policy="drop_oldest"))
    append(outbox, range(500))
    whole = outbox.usage()
    free_mb = whole.limit_bytes / 2**20 * 1e6
    outbox._limits = OutboxLimits(policy="drop_oldest", keep_free_mb=free_mb)
    usage = outbox.usage()
    assert usage.limit_bytes < whole.used_bytes  # not more than the file has
    outbox.tidy([BIRTH])
    assert 0.8 * whole.used_bytes < outbox.usage().used_bytes <= outbox.usage().limit_bytes
    assert outbox.load().batches > 400  # and no more than that was given up
    outbox.close()


def test_a_large_backlog_is_not_searched_through(tmp_path: Path) -> None:
    outbox = opened(tmp_path / "o.sqlite", OutboxLimits())
    with outbox._transaction() as db:
        body = encode(batch(0))
        db.executemany(
            "INSERT INTO batch (stream, seq, birth, readings, first_us, last_us, body)"
            " VALUES (?, ?, ?, 20, 1, 1, ?)",
            ((outbox.stream, n, BIRTH, body) for n in range(1, 20_001)),
        )
        outbox._seq = 20_000
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    outbox._db.set_progress_handler(count, 1)  # after every step of SQLite's machine
    assert [b.seq for b in outbox.next_held(32, {(outbox.stream, 1)})] == list(range(2, 34))
    outbox._db.set_progress_handler(None, 0)
    assert steps < 5000  # of the batches that go out, not of those that wait
    outbox.close()


@given(
    st.lists(st.tuples(st.integers(0, 400), st.booleans()), min_size=1, max_size=30),
    st.sampled_from([60, 900]),
)
def test_thinning_keeps_one_good_sample_of_each_slot(
    written: list[tuple[int, bool]], to_s: int
) -> None:
    batches = [batch(n, 0 if good else 1) for n, good in sorted(dict(written).items())]
    full = samples(batches)
    kept = samples([thinned(batches, to_s)])
    slot_us = to_s * 1_000_000
    assert sorted({t // slot_us for t in full}) == sorted(t // slot_us for t in kept)
    for ts, (values, quality) in kept.items():
        same_slot = [t for t in full if t // slot_us == ts // slot_us]
        good = [t for t in same_slot if not any(full[t][1])]
        assert ts == min(good or same_slot)
        assert values == full[ts][0]
        assert all(q & QualityFlag.THINNED for q in quality)
    # Thinning what is thin changes nothing.
    assert samples([thinned([thinned(batches, to_s)], to_s)]) == kept
