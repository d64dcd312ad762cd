"""The outbox: every reading, on disk, until the platform confirms it (D2-D4, D13).

Numbered batches whose bytes never change. One stream a start of the agent, so that an outbox that
was restored from a backup can never number fresh readings like old ones. SQLite in WAL mode with
synchronous FULL: from the commit on a reading survives a power cut.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from edge_agent.errors import OutboxError
from enpilot.wire import Batch, Receipt, decode_batch

__all__ = ["HeldBatch", "Outbox", "OutboxLoad", "StreamLoad", "read_batches", "read_streams"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stream (
    stream TEXT PRIMARY KEY, previous TEXT, opened_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS birth (sha256 TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batch (
    stream TEXT NOT NULL REFERENCES stream,
    seq INTEGER NOT NULL,
    birth TEXT NOT NULL REFERENCES birth,
    body BLOB NOT NULL,
    readings INTEGER NOT NULL,
    first_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'confirmed', 'dead')),
    refusal_code TEXT,
    sends INTEGER NOT NULL DEFAULT 0,
    confirmed_us INTEGER,
    PRIMARY KEY (stream, seq)
);
CREATE INDEX IF NOT EXISTS batch_state ON batch (state, stream, seq);
"""
_VERSION: Final = "1"


@dataclass(frozen=True, slots=True)
class HeldBatch:
    """A batch to send, with what its envelope needs."""

    stream: str
    seq: int
    first: int
    previous: str | None
    birth: str
    body: bytes


@dataclass(frozen=True, slots=True)
class OutboxLoad:
    """What waits for the platform."""

    batches: int
    readings: int
    oldest_us: int | None


@dataclass(frozen=True, slots=True)
class StreamLoad:
    """What an outbox still has of one stream; ``complete`` if nothing of it was forgotten yet."""

    stream: str
    batches: int
    readings: int
    held: int
    dead: int
    complete: bool


def read_streams(file: Path) -> list[StreamLoad]:
    """Read, from outside, what an outbox holds; safe while its agent runs.

    Raises
    ------
    OutboxError
        If there is no such outbox.
    """
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{quote(str(file.resolve()))}?mode=ro", uri=True)
        ) as db:
            rows = db.execute(
                "SELECT stream, count(*), sum(readings), sum(state = 'held'), sum(state = 'dead'),"
                " min(seq) = 1 FROM batch GROUP BY stream ORDER BY stream"
            ).fetchall()
    except sqlite3.Error as error:
        raise OutboxError(f"{file}: the outbox cannot be read: {error}") from error
    return [StreamLoad(a, b, c, d, e, bool(f)) for a, b, c, d, e, f in rows]


def read_batches(file: Path) -> Iterator[Batch]:
    """Read, from outside, the batches that an outbox still has, those confirmed too.

    Raises
    ------
    OutboxError
        If there is no such outbox.
    """
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{quote(str(file.resolve()))}?mode=ro", uri=True)
        ) as db:
            for (body,) in db.execute("SELECT body FROM batch ORDER BY stream, seq"):
                yield decode_batch(body)
    except sqlite3.Error as error:
        raise OutboxError(f"{file}: the outbox cannot be read: {error}") from error


