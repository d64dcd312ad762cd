"""A reader sees the sites it is granted, and nothing else, whatever it asks (D19)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from analytics.engine import run_once
from dashboards.grafana.boards import BOARDS, VARIABLES, board_json
from dashboards.grafana.panels import Look
from enpilot.database import connect
from tests.analytics.conftest import WORKS
from tests.dashboards.grafana.macros import expand
from tests.imported import apply_plant, import_counts, import_production

ZONE = dt.timezone(dt.timedelta(hours=8))
GUARDED = (
    "visible_reading", "visible_interval_advance", "latest_value", "output", "energy_period",
    "enpi_period", "finding",
)  # fmt: skip
BEHIND = ("reading", "interval_advance", "latest", "role_grant", "catalog", "quarantine")


@pytest.fixture
def filled(tmp_path: Path, database_url: str) -> str:
    apply_plant(database_url, tmp_path, WORKS)
    times = [
        dt.datetime(2026, 3, 1, 0, tzinfo=ZONE) + i * dt.timedelta(minutes=15) for i in range(97)
    ]
    counts = [(99_999_900 + 10 * i) % 100_000_000 for i in range(97)]
    import_counts(database_url, tmp_path, times, counts)
    import_production(database_url, tmp_path, [(times[0], times[-1], "10")])
    with connect(database_url, "test", autocommit=True) as connection:
        while run_once(connection).did_anything:
            pass
    return database_url


@pytest.fixture
def reader(filled: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection as a role of its own; roles belong to the server, so the name is unique."""
    with connect(filled, "owner", autocommit=True) as owner:
        row = owner.execute("SELECT current_database()").fetchone()
        assert row is not None
        role = f"reader_{row[0]}"
        owner.execute(f"CREATE ROLE {role} IN ROLE enpilot_reader")
        try:
            with connect(filled, "reader", autocommit=True) as connection:
                connection.execute(f"SET SESSION AUTHORIZATION {role}")
                yield connection
        finally:
            owner.execute(f"DROP ROLE {role}")


def grant(url: str, connection: psycopg.Connection[tuple[object, ...]]) -> None:
    row = connection.execute("SELECT current_user").fetchone()
    assert row is not None
    with connect(url, "owner", autocommit=True) as owner:
        owner.execute(
            "INSERT INTO role_grant (role_name, site_id, valid_from, author)"
            " SELECT %s, site_id, now() - interval '1 day', 'test' FROM site",
            (row[0],),
        )


def count(connection: psycopg.Connection[tuple[object, ...]], relation: str) -> object:
    row = connection.execute(f"SELECT count(*) FROM {relation}").fetchone()
    assert row is not None
    return row[0]


def test_a_reader_sees_what_it_is_granted(
    reader: psycopg.Connection[tuple[object, ...]], filled: str
) -> None:
    with connect(filled, "owner") as owner:
        assert all(count(owner, relation) != 0 for relation in GUARDED)
    assert {relation: count(reader, relation) for relation in GUARDED} == dict.fromkeys(GUARDED, 0)
    grant(filled, reader)
    assert [relation for relation in GUARDED if count(reader, relation) == 0] == []


def test_what_stands_behind_is_neither_read_nor_written(
    reader: psycopg.Connection[tuple[object, ...]],
) -> None:
    for relation in BEHIND:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            count(reader, relation)
    for relation in ("enpi_period", "output", "role_grant"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(f"DELETE FROM {relation}".encode())


def test_the_boards_queries_run_as_the_reader(
    reader: psycopg.Connection[tuple[object, ...]], filled: str
) -> None:
    grant(filled, reader)
    assert reader.execute(VARIABLES["site"].sql.encode()).fetchall() == [("works",)]
    chosen = {"site": "works", "enpi": "kwh-per-piece", "point": ["main", "none"], "account": ""}
    found = {
        panel["title"]: reader.execute(
            expand(
                panel["targets"][0]["rawSql"], "2026-02-01T00:00:00Z", "2026-04-01T00:00:00Z",
                chosen,
            ).encode()
        ).fetchall()
        for board in BOARDS
        for panel in board_json(board, Look("en", "light", "http://p"), "Asia/Shanghai")["panels"]
    }  # fmt: skip
    # 10 counts x 0.01 kWh x CT 40 in a quarter hour are 16 kW.
    power = found["Site, 15-minute mean power and usual range P15–P85 (kW)"]
    assert len(power) == 96
    assert {row[1] for row in power} == {16.0}
    assert {row[2] for row in found["Meters, 15-minute mean power (kW)"]} == {16.0}
    assert [row[2] for row in found["Meters, energy per day (kWh)"]] == [16.0 * 24]
