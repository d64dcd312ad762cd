"""What fires at a site, its rules and presets, and the windows in which nobody wants to hear."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.portal.site import Site

__all__ = [
    "AlertsPage",
    "ChannelRow",
    "Mute",
    "OpenAlert",
    "PresetRow",
    "RuleRow",
    "load_alerts",
    "load_open",
]

_CURRENT = (
    "JOIN LATERAL (SELECT * FROM alert_rule_record r WHERE r.alert_rule_id = t.alert_rule_id"
    " AND r.superseded_commit_no IS NULL AND r.valid_from <= now()"
    " AND (r.valid_to IS NULL OR r.valid_to > now()) ORDER BY r.valid_from DESC LIMIT 1) r ON true"
)


class OpenAlert(msgspec.Struct, frozen=True, kw_only=True):
    """A subject of a rule that fires, is about to, or was taken by somebody."""

    rule: str
    rule_zh: str
    rule_en: str
    kind: str
    severity: str
    comparison: str
    subject: str
    subject_zh: str
    subject_en: str
    state: str
    since: dt.datetime
    value: float | None
    threshold: float
    unit: str | None
    muted: bool
    synthetic: bool
    acknowledged_by: str | None
    note: str | None
    owner: str
    page: str
    runbook_zh: str
    runbook_en: str


class RuleRow(msgspec.Struct, frozen=True, kw_only=True):
    """A rule in force."""

    code: str
    name_zh: str
    name_en: str
    kind: str
    severity: str
    comparison: str
    threshold: float
    watch: dict[str, Any]
    for_s: int
    period_s: int
    owner: str
    origin: str
    firing: int
    pending: int
    last_fired: dt.datetime | None
    error: str | None


class PresetRow(msgspec.Struct, frozen=True, kw_only=True):
    """A shipped preset that is not on, and why."""

    code: str
    name_zh: str
    name_en: str
    state: str
    reason_zh: str
    reason_en: str


class Mute(msgspec.Struct, frozen=True, kw_only=True):
    """A window in which nobody wants to hear."""

    mute_id: int
    rule: str | None
    subject: str | None
    since: dt.datetime
    until: dt.datetime
    author: str
    reason: str


class ChannelRow(msgspec.Struct, frozen=True, kw_only=True):
    """A channel that messages went through in the last 31 days, and its last attempt."""

    group: str
    channel: str
    state: str
    at: dt.datetime
    error: str | None
    last_sent: dt.datetime | None
    not_taken: int  # messages that it never took


class AlertsPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page."""

    site: Site
    open: list[OpenAlert]
    rules: list[RuleRow]
    presets: list[PresetRow]  # off, or not applicable
    mutes: list[Mute]
    evaluated_at: dt.datetime | None
    channels: list[ChannelRow] = []


def load_alerts(connection: psycopg.Connection[Any], site: Site) -> AlertsPage:
    """Read the page of a site."""
    row = connection.execute(
        "SELECT max(checked_at) FROM alert_preset WHERE site_id = %s", (site.site_id,)
    ).fetchone()
    return AlertsPage(
        site=site, open=load_open(connection, site), rules=_rules(connection, site),
        presets=_presets(connection, site), mutes=_mutes(connection, site),
        evaluated_at=None if row is None else row[0], channels=_channels(connection, site),
    )  # fmt: skip


def load_open(
    connection: psycopg.Connection[Any], site: Site, rule: str | None = None
) -> list[OpenAlert]:
    """Read what fires, the most severe and then the oldest first; of one rule, if it is named."""
    return (
        connection.cursor(row_factory=class_row(OpenAlert))
        .execute(
            "SELECT t.code AS rule, r.name_zh AS rule_zh, r.name_en AS rule_en, r.kind,"
            " r.severity, r.comparison, s.subject, s.subject_zh, s.subject_en, s.state, s.since,"
            " s.value, coalesce(s.threshold, r.threshold)::double precision AS threshold, s.unit,"
            " s.muted, s.synthetic, s.acknowledged_by, s.note, r.owner, r.page, r.runbook_zh,"
            f" r.runbook_en FROM alert_rule t {_CURRENT}"
            " JOIN alert_state s ON s.alert_rule_id = t.alert_rule_id"
            " WHERE t.site_id = %(site)s AND s.state IN ('firing', 'acknowledged', 'pending')"
            " AND (%(rule)s::text IS NULL OR t.code = %(rule)s)"
            " ORDER BY s.state = 'pending', array_position("
            "ARRAY['fault', 'warning', 'note'], r.severity), s.since, t.code, s.subject",
            {"site": site.site_id, "rule": rule},
        )
        .fetchall()
    )


