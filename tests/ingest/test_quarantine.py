"""What was refused can be looked at and tried again; it is stored once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from enpilot.cli import main
from enpilot.database import connect
from ingest.fold import move_through
from ingest.replay import replay, select_refused
from tests.imported import apply_plant
from tests.ingest.gateway import PLANT, Gateway, declaration
from tests.services.mosquitto import Broker

WITH_OVEN = (
    PLANT
    + """
[[device]]
code = "m2"
line = "l1"
unit = 2
profile = "acrel-adl400"
[[point]]
code = "oven"
name = {zh = "炉", en = "Oven"}
medium = "electricity"
role = "sub"
"""
)
GRANTED = '[[installation]]\npoint = "oven"\ndevice = "m2"\n'


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with connect(url, "test") as connection:
        return connection.execute(query).fetchall()


def tried(url: str, **which: str | None) -> list[str]:
    with connect(url, "test", autocommit=True) as connection:
        chosen = select_refused(connection, which.get("agent"), which.get("code"))
        return [o.outcome for o in replay(connection, chosen)]


def test_what_was_not_granted_is_stored_once_after_the_grant(
    gateway: Gateway, works: str, tmp_path: Path
) -> None:
    apply_plant(works, tmp_path, WITH_OVEN)
    gateway.send_birth(declaration(point="oven"))
    for seq in (1, 2, 3):
        gateway.publish("data", gateway.message(seq, [100 + seq]))
    gateway.through(3)
    assert rows(works, "SELECT count(*) FROM reading") == [(0,)]
    assert tried(works, code="no_grant") == ["refused"] * 3
    apply_plant(works, tmp_path, WITH_OVEN + GRANTED)
    with connect(works, "test", autocommit=True) as connection:
        move_through(connection, {})  # the agent's stream went on long ago
        connection.execute("UPDATE stream_state SET through = 3")
    assert tried(works, code="no_grant") == ["stored"] * 3
    assert rows(works, "SELECT raw_int FROM reading ORDER BY ts") == [(101,), (102,), (103,)]
    assert rows(works, "SELECT DISTINCT state FROM batch_ledger") == [("stored",)]
    assert rows(works, "SELECT count(*) FROM batch_ledger WHERE commit_no IS NULL") == [(0,)]
    assert rows(works, "SELECT count(*) > 0 FROM dirty") == [(True,)]
    assert tried(works) == []
    with connect(works, "test", autocommit=True) as connection:
        again = replay(
            connection, [r[0] for r in rows(works, "SELECT quarantine_id FROM quarantine")]
        )
    assert [o.outcome for o in again] == ["present"] * 3
    assert rows(works, "SELECT count(*) FROM reading") == [(3,)]


def test_a_time_to_come_is_taken_when_it_has_come(gateway: Gateway, works: str) -> None:
    gateway.send_birth()
    future = time.time_ns() // 1000 + 3_600_000_000
    gateway.publish("data", gateway.message(1, [100], start_us=future))
    gateway.through(1)
    assert tried(works) == ["refused"]
    kept = rows(works, "SELECT code, outcome, outcome_sentence FROM quarantine")
    assert kept[0][:2] == ("future_timestamp", "refused")
    assert "check the gateway's clock" in kept[0][2]


def test_a_fork_is_not_tried(gateway: Gateway, works: str) -> None:
    gateway.send_birth()
    gateway.publish("data", gateway.message(1, [100]))
    gateway.through(1)
    gateway.publish("data", gateway.message(1, [7]))
    gateway.wait_for(lambda r: any((1, "fork") in s.refused for s in r.streams))
    assert tried(works) == ["refused"]
    assert rows(works, "SELECT raw_int FROM reading") == [(100,)]
    assert rows(works, "SELECT count(*) FROM quarantine") == [(1,)]


def test_what_is_no_message_stays_refused(gateway: Gateway, works: str, mosquitto: Broker) -> None:
    gateway.send_birth()
    gateway.publish("data", b"{")
    gateway.publish("data", gateway.message(1, [100]))
    gateway.through(1)
    assert tried(works) == ["refused"]
    assert rows(works, "SELECT count(*) FROM quarantine") == [(1,)]


def test_the_commands_list_show_and_try_again(
    gateway: Gateway,
    works: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gateway.send_birth()
    gateway.publish("data", b'{"v": 1}')
    gateway.publish("data", gateway.message(1, [100]))
    gateway.through(1)
    monkeypatch.setenv("ENPILOT_DATABASE_URL", works)
    number = rows(works, "SELECT quarantine_id FROM quarantine")[0][0]
    for arguments, wanted in (
        (["quarantine"], "malformed"),
        (["quarantine", "list", "--code", "fork"], "nothing was refused"),
        (["quarantine", "show", str(number)], '"v": 1'),
        (["quarantine", "replay", str(number)], f"#{number} refused"),
        (["quarantine", "list"], "tried again: refused"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(["ingest", *arguments])
        assert caught.value.code == 0
        assert wanted in capsys.readouterr().out
    for arguments in (["quarantine", "replay"], ["quarantine", "show", "999"]):
        with pytest.raises(SystemExit) as caught:
            main(["ingest", *arguments])
        assert caught.value.code == 2
