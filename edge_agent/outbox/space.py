"""How much the outbox may hold, and what gives way when it is full.

First what is confirmed, oldest first. Then, by policy, either the oldest batches, or the resolution
of the oldest batches that were never sent: 15-minute values are kept for up to six months, as the
national rule for end devices of key energy users asks.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from edge_agent.outbox.tables import get_meta, set_meta
from edge_agent.outbox.thinning import thin_oldest
from enpilot.wire import Batch, encode

__all__ = ["OutboxLimits", "Usage", "count_dropped", "forget_confirmed", "make_room", "usage"]

_CHUNK: Final = 64
# Room is made down to this share of the limit, so that it is not made for every batch.
_ENOUGH: Final = 0.95
_FULL_DISK_SHARE: Final = 0.98
_SIX_MONTHS_H: Final = 184 * 24


class OutboxLimits(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How much is kept.

    ``max_mb`` [MiB] and ``max_h`` [h] bound what waits for the platform; ``keep_free_mb`` [MiB]
    stays free on the disk for others. ``policy`` says what gives way once nothing confirmed is
    left: "thin" keeps one value every ``thin_to_s`` [s] of the oldest batches, "drop_oldest" does
    not. ``keep_confirmed_h`` [h] is for how old a backup the platform can be put back to without
    losing a reading.
    """

    max_mb: Annotated[float, Meta(gt=0)] = 1024.0
    max_h: Annotated[float, Meta(gt=0)] = float(_SIX_MONTHS_H)
    keep_free_mb: Annotated[float, Meta(ge=0)] = 64.0
    policy: Literal["thin", "drop_oldest"] = "thin"
    thin_to_s: Annotated[int, Meta(ge=60, le=3600)] = 900
    keep_confirmed_h: Annotated[float, Meta(ge=0)] = 72.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What the outbox takes and what it has given up since it was made.

    ``used_bytes`` of ``limit_bytes`` are taken by ``readings`` in all states.
    """

    used_bytes: int
    limit_bytes: int
    readings: int
    dropped_readings: int
    thinned_readings: int

    @property
    def bytes_per_reading(self) -> float | None:
        """Bytes on disk a reading [B]; None if there is none."""
        return self.used_bytes / self.readings if self.readings else None


def usage(db: sqlite3.Connection, file: Path, limits: OutboxLimits) -> Usage:
    """Return what the outbox takes."""
    used = _used_bytes(db)
    disk = os.statvfs(file.parent)
    room = disk.f_bavail * disk.f_frsize - round(limits.keep_free_mb * 2**20)
    size = int(db.execute("PRAGMA page_count").fetchone()[0]) * _page_bytes(db)
    # On a full disk the file keeps what it has, and makes room inside it.
    may_be = size + room if room > 0 else round(size * _FULL_DISK_SHARE)
    row = db.execute("SELECT coalesce(sum(readings), 0) FROM batch").fetchone()
    return Usage(
        used,
        min(round(limits.max_mb * 2**20), may_be),
        int(row[0]),
        int(get_meta(db, "dropped_readings") or 0),
        int(get_meta(db, "thinned_readings") or 0),
    )


def make_room(db: sqlite3.Connection, file: Path, limits: OutboxLimits, now_us: int) -> int:
    """Give up what is over the limits; return how many readings that cost.

    Each step is a transaction of its own: a kill in between leaves some steps undone, no more.
    """
    cost = _drop_held(db, now_us - round(limits.max_h * 3.6e9))
    state = usage(db, file, limits)
    if state.used_bytes <= state.limit_bytes:
        return cost
    enough = int(state.limit_bytes * _ENOUGH)
    while _used_bytes(db) > enough and _forget_oldest(db):
        pass
    while limits.policy == "thin" and _used_bytes(db) > enough:
        gone = thin_oldest(db, limits.thin_to_s)
        if gone is None:
            break
        cost += gone
        count_dropped(db, gone, "thinned_readings")
    while _used_bytes(db) > enough:
        batches, gone = _drop_some(db, None)
        if batches == 0:
            break
        cost += gone
    return cost


def forget_confirmed(
    db: sqlite3.Connection, keep_s: float, births: Collection[str], now_us: int
) -> int:
    """Delete what was confirmed longer than ``keep_s`` ago [s]; return how many batches.

    Of each stream only from its beginning: what is left of it always ends with its last batch, so
    that a gap is below what is sent again, where the platform sees it.
    """
    limit_us = now_us - int(keep_s * 1_000_000)
    gone = db.execute(
        "DELETE FROM batch WHERE state = 'confirmed' AND confirmed_us < ?1 AND seq <"
        " coalesce((SELECT min(k.seq) FROM batch k WHERE k.stream = batch.stream AND"
        " (k.state = 'held' OR (k.state = 'confirmed' AND k.confirmed_us >= ?1))), 1 << 62)",
        (limit_us,),
    ).rowcount
    if gone:
        _forget_births(db, births)
    return gone


def count_dropped(db: sqlite3.Connection, readings: int, name: str = "dropped_readings") -> None:
    """Add to what was given up since the outbox was made."""
    if readings:
        set_meta(db, name, str(int(get_meta(db, name) or 0) + readings))


def _page_bytes(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA page_size").fetchone()[0])


def _used_bytes(db: sqlite3.Connection) -> int:
    pages = int(db.execute("PRAGMA page_count").fetchone()[0])
    return (pages - int(db.execute("PRAGMA freelist_count").fetchone()[0])) * _page_bytes(db)


def _forget_births(db: sqlite3.Connection, current: Collection[str]) -> None:
    unquoted = db.execute(
        "SELECT sha256 FROM birth WHERE sha256 NOT IN (SELECT birth FROM batch)"
    ).fetchall()
    db.executemany(
        "DELETE FROM birth WHERE sha256 = ?", [row for row in unquoted if row[0] not in current]
    )


def _forget_oldest(db: sqlite3.Connection) -> int:
    """Delete some confirmed batches, the longest confirmed first, their stream's last excepted."""
    return db.execute(
        "DELETE FROM batch WHERE rowid IN (SELECT b.rowid FROM batch b JOIN stream s USING (stream)"
        " WHERE b.state = 'confirmed' AND EXISTS (SELECT 1 FROM batch k"
        " WHERE k.stream = b.stream AND k.seq > b.seq) ORDER BY s.opened_us, b.seq LIMIT ?)",
        (_CHUNK,),
    ).rowcount


