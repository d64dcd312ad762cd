"""Settings of ``enpilot edge run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from enpilot.settings import MqttSettings

__all__ = ["EdgeSettings", "UplinkSettings"]


class UplinkSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How batches travel. Times in seconds."""

    window: Annotated[int, Meta(ge=1, le=1000)] = 32
    compress: bool = True
    probe_first_s: Annotated[float, Meta(gt=0)] = 5.0
    probe_last_s: Annotated[float, Meta(gt=0)] = 300.0
    silence_warning_s: float = 150.0
    reply_timeout_s: Annotated[float, Meta(gt=0)] = 30.0
    status_s: Annotated[float, Meta(gt=0)] = 30.0


class EdgeSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One agent; see deploy/edge/agent.toml for a complete file.

    ``batch_s`` is the most that a power cut can cost, ``keep_confirmed_h`` how long confirmed
    batches stay as a second life for a database restored from a backup, ``drain_s`` how long a stop
    waits for the platform to confirm what is held (the rest goes out at the next start).
    """

    plant: Path
    agent: str
    outbox: Path
    mqtt: MqttSettings = msgspec.field(default_factory=MqttSettings)
    uplink: UplinkSettings = msgspec.field(default_factory=UplinkSettings)
    batch_s: Annotated[float, Meta(gt=0, le=60)] = 5.0
    batch_readings: Annotated[int, Meta(ge=1, le=2000)] = 1000
    keep_confirmed_h: Annotated[float, Meta(ge=0)] = 72.0
    drain_s: Annotated[float, Meta(ge=0, le=60)] = 5.0
