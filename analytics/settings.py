"""Settings of ``enpilot analyze run`` and ``enpilot alerts run``."""

from __future__ import annotations

from typing import Annotated

import msgspec

__all__ = ["AlertSettings", "AnalyzeSettings"]


class AnalyzeSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How often to look for dirty spans [s], and how many groups of points to compute at once.

    ``workers`` 0 is as many as there are cores; a running plant's few dirty points are one group.
    """

    every_s: float = 5.0
    workers: Annotated[int, msgspec.Meta(ge=0)] = 0


class AlertSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How often rules are evaluated, and when a value is too old to judge by [s].

    Where to send is a secret (webhook addresses carry tokens) and comes from the environment:
    ``notify_variable`` names a variable with apprise addresses, separated by spaces.
    """

    every_s: float = 1.0
    stale_after_s: float = 300.0
    notify_variable: str = "ENPILOT_ALERT_URLS"
