"""Alert rules with state, what they look at, and the messages they cause (F38)."""

from analytics.alerts.acknowledge import acknowledge
from analytics.alerts.evaluate import Evaluator, evaluate
from analytics.alerts.replay import Replay, replay
from analytics.alerts.rule_state import (
    Observation,
    RuleState,
    State,
    Threshold,
    Transition,
    advance,
)

__all__ = [
    "Evaluator",
    "Observation",
    "Replay",
    "RuleState",
    "State",
    "Threshold",
    "Transition",
    "acknowledge",
    "advance",
    "evaluate",
    "replay",
]
