"""Alert rules, and what to change in presets, of a plant file into records."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any, Final

import msgspec
import psycopg

from enpilot.plant import Plant
from enpilot.plant.alerts import AlertRule
from ingest.imports.records import (
    Author,
    DatedRow,
    Document,
    dated_row,
    names_of,
    reconcile_records,
    thing,
)
from ingest.meaning import series_of

__all__ = ["import_alerts"]

# How often a rule is looked at if it does not say [s]: readings at once, figures when they change.
_PERIOD_S: Final = {"threshold": 1, "gateway": 30, "silent": 60, "demand": 60}
_OTHER_PERIOD_S: Final = 900


def import_alerts(
    connection: psycopg.Connection[Any],
    plant: Plant,
    site_id: int,
    ids: dict[tuple[str, str], int],
    author: Author,
) -> dict[str, int]:
    """Make the database say what the file says of alerts.

    Parameters
    ----------
    connection
        Inside the plant file's transaction.
    plant
        As `enpilot.plant.load_plant` returned it.
    site_id
        The site.
    ids
        Numbers of its points by table and code.
    author
        Who applies it.

    Returns
    -------
    dict of str to int
        Records inserted or superseded, by table.
    """
    changes: dict[str, int] = defaultdict(int)
    for rule in plant.rule:
        number = thing(connection, "alert_rule", {"site_id": site_id, "code": rule.code})
        series_id = None
        if rule.kind == "threshold":
            assert rule.point is not None  # load_plant settles it
            assert rule.quantity is not None
            series_id = series_of(
                connection, site_id, ids["point", rule.point], rule.quantity, rule.channel
            )
        changes["alert_rule_record"] += reconcile_records(
            connection,
            "alert_rule_record",
            {"alert_rule_id": number},
            [_rule(rule, series_id)],
            author,
        )
    for preset in plant.preset:
        row = dated_row(preset, {"enabled": preset.enabled, "changes": Document(preset.changes())})
        changes["alert_preset_record"] += reconcile_records(
            connection, "alert_preset_record", {"site_id": site_id, "code": preset.code}, [row],
            author,
        )  # fmt: skip
    return changes


def _rule(rule: AlertRule, series_id: int | None) -> DatedRow:
    watch = {k: v for k, v in msgspec.to_builtins(rule.watch).items() if v not in (None, [])}
    facts = names_of(rule.name) | {
        "kind": rule.kind,
        "series_id": series_id,
        "watch": Document(watch),
        "comparison": rule.comparison,
        "threshold": Decimal(rule.threshold),
        "hysteresis": Decimal(rule.hysteresis),
        "for_s": rule.for_s,
        "period_s": rule.period_s or _PERIOD_S.get(rule.kind, _OTHER_PERIOD_S),
        "severity": rule.severity,
        "schedule": Document(msgspec.to_builtins(rule.schedule)),
        "mute_in_shutdown": rule.mute_in_shutdown,
        "escalation": Document(msgspec.to_builtins(rule.escalation)),
        "remind_s": rule.remind_s,
        "flaps": rule.flaps,
        "flap_s": rule.flap_s,
        "owner": rule.owner,
        "recipients": rule.recipients,
        "runbook_zh": rule.runbook.zh,
        "runbook_en": rule.runbook.en,
        "page": rule.page,
        "origin": "plant",
    }
    return dated_row(rule, facts)
