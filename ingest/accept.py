"""From bytes on a data topic to a message of the right form, or to a refusal with its reason."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

from enpilot.wire import (
    Batch,
    GroupReadings,
    Refusal,
    WireError,
    decode_batch,
    decode_data,
    sha256_hex,
)

__all__ = ["Decoded", "Refused", "accept"]

MAX_SEQ: Final = 2**32 - 1
# A gateway whose clock runs ahead by more than this stamps readings nobody can use.
MAX_AHEAD_US: Final = 10 * 60 * 1_000_000


@dataclass(frozen=True, slots=True)
class Refused:
    """A payload for quarantine; if ``covered``, the receipt counts its number as done."""

    topic: str
    payload: bytes
    code: Refusal
    sentence: str
    agent: str | None = None
    stream: UUID | None = None
    seq: int | None = None
    sha256: bytes = b""
    covered: bool = True
    is_data: bool = True


@dataclass(frozen=True, slots=True)
class Decoded:
    """A data message whose form is right; whether it fits its birth is not known yet."""

    topic: str
    payload: bytes
    agent: str
    stream: UUID
    seq: int
    first: int
    sent_us: int
    previous: UUID | None
    sha256: bytes
    batch: Batch

    def refuse(self, code: Refusal, sentence: str, *, covered: bool = True) -> Refused:
        """Return this message as a refusal; ``covered`` lets the receipt count it as done."""
        return Refused(
            self.topic, self.payload, code, sentence, self.agent,
            self.stream, self.seq, self.sha256, covered,
        )  # fmt: skip


def accept(agent: str, topic: str, payload: bytes) -> Decoded | Refused:
    """Check the form of a payload of an agent's data topic; needs no database.

    Parameters
    ----------
    agent
        Agent id of the topic.
    topic, payload
        As they came from the broker.
    """
    try:
        message = decode_data(payload)
    except WireError as error:
        stream, seq = _glimpse(payload)
        return Refused(topic, payload, error.code, str(error), agent, stream, seq, _digest(payload))
    sha256 = bytes.fromhex(sha256_hex(message.batch))
    stream = _uuid(message.stream)

    def refused(code: Refusal, sentence: str) -> Refused:
        own = message.agent == agent and stream is not None and 1 <= message.seq <= MAX_SEQ
        return Refused(
            topic, payload, code, sentence, agent,
            stream if own else None, message.seq if own else None, sha256,
        )  # fmt: skip

    if message.agent != agent:
        return refused(
            Refusal.WRONG_IDENTITY, f"agent {message.agent!r} in a message on {agent!r}'s topic"
        )
    previous = _uuid(message.previous) if message.previous is not None else None
    if stream is None or (message.previous is not None and previous is None):
        return refused(Refusal.MALFORMED, "stream and previous are UUIDs")
    if not (1 <= message.seq <= MAX_SEQ and 1 <= message.first <= message.seq):
        return refused(
            Refusal.MALFORMED, f"seq {message.seq} with first {message.first}: 1 ≤ first ≤ seq"
        )
    try:
        batch = decode_batch(message.batch)
    except WireError as error:
        return refused(error.code, str(error))
    if _beyond(batch.groups, time.time_ns() // 1000 + MAX_AHEAD_US):
        return refused(
            Refusal.FUTURE_TIMESTAMP,
            "a reading is stamped more than 10 minutes from now: check the gateway's clock",
        )
    return Decoded(
        topic, payload, agent, stream, message.seq, message.first, message.sent_us, previous,
        sha256, batch,
    )  # fmt: skip


def _beyond(groups: list[GroupReadings], limit_us: int) -> bool:
    return any(g.dt and g.ts + max(g.dt) > limit_us for g in groups)


class _Glimpse(msgspec.Struct):
    stream: str
    seq: int


_glimpse_decoder = msgspec.json.Decoder(_Glimpse)


def _glimpse(payload: bytes) -> tuple[UUID | None, int | None]:
    """Read stream and seq out of a message that is otherwise wrong, so that a receipt covers it."""
    try:
        seen = _glimpse_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None, None
    stream = _uuid(seen.stream)
    if stream is None or not 1 <= seen.seq <= MAX_SEQ:
        return None, None
    return stream, seen.seq


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _digest(payload: bytes) -> bytes:
    return bytes.fromhex(sha256_hex(payload))
