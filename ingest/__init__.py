"""Writes MQTT messages and imported files to the database, exactly once.

No room imports another. Its public face:
``enpilot ingest``, ``enpilot import`` and the tables they write.
"""

__all__: list[str] = []
