"""When nobody wants to hear of a rule: out of its hours, in a shutdown, in maintenance (F38)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from analytics.accounting.holidays import DayKind
from analytics.alerts.rules import AlertSite, Rule

__all__ = ["Mute", "add_mute", "counts_at", "end_mute", "is_muted", "load_mutes"]

_ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Mute:
    """A maintenance window; without a rule or subject it is for all of them.

    ``number`` is 0 of one that is not kept yet.
    """

    since: dt.datetime
    until: dt.datetime
    rule_id: int | None = None
    subject: str | None = None
    number: int = 0

    def covers(self, rule_id: int, subject: str, at: dt.datetime) -> bool:
        """Whether a subject of a rule is muted at an instant."""
        return (
            self.since <= at < self.until
            and self.rule_id in (None, rule_id)
            and self.subject in (None, subject)
        )


def is_muted(
    site: AlertSite, rule: Rule, mutes: Sequence[Mute], subject: str, at: dt.datetime
) -> bool:
    """Tell whether nobody wants to hear of a subject at an instant.

    Parameters
    ----------
    site
        Whose hours and days count.
    rule
        The rule.
    mutes
        Maintenance windows of the site.
    subject
        Code of the subject.
    at
        The instant.

    Returns
    -------
    bool
        Out of the rule's hours, on a day of planned shutdown, or in a maintenance window.
    """
    if rule.mute_in_shutdown and site.holidays.of(site.today(at)).kind is DayKind.SHUTDOWN:
        return True
    if not counts_at(site, rule.schedule, at):
        return True
    return any(m.covers(rule.rule_id, subject, at) for m in mutes)


def counts_at(site: AlertSite, schedule: Mapping[str, Any], at: dt.datetime) -> bool:
    """Tell whether an instant lies in a schedule.

    Parameters
    ----------
    site
        Whose zone, calendar and shifts count.
    schedule
        `hours` such as "22:00-06:00", `days` by kind, `shifts` by code; all of them where empty.
        Hours past midnight belong to the day on which they begin.
    at
        The instant.

    Returns
    -------
    bool
        Whether the rule counts then (F38).
    """
    local = at.astimezone(site.zone)
    hours, days = schedule.get("hours") or ["00:00-24:00"], schedule.get("days")
    if not any(
        _in_hours(local, text, day, site, days)
        for text in hours
        for day in (local.date(), local.date() - _ONE_DAY)
    ):
        return False
    shifts = schedule.get("shifts")
    if not shifts:
        return True
    day = site.calendar.day_of(at)
    return any(
        period.shift in shifts and since <= at < until
        for period in site.calendar.shifts_of(day - _ONE_DAY, day + _ONE_DAY)
        for since, until in [site.calendar.span(period)]
    )


def _in_hours(
    local: dt.datetime, text: str, day: dt.date, site: AlertSite, days: Sequence[str] | None
) -> bool:
    if days and site.holidays.of(day).kind.value not in days:
        return False
    low, high = (_minutes(part) for part in text.split("-"))
    if high <= low:
        high += 24 * 60
    minute = (local.date() - day).days * 24 * 60 + local.hour * 60 + local.minute
    return low <= minute < high


def _minutes(text: str) -> int:
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)


def load_mutes(connection: psycopg.Connection[Any], site_id: int, since: dt.datetime) -> list[Mute]:
    """Read the maintenance windows of a site that are not over at an instant.

    Parameters
    ----------
    connection
        To the database.
    site_id
        The site.
    since
        The instant.

    Returns
    -------
    list of Mute
        In the order in which they begin.
    """
    return [
        Mute(*row)
        for row in connection.execute(
            "SELECT from_ts, to_ts, alert_rule_id, subject, mute_id FROM alert_mute"
            " WHERE site_id = %s AND superseded_commit_no IS NULL AND to_ts > %s"
            " ORDER BY from_ts, mute_id",
            (site_id, since),
        )
    ]


def add_mute(
    connection: psycopg.Connection[Any],
    site_id: int,
    window: Mute,
    author: str,
    reason: str,
    commit_no: int,
) -> int:
    """Keep a maintenance window.

    Parameters
    ----------
    connection
        Inside a transaction.
    site_id
        The site.
    window
        From when to when, and what it is about.
    author, reason
        Who says so, and why.
    commit_no
        Of the transaction.

    Returns
    -------
    int
        Its number.
    """
    row = connection.execute(
        "INSERT INTO alert_mute (site_id, alert_rule_id, subject, from_ts, to_ts, author, reason,"
        " commit_no) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING mute_id",
        (
            site_id, window.rule_id, window.subject, window.since, window.until, author, reason,
            commit_no,
        ),
    ).fetchone()  # fmt: skip
    assert row is not None
    return int(row[0])


def end_mute(
    connection: psycopg.Connection[Any],
    site_id: int,
    mute_id: int,
    at: dt.datetime,
    author: str,
    reason: str,
    commit_no: int,
) -> bool:
    """End a maintenance window before its time.

    Parameters
    ----------
    connection
        Inside a transaction.
    site_id, mute_id
        The site and the window's number.
    at
        When it ends; a window that began is kept up to then.
    author, reason
        Who says so, and why.
    commit_no
        Of the transaction.

    Returns
    -------
    bool
        False if the site has no such window, or it is over.
    """
    row = connection.execute(
        "UPDATE alert_mute SET superseded_commit_no = %s WHERE site_id = %s AND mute_id = %s"
        " AND superseded_commit_no IS NULL AND to_ts > %s"
        " RETURNING from_ts, alert_rule_id, subject",
        (commit_no, site_id, mute_id, at),
    ).fetchone()
    if row is None:
        return False
    if row[0] < at:
        add_mute(connection, site_id, Mute(row[0], at, *row[1:]), author, reason, commit_no)
    return True
