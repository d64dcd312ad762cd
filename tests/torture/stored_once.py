"""Whether a database holds exactly what outboxes have committed, once."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.outbox.bodies import unpacked
from enpilot.database import connect

__all__ = ["Journal", "Key", "assert_each_is_stored_once", "one", "outbox_batches"]

Key = tuple[str, int]
_Batches = dict[Key, tuple[bytes, int]]


@dataclass
class Journal:
    """What an outbox has committed, by the word of the program that appended it."""

    file: Path
    batches: _Batches = field(default_factory=dict)

    def read(self) -> _Batches:
        for line in self.file.read_text("utf-8").splitlines():
            # A kill may cut the last line; that batch is then found in the outbox, or nowhere.
            parts = line.split()
            if len(parts) == 4 and len(parts[2]) == 64:
                stream, seq, digest, readings = parts
                self.batches[stream, int(seq)] = (bytes.fromhex(digest), int(readings))
        return self.batches


def outbox_batches(file: Path) -> _Batches:
    """Return hash and readings of every batch that an outbox still has, by stream and number."""
    database = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        return {
            (stream, seq): (hashlib.sha256(unpacked(body)).digest(), readings)
            for stream, seq, body, readings in database.execute(
                "SELECT stream, seq, body, readings FROM batch"
            )
        }
    finally:
        database.close()


def one(url: str, query: str) -> int:
    """Return the only number that a query brings."""
    with connect(url, "test") as connection:
        row: Any = connection.execute(query).fetchone()
    return int(row[0])


def assert_each_is_stored_once(url: str, committed: _Batches, unseen: int) -> None:
    """Compare ledger and readings with what was committed.

    Parameters
    ----------
    url
        The database.
    committed
        Hash and readings of each batch that must be there.
    unseen
        How many more there may be: a kill between a commit and the journal's line leaves a batch
        that only the outbox knows.
    """
    with connect(url, "test") as connection:
        ledger = {
            (str(stream), seq): (bytes(digest), readings)
            for stream, seq, digest, readings in connection.execute(
                "SELECT s.stream, l.seq, l.sha256, l.readings FROM batch_ledger l"
                " JOIN stream s USING (stream_no) WHERE l.state = 'stored'"
            )
        }
        rows = {
            (str(stream), seq): count
            for stream, seq, count in connection.execute(
                "SELECT s.stream, r.batch & 4294967295, count(*) FROM reading r"
                " JOIN stream s ON s.stream_no = r.batch >> 32 GROUP BY 1, 2"
            )
        }
    missing = {k: (v, ledger.get(k)) for k, v in committed.items() if ledger.get(k) != v}
    assert not missing, f"committed, and in the ledger: {_some(missing)}"
    wrong = {k: (n, rows.get(k)) for k, (_, n) in ledger.items() if rows.get(k, 0) != n}
    assert not wrong, f"readings by the ledger, and in the table: {_some(wrong)}"
    assert rows.keys() <= ledger.keys()
    assert 0 <= len(ledger) - len(committed) <= unseen
    assert one(url, "SELECT count(*) - count(DISTINCT (series_id, ts)) FROM reading") == 0
    assert one(url, "SELECT count(*) FROM quarantine") == 0
    assert one(url, "SELECT count(*) FROM lost_range") == 0


def _some(found: dict[Key, Any]) -> str:
    return f"{len(found)} batches, such as {list(found.items())[:4]}"
