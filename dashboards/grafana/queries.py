"""The board's queries, apart from the board so that a test can run each of them.

They name only what the reader role may read. Each filters ``ts`` directly, so that chunks are left
out, and sums raw advances before it multiplies by the scale (D18, D19).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["QUERIES", "SITE_QUERY", "Query", "in_sql"]


@dataclass(frozen=True, slots=True)
class Query:
    """One query in Grafana's macros; ``kind`` says what Grafana makes of its rows."""

    name: str
    kind: Literal["time_series", "table"]
    sql: str


SITE_QUERY: Final = "SELECT code FROM site JOIN granted_site USING (site_id) ORDER BY code"

_MEAN_POWER: Final = """\
SELECT i.ts AS "time", p.code AS metric,
       sum(i.advance_micro * e.scale) / 1000000 * 4 AS power
FROM visible_interval_advance i
JOIN current_epoch e USING (epoch_id)
JOIN point p ON p.point_id = e.point_id
JOIN site s ON s.site_id = e.site_id
WHERE $__timeFilter(i.ts) AND s.code = ${site:sqlstring} AND e.quantity = 'active_energy'
GROUP BY 1, 2 ORDER BY 1"""

_LIVE_POWER: Final = """\
SELECT v.ts AS "time", p.code AS point, v.value AS power, v.unit
FROM latest_value v JOIN point p USING (point_id) JOIN site s ON s.site_id = v.site_id
WHERE s.code = ${site:sqlstring} AND v.quantity = 'active_power' ORDER BY p.code"""

_ENERGY_PER_DAY: Final = """\
SELECT d.period_from::timestamp AT TIME ZONE r.timezone AS "time", p.code AS metric, d.amount
FROM energy_period d
JOIN point p USING (point_id)
JOIN site s ON s.site_id = d.site_id
JOIN site_record r ON r.site_id = s.site_id AND r.superseded_commit_no IS NULL
WHERE s.code = ${site:sqlstring} AND d.period_kind = 'day' AND d.quantity = 'active_energy'
  AND $__timeFilter(d.period_from::timestamp AT TIME ZONE r.timezone)
ORDER BY 1"""

_INTENSITY: Final = """\
SELECT d.period_from::timestamp AT TIME ZONE r.timezone AS "time", d.intensity AS actual,
       d.base_intensity AS base, d.target_intensity AS target
FROM enpi_period d
JOIN site s USING (site_id)
JOIN site_record r ON r.site_id = s.site_id AND r.superseded_commit_no IS NULL
WHERE s.code = ${site:sqlstring} AND d.period_kind = 'month'
ORDER BY 1"""

_VERDICT: Final = """\
SELECT e.code AS enpi, d.period_from, d.period_to - 1 AS period_through, d.intensity,
       d.target_intensity, d.energy_unit || '/' || d.output_unit AS unit, d.progress_ratio,
       d.status, d.withheld_code, d.provisional, d.coverage, d.reporting_completeness,
       d.synthetic_energy OR d.synthetic_output AS synthetic
FROM enpi_period d JOIN enpi e USING (enpi_id) JOIN site s ON s.site_id = d.site_id
WHERE s.code = ${site:sqlstring} AND d.period_kind = 'year_to_date'
  AND d.period_to = (SELECT max(l.period_to) FROM enpi_period l
                     WHERE l.enpi_id = d.enpi_id AND l.period_kind = 'year_to_date')
ORDER BY 1"""

_LABEL: Final = """\
SELECT r.demonstration_zh, r.demonstration_en FROM site_record r JOIN site s USING (site_id)
WHERE s.code = ${site:sqlstring} AND r.superseded_commit_no IS NULL
  AND r.demonstration_zh IS NOT NULL"""

QUERIES: Final = {
    q.name: q
    for q in (
        Query("label", "table", _LABEL),
        Query("verdict", "table", _VERDICT),
        Query("live_power", "table", _LIVE_POWER),
        Query("mean_power", "time_series", _MEAN_POWER),
        Query("energy_per_day", "time_series", _ENERGY_PER_DAY),
        Query("intensity", "time_series", _INTENSITY),
    )
}


def in_sql(query: str, site: str, since: str, until: str) -> str:
    """Return a query with Grafana's macros filled in the way Grafana does it.

    Parameters
    ----------
    query
        SQL with ``$__timeFilter(column)`` and ``${site:sqlstring}``.
    site
        Code of a site.
    since, until
        ISO instants.

    Source: Grafana documentation, PostgreSQL data source, "Macros".
    """
    literal = "'" + site.replace("'", "''") + "'"
    filled = query.replace("${site:sqlstring}", literal)
    while (at := filled.find("$__timeFilter(")) >= 0:
        start = at + len("$__timeFilter(")
        depth, end = 1, start
        while depth:
            depth += {"(": 1, ")": -1}.get(filled[end], 0)
            end += 1
        column = filled[start : end - 1]
        filled = f"{filled[:at]}{column} BETWEEN '{since}' AND '{until}'{filled[end:]}"
    return filled
