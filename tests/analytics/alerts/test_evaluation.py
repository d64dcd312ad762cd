"""Rules on a clock over a real database: who is told what, when, and by whom."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from analytics.alerts import Evaluator, acknowledge, evaluate
from analytics.alerts.evaluate import CATCH_UP
from analytics.alerts.quiet import Mute, add_mute
from analytics.engine import run_once
from analytics.errors import NoSuchAlertError
from enpilot.database import connect
from tests.analytics.alerts.watched_works import MINUTE, POWER, RULE, SECOND, STALE, START, Clock
from tests.imported import apply_plant, import_counts
from tests.ingest.gateway import PLANT


@pytest.fixture
def connection(postgres_url: str, tmp_path: Path) -> Iterator[psycopg.Connection[Any]]:
    apply_plant(postgres_url, tmp_path, PLANT + RULE)
    with connect(postgres_url, "test", autocommit=True) as opened:
        yield opened


@pytest.fixture
def clock(connection: psycopg.Connection[Any]) -> Clock:
    return Clock(connection)


def test_two_hundred_meters_behind_one_gateway(clock: Clock) -> None:
    clock.add_meters(200)
    clock.run(1)
    clock.say("offline")  # its broker, as it starts anew
    clock.at += 3 * SECOND
    clock.say("online")
    clock.at += 12 * SECOND
    clock.run(2)
    assert clock.told() == []

    clock.run(12, heard=False)
    assert clock.told() == [("firing", "gateway-down", 1)]
    clock.run(2, but=["m007"])
    assert clock.told()[1:] == [("resolved", "gateway-down", 1)]
    clock.run(2, but=["m007"])  # silent on its own, for its own time
    assert clock.told()[2:] == [("firing", "meter-silent", 1)]
    clock.run(8, read=False)  # and the others, their line being cut
    assert clock.told()[3:] == [("firing", "meter-silent", 199)]
    clock.run(2)
    assert clock.told()[4:] == [("resolved", "meter-silent", 200)]
    facts = clock.connection.execute(
        "SELECT facts FROM alert_message ORDER BY message_id LIMIT 1"
    ).fetchone()
    assert facts is not None
    assert facts[0]["subject"] == "gw1"
    assert facts[0]["page"] == "/s/works/metering"
    assert facts[0]["value"] > facts[0]["limit"] == 120.0


def test_maintenance_of_a_gateway_is_that_of_its_meters(clock: Clock) -> None:
    clock.add_meters(3)
    clock.run(1)
    (site,) = clock.connection.execute("SELECT site_id FROM site").fetchone() or (0,)
    with clock.connection.transaction():
        window = Mute(clock.at, clock.at + 20 * MINUTE, None, "gw1")
        add_mute(clock.connection, site, window, "ann", "new firmware", 1)
    clock.run(19, heard=False)
    assert clock.told() == []
    clock.run(5, heard=False)  # it did not come back in time
    assert clock.told() == [("firing", "gateway-down", 1)]


def arrive(
    url: str, folder: Path, connection: psycopg.Connection[Any], values: list[float]
) -> None:
    """Import a reading a minute since START."""
    times = [START + n * MINUTE for n in range(len(values))]
    import_counts(url, folder, times, [int(v) for v in values], period_s=60, **POWER)
    connection.execute("DELETE FROM dirty")


def messages(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT kind, severity, recipients, created_at, facts ->> 'at', cardinality(event_ids)"
        " FROM alert_message ORDER BY message_id"
    ).fetchall()


def test_a_breach_is_told_once_within_the_period_and_over_a_restart(
    connection: psycopg.Connection[Any], postgres_url: str, tmp_path: Path
) -> None:
    arrive(postgres_url, tmp_path, connection, [400, 600, 600, 600, 600, 600, 400])
    breach = START + 1 * MINUTE
    evaluate(connection, breach + 30 * SECOND, STALE)
    pending = connection.execute("SELECT state, since FROM alert_state").fetchone()
    assert pending == ("pending", breach)
    with connect(postgres_url, "again", autocommit=True) as second:
        assert evaluate(second, breach + 60 * SECOND, STALE) is None  # it stands by
        # As if its process had died; waits until the server has let go of it.
        second.execute("SELECT pg_terminate_backend(%s, 10000)", (connection.info.backend_pid,))
        connection.close()
        found = Evaluator(STALE)
        told = [found.run(second, breach + n * SECOND) for n in range(90, 241, 5)]
        assert sum(n or 0 for n in told) == 1
        ((kind, severity, _, created, at, events),) = messages(second)
    assert (kind, severity, events) == ("firing", "warning", 1)
    assert dt.datetime.fromisoformat(at) == breach + 120 * SECOND
    assert created - (breach + 120 * SECOND) <= 35 * SECOND


def test_escalated_acknowledged_resolved(
    connection: psycopg.Connection[Any], postgres_url: str, tmp_path: Path
) -> None:
    arrive(postgres_url, tmp_path, connection, [600] * 300 + [400])
    evaluator = Evaluator(STALE)
    evaluator.run(connection, START)
    for minute in range(2, 280, 6):
        evaluator.run(connection, START + minute * MINUTE)
    assert [m[:3] for m in messages(connection)] == [
        ("firing", "warning", ""),
        ("escalation", "fault", "managers"),
        ("reminder", "warning", ""),
    ]
    with pytest.raises(NoSuchAlertError, match="no rule 'low'"):
        acknowledge(connection, "works", "low", "ann", "seen")
    with pytest.raises(NoSuchAlertError, match="nothing of rule 'high' about 'b' fires"):
        acknowledge(connection, "works", "high", "ann", "seen", subject="b")
    at = START + 281 * MINUTE
    assert acknowledge(connection, "works", "high", "ann", "load shed", at=at) == ["main"]
    with pytest.raises(NoSuchAlertError, match="nothing of rule 'high' fires"):
        acknowledge(connection, "works", "high", "bob", "me too", at=at)
    # The other instants would have brought reminders.
    for minute in (290, 299, 301):
        evaluator.run(connection, START + minute * MINUTE)
    assert [m[0] for m in messages(connection)][3:] == ["resolved"]
    assert connection.execute(
        "SELECT from_state, to_state, at_ts, author, note FROM alert_event ORDER BY event_id"
    ).fetchall() == [
        ("pending", "firing", START + 2 * MINUTE, None, None),
        ("firing", "acknowledged", at, "ann", "load shed"),
        ("acknowledged", "resolved", START + 300 * MINUTE, None, None),
    ]


def test_a_backlog_is_judged_as_it_happened_and_what_is_over_is_told_once(
    connection: psycopg.Connection[Any], postgres_url: str, tmp_path: Path
) -> None:
    evaluate(connection, START - MINUTE, STALE)
    arrive(postgres_url, tmp_path, connection, [400, 600, 600, 600, 600, 400, 400])
    assert evaluate(connection, START + dt.timedelta(hours=5), STALE) == 1
    events = connection.execute("SELECT to_state, at_ts FROM alert_event ORDER BY 1").fetchall()
    assert events == [("firing", START + 3 * MINUTE), ("resolved", START + 5 * MINUTE)]
    ((kind, _, _, _, at, _),) = messages(connection)
    assert (kind, dt.datetime.fromisoformat(at)) == ("firing", START + 3 * MINUTE)
    (more,) = connection.execute("SELECT facts -> 'more' FROM alert_message").fetchone() or ({},)
    assert more["over_at"] == (START + 5 * MINUTE).isoformat()


def test_a_rule_that_cannot_be_evaluated_stops_no_other(
    connection: psycopg.Connection[Any], postgres_url: str, tmp_path: Path
) -> None:
    output = """
    [[rule]]
    code = "entered"
    name = {zh = "产量", en = "Output"}
    kind = "output_missing"
    comparison = "above"
    threshold = "0"
    period_s = 60
    """
    apply_plant(postgres_url, tmp_path, PLANT + output)
    spoil = "UPDATE alert_rule_record SET watch = %s WHERE kind = 'output_missing'"
    errors = (
        "SELECT error FROM alert_progress JOIN alert_rule USING (alert_rule_id)"
        " WHERE code = 'entered'"
    )
    evaluator = Evaluator(STALE)
    arrive(postgres_url, tmp_path, connection, [600] * 6)
    connection.execute(spoil, ('{"by": "ten"}',))
    assert [evaluator.run(connection, START + n * MINUTE) for n in range(4)] == [0, 0, 1, 0]
    assert connection.execute(errors).fetchone() == ("Invalid isoformat string: 'ten'",)
    connection.execute(spoil, ("{}",))
    evaluator.run(connection, START + 5 * MINUTE)
    assert connection.execute(errors).fetchone() == (None,)


def test_in_a_planned_shutdown_nothing_begins(postgres_url: str, tmp_path: Path) -> None:
    closed = """
    [[calendar_day]]
    date = 2026-03-02
    kind = "shutdown"
    name = {zh = "检修", en = "Overhaul"}
    """
    loud = RULE.replace('code = "high"', 'code = "loud"\nmute_in_shutdown = false')
    apply_plant(postgres_url, tmp_path, PLANT + closed + RULE + loud)
    with connect(postgres_url, "test", autocommit=True) as connection:
        evaluate(connection, START - MINUTE, STALE)
        arrive(postgres_url, tmp_path, connection, [600] * 6)
        assert evaluate(connection, START + 6 * MINUTE, STALE) == 1
        assert [m["code"] for (m,) in connection.execute("SELECT facts FROM alert_message")] == [
            "loud"
        ]


RATE = """
[[rule]]
code = "load"
name = {zh = "负荷", en = "Load"}
point = "main"
quantity = "active_energy"
watch = {measure = "rate", window_s = 1800}
comparison = "above"
threshold = "100"
"""


def test_what_a_counter_advances_per_hour(postgres_url: str, tmp_path: Path) -> None:
    apply_plant(postgres_url, tmp_path, PLANT + RATE)
    quarter = 15 * MINUTE
    times = [START + n * quarter for n in range(5)]
    with connect(postgres_url, "test", autocommit=True) as connection:
        evaluate(connection, START - MINUTE, STALE)
        # 20, then 40 kWh a quarter: a count is 0.4 kWh. Over half an hour: 80, 120, 160 kW.
        counts = [0, 50, 100, 200, 300]
        import_counts(postgres_url, tmp_path, times[:5], counts)
        assert evaluate(connection, times[4], STALE) == 0  # not computed yet
        while run_once(connection).did_anything:
            pass
        assert evaluate(connection, times[4] + MINUTE, STALE) == 1
        (at, value, unit) = (
            connection.execute("SELECT at_ts, value, unit FROM alert_event").fetchone() or ()
        )
    assert (at, value, unit) == (times[3], pytest.approx(120.0), "kW")


DEADLINE = """
[[rule]]
code = "meter-expires"
name = {zh = "检定到期", en = "Calibration"}
kind = "deadline"
watch = {measure = "calibration"}
comparison = "below"
threshold = "60.5"
period_s = 3600
mute_in_shutdown = false
"""
CALIBRATED = 'profile = "acrel-adl400"\ncalibrated_on = 2025-06-01\ncalibration_due = 2026-06-01'


def test_what_was_due_in_a_stop_is_caught_up_with_in_order(
    postgres_url: str, tmp_path: Path
) -> None:
    plant = PLANT.replace('profile = "acrel-adl400"', CALIBRATED, 1)
    apply_plant(postgres_url, tmp_path, plant + DEADLINE)
    # The 60th day before begins at midnight in Shanghai.
    sixty = dt.datetime(2026, 4, 1, 16, tzinfo=dt.UTC)
    with connect(postgres_url, "test", autocommit=True) as connection:
        assert evaluate(connection, sixty - dt.timedelta(days=5, minutes=7), STALE) == 0
        assert evaluate(connection, sixty + dt.timedelta(days=1, minutes=7), STALE) == 1
        (at, value) = connection.execute("SELECT at_ts, value FROM alert_event").fetchone() or ()
        assert (at, value) == (sixty, 60.0)
        # A longer stop is caught up with from CATCH_UP ago on.
        now = sixty + dt.timedelta(days=40, minutes=7)
        connection.execute("UPDATE alert_state SET state = 'ok'")
        evaluate(connection, now, STALE)
        (at,) = connection.execute("SELECT max(at_ts) FROM alert_event").fetchone() or ()
        assert at - (now - CATCH_UP) <= dt.timedelta(hours=1)
        (through,) = connection.execute(
            "SELECT evaluated_through FROM alert_progress JOIN alert_rule USING (alert_rule_id)"
            " WHERE code = 'meter-expires'"
        ).fetchone() or (None,)
        assert through == now - 7 * MINUTE
