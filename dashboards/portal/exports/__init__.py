"""Figures as files and as pages of rows: what can be had, in which forms, and long ones as jobs."""
