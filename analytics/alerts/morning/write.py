"""Morning messages as rows: once a day and site, whoever writes them (F38)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import psycopg
import structlog
from psycopg.types.json import Jsonb

from analytics.alerts.morning.figures import load_morning
from analytics.alerts.rules import load_alert_site
from enpilot.errors import EnpilotError

__all__ = ["MorningTimes", "write_morning_messages"]

_ONE_DAY = dt.timedelta(days=1)
# So long yesterday's last readings are waited for: a backlog is better told whole than withheld.
_PATIENCE = dt.timedelta(hours=1)
# A site without figures of days for so long is told about no day.
_OF_LATE = dt.timedelta(days=14)
_FAULTS = (EnpilotError, ArithmeticError, ValueError, LookupError, psycopg.DataError)
_log = structlog.get_logger("alerts")


@dataclass(frozen=True, slots=True)
class MorningTimes:
    """From when on the message is written, and until when it is still worth sending: local."""

    at: dt.time = dt.time(7, 30)
    until: dt.time = dt.time(12)


def write_morning_messages(
    connection: psycopg.Connection[Any],
    now: dt.datetime,
    times: MorningTimes,
    failed: Collection[tuple[int, dt.date]] = (),
) -> list[tuple[int, dt.date]]:
    """Write the morning message of each site where it is time and that has none of the day yet.

    Sites that have had no figures of days for two weeks get none.

    Parameters
    ----------
    connection
        In autocommit mode.
    now
        The instant.
    times
        After `until` the day's message is left out.
    failed
        Site and day of those that could not be written before: not logged again.

    Returns
    -------
    list of tuple
        Site and day of those that could not be written; the others go on (F38).
    """
    faults = []
    rows = connection.execute(
        "SELECT site_id, code FROM site i WHERE EXISTS (SELECT FROM energy_period e"
        "  WHERE e.site_id = i.site_id AND e.period_kind = 'day' AND e.period_from > %s)"
        " ORDER BY site_id",
        (now.date() - _OF_LATE,),
    ).fetchall()
    for site_id, code in rows:
        site = load_alert_site(connection, site_id)
        local = now.astimezone(site.zone)
        if not times.at <= local.time() < times.until:
            continue
        today = local.date()
        if _is_written(connection, site_id, today):
            continue
        midnight = dt.datetime.combine(today, dt.time(0), site.zone)
        patient = local < dt.datetime.combine(today, times.at, site.zone) + _PATIENCE
        if patient and not _has_come(connection, site_id, midnight):
            continue
        try:
            said = load_morning(connection, site, today - _ONE_DAY)
        except _FAULTS as fault:
            if (site_id, today) not in failed:
                _log.warning("no morning message", site=code, error=str(fault).splitlines()[:1])
            faults.append((site_id, today))
            continue
        until = dt.datetime.combine(today, times.until, site.zone)
        facts = said.facts() | {"until": until.astimezone(dt.UTC).isoformat()}
        connection.execute(
            "INSERT INTO alert_message (site_id, kind, severity, facts, due_at, created_at)"
            " VALUES (%s, 'morning', 'note', %s, %s, %s) ON CONFLICT DO NOTHING",
            (site_id, Jsonb(facts), now, now),
        )
    return faults


def _is_written(connection: psycopg.Connection[Any], site_id: int, today: dt.date) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM alert_message WHERE kind = 'morning' AND site_id = %s"
        " AND facts ->> 'day' = %s)",
        (site_id, str(today - _ONE_DAY)),
    ).fetchone()
    assert row is not None
    return bool(row[0])


def _has_come(connection: psycopg.Connection[Any], site_id: int, midnight: dt.datetime) -> bool:
    """Tell whether figures reach to the end of yesterday; True of a site that is not computed."""
    row = connection.execute(
        "SELECT data_through FROM computation WHERE site_id = %s", (site_id,)
    ).fetchone()
    return row is None or row[0] is None or row[0] >= midnight
