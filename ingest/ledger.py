"""The ledger of batches: which arrived, which are through, which never came (D2, D4, D12).

Writers add rows under ``FOR SHARE`` of the stream's state and never move ``through``; folding moves
it under ``FOR UPDATE``. So two workers with the same resends wait instead of deadlocking, and a
resend can never slip in between.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg

from enpilot.wire import StreamReceipt

__all__ = [
    "Claim",
    "Sorted",
    "book_lost",
    "claim",
    "fold",
    "number_claims",
    "open_streams",
    "receipt_of",
]


@dataclass(frozen=True, slots=True)
class Claim:
    """A batch that asks to be written: stored with its readings, or refused with a code."""

    stream_no: int
    seq: int
    sha256: bytes
    refusal_code: str | None
    readings: int
    first_ts_us: int | None
    last_ts_us: int | None


@dataclass(slots=True)
class Sorted:
    """What became of claims: new ones to write, duplicates to confirm, forks to refuse."""

    new: set[tuple[int, int]] = field(default_factory=set)
    duplicates: set[tuple[int, int]] = field(default_factory=set)
    forks: set[tuple[int, int]] = field(default_factory=set)


def open_streams(
    connection: psycopg.Connection[Any],
    wanted: dict[UUID, tuple[str, UUID | None, bool]],
) -> dict[UUID, tuple[int, str]]:
    """Return number and owning agent of each stream, opening those not seen before.

    Parameters
    ----------
    wanted
        Stream → (agent id, predecessor, simulated).
    """
    for stream in sorted(wanted):
        agent, previous, simulated = wanted[stream]
        connection.execute(
            "INSERT INTO stream (stream, origin, agent_id, previous, source, simulated, label_zh,"
            " label_en, author) VALUES (%s, 'agent', %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (
                stream, agent, previous, f"agent {agent}", simulated,
                "模拟电表" if simulated else None, "simulated meters" if simulated else None,
                f"agent {agent}",
            ),
        )  # fmt: skip
    connection.execute(
        "INSERT INTO stream_state (stream_no) SELECT stream_no FROM stream"
        " WHERE stream = ANY(%s) ORDER BY stream_no ON CONFLICT DO NOTHING",
        (list(wanted),),
    )
    return {
        stream: (stream_no, agent_id)
        for stream, stream_no, agent_id in connection.execute(
            "SELECT stream, stream_no, agent_id FROM stream WHERE stream = ANY(%s)",
            (list(wanted),),
        )
    }


def claim(connection: psycopg.Connection[Any], claims: list[Claim]) -> Sorted:
    """Insert the ledger rows of a group in one statement and say which are new.

    Claims with the same stream and seq must not occur twice in the list.
    """
    result = Sorted()
    if not claims:
        return result
    through = dict(
        connection.execute(
            "SELECT stream_no, through FROM stream_state WHERE stream_no = ANY(%s)"
            " ORDER BY stream_no FOR SHARE",
            (sorted({c.stream_no for c in claims}),),
        )
    )
    fresh = sorted(
        (c for c in claims if c.seq > through[c.stream_no]), key=lambda c: (c.stream_no, c.seq)
    )
    result.new = set(
        connection.execute(
            "INSERT INTO batch_ledger"
            " (stream_no, seq, sha256, state, refusal_code, readings, first_ts, last_ts)"
            " SELECT s, q, h, CASE WHEN r IS NULL THEN 'stored' ELSE 'refused' END, r, n,"
            " timestamptz 'epoch' + f * interval '1 microsecond',"
            " timestamptz 'epoch' + l * interval '1 microsecond'"
            " FROM unnest(%s::int[], %s::bigint[], %s::bytea[], %s::text[], %s::int[],"
            " %s::bigint[], %s::bigint[]) WITH ORDINALITY AS t(s, q, h, r, n, f, l, i)"
            " ORDER BY i ON CONFLICT DO NOTHING RETURNING stream_no, seq",
            (
                [c.stream_no for c in fresh], [c.seq for c in fresh], [c.sha256 for c in fresh],
                [c.refusal_code for c in fresh], [c.readings for c in fresh],
                [c.first_ts_us for c in fresh], [c.last_ts_us for c in fresh],
            ),
        )
    )  # fmt: skip
    old = [c for c in claims if (c.stream_no, c.seq) not in result.new]
    if old:
        stored = {
            (stream_no, seq): bytes(sha256)
            for stream_no, seq, sha256 in connection.execute(
                "SELECT l.stream_no, l.seq, l.sha256 FROM batch_ledger l"
                " JOIN unnest(%s::int[], %s::bigint[]) AS t(s, q) ON l.stream_no = s AND l.seq = q",
                ([c.stream_no for c in old], [c.seq for c in old]),
            )
        }
        for c in old:
            key = (c.stream_no, c.seq)
            # Folded long ago: the hash is gone, and an agent has had its receipt for days.
            same = stored.get(key, c.sha256) == c.sha256
            (result.duplicates if same else result.forks).add(key)
    return result


def number_claims(
    connection: psycopg.Connection[Any], keys: set[tuple[int, int]], commit_no: int
) -> None:
    """Give new ledger rows the transaction's number."""
    ordered = sorted(keys)
    connection.execute(
        "UPDATE batch_ledger l SET commit_no = %s FROM unnest(%s::int[], %s::bigint[]) AS t(s, q)"
        " WHERE l.stream_no = s AND l.seq = q",
        (commit_no, [k[0] for k in ordered], [k[1] for k in ordered]),
    )


