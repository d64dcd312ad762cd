"""What messages say, in Chinese and English: sentences filled from facts, and nothing else."""

from analytics.alerts.words.alert_words import alert_wording
from analytics.alerts.words.morning_words import morning_wording
from analytics.alerts.words.wording import Line, Wording, to_markdown, to_text

__all__ = ["Line", "Wording", "alert_wording", "morning_wording", "to_markdown", "to_text"]
