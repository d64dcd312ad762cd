"""The morning message: yesterday's figure, the expected one, one cause, one action (F38)."""

from analytics.alerts.morning.figures import load_morning
from analytics.alerts.morning.said import Action, Cause, Morning
from analytics.alerts.morning.write import MorningTimes, write_morning_messages

__all__ = [
    "Action",
    "Cause",
    "Morning",
    "MorningTimes",
    "load_morning",
    "write_morning_messages",
]
