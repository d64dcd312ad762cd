"""Exact counters, per agent and per worker, committed with the data they count."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

__all__ = ["ADDED", "LAST", "Counts", "WorkerCounts", "add_counts", "forget_workers", "keep_worker"]


ADDED: Final = (
    "batches_received", "batches_stored", "batches_duplicated", "batches_refused", "births_needed",
    "readings_stored", "readings_duplicated", "readings_refused",
)  # fmt: skip
LAST: Final = ("last_reading_us", "reading_lag_ms", "sent_lag_ms")


@dataclass(slots=True)
class Counts:
    """What one transaction did for one agent.

    ``batches_received`` is counted when messages are taken, the others by what became of them:
    received = stored + duplicated + refused + births_needed.

    Attributes
    ----------
    births_needed
        Messages that must come again after their birth.
    last_reading_us
        Newest stored reading [µs since 1970].
    reading_lag_ms
        From the newest stored reading to when its message was taken off the broker [ms].
    sent_lag_ms
        The same from the agent's send, by its clock [ms].
    """

    batches_received: int = 0
    batches_stored: int = 0
    batches_duplicated: int = 0
    batches_refused: int = 0
    births_needed: int = 0
    readings_stored: int = 0
    readings_duplicated: int = 0
    readings_refused: int = 0
    last_reading_us: int | None = None
    reading_lag_ms: int | None = None
    sent_lag_ms: int | None = None

    def saw(self, newest_us: int, sent_us: int, received_us: int) -> None:
        """Note a stored batch: its newest reading, when it was sent and when taken [µs]."""
        if self.last_reading_us is None or newest_us >= self.last_reading_us:
            self.last_reading_us = newest_us
            self.reading_lag_ms = (received_us - newest_us) // 1000
        self.sent_lag_ms = _bounded((received_us - sent_us) // 1000)

    def add(self, other: Counts) -> None:
        """Add what the next transaction did; its instants and lags replace earlier ones."""
        for name in ADDED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in LAST:
            if (value := getattr(other, name)) is not None:
                setattr(self, name, value)


def _bounded(number: int) -> int:
    """Keep what a foreign clock says within a bigint."""
    return max(-(2**62), min(2**62, number))


@dataclass(slots=True)
class WorkerCounts:
    """What a worker has done since its start."""

    name: str
    started_at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    groups: int = 0
    batches: int = 0
    readings: int = 0
    group_batches: int = 0
    group_readings: int = 0
    commit_s: float = 0.0
    writing_s: float = 0.0
    direct_compress: int = 0


def add_counts(connection: psycopg.Connection[Any], counts: Mapping[str, Counts]) -> None:
    """Add to the table of agents, in the caller's transaction and in the order of their ids."""
    agents = sorted(counts)
    rows = [counts[agent] for agent in agents]
    connection.execute(
        "INSERT INTO ingest_count AS c (agent_id, batches_received, batches_stored,"
        " batches_duplicated, batches_refused, births_needed, readings_stored,"
        " readings_duplicated, readings_refused, last_received_at, last_reading_ts,"
        " reading_lag_ms, sent_lag_ms, group_batches, group_readings)"
        " SELECT a, rec, sto, dup, ref, need, rs, rd, rr, now(),"
        " timestamptz 'epoch' + last * interval '1 microsecond', rl, sl, rec, rs"
        " FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],"
        " %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],"
        " %s::bigint[]) WITH ORDINALITY"
        " AS u(a, rec, sto, dup, ref, need, rs, rd, rr, last, rl, sl, i) ORDER BY i"
        " ON CONFLICT (agent_id) DO UPDATE SET"
        " batches_received = c.batches_received + excluded.batches_received,"
        " batches_stored = c.batches_stored + excluded.batches_stored,"
        " batches_duplicated = c.batches_duplicated + excluded.batches_duplicated,"
        " batches_refused = c.batches_refused + excluded.batches_refused,"
        " births_needed = c.births_needed + excluded.births_needed,"
        " readings_stored = c.readings_stored + excluded.readings_stored,"
        " readings_duplicated = c.readings_duplicated + excluded.readings_duplicated,"
        " readings_refused = c.readings_refused + excluded.readings_refused,"
        " last_received_at = excluded.last_received_at,"
        " last_reading_ts = greatest(c.last_reading_ts, excluded.last_reading_ts),"
        " reading_lag_ms = coalesce(excluded.reading_lag_ms, c.reading_lag_ms),"
        " sent_lag_ms = coalesce(excluded.sent_lag_ms, c.sent_lag_ms),"
        " group_batches = excluded.group_batches, group_readings = excluded.group_readings",
        (
            agents, [r.batches_received for r in rows], [r.batches_stored for r in rows],
            [r.batches_duplicated for r in rows], [r.batches_refused for r in rows],
            [r.births_needed for r in rows], [r.readings_stored for r in rows],
            [r.readings_duplicated for r in rows], [r.readings_refused for r in rows],
            [r.last_reading_us for r in rows], [r.reading_lag_ms for r in rows],
            [r.sent_lag_ms for r in rows],
        ),
    )  # fmt: skip


def keep_worker(connection: psycopg.Connection[Any], worker: WorkerCounts) -> None:
    """Write a worker's row, in the caller's transaction."""
    connection.execute(
        "INSERT INTO ingest_worker AS w (worker, started_at, last_commit_at, groups, batches,"
        " readings, group_batches, group_readings, commit_ms, writing_s,"
        " direct_compress) VALUES (%s, %s, now(), %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (worker) DO UPDATE SET started_at = excluded.started_at,"
        " last_commit_at = excluded.last_commit_at, groups = excluded.groups,"
        " batches = excluded.batches, readings = excluded.readings,"
        " group_batches = excluded.group_batches, group_readings = excluded.group_readings,"
        " commit_ms = excluded.commit_ms, writing_s = excluded.writing_s,"
        " direct_compress = excluded.direct_compress",
        (
            worker.name, worker.started_at, worker.groups, worker.batches, worker.readings,
            worker.group_batches, worker.group_readings, worker.commit_s * 1000, worker.writing_s,
            worker.direct_compress,
        ),
    )  # fmt: skip


def forget_workers(connection: psycopg.Connection[Any]) -> None:
    """Delete the rows of workers that have not committed for a day."""
    connection.execute("DELETE FROM ingest_worker WHERE last_commit_at < now() - interval '1 day'")