def _rules(connection: psycopg.Connection[Any], site: Site) -> list[RuleRow]:
    return (
        connection.cursor(row_factory=class_row(RuleRow))
        .execute(
            "SELECT t.code, r.name_zh, r.name_en, r.kind, r.severity, r.comparison,"
            " r.threshold::double precision AS threshold, r.watch, r.for_s, r.period_s,"
            " r.owner, r.origin, s.firing, s.pending, e.last_fired, p.error"
            f" FROM alert_rule t {_CURRENT}"
            " JOIN LATERAL (SELECT count(*) FILTER (WHERE state IN ('firing', 'acknowledged'))"
            "  AS firing, count(*) FILTER (WHERE state = 'pending') AS pending"
            "  FROM alert_state s WHERE s.alert_rule_id = t.alert_rule_id) s ON true"
            " JOIN LATERAL (SELECT max(at_ts) AS last_fired FROM alert_event e"
            "  WHERE e.alert_rule_id = t.alert_rule_id AND e.to_state = 'firing') e ON true"
            " LEFT JOIN alert_progress p ON p.alert_rule_id = t.alert_rule_id"
            " WHERE t.site_id = %s ORDER BY s.firing = 0, r.origin = 'preset', t.code",
            (site.site_id,),
        )
        .fetchall()
    )


def _presets(connection: psycopg.Connection[Any], site: Site) -> list[PresetRow]:
    return (
        connection.cursor(row_factory=class_row(PresetRow))
        .execute(
            "SELECT code, name_zh, name_en, state, reason_zh, reason_en FROM alert_preset"
            " WHERE site_id = %s AND state <> 'on' ORDER BY state DESC, code",
            (site.site_id,),
        )
        .fetchall()
    )


def _mutes(connection: psycopg.Connection[Any], site: Site) -> list[Mute]:
    return (
        connection.cursor(row_factory=class_row(Mute))
        .execute(
            "SELECT m.mute_id, t.code AS rule, m.subject, m.from_ts AS since, m.to_ts AS"
            ' "until", m.author, m.reason FROM alert_mute m'
            " LEFT JOIN alert_rule t USING (alert_rule_id) WHERE m.site_id = %s"
            " AND m.superseded_commit_no IS NULL AND m.to_ts > now() ORDER BY m.to_ts",
            (site.site_id,),
        )
        .fetchall()
    )


def _channels(connection: psycopg.Connection[Any], site: Site) -> list[ChannelRow]:
    """Read what came of attempts to send messages, the channels that fail first."""
    return (
        connection.cursor(row_factory=class_row(ChannelRow))
        .execute(
            'SELECT recipient_group AS "group", channel,'
            " (array_agg(state ORDER BY delivery_id DESC))[1] AS state, max(at_ts) AS at,"
            " (array_agg(error ORDER BY delivery_id DESC))[1] AS error,"
            " max(at_ts) FILTER (WHERE state = 'sent') AS last_sent,"
            " count(*) FILTER (WHERE state = 'failed') AS not_taken"
            " FROM alert_delivery WHERE site_id = %s AND at_ts > now() - interval '31 days'"
            " GROUP BY recipient_group, channel"
            " ORDER BY (array_agg(state ORDER BY delivery_id DESC))[1] = 'sent', 1, 2",
            (site.site_id,),
        )
        .fetchall()
    )
