"""Settings of ``enpilot analyze run`` and ``enpilot alerts run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from enpilot.settings import MqttSettings

__all__ = ["AlertSettings", "AnalyzeSettings", "ChannelSettings", "Form", "GroupSettings"]

Form = Literal["auto", "text", "markdown", "short"]

_Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}\Z")]
_Clock = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d\Z", description="such as 07:30")]
_Hours = Annotated[
    str,
    Meta(
        pattern=r"^([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)\Z",
        description='hours such as "22:00-07:00"; past midnight if they end before they begin',
    ),
]


class AnalyzeSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How often to look for dirty spans [s], and how many groups of points to compute at once.

    ``workers`` 0 is as many as there are cores; a running plant's few dirty points are one group.
    """

    every_s: float = 5.0
    workers: Annotated[int, Meta(ge=0)] = 0


class ChannelSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One way to reach people: an apprise address, or a topic of the broker.

    An address is a secret (it carries passwords and tokens), so it never stands here: ``url_env``
    names a variable that holds it, ``url_file`` a file. With ``mqtt`` messages go to the broker of
    the settings. ``form`` is chosen by the service if it is "auto".
    """

    name: _Name
    url_env: str | None = None
    url_file: Path | None = None
    mqtt: bool = False
    form: Form = "auto"


class GroupSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Who is told what, and in which language.

    ``sites`` are codes; empty, ``sites`` and ``severities`` are all of them. In ``quiet_hours``,
    local to the site, notes wait; warnings and faults never do. ``morning``: takes the morning
    message too.
    """

    name: _Name
    channel: Annotated[list[ChannelSettings], Meta(min_length=1)]
    language: Literal["zh", "en", "both"] = "both"
    severities: list[Literal["note", "warning", "fault"]] = []
    sites: list[str] = []
    quiet_hours: list[_Hours] = []
    morning: bool = True


class AlertSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How often rules are evaluated, when a value is too old to judge by [s], and who is told.

    Without a ``group`` there is one of all messages in both languages, whose addresses stand in
    the variable that ``notify_variable`` names, separated by spaces. ``portal_address`` begins the
    links of messages; ENPILOT_PORTAL_ADDRESS if it is left out. From ``morning_at`` on, local to
    each site, the morning message is sent, and after a stop until ``morning_until``.
    """

    every_s: float = 1.0
    stale_after_s: float = 300.0
    notify_variable: str = "ENPILOT_ALERT_URLS"
    portal_address: str | None = None
    timeout_s: Annotated[float, Meta(gt=0)] = 10.0
    morning_at: _Clock = "07:30"
    morning_until: _Clock = "12:00"
    mqtt: MqttSettings = msgspec.field(default_factory=MqttSettings)
    group: list[GroupSettings] = []
