"""Waste findings: what costs money without making product."""
