"""Database to kernel to database, and SQL with ``lag()`` over the same table."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import psycopg

from analytics.bench.made_up import BEGIN_US, MINUTE_US, MODULUS, Registers, make_up
from analytics.engine import perform, plan_groups, run_once
from analytics.errors import BenchError
from analytics.intervals.readings import instant
from analytics.workers import Cores
from enpilot.database import connect, read_capabilities
from enpilot.database.binary_copy import POSTGRES_EPOCH_US, new_rows, row_type, write_rows
from enpilot.demo.scratch import scratch_database

__all__ = ["measure_end_to_end"]

_ROW: Final = row_type(
    ts="timestamptz", series="int4", raw="int8", quality="int2", late="int2", batch="int8"
)
_SETTINGS: Final = (
    "server_version", "shared_buffers", "work_mem", "max_wal_size", "fsync", "synchronous_commit",
    "full_page_writes", "max_parallel_workers_per_gather",
)  # fmt: skip
_RUNS: Final = 2
# Minutes of all meters that are written together: as ingest writes them, in the order of time.
_TOGETHER: Final = 30
_SAID: Final = "'2025-12-31T00:00Z', 'bench', 'bench', 1"
_PLANT: Final = """
INSERT INTO site (code) VALUES ('bench');
INSERT INTO site_record (site_id, name_zh, name_en, timezone, demonstration_zh, demonstration_en,
                         valid_from, author, reason, commit_no)
    SELECT site_id, '合成', 'Made up', 'Asia/Shanghai', '合成', 'Made up', {said} FROM site;
INSERT INTO point (site_id, code, medium)
    SELECT site_id, 'm' || i, 'electricity' FROM site, generate_series(1, {meters}) i;
INSERT INTO series (site_id, point_id, quantity, channel)
    SELECT site_id, point_id, 'active_energy', 'total' FROM point ORDER BY point_id;
INSERT INTO series_epoch (series_id, raw_type, register_scale, unit, modulus, counter_kind,
                          rated_max_per_h, period_s, origin, valid_from, author, reason, commit_no)
    SELECT series_id, 'uint32', 0.01, 'kWh', {modulus}, 'lifetime', 100, 60, 'human', {said}
    FROM series;
INSERT INTO stream (stream, origin, source, content_sha256, simulated, label_zh, label_en, author)
    VALUES (gen_random_uuid(), 'import', 'bench', '', true, '合成', 'Made up', 'bench');
CREATE TABLE bench_interval (LIKE interval_advance INCLUDING ALL);
SELECT nextval('commit_no_seq')
"""
# What SQL can say of a falling register: near its modulus it rolled over, else it was reset. A step
# across a quarter of an hour is shared out between both sides. It writes the same rows, into a
# table with the same key, over those of before.
_LAG: Final = """
INSERT INTO bench_interval
WITH steps AS (
    SELECT series_id, raw_int, read_at, lag(raw_int) OVER w AS before, lag(read_at) OVER w AS since
    FROM (SELECT series_id, ts + late_ms * interval '1 ms' AS read_at, raw_int FROM reading
          WHERE quality & 255 = 0) readings
    WINDOW w AS (PARTITION BY series_id ORDER BY read_at)
), moved AS (
    SELECT series_id, since, read_at, date_bin('15 minutes', since, 'epoch') AS start,
           date_bin('15 minutes', read_at, 'epoch') AS edge,
           CASE WHEN raw_int >= before THEN raw_int - before
                WHEN before > %(modulus)s * 0.9 AND raw_int < %(modulus)s * 0.1
                    THEN raw_int + %(modulus)s - before
                ELSE raw_int END * 1000000 AS advance
    FROM steps WHERE before IS NOT NULL
), parts AS (
    SELECT *, CASE WHEN start = edge THEN advance
        ELSE advance * round(date_part('epoch', edge - since) * 1e6)::bigint
             / round(date_part('epoch', read_at - since) * 1e6)::bigint END AS head
    FROM moved
)
SELECT series_id, slot, 1, sum(part), 0, 900, count(*), true, 1
FROM (SELECT series_id, start AS slot, head AS part FROM parts
      UNION ALL
      SELECT series_id, edge, advance - head FROM parts WHERE start <> edge) shared
