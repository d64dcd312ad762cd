"""Gateways that are not heard of, and meters that are silent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, Final

import psycopg

from analytics.alerts.rules import AlertSite, Rule, Sighting, Subject

__all__ = ["see_gateways", "see_silent"]

# Behind this a meter's last reading is not looked for: what was silent for so long is known.
_LOOK_BACK: Final = dt.timedelta(days=8)
# A meter is silent when so many readings in a row did not come.
_MISSED: Final = 3.0


def see_gateways(
    connection: psycopg.Connection[Any], _site: AlertSite, rule: Rule, at: dt.datetime
) -> Iterator[Sighting]:
    """Yield for how long each gateway of a site has not been heard of.

    Parameters
    ----------
    connection
        To the database.
    _site, rule
        What is looked at.
    at
        The instant; of an earlier one only what was heard last is known.

    Yields
    ------
    Sighting
        Value: seconds since its last status or data. One that said that it goes, or whose broker
        said so, has been away since its last data. A gateway that never spoke is not known.
    """
    for agent, said, heard, data, began, simulated in connection.execute(
        "SELECT a.agent_id, s.state, s.received_at, c.last_received_at, s.since, a.simulated"
        " FROM agent a"
        " LEFT JOIN agent_status s USING (agent_id) LEFT JOIN ingest_count c USING (agent_id)"
        " WHERE a.site_id = %s ORDER BY a.agent_id",
        (rule.site_id,),
    ):
        # A broker repeats a last will to whoever asks, so that when it came says nothing.
        last = [t for t in ((data, began) if said == "offline" else (data, heard)) if t is not None]
        away = max(0.0, (at - max(last)).total_seconds()) if last else None
        subject = Subject(agent, f"网关 {agent}", f"gateway {agent}", "s")
        facts = {"last_heard": _stamp(last)}
        yield Sighting(subject, at, away, facts=facts, synthetic=simulated)


def see_silent(
    connection: psycopg.Connection[Any], _site: AlertSite, rule: Rule, at: dt.datetime
) -> Iterator[Sighting]:
    """Yield for how long each meter behind a gateway has been silent.

    Parameters
    ----------
    connection
        To the database.
    _site, rule
        What is looked at; ``watch.roles`` may name the roles of points that are meant.
    at
        The instant.

    Yields
    ------
    Sighting
        Value: seconds since the last good reading of any of its series. The limit is the rule's,
        and never less than three readings apart.
    """
    for code, name_zh, name_en, agent, simulated, period_s, last in connection.execute(
        "SELECT p.code, r.name_zh, r.name_en, min(g.agent_id), bool_or(a.simulated),"
        "  min(e.period_s),"
        "  max(coalesce(CASE WHEN l.quality & 255 = 0 AND l.ts <= %(at)s THEN l.ts END,"
        "   (SELECT x.ts FROM reading x WHERE x.series_id = s.series_id AND x.ts <= %(at)s"
        "     AND x.ts > %(back)s AND x.quality & 255 = 0 ORDER BY x.ts DESC LIMIT 1)))"
        " FROM point p JOIN point_record r USING (point_id) JOIN series s USING (point_id)"
        " JOIN agent_grant g USING (point_id) JOIN agent a USING (agent_id)"
        " JOIN latest l USING (series_id)"
        " JOIN current_epoch e ON e.series_id = s.series_id AND e.valid_from <= %(at)s"
        "  AND (e.valid_to IS NULL OR %(at)s < e.valid_to) AND e.period_s IS NOT NULL"
        " WHERE p.site_id = %(site)s AND r.superseded_commit_no IS NULL"
        "  AND g.superseded_commit_no IS NULL"
        "  AND r.valid_from <= %(at)s AND (r.valid_to IS NULL OR %(at)s < r.valid_to)"
        "  AND g.valid_from <= %(at)s AND (g.valid_to IS NULL OR %(at)s < g.valid_to)"
        "  AND (%(roles)s::text[] IS NULL OR r.role = ANY(%(roles)s))"
        "  AND r.commissioning <> 'planned'"
        " GROUP BY p.code, r.name_zh, r.name_en ORDER BY p.code",
        {
            "at": at, "back": at - _LOOK_BACK, "site": rule.site_id,
            "roles": rule.watch.get("roles") or None,
        },
    ):  # fmt: skip
        silent = None if last is None else (at - last).total_seconds()
        limit = max(rule.threshold.limit, _MISSED * period_s)
        subject = Subject(code, name_zh, name_en, "s")
        facts = {"last_heard": _stamp([last])}
        yield Sighting(subject, at, silent, limit, agent, facts, simulated)


def _stamp(instants: list[dt.datetime | None]) -> str | None:
    known = [t for t in instants if t is not None]
    return max(known).astimezone(dt.UTC).isoformat() if known else None
