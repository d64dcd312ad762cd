"""Folding the ledger: ``through`` moves on, hashes that no resend asks for any more go (D12)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import psycopg

__all__ = ["move_through", "prune"]

# One transaction locks a stream out of being written; so it deletes no more than this at once.
_MOST_ROWS: Final = 10_000


def move_through(connection: psycopg.Connection[Any], covered: Mapping[int, int]) -> None:
    """Move ``through`` of streams on to what receipts have said; own transaction, locks in order.

    Parameters
    ----------
    covered
        For each stream number the seq up to which all is covered, as `ledger.coverage_of` found it.
    """
    if not covered:
        return
    numbers = sorted(covered)
    with connection.transaction():
        connection.execute(
            "WITH locked AS (SELECT stream_no FROM stream_state WHERE stream_no = ANY(%s)"
            "  ORDER BY stream_no FOR UPDATE)"
            " UPDATE stream_state s SET through = greatest(s.through, u.through)"
            " FROM unnest(%s::int[], %s::bigint[]) AS u(stream_no, through)"
            " JOIN locked USING (stream_no) WHERE s.stream_no = u.stream_no",
            (numbers, numbers, [covered[n] for n in numbers]),
        )


def prune(connection: psycopg.Connection[Any], keep_hours: int) -> int:
    """Fold ledger rows that are older than hashes are kept, a stream at a time.

    Commit numbers stay, since a past version must remain computable; hashes become one digest.

    Returns
    -------
    int
        Ledger rows folded away.
    """
    due = connection.execute(
        "SELECT s.stream_no FROM stream_state s CROSS JOIN LATERAL ("
        "  SELECT received_at FROM batch_ledger l WHERE l.stream_no = s.stream_no"
        "  AND l.seq > s.pruned_through AND l.seq <= s.through ORDER BY l.seq LIMIT 1) oldest"
        " WHERE s.pruned_through < s.through"
        " AND oldest.received_at < now() - make_interval(hours => %s) ORDER BY 1",
        (keep_hours,),
    ).fetchall()
    return sum(_prune_stream(connection, stream_no, keep_hours) for (stream_no,) in due)


def _prune_stream(connection: psycopg.Connection[Any], stream_no: int, keep_hours: int) -> int:
    folded = 0
    while True:
        with connection.transaction():
            rows = _oldest(connection, stream_no, keep_hours)
            if not rows:
                return folded
            _fold(connection, stream_no, rows)
            folded += sum(state == "stored" for *_, state in rows)
        if len(rows) < _MOST_ROWS:
            return folded


def _oldest(
    connection: psycopg.Connection[Any], stream_no: int, keep_hours: int
) -> list[tuple[int, int, bytes, str]]:
    """Return the first rows of a stream, as far as all of them are old."""
    state = connection.execute(
        "SELECT through, pruned_through FROM stream_state WHERE stream_no = %s"
        " FOR UPDATE SKIP LOCKED",
        (stream_no,),
    ).fetchone()
    if state is None:
        return []  # a writer is at it; next time
    rows: list[tuple[int, int, bytes, str]] = []
    for seq, commit_no, sha256, kind, old in connection.execute(
        "SELECT seq, commit_no, sha256, state, received_at < now() - make_interval(hours => %s)"
        " FROM batch_ledger WHERE stream_no = %s AND seq > %s AND seq <= %s"
        " ORDER BY seq LIMIT %s",
        (keep_hours, stream_no, state[1], state[0], _MOST_ROWS),
    ):
        if not old:
            break
        rows.append((seq, commit_no, bytes(sha256), kind))
    return rows


def _fold(
    connection: psycopg.Connection[Any], stream_no: int, rows: list[tuple[int, int, bytes, str]]
) -> None:
    run: list[tuple[int, int, bytes, str]] = []
    stored = [row for row in rows if row[3] == "stored"]  # refused ones stay, receipts name them
    for row in [*stored, None]:
        if run and (row is None or row[0] != run[-1][0] + 1):
            connection.execute(
                "INSERT INTO batch_fold (stream_no, from_seq, to_seq, commit_nos, digest)"
                " VALUES (%s, %s, %s, %s, %s)",
                (
                    stream_no, run[0][0], run[-1][0], [r[1] for r in run],
                    hashlib.sha256(b"".join(r[2] for r in run)).digest(),
                ),
            )  # fmt: skip
            run = []
        if row is not None:
            run.append(row)
    connection.execute(
        "DELETE FROM batch_ledger WHERE stream_no = %s AND seq = ANY(%s)",
        (stream_no, [row[0] for row in stored]),
    )
    connection.execute(
        "UPDATE stream_state SET pruned_through = %s WHERE stream_no = %s",
        (rows[-1][0], stream_no),
    )
