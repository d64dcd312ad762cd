"""A made-up works: a year of quarter hours, days and months of its meters, written as figures.

The engine's tables are filled directly, so that the pages are measured and not the engine.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final
from zoneinfo import ZoneInfo

import psycopg

__all__ = ["SITE", "ZONE", "make_up"]

SITE: Final = "bench"
ZONE: Final = ZoneInfo("Asia/Shanghai")
_SAID: Final = "'2020-01-01T00:00Z', 'bench', 'bench', 1"
_PLANT: Final = """
INSERT INTO site (code) VALUES ('{site}');
INSERT INTO site_record (site_id, name_zh, name_en, timezone, demonstration_zh, demonstration_en,
                         valid_from, author, reason, commit_no)
    SELECT site_id, '合成工厂', 'Made-up works', '{zone}', '全部合成', 'All made up', {said}
    FROM site;
INSERT INTO point (site_id, code, medium)
    SELECT site_id, 'm' || lpad(i::text, 3, '0'), 'electricity'
    FROM site, generate_series(1, {meters}) i;
INSERT INTO point_record (point_id, name_zh, name_en, role, direction, parent_point_id,
                          commissioning, valid_from, author, reason, commit_no)
    SELECT point_id, '电表 ' || code, 'Meter ' || code,
           CASE code WHEN 'm001' THEN 'boundary' ELSE 'sub' END,
           CASE code WHEN 'm001' THEN 'import' ELSE 'internal' END,
           CASE code WHEN 'm001' THEN NULL
                ELSE (SELECT point_id FROM point WHERE code = 'm001') END, 'accepted', {said}
    FROM point;
INSERT INTO series (site_id, point_id, quantity, channel)
    SELECT site_id, point_id, 'active_energy', 'total' FROM point ORDER BY point_id;
INSERT INTO series_epoch (series_id, raw_type, register_scale, unit, modulus, counter_kind,
                          period_s, origin, valid_from, author, reason, commit_no)
    SELECT series_id, 'uint32', 0.01, 'kWh', 100000000, 'lifetime', 900, 'human', {said}
    FROM series;
INSERT INTO product (site_id, code, unit) SELECT site_id, 'goods', 't' FROM site;
INSERT INTO product_record (product_id, name_zh, name_en, valid_from, author, reason, commit_no)
    SELECT product_id, '产品', 'Goods', {said} FROM product;
INSERT INTO scheme (site_id, code) SELECT site_id, 'electricity' FROM site;
INSERT INTO scheme_record (scheme_id, name_zh, name_en, energy_unit, media, valid_from, author,
                           reason, commit_no)
    SELECT scheme_id, '电力', 'Electricity', 'kWh', '{{electricity}}', {said} FROM scheme;
INSERT INTO enpi (site_id, code) SELECT site_id, 'per-tonne' FROM site;
INSERT INTO enpi_record (enpi_id, name_zh, name_en, scheme_id, product_id, stage, valid_from,
                         author, reason, commit_no)
    SELECT enpi_id, '单位电耗', 'Electricity per tonne', scheme_id, product_id, 'qualified', {said}
    FROM enpi, scheme, product
"""
# A works by the hour of the day, its sub-meters smaller; in 1e-6 register counts of 0.01 kWh.
_INTERVALS: Final = """
INSERT INTO interval_advance
SELECT e.series_id, q.ts, e.epoch_id,
       (1000 + 600 * sin(extract(hour FROM q.ts) / 3.8) + (e.series_id * 7919 + q.no) %% 97)::bigint
           * CASE e.series_id WHEN 1 THEN 100 ELSE 1 END * 1000000,
       0, 900, 15, true, 1
FROM series_epoch e, (SELECT ts, row_number() OVER () AS no FROM generate_series(
    %(since)s::timestamptz, %(until)s::timestamptz - interval '15 min', '15 min') ts) q
ORDER BY q.ts, e.series_id
"""
_DAYS: Final = """
INSERT INTO energy_period (site_id, point_id, quantity, channel, period_kind, period_from,
    period_to, amount, unit, estimated_share, coverage, distribution_coverage,
    reporting_completeness, simulated, data_version)
SELECT s.site_id, s.point_id, 'active_energy', 'total', 'day', d.day, d.day + 1, d.kwh, 'kWh',
       0.0, 1, 1, 1, true, 1
