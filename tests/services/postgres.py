"""A PostgreSQL server for the session, and a fresh migrated database for each test."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from enpilot.database import migrate
from enpilot.demo.database import embedded_database
from tests.services.guard import ended_with_us


def _unique(kind: str) -> str:
    return f"enpilot_{kind}_{secrets.token_hex(6)}"


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
        name = _unique("test")
        if self._template is None:
            self._template = self._migrated_template()
        with psycopg.connect(self.url, autocommit=True) as server:
            # Without a copy in the write-ahead log it takes half the time.
            server.execute(f"CREATE DATABASE {name} TEMPLATE {self._template} STRATEGY FILE_COPY")
        try:
            yield make_conninfo(self.url, dbname=name)
        finally:
            with psycopg.connect(self.url, autocommit=True) as server:
                server.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _migrated_template(self) -> str:
        name = _unique("template")
        with psycopg.connect(self.url, autocommit=True) as server:
            server.execute(f"CREATE DATABASE {name}")
            migrate(make_conninfo(self.url, dbname=name))
            # TimescaleDB's workers sit in every database; copying needs one that nobody is in.
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            server.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                (name,),
            )
        return name

    @contextlib.contextmanager
    def empty_database(self) -> Iterator[str]:
        """Yield a connection string to a database without our schema."""
        name = _unique("empty")
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
        folder = Path(name) / "database"
        with embedded_database(folder) as url:
            with psycopg.connect(url, autocommit=True) as server:
                # Nobody needs a test's data after a power cut.
                for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                    server.execute(f"ALTER SYSTEM SET {setting} = off")
                server.execute("SELECT pg_reload_conf()")
            postmaster = int((folder / "postmaster.pid").read_text().splitlines()[0])
            with ended_with_us(postmaster, "QUIT"):
                yield DatabaseServer(url)
