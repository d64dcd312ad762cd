"""A worker on a real broker and a real database, and a gateway that talks to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from enpilot.database import connect
from enpilot.plant import load_plant
from ingest.imports.plant import import_plant
from ingest.service import Worker
from ingest.settings import IngestSettings
from tests.ingest.gateway import PLANT, Gateway
from tests.services.mosquitto import Broker


@pytest.fixture
def works(tmp_path: Path, database_url: str) -> str:
    """A database that knows the plant of `tests.ingest.gateway`."""
    file = tmp_path / "plant.toml"
    file.write_text(PLANT, "utf-8")
    with connect(database_url, "test", autocommit=True) as connection:
        import_plant(connection, load_plant(file), "tester", "test")
    return database_url


@pytest.fixture
def worker(works: str, mosquitto: Broker) -> Iterator[Worker]:
    worker = Worker(IngestSettings(mqtt=mosquitto.settings), works, "test-ingest")
    thread = threading.Thread(target=worker.run)
    thread.start()
    yield worker
    worker.stop()
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def gateway(worker: Worker, works: str, mosquitto: Broker) -> Iterator[Gateway]:
    with Gateway(mosquitto.port) as gateway:
        # A message that nobody subscribed to is gone; a real agent would send it again.
        with connect(works, "test", autocommit=True) as connection:
            deadline = time.monotonic() + 20
            while not connection.execute("SELECT 1 FROM agent_status").fetchone():
                assert time.monotonic() < deadline, "the worker does not listen"
                gateway.publish("status", gateway.status())
                time.sleep(0.05)
        yield gateway
