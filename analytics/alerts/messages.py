"""What is to be sent, as rows in the transaction that changes the state (F38).

Many subjects of a rule make one message: those of one evaluation, and those that follow within a
minute, which are added to a message that waits for them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.types.json import Jsonb

from analytics.alerts.rules import AlertSite, Rule, Subject

__all__ = ["PAGES", "Told", "message_facts", "page_of", "write_message"]

# After a message of a rule, further subjects are gathered for so long.
_GATHER: Final = dt.timedelta(seconds=60)
# Subjects that a message names; of the others it says how many.
_NAMED: Final = 10
# Pages of the portal behind the figures of each kind, below the site.
PAGES: Final = {
    "threshold": "metering/{subject}", "silent": "metering/{subject}", "gateway": "metering",
    "enpi": "enpi/{subject}", "target_path": "enpi/{subject}", "demand": "load", "cost": "cost",
    "expected": "overview", "data_quality": "quality", "finding": "quality",
    "correction": "quality", "deadline": "settings", "output_missing": "output",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """A subject that a message is about."""

    subject: Subject
    at: dt.datetime
    value: float | None
    limit: float
    event_id: int
    facts: Mapping[str, Any] | None = None
    synthetic: bool = False


def write_message(
    connection: psycopg.Connection[Any],
    site: AlertSite,
    rule: Rule,
    kind: str,
    told: Sequence[Told],
    now: dt.datetime,
    *,
    severity: str | None = None,
    recipients: str | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write one message about subjects of a rule, or add them to one that waits.

    Parameters
    ----------
    connection
        Inside the transaction that changes their state.
    site, rule
        Whose they are.
    kind
        "firing", "resolved", "reminder" or "escalation".
    told
        At least one subject.
    now
        The instant of the evaluation.
    severity, recipients
        If they are others than the rule's.
    more
        Further facts; JSON.
    """
    row = connection.execute(
        "SELECT message_id, created_at, due_at, event_ids, facts, taken_at IS NULL"
        " FROM alert_message WHERE alert_rule_id = %s AND kind = %s AND created_at > %s"
        " ORDER BY message_id DESC LIMIT 1 FOR UPDATE",
        (rule.rule_id, kind, now - _GATHER),
    ).fetchone()
    facts = message_facts(site, rule, told) | dict(more or {})
    if row is not None and kind in ("firing", "resolved"):
        message_id, created_at, due_at, event_ids, held, unsent = row
        if unsent and due_at > now:
            connection.execute(
                "UPDATE alert_message SET event_ids = %s, facts = %s WHERE message_id = %s",
                (
                    [*event_ids, *(t.event_id for t in told)],
                    Jsonb(_joined(held, facts)),
                    message_id,
                ),
            )
            return
        due = max(now, created_at + _GATHER)
    else:
        due = now
    connection.execute(
        "INSERT INTO alert_message (site_id, kind, alert_rule_id, event_ids, severity, recipients,"
        " facts, due_at, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            site.site_id, kind, rule.rule_id, [t.event_id for t in told],
            severity or rule.severity, rule.recipients if recipients is None else recipients,
            Jsonb(facts), due, now,
        ),
    )  # fmt: skip


def message_facts(site: AlertSite, rule: Rule, told: Sequence[Told]) -> dict[str, Any]:
    """Return what a message says, without any words around it.

    Parameters
    ----------
    site, rule
        Whose the subjects are.
    told
        At least one subject; value and limit are in its unit [unit].

    Returns
    -------
    dict
        JSON: names in both languages; ``value``, ``limit``, ``unit``, ``subject`` and ``at`` of the
        first subject; ``synthetic`` if any is; ``group_size``, and the first ten in ``subjects``;
        page, runbook and owner (F38).
    """
    first = told[0]
    return {
        "code": rule.code,
        "rule_kind": rule.kind,
        "name_zh": rule.name_zh,
        "name_en": rule.name_en,
        "comparison": rule.threshold.comparison,
        **_said(first),
        "unit": first.subject.unit,
        "synthetic": any(t.synthetic for t in told),
        "group_size": len(told),
        "subjects": [_said(t) for t in told[:_NAMED]],
        "page": page_of(site, rule, first.subject),
        "owner": rule.owner,
        "runbook_zh": rule.runbook_zh,
        "runbook_en": rule.runbook_en,
        "more": dict(first.facts or {}),
    }


def _said(told: Told) -> dict[str, Any]:
    return {
        "subject": told.subject.code,
        "subject_zh": told.subject.name_zh,
        "subject_en": told.subject.name_en,
        "value": told.value,
        "limit": told.limit,
        "at": told.at.astimezone(dt.UTC).isoformat(),
    }


def _joined(held: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **held,
        "synthetic": held["synthetic"] or new["synthetic"],
        "group_size": held["group_size"] + new["group_size"],
        "subjects": [*held["subjects"], *new["subjects"]][:_NAMED],
    }


def page_of(site: AlertSite, rule: Rule, subject: Subject) -> str:
    """Return the path of the portal's page behind a rule's figure.

    Parameters
    ----------
    site, rule
        Whose page.
    subject
        What the figure is of.

    Returns
    -------
    str
        The rule's own, with ``{site}`` and ``{subject}`` filled in; else that of its kind (F38).
    """
    page = rule.page or f"/s/{{site}}/{PAGES.get(rule.kind, 'overview')}"
    return page.replace("{site}", site.code).replace("{subject}", subject.code)
