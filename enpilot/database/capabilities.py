"""What this server can do: plain PostgreSQL, TimescaleDB Apache, TimescaleDB Community."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

__all__ = ["Capabilities", "read_capabilities"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What is there, found at run time.

    Attributes
    ----------
    postgresql
        Server version, as ``server_version_num`` [e.g. 170006].
    timescaledb
        Version of the installed extension, None on plain PostgreSQL.
    timescaledb_available
        Version that could be installed, None if the server does not carry it.
    community
        The Timescale licence is on: columnstore, policies, continuous aggregates.
    direct_compress
        COPY can write the columnstore directly (2.21 and later, D8).
    """

    postgresql: int
    timescaledb: str | None
    timescaledb_available: str | None
    community: bool
    direct_compress: bool

    @property
    def edition(self) -> str:
        """Name for people."""
        if self.timescaledb is None:
            return "PostgreSQL"
        return f"TimescaleDB {'Community' if self.community else 'Apache'} {self.timescaledb}"


def read_capabilities(connection: psycopg.Connection[Any]) -> Capabilities:
    """Ask the server what it is."""
    row = connection.execute(
        "SELECT current_setting('server_version_num')::int, installed_version, default_version"
        " FROM (SELECT 1) one LEFT JOIN pg_available_extensions ON name = 'timescaledb'"
    ).fetchone()
    assert row is not None  # the left side has one row
    version, installed, available = row
    community = False
    direct = False
    if installed is not None:
        found = connection.execute(
            "SELECT current_setting('timescaledb.license', true),"
            " current_setting('timescaledb.enable_direct_compress_copy', true)"
        ).fetchone()
        assert found is not None  # settings are one row
        community = found[0] == "timescale"
        direct = community and found[1] is not None
    return Capabilities(version, installed, available, community, direct)
