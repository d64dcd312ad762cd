"""The outbox: what was committed stays, keeps its number and its bytes, until it is confirmed."""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from edge_agent.errors import OutboxError, OutboxWriteError
from edge_agent.outbox import Applied, HeldBatch, Outbox, OutboxLoad, read_streams
from enpilot.wire import Receipt, StreamReceipt

BIRTH = "ab" * 32
EVERYTHING = 10**6


def opened(file: Path, agent: str = "gw-1") -> Outbox:
    outbox = Outbox(file, agent)
    outbox.keep_birth(BIRTH, b'{"v":1}')
    return outbox


def fill(outbox: Outbox, count: int) -> list[int]:
    return [outbox.append(BIRTH, b"batch %d" % i, 10, 1000 + i, 2000 + i) for i in range(count)]


def held(outbox: Outbox) -> list[HeldBatch]:
    return outbox.next_held(EVERYTHING, set())


def fill_and_send(outbox: Outbox, count: int) -> None:
    fill(outbox, count)
    outbox.note_sent(held(outbox))


def receipt(
    stream: str, through: int = 0, commit_no: int = 1, db: str = "db", **more: Any
) -> Receipt:
    streams = [StreamReceipt(stream=stream, through=through, **more)]
    return Receipt(v=1, agent="gw-1", db=db, commit_no=commit_no, streams=streams)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


def test_batches_are_numbered_from_one_and_keep_their_bytes(file: Path) -> None:
    outbox = opened(file)
    assert fill(outbox, 3) == [1, 2, 3]
    assert [(b.seq, b.body, b.first) for b in held(outbox)] == [
        (1, b"batch 0", 1), (2, b"batch 1", 1), (3, b"batch 2", 1),
    ]  # fmt: skip
    assert outbox.load() == OutboxLoad(3, 30, 1000)
    assert outbox.readings_committed() == 30
    outbox.close()


def test_the_disk_is_asked_for_everything_at_each_commit(file: Path) -> None:
    outbox = opened(file)
    assert outbox._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert outbox._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    outbox.close()


def test_each_start_is_a_new_stream_that_names_the_one_before(file: Path) -> None:
    streams = []
    for _ in range(3):
        outbox = opened(file)
        fill(outbox, 1)
        streams.append(outbox.stream)
        outbox.close()
    outbox = opened(file)
    assert [uuid.UUID(s).version for s in streams] == [7, 7, 7]
    assert len({*streams, outbox.stream}) == 4
    assert {b.stream: b.previous for b in held(outbox)} == {
        streams[0]: None, streams[1]: streams[0], streams[2]: streams[1],
    }  # fmt: skip
    assert {b.seq for b in held(outbox)} == {1}
    outbox.close()


def test_a_clock_that_was_set_back_does_not_fork_the_chain_of_streams(file: Path) -> None:
    first = opened(file)
    first._db.execute("UPDATE stream SET opened_us = opened_us + 3600000000")
    first.close()
    second = opened(file)
    second.close()
    third = opened(file)
    fill(third, 1)
    assert held(third)[0].previous == second.stream
    third.close()


def test_what_runs_now_is_sent_first_and_the_backlog_behind_it_in_order(file: Path) -> None:
    old = opened(file)
    fill(old, 3)
    old.close()
    new = opened(file)
    fill(new, 2)
    assert [(b.stream, b.seq) for b in new.next_held(4, set())] == [
        (new.stream, 1), (new.stream, 2), (old.stream, 1), (old.stream, 2),
    ]  # fmt: skip
    in_flight = {(new.stream, 1), (old.stream, 1)}
    assert [(b.stream, b.seq) for b in new.next_held(2, in_flight)] == [
        (new.stream, 2), (old.stream, 2),
    ]  # fmt: skip
    new.close()


def test_a_receipt_confirms_through_and_ahead_and_sets_refused_apart(file: Path) -> None:
    outbox = opened(file)
    fill_and_send(outbox, 10)
    said = receipt(
        outbox.stream, through=3, ahead=[(5, 6), (9, 9)], refused=[(2, "shape"), (6, "overflow")]
    )
    applied = outbox.apply_receipt(said)
    assert (applied.confirmed, [d[1:] for d in applied.dead]) == (
        4,
        [(2, "shape"), (6, "overflow")],
    )
    assert [b.seq for b in held(outbox)] == [4, 7, 8, 10]
    # The oldest that can still be sent, confirmed or not: nothing below is missing (D3, D4).
    assert {b.first for b in held(outbox)} == {1}
    assert outbox._db.execute(
        "SELECT seq, refusal_code FROM batch WHERE state = 'dead' ORDER BY seq"
    ).fetchall() == [(2, "shape"), (6, "overflow")]
    assert outbox.apply_receipt(said) == Applied()  # again: nothing more
    outbox.close()
    (stream,) = read_streams(file)
    assert (stream.batches, stream.held, stream.dead, stream.complete) == (10, 4, 2, True)


