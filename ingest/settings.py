"""Settings of ``enpilot ingest run``."""

from __future__ import annotations

import msgspec

from enpilot.settings import MqttSettings

__all__ = ["IngestSettings"]


class IngestSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One ingest worker; see deploy/ingest.toml for a complete file.

    A group is committed as soon as the previous one is done and anything waits (D13); ``group_*``
    only bound how much one transaction takes. ``max_waiting_messages`` bounds memory: beyond it
    the worker stops reading the socket.
    """

    mqtt: MqttSettings = msgspec.field(default_factory=MqttSettings)
    group_messages: int = 500
    group_bytes: int = 4 * 1024 * 1024
    max_waiting_messages: int = 2000
    fold_s: float = 30.0
    keep_hashes_hours: int = 72
    quarantine_bytes: int = 256 * 1024 * 1024
