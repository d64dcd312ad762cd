"""Agent, broker, two ingest workers, database and analytics are killed in random order under load.

Afterwards the database holds exactly what the outboxes have committed, once, and energy adds up to
what the meters counted. `make chaos` kills forty times and puts an old base backup back once.
"""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from edge_agent.outbox import read_streams
from enpilot.database import connect
from tests.chaos.cluster import Cluster
from tests.e2e.plant_under_test import PlantUnderTest
from tests.ingest.gateway import PLANT
from tests.services.mosquitto import Broker
from tests.services.programs import Programs
from tests.torture.reader import CHANNELS, ReaderOrder
from tests.torture.stored_once import Journal, assert_each_is_stored_once, one, outbox_batches

LONG = os.environ.get("ENPILOT_TEST_CHAOS") == "long"
SEED = int(os.environ.get("ENPILOT_TEST_CHAOS_SEED", "20261126"))
# Seconds of the meter's time in one on the wall: a backlog as of many meters.
SPEED = 200.0
WORKERS = ("ingest-1", "ingest-2")
VICTIMS = ("agent", "reader", "broker", "database", "analytics", *WORKERS)


@dataclass
class Chaos:
    """Everything that runs, and what was done to it."""

    folder: Path
    plant: PlantUnderTest
    cluster: Cluster
    broker: Broker
    first_us: int
    killed: Counter[str] = field(default_factory=Counter)
    restarted: Counter[str] = field(default_factory=Counter)

    @property
    def programs(self) -> Programs:
        return self.plant.programs

    def begin(self) -> None:
        self.cluster.start()
        self.plant.run("db", "migrate")
        self.plant.run("import", "plant", str(self.plant.files.path("steel.toml")))
        works = self.folder / "works.toml"
        works.write_text(PLANT, "utf-8")
        self.plant.run("import", "plant", str(works))
        self.plant.start("simulator")
        settings = self.folder / "ingest.toml"
        settings.write_text(
            f'share = "chaos"\nfold_s = 1.0\n[mqtt]\nport = {self.broker.port}\n', "utf-8"
        )
        for name in WORKERS:
            self.programs.start(name, "enpilot", "ingest", "run", str(settings))
        self.plant.start("agent")
        order = ReaderOrder(
            outbox=str(self.folder / "gw1.sqlite"), journal=str(self.folder / "gw1.journal"),
            port=self.broker.port, first_us=self.first_us, scans=10**7, speed=SPEED,
        )  # fmt: skip
        text = msgspec.json.encode(order).decode()
        self.programs.start("reader", "tests.torture.reader", text)
        every = self.folder / "analyze.toml"
        every.write_text("every_s = 0.5\n", "utf-8")
        self.programs.start("analytics", "enpilot", "analyze", "run", str(every))

    def kill(self, victim: str) -> None:
        self.killed[victim] += 1
        if victim == "broker":
            self.broker.kill()
        elif victim == "database":
            self.cluster.kill()
        elif self.programs.runs(victim):
            self.programs.kill(victim)

    def revive(self, victim: str) -> None:
        if victim == "broker":
            self.broker.start()
        elif victim == "database":
            self.cluster.start()
        elif not self.programs.runs(victim):
            self.programs.start(victim)
        self.tend()

    def tend(self) -> None:
        """Start again what has ended by itself, as a service manager does."""
        for name in self.programs.ended():
            self.restarted[name] += 1
            self.programs.start(name)

    def stored(self) -> int:
        return one(self.cluster.url, "SELECT count(*) FROM reading")

    def wait_for_more(self, readings: int, timeout_s: float = 90) -> None:
        """Wait until so many more readings are stored: everything works again."""
        wanted = self.stored() + readings
        deadline = time.monotonic() + timeout_s
        while self.stored() < wanted:
            self.tend()
            words = "\n".join(self.programs.last_words(name) for name in WORKERS)
            assert time.monotonic() < deadline, f"{self.stored()} stored, not {wanted}\n{words}"
            time.sleep(0.2)

    def settle(self) -> None:
        """Let all that waits go out, then end the agents in order, and ingest after them."""
        self.tend()
        self.plant.stop("agent")
        self.programs.stop("reader", 120)
        for name in (*WORKERS, "analytics"):
            self.programs.stop(name)


@pytest.fixture
def chaos(tmp_path: Path, mosquitto: Broker) -> Iterator[Chaos]:
    # Started by root, the server runs as another user, who must be able to enter.
    with tempfile.TemporaryDirectory(prefix="enpilot-chaos-") as name:
        Path(name).chmod(0o711)
        placeholder = PlantUnderTest(tmp_path, "", mosquitto.port)
        cluster = Cluster(Path(name), placeholder.programs)
        placeholder.programs.set_environment("ENPILOT_DATABASE_URL", cluster.url)
        # Readings of the future are refused, so the fast meter lives in the past.
        first_us = (int(time.time()) - 3 * 86_400) * 1_000_000
        chaos = Chaos(tmp_path, placeholder, cluster, mosquitto, first_us)
        try:
            yield chaos
        finally:
            with contextlib.suppress(FileNotFoundError):
                cluster.kill()
            placeholder.end()


