"""Topic names: ``enpilot/v1/{agent}/{kind}``. The agent id is the MQTT username (D10)."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["AGENT_ID", "KINDS", "TopicError", "alert_topic", "parse_topic", "topic"]

AGENT_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
KINDS: Final = ("birth", "data", "status", "receipt")


class TopicError(ValueError):
    """A topic that is not one of wire version 1."""


def topic(agent: str, kind: str) -> str:
    """Return the topic for one kind of message of an agent; ``+`` stands for every agent."""
    if kind not in KINDS or (agent != "+" and not AGENT_ID.fullmatch(agent)):
        raise TopicError(
            f"no topic for agent {agent!r}, kind {kind!r}: an agent id has lower-case letters, "
            f"digits, - and _ (63 at most); a kind is one of {', '.join(KINDS)}"
        )
    return f"enpilot/v1/{agent}/{kind}"


def alert_topic(site: str, kind: str) -> str:
    """Return the topic for one kind of alert message of a site; no agent's topic is like it."""
    return f"enpilot/v1/alert/{site}/{kind}"


def parse_topic(name: str) -> tuple[str, str]:
    """Return agent id and kind of a topic.

    Raises
    ------
    TopicError
        If the topic is not of wire version 1.
    """
    parts = name.split("/")
    if len(parts) == 4 and parts[:2] == ["enpilot", "v1"]:
        agent, kind = parts[2:]
        if AGENT_ID.fullmatch(agent) and kind in KINDS:
            return agent, kind
    raise TopicError(f"topic {name!r} is not enpilot/v1/{{agent}}/{{{'|'.join(KINDS)}}}")