class Outbox:
    """One agent's outbox; thread-safe, since the event loop leaves disk work to threads."""

    def __init__(self, file: Path, agent: str) -> None:
        """Open or create the outbox and begin a new stream.

        Raises
        ------
        OutboxError
            If the file cannot be used or belongs to another agent.
        """
        self._file = file
        self._lock = threading.Lock()
        self._seq = 0
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise OutboxError(f"{file}: the outbox cannot be used: {error}") from error
        try:
            with self._use():
                self._prepare(agent)
                self.stream = self._open_stream()
        except OutboxError:
            self._db.close()
            raise

    def _prepare(self, agent: str) -> None:
        # Looked at before anything is written, so that no other program's file is changed.
        tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master")}
        if tables and not {"meta", "stream", "birth", "batch"} <= tables:
            raise OutboxError(
                f"{self._file}: this is another program's SQLite file: name another file"
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        # One transaction: a kill in the middle leaves all of it or nothing.
        self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        for name, wanted in (("version", _VERSION), ("agent", agent)):
            held = self._meta(name)
            if held is None:
                self._set_meta(name, wanted)
            elif held != wanted:
                raise OutboxError(
                    f"{self._file}: this outbox has {name} {held!r}, not {wanted!r}: name another "
                    "file"
                )

    @contextlib.contextmanager
    def _use(self) -> Iterator[None]:
        """One thread at a time; what SQLite reports names the file."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise OutboxError(f"{self._file}: the outbox cannot be used: {error}") from error

    def _open_stream(self) -> str:
        stream = str(_uuid7())
        # The one that none succeeded, whatever the clock said when it was opened.
        row = self._db.execute(
            "SELECT stream FROM stream WHERE stream NOT IN"
            " (SELECT previous FROM stream WHERE previous IS NOT NULL)"
            " ORDER BY opened_us DESC LIMIT 1"
        )
        previous = row.fetchone()
        self._db.execute(
            "INSERT INTO stream VALUES (?, ?, ?)",
            (stream, previous and previous[0], time.time_ns() // 1000),
        )
        return stream

    def keep_birth(self, sha256: str, body: bytes) -> None:
        """Keep a birth as long as a batch quotes it."""
        with self._use():
            self._db.execute("INSERT OR IGNORE INTO birth VALUES (?, ?)", (sha256, body))

    def births(self, current: str) -> list[tuple[str, bytes]]:
        """Return the births that held batches quote, and last the current one."""
        with self._use():
            return self._db.execute(
                "SELECT sha256, body FROM birth WHERE sha256 = ?1"
                " OR sha256 IN (SELECT birth FROM batch WHERE state = 'held')"
                " ORDER BY sha256 = ?1",
                (current,),
            ).fetchall()

    def append(self, birth: str, body: bytes, readings: int, first_us: int, last_us: int) -> int:
        """Number a batch and commit it; from here on its readings cannot be lost.

        Returns
        -------
        int
            Its number in the current stream.
        """
        with self._use():
            seq = self._seq + 1
            self._db.execute(
                "INSERT INTO batch (stream, seq, birth, body, readings, first_us, last_us)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (self.stream, seq, birth, body, readings, first_us, last_us),
            )
            self._seq = seq
            return seq

    def next_held(self, most: int, in_flight: set[tuple[str, int]]) -> list[HeldBatch]:
        """Return batches to send: those of the running stream first, the backlog behind them."""
        with self._use():
            rows = self._db.execute(
                "SELECT b.stream, b.seq, s.previous, b.birth, b.body,"
                " (SELECT min(f.seq) FROM batch f WHERE f.stream = b.stream AND f.state = 'held')"
                " FROM batch b JOIN stream s USING (stream) WHERE b.state = 'held'"
                " ORDER BY b.stream = ? DESC, s.opened_us, b.seq LIMIT ?",
                (self.stream, most + len(in_flight)),
            ).fetchall()
        held = [HeldBatch(r[0], r[1], r[5], r[2], r[3], r[4]) for r in rows]
        return [b for b in held if (b.stream, b.seq) not in in_flight][:most]

    def note_sent(self, batch: HeldBatch) -> None:
        """Count a send."""
        with self._use():
            self._db.execute(
                "UPDATE batch SET sends = sends + 1 WHERE stream = ? AND seq = ?",
                (batch.stream, batch.seq),
            )

    def apply_receipt(self, receipt: Receipt) -> int:
        """Mark what the platform has; return how many batches that confirmed.

        A receipt older than one already applied, of the same database, is ignored: several ingest
        workers answer in any order (D12).
        """
        if not receipt.streams:
            return 0
        now_us = time.time_ns() // 1000
        with self._use():
            if self._meta("db") == receipt.db and receipt.commit_no < int(
                self._meta("commit_no") or 0
            ):
                return 0
            self._db.execute("BEGIN IMMEDIATE")
            confirmed = 0
            try:
                for entry in receipt.streams:
                    for seq, code in entry.refused:
                        confirmed += self._db.execute(
                            "UPDATE batch SET state = 'dead', refusal_code = ?, confirmed_us = ?"
                            " WHERE stream = ? AND seq = ? AND state = 'held'",
                            (code, now_us, entry.stream, seq),
                        ).rowcount
                    for low, high in [(1, entry.through), *entry.ahead]:
                        confirmed += self._db.execute(
                            "UPDATE batch SET state = 'confirmed', confirmed_us = ?"
                            " WHERE stream = ? AND seq BETWEEN ? AND ? AND state = 'held'",
                            (now_us, entry.stream, low, high),
                        ).rowcount
                self._set_meta("db", receipt.db)
                self._set_meta("commit_no", str(receipt.commit_no))
                self._db.execute("COMMIT")
            except sqlite3.Error:
                self._db.execute("ROLLBACK")
                raise
            return confirmed

    def forget_confirmed(self, keep_s: float, current_birth: str) -> int:
        """Delete what was confirmed longer than ``keep_s`` ago [s]; return how many batches."""
        limit = time.time_ns() // 1000 - int(keep_s * 1_000_000)
        with self._use():
            gone = self._db.execute(
                "DELETE FROM batch WHERE state = 'confirmed' AND confirmed_us < ?", (limit,)
            ).rowcount
            if gone:
                self._db.execute(
                    "DELETE FROM birth WHERE sha256 <> ? AND sha256 NOT IN"
                    " (SELECT birth FROM batch)",
                    (current_birth,),
                )
            return gone

    def load(self) -> OutboxLoad:
        """Return what waits."""
        with self._use():
            row = self._db.execute(
                "SELECT count(*), coalesce(sum(readings), 0), min(first_us) FROM batch"
                " WHERE state = 'held'"
            ).fetchone()
        return OutboxLoad(*row)

    def readings_committed(self) -> int:
        """Return how many readings all batches still on disk hold, in any state."""
        with self._use():
            row = self._db.execute("SELECT coalesce(sum(readings), 0) FROM batch").fetchone()
        return int(row[0])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _meta(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def _set_meta(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def _uuid7() -> uuid.UUID:
    """Return a UUID of version 7 (RFC 9562): it begins with the time, so streams sort."""
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(uuid.uuid4().bytes[6:], "big")
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=number)
