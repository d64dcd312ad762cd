"""TimescaleDB Community as WASM: its DDL, policies and queries, on one connection."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from enpilot.database.connection import connection_options
from enpilot.demo.processes import free_port
from tests.services.guard import ended_with_us

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "wasm_timescaledb.sh"


SKIPPED = "no TimescaleDB in WASM here: `make services` says what to install"


def wasm_is_installed() -> bool:
    return subprocess.run([SCRIPT, "present"], check=False).returncode == 0


@contextlib.contextmanager
def wasm_connection() -> Iterator[psycopg.Connection[Any]]:
    if not wasm_is_installed():
        pytest.skip(SKIPPED)
    port = free_port()
    process = subprocess.Popen(
        [SCRIPT, "run", str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"listening\n", "TimescaleDB in WASM ended by itself"
        with (
            ended_with_us(process.pid, "KILL"),
            psycopg.connect(
                host="127.0.0.1",
                port=port,
                user="postgres",
                password="postgres",  # the package's own, fixed
                dbname="postgres",
                sslmode="disable",
                autocommit=True,
                prepare_threshold=None,
            ) as connection,
        ):
            for setting in connection_options().split("-c "):
                if setting.strip():
                    connection.execute(f"SET {setting.strip()}")
            yield connection
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
