"""The exactly-once writer: a group of messages, one transaction, then receipts (D1, D11, D12).

Ledger rows, readings, latest values, refused payloads, counters and dirty spans commit together or
not at all, so a message sent again, or a process killed at any instant, neither loses nor doubles
a reading.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import psycopg

from enpilot.database import database_identity, draw_commit_no
from enpilot.wire import WIRE_VERSION, Receipt, Refusal
from ingest import ledger
from ingest.accept import Accepted, Refused
from ingest.counts import Counts
from ingest.errors import RefusedError
from ingest.meaning import Meaning, open_epoch
from ingest.quarantine import keep
from ingest.rows import COPY_READINGS, Readings, batch_number, concatenate, copy_bytes, group_rows

__all__ = ["Agreed", "Written", "mark_dirty", "write_group", "write_readings"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

# (series, birth) pairs whose meaning this process has compared with the recorded one.
Agreed = set[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Written:
    """What a transaction did: a receipt for each agent in it, and what to count."""

    receipts: list[Receipt]
    counts: dict[str, Counts]


@dataclass(slots=True)
class _Candidate:
    agent: str
    claim: ledger.Claim
    message: Accepted | None  # none: refused, only its number is claimed
    rows: Readings | None


def write_group(
    connection: psycopg.Connection[Any],
    accepted: list[Accepted],
    refused: list[Refused],
    agreed: Agreed,
) -> Written:
    """Write one group of data messages and refusals in one transaction.

    Parameters
    ----------
    connection
        Not inside a transaction.
    accepted
        Messages whose birth is known, in the order of arrival.
    refused
        Messages for quarantine; the receipt covers those whose stream and seq could be read.
    agreed
        Kept by the caller from group to group: a meaning is compared once, not every batch.

    Returns
    -------
    Written
        Receipts to publish now that the transaction is committed.
    """
    with connection.transaction():
        return _Group(connection, accepted, refused, agreed).write()


class _Group:
    """One transaction's work, step by step."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        accepted: list[Accepted],
        refused: list[Refused],
        agreed: Agreed,
    ) -> None:
        self._connection = connection
        self._agreed = agreed
        self._accepted = accepted
        self._refused = list(refused)
        self._counts: dict[str, Counts] = defaultdict(Counts)
        self._streams: dict[UUID, tuple[int, str]] = {}

    def write(self) -> Written:
        self._streams = ledger.open_streams(self._connection, self._wanted_streams())
        candidates = self._candidates()
        outcome = ledger.claim(self._connection, [c.claim for c in candidates.values()])
        new = [c for key, c in candidates.items() if key in outcome.new and c.rows is not None]
        rows = concatenate([c.rows for c in new if c.rows is not None]) if new else None
        if rows is not None and len(rows):
            write_readings(self._connection, rows)
        self._count(candidates, outcome)
        self._refused += [
            _forked(message)
            for key in sorted(outcome.forks)
            if (message := candidates[key].message) is not None
        ]
        for refusal in self._refused:
            keep(self._connection, refusal)
        commit_no = draw_commit_no(self._connection)
        ledger.number_claims(self._connection, outcome.new, commit_no)
        if rows is not None and len(rows):
            meanings = {m.series_id: m for c in new if c.message for m in c.message.meanings()}
            mark_dirty(self._connection, rows, meanings, commit_no, self._agreed)
        self._book_lost(commit_no)
        for agent, counts in sorted(self._counts.items()):
            counts.add_to(self._connection, agent)
        return Written(self._receipts(commit_no, outcome.forks), dict(self._counts))

    def _wanted_streams(self) -> dict[UUID, tuple[str, UUID | None, bool]]:
        wanted: dict[UUID, tuple[str, UUID | None, bool]] = {}
        for refusal in self._refused:
            if refusal.stream is not None and refusal.agent is not None:
                wanted[refusal.stream] = (refusal.agent, None, False)
        for message in self._accepted:
            wanted[message.stream] = (message.agent, message.previous, message.simulated)
        return wanted

    def _candidates(self) -> dict[tuple[int, int], _Candidate]:
        """Turn messages into rows; what does not fit joins the refused, with its claim."""
        candidates: dict[tuple[int, int], _Candidate] = {}
        for message in self._accepted:
            stream_no, owner = self._streams[message.stream]
            if owner != message.agent:
                self._refused.append(
                    message.refuse(
                        Refusal.WRONG_IDENTITY,
                        f"stream {message.stream} belongs to agent {owner!r}",
                        covered=False,
                    )
                )
                continue
            try:
                rows = _rows(message, batch_number(stream_no, message.seq))
            except RefusedError as error:
                self._refused.append(message.refuse(error.code, str(error)))
                continue
            claim = ledger.Claim(
                stream_no, message.seq, message.sha256, None, len(rows),
                int(rows.ts_us.min()) if len(rows) else None,
                int(rows.ts_us.max()) if len(rows) else None,
            )  # fmt: skip
            self._offer(candidates, message, claim, rows)
        for refusal in list(self._refused):
            if not refusal.covered or refusal.stream is None or refusal.seq is None:
                continue
            if refusal.agent is None:
                continue
            stream_no, owner = self._streams[refusal.stream]
            if owner == refusal.agent:
                claim = ledger.Claim(
                    stream_no, refusal.seq, refusal.sha256, refusal.code.value, 0, None, None
                )
                candidates.setdefault(
                    (stream_no, refusal.seq), _Candidate(refusal.agent, claim, None, None)
                )
        return candidates

    def _offer(
        self,
        candidates: dict[tuple[int, int], _Candidate],
        message: Accepted,
        claim: ledger.Claim,
        rows: Readings,
    ) -> None:
        """Take a message into the group, unless the group holds its number already."""
        earlier = candidates.setdefault(
            (claim.stream_no, claim.seq), _Candidate(message.agent, claim, message, rows)
        )
        if earlier.message is message:
            return
        if earlier.claim.sha256 == claim.sha256:
            self._counts[message.agent].batches_duplicated += 1
            self._counts[message.agent].readings_duplicated += claim.readings
        else:
            self._refused.append(_forked(message))

    def _count(self, candidates: dict[tuple[int, int], _Candidate], outcome: ledger.Sorted) -> None:
        for key, candidate in candidates.items():
            counts = self._counts[candidate.agent]
            if key in outcome.duplicates:
                counts.batches_duplicated += 1
                counts.readings_duplicated += candidate.claim.readings
            elif key in outcome.new and candidate.rows is not None:
                counts.batches_stored += 1
                counts.readings_stored += len(candidate.rows)
                if len(candidate.rows):
                    counts.saw(int(candidate.rows.ts_us.max()))
        for refusal in self._refused:
            counts = self._counts[refusal.agent or "?"]
            counts.batches_refused += 1

    def _book_lost(self, commit_no: int) -> None:
        first: dict[UUID, int] = {}
        for message in self._accepted:
            if self._streams[message.stream][1] == message.agent:
                first[message.stream] = max(first.get(message.stream, 1), message.first)
        for stream, oldest in sorted(first.items()):
            stream_no, agent = self._streams[stream]
            for low, high in ledger.book_lost(self._connection, stream_no, oldest, commit_no):
                self._connection.execute(
                    "INSERT INTO finding (site_id, code, at_ts, severity, evidence, data_version)"
                    " SELECT site_id, 'batches_lost', now(), 'fault', %s, %s FROM agent"
                    " WHERE agent_id = %s ON CONFLICT DO NOTHING",
                    (
                        json.dumps({"stream": str(stream), "from_seq": low, "to_seq": high}),
                        commit_no,
                        agent,
                    ),
                )

    def _receipts(self, commit_no: int, forks: set[tuple[int, int]]) -> list[Receipt]:
        identity = database_identity(self._connection)
        by_agent: dict[str, list[UUID]] = defaultdict(list)
        for stream, (_, agent) in self._streams.items():
            by_agent[agent].append(stream)
        receipts = []
        for agent, streams in sorted(by_agent.items()):
            covered = []
            for stream in sorted(streams):
                stream_no = self._streams[stream][0]
                entry = ledger.receipt_of(self._connection, stream_no, stream)
                entry.refused += [
                    (seq, Refusal.FORK.value) for no, seq in sorted(forks) if no == stream_no
                ]
                covered.append(entry)
            receipts.append(
                Receipt(
                    v=WIRE_VERSION, agent=agent, db=identity, commit_no=commit_no, streams=covered
                )
            )
        return receipts


