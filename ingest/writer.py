"""The exactly-once writer: a group of messages, one transaction, then receipts (D1, D11, D12).

Ledger rows, readings, latest values, refused payloads, counters and dirty spans commit together or
not at all, so a message sent again, or a process killed at any instant, neither loses nor doubles
a reading. Every step is one statement for the whole group. Workers take what they lock in one
order: ledger, latest values, quarantine, statuses, counters, and last the lock of the commit
number; between that and COMMIT stands only what must carry the number or be true up to it.
"""

from __future__ import annotations

import dataclasses
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from enpilot.database import draw_commit_no, read_capabilities
from enpilot.wire import WIRE_VERSION, Receipt, Refusal, StreamReceipt
from ingest import ledger, quarantine
from ingest.accept import Refused
from ingest.counts import Counts, WorkerCounts, add_counts, keep_worker
from ingest.database_watch import DatabaseWatch
from ingest.findings import Evidence, report
from ingest.ledger import Claim, Coverage
from ingest.meaning import GroupColumns, Meaning, agree
from ingest.prepare import Candidate, NamedStatus, Part
from ingest.rows import (
    COPY_READINGS,
    Readings,
    batch_number,
    copy_stream,
    in_order,
    join_blocks,
    pack_rows,
)
from ingest.status import keep_statuses
from ingest.streams import known_streams
from ingest.touched import Touched, join_touched, mark_touched, move_latest, touched_by

__all__ = ["GroupWriter", "Written", "mark_dirty", "pays_to_compress", "write_readings"]

# Below these a COPY into the columnstore costs more than one into the heap (D8).
_COMPRESS_FROM_ROWS: Final = 20_000
_COMPRESS_FROM_ROWS_A_SERIES: Final = 100


@dataclass(frozen=True, slots=True)
class Written:
    """What a transaction did: a receipt for each agent in it, and what to count."""

    receipts: list[Receipt]
    counts: dict[str, Counts]

    def add(self, other: Written) -> None:
        """Add what the next transaction did."""
        self.receipts.extend(other.receipts)
        for agent, counts in other.counts.items():
            self.counts.setdefault(agent, Counts()).add(counts)


class GroupWriter:
    """Writes groups on one connection, and remembers what cannot have changed since the last.

    Parameters
    ----------
    name
        Under which its counters stand.
    reopen
        Write batches whose number was refused before, see `ingest.ledger.claim`.
    """

    def __init__(self, name: str, *, reopen: bool = False) -> None:
        self.worker = WorkerCounts(name)
        self._reopen = reopen
        self._watch = DatabaseWatch()
        self._identity = ""
        self._direct_compress = False
        self.through: dict[int, int] = {}
        self.agreed: dict[GroupColumns, tuple[int, int]] = {}

    def attach(self, connection: psycopg.Connection[Any]) -> bool:
        """Get to know the database of a new connection.

        Returns
        -------
        bool
            Whether batches that were confirmed may be missing; agents will send them again.
        """
        self._identity, fallen = self._watch.check(connection, self.through)
        self._direct_compress = read_capabilities(connection).direct_compress
        self.through, self.agreed = {}, {}
        return fallen

    def write(self, connection: psycopg.Connection[Any], parts: list[Part]) -> Written:
        """Write one group in one transaction.

        Parameters
        ----------
        connection
            Attached, and not inside a transaction.
        parts
            Prepared with the present caches, in the order of arrival.

        Returns
        -------
        Written
            Receipts to publish now that the transaction is committed.
        """
        began = time.perf_counter()
        group = _Group(connection, parts)
        receipts: list[Receipt] = []
        with connection.transaction():
            group.claim(reopen=self._reopen)
            readings = group.copy(may_compress=self._direct_compress)
            worker = self._worker_after(group, readings)
            group.keep(worker)
            if group.has_numbers:
                group.number(self.agreed)
                group.cover(self.through)
                receipts = group.receipts(self._identity)
        # Only now is it true.
        took_s = time.perf_counter() - began
        self.worker = dataclasses.replace(
            worker, commit_s=took_s, writing_s=worker.writing_s + took_s
        )
        self._watch.saw(group.commit_no)
        self.through.update({no: coverage.through for no, coverage in group.coverages.items()})
        self.agreed.update(group.agreed)
        return Written(_with_needs(receipts, group.needed), group.counts)

    def _worker_after(self, group: _Group, readings: int) -> WorkerCounts:
        worker = self.worker
        batches = sum(counts.batches_received for counts in group.counts.values())
        return dataclasses.replace(
            worker,
            groups=worker.groups + 1,
            batches=worker.batches + batches,
            readings=worker.readings + readings,
            group_batches=batches,
            group_readings=readings,
            direct_compress=worker.direct_compress + group.compressed,
        )


