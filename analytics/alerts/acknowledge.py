"""Somebody takes an alert: it fires on, but nobody else is told."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import psycopg

from analytics.alerts.rule_state import State, acknowledged
from analytics.alerts.rules import load_rules
from analytics.alerts.states import insert_event, keep_state, load_states
from analytics.errors import NoSuchAlertError
from enpilot.errors import ConfigurationError

__all__ = ["acknowledge"]


def acknowledge(
    connection: psycopg.Connection[Any],
    site: str,
    rule: str,
    author: str,
    note: str,
    *,
    subject: str | None = None,
    at: dt.datetime | None = None,
) -> list[str]:
    """Let a person take what fires of a rule.

    Parameters
    ----------
    connection
        Not inside a transaction.
    site, rule
        Their codes.
    author, note
        Who takes it, and what she has to say; kept with the event.
    subject
        Code of one subject; every one that fires if it is left out.
    at
        When; now if it is left out.

    Returns
    -------
    list of str
        Codes of the subjects that are acknowledged.

    Raises
    ------
    NoSuchAlertError
        If there is no such rule, or nothing of it fires.
    ConfigurationError
        If nobody is named.
    """
    if not author.strip():
        raise ConfigurationError("say who acknowledges: an alert is taken by somebody")
    now = at or dt.datetime.now(dt.UTC)
    with connection.transaction():
        found = next(
            (r for r in load_rules(connection, now, _site_id(connection, site)) if r.code == rule),
            None,
        )
        if found is None:
            raise NoSuchAlertError(f"site {site!r} has no rule {rule!r}: see `enpilot alerts list`")
        taken = []
        for code, held in load_states(connection, found.rule_id).items():
            if held.state.state is not State.FIRING or subject not in (None, code):
                continue
            state = acknowledged(held.state, now)
            limit = found.threshold.limit if held.limit is None else held.limit
            insert_event(
                connection, found, held.subject, (held.state.state, state.state, now), held.value,
                limit, (author, note),
            )  # fmt: skip
            keep_state(
                connection,
                found.rule_id,
                replace(held, state=state, acknowledged_by=author, note=note),
            )
            taken.append(code)
    if not taken:
        about = "" if subject is None else f" about {subject!r}"
        raise NoSuchAlertError(f"nothing of rule {rule!r}{about} fires at site {site!r}")
    return taken


def _site_id(connection: psycopg.Connection[Any], site: str) -> int:
    row = connection.execute("SELECT site_id FROM site WHERE code = %s", (site,)).fetchone()
    if row is None:
        raise NoSuchAlertError(f"no site {site!r}")
    return int(row[0])
