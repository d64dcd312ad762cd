"""Bring the schema up to date: numbered migrations once, then what the server can do, always."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI

from enpilot.database.capabilities import Capabilities
from enpilot.database.connection import SCHEMA, connect
from enpilot.database.factors import seed_factors
from enpilot.database.reconcile import reconcile

__all__ = ["MigrationStatus", "migrate", "migrate_connection", "migration_status"]

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
        return migrate_connection(connection)


def migrate_connection(connection: psycopg.Connection[Any]) -> Capabilities:
    """Do what `migrate` does, on a connection that is open already.

    Parameters
    ----------
    connection
        In autocommit mode and with our schema first in ``search_path``, as
        `enpilot.database.connect` opens it.

    Returns
    -------
    Capabilities
        What the server can do after reconciling.
    """
    # One migration at a time; if it fails, the connection's end releases the lock.
    connection.execute("SELECT pg_advisory_lock(hashtextextended('enpilot.migrate', 0))")
    connection.execute(
        psycopg.sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(psycopg.sql.Identifier(SCHEMA))
    )
    backend = _Backend(connection)
    backend.init_database()
    backend.break_lock()  # we hold the real one; a killed process may have left yoyo's own row
    backend.apply_migrations(backend.to_apply(_migrations()))
    capabilities = reconcile(connection)
    seed_factors(connection)
    connection.execute("SELECT pg_advisory_unlock(hashtextextended('enpilot.migrate', 0))")
    return capabilities


def migration_status(url: str) -> MigrationStatus:
    """Say which migrations a database has and which it needs; changes nothing but bookkeeping."""
    every = [m.id for m in _migrations()]
    with connect(url, "migrate", autocommit=True) as connection:
        row = connection.execute("SELECT to_regnamespace(%s) IS NULL", (SCHEMA,)).fetchone()
        if row == (True,):
            return MigrationStatus([], every)  # yoyo would lay its tables into another schema
        backend = _Backend(connection)
        backend.init_database()
        pending = [m.id for m in backend.to_apply(_migrations())]
    return MigrationStatus([name for name in every if name not in pending], pending)


def _migrations() -> Any:  # yoyo has no type hints
    return read_migrations(str(_MIGRATIONS))


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]  # yoyo has no type hints
    """Yoyo on our own connection: under the lock that it holds, and on servers that take one."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._ours = connection
        uri = DatabaseURI(
            scheme="postgresql+psycopg",
            username=None,
            password=None,
            hostname=None,
            port=None,
            database=connection.info.dbname,
            args={},
        )
        super().__init__(uri, "_yoyo_migration")

    def connect(self, dburi: Any) -> psycopg.Connection[Any]:  # noqa: ARG002 (yoyo's signature)
        return self._ours

    def copy(self) -> _Backend:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave open what was not opened here."""
