"""The schema on every kind of server: applied, applied again, and grown with the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

import enpilot.database
from enpilot.database import connect, draw_commit_no, migrate, migration_status, read_capabilities
from enpilot.database.factors import seed_factors
from enpilot.database.reconcile import reconcile
from tests.services.postgres import DatabaseServer
from tests.services.wasm_timescaledb import wasm_connection

MIGRATIONS = sorted((Path(enpilot.database.__file__).parent / "migrations").glob("*.sql"))
HYPERTABLES = (
    "SELECT hypertable_name, time_interval::text FROM timescaledb_information.dimensions"
    " WHERE hypertable_schema = 'enpilot' ORDER BY 1"
)


def test_migrating_again_changes_nothing(postgres_server: DatabaseServer) -> None:
    with postgres_server.empty_database() as url:
        assert migration_status(url).applied == []
        migrate(url)
        before = migration_status(url)
        assert before.pending == []
        assert len(before.applied) == len(MIGRATIONS)
        with connect(url, "test") as connection:
            factors = connection.execute("SELECT count(*) FROM factor").fetchone()
        migrate(url)
        assert migration_status(url) == before
        with connect(url, "test") as connection:
            assert connection.execute("SELECT count(*) FROM factor").fetchone() == factors


def test_plain_postgresql_says_what_it_is(postgres_url: str) -> None:
    with connect(postgres_url, "test", autocommit=True) as connection:
        found = read_capabilities(connection)
    assert (found.edition, found.timescaledb, found.community) == ("PostgreSQL", None, False)


@pytest.mark.timescaledb
def test_timescaledb_apache_has_hypertables(timescale_url: str) -> None:
    with connect(timescale_url, "test", autocommit=True) as connection:
        found = read_capabilities(connection)
        assert found.edition.startswith("TimescaleDB Apache 2.")
        assert connection.execute(HYPERTABLES).fetchall() == [
            ("interval_advance", "90 days"),
            ("reading", "7 days"),
        ]


@pytest.mark.timescaledb
def test_a_plain_database_grows_when_the_extension_arrives(
    timescale_server: DatabaseServer,
) -> None:
    with (
        timescale_server.empty_database() as url,
        connect(url, "test", autocommit=True) as connection,
    ):
        connection.execute("CREATE SCHEMA enpilot")
        for file in MIGRATIONS:
            connection.execute(file.read_text("utf-8").encode())
        connection.execute("INSERT INTO reading VALUES ('2026-03-01T00:00Z', 1, 5, NULL, 0, 0, 1)")
        reconcile(connection)
        reconcile(connection)
        assert len(connection.execute(HYPERTABLES).fetchall()) == 2
        assert connection.execute("SELECT raw_int FROM reading").fetchall() == [(5,)]


def community_ddl_is_accepted(connection: psycopg.Connection[Any]) -> None:
    found = read_capabilities(connection)
    assert found.community
    assert len(connection.execute(HYPERTABLES).fetchall()) == 2
    compressed = connection.execute(
        "SELECT hypertable_name FROM timescaledb_information.hypertables WHERE compression_enabled"
        " ORDER BY 1"
    ).fetchall()
    assert compressed == [("interval_advance",), ("reading",)]
    connection.execute(
        "INSERT INTO reading SELECT '2026-03-01T00:00Z'::timestamptz + i * interval '1 minute',"
        " 1, i, NULL, 0, 0, 1 FROM generate_series(1, 500) i"
    )
    connection.execute("SELECT compress_chunk(c) FROM show_chunks('reading') c")
    assert connection.execute("SELECT sum(raw_int) FROM reading").fetchone() == (125250,)
    # The guarded view still reads compressed chunks.
    assert connection.execute("SELECT count(*) FROM visible_reading").fetchone() == (0,)


@pytest.mark.timescaledb
def test_the_community_editions_ddl_in_wasm() -> None:
    with wasm_connection() as connection:
        connection.execute("CREATE SCHEMA enpilot")
        for file in MIGRATIONS:
            connection.execute(file.read_text("utf-8").encode())
        reconcile(connection)
        reconcile(connection)
        assert seed_factors(connection) > 0
        community_ddl_is_accepted(connection)


@pytest.mark.timescaledb
def test_the_community_edition_on_a_server(community_url: str) -> None:
    with connect(community_url, "test", autocommit=True) as connection:
        community_ddl_is_accepted(connection)


def test_commit_numbers_follow_commit_order(postgres_url: str) -> None:
    with (
        connect(postgres_url, "first") as first,
        connect(postgres_url, "second") as second,
    ):
        one = draw_commit_no(first)
        second.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            draw_commit_no(second)
        second.rollback()
        first.commit()
        assert draw_commit_no(second) > one
