"""The command line: wrong input is one line and exit code 2; a gateway imports no server part."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ingest.gateway import PLANT

SERVER_PARTS = ("numpy", "numba", "psycopg", "nicegui", "fastapi", "yoyo")


def enpilot(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "enpilot", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**{k: v for k, v in os.environ.items() if k != "ENPILOT_DATABASE_URL"}, **environment},
        check=False,
        timeout=60,
    )


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2, done.stderr
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("enpilot: ")
    for word in words:
        assert word in lines[0]


def test_a_wrong_plant_file(tmp_path: Path) -> None:
    file = tmp_path / "plant.toml"
    file.write_text(PLANT.replace('medium = "electricity"', 'medium = "ether"'), "utf-8")
    refused(enpilot("edge", "check", file), str(file), "ether", "`$.point[0]")


def test_registers_that_overlap(tmp_path: Path) -> None:
    profile = tmp_path / "own.toml"
    profile.write_text(
        'code = "own"\nmaker = "x"\nmodels = []\nsource = "x"\nverified = false\n'
        '[[register]]\naddress = 0\ntype = "uint32"\nquantity = "voltage"\nchannel = "L1"\n'
        'unit = "V"\n[[register]]\naddress = 1\ntype = "uint16"\nquantity = "voltage"\n'
        'channel = "L2"\nunit = "V"\n',
        "utf-8",
    )
    file = tmp_path / "plant.toml"
    file.write_text(PLANT.replace("acrel-adl400", str(profile)), "utf-8")
    refused(enpilot("edge", "check", file), str(profile), "overlaps", "voltage.L2")


def test_a_unit_that_does_not_exist(tmp_path: Path) -> None:
    profile = tmp_path / "own.toml"
    profile.write_text(
        'code = "own"\nmaker = "x"\nmodels = []\nsource = "x"\nverified = false\n'
        '[[register]]\naddress = 0\ntype = "uint32"\nquantity = "active_energy"\n'
        'channel = "total"\nunit = "KWH"\ncounter = "lifetime"\n',
        "utf-8",
    )
    file = tmp_path / "plant.toml"
    file.write_text(PLANT.replace("acrel-adl400", str(profile)), "utf-8")
    refused(enpilot("edge", "check", file), str(profile), "'KWH'", "kWh")


def test_an_unknown_setting(tmp_path: Path) -> None:
    file = tmp_path / "ingest.toml"
    file.write_text("group_mesages = 5\n", "utf-8")
    refused(enpilot("ingest", "run", file), str(file), "group_mesages")
    refused(enpilot("ingest", "run", tmp_path / "none.toml"), "no such file")


def test_no_database_named() -> None:
    refused(enpilot("db", "status"), "ENPILOT_DATABASE_URL")


def test_a_database_that_is_not_there() -> None:
    done = enpilot("db", "status", ENPILOT_DATABASE_URL="postgresql://u:secret@127.0.0.1:1/nothing")
    assert done.returncode != 0
    assert "secret" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_the_demo_on_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        folder = tmp_path / "demo"
        refused(enpilot("demo", "--port", str(port), "--data-dir", folder), str(port), "--port")
        assert not folder.exists()


def test_no_broker_for_ingest(postgres_url: str) -> None:
    done = enpilot("ingest", "run", "--port", "1", ENPILOT_DATABASE_URL=postgres_url)
    assert done.returncode != 0
    assert "no MQTT broker at 127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["--help"], ["edge", "profiles"], ["edge", "--help"]])
def test_a_gateway_imports_no_server_part(command: list[str]) -> None:
    code = (
        "import sys\nfrom enpilot.cli import app\n"
        f"try:\n    app({command!r})\nexcept SystemExit:\n    pass\n"
        f"print('IMPORTED', [m for m in {SERVER_PARTS!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "IMPORTED []" in done.stdout
