"""What agents last said of themselves, in the table that the portal shows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import psycopg

from ingest.prepare import NamedStatus

__all__ = ["keep_statuses"]


def keep_statuses(connection: psycopg.Connection[Any], statuses: Mapping[str, NamedStatus]) -> None:
    """Keep the last status of each agent; one statement, in the order of their ids."""
    if not statuses:
        return
    agents = sorted(statuses)
    said = [statuses[agent].status for agent in agents]
    connection.execute(
        "INSERT INTO agent_status AS a (agent_id, state, since, held_batches, held_readings,"
        " oldest_held_ts, units_down, received_at)"
        " SELECT * FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::bigint[],"
        " %s::bigint[], %s::timestamptz[], %s::int[], %s::timestamptz[])"
        " ON CONFLICT (agent_id) DO UPDATE SET state = excluded.state,"
        " since = excluded.since, held_batches = excluded.held_batches,"
        " held_readings = excluded.held_readings, oldest_held_ts = excluded.oldest_held_ts,"
        " units_down = excluded.units_down, received_at = excluded.received_at"
        # Each worker gets every status; the one that commits last need not have the last one.
        " WHERE excluded.received_at >= a.received_at",
        (
            agents, [s.state for s in said], [_instant(s.since_us) for s in said],
            [s.held_batches for s in said], [s.held_readings for s in said],
            [_instant(s.oldest_held_us) for s in said], [s.units_down for s in said],
            [_instant(statuses[agent].received_us) for agent in agents],
        ),
    )  # fmt: skip


def _instant(us: int | None) -> dt.datetime | None:
    return None if us is None else dt.datetime.fromtimestamp(us / 1e6, dt.UTC)
