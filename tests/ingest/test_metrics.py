"""What a worker says about itself: by HTTP and in tables; the room's page names every metric."""

from __future__ import annotations

import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from enpilot.database import connect
from enpilot.demo.processes import free_port
from enpilot.errors import ConfigurationError
from ingest.counts import Counts, WorkerCounts
from ingest.metrics import IngestCollector, IngestFigures, serving
from ingest.service import Worker
from ingest.settings import IngestSettings, MetricsSettings
from tests.ingest.gateway import Gateway
from tests.services.mosquitto import Broker

README = Path(__file__).parents[2] / "ingest" / "README.md"


@pytest.fixture
def metrics_port() -> int:
    return free_port()


@pytest.fixture
def worker(works: str, mosquitto: Broker, metrics_port: int) -> Iterator[Worker]:
    settings = IngestSettings(
        mqtt=mosquitto.settings, metrics=MetricsSettings(port=metrics_port), fold_s=0.2
    )
    worker = Worker(settings, works, "test-ingest")
    thread = threading.Thread(target=worker.run)
    thread.start()
    yield worker
    worker.stop()
    thread.join(20)
    assert not thread.is_alive()


def scraped(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def test_what_became_of_messages_is_counted(
    gateway: Gateway, works: str, metrics_port: int
) -> None:
    gateway.send_birth()
    now_us = time.time_ns() // 1000 - 5_000_000
    message = gateway.message(1, [1, 2], start_us=now_us)
    for payload in (message, message, b"{", gateway.message(2, [3], birth="0" * 64)):
        gateway.publish("data", payload)
    gateway.through(1)
    gateway.wait_for(lambda r: r.need)
    found = scraped(metrics_port)

    def of(name: str) -> float:
        return found[f'enpilot_ingest_{name}_total{{agent="gw1"}}']

    assert of("batches_received") == 4
    assert (of("batches_stored"), of("batches_duplicated")) == (1, 1)
    assert (of("batches_refused"), of("births_needed")) == (1, 1)
    assert (of("readings_stored"), of("readings_duplicated")) == (2, 2)
    assert 3 < found['enpilot_ingest_reading_lag_seconds{agent="gw1"}'] < 60
    assert 0 <= found['enpilot_ingest_sent_lag_seconds{agent="gw1"}'] < 60
    assert found["enpilot_ingest_broker_connected"] == 1
    assert found["enpilot_ingest_database_connected"] == 1
    with connect(works, "test") as connection:
        row = connection.execute(
            "SELECT batches_received, batches_stored, batches_duplicated, batches_refused,"
            " births_needed, readings_stored, reading_lag_ms BETWEEN 3000 AND 60000,"
            " sent_lag_ms BETWEEN 0 AND 60000 FROM ingest_count WHERE agent_id = 'gw1'"
        ).fetchone()
        assert row == (4, 1, 1, 1, 1, 2, True, True)
        kept = connection.execute("SELECT worker, batches, readings FROM ingest_worker").fetchall()
        assert kept == [("test-ingest", 4, 2)]


def test_without_a_port_nothing_listens() -> None:
    with serving(IngestFigures(), MetricsSettings()) as port:
        assert port is None


def test_a_port_that_is_taken_is_named() -> None:
    with serving(IngestFigures(), MetricsSettings(port=0)) as port:
        assert port is not None
        with (
            pytest.raises(ConfigurationError, match=str(port)),
            serving(IngestFigures(), MetricsSettings(port=port)),
        ):
            pass


def test_the_page_names_every_metric_and_no_other() -> None:
    figures = IngestFigures()
    figures.add({"gw1": Counts(reading_lag_ms=1, sent_lag_ms=1)}, WorkerCounts("w"))
    metrics = {
        metric.name + ("_total" if metric.type == "counter" else "")
        for metric in IngestCollector(figures).collect()
    }
    page = set(re.findall(r"`(enpilot_ingest_\w+)`", README.read_text("utf-8")))
    assert page == metrics
