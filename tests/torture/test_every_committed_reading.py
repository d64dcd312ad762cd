"""Whatever happens, every reading that an outbox has committed is stored, once.

The broker goes away for long, the link flaps, the agent and ingest are killed, the database is put
back to an older backup, the outbox is copied. `make torture` lets it last: the broker is gone for
an hour of the meter's time, and the agent is killed ten times.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from enpilot.database import connect
from enpilot.plant import load_plant
from ingest.imports.plant import import_plant
from tests.ingest.gateway import PLANT
from tests.services.mosquitto import Broker
from tests.services.postgres import DatabaseServer
from tests.services.programs import Programs
from tests.torture.flapping_link import FlappingLink
from tests.torture.reader import CHANNELS, ReaderOrder
from tests.torture.stored_once import Journal, assert_each_is_stored_once, one

LONG = os.environ.get("ENPILOT_TEST_TORTURE") == "long"
KILLS = 10 if LONG else 3
# Of the meter's time [s]; it runs so many times as fast as the clock on the wall.
BROKER_AWAY_S = 3600 if LONG else 300
SPEED = 60.0


class Stage:
    """The programs, and the database that they end in."""

    def __init__(self, folder: Path, server: DatabaseServer, url: str, broker: Broker) -> None:
        self.folder = folder
        self.url = url
        self.broker = broker
        self._server = server
        self.programs = Programs(folder, {"ENPILOT_DATABASE_URL": url})
        # Readings of the future are refused, so the meter lives in the past.
        self.first_us = (int(time.time()) - 86_400) * 1_000_000
        self.backup = f"{self._name}_backup"

    @property
    def _name(self) -> str:
        return str(conninfo_to_dict(self.url)["dbname"])

    def start_reader(self, name: str, port: int, scans: int, first_us: int | None = None) -> None:
        file = self.folder / name
        order = ReaderOrder(
            outbox=f"{file}.sqlite", journal=f"{file}.journal",
            port=port, first_us=first_us or self.first_us, scans=scans, speed=SPEED,
        )  # fmt: skip
        text = msgspec.json.encode(order).decode()
        self.programs.start(name, "tests.torture.reader", text)

    def start_ingest(self, name: str = "ingest") -> None:
        self.programs.start(name, "enpilot", "ingest", "run", "--port", str(self.broker.port))

    def end(self) -> None:
        self.programs.end()
        with psycopg.connect(self._server.url, autocommit=True) as server:
            server.execute(f"DROP DATABASE IF EXISTS {self.backup} WITH (FORCE)")

    def back_up(self) -> None:
        with psycopg.connect(self._server.url, autocommit=True) as server:
            server.execute(f"CREATE DATABASE {self.backup} TEMPLATE {self._name}")

    def put_back(self) -> None:
        with psycopg.connect(self._server.url, autocommit=True) as server:
            server.execute(f"DROP DATABASE {self._name} WITH (FORCE)")
            server.execute(f"CREATE DATABASE {self._name} TEMPLATE {self.backup}")

    def stored(self) -> int:
        return one(self.url, "SELECT count(*) FROM reading")

    def wait_for(self, readings: int, timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while self.stored() < readings:
            assert time.monotonic() < deadline, f"{self.stored()} stored, not {readings}"
            time.sleep(0.1)


@pytest.fixture
def stage(tmp_path: Path, postgres_server: DatabaseServer, mosquitto: Broker) -> Iterator[Stage]:
    with postgres_server.database() as url:
        file = tmp_path / "plant.toml"
        file.write_text(PLANT, "utf-8")
        with connect(url, "test", autocommit=True) as connection:
            import_plant(connection, load_plant(file), "tester", "test")
        stage = Stage(tmp_path, postgres_server, make_conninfo(url), mosquitto)
        try:
            yield stage
        finally:
            stage.end()


@pytest.mark.timeout(1200)
def test_every_committed_reading_is_stored_once(stage: Stage) -> None:
    chance = random.Random(7)  # the same torture each time
    with FlappingLink(stage.broker.port) as link:
        stage.start_ingest()
        stage.start_reader("gw1", link.port, 10**7)
        stage.wait_for(CHANNELS * 100)

        # The agent is killed at any moment, and so is ingest; the link breaks and stalls.
        for number in range(KILLS):
            for _ in range(3):
                time.sleep(chance.uniform(0.1, 0.6))
                link.cut()
                link.stall(False)
                time.sleep(chance.uniform(0.0, 0.3))
                link.stall(True)
            stage.programs.kill("gw1")
            stage.start_reader("gw1", link.port, 10**7)
            if number % 3 == 1:
                stage.programs.kill("ingest")
                time.sleep(0.5)
                stage.start_ingest()
        stage.wait_for(stage.stored() + CHANNELS * 100)

        # A backup; and a day's work later it is all that is left of the database.
        stage.programs.kill("ingest")
        stage.back_up()
        before = stage.stored()
        stage.start_ingest()
        stage.wait_for(before + CHANNELS * 300)
        stage.programs.kill("ingest")
        stage.put_back()
        assert stage.stored() == before
        stage.start_ingest()
        stage.wait_for(before + CHANNELS * 300)

        # The broker is gone, the meters are not.
        stage.broker.kill()
        time.sleep(BROKER_AWAY_S / SPEED)
        stage.broker.start()
        before = stage.stored()
        stage.wait_for(before + CHANNELS * BROKER_AWAY_S)

        # Someone copies the gateway's disk with unconfirmed batches on it, and runs both.
        stage.programs.kill("ingest")
        time.sleep(2)
        stage.programs.kill("gw1")
        for file in stage.folder.glob("gw1.sqlite*"):
            shutil.copy(file, stage.folder / file.name.replace("gw1", "copy"))
        shutil.copy(stage.folder / "gw1.journal", stage.folder / "copy.journal")
        stage.start_ingest()
        stage.start_reader("gw1", link.port, 0)
        later_us = stage.first_us + 80_000_000_000
        stage.start_reader("copy", stage.broker.port, 200, later_us)
        time.sleep(5)
        # One name lets in one at a time; each gets everything out when the other is gone.
        stage.programs.stop("gw1", 120)
        stage.programs.stop("copy", 120)
    stage.programs.stop("ingest", 60)

    committed = Journal(stage.folder / "gw1.journal").read()
    committed |= Journal(stage.folder / "copy.journal").read()
    assert_each_is_stored_once(stage.url, committed, KILLS + 2)
    print(
        f"{len(committed)} batches, {sum(n for _, n in committed.values())} readings, "
        f"{KILLS} kills, {link.breaks} broken connections, broker away for {BROKER_AWAY_S} s "
        "of the meter's time"
    )
