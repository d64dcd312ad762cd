"""Exact counters, per agent, committed with the data they count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

__all__ = ["Counts"]


@dataclass(slots=True)
class Counts:
    """What one transaction did for one agent."""

    batches_stored: int = 0
    batches_duplicated: int = 0
    batches_refused: int = 0
    readings_stored: int = 0
    readings_duplicated: int = 0
    last_reading_us: int | None = None

    def saw(self, ts_us: int) -> None:
        """Note the time of a stored reading [µs since 1970]."""
        self.last_reading_us = max(self.last_reading_us or ts_us, ts_us)

    def add_to(self, connection: psycopg.Connection[Any], agent: str) -> None:
        """Add to the table, in the caller's transaction."""
        connection.execute(
            "INSERT INTO ingest_count AS c (agent_id, batches_stored, batches_duplicated,"
            " batches_refused, readings_stored, readings_duplicated, last_received_at,"
            " last_reading_ts) VALUES (%(agent)s, %(stored)s, %(duplicated)s, %(refused)s,"
            " %(readings)s, %(again)s, now(),"
            " timestamptz 'epoch' + %(last)s * interval '1 microsecond')"
            " ON CONFLICT (agent_id) DO UPDATE SET"
            " batches_stored = c.batches_stored + excluded.batches_stored,"
            " batches_duplicated = c.batches_duplicated + excluded.batches_duplicated,"
            " batches_refused = c.batches_refused + excluded.batches_refused,"
            " readings_stored = c.readings_stored + excluded.readings_stored,"
            " readings_duplicated = c.readings_duplicated + excluded.readings_duplicated,"
            " last_received_at = excluded.last_received_at,"
            " last_reading_ts = greatest(c.last_reading_ts, excluded.last_reading_ts)",
            {
                "agent": agent,
                "stored": self.batches_stored,
                "duplicated": self.batches_duplicated,
                "refused": self.batches_refused,
                "readings": self.readings_stored,
                "again": self.readings_duplicated,
                "last": self.last_reading_us,
            },
        )
