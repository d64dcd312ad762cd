"""A rule with what fires of it, its events, and the last back-test that somebody asked for."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.portal.answers import Answer, last_answer
from dashboards.portal.pages.alerts.model import OpenAlert, load_open
from dashboards.portal.site import Site

__all__ = ["AlertPage", "Event", "Rule", "load_alert"]

_EVENTS = 100


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it is now."""

    code: str
    name_zh: str
    name_en: str
    kind: str
    severity: str
    comparison: str
    threshold: float
    watch: dict[str, Any]
    hysteresis: float
    for_s: int
    period_s: int
    schedule: dict[str, Any]
    mute_in_shutdown: bool
    escalation: list[dict[str, Any]]
    remind_s: int
    owner: str
    recipients: str
    runbook_zh: str
    runbook_en: str
    page: str
    origin: str
    author: str
    reason: str
    since: dt.datetime


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A change of state."""

    at: dt.datetime
    subject: str
    from_state: str
    to_state: str
    value: float | None
    threshold: float
    unit: str | None
    author: str | None
    note: str | None


class AlertPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page."""

    site: Site
    rule: Rule
    open: list[OpenAlert]
    events: list[Event]
    replayed: Answer | None


def load_alert(connection: psycopg.Connection[Any], site: Site, code: str) -> AlertPage | None:
    """Read a rule by its code."""
    rule = (
        connection.cursor(row_factory=class_row(Rule))
        .execute(
            "SELECT t.code, r.name_zh, r.name_en, r.kind, r.severity, r.comparison,"
            " r.threshold::double precision AS threshold, r.watch,"
            " r.hysteresis::double precision AS hysteresis, r.for_s, r.period_s, r.schedule,"
            " r.mute_in_shutdown, r.escalation, r.remind_s, r.owner, r.recipients, r.runbook_zh,"
            " r.runbook_en, r.page, r.origin, r.author, r.reason, r.valid_from AS since"
            " FROM alert_rule t JOIN alert_rule_record r USING (alert_rule_id)"
            " WHERE t.site_id = %s AND t.code = %s AND r.superseded_commit_no IS NULL"
            " ORDER BY r.valid_from DESC LIMIT 1",
            (site.site_id, code),
        )
        .fetchone()
    )
    if rule is None:
        return None
    events = (
        connection.cursor(row_factory=class_row(Event))
        .execute(
            "SELECT e.at_ts AS at, e.subject, e.from_state, e.to_state, e.value,"
            " e.threshold::double precision AS threshold, e.unit, e.author, e.note"
            " FROM alert_event e JOIN alert_rule t USING (alert_rule_id)"
            " WHERE t.site_id = %s AND t.code = %s ORDER BY e.at_ts DESC, e.event_id DESC LIMIT %s",
            (site.site_id, code, _EVENTS),
        )
        .fetchall()
    )
    return AlertPage(
        site=site, rule=rule, open=load_open(connection, site, code), events=events,
        replayed=last_answer(connection, site.site_id, "alert.replay", {"rule": code}),
    )  # fmt: skip
