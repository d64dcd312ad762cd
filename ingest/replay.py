"""Try refused messages again, as if they came now: stored once, however often they are tried.

A point may have been granted since, a birth have come, a clock have caught up. The number of a
refused batch was covered by a receipt, so that its agent never sends it again; only this way does
it turn from refused to stored.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import psycopg

from enpilot.wire import Refusal
from ingest.prepare import Part, Preparer, read_message
from ingest.subscriber import Message
from ingest.writer import GroupWriter

__all__ = ["Outcome", "replay", "select_refused"]

_FORK = "its number belongs to other bytes: the agent sends them under a new one, see `edge outbox`"
_CUT = "only its first 64 KiB were kept"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message: stored, present already, or refused again and why."""

    quarantine_id: int
    outcome: Literal["stored", "present", "refused"]
    sentence: str


def select_refused(
    connection: psycopg.Connection[Any], agent: str | None, code: str | None
) -> list[int]:
    """Return the numbers of what waits in quarantine, in the order in which it came.

    Parameters
    ----------
    agent, code
        Only of this agent, only refused for this reason.
    """
    return [
        row[0]
        for row in connection.execute(
            "SELECT quarantine_id FROM quarantine WHERE coalesce(outcome, 'refused') = 'refused'"
            " AND (%(agent)s::text IS NULL OR agent_id = %(agent)s)"
            " AND (%(code)s::text IS NULL OR code = %(code)s) ORDER BY quarantine_id",
            {"agent": agent, "code": code},
        )
    ]


def replay(connection: psycopg.Connection[Any], numbers: Sequence[int]) -> list[Outcome]:
    """Try messages in quarantine again, each in a transaction of its own.

    Parameters
    ----------
    connection
        In autocommit mode, not inside a transaction.
    numbers
        Their numbers in quarantine; those that are not there are left out.

    Returns
    -------
    list of Outcome
        One for each that was there.
    """
    preparer = Preparer()
    writer = GroupWriter("replay", reopen=True)
    writer.attach(connection)
    outcomes = []
    for number in numbers:
        with connection.transaction():
            row = connection.execute(
                "SELECT topic, payload, code, payload_bytes FROM quarantine"
                " WHERE quarantine_id = %s FOR UPDATE",
                (number,),
            ).fetchone()
            if row is None:
                continue
            outcome = Outcome(number, *_try(connection, preparer, writer, row))
            connection.execute(
                "UPDATE quarantine SET replayed_at = now(), outcome = %s, outcome_sentence = %s"
                " WHERE quarantine_id = %s",
                (outcome.outcome, outcome.sentence, number),
            )
            outcomes.append(outcome)
    return outcomes


def _try(
    connection: psycopg.Connection[Any],
    preparer: Preparer,
    writer: GroupWriter,
    row: tuple[Any, ...],
) -> tuple[Literal["stored", "present", "refused"], str]:
    topic, payload, code, size = row
    if code == Refusal.FORK.value:
        return "refused", _FORK
    if size > len(payload):
        return "refused", _CUT
    message = Message(topic, bytes(payload), 0, 0, time.time_ns() // 1000, time.monotonic())
    part = preparer.prepare(connection, [read_message(message)])
    refusal = _refusal(part)
    if refusal is not None:
        return "refused", refusal
    try:
        with connection.transaction():
            written = writer.write(connection, [part])
    except (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError) as error:
        return "refused", f"the database refuses it: {error}"
    counts = list(written.counts.values())
    stored = sum(c.readings_stored for c in counts)
    if any(c.batches_stored for c in counts):
        return "stored", f"{stored} readings"
    if any(c.batches_duplicated for c in counts):
        return "present", "its batch is stored already"
    return "refused", "its number is stored with other bytes"


def _refusal(part: Part) -> str | None:
    if part.refused:
        return part.refused[0].sentence
    if part.needed:
        return "its birth is not there: the agent publishes it when it starts"
    return None if part.candidates else "no data message"
