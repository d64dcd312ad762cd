"""Thin the oldest batches that were never sent to one value a quarter of an hour (D4).

Numbers, timestamps and register numbers stay as they were read; a reading that was kept says that
its neighbours are gone. A counter loses nothing this way but the shape of the load in between.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from edge_agent.outbox.bodies import packed, unpacked
from enpilot.wire import Batch, GroupReadings, QualityFlag, decode_batch, encode

__all__ = ["thin_oldest", "thinned"]

_MOST_BATCHES: Final = 256
_MOST_READINGS: Final = 1500
_US: Final = 1_000_000


def thin_oldest(db: sqlite3.Connection, to_s: int) -> int | None:
    """Put a run of the oldest batches together, thinned, under the number of the last.

    The numbers before it are never heard of again: the platform books them as a gap, right below a
    batch whose readings are marked thinned.

    Returns
    -------
    int or None
        How many readings it cost; None if there is nothing left to thin.
    """
    start = db.execute(
        "SELECT b.stream, b.birth, b.seq, b.first_us FROM batch b JOIN stream s USING (stream)"
        " WHERE b.state = 'held' AND b.sends = 0 AND b.thinned = 0 AND b.readings > 0"
        " ORDER BY s.opened_us, b.seq LIMIT 1"
    ).fetchone()
    if start is None:
        return None
    stream, birth, first, first_us = start
    run: list[tuple[int, int]] = []
    slots = _Slots(to_s)
    neighbour = db.execute(
        "SELECT body FROM batch WHERE stream = ? AND seq = ? AND thinned = 1 AND birth = ?",
        (stream, first - 1, birth),
    ).fetchone()
    if neighbour is not None:
        slots.leave_out(decode_batch(unpacked(neighbour[0])))
    before = 0
    for rowid, seq, readings, body in db.execute(
        "SELECT rowid, seq, readings, body FROM batch WHERE stream = ? AND seq >= ?"
        " AND state = 'held' AND sends = 0 AND thinned = 0 AND birth = ? ORDER BY seq LIMIT ?",
        (stream, first, birth, _MOST_BATCHES),
    ):
        if run and (seq != run[-1][1] + 1 or slots.readings > _MOST_READINGS):
            break
        slots.add(decode_batch(unpacked(body)))
        run.append((rowid, seq))
        before += readings
    merged, kept = slots.batch(birth), slots.readings
    stamps = [g.ts + d for g in merged.groups for d in g.dt] or [first_us]
    db.execute("BEGIN IMMEDIATE")
    try:
        db.executemany("DELETE FROM batch WHERE rowid = ?", [(r,) for r, _ in run[:-1]])
        db.execute(
            "UPDATE batch SET body = ?, readings = ?, thinned = 1, first_us = ?, last_us = ?"
            " WHERE rowid = ?",
            (packed(encode(merged)), kept, min(stamps), max(stamps), run[-1][0]),
        )
        db.execute("COMMIT")
    except sqlite3.Error:
        db.execute("ROLLBACK")
        raise
    return before - kept


def thinned(batches: list[Batch], to_s: int) -> Batch:
    """Return batches of one birth as one, with the first good sample of each slot of a group.

    Parameters
    ----------
    batches
        In the order of time, at least one.
    to_s
        Length of a slot [s]; slots begin at its multiples since 1970, UTC.
    """
    slots = _Slots(to_s)
    for batch in batches:
        slots.add(batch)
    return slots.batch(batches[0].birth)


class _Slots:
    """The sample that is kept of each group and slot."""

    def __init__(self, to_s: int) -> None:
        self._slot_us = to_s * _US
        self._kept: dict[tuple[int, int], _Sample] = {}
        self._taken: set[tuple[int, int]] = set()
        self.readings = 0

    def leave_out(self, batch: Batch) -> None:
        """Keep nothing of the slots that another batch has good samples of."""
        for group in batch.groups:
            for i, after_us in enumerate(group.dt):
                if _Sample(group, i).good:
                    self._taken.add((group.group, (group.ts + after_us) // self._slot_us))

    def add(self, batch: Batch) -> None:
        for group in batch.groups:
            for i, after_us in enumerate(group.dt):
                key = (group.group, (group.ts + after_us) // self._slot_us)
                held = self._kept.get(key)
                if key in self._taken:
                    continue
                if held is None:
                    self._kept[key] = _Sample(group, i)
                    self.readings += len(group.values)
                elif not held.good and (sample := _Sample(group, i)).good:
                    self._kept[key] = sample

    def batch(self, birth: str) -> Batch:
        by_group: dict[int, list[_Sample]] = {}
        for (number, _), sample in sorted(self._kept.items(), key=lambda item: item[0]):
            by_group.setdefault(number, []).append(sample)
        groups = [
            GroupReadings(
                group=number,
                ts=rows[0].ts,
                dt=[r.ts - rows[0].ts for r in rows],
                late_ms=[r.late_ms for r in rows],
                values=list(map(list, zip(*(r.values for r in rows), strict=True))),
                quality=list(map(list, zip(*(r.quality for r in rows), strict=True))),
            )
            for number, rows in by_group.items()
        ]
        return Batch(birth=birth, groups=groups)


class _Sample:
    """One row of a group, with the mark that its neighbours are gone."""

    __slots__ = ("good", "late_ms", "quality", "ts", "values")

    def __init__(self, group: GroupReadings, i: int) -> None:
        self.ts = group.ts + group.dt[i]
        self.late_ms = group.late_ms[i]
        self.values = [column[i] for column in group.values]
        quality = [0] * len(self.values)
        if group.quality is not None:
            quality = [column[i] for column in group.quality]
        self.good = not any(q & 0xFF for q in quality)
        self.quality = [q | QualityFlag.THINNED for q in quality]
