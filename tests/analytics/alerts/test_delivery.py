"""From a breach to a mail, a webhook and the broker that really listen, on a clock."""

from __future__ import annotations

import datetime as dt
import json
import os
import queue
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from psycopg.types.json import Jsonb

from analytics.alerts.delivery import Delivery, load_recipients
from analytics.alerts.delivery.listed import list_deliveries
from analytics.alerts.messages import Told, write_message
from analytics.alerts.morning import MorningTimes, write_morning_messages
from analytics.alerts.rules import Subject, load_alert_site, load_rules
from analytics.alerts.turns import DELIVERS, take_turn
from analytics.settings import AlertSettings, ChannelSettings, GroupSettings
from enpilot.database import connect
from enpilot.settings import MqttSettings
from tests.analytics.alerts.receivers import Mailbox, Webhook, mailbox, webhook
from tests.analytics.alerts.watched_works import (
    MINUTE,
    POWER,
    RULE,
    SECOND,
    START,
    Clock,
)
from tests.e2e.plant_under_test import wait_until
from tests.imported import apply_plant, import_counts
from tests.ingest.gateway import PLANT
from tests.services.mosquitto import Broker
from tests.services.postgres import DatabaseServer

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def works_url(
    postgres_server: DatabaseServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with postgres_server.database() as url:
        apply_plant(url, tmp_path_factory.mktemp("works"), PLANT + RULE)
        yield url


@pytest.fixture
def works(works_url: str) -> Iterator[Connection]:
    """The test works, without what was said in the test before."""
    with connect(works_url, "test", autocommit=True) as connection:
        connection.execute("TRUNCATE alert_delivery, alert_message, alert_state, alert_event")
        connection.execute("TRUNCATE alert_progress")
        yield connection


@pytest.fixture(scope="module")
def mail_server() -> Iterator[Mailbox]:
    with mailbox() as box:
        yield box


@pytest.fixture
def mails(mail_server: Mailbox) -> Mailbox:
    mail_server.mails.clear()
    return mail_server


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as one:
        yield one


def group(name: str = "duty", *channels: str, **said: Any) -> GroupSettings:
    return GroupSettings(
        name=name,
        channel=[ChannelSettings(name=c, url_env=f"TEST_{c.upper()}") for c in channels],
        **said,
    )


class Sending:
    """Delivery on a clock."""

    def __init__(self, *groups: GroupSettings, mqtt_settings: MqttSettings | None = None) -> None:
        self.at = START
        settings = AlertSettings(group=list(groups), mqtt=mqtt_settings or MqttSettings())
        self.delivery = Delivery(
            load_recipients(settings), "https://energy.example.org", clock=lambda: self.at
        )

    def send(self, connection: Connection, at: dt.datetime) -> None:
        self.at = at
        while self.delivery.step(connection, at, 20.0) or self.delivery.busy:
            pass


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch, mails: Mailbox, hook: Webhook) -> pytest.MonkeyPatch:
    monkeypatch.setenv("TEST_MAIL", mails.address)
    monkeypatch.setenv("TEST_HOOK", hook.address)
    return monkeypatch


def write(
    connection: Connection, at: dt.datetime = START, severity: str = "warning", **said: Any
) -> int:
    row = connection.execute(
        "INSERT INTO alert_message (site_id, kind, severity, recipients, facts, due_at)"
        " SELECT site_id, 'firing', %s, %s, %s, %s FROM site WHERE code = 'works'"
        " RETURNING message_id",
        (severity, said.pop("recipients", ""), Jsonb({"name_en": "n"} | said), at),
    ).fetchone()
    assert row is not None
    return int(row[0])


def tried(connection: Connection) -> list[tuple[int, str, str, int, str]]:
    return connection.execute(
        "SELECT message_id, recipient_group, channel, attempt, state FROM alert_delivery"
        " ORDER BY delivery_id"
    ).fetchall()


