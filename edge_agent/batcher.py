"""Samples into batches: columns by group, at most so many seconds, readings and bytes each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from edge_agent.poller import Sample
from enpilot.wire import MAX_WIRE_BYTES, Batch, Birth, GroupReadings, encode

__all__ = ["Batcher", "FilledBatch", "wide_groups"]

_MAX_EXACT_INTEGER = 2**53
# Plain, so that a batch also fits where compression is off; the rest is for the envelope.
_MAX_BYTES = MAX_WIRE_BYTES - 1024


class FilledBatch(msgspec.Struct, frozen=True):
    """The bytes of a batch, which never change again, and what the outbox notes beside them."""

    birth: str
    body: bytes
    readings: int
    first_us: int
    last_us: int


def wide_groups(birth: Birth) -> frozenset[int]:
    """Return the groups that have a 64-bit integer among their columns."""
    return frozenset(
        g.group for g in birth.groups if any(s.raw_type in ("int64", "uint64") for s in g.series)
    )


class Batcher:
    """Collect samples until a batch is cut.

    What is in here is not yet in the outbox: the batch period is the most that a power cut can
    cost.

    Parameters
    ----------
    birth
        SHA-256 of the birth whose groups the samples are of.
    max_readings
        How many a batch holds at most.
    wide_groups
        See `wide_groups`.
    """

    def __init__(
        self, birth: str, max_readings: int, wide_groups: frozenset[int] = frozenset()
    ) -> None:
        self._birth = birth
        self._wide_groups = wide_groups
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
        return FilledBatch(self._birth, body, readings, min(stamps), max(stamps))

    def _encode(self, samples: list[Sample]) -> bytes:
        by_group: dict[int, list[Sample]] = {}
        for sample in samples:
            by_group.setdefault(sample.group, []).append(sample)
        groups = [_columns(g, rows, g in self._wide_groups) for g, rows in sorted(by_group.items())]
        return encode(Batch(birth=self._birth, groups=groups))


def _columns(group: int, samples: list[Sample], wide: bool) -> GroupReadings:
    base = samples[0].ts_us
    # Tuples: a batch of many groups has thousands of columns, and lists would wake the collector.
    columns: list[Sequence[int | float | str | None]] = list(
        zip(*(s.values for s in samples), strict=True)
    )
    if wide:
        columns = [[_on_wire(value) for value in column] for column in columns]
    quality = None
    if any(s.quality is not None and any(s.quality) for s in samples):
        good = [0] * len(columns)
        rows = [good if s.quality is None else s.quality for s in samples]
        quality = list(zip(*rows, strict=True))
    return GroupReadings(
        group=group,
        ts=base,
        dt=[s.ts_us - base for s in samples],
        late_ms=[s.late_ms for s in samples],
        values=columns,
        quality=quality,
    )


def _on_wire(value: Any) -> Any:
    # JSON readers of other make lose digits beyond 2**53.
    if isinstance(value, int) and abs(value) > _MAX_EXACT_INTEGER:
        return str(value)
    return value
