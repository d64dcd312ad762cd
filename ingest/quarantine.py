"""What was refused is kept with its reason: payloads in a ring bounded by bytes, counters exact."""

from __future__ import annotations

from typing import Any, Final

import psycopg

from ingest.accept import Refused

__all__ = ["MAX_PAYLOAD_BYTES", "keep", "trim"]

MAX_PAYLOAD_BYTES: Final = 65_536


def keep(connection: psycopg.Connection[Any], refused: Refused) -> None:
    """Keep a payload and count it, in the caller's transaction."""
    connection.execute(
        "INSERT INTO quarantine"
        " (topic, agent_id, stream, seq, code, sentence, payload, payload_bytes)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            refused.topic, refused.agent, refused.stream, refused.seq, refused.code.value,
            refused.sentence.replace("\0", ""), refused.payload[:MAX_PAYLOAD_BYTES],
            len(refused.payload),
        ),
    )  # fmt: skip
    connection.execute(
        "INSERT INTO quarantine_count AS c (agent_id, code, messages) VALUES (%s, %s, 1)"
        " ON CONFLICT (agent_id, code) DO UPDATE SET messages = c.messages + 1, last_at = now()",
        (refused.agent or "?", refused.code.value),
    )


def trim(connection: psycopg.Connection[Any], keep_bytes: int) -> int:
    """Delete the oldest payloads beyond ``keep_bytes`` [bytes]; return how many went."""
    with connection.transaction():
        return connection.execute(
            "DELETE FROM quarantine WHERE quarantine_id IN (SELECT quarantine_id FROM ("
            " SELECT quarantine_id, sum(octet_length(payload)) OVER (ORDER BY quarantine_id DESC)"
            " AS newer FROM quarantine) sized WHERE newer > %s)",
            (keep_bytes,),
        ).rowcount