def pays_to_compress(rows: int, series: int) -> bool:
    """Whether a COPY is large enough for the columnstore (D8)."""
    return rows >= _COMPRESS_FROM_ROWS or rows >= _COMPRESS_FROM_ROWS_A_SERIES * max(series, 1)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A message that claims a number: a batch to write, or a payload for quarantine."""

    claim: Claim
    agent: str
    content: Candidate | Refused

    @property
    def key(self) -> tuple[int, int]:
        return self.claim.stream_no, self.claim.seq


class _Group:
    """One transaction's work, step by step."""

    def __init__(self, connection: psycopg.Connection[Any], parts: list[Part]) -> None:
        self.connection = connection
        self._parts = parts
        self._new: list[_Entry] = []
        self._refused: list[Refused] = []
        self._forked: list[Candidate] = []
        self._touched: Touched | None = None
        self.series = 0
        self.compressed = 0
        self.commit_no = 0
        self.counts: dict[str, Counts] = defaultdict(Counts)
        self.coverages: dict[int, Coverage] = {}
        self.agreed: dict[GroupColumns, tuple[int, int]] = {}
        self.streams = {k: v for part in parts for k, v in part.streams.items()}
        self.needed: dict[str, set[str]] = defaultdict(set)
        self.statuses: dict[str, NamedStatus] = {}
        for part in parts:
            self.statuses.update(part.statuses)
            for agent, hashes in part.needed.items():
                self.needed[agent] |= hashes
            for agent, number in part.received.items():
                self.counts[agent].batches_received += number
            for agent, number in part.births_needed.items():
                self.counts[agent].births_needed += number
        # Streams that agents want an answer for; whose they are is not known yet.
        self._asked = {
            stream: named.status.agent
            for named in self.statuses.values()
            for stream in named.asked
            if stream not in self.streams
        }

    def claim(self, *, reopen: bool) -> None:
        """Claim the number of each batch, refused ones too, and see who was first."""
        first: dict[tuple[int, int], _Entry] = {}
        for entry in self._entries():
            if (earlier := first.setdefault(entry.key, entry)) is not entry:
                self._settle(entry, same=earlier.claim.sha256 == entry.claim.sha256)
        claims = [entry.claim for entry in first.values()]
        outcome = ledger.claim(self.connection, claims, reopen=reopen)
        for key, entry in first.items():
            if key in outcome.new:
                self._new.append(entry)
                if isinstance(entry.content, Refused):
                    self._refuse(entry.content)
            else:
                self._settle(entry, same=key in outcome.duplicates)

    def _entries(self) -> Iterable[_Entry]:
        """Yield what has a number, batches to write first; set aside what has none."""
        for part in self._parts:
            for c in part.candidates:
                message = c.message
                claim = Claim(*c.key, message.sha256, None, c.readings, c.first_us, c.last_us)
                yield _Entry(claim, message.agent, c)
        for part in self._parts:
            for refusal in part.refused:
                stream = None if refusal.stream is None else self.streams.get(refusal.stream)
                if stream is None or stream.agent != refusal.agent or not refusal.covered:
                    self._refuse(refusal)
                    continue
                assert refusal.seq is not None  # comes with the stream
                claim = Claim(
                    stream.stream_no, refusal.seq, refusal.sha256, refusal.code.value, 0, None, None
                )
                yield _Entry(claim, stream.agent, refusal)

    def _settle(self, entry: _Entry, *, same: bool) -> None:
        """Deal with a message that was not the first of its number."""
        counts = self.counts[entry.agent]
        if same:
            counts.batches_duplicated += 1
            counts.readings_duplicated += entry.claim.readings
        elif isinstance(entry.content, Refused):
            self._refuse(entry.content)
        else:
            message = entry.content.message
            self._forked.append(entry.content)
            counts.readings_refused += entry.claim.readings
            self._refuse(
                message.refuse(
                    Refusal.FORK,
                    f"seq {message.seq} of stream {message.stream} is stored with other bytes: the"
                    " outbox was restored or copied",
                    covered=False,
                )
            )

    def _refuse(self, refusal: Refused) -> None:
        self._refused.append(refusal)
        if refusal.is_data:
            self.counts[refusal.agent or "?"].batches_refused += 1

    @property
    def has_numbers(self) -> bool:
        """Whether the group has anything that needs a commit number or a receipt."""
        return bool(self.streams or self._asked)

    def copy(self, *, may_compress: bool) -> int:
        """Copy the rows of new batches, and move ``latest`` on; return how many rows."""
        new = [(e.key, e.content) for e in self._new if isinstance(e.content, Candidate)]
        if len(new) == sum(len(part.candidates) for part in self._parts):
            size = sum(part.readings for part in self._parts)
            touched = [part.touched for part in self._parts if part.touched is not None]
            bodies = [part.packed for part in self._parts]
        else:  # something came twice, or was a fork
            blocks = [(block, batch_number(*key)) for key, c in new for block in c.blocks]
            rows = join_blocks([block for block, _ in blocks], [batch for _, batch in blocks])
            size = len(rows)
            touched = [touched_by(rows)]
            bodies = [pack_rows(rows)]
        if not size:
            return 0
        self._touched = join_touched(touched)
        if may_compress and pays_to_compress(size, len(self._touched.series_id)):
            self.connection.execute("SET LOCAL timescaledb.enable_direct_compress_copy = on")
            self.compressed = 1
        with self.connection.cursor() as cursor, cursor.copy(COPY_READINGS) as copy:
            copy.write(copy_stream(bodies))
        move_latest(self.connection, self._touched)
        return size

    def keep(self, worker: WorkerCounts) -> None:
        """Keep refused payloads, statuses and counters."""
        for entry in self._new:
            candidate = entry.content
            if isinstance(candidate, Candidate):
                counts = self.counts[entry.agent]
                counts.batches_stored += 1
                counts.readings_stored += candidate.readings
                if candidate.last_us is not None:
                    counts.saw(candidate.last_us, candidate.message.sent_us, candidate.received_us)
        quarantine.keep(self.connection, self._refused)
        keep_statuses(self.connection, self.statuses)
        add_counts(self.connection, self.counts)
        keep_worker(self.connection, worker)

    def number(self, agreed: Mapping[GroupColumns, tuple[int, int]]) -> None:
        """Draw the commit number and give it to the rows that carry it."""
        self.commit_no = draw_commit_no(self.connection)
        ledger.number_claims(self.connection, {e.key for e in self._new}, self.commit_no)
        if self._touched is not None:
            mark_touched(self.connection, self._touched, self.commit_no)
            self._agree(agreed)

    def _agree(self, agreed: Mapping[GroupColumns, tuple[int, int]]) -> None:
        """See that each series has a meaning; what was agreed on for these instants is known."""
        spans: dict[GroupColumns, tuple[int, int]] = {}
        for entry in self._new:
            candidate = entry.content
            if isinstance(candidate, Refused) or candidate.first_us is None:
                continue
            assert candidate.last_us is not None  # there are both or none
            for columns in candidate.columns:
                low, high = spans.get(columns, (candidate.first_us, candidate.last_us))
                spans[columns] = min(low, candidate.first_us), max(high, candidate.last_us)
        for columns, (first, _) in sorted(spans.items(), key=lambda item: item[1]):
            since, until = agreed.get(columns, (1, 0))
            if since <= first < until:
                continue
            low, high = agree(self.connection, columns.meanings, first, self.commit_no)
            # A backlog comes with epochs of its own, each right before the one known.
            self.agreed[columns] = (low, until) if high == since else (low, high)

    def cover(self, known_through: Mapping[int, int]) -> None:
        """Find out how far the group's streams have got, and book what will never come."""
        if self._asked:
            found = known_streams(self.connection, self._asked)
            self.streams |= {s: o for s, o in found.items() if o.agent == self._asked[s]}
            self._asked = {s: agent for s, agent in self._asked.items() if s not in found}
        numbers = {stream.stream_no: stream.agent for stream in self.streams.values()}
        self.coverages = ledger.coverage_of(
            self.connection, {n: known_through.get(n, 0) for n in numbers}
        )
        first: dict[int, int] = {}
        for part in self._parts:
            for c in part.candidates:
                first[c.stream_no] = max(first.get(c.stream_no, 1), c.message.first)
        lost = [
            (stream_no, low, high)
            for stream_no, oldest in sorted(first.items())
            for low, high in self.coverages[stream_no].missing_below(oldest)
        ]
        if lost:
            ledger.book_lost(self.connection, lost, self.commit_no)
            for stream_no, low, high in lost:
                self.coverages[stream_no].add(low, high)
        self._report(lost, numbers)

    def _report(self, lost: list[tuple[int, int, int]], agents: Mapping[int, str]) -> None:
        names = {stream.stream_no: str(name) for name, stream in self.streams.items()}
        report(
            self.connection, "batches_lost", "fault",
            [
                Evidence(agents[no], {"stream": names[no], "from_seq": low, "to_seq": high})
                for no, low, high in lost
            ],
            self.commit_no,
        )  # fmt: skip
        forks = {c.stream_no: c for c in reversed(self._forked)}
        report(
            self.connection, "fork", "fault",
            [
                Evidence(agents[no], {"stream": names[no], "seq": forks[no].message.seq})
                for no in sorted(forks)
            ],
            self.commit_no, once_a_stream=True,
        )  # fmt: skip

    def receipts(self, identity: str) -> list[Receipt]:
        """Say what is stored, agent by agent."""
        refused = ledger.refused_of(self.connection, self.coverages)
        by_agent: dict[str, list[StreamReceipt]] = defaultdict(list)
        for name, stream in sorted(self.streams.items()):
            no = stream.stream_no
            coverage = self.coverages[no]
            forks = sorted({c.message.seq for c in self._forked if c.stream_no == no})
            by_agent[stream.agent].append(
                StreamReceipt(
                    stream=str(name), through=coverage.through, ahead=coverage.ahead,
                    refused=[*refused.get(no, ()), *((seq, Refusal.FORK.value) for seq in forks)],
                )
            )  # fmt: skip
        for name, agent in sorted(self._asked.items()):
            by_agent[agent].append(StreamReceipt(stream=str(name), through=0, ahead=[], refused=[]))
        return [
            Receipt(
                v=WIRE_VERSION, agent=agent, db=identity, commit_no=self.commit_no, streams=streams
            )
            for agent, streams in sorted(by_agent.items())
        ]


