"""What other media cost: gas, water, steam by day and month, with steps by the month (F27)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import psycopg

from analytics.accounting.energy_parts import Scheme
from analytics.accounting.scheme_energy import total
from analytics.accounting.site_calendar import Period, days_of, midnight, months_of
from analytics.accounting.site_facts import SiteFacts, load_site_facts
from analytics.accounting.site_intervals import SiteIntervals
from analytics.accounting.withheld import WithheldCode
from analytics.cost.cost_facts import CostFacts, Price

__all__ = ["MediumCost", "media_rows", "stepped_cost"]

_GRID: Final = dt.timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class MediumCost:
    """Use of a medium and its cost over a period."""

    medium: str
    kind: str
    since: dt.date
    until: dt.date
    amount: Fraction | None
    unit: str
    cost: Fraction | None
    estimated_share: float
    coverage: float
    synthetic: bool
    verified: bool
    provisional: bool
    withheld: WithheldCode | None


def stepped_cost(amount: Fraction, price: Price) -> Fraction:
    """Return what an amount of one month costs.

    Parameters
    ----------
    amount
        Used in the month [unit of the price].
    price
        With steps: what is above a limit costs its surcharge more.

    Returns
    -------
    Fraction
        Exact [yuan].

    Notes
    -----
    Stepped prices (阶梯价格) as printed in price lists: each block at its own price, never all of
    the month at the highest.
    """
    cost = amount * price.yuan
    for step in price.steps:
        above = max(Fraction(0), amount - Fraction(step.above))
        cost += above * Fraction(step.surcharge_yuan)
    return cost


def media_rows(
    connection: psycopg.Connection[Any],
    costs: CostFacts,
    since: dt.date,
    until: dt.date,
    through: dt.datetime,
) -> list[MediumCost]:
    """Return what each priced medium cost on the days and in the months of a span.

    Parameters
    ----------
    connection
        To the database.
    costs
        Of the site.
    since, until
        Local days that a change touches.
    through
        How far the site's data reach.

    Returns
    -------
    list of MediumCost
        Months of all media; days of those without steps that a meter counts. A month in which the
        price changes is divided by its own days.
    """
    if not costs.prices:
        return []
    facts = load_site_facts(connection, costs.site_id)
    months = list(months_of(since, until))
    cache = SiteIntervals(
        connection, facts, midnight(months[0].first, costs.zone),
        midnight(months[-1].after, costs.zone),
    )  # fmt: skip
    found: list[MediumCost] = []
    for medium in sorted({p.medium for p in costs.prices}):
        prices = [p for p in costs.prices if p.medium == medium]
        metered = any(p.medium == medium for p in facts.points)
        stepped = any(p.steps for p in prices)
        periods = [*months, *(days_of(since, until) if metered and not stepped else [])]
        for period in periods:
            row = _row(facts, costs, prices, period, through, cache)
            if row is not None:
                found.append(row)
    return found


def _row(
    facts: SiteFacts,
    costs: CostFacts,
    prices: Sequence[Price],
    period: Period,
    through: dt.datetime,
    cache: SiteIntervals,
) -> MediumCost | None:
    parts = list(_priced(prices, period))
    if not parts or midnight(period.first, costs.zone) + _GRID > through:
        return None
    amount = cost = Fraction(0)
    estimated, coverage, synthetic = 0.0, 1.0, False
    withheld: WithheldCode | None = None
    unit = parts[-1][2].unit
    whole = (
        sum((after - first).days for first, after, _ in parts) == (period.after - period.first).days
    )
    if not whole:
        withheld = WithheldCode.TARIFF_MISSING
    for first, after, price in parts:
        scheme = Scheme(frozenset({price.medium}), unit, None, own_renewables_counted=False,
                        feedstock_deducted=False)  # fmt: skip
        low = midnight(first, costs.zone)
        high = min(midnight(after, costs.zone), through)
        if low >= high:
            continue
        used = total(scheme, facts.points, facts.ledger, cache, low, high)
        if used.withheld is not None or used.energy is None:
            withheld = withheld or used.withheld
            continue
        estimated = max(estimated, used.estimated_share)
        coverage = min(coverage, used.coverage)
        synthetic |= used.synthetic
        part = Fraction(used.energy)
        amount += part
        cost += stepped_cost(part, price)
    return MediumCost(
        parts[-1][2].medium, period.kind, period.first, period.after,
        None if withheld else amount, unit, None if withheld else cost, estimated, coverage,
        synthetic, all(p.verified for _, _, p in parts),
        midnight(period.after, costs.zone) > through, withheld,
    )  # fmt: skip


def _priced(prices: Sequence[Price], period: Period) -> Iterator[tuple[dt.date, dt.date, Price]]:
    for price in prices:
        first = max(period.first, price.since)
        after = period.after if price.until is None else min(period.after, price.until)
        if first < after:
            yield first, after, price
