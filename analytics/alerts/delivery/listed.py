"""Attempts to send messages, as people look at them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row

__all__ = ["DeliveryRow", "list_deliveries"]


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One attempt; ``error`` holds no secret, ``next_at`` is of a retry."""

    site: str
    timezone: str
    message_id: int
    kind: str
    group: str
    channel: str
    attempt: int
    at: dt.datetime
    state: str
    next_at: dt.datetime | None
    error: str | None


def list_deliveries(
    connection: psycopg.Connection[Any],
    since: dt.datetime,
    *,
    site: str | None = None,
    every: bool = False,
) -> list[DeliveryRow]:
    """Return attempts to send messages.

    Parameters
    ----------
    connection
        To the database.
    since
        No earlier ones.
    site
        Code of one site.
    every
        Those that were taken too.

    Returns
    -------
    list of DeliveryRow
        The latest first, at most a thousand (F38).
    """
    with connection.cursor(row_factory=class_row(DeliveryRow)) as cursor:
        return cursor.execute(
            "SELECT i.code AS site, r.timezone, d.message_id, m.kind,"
            ' d.recipient_group AS "group", d.channel, d.attempt, d.at_ts AS at, d.state,'
            " d.next_at, d.error FROM alert_delivery d JOIN alert_message m USING (message_id)"
            " JOIN site i ON i.site_id = d.site_id JOIN LATERAL (SELECT timezone"
            "  FROM site_record r WHERE r.site_id = d.site_id AND r.superseded_commit_no IS NULL"
            "  ORDER BY r.valid_from DESC LIMIT 1) r ON true"
            " WHERE d.at_ts >= %s AND (%s OR d.state <> 'sent')"
            " AND (%s::text IS NULL OR i.code = %s)"
            " ORDER BY d.delivery_id DESC LIMIT 1000",
            (since, every, site, site),
        ).fetchall()
