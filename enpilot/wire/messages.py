"""The structures of wire version 1.

Unknown fields are ignored (a newer agent may say more), a changed meaning is a new version (D15).
Decimal numbers that must stay exact (scales, moduli) travel as strings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = [
    "WIRE_VERSION",
    "Batch",
    "Birth",
    "CounterKind",
    "DataMessage",
    "GroupDeclaration",
    "GroupReadings",
    "RawType",
    "Receipt",
    "SeriesDeclaration",
    "Status",
    "StreamReceipt",
]

WIRE_VERSION = 1

RawType = Literal[
    "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"
]  # fmt: skip
CounterKind = Literal["lifetime", "periodic", "preset"]
# What an agent's SQLite can compare; a receipt beyond it is malformed.
_Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class SeriesDeclaration(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One column of a group: which point's quantity, and what its register's number means.

    ``register_scale`` turns a register count into ``unit`` as the meter itself sees it; with side
    "secondary" the server multiplies by the CT and PT ratio of the installation. ``modulus`` is the
    number of counts after which the counter starts again at zero. ``rated_min`` and ``rated_max``
    are what a level can be at all [``unit``, as the meter itself sees it].
    """

    point: str
    quantity: str
    channel: str
    unit: str
    raw_type: RawType
    register_scale: str
    offset: str = "0"
    side: Literal["primary", "secondary"] = "primary"
    counter: CounterKind | None = None
    modulus: str | None = None
    rated_max_per_h: float | None = None
    rated_min: float | None = None
    rated_max: float | None = None
    device: str | None = None
    register: str | None = None


class GroupDeclaration(msgspec.Struct, kw_only=True):
    """Series read together in one block; a data message's columns follow this order."""

    group: int
    period_s: float
    series: list[SeriesDeclaration]


class Birth(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What an agent reads. Named by the SHA-256 of its exact bytes (D14)."""

    v: int
    agent: str
    software: str
    groups: list[GroupDeclaration]
    simulated: bool = False


class GroupReadings(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Readings of one group at n instants, by column.

    ``ts`` is the first scheduled instant [µs since 1970, UTC]; sample i belongs to
    ``ts + dt[i]`` (``dt[0]`` is 0) and was read ``late_ms[i]`` later. ``values[s][i]`` is the
    register's own number of series s; integers above 2**53 travel as decimal strings, None is a
    reading that failed. ``quality[s][i]`` is left out when all are good.
    """

    group: int
    ts: int
    dt: list[int]
    late_ms: list[int]
    values: Sequence[Sequence[int | float | str | None]]
    quality: Sequence[Sequence[int]] | None = None


class Batch(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The immutable part of a data message: these bytes are hashed and never change (D2)."""

    birth: str
    groups: list[GroupReadings]


class DataMessage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A numbered batch in its envelope.

    The envelope may differ between two sends of the same batch: ``first``, the oldest seq of this
    stream that the agent can still send (confirmed ones included), moves on, and ``sent_us`` is the
    agent's clock at the send.
    """

    v: int
    agent: str
    stream: str
    seq: int
    first: int
    sent_us: int
    batch: msgspec.Raw
    previous: str | None = None


class StreamReceipt(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How far one stream has got: all up to ``through``, and the ranges ``ahead`` of a hole.

    ``refused`` lists batches in quarantine with their code; they count as covered.
    """

    stream: str
    through: _Number
    ahead: list[tuple[_Number, _Number]] = []
    refused: list[tuple[_Number, str]] = []


class Receipt(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The platform's answer: committed in database ``db`` up to ``commit_no`` (D3, D4)."""

    v: int
    agent: str
    db: str
    commit_no: _Number
    streams: list[StreamReceipt]
    need: list[str] = []


class Status(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How the agent is; also its last will (state "offline").

    ``outbox_bytes`` are taken on disk and ``outbox_hours`` are left at the present rate;
    ``outbox_state`` is "read_only" while the disk takes nothing. ``clock_jumps`` are steps of the
    wall clock since the start, the last one by ``clock_jump_ms``. ``unconfirmed_s`` is for how long
    the platform has owed an answer. ``findings`` are codes with the device that they concern.
    ``confirmed_streams`` are those of which confirmed batches are kept: the platform answers with
    what it has of them, so that one which fell back is found out, whatever is sent of them.
    """

    v: int
    agent: str
    state: Literal["online", "offline"]
    since_us: int
    stream: str | None = None
    held_batches: int = 0
    held_readings: int = 0
    oldest_held_us: int | None = None
    units_down: int = 0
    dead_batches: int = 0
    dropped_readings: int = 0
    thinned_readings: int = 0
    outbox_bytes: int | None = None
    outbox_hours: float | None = None
    outbox_state: Literal["ok", "read_only"] = "ok"
    clock_credible: bool = True
    clock_jumps: int = 0
    clock_jump_ms: int = 0
    unconfirmed_s: float = 0.0
    confirmed_streams: list[str] = []
    findings: list[tuple[str, str]] = []
