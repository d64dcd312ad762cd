"""Several workers share the data of one gateway: out of order, sent again, one of them killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enpilot.database import connect
from tests.ingest.gateway import Gateway
from tests.services.guard import ended_with_us
from tests.services.mosquitto import Broker

BATCHES = 300
SETTINGS = """\
share = "workers"
group_messages = 20
fold_s = 0.5
[mqtt]
port = {port}
protocol = "{protocol}"
"""


class WorkerProcess:
    """``enpilot ingest run``, as an installation starts it."""

    def __init__(self, settings: Path, url: str, log: Path) -> None:
        self._log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "enpilot", "ingest", "run", str(settings)],
                env={**os.environ, "ENPILOT_DATABASE_URL": url},
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self._guard = ended_with_us(self.process.pid, "KILL")
        self._guard.__enter__()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 30
        while "ingest is ready" not in self._log.read_text("utf-8"):
            assert self.process.poll() is None, self._log.read_text("utf-8")
            assert time.monotonic() < deadline, "the worker is not ready"
            time.sleep(0.05)

    def end(self, how: int) -> None:
        self.process.send_signal(how)
        self.process.wait(30)
        self._guard.__exit__(None, None, None)


@pytest.fixture(params=["3.1.1", "5"])
def workers(
    request: pytest.FixtureRequest, works: str, mosquitto: Broker, tmp_path: Path
) -> Iterator[list[WorkerProcess]]:
    settings = tmp_path / "ingest.toml"
    settings.write_text(SETTINGS.format(port=mosquitto.port, protocol=request.param), "utf-8")
    started = [WorkerProcess(settings, works, tmp_path / f"{i}.log") for i in range(2)]
    for worker in started:
        worker.wait_until_ready()
    yield started
    for worker in started:
        if worker.process.poll() is None:
            worker.end(signal.SIGTERM)


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with connect(url, "test") as connection:
        return connection.execute(query).fetchall()


def wait_until_both_have_written(url: str) -> None:
    deadline = time.monotonic() + 30
    while rows(url, "SELECT count(*) FROM ingest_worker WHERE batches > 0") != [(2,)]:
        assert time.monotonic() < deadline, "only one worker gets data"
        time.sleep(0.1)


def test_two_workers_lose_and_double_nothing_even_if_one_is_killed(
    workers: list[WorkerProcess], works: str, mosquitto: Broker
) -> None:
    draw = random.Random(4)
    with Gateway(mosquitto.port) as gateway:
        gateway.send_birth()
        messages = {seq: gateway.message(seq, [seq, seq + 1]) for seq in range(1, BATCHES + 1)}
        order = sorted(messages, key=lambda seq: seq + draw.uniform(0, 40))
        for i, seq in enumerate(order):
            gateway.send(messages[seq])
            if i % 3 == 0:  # again, to whichever worker it comes
                gateway.send(messages[order[draw.randrange(i + 1)]])
            if i == BATCHES // 2:
                wait_until_both_have_written(works)
                workers[0].end(signal.SIGKILL)
        deadline = time.monotonic() + 60
        while not gateway.is_through(BATCHES):
            assert time.monotonic() < deadline, "not all batches were confirmed"
            for seq in gateway.unconfirmed(messages):  # what an agent does after silence
                gateway.send(messages[seq])
            time.sleep(0.3)
        receipts = list(gateway.receipts)
    stored = rows(works, "SELECT raw_int, count(*) FROM reading GROUP BY raw_int")
    assert sum(n for _, n in stored) == 2 * BATCHES
    assert dict(stored) == {
        1: 1, BATCHES + 1: 1, **dict.fromkeys(range(2, BATCHES + 1), 2)
    }  # fmt: skip
    assert rows(works, "SELECT count(*) FROM lost_range") == [(0,)]
    assert rows(works, "SELECT count(*) FROM quarantine") == [(0,)]
    # A receipt is true up to its commit number: what it covers was committed by then.
    numbers = dict(rows(works, "SELECT seq, commit_no FROM batch_ledger"))
    for receipt in receipts:
        for stream in receipt.streams:
            ahead = [seq for low, high in stream.ahead for seq in range(low, high + 1)]
            for seq in [*range(1, stream.through + 1), *ahead]:
                assert numbers[seq] <= receipt.commit_no
    assert rows(
        works,
        "SELECT sum(batches_received) = sum(batches_stored + batches_duplicated + batches_refused"
        " + births_needed) FROM ingest_count",
    ) == [(True,)]
