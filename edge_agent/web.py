"""What a running agent shows: Prometheus metrics at /metrics, and /health for a watchdog."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edge_agent.agent import Agent
from edge_agent.errors import OutboxError, OutboxWriteError
from edge_agent.settings import WebSettings
from enpilot.metrics_server import Shown, serving_metrics

__all__ = ["AgentCollector", "health", "serving"]

_STALLED_S: Final = 30.0
_UNCONFIRMED_S: Final = 300.0


@contextlib.contextmanager
def serving(agent: Agent, settings: WebSettings) -> Iterator[int | None]:
    """Serve an agent's metrics and health until left; yields the port, None if none is wanted.

    Raises
    ------
    ConfigurationError
        If the address cannot be listened on.
    """

    def shown_health() -> Shown:
        code, said = health(agent)
        return Shown(code, "application/json", msgspec.json.encode(said) + b"\n")

    with serving_metrics(
        "edge", AgentCollector(agent), (settings.host, settings.port), setting="$.web",
        pages={"/health": shown_health},
    ) as port:  # fmt: skip
        yield port


def health(agent: Agent) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and what it stands for.

    503 if readings are being lost or nothing moves; 200 with state "degraded" if they are safe but
    somebody should look.
    """
    troubles: list[str] = []
    failing = False
    if time.monotonic() - agent.moved_s > _STALLED_S:
        failing = True
        troubles.append("stalled")
    if agent.outbox_read_only:
        failing = True
        troubles.append("outbox_read_only")
    if not agent.clock_credible:
        troubles.append("clock_not_credible")
    if not agent.uplink.connected:
        troubles.append("broker_away")
    elif agent.uplink.unconfirmed_s > _UNCONFIRMED_S:
        troubles.append("nothing_confirmed")
    if down := agent.reading.units_down:
        troubles.append("units_down")
    with contextlib.suppress(OutboxError, OutboxWriteError):
        if agent.outbox.load().dead:
            troubles.append("dead_batches")
    state = "failing" if failing else "degraded" if troubles else "ok"
    return 503 if failing else 200, {"state": state, "troubles": troubles, "units_down": down}


class AgentCollector(Collector):
    """The figures of an agent, taken when they are asked for."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        agent = self._agent
        polls = agent.poll_counts()
        yield _counter("readings", "Readings since the start.", agent.readings)
        yield _counter("polls", "Scans of a unit that ended.", polls.polls)
        yield _counter("polls_late", "Scans that ended over a period late.", polls.late)
        yield _counter("polls_skipped", "Scans not made, their time had passed.", polls.skipped)
        yield _counter("polls_spared", "Scans not made, the unit is down.", polls.spared)
        yield _counter("silences", "Requests that a unit did not answer.", polls.silences)
        yield _counter("refusals", "Requests that a unit refused.", polls.refusals)
        yield _gauge("units_down", "Units that do not answer.", agent.reading.units_down)
        yield from self._lines()
        yield from self._uplink()
        yield from self._clock()
        with contextlib.suppress(OutboxError, OutboxWriteError):
            yield from self._outbox()

    def _lines(self) -> Iterator[Metric]:
        names = (
            ("requests", "Requests on a line."),
            ("replies", "Replies that were used."),
            ("timeouts", "Requests without a reply in time."),
            ("exceptions", "Replies that refuse."),
            ("bad_frames", "Replies that are none."),
            ("stale", "Replies to earlier requests, refused."),
            ("reconnects", "Openings after the first."),
        )
        lines = list(self._agent.lines)
        for name, text in names:
            family = CounterMetricFamily(f"enpilot_edge_line_{name}", text, labels=["line"])
            for line in lines:
                family.add_metric([line.code], getattr(line.counts, name))
            yield family
        busy = CounterMetricFamily(
            "enpilot_edge_line_busy_seconds", "Time taken by requests.", labels=["line"]
        )
        for line in lines:
            busy.add_metric([line.code], line.counts.busy_s)
        yield busy

    def _uplink(self) -> Iterator[Metric]:
        uplink = self._agent.uplink
        yield _gauge("broker_connected", "Whether the broker is connected.", uplink.connected)
        yield _counter("batches_sent", "Batches published, again ones too.", uplink.sent_batches)
        yield _counter("batches_confirmed", "Batches confirmed.", uplink.confirmed_batches)
        yield _gauge(
            "unconfirmed_seconds", "How long a receipt has been owed.", uplink.unconfirmed_s
        )

    def _clock(self) -> Iterator[Metric]:
        clock = self._agent.reading.clock
        yield _gauge("clock_credible", "Whether it is believed.", self._agent.clock_credible)
        yield _counter("clock_jumps", "Steps of the wall clock.", clock.jumps)
        yield _gauge(
            "held_back_readings", "Readings that wait for a date.", self._agent.held_readings
        )

    def _outbox(self) -> Iterator[Metric]:
        agent = self._agent
        load, usage = agent.outbox.load(), agent.outbox.usage()
        yield _gauge("outbox_held_batches", "Batches that wait.", load.batches)
        yield _gauge("outbox_held_readings", "Readings that wait.", load.readings)
        yield _gauge("outbox_dead_batches", "Batches set apart.", load.dead)
        yield _gauge("outbox_bytes", "Taken on disk.", usage.used_bytes)
        yield _gauge("outbox_limit_bytes", "May be taken on disk.", usage.limit_bytes)
        yield _gauge("outbox_read_only", "Whether the disk refuses.", agent.outbox_read_only)
        yield _counter("readings_dropped", "Given up for want of space.", usage.dropped_readings)
        yield _counter("readings_thinned", "Given up by thinning.", usage.thinned_readings)
        hours = agent.outbox.hours_left()
        if hours is not None:
            yield _gauge("outbox_hours", "Room at the present rate.", hours)
        if usage.bytes_per_reading is not None:
            yield _gauge("outbox_bytes_per_reading", "On disk.", usage.bytes_per_reading)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"enpilot_edge_{name}", text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"enpilot_edge_{name}", text, value=float(value))
