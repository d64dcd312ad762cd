"""One agent's outbox file: what the agent appends, sends and forgets.

SQLite in WAL mode with synchronous FULL: from the commit on a reading survives a power cut. One
stream a start of the agent, so that an outbox that was restored from a backup can never number
fresh readings like old ones (D2).
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_agent.errors import OutboxError, OutboxWriteError
from edge_agent.outbox.bodies import packed, unpacked
from edge_agent.outbox.receipts import Applied, apply, renumber
from edge_agent.outbox.space import (
    OutboxLimits,
    Usage,
    count_dropped,
    forget_confirmed,
    make_room,
    usage,
)
from edge_agent.outbox.tables import get_meta, open_stream, prepare, set_meta
from enpilot.wire import Receipt

__all__ = ["HeldBatch", "Outbox", "OutboxLoad"]

# A batch younger than this is live: it goes out before the backlog.
_LIVE_S: Final = 60.0
# Several workers answer in any order; a lower number later than this is another past (D3, D12).
_IN_ORDER_S: Final = 60.0
# SQLite says so where nothing can be written: a full disk, a medium that went read-only.
_CANNOT_WRITE: Final = (
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY,
)  # fmt: skip

_Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class HeldBatch:
    """A batch to send, with what its envelope needs."""

    stream: str
    seq: int
    first: int
    previous: str | None
    birth: str
    body: bytes
    live: bool = False


@dataclass(frozen=True, slots=True)
class OutboxLoad:
    """What waits for the platform, and how many batches are dead."""

    batches: int
    readings: int
    oldest_us: int | None
    dead: int = 0


class Outbox:
    """One agent's outbox; thread-safe, since the event loop leaves disk work to threads."""

    def __init__(self, file: Path, agent: str, limits: OutboxLimits | None = None) -> None:
        """Open or create the outbox and begin a new stream.

        Raises
        ------
        OutboxError
            If the file cannot be used or belongs to another agent.
        """
        self._file = file
        self._limits = limits or OutboxLimits()
        self._lock = threading.Lock()
        self._seq = 0
        self._young: deque[tuple[float, int]] = deque()
        self._heard_s = time.monotonic()
        self._bytes = 0
        self._since_s = time.monotonic()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise OutboxError(f"{file}: the outbox cannot be used: {error}") from error
        try:
            with self._use():
                prepare(self._db, file, agent)
                self.stream = open_stream(self._db)
        except (OutboxError, OutboxWriteError):
            self._db.close()
            raise

    @contextlib.contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        """One thread at a time; what SQLite reports names the file."""
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                code = getattr(error, "sqlite_errorcode", 0) & 0xFF
                if code in _CANNOT_WRITE:
                    raise OutboxWriteError(
                        f"{self._file}: the outbox cannot be written: {error}: make room on its "
                        "disk, or see why the disk refuses"
                    ) from error
                raise OutboxError(f"{self._file}: the outbox cannot be used: {error}") from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that a power cut may undo, with all that follow it: never a reading's.

        What it says is said again by the platform, and flash memory wears by each flush. It is on
        disk at the latest with the next batch.
        """
        with self._use() as db:
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # a full disk has rolled back already
                    db.execute("ROLLBACK")
                raise
            else:
                db.execute("COMMIT")
            finally:
                db.execute("PRAGMA synchronous = FULL")

    def _settle(self) -> None:
        """Bring what was changed so far to disk, before anything is sent under a new number."""
        with self._use() as db:
            set_meta(db, "settled_us", str(time.time_ns() // 1000))

    def keep_birth(self, sha256: str, body: bytes) -> None:
        """Keep a birth as long as a batch quotes it."""
        with self._use() as db:
            db.execute("INSERT OR IGNORE INTO birth VALUES (?, ?)", (sha256, body))

    def births(self, current: Sequence[str]) -> list[tuple[str, bytes]]:
        """Return the births that held batches quote, and last those in force."""
        with self._use() as db:
            bodies = dict(
                db.execute(
                    "SELECT sha256, body FROM birth WHERE sha256 IN"
                    " (SELECT birth FROM batch WHERE state = 'held')"
                )
            )
            for sha256 in current:
                bodies.pop(sha256, None)
                bodies |= db.execute(
                    "SELECT sha256, body FROM birth WHERE sha256 = ?", (sha256,)
                ).fetchall()
            return list(bodies.items())

    def append(self, birth: str, body: bytes, readings: int, first_us: int, last_us: int) -> int:
        """Number a batch and commit it; from here on its readings cannot be lost.

        Returns
        -------
        int
            Its number in the current stream.

        Raises
        ------
        OutboxWriteError
            If nothing can be written now; no number is lost.
        """
        kept = packed(body)
        with self._use() as db:
            seq = self._seq + 1
            db.execute(
                "INSERT INTO batch (stream, seq, birth, readings, first_us, last_us, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (self.stream, seq, birth, readings, first_us, last_us, kept),
            )
            self._seq = seq
            self._bytes += len(kept)
            self._young.append((time.monotonic(), seq))
            return seq

    def next_held(
        self, most: int, in_flight: Collection[_Key] = (), *, backlog: int | None = None
    ) -> list[HeldBatch]:
        """Return batches to send: live ones first, then the backlog from its oldest on.

        Parameters
        ----------
        most
            How many at most.
        in_flight
            Which are on their way.
        backlog
            How many of them may be of the backlog; left out, all.
        """
        with self._use() as db:
            live_from = self._live_from()
            wanted = self._pick(db, most, in_flight, self.stream, live_from, None)
            live = len(wanted)
            room = min(most - len(wanted), most if backlog is None else backlog)
            for (stream,) in self._streams_held(db) if room > 0 else ():
                before = live_from if stream == self.stream else None
                found = self._pick(db, room, in_flight, stream, 1, before)
                wanted += found
                room -= len(found)
                if room <= 0:
                    break
            return [self._batch(db, key, i < live) for i, key in enumerate(wanted)]

    def probe(self, *, newest: bool) -> HeldBatch | None:
        """Return the batch that waits longest, or the newest one; None if nothing waits."""
        with self._use() as db:
            streams = self._streams_held(db)
            if not streams:
                return None
            (stream,) = streams[-1] if newest else streams[0]
            (seq,) = db.execute(
                f"SELECT {'max' if newest else 'min'}(seq) FROM batch"
                " WHERE state = 'held' AND stream = ?",
                (stream,),
            ).fetchone()
            return self._batch(db, (stream, seq), live=False)

    def _live_from(self) -> int:
        young_s = time.monotonic() - _LIVE_S
        while self._young and self._young[0][0] < young_s:
            self._young.popleft()
        return self._young[0][1] if self._young else self._seq + 1

    @staticmethod
    def _streams_held(db: sqlite3.Connection) -> list[tuple[str]]:
        return db.execute(
            "SELECT stream FROM stream s WHERE EXISTS"
            " (SELECT 1 FROM batch b WHERE b.state = 'held' AND b.stream = s.stream)"
            " ORDER BY opened_us"
        ).fetchall()

    @staticmethod
    def _pick(
        db: sqlite3.Connection,
        most: int,
        in_flight: Collection[_Key],
        stream: str,
        start: int,
        before: int | None,
    ) -> list[_Key]:
        skip = sum(s == stream for s, _ in in_flight)
        rows = db.execute(
            "SELECT seq FROM batch WHERE state = 'held' AND stream = ? AND seq >= ? AND seq < ?"
            " ORDER BY seq LIMIT ?",
            (stream, start, 1 << 62 if before is None else before, most + skip),
        )
        return [(stream, seq) for (seq,) in rows if (stream, seq) not in in_flight][:most]

    @staticmethod
    def _batch(db: sqlite3.Connection, key: _Key, live: bool) -> HeldBatch:
        row = db.execute(
            "SELECT s.previous, b.birth, b.body,"
            " (SELECT min(f.seq) FROM batch f WHERE f.state = 'held' AND f.stream = b.stream),"
            " (SELECT min(f.seq) FROM batch f WHERE f.state = 'confirmed' AND f.stream = b.stream)"
            " FROM batch b JOIN stream s USING (stream) WHERE b.stream = ? AND b.seq = ?",
            key,
        ).fetchone()
        # What is confirmed can be sent again, so it is no gap to a database that was put back.
        first = min(seq for seq in row[3:] if seq is not None)
        return HeldBatch(*key, first, row[0], row[1], unpacked(row[2]), live)

    def note_sent(self, batches: Sequence[HeldBatch], *, answered: bool = True) -> None:
        """Count a send of each; call it before sending.

        Parameters
        ----------
        answered
            The platform answers these days, so a batch that is passed over is so for its own sake.
        """
        if not batches:
            return
        with self._transaction() as db:
            db.executemany(
                "UPDATE batch SET sends = sends + 1, overtaken = overtaken + (?3 AND EXISTS"
                " (SELECT 1 FROM batch k WHERE k.state = 'confirmed' AND k.stream = ?1"
                " AND k.seq > ?2)) WHERE stream = ?1 AND seq = ?2",
                [(b.stream, b.seq, answered) for b in batches],
            )

    def apply_receipt(self, receipt: Receipt, *, retained: bool = False) -> Applied:
        """Mark what the platform has, and what it has no longer.

        A receipt older than one already applied, of the same database, is ignored: several ingest
        workers answer in any order (D12). If the numbers stay lower the database fell back.

        Parameters
        ----------
        retained
            The broker had kept it: it says nothing new about the order of receipts.
        """
        if not receipt.streams:
            return Applied()
        with self._transaction() as db:
            fell = False
            if get_meta(db, "db") == receipt.db:
                highest = int(get_meta(db, "commit_no") or 0)
                if receipt.commit_no < highest:
                    if retained or time.monotonic() - self._heard_s < _IN_ORDER_S:
                        return Applied()
                    fell = True
            now_us = time.time_ns() // 1000
            applied = apply(db, receipt, self.stream, self._seq, now_us, fell)
            self._heard_s = time.monotonic()
            if applied.stream is not None:
                row = db.execute(
                    "SELECT coalesce(max(seq), 0) FROM batch WHERE stream = ?", (applied.stream,)
                ).fetchone()
                self.stream, self._seq = applied.stream, int(row[0])
                self._young.clear()
        if applied.renumbered:
            self._settle()
        return applied

    def tidy(self, births: Collection[str]) -> int:
        """Forget what was confirmed long ago, give up what is over the limits; return the cost.

        Dead batches that were requeued get new numbers; ``births`` are those in force.

        Returns
        -------
        int
            Readings that were dropped or thinned away.
        """
        with self._transaction() as db:
            requeued = renumber(db, "requeued", self.stream, self._seq)
            self._seq += requeued
        if requeued:
            self._settle()
        now_us = time.time_ns() // 1000
        self.forget_confirmed(self._limits.keep_confirmed_h * 3600, births)
        with self._use() as db:
            return make_room(db, self._file, self._limits, now_us)

    def forget_confirmed(self, keep_s: float, births: Collection[str]) -> int:
        """Delete what was confirmed longer than ``keep_s`` ago [s]; return how many batches.

        Parameters
        ----------
        births
            Those in force, which stay.
        """
        with self._transaction() as db:
            return forget_confirmed(db, keep_s, births, time.time_ns() // 1000)

    def count_dropped(self, readings: int) -> None:
        """Count readings that never got into the outbox."""
        with self._use() as db:
            count_dropped(db, readings)

    def load(self) -> OutboxLoad:
        """Return what waits."""
        with self._use() as db:
            waits = db.execute(
                "SELECT count(*), coalesce(sum(readings), 0), min(first_us) FROM batch"
                " WHERE state = 'held'"
            ).fetchone()
            dead = db.execute("SELECT count(*) FROM batch WHERE state = 'dead'").fetchone()
        return OutboxLoad(waits[0], waits[1], waits[2], int(dead[0]))

    def confirmed_streams(self) -> list[str]:
        """Return the streams of which confirmed batches are kept, the newest first, at most 64."""
        with self._use() as db:
            rows = db.execute(
                "SELECT stream FROM stream s WHERE EXISTS (SELECT 1 FROM batch b"
                " WHERE b.state = 'confirmed' AND b.stream = s.stream)"
                " ORDER BY opened_us DESC LIMIT 64"
            ).fetchall()
        return [stream for (stream,) in rows]

    def usage(self) -> Usage:
        """Return what the outbox takes on disk, and what it has given up."""
        with self._use() as db:
            return usage(db, self._file, self._limits)

    def hours_left(self) -> float | None:
        """Return for how long there is room at the present rate [h]; None before anything came.

        Confirmed batches count as room, since they give way.
        """
        with self._use() as db:
            state = usage(db, self._file, self._limits)
            spare = db.execute(
                "SELECT coalesce(sum(readings), 0) FROM batch WHERE state = 'confirmed'"
            ).fetchone()
        if self._bytes == 0:
            return None
        per_s = self._bytes / max(1.0, time.monotonic() - self._since_s)
        room = max(0, state.limit_bytes - state.used_bytes)
        room += round(int(spare[0]) * (state.bytes_per_reading or 0.0))
        return min(room / per_s / 3600, self._limits.max_h)

    def newest_us(self) -> int | None:
        """Return the latest time of a reading [µs since 1970]; None if the outbox is empty."""
        with self._use() as db:
            row = db.execute("SELECT max(last_us) FROM batch").fetchone()
        return None if row[0] is None else int(row[0])

    def readings_committed(self) -> int:
        """Return how many readings all batches still on disk hold, in any state."""
        with self._use() as db:
            row = db.execute("SELECT coalesce(sum(readings), 0) FROM batch").fetchone()
        return int(row[0])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()