def test_a_receipt_for_another_stream_changes_nothing_here(file: Path) -> None:
    outbox = opened(file)
    fill_and_send(outbox, 2)
    other = str(uuid.uuid4())
    assert outbox.apply_receipt(receipt(other, through=99)) == Applied(foreign=[other])
    assert len(held(outbox)) == 2
    outbox.close()


def test_an_older_receipt_of_the_same_database_is_ignored(file: Path) -> None:
    outbox = opened(file)
    fill_and_send(outbox, 5)
    assert outbox.apply_receipt(receipt(outbox.stream, 2, commit_no=20)).confirmed == 2
    assert outbox.apply_receipt(receipt(outbox.stream, 5, commit_no=19)).confirmed == 0
    assert outbox.apply_receipt(receipt(outbox.stream, 3, commit_no=20)).confirmed == 1
    # Another database counts for itself: all that was confirmed is in doubt, and four are there.
    applied = outbox.apply_receipt(receipt(outbox.stream, 4, commit_no=1, db="restored"))
    assert (applied.other_database, applied.revived, applied.confirmed) == (True, 3, 4)
    outbox.close()


def test_a_receipt_that_only_asks_for_births_confirms_nothing(file: Path) -> None:
    outbox = opened(file)
    fill_and_send(outbox, 1)
    assert outbox.apply_receipt(receipt(outbox.stream, 1, commit_no=50)).confirmed == 1
    fill_and_send(outbox, 1)
    asking = Receipt(v=1, agent="gw-1", db="", commit_no=0, streams=[], need=[BIRTH])
    assert outbox.apply_receipt(asking).confirmed == 0
    # And it does not make the next receipt of the database look new or old.
    assert outbox.apply_receipt(receipt(outbox.stream, 2, commit_no=49)).confirmed == 0
    assert outbox.apply_receipt(receipt(outbox.stream, 2, commit_no=51)).confirmed == 1
    outbox.close()


def test_confirmed_batches_stay_for_their_time_and_refused_ones_for_good(file: Path) -> None:
    outbox = opened(file)
    outbox.keep_birth("cd" * 32, b"newer")
    fill_and_send(outbox, 3)
    outbox.apply_receipt(receipt(outbox.stream, 2, refused=[(1, "shape")]))
    assert outbox.forget_confirmed(3600, ["cd" * 32]) == 0
    assert outbox.readings_committed() == 30
    assert outbox.forget_confirmed(-1, ["cd" * 32]) == 1
    assert outbox.readings_committed() == 20
    assert [b.seq for b in held(outbox)] == [3]
    outbox.close()
    (stream,) = read_streams(file)
    assert (stream.batches, stream.dead, stream.complete) == (2, 1, True)


def test_a_birth_stays_as_long_as_a_batch_quotes_it(file: Path) -> None:
    outbox = opened(file)
    outbox.keep_birth("cd" * 32, b"newer")
    fill_and_send(outbox, 2)
    assert outbox.births(["cd" * 32]) == [(BIRTH, b'{"v":1}'), ("cd" * 32, b"newer")]
    outbox.apply_receipt(receipt(outbox.stream, 2))
    assert outbox.births(["cd" * 32]) == [("cd" * 32, b"newer")]  # nothing held quotes the other
    outbox.forget_confirmed(-1, ["cd" * 32])
    assert outbox._db.execute("SELECT sha256 FROM birth").fetchall() == [("cd" * 32,)]
    outbox.close()


def test_a_batch_of_an_unknown_birth_is_refused_whole(file: Path) -> None:
    outbox = opened(file)
    with pytest.raises(OutboxError, match="FOREIGN KEY"):
        outbox.append("ef" * 32, b"x", 1, 1, 1)
    assert fill(outbox, 1) == [1]  # no number was lost
    outbox.close()


