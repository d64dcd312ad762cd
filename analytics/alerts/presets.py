"""Presets of F38: shipped as data, on where a site has what they look at."""

from __future__ import annotations

import datetime as dt
import functools
import importlib.resources
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

import msgspec
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from analytics.alerts.needs import CURRENT, NEEDS
from enpilot.database import draw_commit_no
from enpilot.plant.alerts import AlertRule, EscalationStep, RuleWatch

__all__ = ["Preset", "SitePreset", "load_presets", "site_presets", "sync_presets"]

PresetState: TypeAlias = Literal["on", "off", "not_applicable"]
_AUTHOR: Final = "enpilot"
_REPLACED: Final = ("由工厂文件中同名规则代替", "a rule of the plant file stands instead")


class Preset(AlertRule, kw_only=True):
    """A rule that is shipped, and what a site must have for it."""

    needs: str


@dataclass(frozen=True, slots=True)
class SitePreset:
    """A preset at a site.

    Attributes
    ----------
    rule
        As it is at this site.
    state
        Whether it is on; why not, in both languages.
    """

    rule: Preset
    state: PresetState
    reason_zh: str
    reason_en: str


@functools.cache
def load_presets() -> tuple[Preset, ...]:
    """Read the presets that are shipped.

    Returns
    -------
    tuple of Preset
        In the order of the file (F38).
    """
    text = (importlib.resources.files("analytics.alerts") / "data" / "presets.toml").read_bytes()
    return tuple(msgspec.toml.decode(text, type=dict[str, list[Preset]])["preset"])


def site_presets(
    connection: psycopg.Connection[Any], site_id: int, at: dt.datetime
) -> list[SitePreset]:
    """Tell which presets are on at a site, with the limits that its plant file gives them.

    Parameters
    ----------
    connection
        To the database.
    site_id
        The site.
    at
        The instant.

    Returns
    -------
    list of SitePreset
        Every preset that is shipped.
    """
    said: dict[str, tuple[bool, dict[str, Any]]] = {
        code: (enabled, changes)
        for code, enabled, changes in connection.execute(
            f"SELECT code, enabled, changes FROM alert_preset_record WHERE site_id = %(site)s"
            f" AND {CURRENT}".encode(),
            {"site": site_id, "at": at},
        )
    }
    found = []
    own = {
        row[0]
        for row in connection.execute(
            "SELECT i.code FROM alert_rule i JOIN alert_rule_record r USING (alert_rule_id)"
            " WHERE i.site_id = %(site)s AND r.origin = 'plant' AND r.superseded_commit_no IS NULL"
            " AND (r.valid_to IS NULL OR r.valid_to > %(at)s)",
            {"site": site_id, "at": at},
        )
    }
    for preset in load_presets():
        enabled, changes = said.get(preset.code, (True, {}))
        need = NEEDS[preset.needs]
        if preset.code in own:
            found.append(SitePreset(preset, "off", *_REPLACED))
            continue
        if not enabled:
            found.append(SitePreset(preset, "off", "工厂文件中已关闭", "off in the plant file"))
            continue
        has = connection.execute(
            f"SELECT EXISTS ({need.query})".encode(), {"site": site_id, "at": at}
        ).fetchone()
        assert has is not None
        if has[0]:
            found.append(SitePreset(_changed(preset, changes), "on", "", ""))
        else:
            found.append(SitePreset(preset, "not_applicable", need.without_zh, need.without_en))
    return found


def _changed(preset: Preset, changes: Mapping[str, Any]) -> Preset:
    document = msgspec.to_builtins(preset)
    by = changes.get("by")
    if by is not None:
        document["watch"]["by"] = by
    document |= {k: v for k, v in changes.items() if k != "by"}
    return msgspec.convert(document, Preset)


def sync_presets(connection: psycopg.Connection[Any], at: dt.datetime) -> int:
    """Make the rules of every site be its presets that are on.

    Parameters
    ----------
    connection
        In autocommit mode.
    at
        The instant.

    Returns
    -------
    int
        Rules that were added, changed or ended. A rule of the plant file that has a preset's code
        stands instead of it.
    """
    changed = 0
    for (site_id,) in connection.execute("SELECT site_id FROM site_record GROUP BY 1").fetchall():
        with connection.transaction():
            presets = site_presets(connection, site_id, at)
            wanted = {p.rule.code: _facts(p.rule) for p in presets if p.state == "on"}
            changed += _reconcile(connection, site_id, wanted, at)
            _keep(connection, site_id, presets, at)
    return changed


_COLUMNS: Final = (
    "name_zh", "name_en", "kind", "watch", "comparison", "threshold", "hysteresis", "for_s",
    "period_s", "severity", "schedule", "mute_in_shutdown", "escalation", "remind_s", "flaps",
    "flap_s", "owner", "recipients", "runbook_zh", "runbook_en", "page",
)  # fmt: skip


