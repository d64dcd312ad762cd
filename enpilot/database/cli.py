"""``enpilot db``: migrate, status, capabilities, maintain, archive."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import psycopg
import structlog

from enpilot.database.capabilities import Capabilities, read_capabilities
from enpilot.database.connection import connect, database_url
from enpilot.database.maintain import Maintained, MaintainSettings
from enpilot.database.maintain import maintain as run_maintenance
from enpilot.database.migrate import migrate as run_migrations
from enpilot.database.migrate import migration_status
from enpilot.database.service_loop import run_connected
from enpilot.database.storage import archive_state, table_storage
from enpilot.logs import configure_logs
from enpilot.settings import load_settings

__all__ = ["app"]

app = cyclopts.App(name="db", help="The database: schema, abilities, upkeep, archive.")
# By name: only this command needs what reads Parquet.
app.command("enpilot.archive.cli:app", name="archive")


@app.command
def migrate() -> None:
    """Create or update the schema, then add what the server can do."""
    print(f"schema is up to date on {run_migrations(database_url()).edition}")


@app.command
def status() -> None:
    """Say which migrations the database has and which it needs."""
    found = migration_status(database_url())
    for name in found.applied:
        print(f"applied  {name}")
    for name in found.pending:
        print(f"pending  {name}")


@app.command
def capabilities() -> None:
    """Say what the server can do, what the large tables take, and what more would bring."""
    with connect(database_url(), "db capabilities", autocommit=True) as connection:
        found = read_capabilities(connection)
        storage = table_storage(connection, found)
        archived = archive_state(connection)
    print(f"server               {found.edition} on PostgreSQL {found.postgresql // 10000}")
    saving = next((text for table in storage if (text := table.would_save())), None)
    rows = (
        ("hypertables", found.timescaledb is not None,
         "readings in time chunks: old ones are dropped at once, not row by row"),
        ("columnstore", found.community, "readings take a fortieth of the bytes"
         + (f": {saving}" if saving else "")),
        ("direct compress", found.direct_compress, "three times the rows a second on big imports"),
        ("continuous aggregates", found.community, "charts over years without scanning readings"),
    )  # fmt: skip
    for name, on, brings in rows:
        print(f"{name:21} {'on' if on else 'off':4} {brings}")
    for table in storage:
        print(f"{table.table:21} {table.sentence()}")
    print(
        f"{'archive':21} {archived.files} files, {archived.verified} read back,"
        f" {archived.rows:,} rows in {archived.size_bytes / 1e6:,.1f} MB;"
        f" {archived.dropped_rows:,} dropped here, {archived.kept_rows:,} of them kept"
    )
    for remedy in _remedies(found):
        print(f"to turn more on: {remedy}")


def _remedies(found: Capabilities) -> list[str]:
    if found.timescaledb is None:
        return [
            "add timescaledb to shared_preload_libraries, restart, run `enpilot db migrate`"
            if found.timescaledb_available
            else "install TimescaleDB on the server, then run `enpilot db migrate`"
        ]
    if not found.community:
        return ["install TimescaleDB's Community edition, restart, run `enpilot db migrate`"]
    if not found.direct_compress:
        return ["update TimescaleDB to 2.21 or later (ALTER EXTENSION timescaledb UPDATE)"]
    return []


@app.command
def maintain(
    settings: Path | None = None,
    *,
    once: bool = False,
    every_s: Annotated[float | None, cyclopts.Parameter(name="--every")] = None,
) -> None:
    """Compress quiet chunks, refresh charts, size chunks; again and again until stopped.

    Drops nothing: that is `enpilot db archive --drop`.

    Parameters
    ----------
    settings
        TOML file; defaults without one.
    once
        Do what is due, say it, and end.
    every_s
        Seconds between rounds, instead of the file's.
    """
    configure_logs()
    chosen = load_settings(settings, MaintainSettings)
    if every_s is not None:
        chosen.every_s = every_s
    if once:
        with connect(database_url(), "db maintain", autocommit=True) as connection:
            done = run_maintenance(connection, chosen)
        for interval in done.intervals:
            print(interval.sentence())
        print(
            "another process maintains this database right now"
            if done.busy
            else f"{done.compressed} chunks compressed, {done.recompressed} recompressed,"
            f" {done.refreshed} windows of charts refreshed"
        )
        return
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    def step(connection: psycopg.Connection[Any]) -> float:
        _say(run_maintenance(connection, chosen))
        return chosen.every_s

    run_connected(database_url(), "db maintain", stop, step)


def _say(done: Maintained) -> None:
    log = structlog.get_logger("db maintain")
    for interval in done.intervals:
        log.info("chunk length changed", why=interval.sentence())
    if done.compressed or done.recompressed:
        log.info("maintained", compressed=done.compressed, recompressed=done.recompressed)
