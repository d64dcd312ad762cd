"""A real TimescaleDB for the session: this machine's own, or the one in the chroot."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psycopg
import pytest

from enpilot.demo.processes import free_port
from tests.services.guard import ended_with_us
from tests.services.postgres import DatabaseServer

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "timescaledb.sh"
_DATA = "/var/tmp/enpilot-test-"
SKIPPED = "no TimescaleDB here: `make services` says what to install"


def timescaledb_root() -> Path | None:
    found = subprocess.run([SCRIPT, "root"], capture_output=True, text=True, check=False)
    return Path(found.stdout.strip()) if found.returncode == 0 else None


@contextlib.contextmanager
def timescaledb_server() -> Iterator[DatabaseServer]:
    root = timescaledb_root()
    if root is None:
        pytest.skip(SKIPPED)
    _remove_leftovers(root)
    data = Path(f"{_DATA}{os.getpid()}")
    port = free_port()
    url = f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([SCRIPT, "run", data, str(port)], stdout=log, stderr=log)
        try:
            with ended_with_us(process.pid, "QUIT"):
                _wait(process, url, log)
                yield DatabaseServer(url)
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait(30)
            shutil.rmtree(root / data.relative_to("/"), ignore_errors=True)


def _remove_leftovers(root: Path) -> None:
    """Remove the data of sessions that were killed; their servers ended with them."""
    for folder in (root / "var/tmp").glob(f"{Path(_DATA).name}*"):
        if not Path("/proc", folder.name.rpartition("-")[2]).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], url: str, log: IO[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                raise AssertionError(
                    f"TimescaleDB does not start:\n{log.read().decode('utf-8', 'replace')[-2000:]}"
                ) from None
            time.sleep(0.1)
        else:
            return
