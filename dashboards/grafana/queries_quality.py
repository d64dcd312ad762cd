"""Queries of the board on data quality."""

from __future__ import annotations

from typing import Final

from dashboards.grafana.queries import CHOSEN, POINT_NAME

__all__ = ["COMPLETENESS", "ESTIMATED", "FINDINGS", "INDEX", "METER_INDEX", "WITHHELD"]

INDEX: Final = f"""\
{CHOSEN}
SELECT q.period_from::timestamp AT TIME ZONE c.timezone AS "time", q.index_share, q.known_share
FROM chosen c JOIN quality_period q USING (site_id)
WHERE q.point_id IS NULL AND q.period_from BETWEEN
    date_trunc('month', c.to_day - interval '24 months')::date AND c.to_day
ORDER BY 1"""

_DAYS = """\
FROM chosen c JOIN energy_period d USING (site_id) JOIN point p USING (point_id)
%s
WHERE d.period_kind = 'day' AND d.channel = 'total' AND p.code IN (${point:sqlstring})
  AND d.period_from BETWEEN c.from_day AND c.to_day"""

# One quantity of a point: the matrix has a row for a meter.
COMPLETENESS: Final = f"""\
{CHOSEN}
SELECT d.period_from::timestamp AT TIME ZONE c.timezone AS "time",
       coalesce(r.{{name}}, p.code) AS metric, min(d.reporting_completeness) AS completeness
{_DAYS % POINT_NAME}
GROUP BY 1, 2 ORDER BY 1, 2"""

ESTIMATED: Final = f"""\
{CHOSEN}
SELECT d.period_from::timestamp AT TIME ZONE c.timezone AS "time",
       coalesce(r.{{name}}, p.code) AS metric, max(d.estimated_share) AS estimated_share
{_DAYS % POINT_NAME}
GROUP BY 1, 2 ORDER BY 1, 2"""

METER_INDEX: Final = f"""\
{CHOSEN}, months AS (
    SELECT DISTINCT ON (q.point_id) q.* FROM chosen c JOIN quality_period q USING (site_id)
    WHERE q.period_from <= c.to_day ORDER BY q.point_id, q.period_from DESC)
SELECT coalesce(r.{{name}}, p.code, '{{whole_site}}') AS meter,
       to_char(m.period_from, 'YYYY-MM') AS month, m.index_share, m.known_share,
       array_to_string(m.failed, ', ') AS failed, m.provisional, m.withheld_code AS reason
FROM months m LEFT JOIN point p USING (point_id)
{POINT_NAME}
WHERE p.code IS NULL OR p.code IN (${{point:sqlstring}})
ORDER BY p.code NULLS FIRST"""

FINDINGS: Final = f"""\
{CHOSEN}
SELECT f.severity, f.code AS finding, coalesce(r.{{name}}, p.code) AS meter, f.at_ts, f.to_ts
FROM chosen c JOIN finding f USING (site_id) LEFT JOIN point p USING (point_id)
{POINT_NAME}
WHERE f.at_ts <= $__timeTo()::timestamptz
  AND coalesce(f.to_ts, f.at_ts) >= $__timeFrom()::timestamptz
  AND f.withdrawn_version IS NULL AND (p.code IS NULL OR p.code IN (${{point:sqlstring}}))
ORDER BY array_position(ARRAY['fault', 'warning', 'note'], f.severity), f.at_ts DESC"""

WITHHELD: Final = f"""\
{CHOSEN}
SELECT e.code AS indicator, d.period_kind, d.period_from::text AS period_from,
       (d.period_to - 1)::text AS period_through, d.withheld_code AS reason, d.coverage,
       d.output_coverage, d.reporting_completeness
FROM chosen c JOIN enpi_period d USING (site_id) JOIN enpi e USING (enpi_id)
WHERE d.withheld_code IS NOT NULL AND d.shift = '' AND d.period_from BETWEEN c.from_day AND c.to_day
ORDER BY d.period_from DESC, d.period_kind"""