def test_threads_share_it(file: Path) -> None:
    outbox = opened(file)
    threads = [threading.Thread(target=fill, args=(outbox, 25)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [b.seq for b in held(outbox)] == list(range(1, 101))
    outbox.close()


def test_it_is_read_from_outside_while_its_agent_runs(file: Path) -> None:
    outbox = opened(file)
    fill(outbox, 2)
    (seen,) = read_streams(file)
    assert (seen.stream, seen.batches, seen.readings, seen.held) == (outbox.stream, 2, 20, 2)
    fill(outbox, 1)
    assert read_streams(file)[0].batches == 3
    outbox.close()
    with pytest.raises(OutboxError, match=r"nowhere\.sqlite: the outbox cannot be read"):
        read_streams(file.with_name("nowhere.sqlite"))
    assert not file.with_name("nowhere.sqlite").exists()


def test_another_agent_s_outbox_is_refused(file: Path) -> None:
    opened(file).close()
    with pytest.raises(OutboxError, match="this outbox has agent 'gw-1', not 'gw-2': name another"):
        Outbox(file, "gw-2")


@pytest.mark.parametrize(
    "content",
    [b"SQLite format 3\0" + b"\x01" * 4000, b"some text\n" * 500, random.Random(1).randbytes(9000)],
)
def test_a_damaged_file_is_refused_and_left_alone(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(OutboxError) as caught:
        Outbox(file, "gw-1")
    assert str(caught.value).startswith(f"{file}: ")
    assert file.read_bytes() == content


def test_another_program_s_database_is_refused_and_left_alone(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE meta (key TEXT, value TEXT)")
        other.commit()
    content = file.read_bytes()
    with pytest.raises(OutboxError, match="another program's SQLite file"):
        Outbox(file, "gw-1")
    assert file.read_bytes() == content


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutboxError, match="the outbox cannot be used"):
        Outbox(tmp_path / "file" / "outbox.sqlite", "gw-1")
    with pytest.raises(OutboxError, match="the outbox cannot be used"):
        Outbox(tmp_path, "gw-1")


def test_damage_in_the_middle_is_said_with_the_file(file: Path) -> None:
    outbox = opened(file)
    fill(outbox, 2000)
    outbox.close()
    damaged = bytearray(file.read_bytes())
    for page in range(4, len(damaged) // 4096):
        damaged[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    file.write_bytes(damaged)
    with pytest.raises(OutboxError, match=r"outbox\.sqlite: the outbox cannot be used: database"):
        held(Outbox(file, "gw-1"))


def test_a_full_disk_is_said_with_the_file_and_loses_no_number(file: Path) -> None:
    outbox = opened(file)
    fill(outbox, 3)
    pages = outbox._db.execute("PRAGMA page_count").fetchone()[0]
    outbox._db.execute(f"PRAGMA max_page_count = {pages + 4}")  # SQLite's own word for full
    with pytest.raises(OutboxWriteError, match=r"outbox\.sqlite: .* database or disk is full"):
        fill(outbox, 500)
    committed = [b.seq for b in held(outbox)]
    assert committed == list(range(1, len(committed) + 1))
    outbox._db.execute("PRAGMA max_page_count = 100000")
    assert fill(outbox, 1) == [len(committed) + 1]
    outbox.close()


WRITER = """
import sys
from pathlib import Path
from edge_agent.outbox import Outbox
outbox = Outbox(Path(sys.argv[1]), "gw-1")
outbox.keep_birth("ab" * 32, b"birth")
print(outbox.stream, flush=True)
number = 0
while True:
    number += 1
    seq = outbox.append("ab" * 32, b"%d" % number * 500, 10, number, number)
    sys.stdout.write(f"{seq}\\n")
    sys.stdout.flush()
"""


def test_a_commit_survives_kill_9(file: Path) -> None:
    committed: dict[str, int] = {}
    for kill_after in (1, 17, 120):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        stream = writer.stdout.readline().strip()
        for line in writer.stdout:
            committed[stream] = int(line)
            if committed[stream] >= kill_after:
                break
        writer.send_signal(signal.SIGKILL)
        # What the pipe still holds was committed too.
        committed[stream] = max([committed[stream], *map(int, writer.stdout.read().split())])
        writer.stdout.close()
        assert writer.wait(10) == -signal.SIGKILL
    outbox = Outbox(file, "gw-1")
    found: dict[str, list[HeldBatch]] = {}
    for batch in held(outbox):
        found.setdefault(batch.stream, []).append(batch)
    assert found.keys() == committed.keys()
    for stream, batches in found.items():
        assert [b.seq for b in batches] == list(range(1, len(batches) + 1))
        # At most the one whose number the kill kept from being printed is more.
        assert committed[stream] <= len(batches) <= committed[stream] + 1
        assert all(b.body == b"%d" % b.seq * 500 for b in batches)
    outbox.close()


class OutboxAndPlatform(RuleBasedStateMachine):
    """An agent that stops and starts, messages and receipts that get lost, double and overtake.

    The platform is a plain model: the ledger of bytes by number that it has committed.
    """

    receipts = Bundle("receipts")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "outbox.sqlite"
        self.outbox = opened(self.file)
        self.written: dict[tuple[str, int], bytes] = {}
        self.ledger: dict[tuple[str, int], bytes] = {}
        self.sent: set[tuple[str, int]] = set()
        self.refused: set[tuple[str, int]] = set()
        self.commit_no = 0
        self.database = "db"
        self.backup: dict[tuple[str, int], bytes] | None = None

    def teardown(self) -> None:
        self.outbox.close()
        self.folder.cleanup()

    @rule(count=st.integers(1, 4))
    def read_meters(self, count: int) -> None:
        for _ in range(count):
            body = b"batch %d" % len(self.written)
            seq = self.outbox.append(BIRTH, body, 1, 1, 1)
            key = (self.outbox.stream, seq)
            assert key not in self.written, "a number is used once"
            self.written[key] = body

    @rule(window=st.integers(1, 8), reach=st.lists(st.booleans(), min_size=8, max_size=8))
    def send(self, window: int, reach: list[bool]) -> None:
        for batch, arrives in zip(self.outbox.next_held(window, set()), reach, strict=False):
            self.outbox.note_sent([batch])
            key = (batch.stream, batch.seq)
            self.sent.add(key)
            assert self.written[key] == batch.body, "bytes never change"
            assert 1 <= batch.first <= batch.seq
            missing = {
                s for (stream, s) in self.written if stream == batch.stream and s < batch.first
            }
            assert all((batch.stream, s) in self.ledger for s in missing), "would be booked lost"
            if arrives:
                self.ledger.setdefault(key, batch.body)
                self.commit_no += 1

    @rule(pick=st.randoms(use_true_random=False))
    def refuse_one(self, pick: random.Random) -> None:
        sent = {(b.stream, b.seq) for b in held(self.outbox)} & self.sent
        waiting = sorted(sent - self.ledger.keys())
        if waiting:
            key = pick.choice(waiting)
            self.refused.add(key)
            self.ledger[key] = self.written[key]
            self.commit_no += 1

    @rule(target=receipts)
    def answer(self) -> Receipt:
        return self.answer_now()

    def answer_now(self) -> Receipt:
        entries = []
        for stream in sorted({s for s, _ in self.written}):
            stored = sorted(n for s, n in self.ledger if s == stream)
            through = next(i for i in range(len(stored) + 1) if i + 1 not in stored)
            ahead = [(n, n) for n in stored if n > through]
            refused = [(n, "shape") for s, n in sorted(self.refused) if s == stream]
            entries.append(
                StreamReceipt(stream=stream, through=through, ahead=ahead, refused=refused)
            )
        return Receipt(
            v=1, agent="gw-1", db=self.database, commit_no=self.commit_no, streams=entries
        )

    @rule(said=receipts)
    def hear(self, said: Receipt) -> None:
        # A message of a database that is gone may not overtake those of the next one: the broker
        # keeps the order, and the platform stops before it is put back.
        if said.db == self.database:
            self.outbox.apply_receipt(said)

    @rule()
    def back_up(self) -> None:
        self.backup = dict(self.ledger)

    @precondition(lambda self: self.backup is not None)
    @rule(another=st.uuids(version=4))
    def restore(self, another: uuid.UUID) -> None:
        assert self.backup is not None
        self.ledger = dict(self.backup)
        self.refused &= self.ledger.keys()
        self.database, self.commit_no = str(another), len(self.ledger)
        # Whatever is sent next is answered by the restored database.
        self.outbox.apply_receipt(self.answer_now())

    @rule()
    def forget_what_a_backup_has(self) -> None:
        if self.backup is None:
            self.outbox.forget_confirmed(-1, [BIRTH])

    @rule()
    def start_again(self) -> None:
        before = self.outbox.stream
        self.outbox.close()
        self.outbox = opened(self.file)
        assert self.outbox.stream != before

    @invariant()
    def nothing_is_lost(self) -> None:
        waiting = {(b.stream, b.seq): b.body for b in held(self.outbox)}
        dead = set(self.outbox._db.execute("SELECT stream, seq FROM batch WHERE state = 'dead'"))
        for key, body in self.written.items():
            assert key in dead or waiting.get(key, self.ledger.get(key)) == body
        assert waiting.keys() <= self.written.keys()
        assert self.outbox.load().batches == len(waiting)


OutboxAndPlatform.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None
)
TestOutboxAndPlatform = OutboxAndPlatform.TestCase
