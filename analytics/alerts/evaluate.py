"""Rules against what is known: states, events and messages change in one transaction (F38).

Exactly one evaluator is active: the session that holds an advisory lock. States are written in that
very session, so one that lost its lock with its connection can write nothing any more. Every due
instant since the last evaluation is judged, in order, up to `CATCH_UP` ago.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import psycopg
import structlog

from analytics.alerts.messages import Told, write_message
from analytics.alerts.quiet import Mute, is_muted, load_mutes
from analytics.alerts.rule_state import OPEN_STATES, Observation, State, Transition, advance
from analytics.alerts.rules import AlertSite, Rule, Sighting, Subject, load_alert_site, load_rules
from analytics.alerts.sources import STREAMS, see
from analytics.alerts.states import (
    HeldState,
    insert_event,
    keep_progress,
    keep_state,
    load_progress,
    load_states,
    resolve_orphans,
)
from analytics.alerts.turns import take_turn
from enpilot.errors import EnpilotError

__all__ = ["CATCH_UP", "Evaluator", "due_instants", "evaluate"]

# After a stop, what was due longer ago is passed over.
CATCH_UP: Final = dt.timedelta(days=7)
# Due instants of one rule in one transaction; the rest is judged by the next round.
_MOST_DUE: Final = 1440
# Who was heard of is a fact of now: what was due while nobody listened says nothing of them.
_NOW_ONLY: Final = frozenset({"gateway", "silent"})
# Of these, what is not seen is over; a figure may only not be computed yet, after midnight say.
_WITHDRAWN: Final = frozenset({"finding", "correction", "deadline"})
_GONE_AFTER: Final = dt.timedelta(days=3)
_SITE_KEPT: Final = dt.timedelta(seconds=30)
_AFTER_ERROR: Final = dt.timedelta(seconds=60)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FAULTS: Final = (
    EnpilotError, ArithmeticError, ValueError, LookupError, psycopg.DataError,
    psycopg.ProgrammingError,
)  # fmt: skip
_log = structlog.get_logger("alerts")


def due_instants(
    since: dt.datetime, until: dt.datetime, period: dt.timedelta
) -> Iterator[dt.datetime]:
    """Yield the instants in (since, until] at which a rule of a period is due.

    Parameters
    ----------
    since, until
        With a zone.
    period
        Above 0; due are whole multiples of it since 1970 in UTC.

    Yields
    ------
    datetime
        In order (F38).
    """
    n = (since - _EPOCH) // period + 1
    while (due := _EPOCH + n * period) <= until:
        yield due
        n += 1


def evaluate(
    connection: psycopg.Connection[Any], now: dt.datetime, stale_after: dt.timedelta
) -> int | None:
    """Evaluate every rule that is due, once.

    Parameters
    ----------
    connection
        In autocommit mode.
    now
        The instant of the evaluation.
    stale_after
        Readings that were older when a rule was first looked at are not judged.

    Returns
    -------
    int or None
        Subjects that began to fire or resolved; None if another session is the evaluator.
    """
    return Evaluator(stale_after).run(connection, now)


@dataclass(slots=True)
class _Round:
    """What one rule's evaluation needs."""

    connection: psycopg.Connection[Any]
    site: AlertSite
    rule: Rule
    mutes: Sequence[Mute]
    away: frozenset[str]
    now: dt.datetime


