"""Commands against what is not there: a clear line, nothing half-written, no secret shown."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path


def enpilot(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "enpilot", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**{k: v for k, v in os.environ.items() if k != "ENPILOT_DATABASE_URL"}, **environment},
        check=False,
        timeout=60,
    )


def test_no_database_named() -> None:
    done = enpilot("db", "status")
    assert done.returncode == 2
    assert done.stderr.strip().startswith("enpilot: set ENPILOT_DATABASE_URL")


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
        done = enpilot("demo", "--port", str(port), "--data-dir", folder)
        assert done.returncode == 2
        assert len(done.stderr.strip().splitlines()) == 1
        assert str(port) in done.stderr
        assert not folder.exists()


def test_no_broker_for_ingest(postgres_url: str) -> None:
    done = enpilot("ingest", "run", "--port", "1", ENPILOT_DATABASE_URL=postgres_url)
    assert done.returncode != 0
    assert "no MQTT broker at 127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr
