"""Bytes a stored reading, measured in the columnstore of the server at hand.

Works in tables of its own with the columns of ``reading``, and removes them.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg import sql

from enpilot.database import read_capabilities
from ingest.bench.meter_history import agent_readings, imported_readings
from ingest.rows import COPY_READINGS, Readings, copy_stream, in_order, pack_rows

__all__ = ["TARGET_AGENT", "TARGET_IMPORT", "measure_storage_bytes"]

# [B a reading] with agent-made timestamps and provenance, and for imports on a grid.
TARGET_AGENT: Final = 3.5
TARGET_IMPORT: Final = 2.0
# What `enpilot db maintain` chooses for so many readings a day on a server with 1 GB of buffers.
_AGENT_CHUNK: Final = "7 days"
_IMPORT_CHUNK: Final = "90 days"


def measure_storage_bytes(
    connection: psycopg.Connection[Any], *, hours: float = 12.0, seed: int = 1
) -> dict[str, Any]:
    """Store made-up meter data as agents and as files bring it, compress it, and weigh it.

    Parameters
    ----------
    connection
        As the owner of the schema, in autocommit mode, to a database for measuring.
    hours
        Length of the agents' histories [h]; a thousand readings a series are the least that fill
        a batch of the columnstore.
    seed
        Of the made-up data.

    Returns
    -------
    dict
        ``skipped`` with the reason on a server without the columnstore. Otherwise ``agent`` and
        ``import``, each with ``rows``, ``bytes_per_reading``, ``row_store_bytes_per_reading``,
        ``target`` and, for each period, ``by_period_s``; a number of bytes contains indexes.
    """
    if not read_capabilities(connection).community:
        return {"skipped": "no columnstore on this server: TimescaleDB Community only"}
    agent = {
        period_s: _weigh(
            connection, agent_readings(meters, period_s, hours, seed=seed + period_s), _AGENT_CHUNK
        )
        for period_s, meters in ((1, 2), (5, 6), (15, 18))
    }
    imported = {
        period_s: _weigh(
            connection, imported_readings(meters, period_s, days, seed=seed), _IMPORT_CHUNK
        )
        for period_s, meters, days in ((60, 10, 30), (900, 20, 90))
    }
    return {"agent": _summed(agent, TARGET_AGENT), "import": _summed(imported, TARGET_IMPORT)}


def _summed(parts: dict[int, tuple[int, int, int]], target: float) -> dict[str, Any]:
    rows = sum(part[0] for part in parts.values())
    return {
        "rows": rows,
        "bytes_per_reading": round(sum(part[2] for part in parts.values()) / rows, 3),
        "row_store_bytes_per_reading": round(sum(part[1] for part in parts.values()) / rows, 1),
        "by_period_s": {
            str(period_s): round(after / count, 3) for period_s, (count, _, after) in parts.items()
        },
        "target": target,
    }


def _weigh(connection: psycopg.Connection[Any], rows: Readings, chunk: str) -> tuple[int, int, int]:
    """Return rows, and their bytes with indexes before and after compressing."""
    with _table(connection, chunk) as table:
        statement = COPY_READINGS.replace("COPY reading ", f"COPY {table} ")
        with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            copy.write(copy_stream([pack_rows(in_order(rows))]))
        connection.execute("SELECT compress_chunk(c) FROM show_chunks(%s::regclass) c", (table,))
        found = connection.execute(
            "SELECT sum(before_compression_total_bytes)::bigint,"
            " sum(after_compression_total_bytes)::bigint"
            " FROM chunk_compression_stats(%s::regclass)",
            (table,),
        ).fetchone()
    assert found is not None  # an aggregate has one row
    return len(rows), int(found[0]), int(found[1])


@contextlib.contextmanager
def _table(connection: psycopg.Connection[Any], chunk: str) -> Iterator[str]:
    name = f"bench_reading_{secrets.token_hex(4)}"
    table = sql.Identifier(name)
    connection.execute(
        sql.SQL("CREATE TABLE {} (LIKE reading INCLUDING CONSTRAINTS INCLUDING INDEXES)").format(
            table
        )
    )
    try:
        connection.execute(
            "SELECT create_hypertable(%s::regclass, 'ts', chunk_time_interval => %s::interval,"
            " create_default_indexes => false)",
            (name, chunk),
        )
        connection.execute(
            sql.SQL(
                "ALTER TABLE {} SET (timescaledb.compress,"
                " timescaledb.compress_segmentby = 'series_id',"
                " timescaledb.compress_orderby = 'ts')"
            ).format(table)
        )
        yield name
    finally:
        connection.execute(sql.SQL("DROP TABLE {}").format(table))
