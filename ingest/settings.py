"""Settings of ``enpilot ingest run``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from enpilot.settings import MqttSettings

__all__ = ["IngestSettings", "MetricsSettings"]

_Count = Annotated[int, Meta(ge=1)]
_Bytes = Annotated[int, Meta(ge=65_536)]


class MetricsSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where Prometheus asks; no port, no server."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] | None = None


class IngestSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One ingest worker; see deploy/services/ingest.toml for a complete file.

    A group is committed as soon as the previous one is done and anything waits (D13); ``group_*``
    bound how much one transaction takes, and ``group_age_s`` lets a worker that is idle wait for
    more. ``max_waiting_*`` bound memory: beyond them the worker stops reading the socket.

    Attributes
    ----------
    share
        Name of the group of workers that share the data messages among them; none, one worker
        takes all. Each worker gets all births and statuses.
    receive_maximum
        Messages that the broker may have under way to this worker; told to it by MQTT 5 only. With
        MQTT 3.1.1 the broker's own limit holds (mosquitto's ``max_inflight_messages``).
    """

    mqtt: MqttSettings = msgspec.field(default_factory=MqttSettings)
    share: Annotated[str, Meta(pattern="^[^/+#]+$")] | None = None
    receive_maximum: Annotated[int, Meta(ge=1, le=65535)] = 4000
    group_messages: _Count = 1000
    group_bytes: _Bytes = 4 * 1024 * 1024
    group_readings: _Count = 200_000
    group_age_s: Annotated[float, Meta(ge=0, le=60)] = 0.0
    max_waiting_messages: _Count = 2000
    max_waiting_bytes: _Bytes = 16 * 1024 * 1024
    fold_s: Annotated[float, Meta(gt=0)] = 30.0
    keep_hashes_hours: _Count = 72
    quarantine_bytes: Annotated[int, Meta(ge=0)] = 256 * 1024 * 1024
    metrics: MetricsSettings = msgspec.field(default_factory=MetricsSettings)