def test_a_breach_is_one_mail_and_one_webhook_in_time_and_so_is_its_end(
    works: Connection, works_url: str, tmp_path: Path, mails: Mailbox, hook: Webhook,
    addresses: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    clock, sending = Clock(works), Sending(group("duty", "mail", "hook"))
    told: list[tuple[float, int, int]] = []
    levels = {30: 600, 60: 610, 90: 615, 120: 612, 150: 611, 180: 470, 210: 460}
    for second in range(0, 220, 5):
        clock.at = START + second * SECOND
        if second in levels:
            import_counts(works_url, tmp_path, [clock.at], [levels[second]], period_s=30,
                          synthetic=True, **POWER)  # fmt: skip
        clock.evaluator.run(works, clock.at)
        sending.send(works, clock.at)
        told.append((second, len(mails.mails), len(hook.taken)))
    # Above 500 since second 30, for 120 s, every 30 s.
    assert told[33] == (165, 1, 1)
    first = next(second for second, sent, _ in told if sent)
    assert 150 <= first <= 150 + 30 + 5
    assert told[-1] == (215, 2, 2)
    assert sorted(t[1:] for t in tried(works)) == [
        ("duty", "hook", 1, "sent"), ("duty", "hook", 1, "sent"),
        ("duty", "mail", 1, "sent"), ("duty", "mail", 1, "sent"),
    ]  # fmt: skip
    firing, over = mails.mails
    body = firing.get_content()
    assert firing["Subject"].startswith("【警告】功率过高：")
    assert "611 kW，高于限值 500 kW" in body
    assert "https://energy.example.org/s/works/metering/main" in body
    assert "Synthetic or simulated data" in body
    assert "Look at the load" in body
    assert firing["X-Enpilot-Message"] == hook.taken[0]["id"] == hook.keys[0]
    assert hook.taken[0]["facts"]["value"] == 611.0
    assert "Highest: 615 kW" in over.get_content()
    assert [m["type"] for m in hook.taken] == ["warning", "success"]


def test_a_receiver_that_fails_gets_it_again_later_and_in_order(
    works: Connection, hook: Webhook, mails: Mailbox, addresses: pytest.MonkeyPatch
) -> None:
    sending = Sending(group("duty", "hook", "mail"))
    hook.answers = [(500, b""), (500, b"")]
    first = write(works)
    second = write(works, START + SECOND)
    for minute in (0, 0.9, 1, 5.9, 6, 6.1):
        sending.send(works, START + minute * MINUTE + SECOND)
    assert len(mails.mails) == 2  # at once: one channel does not wait for another
    assert hook.keys == [f"works-{n}" for n in (first, first, first, second)]
    assert [t[3:] for t in tried(works) if t[2] == "hook"] == [
        (1, "retry"), (2, "retry"), (3, "sent"), (1, "sent"),
    ]  # fmt: skip
    failed = list_deliveries(works, START - MINUTE)
    assert [(d.attempt, d.error is not None) for d in failed] == [(2, True), (1, True)]
    assert "500" in (failed[0].error or "")
    done = works.execute("SELECT count(*) FROM alert_message WHERE notified_at IS NULL").fetchone()
    assert done == (0,)


def test_a_receiver_that_hangs_delays_neither_the_mail_nor_the_evaluation(
    works: Connection, hook: Webhook, mails: Mailbox, addresses: pytest.MonkeyPatch
) -> None:
    sending, clock = Sending(group("duty", "hook", "mail")), Clock(works)
    hook.open.clear()
    for _ in range(3):
        write(works)
    while len(mails.mails) < 3:
        sending.delivery.step(works, START, 0.0)
        clock.evaluator.run(works, START)
        try:
            mails.arrived.get(timeout=0.05)
        except queue.Empty:
            continue
    assert (hook.taken, hook.asked) == ([], 1)  # one at a time
    hook.open.set()
    sending.send(works, START)
    assert len(hook.taken) == 3


def test_what_no_attempt_brought_there_is_given_up_after_a_day_and_said(
    works: Connection, hook: Webhook, addresses: pytest.MonkeyPatch
) -> None:
    sending = Sending(group("duty", "hook"))
    hook.answers = [(500, b"")] * 40
    message = write(works)
    write(works, START - dt.timedelta(days=2))  # nobody was there to be told
    for hour in range(26):
        sending.send(works, START + hour * 60 * MINUTE)
    rows = tried(works)
    assert rows[0][3:] == (1, "skipped")
    assert rows[-1][0] == message
    assert rows[-1][4] == "failed"
    assert len(rows) <= 27
    row = works.execute(
        "SELECT notify_error FROM alert_message WHERE message_id = %s", (message,)
    ).fetchone()
    assert row == ("not taken by duty/hook",)


def test_a_message_that_is_refused_again_and_again_does_not_hold_up_the_others(
    works: Connection, hook: Webhook, addresses: pytest.MonkeyPatch
) -> None:
    sending = Sending(group("duty", "hook"))
    bad, good = write(works), [write(works), write(works)]
    for minute in (0, 1, 6):
        hook.answers = [(400, b"")]
        sending.send(works, START + minute * MINUTE)
    assert [t[0] for t in tried(works)] == [bad] * 3
    hook.answers = [(400, b"")]
    sending.send(works, START + 21 * MINUTE)
    assert [t[0] for t in tried(works) if t[4] == "sent"] == good
    sending.send(works, START + 81 * MINUTE)
    assert tried(works)[-1] == (bad, "duty", "hook", 5, "sent")


def test_notes_wait_for_the_end_of_quiet_hours_and_faults_do_not(
    works: Connection, hook: Webhook, addresses: pytest.MonkeyPatch
) -> None:
    sending = Sending(group("duty", "hook", quiet_hours=["08:00-09:30"]))
    note, fault = write(works, severity="note"), write(works, severity="fault")
    sending.send(works, START)  # 09:00 in Shanghai
    assert hook.keys == [f"works-{fault}"]
    sending.send(works, START + 30 * MINUTE)
    assert hook.keys == [f"works-{fault}", f"works-{note}"]


def test_a_rule_names_who_is_told_and_nobody_else_is(
    works: Connection, hook: Webhook, mails: Mailbox, addresses: pytest.MonkeyPatch
) -> None:
    sending = Sending(
        group("managers", "mail", severities=["fault"]),
        group("duty", "hook"),
        group("elsewhere", "hook", sites=["other"]),
    )
    write(works, recipients="managers")
    write(works, recipients="nobody")
    write(works, severity="fault")
    sending.send(works, START)
    assert (len(mails.mails), len(hook.taken)) == (2, 2)


def test_the_broker_gets_the_facts_once(works: Connection, mosquitto: Broker) -> None:
    arrived: queue.SimpleQueue[mqtt.MQTTMessage] = queue.SimpleQueue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: arrived.put(message)
    client.connect("127.0.0.1", mosquitto.port)
    client.loop_start()
    subscribed: queue.SimpleQueue[int] = queue.SimpleQueue()
    client.on_subscribe = lambda *_: subscribed.put(1)
    client.subscribe("enpilot/v1/alert/works/+", qos=1)
    subscribed.get(timeout=10)
    duty = GroupSettings(name="duty", channel=[ChannelSettings(name="broker", mqtt=True)])
    sending = Sending(duty, mqtt_settings=MqttSettings(port=mosquitto.port))
    write(works, value=7.0)
    sending.send(works, START)
    message = arrived.get(timeout=10)
    client.disconnect()
    client.loop_stop()
    assert (message.topic, message.qos, message.retain) == (
        "enpilot/v1/alert/works/firing",
        1,
        False,
    )
    said = json.loads(message.payload)
    assert (said["v"], said["severity"], said["facts"]["value"]) == (1, "warning", 7.0)
    assert tried(works)[0][4] == "sent"


def test_a_broker_that_is_away_is_tried_again(works: Connection) -> None:
    duty = GroupSettings(name="duty", channel=[ChannelSettings(name="broker", mqtt=True)])
    sending = Sending(duty, mqtt_settings=MqttSettings(port=1))
    write(works)
    sending.send(works, START)
    assert tried(works)[0][4] == "retry"


def test_of_two_processes_one_delivers(works: Connection, works_url: str) -> None:
    assert take_turn(works, DELIVERS)
    assert take_turn(works, DELIVERS)
    with connect(works_url, "other", autocommit=True) as other:
        assert not take_turn(other, DELIVERS)
        assert take_turn(other)  # and the other one may evaluate


def test_a_message_that_is_being_sent_takes_no_more_subjects(works: Connection) -> None:
    (rule,) = [r for r in load_rules(works, START) if r.code == "high"]
    site = load_alert_site(works, rule.site_id)
    told = [Told(Subject("main", "总", "Main"), START, 610.0, 500.0, 1)]
    write_message(works, site, rule, "firing", told, START)
    # Those that follow within a minute are gathered in a second one, until it is taken.
    for after, taken in ((1, False), (2, False), (3, True)):
        if taken:
            works.execute("UPDATE alert_message SET taken_at = now()")
        write_message(works, site, rule, "firing", told, START + after * SECOND)
    assert works.execute(
        "SELECT facts -> 'group_size' FROM alert_message ORDER BY message_id"
    ).fetchall() == [(1,), (2,), (1,)]


def test_a_message_that_cannot_be_put_into_words_holds_up_nobody(
    works: Connection, hook: Webhook, addresses: pytest.MonkeyPatch
) -> None:
    sending = Sending(group("duty", "hook"))
    bad = write(works, value="much", limit=1.0)
    good = write(works)
    sending.send(works, START)
    sending.send(works, START)
    assert [t[0::4] for t in tried(works)] == [(bad, "failed"), (good, "sent")]


def test_200_silent_meters_are_one_mail_and_a_gateway_that_restarts_is_none(
    postgres_url: str, tmp_path: Path, mails: Mailbox, addresses: pytest.MonkeyPatch
) -> None:
    apply_plant(postgres_url, tmp_path, PLANT)
    with connect(postgres_url, "test", autocommit=True) as connection:
        clock, sending = Clock(connection), Sending(group("duty", "mail"))
        clock.add_meters(200)
        clock.run(2)
        clock.say("offline")
        clock.at += 3 * SECOND
        clock.say("online")
        clock.run(10)
        sending.send(connection, clock.at)
        assert [m["Subject"] for m in mails.mails] == []
        for _ in range(10):
            clock.run(2, heard=False)
            sending.send(connection, clock.at)
    assert len(mails.mails) == 1
    assert "gw1" in mails.mails[0].get_content()


def test_the_morning_message_is_sent_once_across_a_restart_and_not_in_the_afternoon(
    works: Connection, mails: Mailbox, addresses: pytest.MonkeyPatch
) -> None:
    works.execute(
        "INSERT INTO energy_period (site_id, point_id, quantity, channel, period_kind, period_from,"
        " period_to, amount, unit, coverage, reporting_completeness, simulated, data_version)"
        " SELECT site_id, point_id, 'active_energy', 'total', 'day', '2026-03-01', '2026-03-02',"
        " 64155, 'kWh', 1, 0.987, false, 1 FROM point JOIN site USING (site_id)"
        " WHERE site.code = 'works' AND point.code = 'main' ON CONFLICT DO NOTHING"
    )
    times = MorningTimes()
    before, after, noon = (
        dt.datetime(2026, 3, 1, h, m, tzinfo=dt.UTC) for h, m in ((23, 29), (23, 31), (23, 32))
    )
    for at in (before, after, noon):
        # A new one each time: what was written is in the database.
        sending = Sending(group("duty", "mail"), group("quiet", "mail", morning=False))
        assert write_morning_messages(works, at, times) == []
        sending.send(works, at)
        assert len(mails.mails) == (0 if at is before else 1)
    subject, body = mails.mails[0]["Subject"], mails.mails[0].get_content()
    assert subject.startswith("【早报】")
    assert "64,155 kWh" in body
    assert "overview?t=2026-03-01" in body
    works.execute("TRUNCATE alert_delivery, alert_message")
    write_morning_messages(works, dt.datetime(2026, 3, 2, 4, 1, tzinfo=dt.UTC), times)
    assert works.execute("SELECT count(*) FROM alert_message").fetchone() == (0,)
    # Yesterday's last readings are waited for, but not for long.
    works.execute(
        "INSERT INTO computation (site_id, data_version, data_through, code_version)"
        " SELECT site_id, 1, '2026-03-01T12:00Z', '' FROM site"
    )
    for at, written in ((noon, 0), (noon + dt.timedelta(hours=1), 1)):
        write_morning_messages(works, at, times)
        assert works.execute("SELECT count(*) FROM alert_message").fetchone() == (written,)
    works.execute("DELETE FROM computation")


def test_the_service_delivers_while_a_receiver_hangs_and_stops_when_told(
    works: Connection, works_url: str, tmp_path: Path, hook: Webhook, mails: Mailbox
) -> None:
    log, settings = tmp_path / "log", tmp_path / "alerts.toml"
    settings.write_text(
        'every_s = 0.1\ntimeout_s = 0.5\n[[group]]\nname = "duty"\nmorning = false\n'
        + "".join(
            f'[[group.channel]]\nname = "{c.lower()}"\nurl_env = "TEST_{c}"\n'
            for c in ("HOOK", "MAIL")
        ),
        "utf-8",
    )
    hook.open.clear()
    message = write(works, dt.datetime.now(dt.UTC) - MINUTE)
    environment = {
        **os.environ, "ENPILOT_DATABASE_URL": works_url, "TEST_HOOK": hook.address,
        "TEST_MAIL": mails.address,
    }  # fmt: skip
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "enpilot", "alerts", "run", settings],
            env=environment, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        expected = {(message, "duty", "mail", 1, "sent"), (message, "duty", "hook", 1, "retry")}
        wait_until(lambda: set(tried(works)) == expected, 30)
        process.terminate()
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
    said = log.read_text("utf-8")
    assert "evaluating" in said
    assert "Traceback" not in said
    assert len(mails.mails) == 1
