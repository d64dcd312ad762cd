"""Samples into batches: columns by group, at most so many seconds and readings each."""

from __future__ import annotations

from typing import Any

import msgspec

from edge_agent.poller import Sample
from enpilot.wire import Batch, GroupReadings, encode

__all__ = ["Batcher", "FilledBatch"]

_MAX_EXACT_INTEGER = 2**53


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
        """Return what was collected as a batch, None if there is nothing."""
        samples, self._samples = self._samples, []
        readings, self._readings = self._readings, 0
        if not samples:
            return None
        by_group: dict[int, list[Sample]] = {}
        for sample in samples:
            by_group.setdefault(sample.group, []).append(sample)
        batch = Batch(
            birth=self._birth, groups=[_columns(g, rows) for g, rows in sorted(by_group.items())]
        )
        stamps = [s.ts_us for s in samples]
        return FilledBatch(encode(batch), readings, min(stamps), max(stamps))


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
