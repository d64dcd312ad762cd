"""Chunks of hypertables: what state they are in, and how long the next ones should be (D8).

Only on a server with TimescaleDB; on plain PostgreSQL a table is one piece.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

__all__ = [
    "Chunk",
    "ChunkInterval",
    "choose_interval",
    "list_chunks",
    "memory_bytes",
    "quiet_chunks",
]

# TimescaleDB's advice: what is written now, with its indexes, within a quarter of memory. Of
# that quarter readings get most; interval rows are few.
_MEMORY_SHARE: Final = 0.25
_TABLE_SHARE: Final = {"reading": 0.8, "interval_advance": 0.2}
_DAYS: Final = (1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 90)
# A rate over less than this says more about a start than about a plant.
_LEAST_MEASURED: Final = dt.timedelta(hours=6)
# Bits of a chunk's status, in the catalogue since 2.9.
_UNORDERED: Final = 2
_PARTIAL: Final = 8


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of a hypertable, [since, until).

    ``settled`` is false if it is compressed but holds rows that are not, or batches out of order.
    """

    schema: str
    name: str
    since: dt.datetime
    until: dt.datetime
    compressed: bool
    settled: bool

    @property
    def identifier(self) -> sql.Identifier:
        """Its qualified name, for statements."""
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class ChunkInterval:
    """The length chosen for chunks to come, and from what.

    Attributes
    ----------
    table
        The hypertable.
    before_days, days
        Length so far, and chosen [days].
    rows_per_day
        Measured in the newest chunk.
    bytes_per_day, index_bytes_per_day
        The same with indexes, and the indexes alone [B].
    budget_bytes
        What the newest chunk may take [B].
    """

    table: str
    before_days: float
    days: int
    rows_per_day: float
    bytes_per_day: float
    index_bytes_per_day: float
    budget_bytes: float

    def sentence(self) -> str:
        """Say what was chosen and why."""
        return (
            f"chunks of {self.table} to come hold {self.days} days (before: "
            f"{self.before_days:g}): {self.rows_per_day:,.0f} rows a day take "
            f"{self.bytes_per_day / 1e6:,.0f} MB, {self.index_bytes_per_day / 1e6:,.0f} MB of it"
            f" index; the newest chunk may take {self.budget_bytes / 1e6:,.0f} MB"
        )


def list_chunks(connection: psycopg.Connection[Any], schema: str, table: str) -> list[Chunk]:
    """Return the chunks of a hypertable, oldest first."""
    return [
        Chunk(chunk_schema, name, since, until, compressed,
              not compressed or status & (_UNORDERED | _PARTIAL) == 0)
        for chunk_schema, name, since, until, compressed, status in connection.execute(
            "SELECT chunk_schema, chunk_name, range_start, range_end, is_compressed,"
            " _timescaledb_functions.chunk_status("
            "  format('%%I.%%I', chunk_schema, chunk_name)::regclass)"
            " FROM timescaledb_information.chunks"
            " WHERE hypertable_schema = %s AND hypertable_name = %s ORDER BY range_start",
            (schema, table),
        )
    ]  # fmt: skip


def quiet_chunks(
    connection: psycopg.Connection[Any], chunks: list[Chunk], quiet: dt.timedelta
) -> list[Chunk]:
    """Return those into which no batch came within ``quiet``; asked from the ledger."""
    if not chunks:
        return []
    touched = {
        row[0]
        for row in connection.execute(
            "SELECT DISTINCT c.no FROM batch_ledger l"
            " JOIN unnest(%s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY"
            "  AS c(since, until, no) ON l.first_ts < c.until AND l.last_ts >= c.since"
            " WHERE l.received_at > now() - %s::interval",
            ([c.since for c in chunks], [c.until for c in chunks], quiet),
        )
    }
    return [chunk for no, chunk in enumerate(chunks, 1) if no not in touched]


def memory_bytes(connection: psycopg.Connection[Any]) -> int:
    """Return the server's memory as its settings imply it: four times ``shared_buffers`` [B]."""
    row = connection.execute(
        "SELECT setting::bigint * 8192 * 4 FROM pg_settings WHERE name = 'shared_buffers'"
    ).fetchone()
    assert row is not None  # every server has this setting, in blocks of 8 kB
    return int(row[0])


def choose_interval(
    connection: psycopg.Connection[Any], table: str, memory: int, *, apply: bool = True
) -> ChunkInterval | None:
    """Measure what a day takes and set the length of the chunks to come.

    Parameters
    ----------
    connection
        As the owner, in autocommit mode.
    table
        ``reading`` or ``interval_advance``.
    memory
        The server's memory [B].
    apply
        Set it; otherwise only say it.

    Returns
    -------
    ChunkInterval or None
        None if there is not enough to measure yet. Shorter is set at once; longer only if it is
        at least twice as long, so that the length does not swing.
    """
    row = connection.execute(
        "SELECT extract(epoch FROM time_interval) / 86400 FROM timescaledb_information.dimensions"
        " WHERE hypertable_schema = current_schema AND hypertable_name = %s",
        (table,),
    ).fetchone()
    if row is None:
        return None
    before = float(row[0])
    budget = memory * _MEMORY_SHARE * _TABLE_SHARE[table]
    for chunk in reversed(list_chunks(connection, "enpilot", table)):
        rate = None if chunk.compressed else _rate(connection, table, chunk)
        if rate is None:
            continue
        rows, size, index = rate
        days = max([d for d in _DAYS if d * size <= budget], default=_DAYS[0])
        if before <= days < 2 * before:
            days = int(before) if before >= 1 else days
        if apply and days != before:
            connection.execute(
                "SELECT set_chunk_time_interval(%s::regclass, %s::interval)",
                (table, dt.timedelta(days=days)),
            )
        return ChunkInterval(table, before, days, rows, size, index, budget)
    return None


def _rate(
    connection: psycopg.Connection[Any], table: str, chunk: Chunk
) -> tuple[float, float, float] | None:
    """Return rows, bytes and index bytes a day in a chunk; None if it is too short to say."""
    # One probe of the index a series; a scan of the chunk for its ends would read all of it.
    ends = connection.execute(
        sql.SQL(
            "SELECT min(a.ts), max(z.ts) FROM series s"
            " CROSS JOIN LATERAL (SELECT ts FROM {t} WHERE series_id = s.series_id"
            "  AND ts >= %(a)s AND ts < %(b)s ORDER BY ts LIMIT 1) a"
            " CROSS JOIN LATERAL (SELECT ts FROM {t} WHERE series_id = s.series_id"
            "  AND ts >= %(a)s AND ts < %(b)s ORDER BY ts DESC LIMIT 1) z"
        ).format(t=sql.Identifier(table)),
        {"a": chunk.since, "b": chunk.until},
    ).fetchone()
    if ends is None or ends[0] is None or ends[1] - ends[0] < _LEAST_MEASURED:
        return None
    days = (ends[1] - ends[0]) / dt.timedelta(days=1)
    connection.execute(sql.SQL("ANALYZE {}").format(chunk.identifier))
    row = connection.execute(
        "SELECT reltuples, pg_total_relation_size(oid), pg_indexes_size(oid) FROM pg_class"
        " WHERE oid = format('%%I.%%I', %s::text, %s::text)::regclass",
        (chunk.schema, chunk.name),
    ).fetchone()
    assert row is not None  # the chunk was listed a moment ago
    return float(row[0]) / days, float(row[1]) / days, float(row[2]) / days
