"""What ingest finds out, as rows of ``finding`` with evidence: once each, not once a message."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import psycopg

__all__ = ["Evidence", "report", "report_restored"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found about an agent; it is shown with the agent's site and names the agent."""

    agent: str
    facts: Mapping[str, object]


def report(
    connection: psycopg.Connection[Any],
    code: str,
    severity: Literal["note", "warning", "fault"],
    found: Sequence[Evidence],
    commit_no: int,
    *,
    once_a_stream: bool = False,
) -> None:
    """Book findings; call it under the lock of `draw_commit_no`, so that none is booked twice.

    Parameters
    ----------
    once_a_stream
        Book nothing for a stream (``facts["stream"]``) that has a finding of this code already.
    """
    if not found:
        return
    connection.execute(
        "INSERT INTO finding (site_id, code, at_ts, severity, evidence, data_version)"
        # One row a microsecond: a site has one finding of a code at an instant.
        " SELECT a.site_id, %(code)s, now() + i * interval '1 microsecond', %(severity)s, e, %(no)s"
        " FROM unnest(%(agents)s::text[], %(facts)s::jsonb[]) WITH ORDINALITY AS u(agent, e, i)"
        " JOIN agent a ON a.agent_id = u.agent"
        " WHERE NOT %(once)s OR NOT EXISTS (SELECT 1 FROM finding f WHERE f.code = %(code)s"
        "  AND f.evidence ? 'stream' AND f.evidence ->> 'stream' = e ->> 'stream')"
        " ON CONFLICT DO NOTHING",
        {
            "code": code, "severity": severity, "no": commit_no, "once": once_a_stream,
            "agents": [f.agent for f in found],
            "facts": [json.dumps({"agent": f.agent, **f.facts}) for f in found],
        },
    )  # fmt: skip


def report_restored(
    connection: psycopg.Connection[Any], facts: Mapping[str, object], commit_no: int
) -> None:
    """Book at every site that the database is not the one that confirmed earlier batches."""
    connection.execute(
        "INSERT INTO finding (site_id, code, at_ts, severity, evidence, data_version)"
        " SELECT site_id, 'database_restored', now(), 'fault', %s, %s FROM site"
        " ON CONFLICT DO NOTHING",
        (json.dumps(facts), commit_no),
    )
