"""Maintenance: quiet chunks are compressed, late rows settle, charts follow, chunks are sized."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from analytics.intervals.recompute import recompute_point
from enpilot.database import connect, migrate_connection
from enpilot.database.charts import read_chart
from enpilot.database.chunks import list_chunks
from enpilot.database.cli import maintain as command
from enpilot.database.maintain import MaintainSettings, maintain
from tests.services.wasm_timescaledb import wasm_connection

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
SERIES = """
INSERT INTO site (code) VALUES ('works');
INSERT INTO point (site_id, code, medium) VALUES (1, 'main', 'electricity');
INSERT INTO series (site_id, point_id, quantity, channel)
    SELECT 1, 1, 'active_power', c FROM unnest(ARRAY['total', 'L1']) c;
INSERT INTO series_epoch (series_id, raw_type, register_scale, unit, origin, valid_from, author,
                          reason, commit_no)
    SELECT series_id, 'int32', 1, 'kW', 'human', '2025-01-01', 'tester', 'test', 1 FROM series;
INSERT INTO stream (stream, origin, source, author, content_sha256)
    VALUES (gen_random_uuid(), 'import', 'test', 'tester', 'x');
"""
NOW = MaintainSettings(quiet_h=0)


def insert(
    connection: psycopg.Connection[Any], since: dt.datetime, n: int, seq: int, step_s: int = 60
) -> None:
    connection.execute(
        "INSERT INTO reading SELECT %s + i * %s * interval '1 s', s, i %% 1000, NULL, 0, 0,"
        " (1::bigint << 32) + %s FROM generate_series(1, 2) s, generate_series(0, %s - 1) i",
        (since, step_s, seq, n),
    )
    connection.execute(
        "INSERT INTO batch_ledger (stream_no, seq, sha256, state, readings, first_ts, last_ts,"
        " commit_no) VALUES (1, %s, 'x', 'stored', %s, %s, %s, 1)",
        (seq, 2 * n, since, since + dt.timedelta(seconds=step_s * (n - 1))),
    )


def states(connection: psycopg.Connection[Any]) -> list[tuple[bool, bool]]:
    return [(c.compressed, c.settled) for c in list_chunks(connection, "enpilot", "reading")]


def compresses_settles_and_refreshes(connection: psycopg.Connection[Any]) -> None:
    connection.execute(SERIES)
    insert(connection, START, 3 * 1440, 1)
    # The ledger says that a batch came just now: not quiet.
    assert maintain(connection, MaintainSettings()).compressed == 0
    assert states(connection) == [(False, True)]
    done = maintain(connection, NOW)
    assert (done.compressed >= 1, done.recompressed) == (True, 0)
    assert states(connection) == [(True, True)]
    late = START + dt.timedelta(hours=5, seconds=30)
    insert(connection, late, 600, 2)
    assert states(connection) == [(True, False)]
    assert maintain(connection, MaintainSettings()).recompressed == 0
    chart = read_chart(connection, 1, START, START + dt.timedelta(days=1), 900)
    assert sum(chart.readings) == 1440 + 600  # the round before has refreshed what was touched
    done = maintain(connection, NOW)
    assert (done.compressed, done.recompressed >= 1) == (0, True)
    assert states(connection) == [(True, True)]
    assert connection.execute("SELECT count(*) FROM reading").fetchone() == (2 * (3 * 1440 + 600),)
    done = maintain(connection, NOW)
    assert (done.compressed, done.recompressed) == (0, 0)


@pytest.fixture
def community(community_url: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(community_url, "test", autocommit=True) as connection:
        yield connection


def test_late_rows_in_compressed_chunks_settle_and_show(
    community: psycopg.Connection[Any],
) -> None:
    compresses_settles_and_refreshes(community)


@pytest.mark.timescaledb
def test_late_rows_settle_in_wasm() -> None:
    with wasm_connection() as connection:
        migrate_connection(connection)
        compresses_settles_and_refreshes(connection)


def test_what_direct_compress_left_unordered_is_ordered_once_quiet(
    community: psycopg.Connection[Any],
) -> None:
    community.execute(SERIES)
    notices: list[str | None] = []
    community.add_notice_handler(lambda d: notices.append(d.message_primary))
    for seq in (1, 2):
        with community.transaction():
            community.execute("SET LOCAL timescaledb.enable_direct_compress_copy = on")
            with community.cursor() as cursor, cursor.copy("COPY reading FROM STDIN") as copy:
                for i in range(20_000):
                    ts = START + dt.timedelta(seconds=2 * i + seq)
                    copy.write_row((ts, 1, i, None, 0, 0, (1 << 32) + seq))
    # A trigger, a key or a foreign key would have turned it off, with a warning (D8).
    assert notices == []
    assert states(community) == [(True, False)]
    assert maintain(community, NOW).recompressed == 1
    assert states(community) == [(True, True)]
    assert community.execute("SELECT count(*), sum(raw_int) FROM reading").fetchone() == (
        40_000, 2 * sum(range(20_000)),
    )  # fmt: skip


def test_a_chunk_in_use_is_left_for_the_next_round(
    community: psycopg.Connection[Any], community_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enpilot.database.maintain._LOCK_TIMEOUT", "50ms")
    community.execute(SERIES)
    insert(community, START, 1440, 1)
    with connect(community_url, "writer") as writer:
        writer.execute("INSERT INTO reading VALUES (%s, 1, 1, NULL, 0, 0, 1)", (START,))
        done = maintain(community, NOW)
        assert (done.in_use, states(community)) == (1, [(False, True)])
        writer.commit()
    assert maintain(community, NOW).in_use == 0
    assert states(community) == [(True, True)]


def test_a_refresh_never_reaches_what_was_dropped(community: psycopg.Connection[Any]) -> None:
    """One late row in a dropped week must not wipe the week's buckets (D9)."""
    community.execute(SERIES)
    insert(community, START, 21 * 1440, 1)
    maintain(community, NOW)
    before = community.execute("SELECT sum(readings) FROM chart_15m").fetchone()
    chunk = list_chunks(community, "enpilot", "reading")[1]
    with community.transaction():
        community.execute(
            "INSERT INTO dropped_span (from_ts, to_ts, rows, finished_at)"
            " VALUES (%s, %s, 1, now())",
            (chunk.since, chunk.until),
        )
        community.execute(
            "SELECT drop_chunks('reading', older_than => %s::timestamptz,"
            " newer_than => %s::timestamptz)",
            (chunk.until, chunk.since),
        )
    insert(community, chunk.since + dt.timedelta(days=2, seconds=5), 1, 2)
    insert(community, chunk.until + dt.timedelta(seconds=5), 1, 3)
    maintain(community, NOW)
    assert community.execute("SELECT sum(readings) FROM chart_15m").fetchone() == (before[0] + 2,)  # type: ignore[index]  # an aggregate always answers a row


