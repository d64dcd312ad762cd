"""Queries of the plant wall: a figure, what it should be, and a mark."""

from __future__ import annotations

from typing import Final

from dashboards.grafana.queries import BOUNDARY_METERS, CHOSEN, per_unit
from dashboards.grafana.queries_load import SITE_QUARTERS

__all__ = ["ALERTS", "DAY_ENERGY", "DAY_INTENSITY", "FRESHNESS", "POWER_NOW", "YEAR_TO_DATE"]

# Of the last finished period: a day, or a month where the baseline knows months only.
DAY_ENERGY: Final = f"""\
{CHOSEN}
SELECT to_char(d.period_from, CASE d.period_kind WHEN 'day' THEN 'YYYY-MM-DD' ELSE 'YYYY-MM' END)
       || ' · ' || d.energy_unit AS what,
       d.actual, d.expected,
       CASE WHEN d.withheld_code IS NOT NULL THEN 'withheld' WHEN d.actual > d.upper THEN 'above'
            WHEN d.actual < d.lower THEN 'below' ELSE 'as_expected' END AS mark
FROM chosen c JOIN baseline_period d USING (site_id)
JOIN baseline_record b ON b.baseline_id = d.baseline_id AND b.superseded_commit_no IS NULL
    AND b.valid_from <= now() AND (b.valid_to IS NULL OR b.valid_to > now())
LEFT JOIN enpi e ON e.enpi_id = b.enpi_id
WHERE d.period_to <= least(c.to_day, c.today) AND d.actual IS NOT NULL
ORDER BY b.whole_site DESC, coalesce(e.code = ${{enpi:sqlstring}}, false) DESC, d.period_to DESC,
         d.period_from DESC
LIMIT 1"""

# A day has no target of its own: it is held against its month's.
DAY_INTENSITY: Final = f"""\
{CHOSEN}
SELECT to_char(d.period_from, CASE d.period_kind WHEN 'day' THEN 'YYYY-MM-DD' ELSE 'YYYY-MM' END)
       || ' · ' || d.energy_unit || '/' || d.output_unit AS what,
       d.intensity AS actual, m.target_intensity AS target,
       CASE WHEN d.status = 'withheld' THEN 'withheld'
            WHEN m.target_intensity IS NULL THEN 'no_target'
            WHEN d.intensity <= m.target_intensity THEN 'at_target' ELSE 'over_target' END AS mark
FROM chosen c JOIN enpi_period d USING (site_id) JOIN enpi e USING (enpi_id)
LEFT JOIN enpi_period m ON m.enpi_id = d.enpi_id AND m.period_kind = 'month' AND m.shift = ''
    AND m.period_from <= d.period_from AND m.period_to >= d.period_to
WHERE e.code = ${{enpi:sqlstring}} AND d.period_kind IN ('day', 'month') AND d.shift = ''
  AND d.period_to <= least(c.to_day, c.today)
ORDER BY d.period_to DESC, d.period_from DESC LIMIT 1"""

YEAR_TO_DATE: Final = f"""\
{CHOSEN}
SELECT to_char(d.period_from, 'YYYY-MM-DD') || '–' || to_char(d.period_to - 1, 'MM-DD') || ' · '
       || d.energy_unit || '/' || d.output_unit AS what,
       d.intensity AS actual, d.target_intensity AS target, d.status AS mark
FROM chosen c JOIN enpi_period d USING (site_id) JOIN enpi e USING (enpi_id)
WHERE e.code = ${{enpi:sqlstring}} AND d.period_kind = 'year_to_date' AND d.shift = ''
  AND d.period_from <= c.to_day
ORDER BY d.period_to DESC LIMIT 1"""

# The usual range is that of the same quarter hour of like days.
POWER_NOW: Final = f"""\
{SITE_QUARTERS}, gauges AS (
{BOUNDARY_METERS} AND s.quantity = 'active_power'),
power AS (
    SELECT sum(v.value * {per_unit("active_power", "v.unit")}) AS kw, min(v.ts) AS oldest
    FROM latest_value v WHERE v.series_id = ANY (ARRAY(SELECT series_id FROM gauges)))
SELECT n.kw AS power, u.low AS usual_low, u.high AS usual_high,
       CASE WHEN n.oldest < now() - interval '5 minutes' THEN 'late' WHEN u.high IS NULL
            THEN 'no_reference' WHEN n.kw > u.high THEN 'above' WHEN n.kw < u.low THEN 'below'
            ELSE 'usual' END AS mark
FROM power n CROSS JOIN chosen c
LEFT JOIN calendar_day d ON d.site_id = c.site_id AND d.superseded_commit_no IS NULL
    AND d.day = c.today
LEFT JOIN usual u
    ON u.clock = (date_bin('15 minutes', now(), 'epoch') AT TIME ZONE c.timezone)::time
    AND u.day_kind = coalesce(CASE d.kind WHEN 'workday' THEN 'working' ELSE d.kind END,
        CASE extract(isodow FROM c.today) WHEN 6 THEN 'saturday' WHEN 7 THEN 'sunday'
             ELSE 'working' END)
WHERE n.kw IS NOT NULL"""

ALERTS: Final = f"""\
{CHOSEN}
SELECT n.severity, concat_ws(' · ', n.{{name}}, nullif(s.subject_{{language}}, '')) AS alert,
       s.since, s.value
FROM chosen c JOIN alert_rule a USING (site_id) JOIN alert_state s USING (alert_rule_id)
JOIN alert_rule_record n ON n.alert_rule_id = a.alert_rule_id AND n.superseded_commit_no IS NULL
    AND n.valid_from <= now() AND (n.valid_to IS NULL OR n.valid_to > now())
WHERE s.state IN ('firing', 'acknowledged')
ORDER BY array_position(ARRAY['fault', 'warning', 'note'], n.severity), s.since"""

FRESHNESS: Final = f"""\
{CHOSEN}, counted AS (
    SELECT count(*) AS gateways, count(*) FILTER (
        WHERE state IS DISTINCT FROM 'offline'
          AND greatest(said_at, last_received_at) > now() - interval '3 minutes') AS online
    FROM visible_intake JOIN chosen USING (site_id))
SELECT d.data_through, n.online, n.gateways,
       CASE WHEN d.data_through IS NULL THEN 'no_reference'
            WHEN d.data_through < now() - interval '1 hour' OR n.online < n.gateways THEN 'late'
            ELSE 'complete' END AS mark
FROM chosen c CROSS JOIN counted n LEFT JOIN computation d USING (site_id)"""
