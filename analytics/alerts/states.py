"""States, events and progress of rules in the database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from analytics.alerts.rule_state import RuleState, State
from analytics.alerts.rules import Rule, Subject

__all__ = [
    "HeldState",
    "insert_event",
    "keep_progress",
    "keep_state",
    "load_progress",
    "load_states",
    "resolve_orphans",
]


@dataclass(frozen=True, slots=True)
class HeldState:
    """A rule's state for a subject, and what people were told of it.

    Attributes
    ----------
    evaluated_at
        Of the last observation.
    value, limit, synthetic
        Seen last [unit of the subject], and whether it is made up or simulated.
    opened_at, told_at
        When people were told of this firing first, and last.
    escalated
        Steps of the escalation that were taken.
    worst
        Since it is beyond the limit [unit of the subject]; still said when it is back.
    """

    subject: Subject
    state: RuleState
    evaluated_at: dt.datetime
    value: float | None = None
    limit: float | None = None
    synthetic: bool = False
    muted: bool = False
    opened_at: dt.datetime | None = None
    told_at: dt.datetime | None = None
    escalated: int = 0
    event_id: int | None = None
    acknowledged_by: str | None = None
    note: str | None = None
    worst: float | None = None

    @classmethod
    def new(cls, subject: Subject, at: dt.datetime) -> HeldState:
        """Return the state of a subject that was never looked at."""
        return cls(subject, RuleState(State.OK, at), at)

    def opened(self, event_id: int, now: dt.datetime) -> HeldState:
        """Return it as it begins to fire."""
        return replace(
            self, event_id=event_id, opened_at=now, told_at=now, escalated=0, acknowledged_by=None,
            note=None,
        )  # fmt: skip


def load_states(
    connection: psycopg.Connection[Any], rule_id: int, *, lock: bool = True
) -> dict[str, HeldState]:
    """Read the states of a rule.

    Parameters
    ----------
    connection
        To the database.
    rule_id
        The rule.
    lock
        Let nobody else change them until the transaction ends.

    Returns
    -------
    dict of str to HeldState
        By the code of the subject.
    """
    return {
        row[0]: HeldState(
            Subject(row[0], row[1], row[2], row[3] or ""),
            RuleState(State(row[4]), row[5], row[6], tuple(row[7])),
            *row[8:],
        )
        for row in connection.execute(
            "SELECT subject, subject_zh, subject_en, unit, state, since, back_since, fired,"
            " evaluated_at, value, threshold, synthetic, muted, opened_at, told_at, escalated,"
            " event_id, acknowledged_by, note, worst FROM alert_state WHERE alert_rule_id = %s"
            + (" FOR UPDATE" if lock else ""),
            (rule_id,),
        )
    }


def keep_state(connection: psycopg.Connection[Any], rule_id: int, held: HeldState) -> None:
    """Write the state of a rule for a subject.

    Parameters
    ----------
    connection
        Inside a transaction.
    rule_id
        The rule.
    held
        Its state.
    """
    s = held.state
    connection.execute(
        "INSERT INTO alert_state (alert_rule_id, subject, subject_zh, subject_en, unit, state,"
        " since, back_since, fired, evaluated_at, value, threshold, synthetic, muted, opened_at,"
        " told_at, escalated, event_id, acknowledged_by, note, worst) VALUES (%s, %s, %s, %s,"
        " %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (alert_rule_id, subject) DO UPDATE SET subject_zh = excluded.subject_zh,"
        " subject_en = excluded.subject_en, unit = excluded.unit, state = excluded.state,"
        " since = excluded.since, back_since = excluded.back_since, fired = excluded.fired,"
        " evaluated_at = excluded.evaluated_at, value = excluded.value,"
        " threshold = excluded.threshold, synthetic = excluded.synthetic,"
        " muted = excluded.muted, opened_at = excluded.opened_at,"
        " told_at = excluded.told_at, escalated = excluded.escalated,"
        " event_id = excluded.event_id, acknowledged_by = excluded.acknowledged_by,"
        " note = excluded.note, worst = excluded.worst",
        (
            rule_id, held.subject.code, held.subject.name_zh, held.subject.name_en,
            held.subject.unit, s.state, s.since, s.back_since, list(s.fired), held.evaluated_at,
            held.value, held.limit, held.synthetic, held.muted, held.opened_at, held.told_at,
            held.escalated, held.event_id, held.acknowledged_by, held.note, held.worst,
        ),
    )  # fmt: skip


def insert_event(
    connection: psycopg.Connection[Any],
    rule: Rule,
    subject: Subject,
    change: tuple[State, State, dt.datetime],
    value: float | None,
    limit: float,
    said: tuple[str | None, str | None] = (None, None),
) -> int:
    """Write what happened to a rule.

    Parameters
    ----------
    connection
        Inside a transaction.
    rule, subject
        Whose state changed.
    change
        From which state to which, and when.
    value, limit
        At that instant [unit of the subject].
    said
        Who did it and what was noted, if a person did.

    Returns
    -------
    int
        The event's number.
    """
    before, after, at = change
    row = connection.execute(
        "INSERT INTO alert_event (site_id, alert_rule_id, at_ts, from_state, to_state, value,"
        " threshold, subject, unit, author, note) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s,"
        " %s) RETURNING event_id",
        (
            rule.site_id, rule.rule_id, at, before, after, value, limit, subject.code,
            subject.unit, *said,
        ),
    ).fetchone()  # fmt: skip
    assert row is not None
    return int(row[0])


def load_progress(
    connection: psycopg.Connection[Any],
) -> dict[int, tuple[dt.datetime, str | None]]:
    """Read up to when rules were evaluated, and why they could not be.

    Parameters
    ----------
    connection
        To the database.

    Returns
    -------
    dict of int to tuple
        By the number of the rule.
    """
    return {
        row[0]: (row[1], row[2])
        for row in connection.execute(
            "SELECT alert_rule_id, evaluated_through, error FROM alert_progress"
        )
    }


def keep_progress(
    connection: psycopg.Connection[Any], rule_id: int, through: dt.datetime, error: str | None
) -> None:
    """Write up to when a rule was evaluated.

    Parameters
    ----------
    connection
        To the database.
    rule_id
        The rule.
    through
        The last instant that was judged.
    error
        Why it could not be evaluated further; None if it could.
    """
    connection.execute(
        "INSERT INTO alert_progress VALUES (%s, %s, %s) ON CONFLICT (alert_rule_id) DO UPDATE"
        " SET evaluated_through = excluded.evaluated_through, error = excluded.error",
        (rule_id, through, error),
    )


def resolve_orphans(
    connection: psycopg.Connection[Any], current: Collection[int], now: dt.datetime
) -> int:
    """Resolve what still fires of rules that hold no more.

    Parameters
    ----------
    connection
        Inside a transaction.
    current
        Numbers of the rules that hold.
    now
        The instant.

    Returns
    -------
    int
        States that were resolved; nobody is told, since somebody ended the rule.
    """
    return connection.execute(
        "WITH ended AS (UPDATE alert_state s SET state = 'resolved', since = %(now)s"
        "  FROM alert_state old WHERE old.alert_rule_id = s.alert_rule_id"
        "  AND old.subject = s.subject AND s.alert_rule_id <> ALL(%(current)s)"
        "  AND s.state IN ('pending', 'firing', 'acknowledged')"
        "  RETURNING s.alert_rule_id, s.subject, s.unit, old.state, s.value, s.threshold)"
        " INSERT INTO alert_event (site_id, alert_rule_id, at_ts, from_state, to_state, value,"
        "  threshold, subject, unit, note) SELECT r.site_id, e.alert_rule_id, %(now)s, e.state,"
        "  'resolved', e.value, coalesce(e.threshold, 0), e.subject, e.unit,"
        "  'the rule holds no more' FROM ended e JOIN alert_rule r USING (alert_rule_id)",
        {"now": now, "current": list(current)},
    ).rowcount
