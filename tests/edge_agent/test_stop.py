"""An agent that is told to stop ends soon, at whatever moment it is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.plant_under_test import PlantUnderTest, wait_until
from tests.services.mosquitto import Broker


@pytest.fixture
def plant(tmp_path: Path, mosquitto: Broker) -> Iterator[PlantUnderTest]:
    plant = PlantUnderTest(tmp_path, "", mosquitto.port)
    settings = plant.agent_settings.read_text("utf-8")
    # Nobody confirms here: a stop must not wait for it.
    plant.agent_settings.write_text(settings.replace("drain_s = 20.0", "drain_s = 0.0"), "utf-8")
    plant.start("simulator")
    yield plant
    plant.end()


def test_a_stop_is_never_forgotten(plant: PlantUnderTest) -> None:
    for wanted in (1, 2, 3, 4):
        plant.start("agent")
        wait_until(partial(has_streams, plant, wanted), 30)
        began = time.monotonic()
        plant.stop("agent")
        assert time.monotonic() - began < 15


def has_streams(plant: PlantUnderTest, wanted: int) -> bool:
    """Whether as many starts have stored a batch: before that a signal may come too early."""
    return (plant.folder / "outbox.sqlite").exists() and len(plant.outbox()) >= wanted
