"""Fixtures of the whole suite: databases and a broker, all real."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.services.mosquitto import Broker, running_mosquitto
from tests.services.postgres import DatabaseServer, embedded_server
from tests.services.timescaledb import timescaledb_root, timescaledb_server
from tests.services.wasm_timescaledb import wasm_is_installed

COMMUNITY = "ENPILOT_TEST_TIMESCALE_URL"


def pytest_report_header() -> list[str]:
    """Say which kinds of server this run is on, so that nothing is left out in silence."""
    root, wasm = timescaledb_root(), wasm_is_installed()
    missing = "skipped, not installed: `make services` says what is missing"
    server = "tested" if os.environ.get(COMMUNITY) else f"skipped, {COMMUNITY} is not set"
    return [
        "PostgreSQL: tested, embedded",
        f"TimescaleDB Apache: {f'tested, from {root}' if root else missing}",
        f"TimescaleDB Community, DDL and queries: {'tested, in WASM' if wasm else missing}",
        f"TimescaleDB Community, a server: {server}",
    ]


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """A command that was called here set up logs to a stream that ended with its test."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[DatabaseServer]:
    with embedded_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: DatabaseServer) -> Iterator[str]:
    """A fresh, migrated database on plain PostgreSQL."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Broker]:
    with running_mosquitto(tmp_path) as broker:
        yield broker


@pytest.fixture(scope="session")
def timescale_server() -> Iterator[DatabaseServer]:
    with timescaledb_server() as server:
        yield server


@pytest.fixture
def timescale_url(timescale_server: DatabaseServer) -> Iterator[str]:
    """A fresh, migrated database on a real TimescaleDB (Apache edition)."""
    with timescale_server.database() as url:
        yield url


@pytest.fixture(
    params=[
        pytest.param("postgres_url", id="postgresql"),
        pytest.param("timescale_url", id="timescaledb", marks=pytest.mark.timescaledb),
    ]
)
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh, migrated database: the test runs once on each kind of server."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture(
    params=[
        pytest.param("postgres_url", id="postgresql"),
        pytest.param("timescale_url", id="timescaledb", marks=pytest.mark.timescaledb),
        pytest.param("community_url", id="community", marks=pytest.mark.timescaledb),
    ]
)
def every_url(request: pytest.FixtureRequest) -> str:
    """The same, and on Community too where a server is named."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def community_url() -> Iterator[str]:
    """A fresh database on the server that ENPILOT_TEST_TIMESCALE_URL names."""
    url = os.environ.get(COMMUNITY)
    if not url:
        pytest.skip(f"{COMMUNITY} names no TimescaleDB Community server")
    with DatabaseServer(url, from_template=False).database() as fresh:
        yield fresh
