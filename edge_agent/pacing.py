"""How fast batches go out: as fast as receipts come back, live ones first, never faster (D13).

A broker acknowledges what nobody may have stored, so PUBACK paces nothing. At most ``window``
batches wait for a receipt. After silence one batch at a time is sent, as a probe, with growing
pauses: the oldest and the newest in turn, so that no single batch can block the others.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from edge_agent.settings import UplinkSettings

__all__ = ["Pacing", "Turn"]

_Key = tuple[str, int]
_LONGEST_PATIENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Turn:
    """What may be sent now: ``most`` batches, ``backlog`` of them old, or a probe."""

    most: int
    backlog: int
    probe: Literal["oldest", "newest"] | None = None


@dataclass(slots=True)
class _Sent:
    at_s: float
    times: int


class Pacing:
    """The state of one connection's conversation with the platform."""

    def __init__(
        self, settings: UplinkSettings, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._now_s = now_s
        self._in_flight: dict[_Key, _Sent] = {}
        self._sent_times: dict[_Key, int] = {}
        self._probe_s = settings.probe_first_s
        self._probing = False
        self._probes = 0
        self._probed_s = 0.0
        self._heard_s = now_s()
        self._unanswered_since_s: float | None = None
        self._backlog_from_s = 0.0
        self._allowance = 0.0
        self._allowed_s = now_s()

    def begin(self) -> None:
        """A connection is up: whatever was on its way when the last one broke is sent again."""
        self._in_flight.clear()
        self._probing = False
        now = self._now_s()
        self._heard_s = now
        if self._unanswered_since_s is not None:
            self._unanswered_since_s = now
        # A thousand gateways must not pour their backlogs in the same second.
        jitter_s = random.uniform(0, self._settings.backlog_jitter_s)  # noqa: S311  # no secret
        self._backlog_from_s = self._allowed_s = now + jitter_s
        self._allowance = 0.0

    @property
    def in_flight(self) -> frozenset[_Key]:
        """Batches that wait for a receipt."""
        return frozenset(self._in_flight)

    @property
    def answered(self) -> bool:
        """Whether the platform answers these days."""
        return not self._probing

    @property
    def unanswered_s(self) -> float:
        """For how long the platform has owed an answer [s]; zero if it owes none."""
        if self._unanswered_since_s is None:
            return 0.0
        return self._now_s() - self._unanswered_since_s

    def turn(self) -> Turn:
        """Return what may be sent now."""
        now = self._now_s()
        since = self._unanswered_since_s
        if since is not None and now - max(since, self._probed_s, self._heard_s) >= self._probe_s:
            self._in_flight.clear()
            jitter = random.uniform(0.8, 1.2)  # noqa: S311  # no secret
            if self._probing:
                self._probe_s = min(self._probe_s * 2 * jitter, self._settings.probe_last_s)
            self._probing = True
            self._probed_s = now
            self._probes += 1
            return Turn(1, 1, "oldest" if self._probes % 2 else "newest")
        if self._probing:
            return Turn(0, 0)
        self._give_up_waiting(now)
        room = self._settings.window - len(self._in_flight)
        return Turn(max(room, 0), max(min(room, self._backlog_allowance(now)), 0))

    def sent(self, keys: Iterable[_Key], backlog: int = 0) -> None:
        """Note what has been sent."""
        now = self._now_s()
        for key in keys:
            times = self._sent_times.get(key, 0) + 1
            self._sent_times[key] = times
            self._in_flight[key] = _Sent(now, times)
            if self._unanswered_since_s is None:
                self._unanswered_since_s = now
        self._allowance = max(0.0, self._allowance - backlog)

    def heard(self) -> None:
        """A receipt came."""
        self._heard_s = self._now_s()
        self._probe_s = self._settings.probe_first_s
        self._probing = False

    def covered(self, stream: str, ranges: Iterable[tuple[int, int]]) -> None:
        """The receipt covers these numbers of a stream."""
        held = list(ranges)
        gone = [
            key
            for key in self._sent_times
            if key[0] == stream and any(low <= key[1] <= high for low, high in held)
        ]
        for key in gone:
            del self._sent_times[key]
            self._in_flight.pop(key, None)
        self._unanswered_since_s = self._now_s() if self._in_flight else None

    def send_again(self) -> None:
        """Forget what is on its way: the platform could not use it yet."""
        self._in_flight.clear()

    def _give_up_waiting(self, now: float) -> None:
        """Let a batch that is passed over, while others are confirmed, be sent once more."""
        for key, sent in list(self._in_flight.items()):
            patience_s = self._settings.probe_first_s * 2 ** min(sent.times, 8)
            if now - sent.at_s >= min(patience_s, _LONGEST_PATIENCE_S):
                del self._in_flight[key]

    def _backlog_allowance(self, now: float) -> int:
        if now < self._backlog_from_s:
            return 0
        per_s = self._settings.backlog_batches_per_s
        earned = (now - self._allowed_s) * per_s
        self._allowance = min(self._allowance + earned, max(1.0, per_s))
        self._allowed_s = now
        return int(self._allowance)
