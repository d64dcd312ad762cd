"""Threshold rules with state, and the notifications they send."""

from analytics.alerts.rule_state import RuleState, State, Threshold, Transition, advance

__all__ = ["RuleState", "State", "Threshold", "Transition", "advance"]