@dataclass(slots=True)
class Evaluator:
    """Evaluates rules again and again; remembers sites for a while, and what failed."""

    stale_after: dt.timedelta
    _sites: dict[int, tuple[dt.datetime, AlertSite]] = field(default_factory=dict)
    _wait: dict[int, dt.datetime] = field(default_factory=dict)
    _looked: dict[int, dt.datetime] = field(default_factory=dict)

    def run(self, connection: psycopg.Connection[Any], now: dt.datetime) -> int | None:
        """Evaluate every rule that is due at an instant; see `evaluate`."""
        if not take_turn(connection):
            return None
        rules = load_rules(connection, now)
        with connection.transaction():
            resolve_orphans(connection, [r.rule_id for r in rules], now)
        progress = load_progress(connection)
        changed = 0
        for site_id, of_site in itertools.groupby(rules, key=lambda r: r.site_id):
            due = [r for r in of_site if self._is_due(r, progress, now)]
            if due:
                changed += self._site_rules(connection, site_id, due, progress, now)
        self._tell_again(connection, rules, now)
        return changed

    def _tell_again(
        self, connection: psycopg.Connection[Any], rules: Sequence[Rule], now: dt.datetime
    ) -> None:
        rows = connection.execute(
            "SELECT DISTINCT alert_rule_id FROM alert_state WHERE state = 'firing'"
        ).fetchall()
        fires = {row[0] for row in rows}
        for rule in rules:
            if rule.rule_id in fires:
                site = self._site(connection, rule.site_id, now)
                mutes = load_mutes(connection, rule.site_id, now)
                with connection.transaction():
                    _tell_again(_Round(connection, site, rule, mutes, frozenset(), now))

    def _site(
        self, connection: psycopg.Connection[Any], site_id: int, now: dt.datetime
    ) -> AlertSite:
        kept = self._sites.get(site_id)
        if kept is None or not dt.timedelta(0) <= now - kept[0] < _SITE_KEPT:
            kept = (now, load_alert_site(connection, site_id))
            self._sites[site_id] = kept
        return kept[1]

    def _is_due(
        self, rule: Rule, progress: Mapping[int, tuple[dt.datetime, str | None]], now: dt.datetime
    ) -> bool:
        if now < self._wait.get(rule.rule_id, now):
            return False
        if rule.kind in STREAMS:
            looked = self._looked.get(rule.rule_id)
            return looked is None or now - looked >= rule.period or now < looked
        held = progress.get(rule.rule_id)
        return held is None or next(due_instants(held[0], now, rule.period), None) is not None

    def _site_rules(
        self,
        connection: psycopg.Connection[Any],
        site_id: int,
        rules: Sequence[Rule],
        progress: Mapping[int, tuple[dt.datetime, str | None]],
        now: dt.datetime,
    ) -> int:
        site = self._site(connection, site_id, now)
        mutes = load_mutes(connection, site_id, now - CATCH_UP)
        changed = 0
        for rule in rules:
            through, error = progress.get(rule.rule_id, (None, None))
            away = _away(connection, site_id) if rule.kind == "silent" else frozenset[str]()
            this = _Round(connection, site, rule, mutes, away, now)
            try:
                with connection.transaction():
                    changed += _evaluate_rule(this, through, self.stale_after)
            except _FAULTS as fault:
                sentence = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
                if sentence != error:
                    _log.warning("a rule cannot be evaluated", rule=rule.code, error=sentence)
                keep_progress(connection, rule.rule_id, through or now - rule.period, sentence)
                self._wait[rule.rule_id] = now + _AFTER_ERROR
                continue
            if error is not None:
                _log.info("a rule can be evaluated again", rule=rule.code)
                if rule.kind in STREAMS:
                    keep_progress(connection, rule.rule_id, now, None)
            self._looked[rule.rule_id] = now
            self._wait.pop(rule.rule_id, None)
        return changed


def _away(connection: psycopg.Connection[Any], site_id: int) -> frozenset[str]:
    """Return the gateways of a site that are down, or seem to be, or are in maintenance."""
    rows = connection.execute(
        "SELECT s.subject FROM alert_state s JOIN alert_rule i USING (alert_rule_id)"
        " JOIN alert_rule_record r USING (alert_rule_id) WHERE i.site_id = %s"
        " AND r.kind = 'gateway' AND r.superseded_commit_no IS NULL"
        " AND (s.state IN ('pending', 'firing', 'acknowledged')"
        "  OR s.muted AND s.value > s.threshold)",
        (site_id,),
    ).fetchall()
    return frozenset(row[0] for row in rows)


