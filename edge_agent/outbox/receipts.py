"""What a receipt changes: batches confirmed, refused, taken back, renumbered (D2-D4).

A receipt is the platform's whole knowledge of a stream. So a batch that was confirmed and is no
longer covered has been lost there: the database was restored from a backup, or a replica that was
behind took over. It is held again, and sent again.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import Final

from edge_agent.outbox.tables import get_meta, open_stream, set_meta
from enpilot.wire import Receipt, Refusal, StreamReceipt

__all__ = ["Applied", "apply", "renumber"]

# A batch that is sent this often while later ones are confirmed will never be (D4).
_HOPELESS: Final = 10
_UNANSWERED: Final = "unanswered"
_NUMBERED_MOST: Final = 2**62


@dataclass(slots=True)
class Applied:
    """What a receipt changed.

    ``dead`` are batches set apart with the reason's code. ``revived`` batches were confirmed and
    are not any more; ``renumbered`` ones met other bytes under their number and have a new one, in
    ``stream`` if that is a new stream.
    """

    confirmed: int = 0
    dead: list[tuple[str, int, str]] = field(default_factory=list)
    revived: int = 0
    renumbered: int = 0
    stream: str | None = None
    other_database: bool = False


def apply(
    db: sqlite3.Connection, receipt: Receipt, running: str, last_seq: int, now_us: int, fell: bool
) -> Applied:
    """Apply a receipt inside the caller's transaction.

    Parameters
    ----------
    running
        The stream that is being written, ``last_seq`` its last number so far.
    fell
        The database's commit numbers went back for good: everything confirmed is in doubt.
    """
    applied = Applied()
    known = get_meta(db, "db")
    if known is not None and (known != receipt.db or fell):
        applied.other_database = True
        applied.revived = db.execute(
            "UPDATE batch SET state = 'held', confirmed_us = NULL WHERE state = 'confirmed'"
        ).rowcount
    for entry in receipt.streams:
        ours = _count(db, entry.stream)
        if ours == 0:
            continue
        if entry.stream == running and _highest(entry) > last_seq:
            # Numbers that were never given here: this outbox was put back while its agent ran.
            _begin_anew(db, running, applied)
            continue
        _refuse(db, entry, now_us, applied)
        _confirm(db, entry, now_us, applied)
        if not applied.other_database:
            applied.revived += _take_back(db, entry)
        _bury(db, entry, applied)
    _renumber_forks(db, applied)
    set_meta(db, "db", receipt.db)
    set_meta(db, "commit_no", str(receipt.commit_no))
    return applied


def renumber(db: sqlite3.Connection, state: str, stream: str, last_seq: int) -> int:
    """Give batches in a state new numbers behind ``last_seq`` of a stream; return how many."""
    rows = db.execute(
        "SELECT b.rowid FROM batch b JOIN stream s USING (stream) WHERE b.state = ?"
        " ORDER BY s.opened_us, b.seq",
        (state,),
    ).fetchall()
    db.executemany(
        "UPDATE batch SET stream = ?, seq = ?, state = 'held', sends = 0, overtaken = 0,"
        " refusal_code = NULL, confirmed_us = NULL WHERE rowid = ?",
        [(stream, last_seq + i, rowid) for i, (rowid,) in enumerate(rows, start=1)],
    )
    return len(rows)


def _count(db: sqlite3.Connection, stream: str) -> int:
    row = db.execute("SELECT count(*) FROM stream WHERE stream = ?", (stream,)).fetchone()
    return int(row[0])


def _highest(entry: StreamReceipt) -> int:
    return max([entry.through, *(high for _, high in entry.ahead)])


def _begin_anew(db: sqlite3.Connection, running: str, applied: Applied) -> None:
    """Give what the running stream holds new numbers, since other bytes may have the old ones."""
    applied.stream = open_stream(db)
    db.execute(
        "UPDATE batch SET state = 'requeued' WHERE stream = ? AND state = 'held'", (running,)
    )
    applied.renumbered += renumber(db, "requeued", applied.stream, 0)


def _refuse(db: sqlite3.Connection, entry: StreamReceipt, now_us: int, applied: Applied) -> None:
    for seq, code in entry.refused:
        changed = db.execute(
            "UPDATE batch SET state = 'dead', refusal_code = ?, confirmed_us = ?"
            " WHERE stream = ? AND seq = ? AND state = 'held' AND sends > 0",
            (code, now_us, entry.stream, seq),
        ).rowcount
        if changed:
            applied.dead.append((entry.stream, seq, code))


def _confirm(db: sqlite3.Connection, entry: StreamReceipt, now_us: int, applied: Applied) -> None:
    for low, high in [(1, entry.through), *entry.ahead]:
        # What was never sent from here cannot be stored there: its number is another's.
        applied.confirmed += db.execute(
            "UPDATE batch SET state = 'confirmed', confirmed_us = ?"
            " WHERE state = 'held' AND stream = ? AND seq BETWEEN ? AND ? AND sends > 0",
            (now_us, entry.stream, low, high),
        ).rowcount


def _take_back(db: sqlite3.Connection, entry: StreamReceipt) -> int:
    revived, above = 0, entry.through
    for low, high in [*sorted(entry.ahead), (_NUMBERED_MOST, _NUMBERED_MOST)]:
        revived += db.execute(
            "UPDATE batch SET state = 'held', confirmed_us = NULL"
            " WHERE state = 'confirmed' AND stream = ? AND seq > ? AND seq < ?",
            (entry.stream, above, low),
        ).rowcount
        above = max(above, high)
    return revived


def _bury(db: sqlite3.Connection, entry: StreamReceipt, applied: Applied) -> None:
    """Set apart what is sent again and again while later batches are confirmed."""
    hopeless = db.execute(
        "UPDATE batch SET state = 'dead', refusal_code = ? WHERE state = 'held' AND stream = ?"
        " AND seq < ? AND overtaken >= ? RETURNING seq",
        (_UNANSWERED, entry.stream, _highest(entry), _HOPELESS),
    ).fetchall()
    applied.dead += [(entry.stream, seq, _UNANSWERED) for (seq,) in hopeless]


def _renumber_forks(db: sqlite3.Connection, applied: Applied) -> None:
    forks = [(stream, seq) for stream, seq, code in applied.dead if code == Refusal.FORK]
    if not forks:
        return
    applied.dead = [d for d in applied.dead if d[2] != Refusal.FORK]
    # Never into the running stream, which may be the one with a second writer.
    if applied.stream is None:
        applied.stream = open_stream(db)
    db.executemany("UPDATE batch SET state = 'requeued' WHERE stream = ? AND seq = ?", forks)
    highest = db.execute(
        "SELECT coalesce(max(seq), 0) FROM batch WHERE stream = ?", (applied.stream,)
    ).fetchone()
    applied.renumbered += renumber(db, "requeued", applied.stream, int(highest[0]))
