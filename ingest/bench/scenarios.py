"""The measurements, one after the other, on one broker and in one scratch database."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import psycopg
from numpy.typing import NDArray

from enpilot.database import connect, read_capabilities
from enpilot.demo.broker import broker_command
from enpilot.demo.processes import ProcessGroup, free_port, running_processes
from enpilot.demo.scratch import scratch_database
from ingest.bench.load import Shape, lay_out_plant
from ingest.bench.processes import (
    BenchError,
    MemoryWatch,
    cpu_s,
    publishing,
    server_cpu_s,
    wait_until,
)
from ingest.bench.publisher import Assignment, Report
from ingest.bench.storage_bytes import measure_storage_bytes
from ingest.bench.straightforward import TABLE
from ingest.rows import COPY_READINGS, Block, batch_number, copy_stream, join_blocks, pack_rows
from ingest.service import PART_MESSAGES
from ingest.settings import IngestSettings

__all__ = ["Bench"]

# More than any machine takes that this was tried on, in messages a second.
_MOST_RATE: Final = 8000
_STRAIGHTFORWARD_RATE: Final = 1500
# Where the instant stands in a row of COPY BINARY with one number.
_INSTANT: Final = np.dtype({"names": ["ts"], "formats": [">i8"], "offsets": [6], "itemsize": 62})
_TRAILER_BYTES: Final = 2
_DRAIN_SETTINGS: Final = """\
receive_maximum = 8000
group_messages = 4000
group_bytes = 16777216
group_readings = 400000
group_age_s = 0.05
max_waiting_messages = 4000
[mqtt]
port = {port}
protocol = "5"
"""


class Bench:
    """One run of all scenarios."""

    def __init__(self, folder: Path, seconds: float, shape: Shape, workers: int = 1) -> None:
        self._folder = folder
        self._workers = workers
        self._seconds = seconds
        self._shape = shape
        self._port = free_port()
        # Two days back and on from there: none of it lies ahead of the clock.
        self._next_us = (time.time_ns() // 86_400_000_000_000 - 20) * 86_400_000_000
        self._figures: dict[str, Any] = {}

    def run(self) -> dict[str, Any]:
        """Measure everything and return the figures.

        Raises
        ------
        BenchError
            If something does not start or what was sent is not confirmed.
        """
        with scratch_database() as (url, server):
            environment = {"ENPILOT_DATABASE_URL": url}
            with running_processes(self._folder / "logs", environment) as group:
                name, command = broker_command(self._folder, self._port)
                group.start("broker", command)
                group.wait_for_port("broker", self._port)
                self._describe(url, server, name)
                with connect(url, "bench", autocommit=True) as connection:
                    lay_out_plant(connection, self._shape)
                    connection.execute(TABLE)
                    self._measure(url, group, connection)
        return self._figures

    def _measure(self, url: str, group: ProcessGroup, connection: psycopg.Connection[Any]) -> None:
        saturated = self._worker_run(url, group, connection, rate=0.0, seconds=self._seconds)
        points_per_s = saturated["points_per_s"]
        rate = points_per_s / self._shape.points
        self._empty(connection)
        rows = max(1, round(saturated["readings_per_group"]))
        bare, bare_server_cpu_s = self._bare_copy(url, connection, rate, rows)
        self._empty(connection)
        half = self._worker_run(url, group, connection, rate=rate / 2, seconds=self._part(10.0, 3))
        self._empty(connection)
        if read_capabilities(connection).direct_compress:
            self._drain(url, group, connection)
        plain = self._straightforward(url, connection)
        self._figures |= {
            "points_per_s": round(points_per_s),
            "bare_copy_points_per_s": round(bare),
            "ratio": round(points_per_s / bare, 3),
            "lost": saturated["lost"] + half["lost"],
            "duplicates": saturated["duplicates"] + half["duplicates"],
            "publish_to_receipt_at_half_load_p50_s": half["latency_p50_s"],
            "publish_to_receipt_at_half_load_p99_s": half["latency_p99_s"],
            "worker_resident_bytes": saturated["resident_bytes"],
            "cpu_s_per_million_points": saturated["cpu_s_per_million_points"],
            "bare_copy_server_cpu_s_per_million_points": round(bare_server_cpu_s, 3),
            "straightforward_points_per_s": round(plain),
            "saturated": saturated,
            "half_load": half,
        }

    def _describe(self, url: str, server: str, broker: str) -> None:
        with connect(url, "bench", autocommit=True) as connection:
            found = read_capabilities(connection)
            settings = {
                name: str(connection.execute(f"SHOW {name}").fetchone()[0])  # type: ignore[index]  # SHOW always answers a row
                for name in (
                    "server_version", "fsync", "synchronous_commit", "full_page_writes",
                    "wal_level", "shared_buffers", "max_wal_size", "checkpoint_timeout",
                )
            }  # fmt: skip
        version = subprocess.run(
            [broker_command(self._folder, self._port)[1][0], "-h"],
            capture_output=True, text=True, check=False,
        ).stdout.partition("\n")[0]  # fmt: skip
        self._figures = {
            "parameters": {
                "synthetic": True,
                "seconds": self._seconds,
                "shape": msgspec.to_builtins(self._shape),
                "points_a_message": self._shape.points,
                "workers": self._workers,
                "series": self._shape.agents * self._shape.points // self._shape.samples,
                "ingest_settings": msgspec.to_builtins(IngestSettings()),
                "server": f"{found.edition}, {server}",
                "server_settings": settings,
                "broker": f"{broker}: {version}" if broker == "mosquitto" else broker,
                "processors": os.cpu_count(),
                "load_average_at_start": os.getloadavg()[0],
                "python": sys.version.split()[0],
            },
            "how": {
                "points_per_s": "confirmed between two commits of the last four fifths, agents "
                "paced by receipts",
                "bare_copy_points_per_s": "COPY BINARY of ready bytes, laid out as the worker "
                "does, into the emptied table, a commit a group of the same size, with publisher "
                "and broker at the same rate and a subscriber that looks at nothing",
                "publish_to_receipt": "from writing to the socket to the receipt, which is sent "
                "after the commit: an upper bound of when the reading is visible",
            },
        }

    def _assignment(self, rate: float, seconds: float, *, receipts: bool) -> Assignment:
        rounds_a_s = (rate or _MOST_RATE) / self._shape.agents
        work = Assignment(
            port=self._port, shape=self._shape, seconds=seconds,
            most_messages=round((rate * 1.2 or _MOST_RATE) * seconds) + 100 * self._shape.agents,
            rate=rate, receipts=receipts, first_us=self._next_us,
            result=str(self._folder / "report.json"),
        )  # fmt: skip
        length_s = rounds_a_s * seconds * 2 * self._shape.samples * self._shape.period_s
        self._next_us += round((length_s + 3600) * 1e6)
        return work

    def _wait_until_ready(self, name: str) -> None:
        log = self._folder / "logs" / f"{name}.log"
        wait_until(lambda: "ingest is ready" in log.read_text("utf-8"), 30, name)

    def _worker_run(
        self,
        url: str,
        group: ProcessGroup,
        connection: psycopg.Connection[Any],
        *,
        rate: float,
        seconds: float,
        settings: Path | None = None,
    ) -> dict[str, Any]:
        """Run the worker as an installation does, and count what it wrote."""
        work = self._assignment(rate, seconds, receipts=True)
        before = _counted(connection)
        how = [str(settings or self._settings())]
        names = [f"ingest-{i + 1}" for i in range(self._workers)]
        for name in names:
            group.start_enpilot(name, "ingest", "run", *how)
        for name in names:
            self._wait_until_ready(name)
        with publishing(self._folder, work) as publisher:
            memory = MemoryWatch(group.pid(names[0]))
            pids = {name: group.pid(name) for name in (*names, "broker")}
            pids["publisher"] = publisher.pid
            cpu = {name: cpu_s(pid) for name, pid in pids.items()}
            server = server_cpu_s(url)
            publisher.begin()
            time.sleep(seconds)
            spent = {name: cpu_s(pid) - cpu[name] for name, pid in pids.items()}
            spent["worker"] = sum(spent.pop(name) for name in names)
            spent["server"] = sum(
                now - server.get(pid, 0.0) for pid, now in server_cpu_s(url).items()
            )
            resident = memory.stop()
            report = publisher.report()
        for name in names:
            group.stop(name)
            (self._folder / "logs" / f"{name}.log").unlink()
        after = _counted(connection)
        return self._reckon(report, before, after, spent, resident)

    def _settings(self) -> Path:
        file = self._folder / "ingest.toml"
        share = "" if self._workers == 1 else 'share = "bench"\n'
        file.write_text(f"{share}[mqtt]\nport = {self._port}\n", "utf-8")
        return file

    def _reckon(
        self,
        report: Report,
        before: dict[str, int],
        after: dict[str, int],
        spent: dict[str, float],
        resident: dict[str, int],
    ) -> dict[str, Any]:
        if not report.window_s:
            raise BenchError("nothing was confirmed: see the logs")
        points = self._shape.points
        stored = after["readings"] - before["readings"]
        millions = max(report.confirmed * points, 1) / 1e6
        groups = max(1, after["groups"])
        return {
            "points_per_s": report.confirmed_in_window * points / report.window_s,
            "messages_sent": report.sent,
            "messages_sent_again": report.again,
            "publisher_ran_out": report.ran_out,
            "lost": report.sent * points - after["distinct"] + before["distinct"],
            "duplicates": stored - (after["distinct"] - before["distinct"]),
            "groups": groups,
            "readings_per_group": stored / groups,
            "writer_s_per_million_points": after["writing_ms"] / 1000 / max(stored, 1) * 1e6,
            "direct_compress": after["direct_compress"],
            "bytes_per_reading_with_index": (after["bytes"] - before["bytes"]) / max(stored, 1),
            "latency_p50_s": report.latency_p50_s,
            "latency_p99_s": report.latency_p99_s,
            "resident_bytes": resident,
            "cpu_s_per_million_points": {
                name: round(used / millions, 3) for name, used in spent.items()
            },
        }

    def _bare_copy(
        self, url: str, connection: psycopg.Connection[Any], rate: float, rows: int
    ) -> tuple[float, float]:
        """Return what COPY alone writes while publisher and broker do the same as before.

        Points a second, and processor time of the server for a million points [s].
        """
        seconds = self._seconds
        work = self._assignment(rate, seconds, receipts=False)
        body = _Body(self._shape, rows, self._next_us)
        with publishing(self._folder, work) as publisher:
            server = server_cpu_s(url)
            publisher.begin()
            began = time.monotonic()
            measured_from, copied, total = began, 0, 0
            while (now := time.monotonic()) - began < seconds and publisher.running:
                if copied == 0 and now - began > 0.2 * seconds:
                    measured_from = now
                    copied = 1  # from here on it counts
                with (
                    connection.transaction(),
                    connection.cursor() as cursor,
                    cursor.copy(COPY_READINGS) as copy,
                ):
                    copy.write(body.next())
                copied += body.rows if copied else 0
                total += body.rows
            ended = time.monotonic()
            spent = sum(now - server.get(pid, 0.0) for pid, now in server_cpu_s(url).items())
            publisher.report()
        self._next_us = body.next_us + 3_600_000_000
        return (copied - 1) / (ended - measured_from), spent / total * 1e6

    def _straightforward(self, url: str, connection: psycopg.Connection[Any]) -> float:
        seconds = self._part(5.0, 4)
        work = self._assignment(_STRAIGHTFORWARD_RATE, seconds, receipts=False)
        subscriber = subprocess.Popen(
            [sys.executable, "-m", "ingest.bench.straightforward", str(self._port), url],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert subscriber.stdout is not None  # a pipe
            subscriber.stdout.readline()
            with publishing(self._folder, work) as publisher:
                publisher.begin()
                began = time.monotonic()
                first = _rows(connection, "bench_plain")
                time.sleep(seconds)
                stored = _rows(connection, "bench_plain") - first
                return stored / (time.monotonic() - began)
        finally:
            subscriber.kill()
            subscriber.wait()
            if subscriber.stdout is not None:
                subscriber.stdout.close()

    def _drain(self, url: str, group: ProcessGroup, connection: psycopg.Connection[Any]) -> None:
        """Measure large COPYs straight into the columnstore, as a backlog makes them."""
        settings = self._folder / "drain.toml"
        settings.write_text(_DRAIN_SETTINGS.format(port=self._port), "utf-8")
        drained = self._worker_run(
            url, group, connection, rate=0.0, seconds=self._seconds, settings=settings
        )
        self._figures |= {
            "drain_points_per_s": round(drained["points_per_s"]),
            "drain": drained,
            "columnstore": measure_storage_bytes(connection),
        }
        self._empty(connection)

    def _part(self, least_s: float, share: int) -> float:
        """Return how long a side scenario runs [s]."""
        return min(self._seconds, max(least_s, self._seconds / share))

    def _empty(self, connection: psycopg.Connection[Any]) -> None:
        """Begin each measurement with the same table."""
        connection.execute("TRUNCATE reading")
        connection.execute("CHECKPOINT")


class _Body:
    """COPY bytes of one group as the worker lays them out, moved on in time from group to group.

    Ready beforehand: only the instants are rewritten where they stand.
    """

    def __init__(self, shape: Shape, rows: int, first_us: int) -> None:
        width = shape.points // shape.samples
        instants = max(1, round(rows / (shape.agents * width)))
        step_us = round(shape.period_s * 1e6)
        a_part = max(1, PART_MESSAGES // shape.agents) * shape.samples
        bodies = [
            pack_rows(
                join_blocks(
                    [
                        _block(
                            agent * width + 1, width, first_us + (begin + np.arange(n)) * step_us
                        )
                        for agent in range(shape.agents)
                    ],
                    [batch_number(1, 1)] * shape.agents,
                )
            )
            for begin in range(0, instants, a_part)
            for n in [min(a_part, instants - begin)]
        ]
        stream = copy_stream(bodies)
        self.rows = instants * shape.agents * width
        self._bytes = bytearray(stream)
        head = len(copy_stream([])) - _TRAILER_BYTES
        self._ts = np.frombuffer(
            self._bytes, _INSTANT, count=self.rows, offset=head
        )["ts"]  # fmt: skip
        self._step_us = instants * step_us
        self.next_us = first_us

    def next(self) -> bytes:
        """Return the next group."""
        ready = bytes(self._bytes)
        self._ts += self._step_us
        self.next_us += self._step_us
        return ready


def _block(first_series: int, width: int, ts_us: NDArray[np.int64]) -> Block:
    n = len(ts_us)
    return Block(
        np.arange(first_series, first_series + width, dtype=np.int32),
        ts_us, np.zeros(n, np.int16), np.zeros(width * n, np.int8),
        np.full(width * n, 98_500_000), np.zeros(width * n), np.zeros(width * n, np.int16),
    )  # fmt: skip


def _counted(connection: psycopg.Connection[Any]) -> dict[str, int]:
    row = connection.execute(
        "SELECT count(*), count(DISTINCT (series_id, ts)),"
        " (SELECT coalesce(sum(groups), 0) FROM ingest_worker),"
        " (SELECT coalesce(sum(direct_compress), 0) FROM ingest_worker),"
        " (SELECT coalesce(sum(writing_s), 0) FROM ingest_worker) FROM reading"
    ).fetchone()
    assert row is not None  # an aggregate is one row
    connection.execute("DELETE FROM ingest_worker")
    hypertable = read_capabilities(connection).timescaledb is not None
    size = "hypertable_size('reading')" if hypertable else "pg_total_relation_size('reading')"
    sized = connection.execute(f"SELECT {size}").fetchone()
    assert sized is not None  # a function call is one row
    return {
        "readings": int(row[0]), "distinct": int(row[1]), "groups": int(row[2]),
        "direct_compress": int(row[3]), "writing_ms": round(row[4] * 1000), "bytes": int(sized[0]),
    }  # fmt: skip


def _rows(connection: psycopg.Connection[Any], table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row is not None  # an aggregate is one row
    return int(row[0])
