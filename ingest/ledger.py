"""The ledger of batches: which arrived, which are through, which never came (D2, D4, D12).

Writers add rows under ``FOR SHARE`` of the streams' states and never move ``through``; folding
moves it under ``FOR UPDATE`` (`ingest.fold`). So two workers with the same resends wait instead of
deadlocking, and a resend can never slip in between. One statement does a step for all streams of a
group, in the order of their numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from ingest.arrays import byteas, int4s, int8s

__all__ = [
    "Claim",
    "Coverage",
    "Sorted",
    "book_lost",
    "claim",
    "coverage_of",
    "number_claims",
    "refused_of",
]

_SHOWN_REFUSALS = 32


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


@dataclass(slots=True)
class Coverage:
    """What is stored, refused or lost of a stream: all up to ``through``, and ranges ``ahead``.

    Both ends of a range belong to it; ranges are in order and do not touch.
    """

    through: int
    ahead: list[tuple[int, int]]

    def add(self, low: int, high: int) -> None:
        """Cover one more range."""
        merged: list[tuple[int, int]] = []
        for a, b in sorted([*self.ahead, (low, high)]):
            if a <= self.through + 1:
                self.through = max(self.through, b)
            elif merged and a <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], b))
            else:
                merged.append((a, b))
        self.ahead = merged

    def missing_below(self, first: int) -> list[tuple[int, int]]:
        """Return the ranges below ``first`` that are not covered."""
        missing: list[tuple[int, int]] = []
        position = self.through
        for low, high in [*self.ahead, (first, first)]:
            if position + 1 < min(low, first):
                missing.append((position + 1, min(low, first) - 1))
            position = max(position, high)
        return missing


def claim(
    connection: psycopg.Connection[Any], claims: list[Claim], *, reopen: bool = False
) -> Sorted:
    """Insert the ledger rows of a group in one statement and say which are new.

    Claims with the same stream and seq must not occur twice in the list.

    Parameters
    ----------
    reopen
        A number that was refused is new for a batch that is not: the agent had its receipt and
        will not send it again.
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
    # What was given up as lost and comes after all is new, although the stream went on without it.
    below = [c for c in claims if c.seq <= through[c.stream_no]]
    found_again = _booked_as_lost(connection, below) if below else set()
    fresh = sorted(
        (
            c for c in claims
            if c.seq > through[c.stream_no] or (c.stream_no, c.seq) in found_again
        ),
        key=lambda c: (c.stream_no, c.seq),
    )  # fmt: skip
    codes = [c.refusal_code for c in fresh]
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
                int4s([c.stream_no for c in fresh]), int8s([c.seq for c in fresh]),
                byteas([c.sha256 for c in fresh]),
                # A missing array is a column of nulls, and mostly nothing is refused.
                codes if any(codes) else None,
                int4s([c.readings for c in fresh]),
                *(_instants([getattr(c, name) for c in fresh])
                  for name in ("first_ts_us", "last_ts_us")),
            ),
            binary=True,
        )
    )  # fmt: skip
    old = [c for c in claims if (c.stream_no, c.seq) not in result.new]
    if reopen:
        result.new |= _reopen(connection, [c for c in old if c.refusal_code is None])
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


def _reopen(connection: psycopg.Connection[Any], claims: list[Claim]) -> set[tuple[int, int]]:
    return {
        key
        for c in claims
        for key in connection.execute(
            "UPDATE batch_ledger SET state = 'stored', refusal_code = NULL, sha256 = %s,"
            " readings = %s, first_ts = timestamptz 'epoch' + %s * interval '1 microsecond',"
            " last_ts = timestamptz 'epoch' + %s * interval '1 microsecond'"
            " WHERE stream_no = %s AND seq = %s AND state = 'refused' RETURNING stream_no, seq",
            (c.sha256, c.readings, c.first_ts_us, c.last_ts_us, c.stream_no, c.seq),
        )
    }


def _instants(values: list[int | None]) -> object:
    return values if None in values else int8s([v for v in values if v is not None])


