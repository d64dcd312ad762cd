"""Messages reach people: groups, channels, attempts with growing waits (F38)."""

from analytics.alerts.delivery.dispatch import Delivery
from analytics.alerts.delivery.recipients import Recipients, load_recipients

__all__ = ["Delivery", "Recipients", "load_recipients"]
