"""One alert rule: its condition, its history, and what it would have done."""
