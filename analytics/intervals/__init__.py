"""Readings of a point to its stored intervals, and sums of them."""
