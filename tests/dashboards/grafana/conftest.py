"""The demo plants as the role of their enterprise sees them; what is added here is rolled back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from dashboards.grafana.role import make_role
from dashboards.grafana.sources import EnterpriseSource
from enpilot.database import connect
from tests.dashboards.steel_figures import DAY, YEAR, ZONE

USUAL_KW = 4000.0


@pytest.fixture(scope="module")
def plants(portal_database: str) -> Iterator[psycopg.Connection[Any]]:
    """One transaction with both roles in it, and with what no demo file has: eight like days
    before the last one, demand by day, a year's end, an expected day, readings of now.
    """
    with connect(portal_database, "grafana test", autocommit=True) as connection:
        connection.execute("BEGIN")
        try:
            _add(connection)
            for code in ("demo-steel", "demo-chemical"):
                make_role(connection, EnterpriseSource(code), "0123456789abcdef", "test")
            yield connection
        finally:
            connection.execute("ROLLBACK")


@pytest.fixture
def steel(plants: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    yield from _as_role(plants, "demo-steel")


@pytest.fixture
def chemical(plants: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    yield from _as_role(plants, "demo-chemical")


def _as_role(connection: psycopg.Connection[Any], code: str) -> Iterator[psycopg.Connection[Any]]:
    # A savepoint, so that a query that fails does not take the transaction with it.
    connection.execute("SAVEPOINT as_role")
    connection.execute(f'SET LOCAL SESSION AUTHORIZATION "{EnterpriseSource(code).role}"')
    yield connection
    connection.execute("ROLLBACK TO SAVEPOINT as_role")


def _add(connection: psycopg.Connection[Any]) -> None:
    def number(query: str, *values: object) -> int:
        row = connection.execute(query.encode(), values).fetchone()
        assert row is not None
        return int(row[0])

    site = number("SELECT site_id FROM site WHERE code = 'steel'")
    enpi = number("SELECT enpi_id FROM enpi WHERE site_id = %s", site)
    series, epoch = connection.execute(
        "SELECT series_id, epoch_id FROM current_epoch WHERE site_id = %s AND origin = 'human'"
        " AND quantity = 'active_energy'", (site,),
    ).fetchall()[0]  # fmt: skip
    midnight = dt.datetime.combine(DAY, dt.time(0), ZONE)
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO interval_advance VALUES (%s, %s, %s, %s, 0, 900, 900, true, 4711)",
            [
                (series, midnight - dt.timedelta(weeks=week) + quarter * dt.timedelta(minutes=15),
                 epoch, round((USUAL_KW + 10 * week) / 4 / 0.4 * 1e6))
                for week in range(1, 9) for quarter in range(96)
            ],
        )  # fmt: skip
        now = dt.datetime.now(dt.UTC)
        cursor.executemany(
            "INSERT INTO reading (ts, series_id, raw_int, quality, late_ms, batch)"
            " VALUES (%s, %s, %s, 0, 0, 1)",
            [(now - dt.timedelta(minutes=30 + m), series, 1000 - m) for m in range(60)],
        )
    account = number("SELECT account_id FROM account WHERE site_id = %s", site)
    for day in (DAY, DAY - dt.timedelta(days=1)):
        connection.execute(
            "INSERT INTO demand_day VALUES (%s, %s, %s, 612.5, %s, 610, 613, 900, 60, 0.99, 0,"
            " false, 1)",
            (site, account, day, midnight),
        )
    connection.execute(
        "INSERT INTO enpi_year_end VALUES (%s, %s, %s, %s, %s, 1e6, 0.9e6, 1.1e6, 89.5, 88, 91,"
        " 88.2, 0.27, 86.1, -0.04, NULL, 'baseline', true, NULL, 1)",
        (site, enpi, dt.date(YEAR, 1, 1), dt.date(YEAR + 1, 1, 1), dt.date(YEAR, 9, 1)),
    )
    connection.execute(
        "INSERT INTO quality_period VALUES (%s, NULL, %s, %s, 0.93, 0.8, '{coverage}', '{}', '[]',"
        " true, false, NULL, 1)",
        (site, dt.date(YEAR, 9, 1), dt.date(YEAR, 10, 1)),
    )
    baseline = number(
        "INSERT INTO baseline (site_id, code) VALUES (%s, 'whole') RETURNING baseline_id", site
    )
    connection.execute(
        "INSERT INTO baseline_record (baseline_id, name_zh, name_en, enpi_id, channel, period_kind,"
        " training_from, training_to, variable_ids, choose, most, block, whole_site, valid_from,"
        " author, reason, commit_no) VALUES (%s, '全厂', 'Whole site', %s, 'total', 'day',"
        " '2024-01-01', '2025-01-01', %s, false, 1, 1, true, '2024-01-01Z', 'test', 'test', 1)",
        (baseline, enpi, [1]),
    )
    model = number(
        "INSERT INTO baseline_model (site_id, baseline_id, version, training_sha256, training_from,"
        " training_to, period_kind, energy_unit, usability, reasons, missing, outliers, model,"
        " synthetic, data_version) VALUES (%s, %s, 99, %s, '2024-01-01', '2025-01-01', 'day',"
        " 'kgce', 'usable', '{}', '{}', '{}', '{}', true, 1) RETURNING model_id",
        site, baseline, bytes(32),
    )  # fmt: skip
    connection.execute(
        "INSERT INTO baseline_period VALUES (%s, %s, %s, 'day', %s, %s, false, 'kgce', 7900, 7.9,"
        " 7600, 7300, 7850, 300, 300, false, 0, '{}', '{}', false, NULL, 1)",
        (site, baseline, model, DAY, DAY + dt.timedelta(days=1)),
    )
    connection.execute(
        "INSERT INTO quarantine_count (agent_id, code, messages) VALUES ('steel-gw1', 'fork', 3)"
    )
    connection.execute(
        "INSERT INTO finding (site_id, code, at_ts, severity, evidence, data_version)"
        " VALUES (%s, 'fork', now() - interval '1 day', 'fault', '{}', 1)",
        (site,),
    )