GROUP BY 1, 2
"""


def measure_end_to_end(meters: int, days: int, workers: int) -> dict[str, Any]:
    """Measure how fast stored readings become stored intervals, and how that grows.

    Parameters
    ----------
    meters, days
        The largest size, at one reading a minute.
    workers
        Groups of points at once; 0 for as many as there are cores.

    Returns
    -------
    dict
        Figures by name: seconds [s], readings a second [1/s], ratios, settings of the server.

    Raises
    ------
    BenchError
        If what came out is wrong.
    """
    registers = make_up(meters, days * 1440 + 1)
    with scratch_database() as (url, server), connect(url, "bench", autocommit=True) as connection:
        _lay_out(connection, meters)
        _fill(connection, registers)
        cores = Cores(connection, url, workers)
        whole = min(_recompute(connection, cores, meters, days)[0] for _ in range(_RUNS))
        figures = _with_figures(connection, cores, meters, days)
        sql_s = _sql(connection)
        _check(connection, registers)
        readings = registers.raw.size
        ours, theirs = readings / whole, readings / sql_s
        return {
            "end_to_end_readings": readings,
            "end_to_end_s": round(whole, 3),
            "end_to_end_readings_per_s": round(ours),
            "with_day_and_month_figures_s": round(figures, 3),
            "sql_s": round(sql_s, 3),
            "sql_readings_per_s": round(theirs),
            "ratio_sql": round(ours / theirs, 2),
            "month_of_400_meters_s": round(400 * 43_200 / ours, 2),
            "linearity_meters": [_size(connection, cores, part, days) for part in _sizes(meters)],
            "linearity_days": [_size(connection, cores, meters, part) for part in _sizes(days)],
            "server": server,
            "edition": read_capabilities(connection).edition,
            "settings": {
                name: connection.execute("SELECT current_setting(%s)", (name,)).fetchone()[0]  # type: ignore[index]  # a setting is one row
                for name in _SETTINGS
            },
        }


def _sizes(largest: int) -> list[int]:
    return sorted({max(1, largest // 4), max(1, largest // 2), largest})


def _lay_out(connection: psycopg.Connection[Any], meters: int) -> None:
    connection.execute(_PLANT.format(meters=meters, modulus=MODULUS, said=_SAID).encode())


def _fill(connection: psycopg.Connection[Any], registers: Registers) -> None:
    """Write the readings as ingest does: some minutes of all meters, sorted by series."""
    series = _series(connection)
    minutes, meters = registers.raw.shape
    connection.execute("DROP INDEX reading_series_ts")
    for first in range(0, minutes, _TOGETHER):
        part = slice(first, min(first + _TOGETHER, minutes))
        count = part.stop - part.start
        rows = new_rows(_ROW, count * meters)
        rows["series"] = np.repeat(series, count)
        rows["ts"] = np.tile(
            BEGIN_US - POSTGRES_EPOCH_US + np.arange(part.start, part.stop) * MINUTE_US, meters
        )
        rows["raw"] = registers.raw[part].T.reshape(-1)
        rows["late"] = np.tile(registers.late_ms[part], meters)
        rows["quality"] = 0
        rows["batch"] = (1 << 32) + 1 + first // _TOGETHER
        write_rows(connection, "reading (ts, series_id, raw_int, quality, late_ms, batch)", rows)
    connection.execute("CREATE INDEX reading_series_ts ON reading (series_id, ts)")
    connection.execute(
        "INSERT INTO latest SELECT series_id, %s, 0, NULL, 0, (1::bigint << 32) + 1 FROM series",
        (instant(BEGIN_US + (minutes - 1) * MINUTE_US),),
    )
    connection.execute("VACUUM ANALYZE reading")


def _series(connection: psycopg.Connection[Any]) -> list[int]:
    return [row[0] for row in connection.execute("SELECT series_id FROM series ORDER BY 1")]


def _mark(connection: psycopg.Connection[Any], series: Sequence[int], days: int) -> None:
    begin = instant(BEGIN_US)
    connection.execute(
        "INSERT INTO dirty SELECT unnest(%s::int[]), %s, %s, 1",
        (list(series), begin, begin + dt.timedelta(days=days)),
    )


def _recompute(
    connection: psycopg.Connection[Any], cores: Cores, meters: int, days: int
) -> tuple[float, int]:
    """Return how long the intervals of some meters and days take [s], and their number."""
    _mark(connection, _series(connection)[:meters], days)
    begin = time.perf_counter()
    intervals = sum(done.intervals for done in cores.run(perform, plan_groups(connection, 1)))
    taken = time.perf_counter() - begin
    connection.execute("DELETE FROM dirty_site")
    if intervals < meters * days * 96:
        raise BenchError(f"{intervals} intervals of {meters} meters and {days} days")
    return taken, intervals


def _with_figures(
    connection: psycopg.Connection[Any], cores: Cores, meters: int, days: int
) -> float:
    _mark(connection, _series(connection)[:meters], days)
    begin = time.perf_counter()
    run_once(connection, cores)
    return time.perf_counter() - begin


def _size(
    connection: psycopg.Connection[Any], cores: Cores, meters: int, days: int
) -> dict[str, float]:
    taken, _ = _recompute(connection, cores, meters, days)
    millions = meters * (days * 1440 + 1) / 1e6
    return {"meters": meters, "days": days, "s_per_million": round(taken / millions, 4)}


def _sql(connection: psycopg.Connection[Any]) -> float:
    best = float("inf")
    for _ in range(_RUNS):
        with connection.transaction():
            connection.execute("SET LOCAL work_mem = '256MB'")
            begin = time.perf_counter()
            connection.execute("DELETE FROM bench_interval")
            connection.execute(_LAG, {"modulus": MODULUS})
        best = min(best, time.perf_counter() - begin)
    return best


def _check(connection: psycopg.Connection[Any], registers: Registers) -> None:
    """Compare what each meter did in all with its register, and the intervals with those of SQL."""
    totals = connection.execute(
        "SELECT sum(advance_micro)::float8 / 1e6 FROM interval_advance GROUP BY series_id"
        " ORDER BY series_id"
    ).fetchall()
    advances = registers.raw[-1] - registers.raw[0]
    ordinary = registers.ordinary
    if not np.allclose(np.array(totals)[ordinary, 0], advances[ordinary], rtol=0, atol=0.5):
        raise BenchError("intervals do not add up to what the registers say")
    row = connection.execute(
        "SELECT count(*) FROM interval_advance i FULL JOIN bench_interval b USING (series_id, ts)"
        " WHERE i.advance_micro IS DISTINCT FROM b.advance_micro"
    ).fetchone()
    if row != (0,):
        raise BenchError(f"{row} intervals are not those of SQL")
