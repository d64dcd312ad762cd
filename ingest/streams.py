"""Streams: their numbers in this database, whose they are, and two that claim to be one (D2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import psycopg

from enpilot.database import draw_commit_no
from ingest.findings import Evidence, report

__all__ = ["OpenStream", "StreamFacts", "Streams", "known_streams", "report_clones"]

# Batches of a stream may come a little after the first of its successor; a copy goes on for good.
_CLONE_AFTER_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What a message says of its stream."""

    agent: str
    previous: UUID | None
    simulated: bool


@dataclass(frozen=True, slots=True)
class OpenStream:
    """A stream as the database knows it."""

    stream_no: int
    agent: str


class Streams:
    """The streams that this worker has seen; numbers and owners never change."""

    def __init__(self) -> None:
        self._known: dict[UUID, OpenStream] = {}

    def open(
        self, connection: psycopg.Connection[Any], wanted: Mapping[UUID, StreamFacts]
    ) -> dict[UUID, OpenStream]:
        """Return number and owner of each stream, opening those not seen before."""
        unseen = {stream: wanted[stream] for stream in sorted(wanted.keys() - self._known.keys())}
        if unseen:
            _insert(connection, unseen)
            self._known |= known_streams(connection, unseen)
        return {stream: self._known[stream] for stream in wanted}


def known_streams(
    connection: psycopg.Connection[Any], wanted: Iterable[UUID]
) -> dict[UUID, OpenStream]:
    """Return those streams that the database knows."""
    return {
        stream: OpenStream(stream_no, agent)
        for stream, stream_no, agent in connection.execute(
            "SELECT stream, stream_no, agent_id FROM stream WHERE stream = ANY(%s)",
            (list(wanted),),
        )
    }


def _insert(connection: psycopg.Connection[Any], unseen: Mapping[UUID, StreamFacts]) -> None:
    """Insert in the order of the keys, the same for all workers: no deadlock."""
    with connection.transaction():
        connection.execute(
            "INSERT INTO stream (stream, origin, agent_id, previous, source, simulated, label_zh,"
            " label_en, author) SELECT s, 'agent', a, p, 'agent ' || a, m,"
            " CASE WHEN m THEN '模拟电表' END, CASE WHEN m THEN 'simulated meters' END,"
            " 'agent ' || a FROM unnest(%s::uuid[], %s::text[], %s::uuid[], %s::bool[])"
            " WITH ORDINALITY AS u(s, a, p, m, i)"
            " WHERE NOT EXISTS (SELECT 1 FROM stream WHERE stream = s)"
            " ORDER BY i ON CONFLICT DO NOTHING",
            (
                list(unseen), [f.agent for f in unseen.values()],
                [f.previous for f in unseen.values()], [f.simulated for f in unseen.values()],
            ),
        )  # fmt: skip
        connection.execute(
            "INSERT INTO stream_state (stream_no) SELECT stream_no FROM stream"
            " WHERE stream = ANY(%s) ORDER BY stream_no ON CONFLICT DO NOTHING",
            (list(unseen),),
        )


def report_clones(
    connection: psycopg.Connection[Any],
    stream_nos: Iterable[int],
    after_s: float = _CLONE_AFTER_S,
) -> None:
    """Report agents of which two streams with one predecessor live side by side.

    Parameters
    ----------
    connection
        Not inside a transaction.
    stream_nos
        Streams that had batches of late.
    after_s
        For how long the older one must have gone on beside the younger [s].
    """
    pairs = connection.execute(
        "SELECT y.agent_id, y.stream, o.stream, y.previous, old.received_at, new.received_at"
        " FROM stream y JOIN stream o ON o.agent_id = y.agent_id AND o.stream_no < y.stream_no"
        "  AND o.previous IS NOT DISTINCT FROM y.previous"
        " CROSS JOIN LATERAL (SELECT received_at FROM batch_ledger l"
        "  WHERE l.stream_no = o.stream_no ORDER BY seq DESC LIMIT 1) old"
        " CROSS JOIN LATERAL (SELECT received_at FROM batch_ledger l"
        "  WHERE l.stream_no = y.stream_no ORDER BY seq DESC LIMIT 1) new"
        " WHERE (y.stream_no = ANY(%(nos)s) OR o.stream_no = ANY(%(nos)s))"
        " AND least(old.received_at, new.received_at)"
        "     > y.opened_at + make_interval(secs => %(after)s)"
        " AND NOT EXISTS (SELECT 1 FROM finding f WHERE f.code = 'agent_cloned'"
        "  AND f.evidence ? 'stream' AND f.evidence ->> 'stream' = y.stream::text)",
        {"nos": sorted(stream_nos), "after": after_s},
    ).fetchall()
    if not pairs:
        return
    found = [
        Evidence(
            agent,
            {
                "stream": str(younger), "other": str(older),
                "previous": None if previous is None else str(previous),
                "newest": new.isoformat(), "newest_of_other": old.isoformat(),
            },
        )
        for agent, younger, older, previous, old, new in pairs
    ]  # fmt: skip
    with connection.transaction():
        commit_no = draw_commit_no(connection)
        report(connection, "agent_cloned", "fault", found, commit_no, once_a_stream=True)
