"""The tables of the outbox, and how it is opened.

States of a batch: ``held`` waits for the platform, ``confirmed`` is kept as its second life,
``dead`` was refused or never answered, ``requeued`` is dead no longer: it gets a new number.
``overtaken`` counts the sends of a batch after a later one of its stream was confirmed.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from pathlib import Path
from typing import Final

from edge_agent.errors import OutboxError

__all__ = ["TABLES", "get_meta", "open_stream", "prepare", "set_meta"]

TABLES: Final = frozenset({"meta", "stream", "birth", "batch"})
_VERSION: Final = "2"
# The body is last: SQLite then reads the numbers before it without walking through it.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stream (
    stream TEXT PRIMARY KEY, previous TEXT, opened_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS birth (sha256 TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batch (
    stream TEXT NOT NULL REFERENCES stream,
    seq INTEGER NOT NULL,
    birth TEXT NOT NULL REFERENCES birth,
    readings INTEGER NOT NULL,
    first_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'held'
        CHECK (state IN ('held', 'confirmed', 'dead', 'requeued')),
    refusal_code TEXT,
    sends INTEGER NOT NULL DEFAULT 0,
    overtaken INTEGER NOT NULL DEFAULT 0,
    confirmed_us INTEGER,
    thinned INTEGER NOT NULL DEFAULT 0,
    body BLOB NOT NULL,
    PRIMARY KEY (stream, seq)
);
CREATE INDEX IF NOT EXISTS batch_state ON batch (state, stream, seq, readings, first_us);
"""
# What the write-ahead log keeps of the disk, so that a full disk still lets receipts be noted.
_LOG_KEEPS_BYTES: Final = 4 * 1024 * 1024


def prepare(db: sqlite3.Connection, file: Path, agent: str) -> None:
    """Create the tables, or check that these are ours.

    Raises
    ------
    OutboxError
        If the file is another program's, another agent's, or of another version.
    """
    # Looked at before anything is written, so that no other program's file is changed.
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    if tables and not tables >= TABLES:
        raise OutboxError(f"{file}: this is another program's SQLite file: name another file")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    db.execute(f"PRAGMA journal_size_limit = {_LOG_KEEPS_BYTES}")
    wanted = {"version": _VERSION, "agent": agent}
    for name, value in wanted.items() if tables else ():
        held = get_meta(db, name)
        if held not in (None, value):
            raise OutboxError(
                f"{file}: this outbox has {name} {held!r}, not {value!r}: name another file"
            )
    # One transaction: a kill in the middle leaves all of it or nothing.
    db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
    for name, value in wanted.items():
        set_meta(db, name, value)


def open_stream(db: sqlite3.Connection) -> str:
    """Begin a stream that names its predecessor; return its UUID."""
    stream = str(_uuid7())
    # The one that none succeeded, whatever the clock said when it was opened.
    previous = db.execute(
        "SELECT stream FROM stream WHERE stream NOT IN"
        " (SELECT previous FROM stream WHERE previous IS NOT NULL)"
        " ORDER BY opened_us DESC LIMIT 1"
    ).fetchone()
    db.execute(
        "INSERT INTO stream VALUES (?, ?, ?)",
        (stream, previous and previous[0], time.time_ns() // 1000),
    )
    return stream


def get_meta(db: sqlite3.Connection, name: str) -> str | None:
    """Return a noted value, None if there is none."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def set_meta(db: sqlite3.Connection, name: str, value: str) -> None:
    """Note a value."""
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def _uuid7() -> uuid.UUID:
    """Return a UUID of version 7 (RFC 9562): it begins with the time, so streams sort."""
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(uuid.uuid4().bytes[6:], "big")
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=number)
