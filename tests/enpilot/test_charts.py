"""Charts show what the readings say, on every server: whole buckets, borders, gaps, retractions."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from enpilot.database import connect, migrate_connection, read_capabilities
from enpilot.database.charts import Chart, ChartError, chart_width_s, read_chart
from enpilot.database.maintain import MaintainSettings, maintain
from tests.services.wasm_timescaledb import wasm_connection

START = dt.datetime(2026, 3, 1, 9, tzinfo=dt.UTC)
HOURS = 4
# Readings each 20 s; the ratio changes inside a minute, and the sign turns later.
FIRST_BORDER = START + dt.timedelta(minutes=47, seconds=30)
SECOND_BORDER = START + dt.timedelta(hours=2, minutes=30)
GAP = (START + dt.timedelta(hours=1), START + dt.timedelta(hours=1, minutes=20))
WRONG_BATCH = (7 << 32) + 5
SETUP = """
INSERT INTO site (code) VALUES ('works');
INSERT INTO point (site_id, code, medium) VALUES (1, 'main', 'electricity');
INSERT INTO series (site_id, point_id, quantity, channel)
    VALUES (1, 1, 'active_power', 'total'), (1, 1, 'active_energy', 'total');
INSERT INTO stream (stream, origin, source, author, content_sha256)
    VALUES (gen_random_uuid(), 'import', 'test', 'tester', 'x');
