"""Measures ingest and what it stores."""
