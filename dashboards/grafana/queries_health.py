"""Queries of the board on gateways and ingest."""

from __future__ import annotations

from typing import Final

from dashboards.grafana.queries import CHOSEN, POINT_NAME

__all__ = ["ARRIVING", "GATEWAYS", "INTAKE", "REFUSED", "SPEED", "TRANSPORT_FINDINGS"]

# Silent after three minutes or three times the distance at which a source says something; late
# after three times the distance at which a reading is due, at least two minutes.
_STATES = f"""\
{CHOSEN}, sources AS (
    SELECT i.*, greatest(i.said_at, i.last_received_at) AS heard_at,
           CASE WHEN greatest(i.said_at, i.last_received_at) IS NULL THEN 'never'
                WHEN i.state = 'offline' THEN 'offline'
                WHEN greatest(i.said_at, i.last_received_at) < now() - greatest(
                    180, CASE i.kind WHEN 'gateway' THEN 0 ELSE 3 * i.due_s END)
                    * interval '1 second' THEN 'silent'
                WHEN i.last_reading_ts < now() - greatest(120, 3 * coalesce(i.due_s, 0))
                    * interval '1 second' THEN 'late'
                ELSE 'online' END AS mark
    FROM visible_intake i JOIN chosen USING (site_id))"""

INTAKE: Final = f"""\
{_STATES}
SELECT count(*) FILTER (WHERE mark IN ('online', 'late')) AS online, count(*) AS gateways,
       count(*) FILTER (WHERE mark = 'late') AS late,
       coalesce(sum(held_readings), 0)::bigint AS held_readings,
       coalesce(sum(messages_refused), 0)::bigint AS messages_refused,
       coalesce(sum(batches_lost), 0)::bigint AS batches_lost
FROM sources"""

GATEWAYS: Final = f"""\
{_STATES}
SELECT name AS source, mark, heard_at, last_reading_ts, due_s, held_readings, oldest_held_ts,
       units_down, readings_stored, readings_duplicated, readings_refused, batches_lost,
       reading_lag_ms::double precision / 1000 AS reading_lag_s, simulated
FROM sources ORDER BY array_position(ARRAY['silent', 'offline', 'late', 'never', 'online'], mark),
    name"""

# Readings of a quarter hour, whole ones only: the last would read as a drop.
ARRIVING: Final = f"""\
{CHOSEN}, parts AS (
    SELECT b.bucket, b.series_id, sum(b.readings) AS readings FROM visible_chart_15m b
    WHERE $__timeFilter(b.bucket) AND b.bucket <= now() - interval '15 minutes'
      AND b.series_id = ANY (ARRAY(
        SELECT s.series_id FROM chosen JOIN series s USING (site_id)))
    GROUP BY 1, 2)
SELECT a.bucket AS "time", coalesce(r.{{name}}, p.code) AS metric,
       (sum(a.readings) / 15)::double precision AS readings_per_minute
FROM parts a JOIN series s USING (series_id) JOIN point p USING (point_id)
{POINT_NAME}
GROUP BY 1, 2 ORDER BY 1, 2"""

REFUSED: Final = f"""\
{CHOSEN}
SELECT q.name AS source, q.code, q.messages, q.kept, q.last_at, q.sentence
FROM chosen c JOIN visible_refusal q USING (site_id)
WHERE q.last_at < $__timeTo()::timestamptz ORDER BY q.kept DESC, q.last_at DESC"""

SPEED: Final = f"""\
{CHOSEN}
SELECT w.number AS worker, w.last_commit_at, w.group_batches, w.group_readings, w.commit_ms,
       w.readings / greatest(1, extract(epoch FROM w.last_commit_at - w.started_at))
       ::double precision AS readings_per_second
FROM ingest_speed w WHERE EXISTS (SELECT FROM chosen) ORDER BY w.number"""

TRANSPORT_FINDINGS: Final = f"""\
{CHOSEN}
SELECT f.severity, f.code AS finding, f.at_ts, coalesce(r.{{name}}, p.code) AS meter
FROM chosen c JOIN finding f USING (site_id) LEFT JOIN point p USING (point_id)
{POINT_NAME}
WHERE $__timeFilter(f.at_ts) AND f.withdrawn_version IS NULL AND f.code IN ({{flow_codes}})
ORDER BY f.at_ts DESC"""
