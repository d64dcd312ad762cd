"""What was refused is kept with its reason: payloads in a ring bounded by bytes, counters exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import psycopg

from ingest.accept import Refused
from ingest.arrays import byteas, int8s

__all__ = ["MAX_PAYLOAD_BYTES", "keep", "trim"]

MAX_PAYLOAD_BYTES: Final = 65_536


def keep(connection: psycopg.Connection[Any], refused: Sequence[Refused]) -> None:
    """Keep payloads and count them, in the caller's transaction; a statement each for all."""
    if not refused:
        return
    connection.execute(
        "INSERT INTO quarantine"
        " (topic, agent_id, stream, seq, code, sentence, payload, payload_bytes)"
        " SELECT * FROM unnest(%s::text[], %s::text[], %s::uuid[], %s::bigint[], %s::text[],"
        " %s::text[], %s::bytea[], %s::bigint[])",
        (
            [_storable(r.topic) for r in refused], [r.agent for r in refused],
            [r.stream for r in refused], [r.seq for r in refused],
            [r.code.value for r in refused], [_storable(r.sentence) for r in refused],
            byteas([r.payload[:MAX_PAYLOAD_BYTES] for r in refused]),
            int8s([len(r.payload) for r in refused]),
        ),
    )  # fmt: skip
    counted = Counter((r.agent or "?", r.code.value) for r in refused)
    keys = sorted(counted)  # in one order for all workers: no deadlock
    connection.execute(
        "INSERT INTO quarantine_count AS c (agent_id, code, messages)"
        " SELECT a, k, n FROM unnest(%s::text[], %s::text[], %s::bigint[])"
        " WITH ORDINALITY AS u(a, k, n, i) ORDER BY i"
        " ON CONFLICT (agent_id, code)"
        " DO UPDATE SET messages = c.messages + excluded.messages, last_at = now()",
        ([k[0] for k in keys], [k[1] for k in keys], int8s([counted[k] for k in keys])),
    )


def _storable(text: str) -> str:
    """Return a text that the database takes: without NUL and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def trim(connection: psycopg.Connection[Any], keep_bytes: int) -> int:
    """Delete the oldest payloads beyond ``keep_bytes`` [bytes]; return how many went."""
    with connection.transaction():
        return connection.execute(
            "DELETE FROM quarantine WHERE quarantine_id IN (SELECT quarantine_id FROM ("
            " SELECT quarantine_id, sum(octet_length(payload)) OVER (ORDER BY quarantine_id DESC)"
            " AS newer FROM quarantine) sized WHERE newer > %s)",
            (keep_bytes,),
        ).rowcount
