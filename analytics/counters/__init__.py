"""Registers of counters to advances on the grid: pure, arrays in and out, compiled."""
