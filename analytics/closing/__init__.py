"""Months and years that are signed, and what later data would change of them."""
