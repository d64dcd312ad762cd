"""What rules look at, kind by kind.

A stream is judged reading by reading, as it happened; everything else at each due instant of the
rule, from what is known of that instant.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

import psycopg

from analytics.alerts.rules import AlertSite, Rule, Sighting
from analytics.alerts.sources.deadlines import see_deadlines
from analytics.alerts.sources.demand import see_demand
from analytics.alerts.sources.figures import (
    see_cost,
    see_data_quality,
    see_enpi,
    see_expected,
    see_target_path,
)
from analytics.alerts.sources.findings import see_corrections, see_findings
from analytics.alerts.sources.meters import see_gateways, see_silent
from analytics.alerts.sources.output import see_missing_output
from analytics.alerts.sources.series import see_series

__all__ = ["SEEN_AT", "STREAMS", "Look", "see"]

Look: TypeAlias = Callable[
    [psycopg.Connection[Any], AlertSite, Rule, dt.datetime], Iterable[Sighting]
]
STREAMS: Final = frozenset({"threshold"})
SEEN_AT: Final[dict[str, Look]] = {
    "enpi": see_enpi,
    "target_path": see_target_path,
    "demand": see_demand,
    "cost": see_cost,
    "expected": see_expected,
    "data_quality": see_data_quality,
    "finding": see_findings,
    "silent": see_silent,
    "gateway": see_gateways,
    "deadline": see_deadlines,
    "output_missing": see_missing_output,
    "correction": see_corrections,
}


def see(
    connection: psycopg.Connection[Any],
    site: AlertSite,
    rule: Rule,
    since: dt.datetime,
    dues: Iterable[dt.datetime],
    until: dt.datetime,
) -> Iterable[tuple[dt.datetime | None, list[Sighting]]]:
    """Yield what a rule sees, in the order of time.

    Parameters
    ----------
    connection
        To the database.
    site, rule
        What is looked at.
    since, until
        Readings of a stream in (since, until].
    dues
        Instants at which everything else is looked at.

    Yields
    ------
    tuple
        The due instant (None of a stream), and what is seen then; whatever a due instant does not
        show is not there any more.
    """
    if rule.kind in STREAMS:
        yield None, list(see_series(connection, rule, since, until))
        return
    look = SEEN_AT[rule.kind]
    for due in dues:
        yield due, [s for s in look(connection, site, rule, due) if rule.watches(s.subject.code)]