FROM (SELECT series_id, (ts AT TIME ZONE '{zone}')::date AS day,
             sum(advance_micro)::float8 / 1e8 AS kwh
      FROM interval_advance GROUP BY 1, 2) d JOIN series s USING (series_id)
"""
_MONTHS: Final = """
INSERT INTO energy_period (site_id, point_id, quantity, channel, period_kind, period_from,
    period_to, amount, unit, estimated_share, coverage, distribution_coverage,
    reporting_completeness, simulated, data_version)
SELECT site_id, point_id, quantity, channel, 'month', date_trunc('month', period_from)::date,
       (date_trunc('month', period_from) + interval '1 month')::date, sum(amount), 'kWh',
       0.0, 1, 1, 1, true, 1
FROM energy_period GROUP BY site_id, point_id, quantity, channel, 6, 7
"""
_ENPIS: Final = """
INSERT INTO enpi_period (site_id, enpi_id, period_kind, period_from, period_to, energy,
    energy_unit, output, output_unit, intensity, status, provisional, coverage, output_coverage,
    reporting_completeness, estimated_share, synthetic_energy, synthetic_output, factor_verified,
    data_version)
SELECT e.site_id, n.enpi_id, e.period_kind, e.period_from, e.period_to, e.amount, 'kWh',
       e.amount / 500, 't', 500, 'no_target', true, 1, 1, 1, 0, true, true, true, 1
FROM energy_period e, enpi n WHERE e.point_id = (SELECT point_id FROM point WHERE code = 'm001');
INSERT INTO output (site_id, product_id, stage, disposition, quantity, from_ts, to_ts, booked_at,
    source, synthetic, batch, author, reason, commit_no)
SELECT e.site_id, p.product_id, 'qualified', 'good', e.output,
       e.period_from::timestamp AT TIME ZONE '{zone}', e.period_to::timestamp AT TIME ZONE '{zone}',
       now(), 'bench', true, 1, 'bench', 'bench', 1
FROM enpi_period e, product p WHERE e.period_kind = 'day';
INSERT INTO enpi_period (site_id, enpi_id, period_kind, period_from, period_to, energy,
    energy_unit, output, output_unit, intensity, status, provisional, coverage, output_coverage,
    reporting_completeness, estimated_share, synthetic_energy, synthetic_output, factor_verified,
    data_version)
SELECT site_id, enpi_id, 'year_to_date', date_trunc('year', period_from)::date, max(period_to),
       sum(energy), 'kWh', sum(output), 't', 500, 'no_target', true, 1, 1, 1, 0, true, true, true, 1
FROM enpi_period WHERE period_kind = 'month' GROUP BY site_id, enpi_id, 4;
INSERT INTO computation (site_id, data_version, data_through, code_version)
    SELECT site_id, 1, '{until}', 'bench' FROM site;
SELECT nextval('commit_no_seq')
"""


def make_up(connection: psycopg.Connection[Any], meters: int, days: int) -> int:
    """Write the works up to this morning, and return the number of its intervals.

    Parameters
    ----------
    meters
        One at the boundary, the others below it.
    days
        Of quarter hours.

    Returns
    -------
    int
        Rows of interval_advance.
    """
    today = dt.datetime.now(ZONE).replace(hour=6, minute=0, second=0, microsecond=0)
    since = (today - dt.timedelta(days=days)).replace(hour=0)
    words = {"site": SITE, "zone": ZONE.key, "said": _SAID, "meters": meters, "until": today}
    connection.execute(_PLANT.format(**words).encode())
    # Rows first, then their key: as a restored backup would come.
    key = connection.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = 'interval_advance'::regclass AND contype = 'p'"
    ).fetchone()
    assert key is not None  # migrated a moment ago
    connection.execute("ALTER TABLE interval_advance DROP CONSTRAINT interval_advance_pkey")
    written = connection.execute(_INTERVALS, {"since": since, "until": today}).rowcount
    connection.execute(
        f"ALTER TABLE interval_advance ADD CONSTRAINT interval_advance_pkey {key[0]}".encode()
    )
    connection.execute("ALTER TABLE energy_period DISABLE TRIGGER USER")
    connection.execute("ALTER TABLE enpi_period DISABLE TRIGGER USER")
    for statement in (_DAYS, _MONTHS, _ENPIS):
        connection.execute(statement.format(**words).encode())
    connection.execute("VACUUM ANALYZE")
    return written
