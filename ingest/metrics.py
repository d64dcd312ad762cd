"""What a running worker shows: Prometheus metrics at /metrics."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from enpilot.metrics_server import serving_metrics
from ingest.counts import ADDED, Counts, WorkerCounts
from ingest.settings import MetricsSettings

__all__ = ["IngestCollector", "IngestFigures", "serving"]

_OF_AGENTS: Final = {
    "batches_received": "Data messages taken.",
    "batches_stored": "Batches written.",
    "batches_duplicated": "Batches that were stored already, and confirmed again.",
    "batches_refused": "Data messages put into quarantine.",
    "births_needed": "Data messages that must come again after their birth.",
    "readings_stored": "Readings written.",
    "readings_duplicated": "Readings of batches that were stored already.",
    "readings_refused": "Readings of refused batches, where they could be counted.",
}


class IngestFigures:
    """The figures of a worker since its start; one thread adds, others read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._agents: dict[str, Counts] = {}
        self._worker = WorkerCounts("")
        self.waiting_messages = 0
        self.broker_connected = False
        self.database_connected = False

    def add(self, counts: Mapping[str, Counts], worker: WorkerCounts) -> None:
        """Add what a transaction did."""
        with self._lock:
            for agent, more in counts.items():
                self._agents.setdefault(agent, Counts()).add(more)
            self._worker = worker

    def agents(self) -> dict[str, Counts]:
        """Return a copy by agent."""
        with self._lock:
            return {name: dataclasses.replace(c) for name, c in self._agents.items()}

    def worker(self) -> WorkerCounts:
        """Return what the worker has done."""
        with self._lock:
            return self._worker

    def totals(self) -> dict[str, int]:
        """Return the counters over all agents."""
        agents = self.agents().values()
        return {name: sum(getattr(c, name) for c in agents) for name in ADDED}


class IngestCollector(Collector):
    """The figures of a worker, taken when they are asked for."""

    def __init__(self, figures: IngestFigures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        agents = self._figures.agents()
        for name, text in _OF_AGENTS.items():
            family = CounterMetricFamily(f"enpilot_ingest_{name}", text, labels=["agent"])
            for agent, counts in agents.items():
                family.add_metric([agent], getattr(counts, name))
            yield family
        for name, text in (
            ("reading_lag", "From the newest reading of the last group until it was taken."),
            ("sent_lag", "From the last send, by the agent's clock, until it was taken."),
        ):
            gauge = GaugeMetricFamily(f"enpilot_ingest_{name}_seconds", text, labels=["agent"])
            for agent, counts in agents.items():
                if (lag_ms := getattr(counts, f"{name}_ms")) is not None:
                    gauge.add_metric([agent], lag_ms / 1000)
            yield gauge
        yield from self._worker()

    def _worker(self) -> Iterator[Metric]:
        worker = self._figures.worker()
        yield _counter("groups", "Transactions committed.", worker.groups)
        yield _counter("writing_seconds", "Time taken by transactions.", worker.writing_s)
        yield _counter("direct_compress", "COPYs into the columnstore.", worker.direct_compress)
        yield _gauge("group_batches", "Data messages of the last group.", worker.group_batches)
        yield _gauge("group_readings", "Readings of the last group.", worker.group_readings)
        yield _gauge("commit_seconds", "Duration of the last transaction.", worker.commit_s)
        yield _gauge("waiting_messages", "Taken, not yet prepared.", self._figures.waiting_messages)
        yield _gauge(
            "broker_connected", "Whether the broker is there.", self._figures.broker_connected
        )
        yield _gauge(
            "database_connected", "Whether the database is there.",
            self._figures.database_connected,
        )  # fmt: skip


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"enpilot_ingest_{name}", text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"enpilot_ingest_{name}", text, value=float(value))


@contextlib.contextmanager
def serving(figures: IngestFigures, settings: MetricsSettings) -> Iterator[int | None]:
    """Serve a worker's metrics until left; yields the port, None if none is wanted.

    Raises
    ------
    ConfigurationError
        If the address cannot be listened on.
    """
    collector = IngestCollector(figures)
    address = (settings.host, settings.port)
    with serving_metrics("ingest", collector, address, setting="$.metrics") as port:
        yield port