def _drop_held(db: sqlite3.Connection, before_us: int) -> int:
    """Drop what waits for longer than it may; return how many readings."""
    cost = 0
    while True:
        batches, gone = _drop_some(db, before_us)
        cost += gone
        if batches == 0:
            return cost


def _drop_some(db: sqlite3.Connection, before_us: int | None) -> tuple[int, int]:
    """Drop some of the oldest batches that wait or are dead; return batches and readings.

    The last batch of a stream stays, by itself or as an empty one with its number, so that the
    platform hears of the gap before it.
    """
    oldest = db.execute(
        "SELECT b.rowid, b.readings, b.birth, NOT EXISTS (SELECT 1 FROM batch k"
        " WHERE k.stream = b.stream AND k.seq > b.seq)"
        " FROM batch b JOIN stream s USING (stream)"
        " WHERE b.state <> 'confirmed' AND b.readings > 0 AND (?1 IS NULL OR b.last_us < ?1)"
        " AND (b.sends = 0 OR EXISTS (SELECT 1 FROM batch k"
        " WHERE k.stream = b.stream AND k.seq > b.seq))"
        " ORDER BY s.opened_us, b.seq LIMIT ?2",
        (before_us, _CHUNK),
    ).fetchall()
    gone = [(rowid, readings) for rowid, readings, _, last in oldest if not last]
    emptied = [
        (encode(Batch(birth=birth, groups=[])), rowid, readings)
        for rowid, readings, birth, last in oldest
        if last
    ]
    cost = sum(r for _, r in gone) + sum(r for _, _, r in emptied)
    db.execute("BEGIN IMMEDIATE")
    try:
        db.executemany("DELETE FROM batch WHERE rowid = ?", [(rowid,) for rowid, _ in gone])
        db.executemany(
            "UPDATE batch SET body = ?, readings = 0 WHERE rowid = ?",
            [(body, rowid) for body, rowid, _ in emptied],
        )
        count_dropped(db, cost)
        db.execute("COMMIT")
    except sqlite3.Error:
        db.execute("ROLLBACK")
        raise
    return len(gone) + len(emptied), cost
