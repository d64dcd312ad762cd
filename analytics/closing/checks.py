"""What stands against closing a period, and what should be known before (F13, F25)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Literal

import psycopg

from analytics.accounting.site_calendar import SiteCalendar

__all__ = ["Check", "check_period"]

_ESTIMATED: Final = 0.05
# Figures that a month cannot have: value added is published when it is.
_NOT_MONTHLY: Final = ("value_added_missing", "value_added_not_positive")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    code
        What it is.
    level
        "block" stands against closing, "warn" is only said.
    about
        EnPI, point or finding.
    value
        Its number, if it has one.
    """

    code: str
    level: Literal["block", "warn"]
    about: str
    value: float | None = None


def check_period(
    connection: psycopg.Connection[Any],
    site_id: int,
    kind: str,
    span: tuple[dt.date, dt.date],
    calendar: SiteCalendar,
    accepted: Collection[int] = (),
) -> list[Check]:
    """Look at everything that a signature would cover.

    Parameters
    ----------
    connection
        To the platform's database.
    site_id
        The site.
    kind
        "month" or "year".
    span
        Local dates [first, after) of the reporting calendar.
    calendar
        Of the site.
    accepted
        Numbers of faults that the preparer looked at and accepts.

    Returns
    -------
    list of Check
        Nothing blocks if none of them is of level "block".
    """
    first, after = span
    found = [
        *_up_to_date(connection, site_id, calendar.begins(after)),
        *_before(connection, site_id, kind, first),
        *_running(connection, site_id, kind, first, after),
    ]
    if kind == "year":
        return found + _months(connection, site_id, first, after, calendar)
    found += _enpis(connection, site_id, first, after)
    found += _findings(
        connection, site_id, calendar.begins(first), calendar.begins(after), accepted
    )
    return found


def _up_to_date(connection: psycopg.Connection[Any], site_id: int, end: dt.datetime) -> list[Check]:
    row = connection.execute(
        "SELECT (SELECT data_through FROM computation WHERE site_id = %(s)s),"
        " EXISTS (SELECT FROM dirty_site WHERE site_id = %(s)s AND from_ts < %(e)s)"
        " OR EXISTS (SELECT FROM dirty d JOIN series s USING (series_id) WHERE s.site_id = %(s)s"
        "  AND d.from_ts < %(e)s)",
        {"s": site_id, "e": end},
    ).fetchone()
    assert row is not None
    through, dirty = row
    found = []
    if through is None or through < end:
        found.append(Check("not_over", "block", "" if through is None else through.isoformat()))
    if dirty:
        found.append(Check("not_computed", "block", ""))
    return found


def _running(
    connection: psycopg.Connection[Any], site_id: int, kind: str, first: dt.date, after: dt.date
) -> list[Check]:
    """Production days of a month end some hours after its civil days."""
    if kind != "month":
        return []
    return [
        Check("not_over", "block", code)
        for (code,) in connection.execute(
            "SELECT DISTINCT e.code FROM enpi_period f JOIN enpi e USING (enpi_id)"
            " WHERE f.site_id = %s AND f.period_kind = 'month' AND f.period_from = %s"
            " AND f.period_to < %s ORDER BY e.code",
            (site_id, first, after),
        )
    ]


def _before(
    connection: psycopg.Connection[Any], site_id: int, kind: str, first: dt.date
) -> list[Check]:
    """One that was closed once makes all after it follow in order."""
    row = connection.execute(
        "SELECT max(period_to), bool_or(period_to = %s AND action = 'closed') FROM period_state"
        " WHERE site_id = %s AND kind = %s AND period_to <= %s",
        (first, site_id, kind, first),
    ).fetchone()
    if row is None or row[0] is None or row[1]:
        return []
    return [Check("period_before_open", "block", str(row[0]))]


def _months(
    connection: psycopg.Connection[Any],
    site_id: int,
    first: dt.date,
    after: dt.date,
    calendar: SiteCalendar,
) -> list[Check]:
    closed = {
        row[0]
        for row in connection.execute(
            "SELECT period_from FROM period_state WHERE site_id = %s AND kind = 'month'"
            " AND action = 'closed'",
            (site_id,),
        )
    }
    return [
        Check("month_open", "block", str(m.first))
        for m in calendar.months(first, after)
        if m.first not in closed
    ]


def _enpis(
    connection: psycopg.Connection[Any], site_id: int, first: dt.date, after: dt.date
) -> list[Check]:
    found: list[Check] = []
    rows = connection.execute(
        "SELECT e.code, f.withheld_code, f.coverage, f.output_coverage, f.matched_share,"
        " f.estimated_share, f.factor_verified, f.synthetic_energy OR f.synthetic_output"
        " FROM enpi_period f JOIN enpi e USING (enpi_id) WHERE f.site_id = %s"
        " AND f.period_kind = 'month' AND f.period_from = %s AND f.period_to = %s ORDER BY e.code",
        (site_id, first, after),
    ).fetchall()
    if not rows:
        found.append(Check("no_figures", "block", str(first)))
    for code, withheld, coverage, output_coverage, matched, estimated, verified, fake in rows:
        if withheld is not None and withheld not in _NOT_MONTHLY:
            value = output_coverage if withheld.startswith("output") else coverage
            found.append(Check(withheld, "block", code, value))
        if matched is not None:
            found.append(Check("output_missing", "block", code, matched))
        if estimated is not None and estimated > _ESTIMATED:
            found.append(Check("estimated_share_high", "warn", code, estimated))
        if not verified:
            found.append(Check("factor_not_verified", "warn", code))
        if fake:
            found.append(Check("synthetic", "warn", code))
    return found


def _findings(
    connection: psycopg.Connection[Any],
    site_id: int,
    since: dt.datetime,
    until: dt.datetime,
    accepted: Collection[int],
) -> list[Check]:
    return [
        Check(
            f"finding_{code}",
            "block" if severity == "fault" and number not in accepted else "warn",
            f"{number} {point or ''}".strip(),
        )
        for number, code, severity, point in connection.execute(
            "SELECT f.finding_id, f.code, f.severity, p.code FROM finding f"
            " LEFT JOIN point p USING (point_id) WHERE f.site_id = %s"
            " AND f.withdrawn_version IS NULL AND f.severity <> 'note' AND f.at_ts < %s"
            " AND coalesce(f.to_ts, f.at_ts) >= %s ORDER BY f.at_ts, f.finding_id",
            (site_id, until, since),
        )
    ]