def _evaluate_rule(this: _Round, through: dt.datetime | None, stale_after: dt.timedelta) -> int:
    """Judge what a rule has not judged yet; return the subjects that changed."""
    rule, now = this.rule, this.now
    states = load_states(this.connection, rule.rule_id)
    before = dict(states)
    news: dict[str, list[tuple[Transition, Sighting, int]]] = {}
    dues: list[dt.datetime] = []
    if rule.kind in STREAMS:
        since, until = _stream_since(this, states, stale_after), now
    else:
        since, dues = _dues(rule, through, now)
        if not dues:
            return 0
        until = dues[-1]
    for due, seen in see(this.connection, this.site, rule, since, dues, until):
        for sighting in seen if due is None else [*seen, *_gone(rule, states, seen, due)]:
            found = _judge(this, states, sighting)
            if found is not None:
                news.setdefault(sighting.subject.code, []).append(found)
    told = _tell(this, states, before, news)
    for code, held in states.items():
        if held != before.get(code):
            keep_state(this.connection, rule.rule_id, held)
    if dues:  # readings say themselves how far a stream was judged
        keep_progress(this.connection, rule.rule_id, until, None)
    return told


def _stream_since(
    this: _Round, states: dict[str, HeldState], stale_after: dt.timedelta
) -> dt.datetime:
    """Return from when on readings are judged; note where a rule that is new begins."""
    code = this.rule.point or ""
    if code not in states:
        states[code] = HeldState.new(Subject(code, "", ""), this.now - stale_after)
    return max(states[code].evaluated_at, this.now - CATCH_UP)


def _dues(
    rule: Rule, through: dt.datetime | None, now: dt.datetime
) -> tuple[dt.datetime, list[dt.datetime]]:
    since = now - rule.period if through is None else through
    if rule.kind in _NOW_ONLY:
        since = max(since, now - rule.period)
    if since < now - CATCH_UP:
        _log.warning(
            "due instants are passed over", rule=rule.code, since=since.isoformat(),
            until=(now - CATCH_UP).isoformat(),
        )  # fmt: skip
        since = now - CATCH_UP
    return since, list(itertools.islice(due_instants(since, now, rule.period), _MOST_DUE))


def _gone(
    rule: Rule, states: Mapping[str, HeldState], seen: Sequence[Sighting], due: dt.datetime
) -> list[Sighting]:
    """Return what was there before and is not seen any more."""
    there = {s.subject.code for s in seen}
    patience = dt.timedelta(0) if rule.kind in _WITHDRAWN else _GONE_AFTER
    return [
        Sighting(held.subject, due, None, facts={"gone": True})
        for code, held in states.items()
        if code not in there
        and due - held.evaluated_at > patience
        and held.state.state in (State.PENDING, *OPEN_STATES)
    ]


def _judge(
    this: _Round, states: dict[str, HeldState], sighting: Sighting
) -> tuple[Transition, Sighting, int] | None:
    """Take a sighting into account; return what changed, with its event."""
    rule, subject = this.rule, sighting.subject
    held = states.get(subject.code) or HeldState.new(subject, sighting.at)
    muted = sighting.behind in this.away or is_muted(
        this.site, rule, this.mutes, subject.code, sighting.at
    )
    gone = bool(sighting.facts and sighting.facts.get("gone"))
    seen = Observation(sighting.at, sighting.value, sighting.limit, muted, gone)
    state, transition = advance(rule.threshold, held.state, seen)
    known = sighting.value is not None
    after = replace(
        held, subject=subject, state=state, evaluated_at=sighting.at, muted=muted,
        value=sighting.value if known else held.value,
        limit=_limit(rule, sighting) if known else held.limit,
        synthetic=sighting.synthetic if known else held.synthetic,
        worst=_worst(rule, held, state.state, sighting.value),
    )  # fmt: skip
    event_id = 0
    if transition is not None:
        event_id = insert_event(
            this.connection, rule, subject, (transition.before, transition.after, transition.at),
            after.value, after.limit if after.limit is not None else rule.threshold.limit,
        )  # fmt: skip
        if transition.after is State.FIRING:
            after = after.opened(event_id, this.now)
    states[subject.code] = after
    return None if transition is None else (transition, sighting, event_id)


