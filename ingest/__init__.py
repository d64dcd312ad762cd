"""Writes MQTT messages and imported files to the database, exactly once."""

__all__: list[str] = []
