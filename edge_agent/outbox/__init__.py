"""The outbox: every reading, on disk, until the platform confirms it, and some time longer.

Numbered batches whose bytes never change once they were sent (D2-D4, D13, D17). See the README of
the room for what happens when the disk is full, when the database falls back, and to clones.
"""

from edge_agent.outbox.contents import (
    DeadLetter,
    StreamLoad,
    read_batches,
    read_dead_letters,
    read_streams,
    read_usage,
    requeue_dead_letters,
)
from edge_agent.outbox.receipts import Applied
from edge_agent.outbox.space import OutboxLimits, Usage
from edge_agent.outbox.store import HeldBatch, Outbox, OutboxLoad

__all__ = [
    "Applied",
    "DeadLetter",
    "HeldBatch",
    "Outbox",
    "OutboxLimits",
    "OutboxLoad",
    "StreamLoad",
    "Usage",
    "read_batches",
    "read_dead_letters",
    "read_streams",
    "read_usage",
    "requeue_dead_letters",
]
