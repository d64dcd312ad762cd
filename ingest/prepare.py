"""From messages to a part of a group: decoded, checked, numbered, laid out for COPY.

All that does not need the writing transaction happens here, while the group before is written:
births and streams are looked up (or catalogued and opened) on a connection of their own, values
become arrays, arrays the bytes of COPY.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import psycopg

from enpilot.wire import Refusal, Status, WireError, decode_status, parse_topic
from enpilot.wire.topics import TopicError
from ingest.accept import Decoded, Refused, accept
from ingest.births import Births, CataloguedBirth, KnownBirth, read_birth
from ingest.errors import RefusedError
from ingest.meaning import GroupColumns
from ingest.physical_range import flag_out_of_range
from ingest.rows import Block, batch_number, join_blocks, pack_rows, read_block
from ingest.streams import OpenStream, StreamFacts, Streams
from ingest.subscriber import Message
from ingest.touched import Touched, touched_by

__all__ = ["Candidate", "Item", "NamedStatus", "Part", "Preparer", "read_message"]

_HASH: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class NamedStatus:
    """What an agent says of itself, on its own topic; ``asked`` streams it wants an answer for."""

    status: Status
    received_us: int
    asked: list[UUID]


@dataclass(frozen=True, slots=True)
class Item:
    """A message and what it says."""

    message: Message
    agent: str | None  # none if the topic names none
    is_data: bool
    content: Decoded | Refused | CataloguedBirth | NamedStatus

    @property
    def readings(self) -> int:
        """About how many readings are in it, for bounding a group."""
        if not isinstance(self.content, Decoded):
            return 1
        return sum(len(g.dt) * len(g.values) for g in self.content.batch.groups)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A batch that may be written, if nobody was first."""

    message: Decoded
    stream_no: int
    blocks: list[Block]
    columns: list[GroupColumns]
    readings: int
    first_us: int | None
    last_us: int | None
    received_us: int

    @property
    def key(self) -> tuple[int, int]:
        """What the ledger knows it by."""
        return self.stream_no, self.message.seq


@dataclass(slots=True)
class Part:
    """What goes into one transaction, with others that are ready.

    Attributes
    ----------
    items
        All messages, to be acknowledged after the commit, or prepared anew.
    candidates, refused
        Batches to write, and payloads for quarantine.
    streams
        Of both, those that are known and belong to the agent.
    readings, touched, packed
        Of the rows of all candidates: how many, what they touch, and the body of a binary COPY.
    generation
        Of the caches that it was prepared with.
    size
        Share of a group that it fills.
    """

    items: list[Item]
    generation: int
    received: Counter[str] = field(default_factory=Counter)
    candidates: list[Candidate] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    needed: dict[str, set[str]] = field(default_factory=dict)
    births_needed: Counter[str] = field(default_factory=Counter)
    statuses: dict[str, NamedStatus] = field(default_factory=dict)
    streams: dict[UUID, OpenStream] = field(default_factory=dict)
    readings: int = 0
    touched: Touched | None = None
    packed: bytes = b""
    size: float = 0.0

    @property
    def message_count(self) -> int:
        """Messages in it."""
        return len(self.items)

    @property
    def since_s(self) -> float:
        """When its oldest message came [s, monotonic]."""
        return self.items[0].message.since_s

    def refuse_all(self, code: Refusal, sentence: str) -> Part:
        """Return the part with its batches refused."""
        refused = [c.message.refuse(code, sentence) for c in self.candidates]
        return Part(
            self.items, self.generation, self.received, [], [*self.refused, *refused],
            self.needed, self.births_needed, self.statuses, self.streams,
        )  # fmt: skip


def read_message(message: Message) -> Item:
    """Decode one message; needs no database."""
    try:
        agent, kind = parse_topic(message.topic)
    except TopicError as error:
        # The subscriptions let nothing through here but a data, birth or status of no agent.
        is_data = message.topic.endswith("/data")
        refused = Refused(
            message.topic, message.payload, Refusal.MALFORMED, str(error), is_data=is_data
        )
        return Item(message, None, is_data, refused)
    payload = message.payload
    try:
        if kind == "birth":
            read_birth(agent, payload)
            return Item(message, agent, False, CataloguedBirth(agent, payload))
        if kind == "status":
            return Item(message, agent, False, _read_status(agent, payload, message.received_us))
    except WireError as error:
        refused = Refused(message.topic, payload, error.code, str(error), agent, is_data=False)
        return Item(message, agent, False, refused)
    return Item(message, agent, True, accept(agent, message.topic, payload))


def _read_status(agent: str, payload: bytes, received_us: int) -> NamedStatus:
    status = decode_status(payload)
    if status.agent != agent:
        raise WireError(Refusal.WRONG_IDENTITY, f"status of {status.agent!r} on {agent!r}'s topic")
    for us in (status.since_us, status.oldest_held_us):
        if us is not None and not 0 <= us <= _LAST_US:
            raise WireError(Refusal.MALFORMED, f"{us} is no time after 1970 and before 3000")
    for number in (status.held_batches, status.held_readings):
        if not 0 <= number < 2**63:
            raise WireError(Refusal.MALFORMED, f"{number} is no number of batches or readings")
    if not 0 <= status.units_down < 2**31:
        raise WireError(Refusal.MALFORMED, f"{status.units_down} is no number of units")
    try:
        asked = [UUID(stream) for stream in status.confirmed_streams[:_ASKED_MOST]]
    except ValueError as error:
        raise WireError(Refusal.MALFORMED, "confirmed_streams are UUIDs") from error
    return NamedStatus(status, received_us, asked)


