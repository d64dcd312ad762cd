"""The whole way over real sockets, with kill -9 in the middle: nothing lost, nothing twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from enpilot.database import connect
from tests.e2e.plant_under_test import PlantUnderTest, wait_until
from tests.services.mosquitto import Broker


@pytest.fixture
def plant(tmp_path: Path, database_url: str, mosquitto: Broker) -> Iterator[PlantUnderTest]:
    plant = PlantUnderTest(tmp_path, database_url, mosquitto.port)
    yield plant
    plant.end()


def stored(url: str) -> int:
    with connect(url, "test") as connection:
        row = connection.execute("SELECT count(*) FROM reading").fetchone()
    assert row is not None
    return int(row[0])  # type: ignore[call-overload]  # a count is a whole number


def test_kills_in_the_middle_lose_and_double_nothing(
    plant: PlantUnderTest, database_url: str, mosquitto: Broker
) -> None:
    plant.run("import", "plant", str(plant.files.path("steel.toml")))
    plant.start("simulator")
    plant.start("ingest")
    plant.start("agent")
    wait_until(lambda: stored(database_url) > 20, 40)

    plant.kill("ingest")
    time.sleep(1.5)  # batches pile up that nobody confirms
    plant.kill("agent")
    plant.start("ingest")
    plant.start("agent")
    before = stored(database_url)
    wait_until(lambda: stored(database_url) > before + 20, 40)

    mosquitto.kill()
    time.sleep(1.0)
    plant.kill("agent")
    plant.start("agent")
    mosquitto.start()
    before = stored(database_url)
    wait_until(lambda: stored(database_url) > before + 20, 60)
    plant.kill("ingest")
    plant.start("ingest")
    before = stored(database_url)
    wait_until(lambda: stored(database_url) > before + 20, 60)

    plant.stop("agent")  # waits for its receipts
    streams = plant.outbox()
    assert len(streams) == 3
    assert all(s.complete for s in streams)
    assert sum(s.held for s in streams) == 0
    assert sum(s.dead for s in streams) == 0
    committed = sum(s.readings for s in streams)
    with connect(database_url, "test", autocommit=True) as connection:
        rows = connection.execute(
            "SELECT count(*), count(DISTINCT (series_id, ts)) FROM reading"
        ).fetchone()
        assert rows == (committed, committed)
        assert connection.execute("SELECT count(*) FROM quarantine").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM lost_range").fetchone() == (0,)

    plant.stop("ingest")
    plant.run("analyze", "run", "--once")
    with connect(database_url, "test") as connection:
        for quantity, moved, booked in connection.execute(
            "SELECT s.quantity, (SELECT max(raw_int) - min(raw_int) FROM reading r"
            "   WHERE r.series_id = s.series_id),"
            " (SELECT coalesce(sum(advance_micro), 0) / 1000000 FROM interval_advance i"
            "   WHERE i.series_id = s.series_id)"
            " FROM series s WHERE quantity IN ('active_energy', 'mass')"
            # A slow meter may not have been read between the kills.
            " AND EXISTS (SELECT FROM reading r WHERE r.series_id = s.series_id)"
        ):
            assert booked == moved, quantity
