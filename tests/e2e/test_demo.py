"""``enpilot demo --once`` as a new user runs it, and what it reports."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.simulator.steel_load import SteelLoad, real_year
from enpilot.demo import broker
from enpilot.demo.history import ZONE
from enpilot.demo.processes import free_port, running_processes
from enpilot.errors import ConfigurationError
from tests.e2e.demo_pages import look_at_every_page
from tests.e2e.plant_under_test import PlantUnderTest, wait_until
from tests.e2e.test_nothing_lost import stored

PROMISED = {
    "meters", "readings_sent", "readings_stored", "readings_duplicated", "readings_lost",
    "intervals", "baseline_energy_kwh", "energy_kwh", "energy_tce", "output", "intensity",
    "target_intensity", "status", "coverage", "reporting_completeness", "seconds",
}  # fmt: skip


@pytest.mark.browser
@pytest.mark.timeout(600)
def test_the_demo_imports_lives_computes_and_stops(tmp_path: Path) -> None:
    report_file = tmp_path / "out.json"
    done = subprocess.run(
        [sys.executable, "-m", "enpilot", "demo", "--once", "--json", report_file,
         "--port", str(free_port()), "--data-dir", str(tmp_path / "demo")],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "合成" in done.stderr
    assert "synthetic" in done.stderr
    assert re.search(r"http://127\.0\.0\.1:\d+/link/[\w-]{43}\s", done.stderr)
    report = json.loads(report_file.read_text())
    assert set(report) >= PROMISED
    # The real year, out of the database's intervals (UCI steel data set: 959,637 kWh).
    assert report["baseline_energy_kwh"] == pytest.approx(959_637, rel=1e-4)
    assert sum(real_year().centi_kwh) / 100 == pytest.approx(959_637, abs=1)
    assert report["meters"] == 10  # the main meter, steam, pieces, and seven below the main meter
    assert report["readings_sent"] > 100
    assert report["readings_stored"] == report["readings_sent"]
    assert report["readings_duplicated"] == report["readings_lost"] == 0
    assert report["coverage"] == 1.0
    assert report["energy_tce"] == pytest.approx(report["energy_kwh"] * 0.1229 / 1000)
    assert report["intensity"] == pytest.approx(report["energy_tce"] * 1000 / report["output"])
    assert report["status"] in {"on_track", "slow", "behind"}
    workshops = report["workshops"]
    assert workshops["balances"] == 3
    assert 0.88 < workshops["sub_metered_share"] < 0.97
    until = dt.date.fromisoformat(report["plants"]["steel"]["period_to"])
    if until >= dt.date(until.year, 6, 1):  # the retrofit reports from May on
        assert workshops["saving_claim"] == "claimable"
        assert workshops["saving_kwh"] == pytest.approx(put_in_kwh(until), rel=0.2)
    assert workshops["months_closed"] == 2
    assert len(workshops["invoices_differing"]) == 1
    assert workshops["corrections"] == {"proposed": 1, "in_force": 1}
    glycerine = report["plants"]["glycerine"]
    assert glycerine["intensity"] == pytest.approx(15.83, abs=0.005)
    assert glycerine["target_intensity"] == pytest.approx(16.59, abs=0.005)
    assert glycerine["status"] == "on_track"
    assert sorted(tmp_path.iterdir()) == [tmp_path / "demo", report_file]
    (tmp_path / "portal").mkdir()
    look_at_every_page(tmp_path / "demo", tmp_path / "portal")


def put_in_kwh(until: dt.date) -> float:
    """The scenario takes 6.2 % off the load, of which 3 % are older than the retrofit."""
    load = SteelLoad(until.year - 1, ZONE, [])
    begin, end = (
        load.energy_micro_kwh(dt.datetime.combine(day, dt.time(), ZONE).timestamp())
        for day in (dt.date(until.year, 5, 1), until)
    )
    return (end - begin) / 1e6 * 0.032


def test_without_any_broker_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker.shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(broker.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="apt-get install mosquitto"):
        broker.broker_command(tmp_path, 1)


def test_the_wheels_broker_does_where_mosquitto_is_not(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker.shutil, "which", lambda *_, **__: None)
    port = free_port()
    name, command = broker.broker_command(tmp_path, port)
    assert name == "iotcore"
    with running_processes(tmp_path / "logs", {}) as group:
        group.start(name, command)
        group.wait_for_port(name, port)
        plant = PlantUnderTest(tmp_path, postgres_url, port)
        try:
            plant.run("import", "plant", str(plant.files.path("steel.toml")))
            for service in ("simulator", "ingest", "agent"):
                plant.start(service)
            wait_until(lambda: stored(postgres_url) > 20, 40)
            plant.kill("ingest")
            plant.start("ingest")
            before = stored(postgres_url)
            wait_until(lambda: stored(postgres_url) > before + 20, 40)
            plant.stop("agent")
            streams = plant.outbox()
        finally:
            plant.end()
    assert sum(s.held for s in streams) == 0
    assert stored(postgres_url) == sum(s.readings for s in streams)
