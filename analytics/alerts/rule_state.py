"""The state of a rule for one subject: ok, pending, firing, acknowledged, resolved (F38).

Pure: no clock, no database. A rule fires when its value has stayed beyond the limit for a while and
resolves when it is back by the hysteresis: a value that trembles on the line sends one message, not
a hundred. One that fires again and again is kept firing until it has been calm for as long.
"""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, replace
from typing import Final, Literal

__all__ = [
    "OPEN_STATES",
    "Observation",
    "RuleState",
    "State",
    "Threshold",
    "Transition",
    "acknowledged",
    "advance",
]


class State(enum.StrEnum):
    """Where a rule stands."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"  # firing, and somebody has taken it
    RESOLVED = "resolved"  # ok again; said apart until the next breach


OPEN_STATES: Final = frozenset({State.FIRING, State.ACKNOWLEDGED})


@dataclass(frozen=True, slots=True)
class Threshold:
    """What a rule watches for [unit of its value].

    Attributes
    ----------
    comparison, limit, hysteresis
        Beyond which side of what, and how far back before it is over [unit].
    held_for
        How long a value stays beyond before the rule fires.
    flaps, calm
        A rule that fired so often within ``calm`` resolves only after having been back for as long.
    """

    comparison: Literal["above", "below"]
    limit: float
    hysteresis: float = 0.0
    held_for: dt.timedelta = dt.timedelta(0)
    flaps: int = 3
    calm: dt.timedelta = dt.timedelta(0)

    def breached(self, value: float, limit: float | None = None) -> bool:
        """Whether a value is beyond the limit, the rule's own or the subject's [unit]."""
        edge = self.limit if limit is None else limit
        return value > edge if self.comparison == "above" else value < edge

    def back(self, value: float, limit: float | None = None) -> bool:
        """Whether a value is back by the hysteresis [unit]."""
        edge = self.limit if limit is None else limit
        if self.comparison == "above":
            return value <= edge - self.hysteresis
        return value >= edge + self.hysteresis


@dataclass(frozen=True, slots=True)
class Observation:
    """What is seen of a subject at an instant.

    Attributes
    ----------
    at
        When it was so: of a reading its own time, so that a backlog is judged as it happened.
    value
        [unit of the rule]; None if nothing is known, which decides nothing.
    limit
        Of this subject, where it is not the rule's own [unit].
    muted
        Nobody wants to hear of it now: out of hours, in maintenance, behind a dead gateway.
    gone
        There is no such thing any more: a finding that was withdrawn.
    """

    at: dt.datetime
    value: float | None
    limit: float | None = None
    muted: bool = False
    gone: bool = False


@dataclass(frozen=True, slots=True)
class RuleState:
    """A state, and the instant that brought it about.

    ``back_since`` says from when on a flapping value has been calm, ``fired`` when the rule fired
    of late.
    """

    state: State
    since: dt.datetime
    back_since: dt.datetime | None = None
    fired: tuple[dt.datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class Transition:
    """A change that people are told of."""

    before: State
    after: State
    at: dt.datetime
    value: float | None


def advance(
    rule: Threshold, held: RuleState, seen: Observation
) -> tuple[RuleState, Transition | None]:
    """Take one observation into account.

    Parameters
    ----------
    rule
        The threshold.
    held
        The state so far.
    seen
        Of the subject, not before ``held.since``.

    Returns
    -------
    RuleState, Transition or None
        The transition is there when the rule starts firing or resolves.

    Notes
    -----
    While a subject is muted nothing begins: what was pending begins anew afterwards, and what fires
    goes on firing until it is back.
    """
    if seen.gone:
        return _gone(held, seen)
    if seen.value is None:
        muted = seen.muted and held.state is State.PENDING
        return (replace(held, state=State.OK, since=seen.at) if muted else held), None
    breached = rule.breached(seen.value, seen.limit)
    if held.state in OPEN_STATES:
        return _while_open(rule, held, seen, seen.value)
    if not breached or seen.muted:
        if held.state is State.PENDING:
            return replace(held, state=State.OK, since=seen.at), None
        return held, None
    if held.state is not State.PENDING:
        held = replace(held, state=State.PENDING, since=seen.at)
    if seen.at - held.since < rule.held_for:
        return held, None
    of_late = tuple(at for at in held.fired if seen.at - at < rule.calm)
    fired = RuleState(State.FIRING, seen.at, None, (*of_late, seen.at))
    return fired, Transition(State.PENDING, State.FIRING, seen.at, seen.value)


def _while_open(
    rule: Threshold, held: RuleState, seen: Observation, value: float
) -> tuple[RuleState, Transition | None]:
    if not rule.back(value, seen.limit):
        # Inside of the hysteresis is not beyond again, yet not calm either.
        return replace(held, back_since=None), None
    back_since = held.back_since or seen.at
    # As many as there were when it fired: a value that goes on trembling does not become calm.
    flapping = len(held.fired) >= rule.flaps
    calm = not flapping or seen.at - back_since >= rule.calm
    if not calm:
        return replace(held, back_since=back_since), None
    after = RuleState(State.RESOLVED, seen.at, None, held.fired)
    return after, Transition(held.state, State.RESOLVED, seen.at, value)


def _gone(held: RuleState, seen: Observation) -> tuple[RuleState, Transition | None]:
    if held.state in OPEN_STATES:
        after = RuleState(State.RESOLVED, seen.at, None, held.fired)
        return after, Transition(held.state, State.RESOLVED, seen.at, None)
    if held.state is State.PENDING:
        return replace(held, state=State.OK, since=seen.at), None
    return held, None


def acknowledged(held: RuleState, at: dt.datetime) -> RuleState:
    """Return the state of a rule that somebody has taken.

    Parameters
    ----------
    held
        Firing.
    at
        When.

    Returns
    -------
    RuleState
        Acknowledged; it resolves as if it were firing.

    Raises
    ------
    ValueError
        If it is not firing.
    """
    if held.state is not State.FIRING:
        raise ValueError(f"it is {held.state.value}, not firing")
    return replace(held, state=State.ACKNOWLEDGED, since=at)
