"""What the large tables take in this database, and what the columnstore saves or would save."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import psycopg

from enpilot.database.capabilities import Capabilities
from enpilot.database.chunks import list_chunks
from enpilot.database.reconcile import CHARTS, HYPERTABLES, aggregate_name

__all__ = ["ArchiveState", "TableStorage", "archive_state", "table_storage"]

# Measured by `enpilot bench ingest` (ingest/bench/storage_bytes.py) on TimescaleDB 2.28, with
# indexes: 2.2 to 2.5 B from agents every 1 to 15 s, 1.3 from minute files, 2.4 from quarter-hourly.
_COLUMNSTORE_B: Final = {"reading": 2.4}


@dataclass(frozen=True, slots=True)
class TableStorage:
    """One table; numbers of rows are the server's estimate.

    Attributes
    ----------
    table
        Its name, or that of a chart whose buckets are stored.
    rows, size_bytes
        Now, with indexes [B].
    chunks, compressed
        How many pieces, and how many of them in the columnstore; 0 if it is not a hypertable.
    chunk_days
        Length of the pieces to come [days], None if it is not a hypertable.
    before_bytes, after_bytes
        Of the compressed pieces, before and after [B].
    """

    table: str
    rows: int
    size_bytes: int
    chunks: int = 0
    compressed: int = 0
    chunk_days: float | None = None
    before_bytes: int = 0
    after_bytes: int = 0

    def sentence(self) -> str:
        """Say it in one line."""
        each = f", {self.size_bytes / self.rows:.1f} B a row" if self.rows > 0 else ""
        text = f"{self.rows:,} rows, {_size(self.size_bytes)}{each}"
        if self.chunk_days is not None:
            text += f"; {self.chunks} chunks, the next {self.chunk_days:g} days long"
        if self.compressed:
            text += (
                f"; {self.compressed} compressed, from {_size(self.before_bytes)} to"
                f" {_size(self.after_bytes)}"
            )
        return text

    def would_save(self) -> str | None:
        """Say what the columnstore would make of it, cited; None where nothing was measured."""
        each = _COLUMNSTORE_B.get(self.table)
        if each is None or self.rows <= 0 or self.compressed:
            return None
        return (
            f"about {_size(int(self.rows * each))} instead of {_size(self.size_bytes)}, at {each}"
            " B a reading as measured on made-up meters"
        )


@dataclass(frozen=True, slots=True)
class ArchiveState:
    """What the archive holds, as the manifest says."""

    files: int
    verified: int
    rows: int
    size_bytes: int
    dropped_rows: int
    kept_rows: int


def table_storage(
    connection: psycopg.Connection[Any], capabilities: Capabilities
) -> list[TableStorage]:
    """Measure ``reading``, ``interval_advance`` and the stored charts."""
    if capabilities.timescaledb is None:
        return [
            TableStorage(table, max(0, rows), size)
            for table, rows, size in connection.execute(
                "SELECT relname, reltuples::bigint, pg_total_relation_size(oid) FROM pg_class"
                " WHERE relnamespace = 'enpilot'::regnamespace AND relname = ANY(%s)"
                " ORDER BY relname DESC",
                (list(HYPERTABLES),),
            )
        ]
    names = {table: ("enpilot", table) for table in HYPERTABLES}
    if capabilities.community:
        for chart in CHARTS:
            row = connection.execute(
                "SELECT materialization_hypertable_schema, materialization_hypertable_name"
                " FROM timescaledb_information.continuous_aggregates"
                " WHERE view_schema = 'enpilot' AND view_name = %s",
                (aggregate_name(chart),),
            ).fetchone()
            if row is not None:
                names[chart] = row
    return [
        _hypertable(connection, name, schema, table, community=capabilities.community)
        for name, (schema, table) in names.items()
    ]


def _hypertable(
    connection: psycopg.Connection[Any], name: str, schema: str, table: str, *, community: bool
) -> TableStorage:
    row = connection.execute(
        "SELECT approximate_row_count(t), hypertable_size(t),"
        " (SELECT extract(epoch FROM time_interval) / 86400"
        "  FROM timescaledb_information.dimensions"
        "  WHERE hypertable_schema = %(s)s AND hypertable_name = %(t)s)"
        " FROM (SELECT format('%%I.%%I', %(s)s::text, %(t)s::text)::regclass AS t) h",
        {"s": schema, "t": table},
    ).fetchone()
    assert row is not None  # one row goes in
    chunks = list_chunks(connection, schema, table)
    before, after = 0, 0
    if community and any(chunk.compressed for chunk in chunks):
        found = connection.execute(
            "SELECT coalesce(sum(before_compression_total_bytes), 0)::bigint,"
            " coalesce(sum(after_compression_total_bytes), 0)::bigint"
            " FROM chunk_compression_stats(format('%%I.%%I', %s::text, %s::text)::regclass)",
            (schema, table),
        ).fetchone()
        assert found is not None  # an aggregate has one row
        before, after = found
    return TableStorage(
        name, int(row[0]), int(row[1] or 0), len(chunks), sum(c.compressed for c in chunks),
        float(row[2]), before, after,
    )  # fmt: skip


def archive_state(connection: psycopg.Connection[Any]) -> ArchiveState:
    """Sum up the manifest."""
    row = connection.execute(
        "SELECT count(*), count(verified_at), coalesce(sum(rows), 0)::bigint,"
        " coalesce(sum(bytes), 0)::bigint,"
        " (SELECT coalesce(sum(rows), 0)::bigint FROM dropped_span),"
        " (SELECT count(*) FROM kept_reading) FROM archive_file"
    ).fetchone()
    assert row is not None  # an aggregate has one row
    return ArchiveState(*row)


def _size(size_bytes: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if size_bytes >= scale:
            return f"{size_bytes / scale:,.1f} {unit}"
    return f"{size_bytes / 1e3:,.0f} kB"
