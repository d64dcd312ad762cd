"""Fixtures of the whole suite: databases and a broker, all real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.mosquitto import Broker, running_mosquitto
from tests.services.postgres import DatabaseServer, embedded_server


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


@pytest.fixture
def database_url(postgres_url: str) -> str:
    return postgres_url
