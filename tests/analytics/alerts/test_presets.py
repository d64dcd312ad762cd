"""Presets: on where a site has what they look at; what a plant file says of them; the commands."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from analytics.alerts import evaluate, replay
from analytics.alerts.cli import ack, mute, show_replay, show_rules, unmute
from analytics.alerts.listed import ListedRule, list_rules
from analytics.alerts.needs import NEEDS
from analytics.alerts.presets import Preset, load_presets, sync_presets
from analytics.alerts.rules import load_rules
from analytics.errors import NoSuchAlertError
from enpilot.database import connect
from enpilot.errors import ConfigurationError
from enpilot.plant.alerts import MEASURES, PRESETS
from tests.analytics.alerts.watched_works import MINUTE, POWER, RULE, STALE, START
from tests.imported import apply_plant, import_counts
from tests.ingest.gateway import PLANT

CHANGED = """
[[preset]]
code = "gateway-down"
threshold = "600"
severity = "warning"
[[preset]]
code = "meter-silent"
enabled = false
[[preset]]
code = "output-missing"
by = 11:30:00
"""
DAY = dt.date(2026, 3, 2)


@pytest.fixture
def connection(postgres_url: str, tmp_path: Path) -> Iterator[psycopg.Connection[Any]]:
    apply_plant(postgres_url, tmp_path, PLANT + RULE)
    with connect(postgres_url, "test", autocommit=True) as opened:
        yield opened


def listed(connection: psycopg.Connection[Any]) -> dict[str, ListedRule]:
    (site,) = connection.execute("SELECT site_id FROM site").fetchone() or (0,)
    return {r.code: r for r in list_rules(connection, site, START)}


@pytest.mark.parametrize("preset", load_presets(), ids=lambda p: p.code)
def test_a_preset_says_what_it_needs_and_what_to_do(preset: Preset) -> None:
    assert preset.needs in NEEDS
    assert preset.period_s is not None
    assert preset.name.zh
    assert preset.name.en
    assert preset.runbook.zh
    assert preset.runbook.en
    assert preset.watch.measure is None or preset.watch.measure in MEASURES[preset.kind]
    assert preset.kind != "finding" or preset.watch.codes or preset.watch.severities


def test_the_plant_file_knows_every_preset_and_no_other() -> None:
    assert tuple(p.code for p in load_presets()) == PRESETS


def test_they_are_on_where_a_site_has_what_they_look_at(
    connection: psycopg.Connection[Any], postgres_url: str, tmp_path: Path
) -> None:
    sync_presets(connection, START)
    assert sync_presets(connection, START) == 0
    found = listed(connection)
    assert found.keys() == {"high"} | {p.code for p in load_presets()}
    assert {code for code, r in found.items() if r.state == "on"} == {
        "high", "gateway-down", "meter-silent", "coverage-falling", "completeness-low",
    }  # fmt: skip
    assert found["demand-about-to-exceed"].state == "not applicable"
    assert "contract_demand_kw" in found["demand-about-to-exceed"].reason
    rows = connection.execute("SELECT state, reason_zh FROM alert_preset").fetchall()
    assert len(rows) == len(load_presets())
    assert all(reason or state == "on" for state, reason in rows)

    apply_plant(postgres_url, tmp_path, PLANT + RULE + CHANGED)
    assert sync_presets(connection, START + MINUTE) == 2
    rules = {r.code: r for r in load_rules(connection, START + MINUTE)}
    assert rules.keys() == {"high", "gateway-down", "coverage-falling", "completeness-low"}
    assert rules["gateway-down"].threshold.limit == 600.0
    assert (rules["gateway-down"].severity, rules["high"].severity) == ("warning", "warning")
    assert (listed(connection)["meter-silent"].state, listed(connection)["high"].state) == (
        "off", "on",
    )  # fmt: skip

    # A rule of a preset's name, also one that begins later, stands instead of it.
    own = RULE.replace('code = "high"', 'code = "coverage-falling"')
    later = RULE.replace('code = "high"', 'code = "completeness-low"\nfrom = 2027-01-01')
    apply_plant(postgres_url, tmp_path, PLANT + RULE + CHANGED + own + later)
    sync_presets(connection, START + 2 * MINUTE)
    rules = {r.code: r for r in load_rules(connection, START + 2 * MINUTE)}
    assert rules.keys() == {"high", "gateway-down", "coverage-falling"}
    assert rules["coverage-falling"].origin == "plant"
    assert connection.execute(
        "SELECT code FROM alert_preset WHERE reason_en ~ 'instead' ORDER BY code"
    ).fetchall() == [("completeness-low",), ("coverage-falling",)]


def test_the_commands(
    connection: psycopg.Connection[Any],
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ENPILOT_DATABASE_URL", postgres_url)
    times = [START + n * MINUTE for n in range(60)]
    values = [600 if 10 <= n < 20 or n >= 30 else 400 for n in range(60)]
    import_counts(postgres_url, tmp_path, times, values, period_s=60, **POWER)
    sync_presets(connection, START)
    evaluate(connection, START, STALE)
    evaluate(connection, times[-1], STALE)

    show_rules("works")
    rows = capsys.readouterr().out
    assert "high" in rows
    assert "since 2026-03-02 09:32" in rows
    assert "not applicable" in rows
    ack("works", "high", author="ann", note="load shed")
    assert "acknowledged main" in capsys.readouterr().out
    show_rules("works", firing=True)
    rows = capsys.readouterr().out
    assert "ann: load shed" in rows
    assert "gateway-down" not in rows

    show_replay("high", site="works", since=DAY, until=DAY)
    assert capsys.readouterr().out.splitlines()[0] == "high, limit 500: 2 times, every reading"
    show_replay("high", site="works", since=DAY, until=DAY, threshold=700.0, json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["firings"] == []
    assert document["seen"][0]["value"][:11] == [400.0] * 10 + [600.0]

    mute("works", author="ann", reason="tests", hours=2, since=START)
    assert "muted 1, 2026-03-02 09:00 to 2026-03-02 11:00" in capsys.readouterr().out
    show_replay("high", site="works", since=DAY, until=DAY)
    assert "0 times" in capsys.readouterr().out
    with pytest.raises(ConfigurationError, match="no window 1 that is not over"):
        unmute("works", 1, author="ann", reason="done")
    mute("works", author="ann", reason="tests", hours=2, rule="high")
    show_rules("works", firing=True)
    assert "high, every subject" in capsys.readouterr().out.splitlines()[-1]
    unmute("works", 2, author="ann", reason="done")
    show_rules("works", firing=True)
    assert "every subject" not in capsys.readouterr().out
    kept = connection.execute(
        "SELECT reason, superseded_commit_no IS NULL, to_ts <= now() FROM alert_mute"
        " ORDER BY mute_id"
    ).fetchall()
    assert kept == [("tests", True, True), ("tests", False, False), ("done", True, True)]
    with pytest.raises(ConfigurationError, match="has no rule 'low'"):
        mute("works", author="ann", reason="tests", hours=2, rule="low")
    with pytest.raises(ConfigurationError, match="either"):
        mute("works", author="ann", reason="tests")


def test_a_replay_fires_when_the_rule_did(
    connection: psycopg.Connection[Any], postgres_url: str, tmp_path: Path
) -> None:
    times = [START + n * MINUTE for n in range(60)]
    values = [600 if 10 <= n < 20 or n >= 30 else 400 for n in range(60)]
    import_counts(postgres_url, tmp_path, times, values, period_s=60, **POWER)
    evaluate(connection, START - MINUTE, STALE)
    for at in times[::7]:
        evaluate(connection, at, STALE)
    told = connection.execute(
        "SELECT to_state, at_ts FROM alert_event ORDER BY event_id"
    ).fetchall()
    found = replay(connection, "works", "high", START - MINUTE, times[-1])
    assert [(f.since, f.until) for f in found.firings] == [
        (START + 12 * MINUTE, START + 20 * MINUTE), (START + 32 * MINUTE, None),
    ]  # fmt: skip
    assert told == [
        ("firing", found.firings[0].since), ("resolved", found.firings[0].until),
        ("firing", found.firings[1].since),
    ]  # fmt: skip
    assert found.firings[0].worst == 600.0
    sync_presets(connection, START)
    with pytest.raises(NoSuchAlertError, match="cannot be replayed"):
        replay(connection, "works", "gateway-down", START, times[-1])