def _facts(rule: AlertRule) -> tuple[Any, ...]:
    watch: RuleWatch = rule.watch
    steps: list[EscalationStep] = rule.escalation
    assert rule.period_s is not None  # each preset says it
    return (
        rule.name.zh, rule.name.en, rule.kind,
        {k: v for k, v in msgspec.to_builtins(watch).items() if v not in (None, [], False)},
        rule.comparison, Decimal(rule.threshold), Decimal(rule.hysteresis), rule.for_s,
        rule.period_s, rule.severity, msgspec.to_builtins(rule.schedule), rule.mute_in_shutdown,
        msgspec.to_builtins(steps), rule.remind_s, rule.flaps, rule.flap_s, rule.owner,
        rule.recipients, rule.runbook.zh, rule.runbook.en, rule.page,
    )  # fmt: skip


def _keep(
    connection: psycopg.Connection[Any],
    site_id: int,
    presets: Sequence[SitePreset],
    at: dt.datetime,
) -> None:
    """Say of every preset whether it is on, where that is something new."""
    connection.execute(
        "DELETE FROM alert_preset WHERE site_id = %s AND code <> ALL(%s)",
        (site_id, [p.rule.code for p in presets]),
    )
    for p in presets:
        connection.execute(
            "INSERT INTO alert_preset AS a (site_id, code, name_zh, name_en, kind, severity,"
            " comparison, threshold, state, reason_zh, reason_en, checked_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (site_id, code) DO UPDATE SET name_zh = excluded.name_zh,"
            " name_en = excluded.name_en, kind = excluded.kind, severity = excluded.severity,"
            " comparison = excluded.comparison, threshold = excluded.threshold,"
            " state = excluded.state, reason_zh = excluded.reason_zh,"
            " reason_en = excluded.reason_en, checked_at = excluded.checked_at"
            " WHERE (a.name_zh, a.severity, a.threshold, a.state, a.reason_en) IS DISTINCT FROM"
            " (excluded.name_zh, excluded.severity, excluded.threshold, excluded.state,"
            "  excluded.reason_en)",
            (
                site_id, p.rule.code, p.rule.name.zh, p.rule.name.en, p.rule.kind,
                p.rule.severity, p.rule.comparison, Decimal(p.rule.threshold), p.state,
                p.reason_zh, p.reason_en, at,
            ),
        )  # fmt: skip


def _held(connection: psycopg.Connection[Any], site_id: int) -> dict[str, tuple[Any, ...]]:
    """Return what the presets that are on say, by code."""
    query = sql.SQL(
        "SELECT i.code, {} FROM alert_rule i JOIN alert_rule_record r USING (alert_rule_id)"
        " WHERE i.site_id = %s AND r.origin = 'preset' AND r.superseded_commit_no IS NULL"
    ).format(sql.SQL(", ").join(sql.Identifier("r", c) for c in _COLUMNS))
    return {row[0]: tuple(row[1:]) for row in connection.execute(query, (site_id,))}


def _reconcile(
    connection: psycopg.Connection[Any],
    site_id: int,
    wanted: Mapping[str, tuple[Any, ...]],
    at: dt.datetime,
) -> int:
    ours = _held(connection, site_id)
    stale = [code for code, facts in ours.items() if wanted.get(code) != facts]
    new = [code for code, facts in wanted.items() if ours.get(code) != facts]
    if not stale and not new:
        return 0
    commit_no = draw_commit_no(connection)
    connection.execute(
        "UPDATE alert_rule_record r SET superseded_commit_no = %s FROM alert_rule i"
        " WHERE i.alert_rule_id = r.alert_rule_id AND i.site_id = %s AND i.code = ANY(%s)"
        " AND r.origin = 'preset' AND r.superseded_commit_no IS NULL",
        (commit_no, site_id, stale),
    )
    insert = sql.SQL(
        "INSERT INTO alert_rule_record (alert_rule_id, {}, origin, valid_from, author, reason,"
        " commit_no) VALUES (%s, {}, 'preset', %s, %s, 'preset', %s)"
    ).format(
        sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)),
        sql.SQL(", ").join(sql.Placeholder() * len(_COLUMNS)),
    )
    for code in new:
        connection.execute(
            "INSERT INTO alert_rule (site_id, code) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (site_id, code),
        )
        row = connection.execute(
            "SELECT alert_rule_id FROM alert_rule WHERE site_id = %s AND code = %s",
            (site_id, code),
        ).fetchone()
        assert row is not None
        facts = [Jsonb(f) if isinstance(f, dict | list) else f for f in wanted[code]]
        connection.execute(insert, (row[0], *facts, at, _AUTHOR, commit_no))
    return len(set(stale) | set(new))
