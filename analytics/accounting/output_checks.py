"""Output that was entered twice: a day's figure and the shift's, a month's and its days (F12, D16).

The same span again is one entry, whoever reports it. Spans that overlap are added up, because two
people may book two halves of a line; which of it is twice only a person can say.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import Any, Final

import psycopg

from analytics.accounting.site_calendar import midnight
from analytics.accounting.site_facts import SiteFacts
from analytics.intervals.finding_rows import FindingRow, keep_findings

__all__ = ["check_output"]

_CODE: Final = "output_overlaps"
_SHOWN: Final = 5


def check_output(
    connection: psycopg.Connection[Any],
    facts: SiteFacts,
    since: dt.date,
    until: dt.date,
    version: int,
) -> int:
    """Write a finding for each day and line on which entries of output overlap.

    Parameters
    ----------
    connection
        In the site's transaction.
    facts
        Of the site.
    since, until
        Civil days [since, until) that a change touches.
    version
        Data version that the findings name.

    Returns
    -------
    int
        Findings that hold now.
    """
    span = (midnight(since, facts.zone), midnight(until, facts.zone))
    pairs: dict[tuple[str, dt.date], list[dict[str, Any]]] = defaultdict(list)
    for product, line, stage, first, second, quantity, other in connection.execute(
        "SELECT p.code, a.line, a.stage, tstzrange(a.from_ts, a.to_ts),"
        " tstzrange(b.from_ts, b.to_ts), a.quantity::float8, b.quantity::float8"
        " FROM output a JOIN output b ON b.product_id = a.product_id AND b.line = a.line"
        " AND b.stage = a.stage AND b.disposition = a.disposition AND a.output_id < b.output_id"
        " AND a.from_ts < b.to_ts AND b.from_ts < a.to_ts JOIN product p"
        " ON p.product_id = a.product_id WHERE a.site_id = %s AND a.superseded_commit_no IS NULL"
        " AND b.superseded_commit_no IS NULL AND (a.lot = '' OR b.lot = '')"
        " AND a.disposition = 'good' AND greatest(a.from_ts, b.from_ts) >= %s"
        " AND greatest(a.from_ts, b.from_ts) < %s ORDER BY a.output_id, b.output_id",
        (facts.site_id, *span),
    ):
        begins = max(first.lower, second.lower)
        day = facts.calendars["civil"].day_of(begins)
        pairs[f"{product} {line} {stage}", day].append(
            {
                "entries": [
                    [at.lower.isoformat(), at.upper.isoformat(), amount]
                    for at, amount in ((first, quantity), (second, other))
                ]
            }
        )
    found = [
        FindingRow(
            _CODE,
            midnight(day, facts.zone),
            midnight(day + dt.timedelta(days=1), facts.zone),
            "warning",
            {"pairs": len(those), "first": those[:_SHOWN]},
            subject=subject,
        )
        for (subject, day), those in sorted(pairs.items())
    ]
    keep_findings(connection, facts.site_id, [_CODE], span, found, version)
    return len(found)
