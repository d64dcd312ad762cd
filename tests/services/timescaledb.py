"""A real TimescaleDB for the session: this machine's own, or the one in the chroot."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from enpilot.demo.processes import free_port
from tests.services.postgres import DatabaseServer

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "timescaledb.sh"
SKIPPED = "no TimescaleDB here: `make services` says what to install"


def timescaledb_root() -> Path | None:
    found = subprocess.run([SCRIPT, "root"], capture_output=True, text=True, check=False)
    return Path(found.stdout.strip()) if found.returncode == 0 else None


@contextlib.contextmanager
def timescaledb_server() -> Iterator[DatabaseServer]:
    root = timescaledb_root()
    if root is None:
        pytest.skip(SKIPPED)
    data = Path(f"/var/tmp/enpilot-test-{os.getpid()}")
    port = free_port()
    url = f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
    log = subprocess.DEVNULL
    process = subprocess.Popen([SCRIPT, "run", data, str(port)], stdout=log, stderr=log)
    try:
        _wait(process, url)
        # Background workers of the extension sit in a template database, so none is used.
        yield DatabaseServer(url, from_template=False)
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(30)
        shutil.rmtree(root / data.relative_to("/"), ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, "TimescaleDB ended by itself"
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "TimescaleDB does not answer"
            time.sleep(0.1)
        else:
            return
