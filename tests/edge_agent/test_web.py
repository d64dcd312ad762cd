"""Metrics and health of a running agent, and the bundle for those who help."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from edge_agent.agent import Agent, load_plan
from edge_agent.diagnosis import diagnose
from edge_agent.settings import WebSettings
from edge_agent.web import serving
from enpilot.demo.processes import free_port
from enpilot.errors import ConfigurationError
from tests.edge_agent.agent_under_test import lay_out, until
from tests.edge_agent.modbus_server import MeterUnderTest
from tests.edge_agent.modbus_server import serving as serving_meters


def ask(port: int | None, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def test_a_running_agent_shows_its_figures_and_its_health(tmp_path: Path) -> None:
    async with serving_meters([MeterUnderTest(1, [4, 5]).device()]) as meters:
        settings = lay_out(tmp_path, meters, [0, 1])
        agent = Agent(settings, load_plan(settings))
        stop = asyncio.Event()
        with capture_logs(), serving(agent, WebSettings(port=0)) as port:
            running = asyncio.create_task(agent.run(stop))
            await until(lambda: agent.readings >= 4 and agent.outbox.load().readings >= 4)
            code, text = await asyncio.to_thread(ask, port, "/metrics")
            assert code == 200
            samples = {
                (s.name, s.labels.get("line")): s.value
                for family in text_string_to_metric_families(text) for s in family.samples
            }  # fmt: skip
            assert 4 <= samples["enpilot_edge_readings_total", None] <= agent.readings
            assert samples["enpilot_edge_line_requests_total", "l"] >= 2
            assert samples["enpilot_edge_outbox_held_readings", None] >= 4
            assert samples["enpilot_edge_broker_connected", None] == 0
            code, text = await asyncio.to_thread(ask, port, "/health")
            # Nothing is lost while the broker is away, so nobody should restart anything.
            assert (code, json.loads(text)["state"]) == (200, "degraded")
            assert json.loads(text)["troubles"] == ["broker_away"]
            agent._read_only = True
            code, text = await asyncio.to_thread(ask, port, "/health")
            assert (code, json.loads(text)["state"]) == (503, "failing")
            assert (await asyncio.to_thread(ask, port, "/"))[0] == 404
            stop.set()
            await running


async def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    async with serving_meters([MeterUnderTest(1, [4, 5]).device()]) as meters:
        settings = lay_out(tmp_path, meters, [0, 1])
        agent = Agent(settings, load_plan(settings))
        with (
            pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{meters}"),
            serving(agent, WebSettings(port=meters)),
        ):
            pass
        agent.outbox.close()


def test_the_bundle_has_what_helps_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = lay_out(tmp_path, free_port(), [0, 1])
    monkeypatch.setenv("ENPILOT_MQTT_PASSWORD", "hunter2-of-the-broker")
    settings = tmp_path / "agent.toml"
    settings.write_text(
        f'plant = "{plain.plant}"\nagent = "gw-1"\noutbox = "{plain.outbox}"\n'
        f"[mqtt]\npassword_variable = 'ENPILOT_MQTT_PASSWORD'\n[web]\nport = {free_port()}\n"
    )
    with plain.plant.open("a", encoding="utf-8") as plant:
        plant.write("# api_token = hunter3 is at https://joe:hunter4@intranet/wiki\n")
        plant.write("# smtp_password = 'hunter5'\n")
    file = tmp_path / "d.zip"
    diagnose(settings, out=file)
    assert "read it before you pass it on" in capsys.readouterr().out
    with zipfile.ZipFile(file) as bundle:
        parts = {name: bundle.read(name).decode() for name in bundle.namelist()}
    assert not any("hunter" in text for text in parts.values())
    assert "ENPILOT_MQTT_PASSWORD" in parts["settings.toml"]  # a name is no secret
    assert json.loads(parts["machine.json"])["environment"]["ENPILOT_MQTT_PASSWORD"] == "set"
    assert "agent gw-1: 1 requests a scan, 2 series" in parts["check.txt"]
    # What could not be had is said, with why.
    assert "cannot be read" in parts["outbox.json.missing.txt"]
    assert "refused" in parts["health.json.missing.txt"]
