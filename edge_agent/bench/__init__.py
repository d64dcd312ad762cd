"""Measures the edge agent against what it replaces, in the same run."""
