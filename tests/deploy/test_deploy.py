"""What an installation is given: settings load, commands exist, the broker keeps agents apart."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from analytics.settings import AlertSettings, AnalyzeSettings
from edge_agent.settings import EdgeSettings
from enpilot.database.maintain import MaintainSettings
from enpilot.settings import load_settings
from ingest.settings import IngestSettings
from tests.services.mosquitto import Broker, mosquitto_program, running_mosquitto

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("edge/agent.toml", EdgeSettings),
        ("services/ingest.toml", IngestSettings),
        ("services/analyze.toml", AnalyzeSettings),
        ("services/alerts.toml", AlertSettings),
        ("services/maintain.toml", MaintainSettings),
    ],
)
def test_settings_files_load(file: str, kind: type) -> None:
    loaded = load_settings(DEPLOY / file, kind)
    text = (DEPLOY / file).read_text("utf-8")
    # Shipped files are complete: every setting of the service can be seen in them.
    for name in loaded.__struct_fields__:
        if kind is EdgeSettings and name in {"mqtt", "uplink"}:
            continue
        assert re.search(rf"^(# )?(\[?\[{name}\]|{name} =)", text, re.MULTILINE), name
    assert "password =" not in text


def test_every_command_in_compose_exists() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    commands = [s["command"] for s in compose["services"].values() if "enpilot" in s["image"]]
    assert len(commands) == 9
    for command in commands:
        words = [w for w in command[:2] if not w.startswith(("-", "/"))]
        done = subprocess.run(
            [sys.executable, "-m", "enpilot", *words, "--help"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (words, done.stderr)
        options = [w for w in command if w.startswith("--")]
        assert all(o in done.stdout for o in options), (words, options)


def test_compose_names_files_that_are_there_and_no_password() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    made_on_site = {"passwords", "boards", "provisioning"}
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./") and Path(source).name not in made_on_site:
                assert (DEPLOY / source).exists(), source
        for name, value in (service.get("environment") or {}).items():
            if "PASSWORD" in name:
                assert str(value).startswith("${"), name


def test_boards_are_rendered_as_compose_lays_them_in(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "enpilot", "grafana", "render", tmp_path, "--enterprise", "a-works",
         "--portal", "https://energy.example.org/"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    written = {Path(line).relative_to(tmp_path).as_posix() for line in done.stdout.splitlines()}
    assert len([name for name in written if name.startswith("boards/")]) == 10
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    grafana = compose["services"]["grafana"]
    laid = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    providers = yaml.safe_load((tmp_path / "provisioning/dashboards/enpilot.yaml").read_text())
    for provider in providers["providers"]:
        path = provider["options"]["path"].replace(laid["./grafana/boards"], "boards")
        assert any(name.startswith(f"{path}/") for name in written)
    sources = yaml.safe_load((tmp_path / "provisioning/datasources/enpilot.yaml").read_text())
    (source,) = sources["datasources"]
    assert (source["uid"], source["user"]) == ("enpilot-a-works", "grafana_a-works")
    # What Grafana fills in itself comes from compose, or from the file that holds passwords.
    asked = set(re.findall(r"\$(\w+)", str(source)))
    assert asked - set(grafana["environment"]) == {"ENPILOT_GRAFANA_PASSWORD_A_WORKS"}
    board = (tmp_path / "boards/en/enpilot-wall-en.json").read_text("utf-8")
    assert "https://energy.example.org/s/${site}/overview" in board


UNITS = sorted(DEPLOY.rglob("*.service"))


@pytest.mark.parametrize("file", UNITS, ids=lambda f: f.stem)
def test_a_systemd_unit_is_well_formed(file: Path, tmp_path: Path) -> None:
    unit = file.read_text("utf-8")
    words = re.search(r"^ExecStart=/opt/enpilot/bin/enpilot (\S+) (\S+)", unit, re.MULTILINE)
    assert words is not None
    assert ("Restart=always" in unit) == ("RestartPreventExitStatus=2" in unit)
    done = subprocess.run(
        [sys.executable, "-m", "enpilot", *words.groups(), "--help"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return
    # The program it starts is not on this machine; everything else must be right.
    own = tmp_path / file.name
    own.write_text(unit.replace("/opt/enpilot/bin/enpilot", sys.executable), "utf-8")
    done = subprocess.run([analyze, "verify", own], capture_output=True, text=True, check=False)
    assert str(own) not in done.stderr, done.stderr


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Broker]:
    passwords, acl = tmp_path / "passwords", tmp_path / "acl"
    passwords.touch(mode=0o600)
    shutil.copy(DEPLOY / "mosquitto/acl", acl)
    acl.chmod(0o600)
    for user in ("ingest", "gw1", "gw2"):
        subprocess.run(
            [mosquitto_program("mosquitto_passwd"), "-b", passwords, user, f"{user}-secret"],
            check=True, capture_output=True,
        )  # fmt: skip
    text = (DEPLOY / "mosquitto/mosquitto.conf").read_text("utf-8")
    text = text.replace("listener 1883\n", "").replace("/mosquitto/config", str(tmp_path))
    with running_mosquitto(tmp_path, text) as broker:
        yield broker


def test_the_broker_keeps_agents_apart(guarded: Broker) -> None:
    heard: dict[str, list[str]] = {"ingest": [], "gw1": [], "gw2": []}
    clients = {}
    for user in heard:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, user, userdata=user)
        client.username_pw_set(user, f"{user}-secret")
        client.on_message = lambda _c, who, m: heard[who].append(m.topic)
        client.connect("127.0.0.1", guarded.port)
        client.subscribe("enpilot/v1/#", 1)
        client.loop_start()
        clients[user] = client
    try:
        wanted = "enpilot/v1/gw1/data"
        deadline = time.monotonic() + 15
        while wanted not in heard["ingest"]:
            assert time.monotonic() < deadline
            clients["gw1"].publish(wanted, b"own", qos=1).wait_for_publish(5)
            time.sleep(0.1)
        clients["gw1"].publish("enpilot/v1/gw2/data", b"foreign", qos=1).wait_for_publish(5)
        clients["gw1"].publish("enpilot/v1/gw1/receipt", b"forged", qos=1).wait_for_publish(5)
        clients["ingest"].publish("enpilot/v1/gw1/receipt", b"real", qos=1).wait_for_publish(5)
        clients["gw2"].publish("enpilot/v1/gw2/status", b"last", qos=1).wait_for_publish(5)
        while "enpilot/v1/gw2/status" not in heard["ingest"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        for client in clients.values():
            client.disconnect()
            client.loop_stop()
    assert set(heard["ingest"]) == {wanted, "enpilot/v1/gw2/status"}
    assert heard["gw1"] == ["enpilot/v1/gw1/receipt"]
    assert heard["gw2"] == []


def test_ingest_may_share_data_and_an_agent_in_the_same_group_hears_none(guarded: Broker) -> None:
    heard: dict[str, list[bytes]] = {"ingest": [], "gw2": []}
    clients = {}
    for user in heard:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, user, userdata=user)
        client.username_pw_set(user, f"{user}-secret")
        client.on_message = lambda _c, who, m: heard[who].append(m.payload)
        client.connect("127.0.0.1", guarded.port)
        client.subscribe("$share/ingest/enpilot/v1/+/data", 1)
        client.loop_start()
        clients[user] = client
    sender = mqtt.Client(CallbackAPIVersion.VERSION2, "gw1")
    sender.username_pw_set("gw1", "gw1-secret")
    sender.connect("127.0.0.1", guarded.port)
    sender.loop_start()
    try:
        deadline = time.monotonic() + 15
        while len(heard["ingest"]) < 5:
            assert time.monotonic() < deadline
            sender.publish("enpilot/v1/gw1/data", b"own", qos=1).wait_for_publish(5)
            time.sleep(0.02)
    finally:
        for client in (*clients.values(), sender):
            client.disconnect()
            client.loop_stop()
    assert heard["gw2"] == []


def test_nobody_comes_in_without_a_password(guarded: Broker) -> None:
    refused: list[bool] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "nobody")
    client.on_connect = lambda _c, _d, _f, reason, _p: refused.append(reason.is_failure)
    client.connect("127.0.0.1", guarded.port)
    client.loop_start()
    deadline = time.monotonic() + 10
    while not refused and time.monotonic() < deadline:
        time.sleep(0.05)
    client.disconnect()
    client.loop_stop()
    assert refused[:1] == [True]