def _worst(rule: Rule, held: HeldState, state: State, value: float | None) -> float | None:
    """Return the worst value since a subject began to be beyond the limit."""
    begins = held.state.state not in (State.PENDING, *OPEN_STATES)
    if state not in (State.PENDING, *OPEN_STATES):
        return None if begins else held.worst
    known = [v for v in (None if begins else held.worst, value) if v is not None]
    return (max if rule.threshold.comparison == "above" else min)(known, default=None)


def _limit(rule: Rule, sighting: Sighting) -> float:
    return rule.threshold.limit if sighting.limit is None else sighting.limit


def _tell(
    this: _Round,
    states: Mapping[str, HeldState],
    before: Mapping[str, HeldState],
    news: Mapping[str, list[tuple[Transition, Sighting, int]]],
) -> int:
    """Write a message of what fires and one of what is over; return how many subjects."""
    firing, over = [], []
    for code, changes in news.items():
        is_open = states[code].state.state in OPEN_STATES
        was_open = code in before and before[code].state.state in OPEN_STATES
        fired = [c for c in changes if c[0].after is State.FIRING]
        if fired and (is_open or not was_open):
            # Caught up with after it was over: one message says both.
            end = None if is_open else changes[-1][0].at.isoformat()
            firing.append(_told(this.rule, fired[-1], states[code], over_at=end))
        elif not is_open:
            held = states[code]
            since = held.state.fired[-1].isoformat() if held.state.fired else None
            over.append(_told(this.rule, changes[-1], held, since=since, worst=held.worst))
    for kind, told in (("firing", firing), ("resolved", over)):
        if told:
            write_message(this.connection, this.site, this.rule, kind, told, this.now)
    return len(firing) + len(over)


def _told(
    rule: Rule, change: tuple[Transition, Sighting, int], held: HeldState, **more: Any
) -> Told:
    transition, sighting, event_id = change
    facts = {**(sighting.facts or {}), **{k: v for k, v in more.items() if v is not None}}
    value = held.value if transition.value is None else transition.value
    return Told(
        held.subject, transition.at, value, _limit(rule, sighting), event_id, facts,
        held.synthetic,
    )  # fmt: skip


def _tell_again(this: _Round) -> None:
    """Write escalations and reminders of what nobody has taken."""
    rule, now = this.rule, this.now
    steps: dict[int, list[Told]] = {}
    remind: list[Told] = []
    for code, held in load_states(this.connection, rule.rule_id).items():
        if held.state.state is not State.FIRING or held.opened_at is None:
            continue
        if is_muted(this.site, rule, this.mutes, code, now):
            continue
        told = Told(
            held.subject, held.state.since, held.value,
            rule.threshold.limit if held.limit is None else held.limit, held.event_id or 0,
            synthetic=held.synthetic,
        )  # fmt: skip
        reached = sum(now - held.opened_at >= step.after for step in rule.escalation)
        if reached > held.escalated:
            steps.setdefault(reached, []).append(told)
        elif rule.remind and now - (held.told_at or now) >= rule.remind:
            remind.append(told)
        else:
            continue
        again = replace(held, escalated=max(reached, held.escalated), told_at=now)
        keep_state(this.connection, rule.rule_id, again)
    for reached, told_too in sorted(steps.items()):
        step = rule.escalation[reached - 1]
        write_message(
            this.connection, this.site, rule, "escalation", told_too, now,
            severity=step.severity, recipients=step.recipients or None, more={"step": reached},
        )  # fmt: skip
    if remind:
        write_message(this.connection, this.site, rule, "reminder", remind, now)