def _booked_as_lost(
    connection: psycopg.Connection[Any], claims: list[Claim]
) -> set[tuple[int, int]]:
    return set(
        connection.execute(
            "SELECT s, q FROM unnest(%s::int[], %s::bigint[]) AS t(s, q) WHERE EXISTS"
            " (SELECT 1 FROM lost_range l WHERE l.stream_no = s"
            "  AND q BETWEEN l.from_seq AND l.to_seq)",
            ([c.stream_no for c in claims], [c.seq for c in claims]),
        )
    )


def number_claims(
    connection: psycopg.Connection[Any], keys: set[tuple[int, int]], commit_no: int
) -> None:
    """Give new ledger rows the transaction's number."""
    ordered = sorted(keys)
    connection.execute(
        "UPDATE batch_ledger l SET commit_no = %s FROM unnest(%s::int[], %s::bigint[]) AS t(s, q)"
        " WHERE l.stream_no = s AND l.seq = q",
        (commit_no, int4s([k[0] for k in ordered]), int8s([k[1] for k in ordered])),
    )


def coverage_of(
    connection: psycopg.Connection[Any], known_through: Mapping[int, int]
) -> dict[int, Coverage]:
    """Say how far streams have got; for a receipt, call it under the lock of `draw_commit_no`.

    Parameters
    ----------
    known_through
        For each stream number a seq up to which all is known to be covered, 0 if nothing is. It
        spares looking again at what was looked at, since what is covered stays so.
    """
    numbers = sorted(known_through)
    found = connection.execute(
        "SELECT b.stream_no, b.through, c.ranges FROM ("
        "  SELECT s.stream_no, greatest(s.through, u.known) AS through"
        "  FROM unnest(%s::int[], %s::bigint[]) AS u(stream_no, known)"
        "  JOIN stream_state s USING (stream_no)) b"
        # Lateral: each stream by the head of its index, whatever the planner knows of the table.
        " CROSS JOIN LATERAL (SELECT array_agg(ARRAY[lower(m), upper(m) - 1] ORDER BY m) AS ranges"
        "  FROM (SELECT unnest(range_agg(r)) AS m FROM ("
        "   SELECT int8range(min(seq), max(seq), '[]') AS r FROM ("
        "    SELECT seq, seq - row_number() OVER (ORDER BY seq) AS island FROM batch_ledger l"
        "    WHERE l.stream_no = b.stream_no AND l.seq > b.through) numbered GROUP BY island"
        "   UNION ALL SELECT int8range(from_seq, to_seq, '[]') FROM lost_range l"
        "    WHERE l.stream_no = b.stream_no AND l.to_seq > b.through) every) merged) c",
        (numbers, [known_through[n] for n in numbers]),
    ).fetchall()
    coverages = {}
    for stream_no, through, ranges in found:
        coverage = Coverage(int(through), [])
        for low, high in ranges or ():
            coverage.add(int(low), int(high))
        coverages[stream_no] = coverage
    return coverages


def book_lost(
    connection: psycopg.Connection[Any], lost: list[tuple[int, int, int]], commit_no: int
) -> None:
    """Book ranges (stream, from, to) that an agent no longer holds and the ledger never saw."""
    connection.execute(
        "INSERT INTO lost_range (stream_no, from_seq, to_seq, commit_no)"
        " SELECT s, f, t, %s FROM unnest(%s::int[], %s::bigint[], %s::bigint[]) AS u(s, f, t)"
        " ON CONFLICT DO NOTHING",
        (commit_no, [r[0] for r in lost], [r[1] for r in lost], [r[2] for r in lost]),
    )


def refused_of(
    connection: psycopg.Connection[Any], stream_nos: Iterable[int]
) -> dict[int, list[tuple[int, str]]]:
    """Return number and code of the last refused batches of the streams that have any."""
    refused: dict[int, list[tuple[int, str]]] = {}
    for stream_no, seq, code in connection.execute(
        "SELECT s.stream_no, r.seq, r.refusal_code FROM unnest(%s::int[]) AS s(stream_no)"
        " CROSS JOIN LATERAL (SELECT seq, refusal_code FROM batch_ledger l"
        "  WHERE l.stream_no = s.stream_no AND l.state = 'refused'"
        "  ORDER BY seq DESC LIMIT %s) r",
        (sorted(stream_nos), _SHOWN_REFUSALS),
    ):
        refused.setdefault(stream_no, []).append((int(seq), code))
    return refused