def assert_all_is_there_once(chaos: Chaos) -> int:
    """Compare with both outboxes and the journal; return the readings."""
    url = chaos.cluster.url
    outboxes = [chaos.folder / "outbox.sqlite", chaos.folder / "gw1.sqlite"]
    for file in outboxes:
        assert all(s.held == s.dead == 0 and s.complete for s in read_streams(file))
    committed = {k: v for file in outboxes for k, v in outbox_batches(file).items()}
    journal = Journal(chaos.folder / "gw1.journal").read()
    assert journal.items() <= committed.items()
    assert_each_is_stored_once(url, committed, 0)
    return sum(readings for _, readings in committed.values())


def assert_energy_adds_up(chaos: Chaos) -> int:
    """Compare the intervals of every lifetime counter with its registers; return how many."""
    chaos.plant.run("analyze", "run", "--once")
    with connect(chaos.cluster.url, "test") as connection:
        rows = connection.execute(
            "SELECT p.code, s.quantity, coalesce(sum(a.advance_micro), 0)::bigint,"
            " (SELECT max(raw_int) - min(raw_int) FROM reading r"
            "  WHERE r.series_id = s.series_id AND quality & 255 = 0) * 1000000,"
            " sum(abs(a.estimated_micro))::bigint"
            " FROM series s JOIN point p USING (point_id)"
            " JOIN series_epoch e USING (series_id)"
            " LEFT JOIN interval_advance a USING (series_id, epoch_id)"
            " WHERE e.superseded_commit_no IS NULL AND e.counter_kind = 'lifetime'"
            " GROUP BY 1, 2, s.series_id ORDER BY 1, 2"
        ).fetchall()
    assert len(rows) >= 3
    for code, quantity, summed, counted, _ in rows:
        assert (code, quantity, summed) == (code, quantity, counted)
    # The fast meter counts one a second: what it counted is known without any register.
    scans = one(
        chaos.cluster.url,
        "SELECT max(raw_int) FROM reading JOIN series s USING (series_id)"
        " JOIN site USING (site_id) WHERE site.code = 'works' AND s.quantity = 'active_energy'",
    )
    works = next(r for r in rows if r[0] == "main" and r[3] == scans * 1_000_000)
    assert works[2] == scans * 1_000_000
    return len(rows)


def victims(chance: random.Random, kills: int) -> list[str]:
    """Return who is killed when: everybody in turn, in another order each time."""
    chosen: list[str] = []
    while len(chosen) < kills:
        chosen += chance.sample(VICTIMS, len(VICTIMS))
    return chosen[:kills]


def report(chaos: Chaos, readings: int, counters: int, began: float) -> None:
    with connect(chaos.cluster.url, "test") as connection:
        row = connection.execute(
            "SELECT sum(batches_stored), sum(batches_duplicated) FROM ingest_count"
        ).fetchone()
        codes = connection.execute(
            "SELECT code, count(*) FROM finding WHERE code NOT IN ('reset', 'rollover')"
            " GROUP BY 1 ORDER BY 1"
        ).fetchall()
    print(
        f"seed {SEED}: {sum(chaos.killed.values())} kills ({dict(chaos.killed)}), restarted by "
        f"themselves {dict(chaos.restarted)}; {readings} readings, batches stored and sent again "
        f"{row}, findings {codes}; {counters} counters add up; {time.monotonic() - began:.0f} s"
    )


def test_four_kills_lose_and_double_nothing(chaos: Chaos) -> None:
    began = time.monotonic()
    chance = random.Random(SEED)
    chaos.begin()
    chaos.wait_for_more(CHANNELS * 50)
    for victim in chance.sample(["agent", "broker", "database", *WORKERS[:1]], 4):
        chaos.kill(victim)
        time.sleep(chance.uniform(0.0, 1.0))
        chaos.revive(victim)
        chaos.wait_for_more(CHANNELS * 20)
    chaos.settle()
    readings = assert_all_is_there_once(chaos)
    report(chaos, readings, assert_energy_adds_up(chaos), began)


@pytest.mark.skipif(not LONG, reason="two to three minutes: `make chaos`")
@pytest.mark.timeout(1500)
def test_forty_kills_and_an_old_backup_lose_and_double_nothing(chaos: Chaos) -> None:
    began = time.monotonic()
    chance = random.Random(SEED)
    chaos.begin()
    chaos.wait_for_more(CHANNELS * 200)
    for number, victim in enumerate(victims(chance, 40)):
        if number == 10:
            chaos.cluster.back_up()
        if number == 25:
            chaos.cluster.put_back()  # what was stored in between is gone, and confirmed
        # Sometimes two at once: the second finds the first in the middle of coming back.
        chaos.kill(victim)
        time.sleep(chance.choice([0.0, 0.2, 1.0, 4.0]))
        chaos.revive(victim)
        if chance.random() < 0.5:
            chaos.wait_for_more(CHANNELS * 20)
        else:
            time.sleep(chance.uniform(0.0, 2.0))
    chaos.wait_for_more(CHANNELS * 200)
    chaos.settle()
    readings = assert_all_is_there_once(chaos)
    report(chaos, readings, assert_energy_adds_up(chaos), began)
