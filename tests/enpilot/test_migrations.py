"""The schema on every kind of server: applied, applied again, and grown with the server."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

import enpilot.database
from enpilot.database import (
    DatabaseUnavailableError,
    connect,
    data_version,
    draw_commit_no,
    migrate,
    migrate_connection,
    migration_status,
    read_capabilities,
)
from enpilot.database.cli import capabilities
from enpilot.database.maintain import MaintainSettings, maintain
from enpilot.database.reconcile import reconcile
from enpilot.demo.processes import free_port
from tests.services.postgres import DatabaseServer
from tests.services.wasm_timescaledb import wasm_connection

MIGRATIONS = sorted((Path(enpilot.database.__file__).parent / "migrations").glob("*.sql"))
OUR_TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ 'yoyo'"
HYPERTABLES = (
    "SELECT hypertable_name, time_interval::text FROM timescaledb_information.dimensions"
    " WHERE hypertable_schema = 'enpilot' ORDER BY 1"
)


def test_migrating_again_changes_nothing(postgres_server: DatabaseServer) -> None:
    with postgres_server.empty_database() as url:
        assert migration_status(url).applied == []
        with connect(url, "test") as connection:
            # Asking leaves nothing behind where the schema is not there yet.
            assert connection.execute(OUR_TABLES).fetchall() == []
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


def test_services_that_start_together_migrate_one_after_the_other(
    postgres_server: DatabaseServer,
) -> None:
    with postgres_server.empty_database() as url, ThreadPoolExecutor(4) as services:
        found = list(services.map(migrate, [url] * 4))
        assert len(set(found)) == 1
        assert migration_status(url).pending == []


def test_a_first_migration_that_was_killed_locks_nobody_out(
    postgres_server: DatabaseServer,
) -> None:
    with postgres_server.empty_database() as url:
        with connect(url, "test", autocommit=True) as connection:
            connection.execute("CREATE SCHEMA enpilot")
            connection.execute(
                "CREATE TABLE yoyo_lock (locked int PRIMARY KEY, ctime timestamp, pid int NOT NULL)"
            )
            connection.execute("INSERT INTO yoyo_lock VALUES (1, now(), 4000000)")
        migrate(url)
        assert migration_status(url).pending == []


def test_a_server_that_is_away_is_named_without_the_password() -> None:
    url = f"postgresql://someone:secret@127.0.0.1:{free_port()}/plant"
    with pytest.raises(DatabaseUnavailableError, match=r"'plant' at 127\.0\.0\.1") as error:
        migrate(url)
    assert "secret" not in str(error.value)


def test_plain_postgresql_says_what_it_is(postgres_url: str) -> None:
    with connect(postgres_url, "test", autocommit=True) as connection:
        found = read_capabilities(connection)
    assert (found.edition, found.timescaledb, found.community) == ("PostgreSQL", None, False)


def test_the_command_says_what_there_is_and_what_more_would_bring(
    every_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENPILOT_DATABASE_URL", every_url)
    with connect(every_url, "test", autocommit=True) as connection:
        connection.execute(
            "INSERT INTO reading SELECT '2026-03-01T00:00Z'::timestamptz + i * interval '1 minute',"
            " 1, i, NULL, 0, 0, 1 FROM generate_series(1, 20000) i"
        )
        found = read_capabilities(connection)
        if found.community:
            maintain(connection, MaintainSettings(quiet_h=0))
        connection.execute("ANALYZE reading")
    capabilities()
    said = capsys.readouterr().out
    on = {"on ": True, "off": False}
    state = {
        name: on[value] for name, value in re.findall(r"^(.*?) +(on |off) ", said, re.MULTILINE)
    }
    assert state == {
        "hypertables": found.timescaledb is not None,
        "columnstore": found.community,
        "direct compress": found.direct_compress,
        "continuous aggregates": found.community,
    }
    # Of compressed chunks the server only guesses.
    assert re.search(r"^reading +[\d,]+ rows, .* B a row", said, re.MULTILINE)
    assert found.community or re.search(r"^reading +20,000 rows", said, re.MULTILINE)
    assert re.search(r"^archive +0 files, 0 read back", said, re.MULTILINE)
    if found.community:
        assert re.search(r"^reading .*chunks, .* compressed, from .* to ", said, re.MULTILINE)
        assert re.search(r"^chart_1m +[\d,]+ rows", said, re.MULTILINE)
        assert "to turn more on" not in said
    else:
        assert re.search(r"^columnstore +off .*about 48 kB instead of \d", said, re.MULTILINE)
        assert ("Community edition" in said) == (found.timescaledb is not None)


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
    connection.execute(
        "CREATE MATERIALIZED VIEW hourly WITH (timescaledb.continuous) AS"
        " SELECT series_id, time_bucket('1 hour', ts) AS hour, max(raw_int) AS highest"
        " FROM reading GROUP BY 1, 2 WITH NO DATA"
    )
    connection.execute("CALL refresh_continuous_aggregate('hourly', NULL, NULL)")
    assert connection.execute("SELECT max(highest) FROM hourly").fetchone() == (500,)


@pytest.mark.timescaledb
def test_the_community_editions_ddl_in_wasm() -> None:
    with wasm_connection() as connection:
        found = migrate_connection(connection)
        assert migrate_connection(connection) == found
        factors = connection.execute("SELECT count(*) > 0 FROM factor").fetchone()
        assert factors == (True,)
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


def test_the_data_version_waits_for_the_writer_that_is_committing(database_url: str) -> None:
    with (
        connect(database_url, "writer") as writer,
        connect(database_url, "reader", autocommit=True) as reader,
    ):
        before = data_version(reader)
        number = draw_commit_no(writer)
        assert number == before + 1
        reader.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            data_version(reader)
        writer.commit()
        assert data_version(reader) == number


BEFORE_ALERTS = """
INSERT INTO site (code) VALUES ('works');
INSERT INTO point (site_id, code, medium) SELECT site_id, 'main', 'electricity' FROM site;
INSERT INTO point_record (point_id, name_zh, name_en, role, direction, commissioning, valid_from,
                          author, reason, commit_no)
    SELECT point_id, '总', 'Main', 'boundary', 'import', 'accepted', '2026-01-01', 'ann', 'test', 1
    FROM point;
