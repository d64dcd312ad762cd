"""Settings of ``enpilot edge run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from edge_agent.outbox.space import OutboxLimits
from enpilot.settings import MqttSettings

__all__ = ["ClockSettings", "EdgeSettings", "UplinkSettings", "WebSettings"]


class UplinkSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How batches travel. Times in seconds.

    At most ``window`` batches wait for a receipt. After ``probe_first_s`` without one they are sent
    one at a time, in the end every ``probe_last_s``; after ``silence_warning_s`` that is said. The
    backlog begins within ``backlog_jitter_s`` of a connection, ``backlog_batches_per_s`` fast.
    """

    window: Annotated[int, Meta(ge=1, le=1000)] = 32
    compress: bool = True
    probe_first_s: Annotated[float, Meta(gt=0)] = 5.0
    probe_last_s: Annotated[float, Meta(gt=0)] = 300.0
    silence_warning_s: Annotated[float, Meta(gt=0)] = 300.0
    backlog_batches_per_s: Annotated[float, Meta(gt=0)] = 20.0
    backlog_jitter_s: Annotated[float, Meta(ge=0)] = 5.0
    reply_timeout_s: Annotated[float, Meta(gt=0)] = 30.0
    status_s: Annotated[float, Meta(gt=0)] = 30.0


class ClockSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """When the wall clock is believed.

    Always needed: it is later than this software and than the newest reading in the outbox. With
    ``wait_for_sync_s`` [s] the agent waits so long for the kernel to say that the clock is
    synchronised; readings are held back until then.
    """

    wait_for_sync_s: Annotated[float, Meta(ge=0)] = 120.0
    hold_readings: Annotated[int, Meta(ge=0)] = 500_000


class WebSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where Prometheus and a watchdog ask; no port, no server."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] | None = None


class EdgeSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One agent; see deploy/edge/agent.toml for a complete file.

    ``batch_s`` is the most that a power cut can cost, ``drain_s`` how long a stop waits for the
    platform to confirm what is held (the rest goes out at the next start).
    """

    plant: Path
    agent: str
    outbox: Path
    mqtt: MqttSettings = msgspec.field(default_factory=MqttSettings)
    uplink: UplinkSettings = msgspec.field(default_factory=UplinkSettings)
    limits: OutboxLimits = msgspec.field(default_factory=OutboxLimits)
    clock: ClockSettings = msgspec.field(default_factory=ClockSettings)
    web: WebSettings = msgspec.field(default_factory=WebSettings)
    batch_s: Annotated[float, Meta(gt=0, le=60)] = 5.0
    batch_readings: Annotated[int, Meta(ge=1, le=2000)] = 2000
    drain_s: Annotated[float, Meta(ge=0, le=60)] = 5.0
