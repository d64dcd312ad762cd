"""Commissioning: checks of a point, named wiring faults, and the record of both."""
