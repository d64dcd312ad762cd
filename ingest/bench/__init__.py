"""Measures the ingest worker against a bare COPY and a plain subscriber, in the same run."""
