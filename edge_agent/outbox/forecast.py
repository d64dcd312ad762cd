"""How fast a read plan fills the outbox, by filling batches with such readings and packing them."""

from __future__ import annotations

import random
import struct
from typing import Final

from edge_agent.outbox.bodies import packed
from edge_agent.outbox.space import OutboxLimits
from enpilot.wire import Batch, Birth, GroupDeclaration, GroupReadings, encode, sha256_hex

__all__ = ["bytes_per_day", "hours_of_room"]

_SPAN_S: Final = 120.0
_START_US: Final = 1_780_000_200_000_000
# A row of SQLite with its two index entries, besides the body.
_ROW_BYTES: Final = 260
_INTEGERS: Final = ("int", "uin")


def bytes_per_day(birth: Birth, batch_s: float, batch_readings: int) -> int:
    """Return what a day takes in the outbox [B].

    Parameters
    ----------
    birth
        What is read, and how often.
    batch_s, batch_readings
        When a batch is cut: after so long [s], or with so many readings.

    Notes
    -----
    Counters advance, everything else is noise of five digits: real readings pack no worse.
    """
    noise = random.Random(645)  # noqa: S311  # no secret; the same forecast each time
    readings_per_s = sum(len(g.series) / g.period_s for g in birth.groups)
    cut_s = min(batch_s, batch_readings / readings_per_s) if readings_per_s else batch_s
    name = sha256_hex(encode(birth))
    taken, at_s = 0, 0.0
    while at_s < _SPAN_S:
        groups = [
            filled
            for g in birth.groups
            if (filled := _filled(g, at_s, at_s + cut_s, noise)) is not None
        ]
        at_s += cut_s
        if groups:
            taken += len(packed(encode(Batch(birth=name, groups=groups)))) + _ROW_BYTES
    slow = sum(_slow_bytes(g, noise, name) for g in birth.groups if g.period_s > _SPAN_S)
    return round(taken / at_s * 86_400) + slow


def hours_of_room(bytes_a_day: int, limits: OutboxLimits) -> float:
    """Return for how long the outbox has room without giving anything up [h]."""
    if bytes_a_day == 0:
        return limits.max_h
    return min(limits.max_mb * 2**20 / bytes_a_day * 24, limits.max_h)


def _filled(
    group: GroupDeclaration, from_s: float, to_s: float, noise: random.Random
) -> GroupReadings | None:
    first = -int(-from_s // group.period_s)
    dt = [
        round((k - first) * group.period_s * 1e6)
        for k in range(first, -int(-to_s // group.period_s))
    ]
    if not dt or group.period_s > _SPAN_S:
        return None
    return GroupReadings(
        group=group.group,
        ts=_START_US + round(first * group.period_s * 1e6),
        dt=dt,
        late_ms=[noise.randrange(20) for _ in dt],
        values=[
            [_number(s.raw_type, s.counter is not None, k, noise) for k in range(len(dt))]
            for s in group.series
        ],
    )


def _slow_bytes(group: GroupDeclaration, noise: random.Random, name: str) -> int:
    values: list[list[int | float | str | None]] = [
        [_number(s.raw_type, s.counter is not None, 0, noise)] for s in group.series
    ]
    one = GroupReadings(group=group.group, ts=_START_US, dt=[0], late_ms=[0], values=values)
    body = packed(encode(Batch(birth=name, groups=[one])))
    return round((len(body) + _ROW_BYTES) * 86_400 / group.period_s)


def _number(raw_type: str, counts: bool, step: int, noise: random.Random) -> int | float:
    if raw_type.startswith(_INTEGERS):
        return 12_345_678 + 3 * step if counts else noise.randrange(10_000, 65_536)
    value = round(noise.uniform(100, 1000), 2)
    # A 32-bit float travels exactly, with all the digits that takes.
    return float(struct.unpack("f", struct.pack("f", value))[0]) if raw_type == "float32" else value