def _with_needs(receipts: list[Receipt], needed: Mapping[str, set[str]]) -> list[Receipt]:
    """Add the births that are asked for; a receipt of needs alone confirms nothing (commit 0)."""
    for agent, hashes in sorted(needed.items()):
        own = next((r for r in receipts if r.agent == agent), None)
        if own is None:
            own = Receipt(v=WIRE_VERSION, agent=agent, db="", commit_no=0, streams=[])
            receipts.append(own)
        own.need = sorted(hashes)
    return receipts


def write_readings(connection: psycopg.Connection[Any], rows: Readings) -> None:
    """Copy rows into ``reading`` and move ``latest`` on; part of the caller's transaction."""
    rows = in_order(rows)
    with connection.cursor() as cursor, cursor.copy(COPY_READINGS) as copy:
        copy.write(copy_stream([pack_rows(rows)]))
    move_latest(connection, touched_by(rows))


def mark_dirty(
    connection: psycopg.Connection[Any],
    rows: Readings,
    meanings: Mapping[int, Meaning],
    commit_no: int,
    agreed: object = None,  # noqa: ARG001  # what imports still pass
) -> None:
    """Write one dirty span a series, and see that each of ``meanings`` has an epoch."""
    touched = touched_by(in_order(rows))
    mark_touched(connection, touched, commit_no)
    first: dict[int, list[Meaning]] = defaultdict(list)
    for series_id, first_us in zip(
        touched.series_id.tolist(), touched.first_us.tolist(), strict=True
    ):
        if series_id in meanings:
            first[first_us].append(meanings[series_id])
    for first_us, some in sorted(first.items()):
        agree(connection, some, first_us, commit_no)
