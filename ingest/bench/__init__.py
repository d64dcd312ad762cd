"""Measures the ingest worker against a bare COPY and a plain subscriber, and what is stored."""
