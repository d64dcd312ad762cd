"""Samples into batches: columns by group, at most so many seconds, readings and bytes each."""

from __future__ import annotations

from typing import Any

import msgspec

from edge_agent.poller import Sample
from enpilot.wire import MAX_WIRE_BYTES, Batch, GroupReadings, encode

__all__ = ["Batcher", "FilledBatch"]

_MAX_EXACT_INTEGER = 2**53
# Plain, so that a batch also fits where compression is off; the rest is for the envelope.
_MAX_BYTES = MAX_WIRE_BYTES - 1024


class FilledBatch(msgspec.Struct, frozen=True):
    """The bytes of a batch, which never change again, and what the outbox notes beside them."""

    body: bytes
    readings: int
    first_us: int
    last_us: int


class Batcher:
    """Collect samples until a batch is cut.

    What is in here is not yet in the outbox: the batch period is the most that a power cut can
    cost.
    """

    def __init__(self, birth: str, max_readings: int) -> None:
        self._birth = birth
        self._max_readings = max_readings
        self._samples: list[Sample] = []
        self._readings = 0

    def add(self, sample: Sample) -> None:
        """Take a sample."""
        self._samples.append(sample)
        self._readings += len(sample.values)

    @property
    def full(self) -> bool:
        """Whether the batch should be cut before its time."""
        return self._readings >= self._max_readings

    def cut(self) -> FilledBatch | None:
        """Return the oldest samples as a batch, None if there is nothing.

        Call it until it returns None: what piles up while the disk is slow takes several batches.
        """
        count, readings = 0, 0
        for sample in self._samples:
            if count and readings + len(sample.values) > self._max_readings:
                break
            count, readings = count + 1, readings + len(sample.values)
        if count == 0:
            return None
        body = self._encode(self._samples[:count])
        while len(body) > _MAX_BYTES and count > 1:
            count //= 2
            body = self._encode(self._samples[:count])
        samples = self._samples[:count]
        del self._samples[:count]
        readings = sum(len(s.values) for s in samples)
        self._readings -= readings
        stamps = [s.ts_us for s in samples]
        return FilledBatch(body, readings, min(stamps), max(stamps))

    def _encode(self, samples: list[Sample]) -> bytes:
        by_group: dict[int, list[Sample]] = {}
        for sample in samples:
            by_group.setdefault(sample.group, []).append(sample)
        groups = [_columns(g, rows) for g, rows in sorted(by_group.items())]
        return encode(Batch(birth=self._birth, groups=groups))


def _columns(group: int, samples: list[Sample]) -> GroupReadings:
    base = samples[0].ts_us
    width = len(samples[0].values)
    all_good = not any(any(s.quality) for s in samples)
    return GroupReadings(
        group=group,
        ts=base,
        dt=[s.ts_us - base for s in samples],
        late_ms=[s.late_ms for s in samples],
        values=[[_on_wire(s.values[i]) for s in samples] for i in range(width)],
        quality=None if all_good else [[s.quality[i] for s in samples] for i in range(width)],
    )


def _on_wire(value: Any) -> Any:
    # JSON readers of other make lose digits beyond 2**53.
    if isinstance(value, int) and abs(value) > _MAX_EXACT_INTEGER:
        return str(value)
    return value
