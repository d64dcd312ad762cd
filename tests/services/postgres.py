"""A PostgreSQL server for the session, and a fresh migrated database for each test."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from enpilot.database import migrate
from enpilot.demo.database import embedded_database

_numbers = itertools.count(1)


class DatabaseServer:
    """A server that hands out databases, each a copy of one that was migrated once."""

    def __init__(self, url: str, *, from_template: bool = True) -> None:
        self.url = url
        self._from_template = from_template
        self._template: str | None = None

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Yield a connection string to a migrated database that nobody else uses."""
        if not self._from_template:
            with self.empty_database() as url:
                migrate(url)
                yield url
            return
        name = f"test_{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(self.url, autocommit=True) as server:
            if self._template is None:
                self._template = f"template_{os.getpid()}"
                server.execute(f"CREATE DATABASE {self._template}")
                migrate(make_conninfo(self.url, dbname=self._template))
            server.execute(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        try:
            yield make_conninfo(self.url, dbname=name)
        finally:
            with psycopg.connect(self.url, autocommit=True) as server:
                server.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextlib.contextmanager
    def empty_database(self) -> Iterator[str]:
        """Yield a connection string to a database without our schema."""
        name = f"empty_{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(self.url, autocommit=True) as server:
            server.execute(f"CREATE DATABASE {name}")
        try:
            yield make_conninfo(self.url, dbname=name)
        finally:
            with psycopg.connect(self.url, autocommit=True) as server:
                server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def embedded_server() -> Iterator[DatabaseServer]:
    """Run the embedded PostgreSQL until the end of the session."""
    with tempfile.TemporaryDirectory(prefix="enpilot-test-") as name:
        # Started by root, the server runs as another user, who must be able to enter.
        Path(name).chmod(0o711)
        with embedded_database(Path(name) / "database") as url:
            yield DatabaseServer(url)
