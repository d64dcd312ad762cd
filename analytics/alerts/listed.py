"""Every rule of a site and every preset, on or not, with what fires."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from analytics.alerts.presets import site_presets
from analytics.alerts.rule_state import OPEN_STATES, State
from analytics.alerts.rules import load_rules
from analytics.alerts.states import HeldState, load_progress, load_states

__all__ = ["ListedRule", "list_rules"]


@dataclass(frozen=True, slots=True)
class ListedRule:
    """A rule or preset as people see it.

    Attributes
    ----------
    threshold
        Its limit [unit of what it watches].
    state
        "on", "off", "not applicable", or "error".
    reason
        Why it is not on, or cannot be evaluated.
    states
        What fires or is about to.
    """

    code: str
    name_zh: str
    name_en: str
    kind: str
    severity: str
    comparison: str
    threshold: float
    origin: str
    state: str
    reason: str
    states: Sequence[HeldState] = ()


def list_rules(
    connection: psycopg.Connection[Any], site_id: int, at: dt.datetime
) -> list[ListedRule]:
    """Return the rules of a site: its own, then every preset.

    Parameters
    ----------
    connection
        In autocommit mode.
    site_id
        The site.
    at
        The instant.

    Returns
    -------
    list of ListedRule
        Each with what fires of it.
    """
    rules = {r.code: r for r in load_rules(connection, at, site_id)}
    errors = load_progress(connection)
    found = [
        ListedRule(
            rule.code, rule.name_zh, rule.name_en, rule.kind, rule.severity,
            rule.threshold.comparison, rule.threshold.limit, rule.origin,
            *_state(errors.get(rule.rule_id)), _open(connection, rule.rule_id),
        )
        for rule in rules.values()
        if rule.origin == "plant"
    ]  # fmt: skip
    for preset in site_presets(connection, site_id, at):
        code, held = preset.rule.code, rules.get(preset.rule.code)
        if held is not None and held.origin == "plant":
            continue  # the plant file's rule stands instead of it
        state, reason = preset.state.replace("_", " "), preset.reason_en
        if held is not None and preset.state == "on":
            state, reason = _state(errors.get(held.rule_id))
        found.append(
            ListedRule(
                code, preset.rule.name.zh, preset.rule.name.en, preset.rule.kind,
                preset.rule.severity, preset.rule.comparison, float(preset.rule.threshold),
                "preset", state, reason, _open(connection, held.rule_id) if held else (),
            )
        )  # fmt: skip
    return found


def _state(progress: tuple[dt.datetime, str | None] | None) -> tuple[str, str]:
    error = None if progress is None else progress[1]
    return ("on", "") if error is None else ("error", error)


def _open(connection: psycopg.Connection[Any], rule_id: int) -> list[HeldState]:
    states = load_states(connection, rule_id, lock=False).values()
    return [s for s in states if s.state.state in (State.PENDING, *OPEN_STATES)]
