"""Findings that stand, waste that nobody decided about, corrections that wait for approval."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, Final

import psycopg

from analytics.alerts.rules import AlertSite, Rule, Sighting, Subject

__all__ = ["see_corrections", "see_findings"]

_DAY: Final = dt.timedelta(days=1)
# What happened longer ago is history, even if it was found today: an import of past years.
_OF_LATE: Final = dt.timedelta(days=31)
_HOUR_S: Final = 3600.0


def see_findings(
    connection: psycopg.Connection[Any], site: AlertSite, rule: Rule, at: dt.datetime
) -> Iterator[Sighting]:
    """Yield for how long findings of the rule's codes or severities have stood.

    Parameters
    ----------
    connection
        To the database.
    site, rule
        What is looked at: ``age`` [h] or ``working_days`` [d] since the oldest was found; of waste,
        which is computed anew as it grows, since it began.
    at
        The instant; findings that were withdrawn since are not there.

    Yields
    ------
    Sighting
        One for each code and the point or thing it is about; of waste only what nobody decided
        about (F38).
    """
    rows = connection.execute(
        "SELECT f.code, coalesce(p.code, f.subject), coalesce(n.name_zh, f.subject),"
        " coalesce(n.name_en, f.subject), min(f.found_at), count(*),"
        " max(coalesce(f.to_ts, f.at_ts)) FROM ("
        "  SELECT site_id, point_id, code, subject, severity, at_ts, to_ts, found_at FROM finding"
        "   WHERE withdrawn_version IS NULL"
        "  UNION ALL SELECT w.site_id, w.point_id, w.kind, w.subject, 'warning', w.measured_from,"
        "   w.measured_to, w.first_seen FROM waste_finding w LEFT JOIN waste_decision d"
        "   ON d.waste_id = w.waste_id AND d.superseded_commit_no IS NULL"
        "   WHERE w.withdrawn_version IS NULL AND coalesce(d.state, 'open') = 'open'"
        "    AND NOT EXISTS (SELECT FROM finding x WHERE x.site_id = w.site_id"
        "     AND x.code = w.kind AND x.withdrawn_version IS NULL)"
        " ) f LEFT JOIN point p USING (point_id) LEFT JOIN LATERAL ("
        "  SELECT name_zh, name_en FROM point_record r WHERE r.point_id = f.point_id"
        "  AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) n ON true"
        " WHERE f.site_id = %(site)s AND f.found_at <= %(at)s"
        "  AND coalesce(f.to_ts, f.at_ts) > %(late)s AND f.at_ts <= %(at)s"
        "  AND (%(codes)s::text[] IS NULL OR f.code = ANY(%(codes)s))"
        "  AND (%(severities)s::text[] IS NULL OR f.severity = ANY(%(severities)s))"
        " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2",
        {
            "site": rule.site_id, "at": at, "late": at - _OF_LATE,
            "codes": rule.watch.get("codes") or None,
            "severities": rule.watch.get("severities") or None,
        },
    ).fetchall()  # fmt: skip
    for code, subject, zh, en, found, count, last in rows:
        working = rule.measure == "working_days"
        value = (
            float(_working_days(site, found, at))
            if working
            else (at - found).total_seconds() / _HOUR_S
        )
        named = Subject(f"{code}:{subject}", zh or "", en or "", "d" if working else "h")
        facts = {"code": code, "count": count, "last": last.isoformat()}
        yield Sighting(named, at, value, facts=facts)


def _working_days(site: AlertSite, since: dt.datetime, until: dt.datetime) -> int:
    """Return the working days after the one of ``since`` that are over at ``until``."""
    first, last = site.today(since), site.today(until)
    days = (first + n * _DAY for n in range(1, (last - first).days))
    return sum(site.holidays.of(day).is_working_day for day in days)


def see_corrections(
    connection: psycopg.Connection[Any], _site: AlertSite, rule: Rule, at: dt.datetime
) -> Iterator[Sighting]:
    """Yield for how long corrections have waited for a second person.

    Parameters
    ----------
    connection
        To the database.
    _site, rule
        What is looked at.
    at
        The instant.

    Yields
    ------
    Sighting
        Value: hours since it was proposed (F20).
    """
    for number, kind, code, zh, en, author, proposed in connection.execute(
        "SELECT c.correction_id, c.kind, p.code, r.name_zh, r.name_en, c.author, c.proposed_at"
        " FROM correction c JOIN series s USING (series_id) JOIN point p USING (point_id)"
        " JOIN LATERAL (SELECT name_zh, name_en FROM point_record r WHERE r.point_id = p.point_id"
        "  AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) r ON true"
        " WHERE c.site_id = %(site)s AND c.proposed_at <= %(at)s AND NOT EXISTS ("
        "  SELECT FROM correction_decision d WHERE d.correction_id = c.correction_id"
        "  AND d.decided_at <= %(at)s) ORDER BY c.correction_id",
        {"site": rule.site_id, "at": at},
    ):
        waited = (at - proposed).total_seconds() / _HOUR_S
        facts = {"correction": number, "kind": kind, "author": author, "point": code}
        yield Sighting(Subject(str(number), zh, en, "h"), at, waited, facts=facts)
