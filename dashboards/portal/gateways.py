"""Whether a gateway is there: one answer and one wording for every page."""

from __future__ import annotations

import datetime as dt
from typing import Final, Literal, Protocol

from enpilot.text import Language, counted, duration, moment, pick

__all__ = ["SILENT_S", "Condition", "Heard", "condition", "condition_word", "silent_meters"]

# A status comes every 30 s, batches mostly more often. "online" is only the last that was said:
# with the broker or ingest away, nobody says otherwise.
SILENT_S: Final = 180.0

Condition = Literal["online", "silent", "offline", "never"]


class Heard(Protocol):
    """What a gateway last said and sent."""

    @property
    def state(self) -> str | None:
        """What its last status said: online, or offline, its last will; None: it said nothing."""

    @property
    def said_at(self) -> dt.datetime | None:
        """When that status came."""

    @property
    def last_received_at(self) -> dt.datetime | None:
        """When its last batch came."""


def condition(gateway: Heard, now: dt.datetime) -> Condition:
    """Judge a gateway by what it last said and sent."""
    if gateway.state is None or gateway.said_at is None:
        return "never"
    if gateway.state == "offline":
        return "offline"
    return "silent" if _quiet_s(gateway.said_at, gateway, now) > SILENT_S else "online"


def condition_word(language: Language, gateway: Heard, now: dt.datetime) -> str:
    """Say it; ``now`` is in the zone of the site."""
    found = condition(gateway, now)
    if found == "never" or gateway.said_at is None:
        return pick(language, "从未上线", "never heard of")
    if found == "offline":
        since = moment(language, gateway.said_at.astimezone(now.tzinfo), now.date())
        return pick(language, f"{since}起离线", f"offline since {since}")
    if found == "silent":
        quiet = duration(language, _quiet_s(gateway.said_at, gateway, now))
        return pick(language, f"{quiet}无消息", f"silent for {quiet}")
    return pick(language, "在线", "online")


def silent_meters(language: Language, count: int) -> str:
    """Say how many meters do not answer."""
    return pick(language, f"{count}块表无应答", f"{counted(count, 'meter')} silent")


def _quiet_s(said_at: dt.datetime, gateway: Heard, now: dt.datetime) -> float:
    heard = max(said_at, gateway.last_received_at or said_at)
    return (now - heard).total_seconds()