def _rows(message: Accepted, batch: int) -> Readings:
    parts = []
    for group in message.batch.groups:
        columns = message.columns.get(group.group)
        if columns is None:
            raise RefusedError(
                Refusal.UNKNOWN_GROUP, f"group {group.group} is not in birth {message.batch.birth}"
            )
        parts.append(group_rows(group, columns.series_ids, columns.whole_numbers, batch))
    return concatenate(parts)


def _forked(message: Accepted) -> Refused:
    return message.refuse(
        Refusal.FORK,
        f"seq {message.seq} of stream {message.stream} is stored with other bytes: the outbox was "
        "restored or copied",
        covered=False,
    )


def write_readings(connection: psycopg.Connection[Any], rows: Readings) -> None:
    """Copy rows into ``reading`` and move ``latest`` on; part of the caller's transaction."""
    with connection.cursor() as cursor, cursor.copy(COPY_READINGS) as copy:
        copy.write(copy_bytes(rows))
    _move_latest(connection, rows)


def _move_latest(connection: psycopg.Connection[Any], rows: Readings) -> None:
    order = np.lexsort((rows.ts_us, rows.series_id))
    last_of_series = np.flatnonzero(np.diff(rows.series_id[order], append=np.int32(-1)))
    last = rows.take(order[last_of_series])
    connection.execute(
        "INSERT INTO latest (series_id, ts, raw_int, raw_real, quality, batch)"
        " SELECT s, timestamptz 'epoch' + t * interval '1 microsecond',"
        " CASE k WHEN 0 THEN w END, CASE k WHEN 1 THEN r END, q, b"
        " FROM unnest(%s::int[], %s::bigint[], %s::int[], %s::bigint[], %s::float8[],"
        " %s::smallint[], %s::bigint[]) AS u(s, t, k, w, r, q, b) ORDER BY s"
        " ON CONFLICT (series_id) DO UPDATE SET ts = excluded.ts, raw_int = excluded.raw_int,"
        " raw_real = excluded.raw_real, quality = excluded.quality, batch = excluded.batch"
        " WHERE excluded.ts > latest.ts",
        (
            last.series_id.tolist(), last.ts_us.tolist(), last.kind.tolist(), last.whole.tolist(),
            last.real.tolist(), last.quality.tolist(), last.batch.tolist(),
        ),
    )  # fmt: skip