def test_no_policy_of_the_server_compresses_or_drops(community: psycopg.Connection[Any]) -> None:
    maintain(community, NOW)
    assert community.execute(
        "SELECT proc_name FROM timescaledb_information.jobs WHERE hypertable_schema IS NOT NULL"
    ).fetchall() == []  # fmt: skip


def test_readings_have_nothing_that_turns_direct_compress_off(every_url: str) -> None:
    with connect(every_url, "test", autocommit=True) as connection:
        maintain(connection, NOW)
        found = connection.execute(
            "SELECT contype::text FROM pg_constraint WHERE conrelid = 'reading'::regclass"
            " AND contype <> 'c' UNION ALL"
            " SELECT 'unique index' FROM pg_index WHERE indrelid = 'reading'::regclass"
            " AND indisunique UNION ALL"
            " SELECT tgname FROM pg_trigger WHERE tgrelid = 'reading'::regclass"
            # How TimescaleDB before 2.21 keeps rows out of the root table.
            " AND tgname <> 'ts_insert_blocker'"
        ).fetchall()
        assert [row[0] for row in found if row[0] != "n"] == []  # NOT NULL is a constraint in 18


def test_chunks_are_sized_by_the_measured_rate(every_url: str) -> None:
    with connect(every_url, "test", autocommit=True) as connection:
        connection.execute(SERIES)
        insert(connection, START, 2 * 1440, 1)
        done = maintain(connection, MaintainSettings(quiet_h=1e6, memory_mb=1))
        if not done.intervals:
            assert connection.execute(
                "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"
            ).fetchone() is None  # fmt: skip
            return
        (chosen,) = done.intervals
        # 2 series a minute: 2,880 rows a day; a row is over 60 B with its share of the index.
        assert chosen.rows_per_day == pytest.approx(2880, rel=0.05)
        assert 60 * 2880 < chosen.bytes_per_day < 400 * 2880
        assert 0 < chosen.index_bytes_per_day < chosen.bytes_per_day
        assert chosen.budget_bytes == 200_000
        assert (chosen.before_days, chosen.days) == (7, 1)
        assert "chunks of reading to come hold 1 days (before: 7)" in chosen.sentence()
        # The next chunks are that long; with memory for them, they become longer again.
        insert(connection, START + dt.timedelta(days=30), 1440, 2)
        newest = list_chunks(connection, "enpilot", "reading")[-1]
        assert newest.until - newest.since == dt.timedelta(days=1)
        done = maintain(connection, MaintainSettings(quiet_h=1e6, memory_mb=100_000))
        assert [i.days for i in done.intervals] == [90]
        assert maintain(connection, MaintainSettings(quiet_h=1e6, memory_mb=90_000)).intervals == []


