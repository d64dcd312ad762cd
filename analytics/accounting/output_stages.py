"""Output of a product stage by stage: what was counted, accepted, stored and shipped (F12).

The official figure is what was accepted into the warehouse (合格入库). What was counted and not yet
accepted is scrap, rework or work in progress; each stage less the next is shown.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import psycopg

from analytics.accounting.enpi_facts import load_product_output
from analytics.accounting.product_output import product_total
from analytics.accounting.site_facts import SiteFacts
from analytics.accounting.site_intervals import SiteIntervals

__all__ = ["STAGES", "StageOutput", "output_stages"]

STAGES: Final = ("counted", "qualified", "warehoused", "shipped")
_DISPOSITIONS: Final = ("good", "scrap", "rework")


@dataclass(frozen=True, slots=True)
class StageOutput:
    """What is known of one stage over a period [unit of the product].

    Attributes
    ----------
    stage
        "counted", "qualified", "warehoused" or "shipped".
    good
        None if nothing is booked or counted there.
    scrap, rework
        Booked; rework adds energy, never output.
    coverage
        Share of the time that is booked, or the counters' coverage; 0 .. 1.
    to_next
        Good here less good at the next stage that is known: work in progress, scrap and stock.
    """

    stage: str
    good: float | None
    scrap: float
    rework: float
    coverage: float
    to_next: float | None


def output_stages(
    connection: psycopg.Connection[Any],
    facts: SiteFacts,
    product: str,
    since: dt.date,
    until: dt.date,
) -> list[StageOutput]:
    """Return the stages of a product over local days [since, until).

    Parameters
    ----------
    connection
        To the platform's database.
    facts
        Of the site.
    product
        Its code.
    since, until
        Civil days.

    Returns
    -------
    list of StageOutput
        In the order of the stages; empty if the site does not make it.
    """
    row = connection.execute(
        "SELECT product_id FROM product WHERE site_id = %s AND code = %s", (facts.site_id, product)
    ).fetchone()
    if row is None:
        return []
    low, high = (facts.calendars["civil"].begins(day) for day in (since, until))
    intervals = SiteIntervals(connection, facts, low, high)
    found = []
    for stage in STAGES:
        known = load_product_output(connection, facts.site_id, row[0], stage)
        total = product_total(known, intervals, low, high)
        other = {
            name: _booked(connection, row[0], stage, name, low, high) for name in _DISPOSITIONS
        }
        found.append(
            StageOutput(
                stage, total.quantity, float(other["scrap"]), float(other["rework"]),
                total.coverage, None,
            )
        )  # fmt: skip
    return _with_differences(found)


def _with_differences(stages: Sequence[StageOutput]) -> list[StageOutput]:
    known = [s for s in stages if s.good is not None]
    after = {a.stage: b for a, b in itertools.pairwise(known)}
    return [
        StageOutput(
            s.stage, s.good, s.scrap, s.rework, s.coverage,
            None if s.stage not in after or s.good is None
            else s.good - (after[s.stage].good or 0.0),
        )
        for s in stages
    ]  # fmt: skip


def _booked(
    connection: psycopg.Connection[Any],
    product_id: int,
    stage: str,
    disposition: str,
    since: dt.datetime,
    until: dt.datetime,
) -> Fraction:
    step = dt.timedelta(microseconds=1)
    total = Fraction(0)
    for quantity, low, high in connection.execute(
        "SELECT quantity, from_ts, to_ts FROM output WHERE product_id = %s AND stage = %s"
        " AND disposition = %s AND superseded_commit_no IS NULL AND from_ts < %s AND to_ts > %s",
        (product_id, stage, disposition, until, since),
    ):
        inside = (min(high, until) - max(low, since)) // step
        total += Fraction(quantity) * Fraction(inside, (high - low) // step)
    return total
