"""Whatever happens, every reading that an outbox has committed is stored, once.

The broker goes away for long, the link flaps, the agent and ingest are killed, the database is put
back to an older backup, the outbox is copied. `make torture` lets it last: the broker is gone for
an hour of the meter's time, and the agent is killed ten times.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from enpilot.database import connect
from enpilot.plant import load_plant
from ingest.imports.plant import import_plant
from tests.ingest.gateway import PLANT
from tests.services.guard import ended_with_us
from tests.services.mosquitto import Broker
from tests.services.postgres import DatabaseServer
from tests.torture.flapping_link import FlappingLink
from tests.torture.reader import CHANNELS, ReaderOrder

LONG = os.environ.get("ENPILOT_TEST_TORTURE") == "long"
KILLS = 10 if LONG else 3
# Of the meter's time [s]; it runs so many times as fast as the clock on the wall.
BROKER_AWAY_S = 3600 if LONG else 300
SPEED = 60.0
ROOT = Path(__file__).parents[2]


@dataclass
class Journal:
    """What an outbox has committed, by the word of the program that appended it."""

    file: Path
    batches: dict[tuple[str, int], tuple[bytes, int]] = field(default_factory=dict)

    def read(self) -> dict[tuple[str, int], tuple[bytes, int]]:
        for line in self.file.read_text("utf-8").splitlines():
            # A kill may cut the last line; that batch is then found in the outbox, or nowhere.
            parts = line.split()
            if len(parts) == 4 and len(parts[2]) == 64:
                stream, seq, digest, readings = parts
                self.batches[stream, int(seq)] = (bytes.fromhex(digest), int(readings))
        return self.batches


class Stage:
    """The programs, and the database that they end in."""

    def __init__(self, folder: Path, server: DatabaseServer, url: str, broker: Broker) -> None:
        self.folder = folder
        self.url = url
        self.broker = broker
        self._server = server
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._guards: dict[str, contextlib.ExitStack] = {}
        # Readings of the future are refused, so the meter lives in the past.
        self.first_us = (int(time.time()) - 86_400) * 1_000_000
        self.backup = f"{self._name}_backup"

    @property
    def _name(self) -> str:
        return str(conninfo_to_dict(self.url)["dbname"])

    def _start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments], stdout=log, stderr=log, cwd=ROOT,
                env={**os.environ, "ENPILOT_DATABASE_URL": self.url, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        self._running[name] = process
        guard = self._guards[name] = contextlib.ExitStack()
        guard.enter_context(ended_with_us(process.pid, "KILL"))

    def start_reader(self, name: str, port: int, scans: int, first_us: int | None = None) -> None:
        file = self.folder / name
        order = ReaderOrder(
            outbox=f"{file}.sqlite", journal=f"{file}.journal",
            port=port, first_us=first_us or self.first_us, scans=scans, speed=SPEED,
        )  # fmt: skip
        text = msgspec.json.encode(order).decode()
        self._start(name, "tests.torture.reader", text)

    def start_ingest(self, name: str = "ingest") -> None:
        self._start(name, "enpilot", "ingest", "run", "--port", str(self.broker.port))

    def kill(self, name: str) -> None:
        process = self._running.pop(name)
        self._guards.pop(name).close()
        process.kill()
        process.wait(20)

    def stop(self, name: str, timeout_s: float) -> None:
        process = self._running[name]
        process.terminate()
        assert process.wait(timeout_s) == 0, (self.folder / f"{name}.log").read_text()[-2000:]
        self._guards.pop(name).close()
        del self._running[name]

    def end(self) -> None:
        for name in list(self._running):
            self.kill(name)
        with psycopg.connect(self._server.url, autocommit=True) as server:
            server.execute(f"DROP DATABASE IF EXISTS {self.backup} WITH (FORCE)")

    def back_up(self) -> None:
        with psycopg.connect(self._server.url, autocommit=True) as server:
            server.execute(f"CREATE DATABASE {self.backup} TEMPLATE {self._name}")

    def put_back(self) -> None:
        with psycopg.connect(self._server.url, autocommit=True) as server:
            server.execute(f"DROP DATABASE {self._name} WITH (FORCE)")
            server.execute(f"CREATE DATABASE {self._name} TEMPLATE {self.backup}")

    def one(self, query: str) -> int:
        with connect(self.url, "test") as connection:
            row = connection.execute(query).fetchone()  # type: ignore[arg-type]  # typed in here
        assert row is not None
        return int(row[0])

    def stored(self) -> int:
        return self.one("SELECT count(*) FROM reading")

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
            stage.kill("gw1")
            stage.start_reader("gw1", link.port, 10**7)
            if number % 3 == 1:
                stage.kill("ingest")
                time.sleep(0.5)
                stage.start_ingest()
        stage.wait_for(stage.stored() + CHANNELS * 100)

        # A backup; and a day's work later it is all that is left of the database.
        stage.kill("ingest")
        stage.back_up()
        before = stage.stored()
        stage.start_ingest()
        stage.wait_for(before + CHANNELS * 300)
        stage.kill("ingest")
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
        stage.kill("ingest")
        time.sleep(2)
        stage.kill("gw1")
        for file in stage.folder.glob("gw1.sqlite*"):
            shutil.copy(file, stage.folder / file.name.replace("gw1", "copy"))
        shutil.copy(stage.folder / "gw1.journal", stage.folder / "copy.journal")
        stage.start_ingest()
        stage.start_reader("gw1", link.port, 0)
        later_us = stage.first_us + 80_000_000_000
        stage.start_reader("copy", stage.broker.port, 200, later_us)
        time.sleep(5)
        # One name lets in one at a time; each gets everything out when the other is gone.
        stage.stop("gw1", 120)
        stage.stop("copy", 120)
    stage.stop("ingest", 60)

    committed = Journal(stage.folder / "gw1.journal").read()
    committed |= Journal(stage.folder / "copy.journal").read()
    assert_each_is_stored_once(stage, committed)
    print(
        f"{len(committed)} batches, {sum(n for _, n in committed.values())} readings, "
        f"{KILLS} kills, {link.breaks} broken connections, broker away for {BROKER_AWAY_S} s "
        "of the meter's time"
    )


def assert_each_is_stored_once(
    stage: Stage, committed: dict[tuple[str, int], tuple[bytes, int]]
) -> None:
    with connect(stage.url, "test") as connection:
        ledger = {
            (str(stream), seq): (bytes(digest), readings)
            for stream, seq, digest, readings in connection.execute(
                "SELECT s.stream, l.seq, l.sha256, l.readings FROM batch_ledger l"
                " JOIN stream s USING (stream_no) WHERE l.state = 'stored'"
            )
        }
        rows = {
            (str(stream), seq): count
            for stream, seq, count in connection.execute(
                "SELECT s.stream, r.batch & 4294967295, count(*) FROM reading r"
                " JOIN stream s ON s.stream_no = r.batch >> 32 GROUP BY 1, 2"
            )
        }
    # A kill between the commit and the journal's line leaves a batch that only the outbox knows.
    assert {key: ledger.get(key) for key in committed} == committed
    assert rows == {key: readings for key, (_, readings) in ledger.items()}
    assert len(ledger) - len(committed) <= KILLS + 2
    assert stage.one("SELECT count(*) - count(DISTINCT (series_id, ts)) FROM reading") == 0
    assert stage.one("SELECT count(*) FROM quarantine") == 0
    assert stage.one("SELECT count(*) FROM lost_range") == 0