def book_lost(
    connection: psycopg.Connection[Any], stream_no: int, first: int, commit_no: int
) -> list[tuple[int, int]]:
    """Book what the agent no longer holds and the ledger never saw; return the new ranges.

    ``first`` is the oldest seq the agent still holds: what is missing below it will never come.
    """
    covered = _covered(connection, stream_no)
    missing: list[tuple[int, int]] = []
    position = covered[0]
    for low, high in [*covered[1], (first, first)]:
        if position + 1 < min(low, first):
            missing.append((position + 1, min(low, first) - 1))
        position = max(position, high)
    for low, high in missing:
        connection.execute(
            "INSERT INTO lost_range (stream_no, from_seq, to_seq, commit_no)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (stream_no, low, high, commit_no),
        )
    return missing


def receipt_of(connection: psycopg.Connection[Any], stream_no: int, stream: UUID) -> StreamReceipt:
    """Say how far a stream has got; call it after `draw_commit_no`, under its lock."""
    through, ahead = _covered(connection, stream_no)
    while ahead and ahead[0][0] <= through + 1:
        through = max(through, ahead.pop(0)[1])
    refused = connection.execute(
        "SELECT seq, refusal_code FROM batch_ledger WHERE stream_no = %s AND state = 'refused'"
        " ORDER BY seq DESC LIMIT 32",
        (stream_no,),
    ).fetchall()
    return StreamReceipt(
        stream=str(stream), through=through, ahead=ahead, refused=[(s, c) for s, c in refused]
    )


def _covered(
    connection: psycopg.Connection[Any], stream_no: int
) -> tuple[int, list[tuple[int, int]]]:
    """Return ``through`` and, above it, the ranges that are stored, refused or lost, in order."""
    row = connection.execute(
        "SELECT through FROM stream_state WHERE stream_no = %s", (stream_no,)
    ).fetchone()
    through = int(row[0]) if row is not None else 0
    ranges = connection.execute(
        "WITH covered AS ("
        " SELECT int8range(min(seq), max(seq), '[]') AS r FROM ("
        "  SELECT seq, seq - row_number() OVER (ORDER BY seq) AS island FROM batch_ledger"
        "  WHERE stream_no = %(no)s AND seq > %(through)s) numbered GROUP BY island"
        " UNION ALL SELECT int8range(from_seq, to_seq, '[]') FROM lost_range"
        "  WHERE stream_no = %(no)s AND to_seq > %(through)s)"
        " SELECT lower(u), upper(u) - 1"
        " FROM (SELECT range_agg(r) AS m FROM covered) merged, unnest(m) AS u ORDER BY 1",
        {"no": stream_no, "through": through},
    ).fetchall()
    return through, [(int(low), int(high)) for low, high in ranges]


def fold(connection: psycopg.Connection[Any], keep_hashes_hours: int = 72) -> int:
    """Move ``through`` over what is complete, and fold ledger rows older than the hashes are kept.

    Commit numbers stay, hashes become one digest a fold. Runs in its own transaction.

    Returns
    -------
    int
        Ledger rows folded away.
    """
    folded = 0
    with connection.transaction():
        streams = connection.execute(
            "SELECT stream_no, through, pruned_through FROM stream_state ORDER BY stream_no"
            " FOR UPDATE SKIP LOCKED"
        ).fetchall()
        for stream_no, through, pruned in streams:
            _, ranges = _covered(connection, stream_no)
            if ranges and ranges[0][0] <= through + 1:
                connection.execute(
                    "UPDATE stream_state SET through = %s WHERE stream_no = %s",
                    (ranges[0][1], stream_no),
                )
                through = ranges[0][1]
            folded += _prune(connection, stream_no, pruned, through, keep_hashes_hours)
    return folded


def _prune(
    connection: psycopg.Connection[Any], stream_no: int, pruned: int, through: int, hours: int
) -> int:
    rows = connection.execute(
        "DELETE FROM batch_ledger WHERE stream_no = %s AND seq > %s AND seq <= %s"
        " AND state = 'stored' AND received_at < now() - make_interval(hours => %s)"
        " RETURNING seq, commit_no, sha256",
        (stream_no, pruned, through, hours),
    ).fetchall()
    if not rows:
        return 0
    rows.sort()
    run: list[tuple[int, int, bytes]] = []
    for row in [*rows, None]:
        if run and (row is None or row[0] != run[-1][0] + 1):
            digest = hashlib.sha256(b"".join(bytes(r[2]) for r in run)).digest()
            connection.execute(
                "INSERT INTO batch_fold (stream_no, from_seq, to_seq, commit_nos, digest)"
                " VALUES (%s, %s, %s, %s, %s)",
                (stream_no, run[0][0], run[-1][0], [r[1] for r in run], digest),
            )
            run = []
        if row is not None:
            run.append(row)
    connection.execute(
        "UPDATE stream_state SET pruned_through = %s WHERE stream_no = %s",
        (rows[-1][0], stream_no),
    )
    return len(rows)
