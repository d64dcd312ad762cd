"""The command refuses in one line what it must not do; without a database it says so."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from dashboards.portal.access.middleware import COOKIE

_ROOT = Path(__file__).parents[2]


def _environment(**more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(_ROOT), **more}


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "enpilot", "portal", "run", *arguments],
        env=_environment(**environment), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def _refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]


def test_without_a_database_address() -> None:
    _refused(_run(), "ENPILOT_DATABASE_URL")


def test_a_port_in_use() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        port = str(other.getsockname()[1])
        url = "postgresql://nobody@127.0.0.1:1/none"
        done = _run("--port", port, ENPILOT_DATABASE_URL=url)
    _refused(done, port, "127.0.0.1", "--port")


def test_without_its_database_it_answers_and_says_so(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "enpilot", "portal", "run", "--port", str(port)],
        env=_environment(ENPILOT_DATABASE_URL="postgresql://nobody:secret@127.0.0.1:1/none"),
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                health = httpx.get(address + "/healthz")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        assert health.status_code == 503
        signed_in = httpx.Client(base_url=address, cookies={COOKIE: "x"})
        page = signed_in.get("/s/steel/overview?lang=en")
        assert page.status_code == 503
        assert "The database cannot be reached" in page.text
        assert signed_in.get("/api/v1/s/steel/live").status_code == 503
        assert signed_in.get("/").status_code == 503
    finally:
        process.terminate()
        output, errors = process.communicate(timeout=15)
    signed_in.close()
    assert output.startswith("portal on http://127.0.0.1:")
    assert "secret" not in errors + health.text + page.text
    assert "Traceback" not in errors
