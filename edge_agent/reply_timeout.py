"""How long to wait for a unit's reply: learned from its replies, as TCP learns its timer."""

from __future__ import annotations

from typing import Final

__all__ = ["ReplyTimeout"]

# RFC 6298, section 2: smoothing of the reply time and its deviation, weight of the deviation.
_GAIN: Final = 1 / 8
_DEVIATION_GAIN: Final = 1 / 4
_DEVIATIONS: Final = 4
# Below this a pause of the operating system would be taken for a silent unit.
_FLOOR_S: Final = 0.25


class ReplyTimeout:
    """The time after which a unit counts as silent [s].

    A unit that answers in 20 ms need not cost its neighbours a whole second when it is switched
    off. Until a unit has answered, and after any silence, the ceiling holds.

    Parameters
    ----------
    ceiling_s
        What the plant file allows [s].

    References
    ----------
    RFC 6298, Computing TCP's Retransmission Timer, section 2.
    """

    __slots__ = ("_ceiling_s", "_deviation_s", "_smoothed_s")

    def __init__(self, ceiling_s: float) -> None:
        self._ceiling_s = ceiling_s
        self._smoothed_s: float | None = None
        self._deviation_s = 0.0

    @property
    def seconds(self) -> float:
        """What holds now [s]."""
        if self._smoothed_s is None:
            return self._ceiling_s
        learned_s = self._smoothed_s + _DEVIATIONS * self._deviation_s
        return min(self._ceiling_s, max(_FLOOR_S, learned_s))

    def answered(self, after_s: float) -> None:
        """Learn from a reply that took so long [s]."""
        if self._smoothed_s is None:
            self._smoothed_s, self._deviation_s = after_s, after_s / 2
            return
        error_s = after_s - self._smoothed_s
        self._deviation_s += _DEVIATION_GAIN * (abs(error_s) - self._deviation_s)
        self._smoothed_s += _GAIN * error_s

    def silent(self) -> None:
        """Forget: perhaps the unit has become slow rather than silent."""
        self._smoothed_s = None
