"""Queries of the board on EnPIs and their path."""

from __future__ import annotations

from typing import Final

from dashboards.grafana.queries import CHOSEN

__all__ = ["MONTHS", "MONTH_FIGURES", "PATH", "PROGRESS", "YEAR_END", "YEAR_SO_FAR"]

_OF_ENPI = """\
FROM chosen c JOIN enpi_period d USING (site_id) JOIN enpi e USING (enpi_id)
WHERE e.code = ${enpi:sqlstring} AND d.shift = ''"""

MONTHS: Final = f"""\
{CHOSEN}
SELECT d.period_from::timestamp AT TIME ZONE c.timezone AS "time", d.intensity AS actual,
       d.base_intensity AS base, d.target_intensity AS target
{_OF_ENPI} AND d.period_kind = 'month' AND d.period_from BETWEEN c.from_day AND c.to_day
ORDER BY 1"""

# Year to date at each month's end; from the last of them the forecast opens to its interval of 80 %
# at the year's end.
YEAR_SO_FAR: Final = f"""\
{CHOSEN}, so_far AS (
    SELECT d.enpi_id, d.period_from, d.period_to, d.intensity, d.target_intensity,
           max(d.period_to) OVER (PARTITION BY d.period_from) AS last_to
    {_OF_ENPI} AND d.period_kind = 'year_to_date' AND d.period_from BETWEEN
        date_trunc('year', c.from_day)::date AND c.to_day),
ends AS (
    SELECT y.* FROM chosen c JOIN enpi_year_end y USING (site_id) JOIN enpi e USING (enpi_id)
    WHERE e.code = ${{enpi:sqlstring}} AND y.year_from BETWEEN
        date_trunc('year', c.from_day)::date AND c.to_day),
points AS (
    SELECT d.period_to, d.intensity AS actual, d.target_intensity AS target,
           f.intensity AS forecast, f.intensity AS forecast_low, f.intensity AS forecast_high
    FROM so_far d LEFT JOIN LATERAL (
        SELECT d.intensity FROM ends y
        WHERE y.year_from = d.period_from AND y.intensity IS NOT NULL
          AND d.period_to = d.last_to AND d.period_to < y.year_to) f ON true
    UNION ALL
    SELECT year_to, NULL, target_intensity, intensity, intensity_lower, intensity_upper FROM ends)
SELECT (p.period_to - 1)::timestamp AT TIME ZONE c.timezone AS "time", p.actual, p.target,
       p.forecast, p.forecast_low, p.forecast_high
FROM points p CROSS JOIN chosen c ORDER BY 1"""

# Below 1 a ratio is cut, not rounded: 0.996 must not read as 1.00 beside an amber mark.
PROGRESS: Final = f"""\
{CHOSEN}
SELECT to_char(d.period_from, 'YYYY-MM-DD') || '–' || to_char(d.period_to - 1, 'MM-DD') || ' · '
       || d.energy_unit || '/' || d.output_unit AS what,
       d.intensity AS actual, d.base_intensity AS base, d.target_intensity AS target,
       CASE WHEN d.progress_ratio < 1 THEN floor(d.progress_ratio * 100) / 100
            ELSE d.progress_ratio END AS progress,
       CASE WHEN d.cumulative_progress < 1 THEN floor(d.cumulative_progress * 100) / 100
            ELSE d.cumulative_progress END AS cumulative_progress,
       d.status AS mark
{_OF_ENPI} AND d.period_kind = 'year_to_date' AND d.period_from <= c.to_day
ORDER BY d.period_to DESC LIMIT 1"""

YEAR_END: Final = f"""\
{CHOSEN}
SELECT to_char(y.year_from, 'YYYY') AS what, y.intensity AS forecast,
       y.intensity_lower AS forecast_low, y.intensity_upper AS forecast_high,
       y.target_intensity AS target, y.probability, y.required_change,
       coalesce(y.withheld_code, 'known') AS reason
FROM chosen c JOIN enpi_year_end y USING (site_id) JOIN enpi e USING (enpi_id)
WHERE e.code = ${{enpi:sqlstring}} AND y.year_from <= c.to_day
ORDER BY y.year_from DESC LIMIT 1"""

# The path of a yearly rate, I0 (1 - r)^k, beside what each year came to.
PATH: Final = f"""\
{CHOSEN}, aim AS (
    SELECT t.base_from, t.base_to, t.end_to, t.annual_rate, e.enpi_id
    FROM chosen c JOIN enpi e USING (site_id) JOIN target t USING (enpi_id)
    WHERE e.code = ${{enpi:sqlstring}} AND t.kind = 'intensity' AND t.annual_rate IS NOT NULL
      AND t.superseded_commit_no IS NULL
    ORDER BY array_position(ARRAY['official', 'assigned', 'internal'], t.target_class), t.target_id
    LIMIT 1),
years AS (
    SELECT DISTINCT ON (d.period_from) d.period_from, d.period_to, d.intensity
    FROM aim a JOIN enpi_period d USING (enpi_id)
    WHERE d.period_kind = 'year_to_date' AND d.shift = ''
      AND d.period_from >= a.base_from AND d.period_from < a.end_to
    ORDER BY d.period_from, d.period_to DESC),
base AS (
    SELECT y.intensity FROM aim a JOIN years y
        ON y.period_from = a.base_from AND y.period_to = a.base_to)
SELECT k.year::timestamp AT TIME ZONE c.timezone AS "time",
       b.intensity * power(1 - a.annual_rate::double precision, k.number - 1) AS target,
       y.intensity AS actual
FROM chosen c CROSS JOIN aim a CROSS JOIN base b
CROSS JOIN LATERAL generate_series(a.base_from::timestamp, a.end_to - interval '1 day', '1 year')
    WITH ORDINALITY AS k(year, number)
LEFT JOIN years y ON y.period_from = k.year::date
ORDER BY 1"""

MONTH_FIGURES: Final = f"""\
{CHOSEN}
SELECT to_char(d.period_from, 'YYYY-MM') AS month, d.energy, d.energy_unit, d.output, d.output_unit,
       d.intensity AS actual, d.base_intensity AS base, d.target_intensity AS target,
       d.status AS mark, d.withheld_code AS reason, d.provisional,
       d.reporting_completeness, d.estimated_share,
       d.synthetic_energy OR d.synthetic_output AS synthetic
{_OF_ENPI} AND d.period_kind = 'month' AND d.period_from BETWEEN c.from_day AND c.to_day
ORDER BY d.period_from DESC"""
