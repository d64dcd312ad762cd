"""Queries of the board on load and demand."""

from __future__ import annotations

from typing import Final

from dashboards.grafana.queries import BOUNDARY_METERS, CHOSEN, POINT_NAME, per_unit

__all__ = [
    "ENERGY_PER_DAY",
    "HIGHEST_QUARTER_HOURS",
    "METER_LOAD",
    "MONTH_MAXIMA",
    "SITE_LOAD",
    "SITE_QUARTERS",
]

_KWH = per_unit("active_energy", "e.unit")

# Mean power of the site over each quarter hour, from eight weeks before the shown span. A quarter
# hour without one of several meters would read as a dip, and one that is running as a drop.
SITE_QUARTERS: Final = f"""\
{CHOSEN}, meters AS (
{BOUNDARY_METERS} AND s.quantity = 'active_energy'),
parts AS (
    SELECT i.ts, i.epoch_id, sum(i.advance_micro) AS advance, sum(i.estimated_micro) AS estimated,
           count(*) AS meters
    FROM visible_interval_advance i
    WHERE i.ts >= $__timeFrom()::timestamptz - interval '56 days'
      AND i.ts < $__timeTo()::timestamptz AND i.ts <= now() - interval '15 minutes'
      AND i.series_id = ANY (ARRAY(SELECT series_id FROM meters))
    GROUP BY i.ts, i.epoch_id),
totals AS (
    SELECT a.ts, sum(a.advance * e.scale * {_KWH})::double precision / 1000000 * 4 AS kw,
           abs(sum(a.estimated * e.scale)) > abs(sum(a.advance * e.scale)) / 2 AS guessed,
           sum(a.meters) AS meters
    FROM parts a JOIN current_epoch e USING (epoch_id) GROUP BY a.ts),
quarters AS (
    SELECT t.ts, t.kw, t.guessed, (t.ts AT TIME ZONE c.timezone)::time AS clock,
           coalesce(CASE d.kind WHEN 'workday' THEN 'working' ELSE d.kind END,
                    CASE extract(isodow FROM t.ts AT TIME ZONE c.timezone)
                        WHEN 6 THEN 'saturday' WHEN 7 THEN 'sunday' ELSE 'working' END) AS day_kind
    FROM (SELECT *, max(meters) OVER () AS all_meters FROM totals) t CROSS JOIN chosen c
    LEFT JOIN calendar_day d ON d.site_id = c.site_id AND d.superseded_commit_no IS NULL
        AND d.day = (t.ts AT TIME ZONE c.timezone)::date
    WHERE t.meters = t.all_meters),
usual AS (
    SELECT day_kind, clock, percentile_cont(0.15) WITHIN GROUP (ORDER BY kw) AS low,
           percentile_cont(0.85) WITHIN GROUP (ORDER BY kw) AS high
    FROM quarters WHERE ts < $__timeFrom()::timestamptz
    GROUP BY day_kind, clock HAVING count(*) >= 5)"""

SITE_LOAD: Final = f"""\
{SITE_QUARTERS}
SELECT q.ts AS "time", CASE WHEN q.guessed THEN NULL ELSE q.kw END AS power,
       CASE WHEN q.guessed THEN q.kw END AS power_estimated, u.low AS usual_low,
       u.high AS usual_high
FROM quarters q LEFT JOIN usual u USING (day_kind, clock)
WHERE q.ts >= $__timeFrom()::timestamptz ORDER BY 1"""

HIGHEST_QUARTER_HOURS: Final = f"""\
{SITE_QUARTERS}
SELECT q.ts AS at, q.kw AS power, u.high AS usual_high, q.kw / nullif(u.high, 0) - 1 AS deviation
FROM quarters q LEFT JOIN usual u USING (day_kind, clock)
WHERE q.ts >= $__timeFrom()::timestamptz AND NOT q.guessed
ORDER BY q.kw DESC LIMIT 20"""

METER_LOAD: Final = f"""\
{CHOSEN}, meters AS (
    SELECT s.series_id FROM chosen c JOIN series s USING (site_id) JOIN point p USING (point_id)
    WHERE p.code IN (${{point:sqlstring}}) AND s.quantity = 'active_energy'
      AND s.channel = 'total'),
parts AS (
    SELECT i.ts, i.epoch_id, sum(i.advance_micro) AS advance
    FROM visible_interval_advance i
    WHERE $__timeFilter(i.ts) AND i.ts <= now() - interval '15 minutes'
      AND i.series_id = ANY (ARRAY(SELECT series_id FROM meters))
    GROUP BY i.ts, i.epoch_id)
SELECT a.ts AS "time", coalesce(r.{{name}}, p.code) AS metric,
       (a.advance * e.scale * {_KWH})::double precision / 1000000 * 4 AS power
FROM parts a JOIN current_epoch e USING (epoch_id) JOIN point p ON p.point_id = e.point_id
{POINT_NAME}
ORDER BY 1, 2"""

ENERGY_PER_DAY: Final = f"""\
{CHOSEN}
SELECT d.period_from::timestamp AT TIME ZONE c.timezone AS "time",
       coalesce(r.{{name}}, p.code) AS metric, d.amount AS energy
FROM chosen c JOIN energy_period d USING (site_id) JOIN point p USING (point_id)
{POINT_NAME}
WHERE d.period_kind = 'day' AND d.quantity = 'active_energy' AND d.channel = 'total'
  AND p.code IN (${{point:sqlstring}}) AND d.period_from BETWEEN c.from_day AND c.to_day
ORDER BY 1, 2"""

# A month's maximum is that of its whole days; the contract is what held at its end.
MONTH_MAXIMA: Final = f"""\
{CHOSEN}
SELECT date_trunc('month', d.day)::timestamp AT TIME ZONE c.timezone AS "time",
       max(d.demand_kw) AS maximum, max((r.terms ->> 'contract_demand_kw')::double precision)
       AS declared
FROM chosen c JOIN demand_day d USING (site_id)
LEFT JOIN account_record r ON r.account_id = d.account_id AND r.superseded_commit_no IS NULL
    AND r.valid_from < (d.day + 1)::timestamp AT TIME ZONE c.timezone
    AND (r.valid_to IS NULL OR r.valid_to >= (d.day + 1)::timestamp AT TIME ZONE c.timezone)
JOIN account a ON a.account_id = d.account_id
WHERE a.code = ${{account:sqlstring}}
  AND d.day BETWEEN date_trunc('month', c.to_day - interval '12 months') AND c.to_day
GROUP BY 1 ORDER BY 1"""
