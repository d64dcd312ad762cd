"""A database to measure in, dropped at the end."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from enpilot.database import migrate
from enpilot.demo.database import embedded_database

__all__ = ["scratch_database"]


@contextlib.contextmanager
def scratch_database() -> Iterator[tuple[str, str]]:
    """Yield the URL of a migrated database that is dropped at the end, and what it is on.

    On the server of ``ENPILOT_DATABASE_URL``, else on an embedded PostgreSQL as it comes.
    """
    url = os.environ.get("ENPILOT_DATABASE_URL")
    if url:
        with _scratch_on(url) as scratch:
            yield scratch, "the server of ENPILOT_DATABASE_URL"
        return
    with tempfile.TemporaryDirectory(prefix="enpilot-bench-") as name:
        Path(name).chmod(0o711)  # started by root, the server runs as another user
        with embedded_database(Path(name) / "database") as server, _scratch_on(server) as scratch:
            yield scratch, "an embedded PostgreSQL"


@contextlib.contextmanager
def _scratch_on(url: str) -> Iterator[str]:
    name = f"enpilot_bench_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
    scratch = make_conninfo(url, dbname=name)
    try:
        migrate(scratch)
        yield scratch
    finally:
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")
