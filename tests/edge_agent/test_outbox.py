"""The outbox: what is committed survives a kill, is never renumbered and leaves on a receipt."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge_agent.errors import OutboxError
from edge_agent.outbox import Outbox, read_streams
from enpilot.wire import Receipt, StreamReceipt

WRITER = """
import sys
from pathlib import Path
from edge_agent.outbox import Outbox
box = Outbox(Path(sys.argv[1]), "gw1")
box.keep_birth("b", b"birth")
while True:
    seq = box.append("b", b"x" * 50, 10, 1, 2)
    print(seq, flush=True)
"""


def filled(file: Path, batches: int) -> Outbox:
    box = Outbox(file, "gw1")
    box.keep_birth("b", b"birth")
    for i in range(batches):
        box.append("b", b"body %d" % i, 10, i, i)
    return box


def receipt(stream: str, through: int, commit_no: int = 1, db: str = "db", **said) -> Receipt:
    return Receipt(
        v=1, agent="gw1", db=db, commit_no=commit_no,
        streams=[StreamReceipt(stream=stream, through=through, **said)],
    )  # fmt: skip


def test_what_was_committed_survives_kill_9(tmp_path: Path) -> None:
    file = tmp_path / "outbox.sqlite"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    acknowledged = 0
    for _ in range(30):
        acknowledged = int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    (stream,) = read_streams(file)
    assert stream.batches >= acknowledged
    box = Outbox(file, "gw1")
    held = box.next_held(1000, set())
    assert [b.seq for b in held] == list(range(1, stream.batches + 1))
    assert {b.body for b in held} == {b"x" * 50}
    box.close()


def test_a_new_start_is_a_new_stream_that_names_its_predecessor(tmp_path: Path) -> None:
    file = tmp_path / "outbox.sqlite"
    first = filled(file, 2)
    first.close()
    second = Outbox(file, "gw1")
    assert second.stream > first.stream  # version 7: they sort by time
    assert second.append("b", b"new", 1, 5, 5) == 1
    held = second.next_held(10, set())
    assert [(b.stream, b.seq) for b in held] == [
        (second.stream, 1), (first.stream, 1), (first.stream, 2),
    ]  # fmt: skip
    assert held[0].previous == first.stream
    second.close()


def test_receipts_confirm_through_ahead_and_refused(tmp_path: Path) -> None:
    box = filled(tmp_path / "o", 9)
    box.apply_receipt(receipt(box.stream, 2, ahead=[(5, 6)], refused=[(8, "no_grant")]))
    assert [b.seq for b in box.next_held(10, set())] == [3, 4, 7, 9]
    assert box.load().batches == 4
    (stream,) = read_streams(tmp_path / "o")
    assert (stream.held, stream.dead) == (4, 1)
    box.close()


def test_an_older_receipt_of_the_same_database_is_ignored(tmp_path: Path) -> None:
    box = filled(tmp_path / "o", 3)
    box.apply_receipt(receipt(box.stream, 1, commit_no=10))
    assert box.apply_receipt(receipt(box.stream, 3, commit_no=9)) == 0
    assert box.apply_receipt(receipt(box.stream, 3, commit_no=9, db="another")) == 2
    box.close()


def test_confirmed_batches_stay_for_their_time(tmp_path: Path) -> None:
    box = filled(tmp_path / "o", 3)
    box.apply_receipt(receipt(box.stream, 2))
    assert box.forget_confirmed(3600, "b") == 0
    assert box.forget_confirmed(0, "b") == 2
    assert [b.seq for b in box.next_held(10, set())] == [3]
    assert box.next_held(10, set())[0].first == 3
    box.close()


def test_a_file_that_is_no_outbox_or_another_agents_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "o"
    filled(file, 1).close()
    with pytest.raises(OutboxError, match="'gw1', not 'gw2'"):
        Outbox(file, "gw2")
    junk = tmp_path / "junk"
    junk.write_bytes(b"not a database at all, but long enough to be looked at" * 40)
    with pytest.raises(OutboxError, match=str(junk)):
        Outbox(junk, "gw1")
    with pytest.raises(OutboxError, match="cannot be read"):
        read_streams(tmp_path / "none")


def test_synchronous_is_full(tmp_path: Path) -> None:
    box = filled(tmp_path / "o", 1)
    assert box._db.execute("PRAGMA synchronous").fetchone() == (2,)
    box.close()
    with sqlite3.connect(tmp_path / "o") as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()


class OutboxMachine(RuleBasedStateMachine):
    """Batches are held until a receipt covers them, in any order of events."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile  # one folder for each run of the machine

        self._folder = tempfile.TemporaryDirectory()
        self._file = Path(self._folder.name) / "o"
        self._box = filled(self._file, 0)
        self._written: dict[tuple[str, int], bytes] = {}
        self._confirmed: set[tuple[str, int]] = set()
        self._commit_no = 0

    @rule(body=st.binary(min_size=1, max_size=20))
    def append(self, body: bytes) -> None:
        seq = self._box.append("b", body, 1, 0, 0)
        assert (self._box.stream, seq) not in self._written
        self._written[self._box.stream, seq] = body

    @rule()
    def restart(self) -> None:
        self._box.close()
        self._box = Outbox(self._file, "gw1")

    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        streams = sorted({stream for stream, _ in self._written})
        if not streams:
            return
        stream = data.draw(st.sampled_from(streams))
        through = data.draw(st.integers(0, 8))
        low = data.draw(st.integers(1, 9))
        self._commit_no += 1
        ranges = [(low, low + data.draw(st.integers(0, 3)))]
        self._box.apply_receipt(receipt(stream, through, self._commit_no, ahead=ranges))
        for key in self._written:
            if key[0] == stream and (key[1] <= through or any(a <= key[1] <= b for a, b in ranges)):
                self._confirmed.add(key)

    @invariant()
    def what_is_not_confirmed_is_held_with_its_bytes(self) -> None:
        held = {(b.stream, b.seq): b.body for b in self._box.next_held(1000, set())}
        assert held == {k: v for k, v in self._written.items() if k not in self._confirmed}

    def teardown(self) -> None:
        self._box.close()
        self._folder.cleanup()


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
