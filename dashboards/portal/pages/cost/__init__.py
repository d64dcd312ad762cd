"""Cost: what the bill will be, and what of it was avoidable."""
