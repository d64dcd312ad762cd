"""The state of a threshold rule: ok, pending, firing, resolved. Pure: no clock, no database (F38).

A rule fires when the value has stayed beyond the threshold for a while, and resolves when it is
back by the hysteresis: a value that trembles on the line sends one message, not a hundred.
"""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from typing import Literal

__all__ = ["RuleState", "State", "Threshold", "Transition", "advance"]


class State(enum.StrEnum):
    """Where a rule stands."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"  # ok again; said apart until the next breach


@dataclass(frozen=True, slots=True)
class Threshold:
    """What a rule watches for [unit of its series]."""

    comparison: Literal["above", "below"]
    limit: float
    hysteresis: float
    held_for: dt.timedelta

    def breached(self, value: float) -> bool:
        """Whether a value is beyond the limit."""
        return value > self.limit if self.comparison == "above" else value < self.limit

    def back(self, value: float) -> bool:
        """Whether a value is back by the hysteresis."""
        if self.comparison == "above":
            return value <= self.limit - self.hysteresis
        return value >= self.limit + self.hysteresis


@dataclass(frozen=True, slots=True)
class RuleState:
    """A state, and the instant of the reading that brought it about."""

    state: State
    since: dt.datetime


@dataclass(frozen=True, slots=True)
class Transition:
    """A change that people are told of."""

    before: State
    after: State
    at: dt.datetime
    value: float


def advance(
    rule: Threshold, held: RuleState, value: float, at: dt.datetime
) -> tuple[RuleState, Transition | None]:
    """Take one reading into account.

    Parameters
    ----------
    rule
        The threshold.
    held
        The state so far.
    value
        Of the series [its unit].
    at
        Instant of the reading, not before ``held.since``. Time is that of readings, so that a
        backlog after an outage is judged as it happened.

    Returns
    -------
    RuleState, Transition or None
        The transition is there when the rule starts firing or resolves.
    """
    breached = rule.breached(value)
    state, since = held.state, held.since
    if state in (State.OK, State.RESOLVED) and breached:
        state, since = State.PENDING, at
    if state is State.PENDING:
        if not breached:
            return RuleState(State.OK, at), None
        if at - since >= rule.held_for:
            return RuleState(State.FIRING, at), Transition(State.PENDING, State.FIRING, at, value)
    elif state is State.FIRING and rule.back(value):
        return RuleState(State.RESOLVED, at), Transition(State.FIRING, State.RESOLVED, at, value)
    return RuleState(state, since), None