def test_years_of_compressed_intervals_are_computed_anew(
    community: psycopg.Connection[Any],
) -> None:
    """More rows than TimescaleDB decompresses for one statement, 100,000."""
    community.execute(SERIES)
    community.execute(
        "UPDATE series_epoch SET counter_kind = 'lifetime' WHERE series_id = 1;"
        "INSERT INTO interval_advance SELECT 1, '2022-01-01Z'::timestamptz + i * interval '15 min',"
        " 1, 1, 0, 900, 1, false, 1 FROM generate_series(0, 101000) i"
    )
    maintain(community, NOW)
    chunks = list_chunks(community, "enpilot", "interval_advance")
    assert all(chunk.compressed for chunk in chunks)
    community.execute("INSERT INTO dirty VALUES (1, '2022-01-01Z', '2025-01-01Z', 1)")
    assert len(recompute_point(community, 1, 2)) == 1
    # Nothing was read in all that time, so no interval is left.
    assert community.execute("SELECT count(*) FROM interval_advance").fetchone() == (0,)


def test_the_command_says_what_it_did(
    every_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENPILOT_DATABASE_URL", every_url)
    command(once=True)
    assert "chunks compressed" in capsys.readouterr().out


def test_the_service_outlives_an_outage_and_stops_when_told(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENPILOT_DATABASE_URL", postgres_url)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "enpilot", "db", "maintain", "--every", "0.1"],
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            with connect(postgres_url, "test", autocommit=True) as connection:
                query = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"
                name = ("enpilot db maintain",)
                first = _wait_for(connection, query, name, 0)
                connection.execute("SELECT pg_terminate_backend(%s)", (first,))
                _wait_for(connection, query, name, first)
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
    said = (tmp_path / "log").read_text("utf-8")
    assert (said.count("database is away"), said.count("database is back")) == (1, 1)


def _wait_for(
    connection: psycopg.Connection[Any], query: str, name: tuple[str], not_pid: int
) -> int:
    for _ in range(2000):
        row = connection.execute(query, name).fetchone()
        if row is not None and row[0] != not_pid:
            return int(row[0])
        connection.execute("SELECT pg_sleep(0.01)")
    raise AssertionError("the service does not connect")
