"""Look into an outbox from outside, safe while its agent runs."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from edge_agent.errors import OutboxError
from edge_agent.outbox.bodies import unpacked
from edge_agent.outbox.space import OutboxLimits, Usage, usage
from enpilot.wire import Batch, decode_batch

__all__ = [
    "DeadLetter",
    "StreamLoad",
    "read_batches",
    "read_dead_letters",
    "read_streams",
    "read_usage",
    "requeue_dead_letters",
]


@dataclass(frozen=True, slots=True)
class StreamLoad:
    """What an outbox still has of one stream; ``complete`` if nothing of it was forgotten yet."""

    stream: str
    batches: int
    readings: int
    held: int
    dead: int
    complete: bool


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A batch that the platform refused, or did not answer, with the reason's code."""

    stream: str
    seq: int
    code: str
    readings: int
    first_us: int
    last_us: int
    sends: int


def read_streams(file: Path) -> list[StreamLoad]:
    """Read what an outbox holds, by stream.

    Raises
    ------
    OutboxError
        If there is no such outbox.
    """
    with _opened(file) as db:
        rows = db.execute(
            "SELECT stream, count(*), sum(readings), sum(state = 'held'), sum(state = 'dead'),"
            " min(seq) = 1 FROM batch GROUP BY stream ORDER BY stream"
        ).fetchall()
    return [StreamLoad(a, b, c, d, e, bool(f)) for a, b, c, d, e, f in rows]


def read_usage(file: Path, limits: OutboxLimits) -> Usage:
    """Read what an outbox takes on disk, and what it has given up; raises `OutboxError`."""
    with _opened(file) as db:
        return usage(db, file, limits)


def read_batches(file: Path) -> Iterator[Batch]:
    """Read the batches that an outbox still has, those confirmed too; raises `OutboxError`."""
    with _opened(file) as db:
        for (body,) in db.execute("SELECT body FROM batch ORDER BY stream, seq"):
            yield decode_batch(unpacked(body))


def read_dead_letters(file: Path) -> list[DeadLetter]:
    """Read which batches are dead, the oldest first; raises `OutboxError`."""
    with _opened(file) as db:
        rows = db.execute(
            "SELECT stream, seq, refusal_code, readings, first_us, last_us, sends FROM batch"
            " WHERE state = 'dead' ORDER BY first_us, stream, seq"
        ).fetchall()
    return [DeadLetter(*row) for row in rows]


def requeue_dead_letters(file: Path, code: str | None = None) -> int:
    """Let the agent send dead batches again, under new numbers; return how many.

    Parameters
    ----------
    code
        Only those refused for this reason.

    Raises
    ------
    OutboxError
        If there is no such outbox, or it cannot be written.
    """
    with _opened(file, "rw") as db, db:
        return db.execute(
            "UPDATE batch SET state = 'requeued' WHERE state = 'dead'"
            " AND (?1 IS NULL OR refusal_code = ?1)",
            (code,),
        ).rowcount


@contextlib.contextmanager
def _opened(file: Path, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{quote(str(file.resolve()))}?mode={mode}", uri=True)
        ) as db:
            yield db
    except sqlite3.Error as error:
        raise OutboxError(f"{file}: the outbox cannot be read: {error}") from error
