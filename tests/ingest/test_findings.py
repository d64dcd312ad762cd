"""What ingest finds out about agents and the database: rows with evidence, once each."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest

from enpilot.database import connect
from enpilot.wire import Receipt
from ingest.fold import move_through, prune
from ingest.prepare import Preparer, read_message
from ingest.streams import report_clones
from ingest.subscriber import Message
from ingest.writer import GroupWriter
from tests.ingest.gateway import Gateway, Messages


class Direct:
    """A worker without a broker: messages in, receipts out."""

    def __init__(self, url: str) -> None:
        self.connection = connect(url, "test", autocommit=True)
        self.preparer = Preparer()
        self.writer = GroupWriter("test")
        self.writer.attach(self.connection)

    def take(self, *payloads: bytes, kind: str = "data") -> list[Receipt]:
        items = [
            read_message(Message(f"enpilot/v1/gw1/{kind}", payload, 0, 0, 0, 0.0))
            for payload in payloads
        ]
        part = self.preparer.prepare(self.connection, items)
        return self.writer.write(self.connection, [part]).receipts

    def reconnect(self) -> bool:
        """Do what a worker does when its connection was lost."""
        self.preparer.forget()
        return self.writer.attach(self.connection)

    def findings(self, code: str) -> list[dict[str, Any]]:
        return [
            evidence
            for (evidence,) in self.connection.execute(
                "SELECT evidence FROM finding WHERE code = %s ORDER BY finding_id", (code,)
            )
        ]


@pytest.fixture
def direct(works: str) -> Any:
    worker = Direct(works)
    yield worker
    worker.connection.close()


@pytest.fixture
def messages(direct: Direct) -> Messages:
    messages = Messages()
    direct.take(messages.make_birth(), kind="birth")
    return messages


def test_each_lost_range_is_a_finding(direct: Direct, messages: Messages) -> None:
    direct.take(messages.message(3, [1]), messages.message(6, [1], first=6))
    found = [(e["agent"], e["from_seq"], e["to_seq"]) for e in direct.findings("batches_lost")]
    assert found == [("gw1", 1, 2), ("gw1", 4, 5)]
    direct.take(messages.message(7, [1], first=6))
    assert len(direct.findings("batches_lost")) == 2


def test_what_was_lost_and_comes_after_all_is_stored(direct: Direct, messages: Messages) -> None:
    direct.take(messages.message(4, [1], first=4))
    move_through(direct.connection, direct.writer.through)
    late = messages.message(2, [7])
    direct.take(late)
    assert direct.connection.execute("SELECT count(*) FROM reading").fetchone() == (2,)
    direct.take(late)
    assert direct.connection.execute("SELECT count(*) FROM reading").fetchone() == (2,)


def test_a_fork_is_one_finding_a_stream(direct: Direct, messages: Messages) -> None:
    direct.take(messages.message(1, [1]), messages.message(2, [1]))
    direct.take(messages.message(1, [8]), messages.message(1, [9]))
    receipts = direct.take(messages.message(2, [8]))
    assert (2, "fork") in receipts[0].streams[0].refused
    assert [e["stream"] for e in direct.findings("fork")] == [messages.stream]


def test_two_streams_with_one_predecessor_that_both_go_on_are_a_clone(
    direct: Direct, messages: Messages
) -> None:
    before, one, two = (str(uuid.uuid4()) for _ in range(3))
    for seq in (1, 2):
        for stream in (one, two):
            direct.take(messages.message(seq, [seq], stream=stream, previous=before))
            report_clones(direct.connection, direct.writer.through, after_s=0)
    (found,) = direct.findings("agent_cloned")
    assert (found["stream"], found["other"], found["previous"]) == (two, one, before)


def test_a_stream_that_follows_another_is_no_clone(direct: Direct, messages: Messages) -> None:
    one, two = str(uuid.uuid4()), str(uuid.uuid4())
    for seq in (1, 2):
        direct.take(messages.message(seq, [seq], stream=one))
    for seq in (1, 2):
        direct.take(messages.message(seq, [seq], stream=two, previous=one))
        report_clones(direct.connection, direct.writer.through, after_s=0)
    assert direct.findings("agent_cloned") == []


def test_another_identity_than_the_recorded_one_is_found_at_the_next_start(
    direct: Direct, works: str
) -> None:
    assert direct.findings("database_restored") == []
    direct.connection.execute("UPDATE ingest_database SET identity = 'elsewhere'")
    for _ in range(2):  # two workers start
        Direct(works).connection.close()
    (found,) = direct.findings("database_restored")
    assert found["recorded"] == "elsewhere"


def test_an_old_state_under_the_same_identity_is_found_by_who_lived_through_it(
    direct: Direct, messages: Messages
) -> None:
    direct.take(*(messages.message(seq, [seq]) for seq in (1, 2, 3)))
    assert not direct.reconnect()
    direct.take(messages.message(4, [4]))
    # An old data folder: the last commit never was.
    direct.connection.execute("DELETE FROM batch_ledger WHERE seq = 4")
    direct.connection.execute("DELETE FROM reading WHERE raw_int = 4")
    assert direct.reconnect()
    (found,) = direct.findings("database_restored")
    assert [(s["confirmed"], s["found"]) for s in found["streams"]] == [(4, 3)]
    (receipt,) = direct.take(messages.message(4, [4]))
    assert receipt.streams[0].through == 4
    assert direct.connection.execute("SELECT count(*) FROM reading").fetchone() == (4,)


def test_a_batch_that_only_the_database_refuses_goes_to_quarantine_alone(
    gateway: Gateway, works: str
) -> None:
    with connect(works, "test", autocommit=True) as connection:
        connection.execute("ALTER TABLE reading ADD CHECK (raw_int <> 666)")
        gateway.send_birth()
        for seq, value in enumerate([1, 2, 666, 4, 5], 1):
            gateway.send(gateway.message(seq, [value]))
        receipt = gateway.through(5)
        assert [x for s in receipt.streams for x in s.refused] == [(3, "write_failed")]
        stored = connection.execute("SELECT raw_int FROM reading ORDER BY 1").fetchall()
        assert stored == [(1,), (2,), (4,), (5,)]
        assert connection.execute("SELECT code, seq FROM quarantine").fetchall() == [
            ("write_failed", 3)
        ]


def test_the_ledger_folds_what_is_old_and_keeps_its_numbers(
    direct: Direct, messages: Messages
) -> None:
    direct.take(*(messages.message(seq, [seq]) for seq in range(1, 7)))
    move_through(direct.connection, direct.writer.through)
    direct.connection.execute(
        "UPDATE batch_ledger SET received_at = now() - interval '4 days' WHERE seq <= 4"
    )
    numbers = [n for (n,) in direct.connection.execute("SELECT commit_no FROM batch_ledger")]
    assert prune(direct.connection, 72) == 4
    assert prune(direct.connection, 72) == 0
    assert direct.connection.execute(
        "SELECT from_seq, to_seq, commit_nos FROM batch_fold"
    ).fetchone() == (1, 4, numbers[:4])
    (receipt,) = direct.take(messages.message(2, [2]), messages.message(7, [7]))
    assert receipt.streams[0].through == 7
    assert direct.connection.execute("SELECT count(*) FROM reading").fetchone() == (7,)


def test_a_batch_that_comes_twice_in_one_group_is_written_once(
    direct: Direct, messages: Messages
) -> None:
    same = messages.message(1, [1, 2])
    direct.take(same, messages.message(2, [3]), same)
    assert direct.connection.execute("SELECT count(*) FROM reading").fetchone() == (3,)


def test_nothing_is_written_twice_over_a_restart_in_the_middle(
    direct: Direct, messages: Messages, works: str
) -> None:
    direct.take(messages.message(1, [1]))
    with direct.connection.transaction() as cut:
        direct.take(messages.message(2, [2]))
        raise psycopg.Rollback(cut)  # as if the process died before COMMIT
    other = Direct(works)
    (receipt,) = other.take(messages.message(2, [2]))
    other.connection.close()
    assert receipt.streams[0].through == 2
    assert direct.connection.execute("SELECT count(*) FROM reading").fetchone() == (2,)
