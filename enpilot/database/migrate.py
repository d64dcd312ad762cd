"""Bring the schema up to date: numbered migrations once, then what the server can do, always."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI

from enpilot.database.capabilities import Capabilities
from enpilot.database.connection import SCHEMA, connect, connection_options
from enpilot.database.factors import seed_factors
from enpilot.database.reconcile import reconcile

__all__ = ["MigrationStatus", "migrate", "migration_status"]

_MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """Names of the migrations that the database has, and of those it still needs."""

    applied: list[str]
    pending: list[str]


def migrate(url: str) -> Capabilities:
    """Apply missing migrations, reconcile with the server's abilities, load shipped factors.

    Safe to call at any time and by several services at once: a lock in the database makes them
    wait for one another.

    Parameters
    ----------
    url
        The database, as the owner of the schema.

    Returns
    -------
    Capabilities
        What the server can do after reconciling.

    Raises
    ------
    enpilot.database.DatabaseUnavailableError
        If the server cannot be reached.
    """
    with connect(url, "migrate", autocommit=True) as connection:
        # One migration at a time; the connection's end releases the lock, whatever happens.
        connection.execute("SELECT pg_advisory_lock(hashtextextended('enpilot.migrate', 0))")
        connection.execute(
            psycopg.sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(psycopg.sql.Identifier(SCHEMA))
        )
        backend = _backend(url)
        try:
            backend.apply_migrations(backend.to_apply(_migrations()))
        finally:
            backend.connection.close()
        capabilities = reconcile(connection)
        seed_factors(connection)
        return capabilities


def migration_status(url: str) -> MigrationStatus:
    """Say which migrations a database has and which it needs; changes nothing but bookkeeping."""
    connect(url, "migrate").close()  # says clearly when the server is away; yoyo would not
    backend = _backend(url)
    try:
        pending = [m.id for m in backend.to_apply(_migrations())]
    finally:
        backend.connection.close()
    every = [m.id for m in _migrations()]
    return MigrationStatus([name for name in every if name not in pending], pending)


def _migrations() -> Any:  # yoyo has no type hints
    return read_migrations(str(_MIGRATIONS))


def _backend(url: str) -> Any:
    given = {k: str(v) for k, v in conninfo_to_dict(url).items() if v is not None}
    port = given.pop("port", None)
    uri = DatabaseURI(
        scheme="postgresql+psycopg",
        username=given.pop("user", None),
        password=given.pop("password", None),
        hostname=given.pop("host", None),
        port=int(port) if port else None,
        database=given.pop("dbname", ""),
        args=given | {"options": connection_options(), "application_name": "enpilot migrate"},
    )
    backend = PostgresqlPsycopgBackend(uri, "_yoyo_migration")
    backend.init_database()
    return backend