_ASKED_MOST: Final = 64
_LAST_US: Final = 32_503_680_000_000_000  # 3000-01-01T00:00Z


class Preparer:
    """Prepares parts; knows births and streams, and forgets them when the database was away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._births = Births()
        self._streams = Streams()
        self.generation = 0

    def forget(self) -> None:
        """Forget what was looked up: another database may know it by other numbers."""
        with self._lock:
            self._births, self._streams = Births(), Streams()
            self.generation += 1

    def forget_refused_births(self) -> None:
        """See `Births.forget_refused`."""
        with self._lock:
            self._births.forget_refused()

    def prepare(self, connection: psycopg.Connection[Any], items: list[Item]) -> Part:
        """Make a part of messages.

        Parameters
        ----------
        connection
            In autocommit mode: what is catalogued and opened stays, whatever becomes of the part.
        items
            In the order of arrival.
        """
        with self._lock:
            part = Part(items, self.generation)
            part.received.update(item.agent or "?" for item in items if item.is_data)
            self._births.catalogue(
                connection, (i.content for i in items if isinstance(i.content, CataloguedBirth))
            )
            fitting = self._fit(connection, part)
            self._open_streams(connection, part, fitting)
            self._lay_out(part, fitting)
            return part

    def _fit(
        self, connection: psycopg.Connection[Any], part: Part
    ) -> list[tuple[Decoded, KnownBirth, int]]:
        """Sort messages: what fits a known birth is returned, the others go into the part."""
        quoted = {
            (item.content.agent, item.content.batch.birth)
            for item in part.items
            if isinstance(item.content, Decoded) and _HASH.fullmatch(item.content.batch.birth)
        }
        births = self._births.find(connection, quoted)
        fitting = []
        for item in part.items:
            match item.content:
                case NamedStatus() as named:
                    part.statuses[named.status.agent] = named
                case Refused() as refused:
                    part.refused.append(refused)
                case Decoded() as message:
                    birth = births.get((message.agent, message.batch.birth))
                    if not _HASH.fullmatch(message.batch.birth):
                        part.refused.append(
                            message.refuse(Refusal.MALFORMED, "the birth is no SHA-256 in hex")
                        )
                    elif birth is None:
                        part.needed.setdefault(message.agent, set()).add(message.batch.birth)
                        part.births_needed[message.agent] += 1
                    elif birth.refusal is not None:
                        part.refused.append(message.refuse(*birth.refusal))
                    else:
                        fitting.append((message, birth, item.message.received_us))
        return fitting

    def _open_streams(
        self,
        connection: psycopg.Connection[Any],
        part: Part,
        fitting: list[tuple[Decoded, KnownBirth, int]],
    ) -> None:
        wanted: dict[UUID, StreamFacts] = {}
        for refusal in part.refused:
            if refusal.covered and refusal.stream is not None and refusal.agent is not None:
                wanted[refusal.stream] = StreamFacts(refusal.agent, None, simulated=False)
        for message, birth, _ in fitting:
            wanted[message.stream] = StreamFacts(message.agent, message.previous, birth.simulated)
        part.streams = self._streams.open(connection, wanted) if wanted else {}

    def _lay_out(self, part: Part, fitting: list[tuple[Decoded, KnownBirth, int]]) -> None:
        blocks: list[Block] = []
        batches: list[int] = []
        for message, birth, received_us in fitting:
            stream = part.streams[message.stream]
            if stream.agent != message.agent:
                part.refused.append(
                    message.refuse(
                        Refusal.WRONG_IDENTITY,
                        f"stream {message.stream} belongs to agent {stream.agent!r}",
                        covered=False,
                    )
                )
                continue
            try:
                candidate = _candidate(message, birth, stream.stream_no, received_us)
            except RefusedError as error:
                part.refused.append(message.refuse(error.code, str(error)))
                continue
            part.candidates.append(candidate)
            blocks += candidate.blocks
            batch = batch_number(stream.stream_no, message.seq)
            batches += [batch] * len(candidate.blocks)
        if blocks:
            rows = join_blocks(blocks, batches)
            part.readings = len(rows)
            if part.readings:
                part.touched = touched_by(rows)
            part.packed = pack_rows(rows)


def _candidate(message: Decoded, birth: KnownBirth, stream_no: int, received_us: int) -> Candidate:
    blocks, columns = [], []
    for group in message.batch.groups:
        declared = birth.columns.get(group.group)
        if declared is None:
            raise RefusedError(
                Refusal.UNKNOWN_GROUP, f"group {group.group} is not in birth {message.batch.birth}"
            )
        blocks.append(flag_out_of_range(read_block(group, declared.layout), declared.limits))
        columns.append(declared)
    spans = [g for g in message.batch.groups if g.dt and g.values]
    return Candidate(
        message, stream_no, blocks, columns, sum(len(b) for b in blocks),
        min((g.ts + min(g.dt) for g in spans), default=None),
        max((g.ts + max(g.dt) for g in spans), default=None),
        received_us,
    )  # fmt: skip
