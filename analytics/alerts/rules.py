"""Rules as the database holds them, and the sites whose hours and days they keep (F38)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg.rows import dict_row

from analytics.accounting.holidays import HolidayCalendar, load_holidays
from analytics.accounting.site_calendar import SiteCalendar
from analytics.accounting.site_facts import load_shifts
from analytics.alerts.rule_state import Threshold

__all__ = ["AlertSite", "Rule", "Sighting", "Step", "Subject", "load_alert_site", "load_rules"]


@dataclass(frozen=True, slots=True)
class AlertSite:
    """A site as its rules need it."""

    site_id: int
    code: str
    name_zh: str
    name_en: str
    calendar: SiteCalendar
    holidays: HolidayCalendar

    @property
    def zone(self) -> ZoneInfo:
        """Its time zone."""
        return self.calendar.zone

    def today(self, at: dt.datetime) -> dt.date:
        """Return the local civil day of an instant."""
        return at.astimezone(self.zone).date()


@dataclass(frozen=True, slots=True)
class Step:
    """Who is told too, if nobody acknowledged for a while."""

    after: dt.timedelta
    severity: str | None
    recipients: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that holds.

    Attributes
    ----------
    watch
        What it watches, by kind; see docs/reference/alerts.md.
    threshold
        Its limit [unit of what it watches].
    series_id, point
        Of a threshold on a series.
    period
        How often it is evaluated.
    schedule
        Local hours, kinds of days and shifts in which it counts.
    """

    rule_id: int
    site_id: int
    code: str
    name_zh: str
    name_en: str
    kind: str
    series_id: int | None
    point: str | None
    watch: Mapping[str, Any]
    threshold: Threshold
    period: dt.timedelta
    severity: str
    schedule: Mapping[str, Any]
    mute_in_shutdown: bool
    escalation: Sequence[Step]
    remind: dt.timedelta
    owner: str
    recipients: str
    runbook_zh: str
    runbook_en: str
    page: str
    origin: str
    valid_from: dt.datetime

    @property
    def measure(self) -> str | None:
        """What it measures, if it says so."""
        measure: str | None = self.watch.get("measure")
        return measure

    def watches(self, code: str) -> bool:
        """Whether a subject is one of those that it names; all are, if it names none."""
        subjects = self.watch.get("subjects")
        return not subjects or code in subjects


@dataclass(frozen=True, slots=True)
class Subject:
    """What a rule is about: one meter, one gateway, one account; its names, and its unit."""

    code: str
    name_zh: str
    name_en: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was seen of a subject at an instant; see `Observation`.

    Attributes
    ----------
    behind
        The gateway that it cannot be seen without.
    facts
        More that a message says; JSON.
    synthetic
        Made up or simulated, wholly or in part.
    """

    subject: Subject
    at: dt.datetime
    value: float | None
    limit: float | None = None
    behind: str | None = None
    facts: Mapping[str, Any] | None = None
    synthetic: bool = False


def load_rules(
    connection: psycopg.Connection[Any], at: dt.datetime, site_id: int | None = None
) -> list[Rule]:
    """Read the rules that hold.

    Parameters
    ----------
    connection
        To the database.
    at
        The instant.
    site_id
        Of one site only.

    Returns
    -------
    list of Rule
        Gateways first: what is behind one that is down is not looked at on its own.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            "SELECT i.site_id, i.code, p.code AS point, r.* FROM alert_rule i"
            " JOIN alert_rule_record r USING (alert_rule_id)"
            " LEFT JOIN series s USING (series_id) LEFT JOIN point p USING (point_id)"
            " WHERE r.superseded_commit_no IS NULL"
            " AND r.valid_from <= %(at)s AND (r.valid_to IS NULL OR %(at)s < r.valid_to)"
            " AND (%(site)s::int IS NULL OR i.site_id = %(site)s)"
            " ORDER BY i.site_id, r.kind <> 'gateway', i.code",
            {"at": at, "site": site_id},
        ).fetchall()
    return [_rule(row) for row in found]


def _rule(row: Mapping[str, Any]) -> Rule:
    return Rule(
        rule_id=row["alert_rule_id"],
        site_id=row["site_id"],
        code=row["code"],
        name_zh=row["name_zh"],
        name_en=row["name_en"],
        kind=row["kind"],
        series_id=row["series_id"],
        point=row["point"],
        watch=row["watch"],
        threshold=Threshold(
            row["comparison"],
            float(row["threshold"]),
            float(row["hysteresis"]),
            dt.timedelta(seconds=row["for_s"]),
            row["flaps"],
            dt.timedelta(seconds=row["flap_s"]),
        ),
        period=dt.timedelta(seconds=row["period_s"]),
        severity=row["severity"],
        schedule=row["schedule"],
        mute_in_shutdown=row["mute_in_shutdown"],
        escalation=[
            Step(dt.timedelta(minutes=s["after_min"]), s.get("severity"), s.get("recipients", ""))
            for s in row["escalation"]
        ],
        remind=dt.timedelta(seconds=row["remind_s"]),
        owner=row["owner"],
        recipients=row["recipients"],
        runbook_zh=row["runbook_zh"],
        runbook_en=row["runbook_en"],
        page=row["page"],
        origin=row["origin"],
        valid_from=row["valid_from"],
    )


def load_alert_site(connection: psycopg.Connection[Any], site_id: int) -> AlertSite:
    """Read what rules need of a site.

    Parameters
    ----------
    connection
        To the database.
    site_id
        The site.

    Returns
    -------
    AlertSite
        With its shifts and its declared days.
    """
    row = connection.execute(
        "SELECT s.code, r.name_zh, r.name_en, r.timezone, r.production_day_start, r.month_day"
        " FROM site s JOIN site_record r USING (site_id) WHERE s.site_id = %s"
        " AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1",
        (site_id,),
    ).fetchone()
    assert row is not None  # importing a plant writes site and record together
    zone = ZoneInfo(row[3])
    calendar = SiteCalendar(zone, row[4], row[5], load_shifts(connection, site_id))
    return AlertSite(
        site_id, row[0], row[1], row[2], calendar, load_holidays(connection, site_id, zone)
    )