"""
EPOCH = (
    'INSERT INTO series_epoch (series_id, raw_type, register_scale, ratio, "offset", unit,'
    " counter_kind, origin, valid_from, valid_to, author, reason, commit_no)"
    " VALUES (%s, 'int32', %s, %s, %s, %s, %s, 'human', %s, %s, 'tester', 'test', 1)"
)


def value_at(i: int) -> int:
    return 1000 + (i * 37) % 613


def rows() -> list[tuple[dt.datetime, int, int, int]]:
    """(ts, raw, quality, batch): a gap, bad readings, and a batch that is retracted later."""
    found = []
    for i in range(HOURS * 180):
        ts = START + dt.timedelta(seconds=20 * i)
        if GAP[0] <= ts < GAP[1]:
            continue
        late = START + dt.timedelta(hours=3) <= ts < START + dt.timedelta(hours=3, minutes=2)
        found.append((ts, value_at(i), 2 if i % 97 == 5 else 0, WRONG_BATCH if late else 1))
    return found


def fill(connection: psycopg.Connection[Any]) -> None:
    connection.execute(SETUP)
    since = START - dt.timedelta(days=60)
    for scale, ratio, offset, unit, begin, end in (
        ("0.01", 40, 0, "kW", since, FIRST_BORDER),
        ("10", 60, 5, "W", FIRST_BORDER, SECOND_BORDER),
        ("0.01", -60, 0, "kW", SECOND_BORDER, None),
    ):
        connection.execute(EPOCH, (1, scale, ratio, offset, unit, None, begin, end))
    connection.execute(EPOCH, (2, "0.01", 40, 0, "kWh", "lifetime", since, None))
    connection.execute(
        "INSERT INTO reading (ts, series_id, raw_int, quality, late_ms, batch)"
        " SELECT ts, 1, raw, quality, 0, batch"
        " FROM unnest(%s::timestamptz[], %s::bigint[], %s::smallint[], %s::bigint[])"
        "  AS r(ts, raw, quality, batch)",
        [list(column) for column in zip(*rows(), strict=True)],
    )


def plainly(width_s: int, *, without: int | None = None) -> dict[dt.datetime, tuple[float, ...]]:
    """The same chart, one reading after the other."""
    buckets: dict[dt.datetime, list[float]] = defaultdict(list)
    for ts, raw, quality, batch in rows():
        if quality or batch == without:
            continue
        if ts < FIRST_BORDER:
            value = raw * 0.01 * 40
        elif ts < SECOND_BORDER:
            value = (raw * 10 * 60 + 5) / 1000
        else:
            value = raw * 0.01 * -60
        seconds = int((ts - START).total_seconds()) // width_s * width_s
        buckets[START + dt.timedelta(seconds=seconds)].append(value)
    return {at: (len(v), sum(v) / len(v), min(v), max(v), v[0], v[-1]) for at, v in buckets.items()}


def as_rows(chart: Chart) -> dict[dt.datetime, tuple[Any, ...]]:
    columns = (chart.readings, chart.mean, chart.low, chart.high, chart.first, chart.last)
    return dict(zip(chart.start, zip(*columns, strict=True), strict=True))


def shows_the_readings(
    connection: psycopg.Connection[Any], width_s: int, *, without: int | None = None
) -> None:
    expected = plainly(width_s, without=without)
    chart = read_chart(connection, 1, START, START + dt.timedelta(hours=HOURS), width_s)
    assert (chart.unit, chart.width_s) == ("kW", width_s)
    assert len(chart.start) == HOURS * 3600 // width_s
    for at, found in as_rows(chart).items():
        if at in expected:
            assert found == pytest.approx(expected[at], rel=1e-12), at
        else:
            assert found == (0, None, None, None, None, None)


def charts_agree(connection: psycopg.Connection[Any]) -> None:
    for width_s in (60, 300, 900, 3600):
        shows_the_readings(connection, width_s)
    assert GAP[0] in {
        at
        for at, row in as_rows(read_chart(connection, 1, START, GAP[1], 300)).items()
        if row[0] == 0
    }
    connection.execute(
        "INSERT INTO retraction (stream_no, from_seq, to_seq, author, reason, commit_no)"
        " SELECT stream_no, 1, 1, 'tester', 'another batch', 1 FROM stream"
    )
    shows_the_readings(connection, 60)
    connection.execute(
        "INSERT INTO stream (stream_no, stream, origin, source, author, content_sha256)"
        " OVERRIDING SYSTEM VALUE VALUES (7, gen_random_uuid(), 'import', 'test', 't', 'y')"
    )
    connection.execute(
        "INSERT INTO retraction (stream_no, from_seq, to_seq, author, reason, commit_no)"
        " VALUES (7, 5, 5, 'tester', 'wrong', 1)"
    )
    for width_s in (60, 900):
        shows_the_readings(connection, width_s, without=WRONG_BATCH)


@pytest.fixture
def filled(every_url: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(every_url, "test", autocommit=True) as connection:
        fill(connection)
        yield connection


def test_a_chart_shows_what_the_readings_say(filled: psycopg.Connection[Any]) -> None:
    maintain(filled, MaintainSettings())
    charts_agree(filled)


@pytest.mark.timescaledb
def test_a_chart_over_aggregates_in_wasm() -> None:
    with wasm_connection() as connection:
        migrate_connection(connection)
        fill(connection)
        maintain(connection, MaintainSettings())
        assert read_capabilities(connection).community
        charts_agree(connection)


def test_whole_buckets_come_from_the_aggregate(community_url: str) -> None:
    with connect(community_url, "test", autocommit=True) as connection:
        fill(connection)
        maintain(connection, MaintainSettings())
        connection.execute("DELETE FROM reading")  # not invalidated until the next refresh
        found = as_rows(read_chart(connection, 1, START, START + dt.timedelta(hours=HOURS), 60))
        expected = plainly(60)
        border = FIRST_BORDER - dt.timedelta(seconds=30)
        assert found.pop(border)[0] == 0
        assert {at for at, row in found.items() if row[0]} == expected.keys() - {border}


def test_the_views_have_the_same_columns_on_every_server(filled: psycopg.Connection[Any]) -> None:
    columns = [
        ("series_id", "integer"), ("bucket", "timestamp with time zone"), ("readings", "bigint"),
        ("sum_int", "double precision"), ("min_int", "bigint"), ("max_int", "bigint"),
        ("first_int", "bigint"), ("last_int", "bigint"), ("sum_real", "double precision"),
        ("min_real", "double precision"), ("max_real", "double precision"),
        ("first_real", "double precision"), ("last_real", "double precision"),
        ("lowest_batch", "bigint"), ("highest_batch", "bigint"),
    ]  # fmt: skip
    for view in ("chart_1m", "chart_15m", "visible_chart_1m", "visible_chart_15m"):
        found = filled.execute(
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'enpilot' AND table_name = %s ORDER BY ordinal_position",
            (view,),
        ).fetchall()
        assert found == columns, view


def test_a_counter_is_not_charted_as_a_level(filled: psycopg.Connection[Any]) -> None:
    with pytest.raises(ChartError, match="is a counter"):
        read_chart(filled, 2, START, START + dt.timedelta(hours=1), 60)
    with pytest.raises(ChartError, match="no series 99"):
        read_chart(filled, 99, START, START + dt.timedelta(hours=1), 60)
    with pytest.raises(ChartError, match="multiple of 60"):
        read_chart(filled, 1, START, START + dt.timedelta(hours=1), 90)


def test_without_a_meaning_there_is_no_value(filled: psycopg.Connection[Any]) -> None:
    before = START - dt.timedelta(days=90)
    filled.execute(
        "INSERT INTO reading (ts, series_id, raw_int, quality, late_ms, batch)"
        " VALUES (%s, 1, 5, 0, 0, 1)",
        (before,),
    )
    chart = read_chart(filled, 1, before, before + dt.timedelta(minutes=1), 60)
    assert (chart.readings, chart.mean) == ((0,), (None,))


@pytest.mark.parametrize(
    ("hours", "period_s", "width_s"),
    [
        (1, None, 60),
        (24, None, 120),
        (24, 900, 900),
        (24 * 30, None, 3600),
        (24 * 3650, 60, 432000),
    ],
)
def test_the_width_fits_the_page_and_the_schedule(
    hours: int, period_s: int | None, width_s: int
) -> None:
    assert chart_width_s(START, START + dt.timedelta(hours=hours), period_s) == width_s


# Europe's clocks leap forward, and back, at 01:00 UTC.
@pytest.mark.parametrize(
    "night",
    [dt.datetime(2026, 3, 29, tzinfo=dt.UTC), dt.datetime(2025, 10, 26, tzinfo=dt.UTC)],
    ids=str,
)
def test_buckets_do_not_move_when_clocks_change(
    filled: psycopg.Connection[Any], night: dt.datetime
) -> None:
    """A session in a zone that changes its clocks gets the same UTC buckets."""
    filled.execute("DELETE FROM series_epoch WHERE valid_to IS NOT NULL")
    filled.execute("UPDATE series_epoch SET valid_from = '2025-01-01Z'")
    filled.execute(
        "INSERT INTO reading SELECT %s + i * interval '5 minutes', 1, i, NULL, 0, 0, 1"
        " FROM generate_series(0, 35) i",
        (night,),
    )
    maintain(filled, MaintainSettings())
    charts = []
    for zone in ("UTC", "Europe/Berlin", "America/St_Johns"):
        filled.execute(f"SET timezone = '{zone}'")
        for width_s in (900, 10_800):
            chart = read_chart(filled, 1, night, night + dt.timedelta(hours=3), width_s)
            assert set(chart.readings) == {width_s // 300}
        charts.append(chart)
        assert filled.execute(
            "SELECT count(*), min(readings), max(readings) FROM chart_15m"
            " WHERE bucket >= %s AND bucket < %s",
            (night, night + dt.timedelta(hours=3)),
        ).fetchone() == (12, 3, 3)  # fmt: skip
    assert charts[0] == charts[1] == charts[2]