INSERT INTO series (site_id, point_id, quantity, channel)
    SELECT site_id, point_id, 'active_power', 'total' FROM point;
INSERT INTO alert_rule (site_id, code) SELECT site_id, 'high' FROM site;
INSERT INTO alert_rule_record (alert_rule_id, name_zh, name_en, kind, series_id, comparison,
                               threshold, severity, valid_from, author, reason, commit_no)
    SELECT alert_rule_id, '高', 'High', 'threshold', series_id, 'above', 5, 'note', '2026-01-01',
           'ann', 'test', 1 FROM alert_rule, series;
INSERT INTO alert_state SELECT alert_rule_id, 'firing', '2026-03-01', 7, '2026-03-01'
    FROM alert_rule;
INSERT INTO alert_event (site_id, alert_rule_id, at_ts, from_state, to_state, value, threshold,
                         notified_at)
    SELECT site_id, alert_rule_id, at, f, t, 7, 5, n FROM alert_rule, (VALUES
        ('2026-02-01'::timestamptz, 'pending', 'firing', '2026-02-01'::timestamptz),
        ('2026-02-02', 'firing', 'resolved', '2026-02-02'),
        ('2026-03-01', 'pending', 'firing', NULL)
    ) x(at, f, t, n)
"""


def test_what_fired_before_there_were_subjects_goes_on(postgres_server: DatabaseServer) -> None:
    with postgres_server.empty_database() as url, connect(url, "test") as connection:
        connection.execute("CREATE SCHEMA enpilot")
        for file in MIGRATIONS:
            if file.name == "0023_alerts.sql":
                connection.execute(BEFORE_ALERTS)
            if file.name <= "0023_alerts.sql":
                connection.execute(file.read_text("utf-8").encode())
        states = connection.execute(
            "SELECT s.subject, state, opened_at = since, e.at_ts = since FROM alert_state s"
            " JOIN alert_event e USING (event_id)"
        ).fetchall()
        messages = connection.execute(
            "SELECT kind, event_ids = ARRAY[(SELECT max(event_id) FROM alert_event)],"
            " facts ->> 'name_zh', facts -> 'value' FROM alert_message"
        ).fetchall()
    assert states == [("main", "firing", True, True)]
    assert messages == [("firing", True, "高", 7)]
