"""Dates that come: calibrations, tariffs and factors that end, reports that are due."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, Final

import psycopg

from analytics.alerts.rules import AlertSite, Rule, Sighting, Subject

__all__ = ["see_deadlines"]

_DAY: Final = dt.timedelta(days=1)
# The yearly report on energy use is due by 31 March (Energy Conservation Law, art. 53).
_REPORT: Final = (3, 31)
# By which day of a month the one before should be closed: our own choice.
_CLOSE_BY: Final = 10
_CALIBRATIONS: Final = (
    "SELECT d.code, coalesce(p.name_zh, d.code), coalesce(p.name_en, d.code), c.due_on"
    " FROM device d JOIN LATERAL (SELECT due_on FROM calibration c WHERE c.device_id = d.device_id"
    "  AND c.superseded_commit_no IS NULL AND c.calibrated_on <= %(today)s"
    "  ORDER BY c.calibrated_on DESC LIMIT 1) c ON true"
    " JOIN installation i ON i.device_id = d.device_id AND i.superseded_commit_no IS NULL"
    "  AND i.valid_from <= %(at)s AND (i.valid_to IS NULL OR %(at)s < i.valid_to)"
    " JOIN LATERAL (SELECT name_zh, name_en FROM point_record r WHERE r.point_id = i.point_id"
    "  AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) p ON true"
    " WHERE d.site_id = %(site)s AND c.due_on IS NOT NULL ORDER BY d.code"
)
_TARIFFS: Final = (
    "SELECT t.code, r.name_zh, r.name_en, (r.valid_to AT TIME ZONE %(zone)s)::date"
    " FROM tariff t JOIN tariff_record r USING (tariff_id) WHERE t.site_id = %(site)s"
    " AND r.superseded_commit_no IS NULL AND r.valid_to IS NOT NULL AND r.valid_from <= %(at)s"
    " AND r.valid_to > %(at)s AND NOT EXISTS (SELECT FROM tariff_record x"
    "  WHERE x.tariff_id = r.tariff_id AND x.superseded_commit_no IS NULL"
    "  AND x.valid_from >= r.valid_to) ORDER BY t.code"
)
_FACTORS: Final = (
    "SELECT DISTINCT f.kind || ' ' || f.medium, f.standard || ' ' || f.edition || ' ' || f.medium,"
    " f.standard || ' ' || f.edition || ' ' || f.medium, (f.valid_to AT TIME ZONE %(zone)s)::date"
    " FROM factor f JOIN scheme s ON s.site_id = %(site)s JOIN scheme_record r"
    "  ON r.scheme_id = s.scheme_id AND r.superseded_commit_no IS NULL AND r.valid_from <= %(at)s"
    "  AND (r.valid_to IS NULL OR %(at)s < r.valid_to)"
    " WHERE f.standard = r.factor_standard AND f.edition = r.factor_edition"
    " AND f.medium = ANY(r.media) AND f.superseded_commit_no IS NULL AND f.valid_from <= %(at)s"
    " AND f.valid_to > %(at)s AND NOT EXISTS (SELECT FROM factor x WHERE x.kind = f.kind"
    "  AND x.standard = f.standard AND x.edition = f.edition AND x.medium = f.medium"
    "  AND x.basis = f.basis AND x.superseded_commit_no IS NULL AND x.valid_from >= f.valid_to)"
    " UNION SELECT DISTINCT f.kind || ' ' || f.medium, f.source, f.source,"
    "  (f.valid_to AT TIME ZONE %(zone)s)::date FROM site_factor f WHERE f.site_id = %(site)s"
    "  AND f.superseded_commit_no IS NULL AND f.valid_from <= %(at)s AND f.valid_to > %(at)s"
    "  AND NOT EXISTS (SELECT FROM site_factor x WHERE x.site_id = f.site_id AND x.kind = f.kind"
    "   AND x.medium = f.medium AND x.basis = f.basis AND x.superseded_commit_no IS NULL"
    "   AND x.valid_from >= f.valid_to) ORDER BY 1"
)
_QUERIES: Final = {"calibration": _CALIBRATIONS, "tariff": _TARIFFS, "factor": _FACTORS}


def see_deadlines(
    connection: psycopg.Connection[Any], site: AlertSite, rule: Rule, at: dt.datetime
) -> Iterator[Sighting]:
    """Yield how many days are left until each deadline of the rule's kind.

    Parameters
    ----------
    connection
        To the database.
    site, rule
        What is looked at: calibrations of installed devices, tariffs and factors with an end and no
        successor, the yearly report, the month before that is not closed.
    at
        The instant.

    Yields
    ------
    Sighting
        Value [d], negative when it is over (F38).
    """
    today = site.today(at)
    query = _QUERIES.get(rule.measure or "")
    if query is not None:
        said = {"site": rule.site_id, "at": at, "today": today, "zone": site.zone.key}
        for code, zh, en, due in connection.execute(query.encode(), said):
            yield _sighting(code, zh, en, due, today, at)
    elif rule.measure == "yearly_report":
        due = dt.date(today.year, *_REPORT)
        if today <= due:
            name = today.year - 1
            yield _sighting(
                str(name), f"{name} 年能源利用状况报告", f"report on {name}", due, today, at
            )
    elif rule.measure == "monthly_report":
        yield from _month_to_close(connection, site, rule, today, at)


def _month_to_close(
    connection: psycopg.Connection[Any],
    site: AlertSite,
    rule: Rule,
    today: dt.date,
    at: dt.datetime,
) -> Iterator[Sighting]:
    this = site.calendar.month_start(today)
    last = site.calendar.month_start(this - _DAY)
    closed = connection.execute(
        "SELECT 1 FROM period_state WHERE site_id = %s AND kind = 'month' AND period_from = %s"
        " AND action = 'closed' AND recorded_at <= %s",
        (rule.site_id, last, at),
    ).fetchone()
    if closed is None:
        due = this + (_CLOSE_BY - 1) * _DAY
        name = f"{(this - _DAY):%Y-%m}"
        yield _sighting(name, f"{name} 月度结账与报表", f"closing of {name}", due, today, at)


def _sighting(
    code: str, zh: str, en: str, due: dt.date, today: dt.date, at: dt.datetime
) -> Sighting:
    left = float((due - today).days)
    return Sighting(Subject(code, zh, en, "d"), at, left, facts={"due_on": str(due)})
