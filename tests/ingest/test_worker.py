"""What the worker does with messages, over a real broker and into a real database."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from enpilot.database import connect
from enpilot.wire import sha256_hex
from tests.ingest.gateway import START_US, Gateway, declaration
from tests.services.mosquitto import Broker


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with connect(url, "test") as connection:
        return connection.execute(query).fetchall()


def one(url: str, query: str) -> Any:
    return rows(url, query)[0][0]


def test_a_batch_is_stored_whole_and_confirmed(gateway: Gateway, works: str) -> None:
    gateway.send_birth()
    gateway.publish("data", gateway.message(1, [100, 101, 103]))
    receipt = gateway.through(1)
    assert receipt.agent == "gw1"
    assert [r[0] for r in rows(works, "SELECT raw_int FROM reading ORDER BY ts")] == [100, 101, 103]
    assert one(works, "SELECT raw_int FROM latest") == 103
    # The commit number of the ledger row is what the receipt says, or lower.
    assert one(works, "SELECT commit_no FROM batch_ledger") <= receipt.commit_no
    assert one(works, "SELECT count(*) FROM dirty") == 1


def test_the_same_batch_twice_is_once_and_confirmed_again(gateway: Gateway, works: str) -> None:
    gateway.send_birth()
    message = gateway.message(1, [100, 101])
    gateway.publish("data", message)
    gateway.through(1)
    gateway.receipts.clear()
    gateway.publish("data", message)
    gateway.through(1)
    assert one(works, "SELECT count(*) FROM reading") == 2
    assert one(works, "SELECT batches_duplicated FROM ingest_count") == 1


def test_the_same_number_with_other_bytes_is_a_fork(gateway: Gateway, works: str) -> None:
    gateway.send_birth()
    gateway.publish("data", gateway.message(1, [100, 101]))
    gateway.through(1)
    gateway.publish("data", gateway.message(1, [7, 8]))
    gateway.wait_for(lambda r: any((1, "fork") in s.refused for s in r.streams))
    assert one(works, "SELECT max(raw_int) FROM reading") == 101
    assert rows(works, "SELECT code, seq FROM quarantine") == [("fork", 1)]


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"\x28\xb5\x2f\xfd rubbish", b"[1,2]", b'{"v":1}', b"\xff" * 100, b"null"],
)
def test_a_malformed_message_is_kept_and_the_stream_goes_on(
    gateway: Gateway, works: str, payload: bytes
) -> None:
    gateway.send_birth()
    gateway.publish("data", payload)
    gateway.publish("data", gateway.message(1, [100]))
    gateway.through(1)
    kept = rows(works, "SELECT payload, agent_id, sentence FROM quarantine")
    assert len(kept) == 1
    assert bytes(kept[0][0]) == payload
    assert kept[0][1] == "gw1"
    assert kept[0][2]
    assert one(works, "SELECT sum(messages) FROM quarantine_count") == 1


def test_a_refused_batch_is_covered_by_the_receipt(gateway: Gateway, works: str) -> None:
    gateway.send_birth()
    future = time.time_ns() // 1000 + 3_600_000_000
    gateway.publish("data", gateway.message(1, [100]))
    gateway.publish("data", gateway.message(2, [101], start_us=future))
    gateway.publish("data", gateway.message(3, [102]))
    receipt = gateway.through(3)
    refused = [x for s in receipt.streams for x in s.refused]
    assert [seq for seq, _ in refused] == [2]
    assert one(works, "SELECT state FROM batch_ledger WHERE seq = 2") == "refused"
    assert one(works, "SELECT count(*) FROM reading") == 2


def test_a_message_under_a_foreign_topic_is_refused(gateway: Gateway, works: str) -> None:
    gateway.send_birth()
    gateway.publish("data", gateway.message(1, [100], agent="gw2"))
    gateway.publish("data", gateway.message(1, [100]))
    gateway.through(1)
    assert one(works, "SELECT count(*) FROM reading") == 1
    assert one(works, "SELECT count(*) FROM quarantine") == 1


def test_a_point_that_the_agent_may_not_publish_is_refused(
    gateway: Gateway, works: str, mosquitto: Broker
) -> None:
    with Gateway(mosquitto.port, "gw2") as other:
        other.send_birth()
        other.publish("data", other.message(1, [100]))
        receipt = other.through(1)
    assert [seq for s in receipt.streams for seq, _ in s.refused] == [1]
    assert one(works, "SELECT count(*) FROM reading") == 0


def test_an_unknown_birth_is_asked_for(gateway: Gateway, works: str) -> None:
    hash_of_birth = gateway.send_birth()
    unknown = sha256_hex(b"never seen")
    gateway.publish("data", gateway.message(1, [100], birth=unknown))
    gateway.wait_for(lambda r: unknown in r.need)
    assert one(works, "SELECT count(*) FROM batch_ledger") == 0
    gateway.publish("data", gateway.message(1, [100], birth=hash_of_birth))
    gateway.through(1)


def test_batches_out_of_order_are_ahead_until_the_hole_is_filled(
    gateway: Gateway, works: str
) -> None:
    gateway.send_birth()
    gateway.publish("data", gateway.message(3, [103]))
    gateway.wait_for(lambda r: any(s.ahead == [(3, 3)] and s.through == 0 for s in r.streams))
    gateway.publish("data", gateway.message(1, [101]))
    gateway.publish("data", gateway.message(2, [102]))
    gateway.through(3)
    assert one(works, "SELECT count(*) FROM reading") == 3


def test_what_the_agent_no_longer_holds_is_booked_as_lost(gateway: Gateway, works: str) -> None:
    gateway.send_birth()
    gateway.publish("data", gateway.message(5, [105], first=5))
    gateway.through(5)
    assert rows(works, "SELECT from_seq, to_seq FROM lost_range") == [(1, 4)]


def test_an_equal_instant_from_two_batches_is_kept_twice_and_counted_once(
    gateway: Gateway, works: str
) -> None:
    gateway.send_birth()
    gateway.publish("data", gateway.message(1, [100, 101], start_us=START_US))
    gateway.publish("data", gateway.message(2, [100, 101], start_us=START_US))
    gateway.through(2)
    assert one(works, "SELECT count(*) FROM reading") == 4  # readings are facts, D17 sorts them out


def test_the_database_may_go_away_in_between(gateway: Gateway, works: str) -> None:
    gateway.send_birth()
    gateway.publish("data", gateway.message(1, [100]))
    gateway.through(1)
    with connect(works, "test", autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'enpilot ingest' AND datname = current_database()"
        )
    gateway.publish("data", gateway.message(2, [101]))
    gateway.through(2)
    assert one(works, "SELECT count(*) FROM reading") == 2


def test_a_human_record_of_meaning_wins_over_a_birth(gateway: Gateway, works: str) -> None:
    gateway.send_birth()
    gateway.publish("data", gateway.message(1, [100]))
    gateway.through(1)
    with connect(works, "test", autocommit=True) as connection:
        connection.execute(
            "UPDATE series_epoch SET origin = 'human', register_scale = 0.02, birth_sha256 = NULL"
        )
    gateway.send_birth(declaration(register_scale="0.05"))
    gateway.publish("data", gateway.message(2, [101]))
    gateway.through(2)
    assert [float(r[0]) for r in rows(works, "SELECT register_scale FROM series_epoch")] == [0.02]
    assert len(rows(works, "SELECT 1 FROM finding")) == 1


def test_a_status_is_answered_for_the_streams_that_it_names(
    gateway: Gateway, works: str, mosquitto: Broker
) -> None:
    gateway.send_birth()
    gateway.publish("data", gateway.message(1, [100]))
    gateway.through(1)
    unknown = str(uuid.uuid4())
    with Gateway(mosquitto.port, "gw2") as other:
        # Nobody hears of another's stream; one that the database does not know is at zero.
        other.publish("status", other.status(confirmed_streams=[gateway.stream, unknown]))
        receipt = other.wait_for(lambda r: bool(r.streams))
        assert [(s.stream, s.through) for s in receipt.streams] == [(unknown, 0)]
    gateway.receipts.clear()
    gateway.publish("status", gateway.status(confirmed_streams=[gateway.stream, unknown]))
    receipt = gateway.wait_for(lambda r: len(r.streams) == 2)
    assert {(s.stream, s.through) for s in receipt.streams} == {(gateway.stream, 1), (unknown, 0)}
    assert receipt.commit_no > 0
    assert one(works, "SELECT count(*) FROM batch_ledger") == 1
