"""Connections: one way to open them, with the schema, the zone and the service's name set."""

from __future__ import annotations

import psycopg

from enpilot.errors import RetryableError
from enpilot.settings import require_environment

__all__ = ["SCHEMA", "DatabaseUnavailableError", "connect", "connection_options", "database_url"]

SCHEMA = "enpilot"


class DatabaseUnavailableError(RetryableError):
    """The server does not answer, or does not let us in."""


def database_url() -> str:
    """Return ``ENPILOT_DATABASE_URL``; raises `enpilot.settings.SettingsError` if it is not set."""
    return require_environment(
        "ENPILOT_DATABASE_URL", "the database, for instance postgresql://user@host:5432/enpilot"
    )


def connection_options() -> str:
    """Return libpq ``options``: our schema first, and UTC inside (F21)."""
    return f"-c search_path={SCHEMA},public -c timezone=UTC"


def connect(
    url: str, service: str, *, autocommit: bool = False
) -> psycopg.Connection[tuple[object, ...]]:
    """Open a connection.

    Parameters
    ----------
    url
        A libpq connection string or URI.
    service
        Name shown in ``pg_stat_activity`` ("enpilot ingest").
    autocommit
        Leave transactions to the caller's ``with conn.transaction()``.

    Raises
    ------
    DatabaseUnavailableError
        If the server cannot be reached; the message names host and database, never a password.
    """
    try:
        return psycopg.connect(
            url,
            application_name=f"enpilot {service}",
            options=connection_options(),
            autocommit=autocommit,
            connect_timeout=10,
        )
    except psycopg.OperationalError as error:
        parts = psycopg.conninfo.conninfo_to_dict(url)
        where = f"{parts.get('host', 'local socket')}:{parts.get('port', 5432)}"
        reason = str(error).strip().splitlines()[-1]
        raise DatabaseUnavailableError(
            f"no connection to database {parts.get('dbname')!r} at {where}: {reason}"
        ) from error
