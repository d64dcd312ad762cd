"""Alerts: what fires now, who has it, and every rule with its state."""
