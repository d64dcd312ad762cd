"""A foundry whose data come in every way that the page on data intake must show."""

from __future__ import annotations

import json
from typing import Any

import psycopg

_AGENTS = (
    # name, simulated, state, said ago, held, meters down
    ("gw-01", False, "online", "5 s", 0, 0),
    ("gw-02", False, "offline", "3 hours", 5400, 0),
    ("gw-03", False, "online", "20 s", 128, 2),
    ("gw-04", False, None, None, None, None),
    ("gw-05", True, "online", "8 s", 0, 0),
)
_COUNTS = (
    # counted as, received, stored, duplicated, refused, births, readings, twice, last, lag, sent,
    ("gw-01", 1_284_310, 1_284_204, 96, 10, 0, 128_420_400, 9_600, "2 s", 1_420, 230, 40, 4_000),
    ("gw-02", 402_118, 402_117, 0, 0, 1, 40_211_700, 0, "3 hours", 2_800, 610, 8, 800),
    ("gw-03", 88_400, 88_397, 0, 3, 0, 8_839_700, 0, "7 s", 84_000, 83_100, 1, 100),
    ("gw-05", 3_600, 3_600, 0, 0, 0, 360_000, 0, "3 s", 900, 120, 2, 200),
    ("source:scada", 86_400, 86_400, 0, 0, 0, 1_036_800, 240, "50 s", None, None, 1, 12),
)  # fmt: skip
_REFUSED = (
    # counted as, code, messages, ago, sentence, kept
    ("gw-01", "fork", 10, "2 days", "batch 4711 is stored already with other bytes", 10),
    ("gw-03", "no_grant", 3, "40 minutes", "gw-03 may not publish point 'furnace-2'", 3),
    ("source:scada", "malformed", 7, "6 hours", "no number at $.values[3].v: 'n/a'", 0),
)
_FINDINGS = (
    ("batches_lost", "fault", "3 hours",
     {"agent": "gw-02", "stream": "a", "from_seq": 812, "to_seq": 815}),
    ("agent_cloned", "fault", "1 day", {"agent": "gw-03", "stream": "b", "other": "c"}),
    ("fork", "fault", "2 days", {"agent": "gw-01", "stream": "d", "seq": 4711}),
    ("database_restored", "fault", "9 days",
     {"confirmed_commit_no": 90_412, "found_commit_no": 90_180, "streams": []}),
    ("meaning_disagrees", "warning", "400 days", {"source": "agent gw-01"}),
)  # fmt: skip


def put_foundry(connection: psycopg.Connection[Any]) -> None:
    """Write the site and what ingest would have written, all of it as of now."""
    with connection.transaction():
        site = _one(connection, "INSERT INTO site (code) VALUES ('foundry') RETURNING site_id")
        point = _one(
            connection,
            "INSERT INTO point (site_id, code, medium) VALUES (%s, 'furnace-1', 'electricity')"
            " RETURNING point_id",
            site,
        )
        connection.execute(
            "INSERT INTO site_record (site_id, name_zh, name_en, timezone, demonstration_zh,"
            " demonstration_en, valid_from, author, reason, commit_no) VALUES (%s, '铸造厂',"
            " 'Foundry', 'Asia/Shanghai', '演示数据：全部为合成', 'Demonstration: all synthetic',"
            " '2024-01-01Z', 'test', 'test', 1)",
            (site,),
        )
        connection.execute(
            "INSERT INTO point_record (point_id, name_zh, name_en, role, direction,"
            " commissioning, valid_from, author, reason, commit_no) VALUES (%s, '1号中频炉',"
            " 'Furnace 1', 'boundary', 'import', 'accepted', '2024-01-01Z', 'test', 'test', 1)",
            (point,),
        )
        _put_origins(connection, site)
        _put_counts(connection)
        for code, severity, ago, evidence in _FINDINGS:
            connection.execute(
                "INSERT INTO finding (site_id, point_id, code, at_ts, severity, evidence,"
                " data_version) VALUES (%s, %s, %s, now() - %s::interval, %s, %s, 1)",
                (site, point if code == "meaning_disagrees" else None, code, ago, severity,
                 json.dumps(evidence)),
            )  # fmt: skip
        for name, started, groups in (("ingest-1", "9 days", 812_400), ("ingest-2", "2 hours", 94)):
            connection.execute(
                "INSERT INTO ingest_worker (worker, started_at, last_commit_at, groups, batches,"
                " readings, group_batches, group_readings, commit_ms, writing_s, direct_compress)"
                " VALUES (%s, now() - %s::interval, now(), %s, %s * 12, %s * 1200, 12, 1200, 8.4,"
                " %s * 0.0084, 0)",
                (name, started, groups, groups, groups, groups),
            )


def _put_origins(connection: psycopg.Connection[Any], site: int) -> None:
    connection.execute(
        "INSERT INTO publisher (name, site_id, kind, simulated, cycle_s)"
        " VALUES ('scada', %s, 'mqtt', true, 60), ('mes', %s, 'rest', false, 900)",
        (site, site),
    )
    for name, simulated, state, ago, held, down in _AGENTS:
        connection.execute("INSERT INTO agent VALUES (%s, %s, %s)", (name, site, simulated))
        if state is not None:
            connection.execute(
                "INSERT INTO agent_status (agent_id, state, since, held_batches, held_readings,"
                " oldest_held_ts, units_down, received_at) VALUES (%s, %s, now() - interval"
                " '9 days', %s, %s, now() - %s::interval, %s, now() - %s::interval)",
                (name, state, (held or 0) // 100, held, ago if held else None, down, ago),
            )


def _put_counts(connection: psycopg.Connection[Any]) -> None:
    for row in _COUNTS:
        connection.execute(
            "INSERT INTO ingest_count (agent_id, batches_received, batches_stored,"
            " batches_duplicated, batches_refused, births_needed, readings_stored,"
            " readings_duplicated, last_received_at, last_reading_ts, reading_lag_ms, sent_lag_ms,"
            " group_batches, group_readings) VALUES (%s, %s, %s, %s, %s, %s, %s, %s,"
            " now() - %s::interval, now() - %s::interval, %s, %s, %s, %s)",
            (*row[:8], row[8], row[8], *row[9:]),
        )
    for name, code, messages, ago, sentence, kept in _REFUSED:
        connection.execute(
            "INSERT INTO quarantine_count VALUES (%s, %s, %s, now() - %s::interval)",
            (name, code, messages, ago),
        )
        connection.execute(
            "INSERT INTO quarantine (topic, agent_id, code, sentence, payload, payload_bytes,"
            " outcome) SELECT 'test', %s, %s, %s, 'x', 1, CASE WHEN i > %s THEN 'stored' END"
            " FROM generate_series(1, %s) AS i",
            (name, code, sentence, kept, messages),
        )
    stream = _one(
        connection,
        "INSERT INTO stream (stream, origin, agent_id, source, author) VALUES"
        " (gen_random_uuid(), 'agent', 'gw-02', 'gw-02', 'gw-02') RETURNING stream_no",
    )
    connection.execute("INSERT INTO lost_range VALUES (%s, 812, 815, now(), 1)", (stream,))


def _one(connection: psycopg.Connection[Any], query: str, *values: Any) -> int:
    row = connection.execute(query, values).fetchone()
    assert row is not None
    return int(row[0])
