"""``enpilot db``: migrate, status, capabilities."""

from __future__ import annotations

import cyclopts

from enpilot.database.capabilities import read_capabilities
from enpilot.database.connection import connect, database_url
from enpilot.database.migrate import migrate as run_migrations
from enpilot.database.migrate import migration_status

__all__ = ["app"]

app = cyclopts.App(name="db", help="The database: schema and abilities.")


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
    """Say what the server can do and what turning more on would bring."""
    with connect(database_url(), "db capabilities", autocommit=True) as connection:
        found = read_capabilities(connection)
    print(f"server               {found.edition} on PostgreSQL {found.postgresql // 10000}")
    rows = (
        ("hypertables", found.timescaledb is not None, "readings in time chunks: fast retention"),
        ("columnstore", found.community, "about a tenth of the bytes a reading"),
        ("direct compress", found.direct_compress, "three times the rows a second on big imports"),
        ("continuous aggregates", found.community, "charts over years without scanning readings"),
    )
    for name, on, brings in rows:
        print(f"{name:20} {'on' if on else 'off':4} {brings}")
    if found.timescaledb is None:
        remedy = (
            "add timescaledb to shared_preload_libraries, restart, run `enpilot db migrate`"
            if found.timescaledb_available
            else "install TimescaleDB on the server, then run `enpilot db migrate`"
        )
        print(f"to turn more on: {remedy}")
