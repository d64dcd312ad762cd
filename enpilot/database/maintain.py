"""What the database needs again and again: compress, settle, refresh, size (D8, D9).

A job of ours instead of TimescaleDB's policies: it compresses only what is quiet, refreshes what
late data touched, never reaches below what was dropped, and drops nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import msgspec
import psycopg
from msgspec import Meta
from psycopg import sql
from psycopg.errors import DeadlockDetected, LockNotAvailable
from psycopg.types.json import Jsonb

from enpilot.database.capabilities import read_capabilities
from enpilot.database.chunks import (
    Chunk,
    ChunkInterval,
    choose_interval,
    list_chunks,
    memory_bytes,
    quiet_chunks,
)
from enpilot.database.reconcile import CHARTS, HYPERTABLES, aggregate_name

__all__ = ["MaintainSettings", "Maintained", "maintain"]

# One refresh is one transaction; a first one over years must not be a single one.
_REFRESH_SLICE: Final = dt.timedelta(days=30)
# What is nearer than this is read from the readings: batches that are a little late show at once.
_REFRESH_LAG: Final = dt.timedelta(hours=1)
_LOCK_TIMEOUT: Final = "10s"
_QUARTER: Final = dt.timedelta(minutes=15)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class MaintainSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How often to look [s], and when a chunk is left alone long enough to be compressed [h].

    ``memory_mb`` is the memory of the database server; left out, four times its shared_buffers.
    """

    every_s: Annotated[float, Meta(gt=0)] = 600.0
    quiet_h: Annotated[float, Meta(ge=0)] = 24.0
    memory_mb: Annotated[int, Meta(gt=0)] | None = None


@dataclass(slots=True)
class Maintained:
    """What one round did."""

    compressed: int = 0
    recompressed: int = 0
    in_use: int = 0  # chunks left for the next round, because somebody writes there
    refreshed: int = 0  # windows looked at; those without changes cost nothing
    intervals: list[ChunkInterval] = field(default_factory=list)  # changed ones
    busy: bool = False  # another process is at it


def maintain(connection: psycopg.Connection[Any], settings: MaintainSettings) -> Maintained:
    """Do what is due now; nothing on plain PostgreSQL, whose autovacuum does what there is to do.

    Parameters
    ----------
    connection
        As the owner of the schema, in autocommit mode: a refresh must not run in a transaction.
    settings
        See `MaintainSettings`.
    """
    done = Maintained()
    capabilities = read_capabilities(connection)
    if capabilities.timescaledb is None:
        return done
    lock = "(hashtextextended('enpilot.maintain', 0))"
    if connection.execute(f"SELECT pg_try_advisory_lock{lock}").fetchone() != (True,):
        done.busy = True
        return done
    try:
        memory = settings.memory_mb * 1_000_000 if settings.memory_mb else memory_bytes(connection)
        for table in HYPERTABLES:
            chosen = choose_interval(connection, table, memory)
            if chosen is not None and chosen.days != chosen.before_days:
                done.intervals.append(chosen)
        if capabilities.community:
            # Refreshed first, so that the chunks of the charts are quiet when compressed.
            done.refreshed = _refresh(connection, batched=capabilities.direct_compress)
            for schema, table in _compressible(connection):
                _compress(connection, schema, table, settings, done)
    finally:
        connection.execute(f"SELECT pg_advisory_unlock{lock}")
    return done


def _compressible(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    tables = [("enpilot", table) for table in HYPERTABLES]
    tables += connection.execute(
        "SELECT materialization_hypertable_schema, materialization_hypertable_name"
        " FROM timescaledb_information.continuous_aggregates WHERE view_schema = current_schema"
        " AND view_name = ANY(%s) ORDER BY 2",
        ([aggregate_name(chart) for chart in CHARTS],),
    ).fetchall()
    return tables


def _compress(
    connection: psycopg.Connection[Any],
    schema: str,
    table: str,
    settings: MaintainSettings,
    done: Maintained,
) -> None:
    quiet = dt.timedelta(hours=settings.quiet_h)
    row = connection.execute("SELECT now()").fetchone()
    assert row is not None  # now() has one row
    complete_before = row[0] - quiet
    due = [
        chunk
        for chunk in list_chunks(connection, schema, table)
        if (not chunk.compressed and chunk.until <= complete_before) or not chunk.settled
    ]
    for chunk in quiet_chunks(connection, due, quiet):
        try:
            _compress_chunk(connection, chunk)
        except (LockNotAvailable, DeadlockDetected):
            done.in_use += 1
            continue
        if chunk.compressed:
            # The rows that came late have moved; give their pages back.
            connection.execute(sql.SQL("VACUUM {}").format(chunk.identifier))
            done.recompressed += 1
        else:
            done.compressed += 1


def _compress_chunk(connection: psycopg.Connection[Any], chunk: Chunk) -> None:
    # A chunk that is in use would make ingest wait behind us; the next round takes it.
    with connection.transaction():
        connection.execute("SELECT set_config('lock_timeout', %s, true)", (_LOCK_TIMEOUT,))
        connection.execute(
            "SELECT compress_chunk(format('%%I.%%I', %s::text, %s::text)::regclass,"
            " recompress => %s)",
            (chunk.schema, chunk.name, chunk.compressed),
        )


def _refresh(connection: psycopg.Connection[Any], *, batched: bool) -> int:
    """Refresh each window; on 2.21 and later in transactions of a day, not of ten buckets."""
    windows = list(_refresh_windows(connection))
    for chart, width_s in CHARTS.items():
        options = Jsonb({"buckets_per_batch": 86_400 // width_s})
        for since, until in windows:
            # Works on what late data has invalidated within the window, and on nothing else.
            connection.execute(
                sql.SQL(
                    "CALL refresh_continuous_aggregate({}, {}::timestamptz, {}::timestamptz{})"
                ).format(
                    sql.Literal(aggregate_name(chart)), since, until,
                    sql.SQL(", options => {}").format(options) if batched else sql.SQL(""),
                )
            )  # fmt: skip
    return len(windows) * len(CHARTS)


def _refresh_windows(
    connection: psycopg.Connection[Any],
) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """Yield the time that chunks cover, up to now, in slices, without what was dropped (D9).

    A refresh over a dropped span would find it empty and wipe its buckets.
    """
    row = connection.execute("SELECT now()").fetchone()
    assert row is not None  # now() has one row
    end = row[0] - _REFRESH_LAG
    dropped = connection.execute(
        "SELECT from_ts, to_ts FROM dropped_span ORDER BY from_ts"
    ).fetchall()
    slices: list[tuple[dt.datetime, dt.datetime]] = []
    for chunk in list_chunks(connection, "enpilot", "reading"):
        since = chunk.since
        # A late row opens a chunk again where one was dropped.
        for gone_from, gone_to in [*dropped, (chunk.until, chunk.until)]:
            until = min(gone_from, chunk.until)
            if since < until:
                if slices and slices[-1][1] == since and until - slices[-1][0] <= _REFRESH_SLICE:
                    slices[-1] = (slices[-1][0], until)
                else:
                    slices.append((since, until))
            since = max(since, gone_to)
    for since, until in slices:
        a, b = _up(since), _down(min(until, end))
        if a < b:
            yield a, b


def _down(at: dt.datetime) -> dt.datetime:
    return _EPOCH + (at - _EPOCH) // _QUARTER * _QUARTER


def _up(at: dt.datetime) -> dt.datetime:
    return _EPOCH - (_EPOCH - at) // _QUARTER * _QUARTER