def mark_dirty(
    connection: psycopg.Connection[Any],
    rows: Readings,
    meanings: dict[int, Meaning],
    commit_no: int,
    agreed: Agreed,
) -> None:
    """Write one dirty span a series, and open an epoch where the numbers have no meaning yet."""
    series, index = np.unique(rows.series_id, return_inverse=True)
    first = np.full(len(series), np.iinfo(np.int64).max)
    last = np.full(len(series), np.iinfo(np.int64).min)
    np.minimum.at(first, index, rows.ts_us)
    np.maximum.at(last, index, rows.ts_us)
    spans = (series.tolist(), first.tolist(), last.tolist())
    covered = {
        series_id: sha256 if sha256 is None else bytes(sha256)
        for series_id, sha256 in connection.execute(
            "SELECT e.series_id, e.birth_sha256 FROM series_epoch e"
            " JOIN unnest(%s::int[], %s::bigint[]) AS u(s, f) ON e.series_id = s"
            " AND e.valid_from <= timestamptz 'epoch' + f * interval '1 microsecond'"
            " AND (e.valid_to IS NULL"
            " OR timestamptz 'epoch' + f * interval '1 microsecond' < e.valid_to)"
            " WHERE e.superseded_commit_no IS NULL",
            spans[:2],
        )
    }
    for series_id, since_us in zip(spans[0], spans[1], strict=True):
        meaning = meanings.get(series_id)
        if meaning is None:
            continue
        source = meaning.source or b""
        same = covered.get(series_id) == meaning.source or (series_id, source) in agreed
        if series_id not in covered or not same:
            open_epoch(connection, meaning, _EPOCH + dt.timedelta(microseconds=since_us), commit_no)
            agreed.add((series_id, source))
    connection.execute(
        "INSERT INTO dirty (series_id, from_ts, to_ts, commit_no)"
        " SELECT s, timestamptz 'epoch' + f * interval '1 microsecond',"
        " timestamptz 'epoch' + l * interval '1 microsecond', %s"
        " FROM unnest(%s::int[], %s::bigint[], %s::bigint[]) AS u(s, f, l)",
        (commit_no, *spans),
    )
