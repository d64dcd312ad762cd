"""Databases that fall back, outboxes that are copied, batches that are refused (D2-D4)."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from edge_agent.outbox import (
    Applied,
    Outbox,
    read_batches,
    read_dead_letters,
    requeue_dead_letters,
)
from enpilot.wire import Receipt, StreamReceipt

BIRTH = "ab" * 32
NOW_US = time.time_ns() // 1000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


def opened(file: Path) -> Outbox:
    outbox = Outbox(file, "gw-1")
    outbox.keep_birth(BIRTH, b'{"v":1}')
    return outbox


def fill(outbox: Outbox, count: int) -> None:
    for _ in range(count):
        outbox.append(
            BIRTH, b"%d of %s" % (outbox._seq + 1, outbox.stream.encode()), 10, NOW_US, NOW_US
        )


def send_all(outbox: Outbox) -> None:
    outbox.note_sent(outbox.next_held(10_000))


def hear(outbox: Outbox, *entries: StreamReceipt, commit_no: int = 1, db: str = "db") -> Applied:
    return outbox.apply_receipt(
        Receipt(v=1, agent="gw-1", db=db, commit_no=commit_no, streams=list(entries))
    )


def held(outbox: Outbox) -> list[int]:
    return [b.seq for b in outbox.next_held(10_000)]


def test_a_database_that_falls_back_gets_what_it_lost_again(file: Path) -> None:
    outbox = opened(file)
    fill(outbox, 10)
    send_all(outbox)
    hear(outbox, StreamReceipt(stream=outbox.stream, through=9), commit_no=9)
    # The same cluster, put back: numbers go on from lower ones, and are overtaken once.
    applied = hear(outbox, StreamReceipt(stream=outbox.stream, through=4), commit_no=9)
    assert applied.revived == 5
    assert held(outbox) == [5, 6, 7, 8, 9, 10]
    outbox.close()


def test_streams_of_earlier_starts_are_asked_for_and_taken_back(file: Path) -> None:
    first = opened(file)
    fill(first, 3)
    send_all(first)
    hear(first, StreamReceipt(stream=first.stream, through=3))
    first.close()
    outbox = opened(file)
    fill(outbox, 2)
    send_all(outbox)
    assert outbox.confirmed_streams() == [first.stream]
    hear(outbox, StreamReceipt(stream=outbox.stream, through=2), commit_no=2)
    assert outbox.confirmed_streams() == [outbox.stream, first.stream]
    # The database was put back to before the first stream was opened.
    entry = StreamReceipt(stream=first.stream, through=0)
    assert hear(outbox, entry, commit_no=3).revived == 3
    assert held(outbox) == [1, 2, 3]
    assert outbox.confirmed_streams() == [outbox.stream]
    outbox.close()


def test_holes_above_through_are_sent_again_too(file: Path) -> None:
    outbox = opened(file)
    fill(outbox, 10)
    send_all(outbox)
    hear(outbox, StreamReceipt(stream=outbox.stream, through=10), commit_no=5)
    entry = StreamReceipt(stream=outbox.stream, through=2, ahead=[(4, 5), (8, 8)])
    assert hear(outbox, entry, commit_no=6).revived == 5
    assert held(outbox) == [3, 6, 7, 9, 10]
    outbox.close()


def test_lower_commit_numbers_count_only_when_they_stay(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = opened(file)
    fill(outbox, 5)
    send_all(outbox)
    hear(outbox, StreamReceipt(stream=outbox.stream, through=5), commit_no=50)
    late = StreamReceipt(stream=outbox.stream, through=3)
    assert hear(outbox, late, commit_no=40) == Applied()  # another worker's, overtaken
    outbox._heard_s -= 61
    kept = Receipt(v=1, agent="gw-1", db="db", commit_no=40, streams=[late])
    assert outbox.apply_receipt(kept, retained=True) == Applied()
    applied = hear(outbox, late, commit_no=40)
    assert (applied.other_database, applied.revived, applied.confirmed) == (True, 5, 3)
    assert held(outbox) == [4, 5]
    outbox.close()


def test_another_database_puts_every_stream_in_doubt(file: Path) -> None:
    first = opened(file)
    fill(first, 3)
    send_all(first)
    hear(first, StreamReceipt(stream=first.stream, through=3))
    first.close()
    second = opened(file)
    fill(second, 2)
    send_all(second)
    hear(second, StreamReceipt(stream=second.stream, through=2), commit_no=2)
    assert held(second) == []
    applied = hear(second, StreamReceipt(stream=second.stream, through=1), db="restored")
    assert (applied.other_database, applied.revived, applied.confirmed) == (True, 5, 1)
    assert [(b.stream, b.seq) for b in second.next_held(10)] == [
        (second.stream, 2), (first.stream, 1), (first.stream, 2), (first.stream, 3),
    ]  # fmt: skip
    second.close()


def test_what_is_forgotten_is_below_first_where_the_platform_sees_it(file: Path) -> None:
    outbox = opened(file)
    fill(outbox, 10)
    send_all(outbox)
    # The backlog is confirmed after what was live.
    hear(outbox, StreamReceipt(stream=outbox.stream, through=0, ahead=[(6, 10)]))
    outbox._db.execute("UPDATE batch SET confirmed_us = 1 WHERE state = 'confirmed'")
    hear(outbox, StreamReceipt(stream=outbox.stream, through=10), commit_no=2)
    assert outbox.forget_confirmed(3600, [BIRTH]) == 0  # 1 to 5 are young, and before them
    outbox._db.execute("UPDATE batch SET confirmed_us = 1 WHERE seq <= 7")
    outbox._db.execute("UPDATE batch SET confirmed_us = 1 << 62 WHERE seq > 7")
    assert outbox.forget_confirmed(3600, [BIRTH]) == 7
    hear(outbox, StreamReceipt(stream=outbox.stream, through=2), db="restored")
    assert {(b.seq, b.first) for b in outbox.next_held(10)} == {(8, 8), (9, 8), (10, 8)}
    outbox.close()


def test_a_fork_is_numbered_anew_in_a_stream_of_its_own(file: Path) -> None:
    outbox = opened(file)
    fill(outbox, 4)
    send_all(outbox)
    bodies = [b.body for b in outbox.next_held(10)]
    before = outbox.stream
    entry = StreamReceipt(stream=before, through=1, ahead=[(3, 3)], refused=[(2, "fork")])
    applied = hear(outbox, entry)
    assert (applied.confirmed, applied.renumbered, applied.dead) == (2, 1, [])
    assert applied.stream == outbox.stream != before
    waiting = {(b.stream, b.seq): (b.body, b.previous) for b in outbox.next_held(10)}
    assert waiting == {
        (outbox.stream, 1): (bodies[1], before), (before, 4): (bodies[3], None),
    }  # fmt: skip
    fill(outbox, 1)
    assert (outbox.stream, 2) in {(b.stream, b.seq) for b in outbox.next_held(10)}
    outbox.close()


def test_numbers_never_given_here_mean_that_another_writes_this_stream(file: Path) -> None:
    outbox = opened(file)
    fill(outbox, 3)
    before = outbox.stream
    bodies = [b.body for b in outbox.next_held(10)]
    applied = hear(outbox, StreamReceipt(stream=before, through=7))
    assert (applied.confirmed, applied.renumbered) == (0, 3)  # nothing is taken for stored
    assert [(b.stream, b.seq, b.body) for b in outbox.next_held(10)] == [
        (outbox.stream, i + 1, body) for i, body in enumerate(bodies)
    ]
    assert outbox.stream != before
    outbox.close()


def test_what_was_never_sent_is_not_taken_for_stored(file: Path) -> None:
    outbox = opened(file)
    fill(outbox, 5)
    outbox.note_sent(outbox.next_held(2))
    assert hear(outbox, StreamReceipt(stream=outbox.stream, through=5)).confirmed == 2
    assert held(outbox) == [3, 4, 5]
    outbox.close()


def test_a_copied_outbox_sends_the_same_under_the_same_numbers_and_news_under_others(
    file: Path,
) -> None:
    original = opened(file)
    fill(original, 3)
    original.close()
    shutil.copy(file, file.with_name("copy.sqlite"))
    ones, others = opened(file), opened(file.with_name("copy.sqlite"))
    fill(ones, 1)
    fill(others, 1)
    sent = [{(b.stream, b.seq): b.body for b in o.next_held(10)} for o in (ones, others)]
    shared = sent[0].keys() & sent[1].keys()
    assert shared == {(original.stream, n) for n in (1, 2, 3)}
    assert all(sent[0][key] == sent[1][key] for key in shared)
    # Two live streams with one predecessor: that is how the platform finds the clone.
    assert {b.previous for o in (ones, others) for b in o.next_held(10) if b.live} == {
        original.stream
    }
    ones.close()
    others.close()


def test_a_batch_that_is_passed_over_ten_times_is_set_apart_and_can_be_requeued(
    file: Path,
) -> None:
    outbox = opened(file)
    fill(outbox, 2)
    send_all(outbox)
    for n in range(1, 11):
        assert held(outbox)[0] == 1
        entry = StreamReceipt(stream=outbox.stream, through=0, ahead=[(2, n + 1)])
        assert hear(outbox, entry, commit_no=n).dead == []
        fill(outbox, 1)
        send_all(outbox)
    applied = hear(
        outbox, StreamReceipt(stream=outbox.stream, through=0, ahead=[(2, 12)]), commit_no=11
    )
    assert applied.dead == [(outbox.stream, 1, "unanswered")]
    assert (held(outbox), outbox.load().dead) == ([], 1)
    (letter,) = read_dead_letters(file)
    assert (letter.seq, letter.code, letter.readings, letter.sends) == (1, "unanswered", 10, 11)
    assert requeue_dead_letters(file, "shape") == 0
    assert requeue_dead_letters(file) == 1
    outbox.tidy([BIRTH])
    (again,) = outbox.next_held(10)
    assert (again.seq, again.body) == (13, b"1 of %s" % outbox.stream.encode())
    outbox.close()


def test_silence_sets_nothing_apart(file: Path) -> None:
    outbox = opened(file)
    fill(outbox, 2)
    send_all(outbox)
    hear(outbox, StreamReceipt(stream=outbox.stream, through=0, ahead=[(2, 2)]))
    for _ in range(30):
        outbox.note_sent(outbox.next_held(10), answered=False)
    fill(outbox, 1)
    send_all(outbox)
    applied = hear(
        outbox, StreamReceipt(stream=outbox.stream, through=0, ahead=[(2, 3)]), commit_no=2
    )
    assert (applied.confirmed, applied.dead) == (1, [])
    outbox.close()


def test_bodies_are_compressed_on_disk_and_come_back_byte_for_byte(file: Path) -> None:
    outbox = opened(file)
    body = b'{"birth":"%s","groups":[' % BIRTH.encode() + b'{"group":1,"ts":1},' * 200 + b"]}"
    outbox.append(BIRTH, body, 10, 1, 2)
    (kept,) = outbox._db.execute("SELECT length(body) FROM batch").fetchone()
    assert kept < len(body) / 10
    assert outbox.next_held(1)[0].body == body
    outbox.close()
    with pytest.raises(ValueError, match="not a Batch"):
        list(read_batches(file))
