"""Samples wait here while the wall clock cannot be believed, and are stamped when it can (D17)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from edge_agent.poller import Sample
from enpilot.wire import QualityFlag

__all__ = ["HoldBack"]


class HoldBack:
    """Samples stamped by a steady clock that knows no date.

    Parameters
    ----------
    most_readings
        How many are kept at most; beyond it the oldest give way, and are counted.
    """

    def __init__(self, most_readings: int) -> None:
        self._most = most_readings
        self._samples: deque[Sample] = deque()
        self._held = 0
        self.dropped_readings = 0

    @property
    def readings(self) -> int:
        """How many wait."""
        return self._held

    def take(self, sample: Sample) -> None:
        """Keep a sample."""
        self._samples.append(sample)
        self._held += len(sample.values)
        while self._held > self._most and self._samples:
            gone = len(self._samples.popleft().values)
            self._held -= gone
            self.dropped_readings += gone

    def release(self, offset_us: int) -> Iterator[Sample]:
        """Yield what waits, in order, with the time that the steady clock stands for.

        Parameters
        ----------
        offset_us
            The wall's time less the steady clock's, at one instant [µs].
        """
        self._held = 0
        while self._samples:
            yield _stamped(self._samples.popleft(), offset_us)


def _stamped(sample: Sample, offset_us: int) -> Sample:
    quality: Iterable[int] = sample.quality or [0] * len(sample.values)
    return Sample(
        sample.group,
        # The schedule was that of a clock without a date: what counts is when it was read.
        sample.ts_us + sample.late_ms * 1000 + offset_us,
        0,
        sample.values,
        [q | QualityFlag.CLOCK_HELD for q in quality],
    )
