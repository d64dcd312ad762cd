"""A bill of an account from the database: intervals by band, reactive energy, demand (F26, F27)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import psycopg

from analytics.accounting.product_output import load_output, output_total
from analytics.accounting.site_calendar import midnight
from analytics.accounting.withheld import WithheldCode
from analytics.cost.band_time import BandSpan, band_spans
from analytics.cost.band_use import (
    BandAmount,
    amounts_by_band,
    hours_by_band,
    missing_intervals,
)
from analytics.cost.bill import BandUse, Bill, Metered, Segment, band_price, compute_bill
from analytics.cost.cost_facts import (
    Contract,
    CostFacts,
    UtilityAccount,
    billing_period,
    contracts_within,
)
from analytics.cost.meter_minutes import load_minutes, load_register_peak
from analytics.intervals.readings import instant
from analytics.intervals.sums import GRID_US, SeriesIntervals, load_intervals
from enpilot.archive import ArchiveMismatchError, ArchiveUnavailableError
from enpilot.tariff_hours import Band

__all__ = [
    "AccountBill",
    "Energy",
    "Intervals",
    "account_intervals",
    "bill_of",
    "billing_of",
    "costs_by_band",
    "energy_of",
]

_GRID: Final = dt.timedelta(microseconds=GRID_US)
_BEHIND: Final = dt.timedelta(hours=1)
Intervals = Callable[[int, str], SeriesIntervals | None]


@dataclass(frozen=True, slots=True)
class AccountBill:
    """A bill, and what it was computed over.

    Attributes
    ----------
    since, until
        Local days [since, until): the part of the period in which the account exists.
    provisional
        The period is still running: what has been metered so far.
    by_band
        Energy by band as metered [kWh].
    costs
        Of that energy, with the parts that do not float [yuan]; empty if it is withheld.
    simulated
        Some reading came from a simulated source.
    computed_demand_kw, least_kw, most_kw
        The highest demand computed from readings, and what they prove [kW].
    """

    bill: Bill
    since: dt.date
    until: dt.date
    provisional: bool
    by_band: dict[Band, BandAmount]
    costs: dict[Band, Fraction]
    simulated: bool
    computed_demand_kw: float | None
    least_kw: float | None
    most_kw: float | None


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of an account over local days, by contract.

    Attributes
    ----------
    parts
        Each contract with its bands' spans and amounts.
    estimated_share, coverage
        Of the whole; 0 .. 1.
    simulated
        Some reading came from a simulated source.
    withheld
        Why there is none.
    """

    parts: list[tuple[Contract, list[BandSpan], dict[Band, BandAmount]]]
    estimated_share: float
    coverage: float
    simulated: bool
    withheld: WithheldCode | None

    @property
    def by_band(self) -> dict[Band, BandAmount]:
        """Amounts of all contracts together [kWh]."""
        found: dict[Band, BandAmount] = {}
        for _, _, amounts in self.parts:
            for band, amount in amounts.items():
                found[band] = found[band] + amount if band in found else amount
        return found


def account_intervals(
    connection: psycopg.Connection[Any], since: dt.datetime, until: dt.datetime
) -> Intervals:
    """Return a function that loads intervals of a series over a span, each once.

    Parameters
    ----------
    connection
        To the database.
    since, until
        The span.

    Returns
    -------
    callable
        By series and quantity; None if the series has no reading at all.
    """
    known: dict[int, SeriesIntervals | None] = {}

    def of(series_id: int, quantity: str) -> SeriesIntervals | None:
        if series_id not in known:
            loaded = load_intervals(connection, {series_id: quantity}, since, until)
            known[series_id] = loaded.get(series_id)
        return known[series_id]

    return of


def energy_of(
    connection: psycopg.Connection[Any],
    facts: CostFacts,
    contracts: list[Contract],
    through: dt.datetime,
    intervals: Intervals,
) -> Energy:
    """Return an account's energy by band.

    Parameters
    ----------
    connection
        To the database, for readings where a band ends inside an interval.
    facts
        Of the site.
    contracts
        One after the other.
    through
        What is metered so far; later days are cut.
    intervals
        See `account_intervals`; they reach over all days.

    Returns
    -------
    Energy
        Withheld if a counter of the account is missing or its registers do not bracket the days.
    """
    parts = []
    estimated = total = Fraction(0)
    coverage, simulated = 1.0, False
    withheld: WithheldCode | None = None
    reached = _reached(contracts, through, intervals)
    for contract in contracts:
        since = midnight(contract.since, facts.zone)
        until = min(midnight(contract.until, facts.zone), reached)
        spans = _cut(
            band_spans(contract.tariff, facts.calendar, facts.zone, contract.since, contract.until),
            until,
        )
        amounts: dict[Band, BandAmount] = {
            band: BandAmount(Fraction(0), Fraction(0)) for band in hours_by_band(spans)
        }
        if contract.meters.missing or not contract.meters.active:
            withheld = WithheldCode.REGISTER_MISSING
        if not spans:
            continue
        for series_id in contract.meters.active:
            series = intervals(series_id, "active_energy")
            if series is None or missing_intervals(series, since, until):
                withheld = WithheldCode.REGISTER_MISSING
                continue
            summed = series.over(since, until)
            coverage = min(coverage, summed.coverage)
            simulated |= summed.simulated
            found = amounts_by_band(series, spans, _share_before(connection, series_id))
            for band, amount in found.items():
                amounts[band] = amounts[band] + amount
        total += sum((a.amount for a in amounts.values()), Fraction(0))
        estimated += sum((a.estimated for a in amounts.values()), Fraction(0))
        parts.append((contract, spans, amounts))
    if not parts:
        withheld = WithheldCode.REGISTER_MISSING
    share = float(estimated / total) if total > 0 else 0.0
    return Energy(parts, min(1.0, share), coverage, simulated, withheld)


def _reached(contracts: list[Contract], through: dt.datetime, intervals: Intervals) -> dt.datetime:
    """Return how far the account's own meters are read, on the grid.

    They may be a little behind the site's fastest meter; one that is far behind is missing.
    """
    meters = contracts[-1].meters
    series = [intervals(s, "active_energy") for s in meters.active]
    series += [intervals(s, "reactive_energy") for s in meters.reactive]
    last = min([through, *(instant(s.last_us) for s in series if s is not None)])
    return _floored(last if through - last <= _BEHIND else through)


def _floored(at: dt.datetime) -> dt.datetime:
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return epoch + (at - epoch) // _GRID * _GRID


def _cut(spans: list[BandSpan], until: dt.datetime) -> list[BandSpan]:
    return [BandSpan(s.since, min(s.until, until), s.band) for s in spans if s.since < until]


def _share_before(
    connection: psycopg.Connection[Any], series_id: int
) -> Callable[[dt.datetime, dt.datetime], Fraction | None]:
    """Tell by the interpolated register how much of an interval lies before an instant in it."""

    def of(start: dt.datetime, at: dt.datetime) -> Fraction | None:
        try:
            minutes = load_minutes(connection, [series_id], start, start + _GRID)
        except (ArchiveMismatchError, ArchiveUnavailableError):
            return None  # by time, marked as a guess
        whole = Fraction(float(minutes.kwh.sum()))
        if whole <= 0:
            return None
        before = (at - start) // dt.timedelta(minutes=1)
        return Fraction(float(minutes.kwh[:before].sum())) / whole

    return of


def bill_of(
    connection: psycopg.Connection[Any],
    facts: CostFacts,
    account: UtilityAccount,
    since: dt.date,
    until: dt.date,
    through: dt.datetime,
    intervals: Intervals,
) -> AccountBill | None:
    """Compute an account's bill over local days [since, until).

    Parameters
    ----------
    connection
        To the database.
    facts, account
        Of the site.
    since, until
        A billing period or a month.
    through
        How far the site's data reach.
    intervals
        See `account_intervals`.

    Returns
    -------
    AccountBill or None
        None if the account does not exist on any of the days.

    Raises
    ------
    NoTariffError
        If no tariff holds on some day.
    """
    contracts = contracts_within(account, since, until)
    if not contracts:
        return None
    energy = energy_of(connection, facts, contracts, through, intervals)
    low, high = contracts[0].since, contracts[-1].until
    last = contracts[-1]
    end = min(midnight(high, facts.zone), _reached(contracts, through, intervals))
    demand = _computed_demand(connection, account.account_id, low, high)
    register = (
        None
        if last.meters.demand is None
        else load_register_peak(
            connection, last.meters.demand, midnight(low, facts.zone), midnight(high, facts.zone)
        )
    )
    computed = demand[0]
    metered = Metered(
        _segments(contracts, energy),
        _reactive(facts, contracts, end, intervals),
        register if register is not None else (None if computed is None else _watts(computed)),
        register is not None,
        _output(connection, facts, last, low, high),
        energy.estimated_share,
        energy.coverage,
        energy.withheld,
    )
    return AccountBill(
        compute_bill(metered),
        low,
        high,
        midnight(high, facts.zone) > through,
        energy.by_band,
        {} if energy.withheld else costs_by_band(energy),
        energy.simulated,
        *demand,
    )


def costs_by_band(energy: Energy) -> dict[Band, Fraction]:
    """Return what the metered energy of each band costs, with the parts that do not float.

    Parameters
    ----------
    energy
        Not withheld.

    Returns
    -------
    dict of Band to Fraction
        Exact [yuan]; without losses, basic charges and adjustments.
    """
    found: dict[Band, Fraction] = {}
    for contract, _, amounts in energy.parts:
        fixed = sum(
            (Fraction(p.yuan_per_kwh) for p in contract.tariff.parts if not p.floats), Fraction(0)
        )
        for band, amount in amounts.items():
            cost = amount.amount * (band_price(contract.tariff, band) + fixed)
            found[band] = found.get(band, Fraction(0)) + cost
    return found


def _segments(contracts: list[Contract], energy: Energy) -> list[Segment]:
    by_contract = {id(contract): (spans, amounts) for contract, spans, amounts in energy.parts}
    segments = []
    for contract in contracts:
        spans, amounts = by_contract.get(id(contract), ([], {}))
        hours = hours_by_band(spans)
        segments.append(
            Segment(
                contract.since, contract.until, contract.tariff, contract.account,
                {band: BandUse(a.amount, hours.get(band, Fraction(0)))
                 for band, a in amounts.items()},
            )
        )  # fmt: skip
    return segments


def _reactive(
    facts: CostFacts, contracts: list[Contract], end: dt.datetime, intervals: Intervals
) -> Fraction | None:
    total = Fraction(0)
    for contract in contracts:
        since = midnight(contract.since, facts.zone)
        until = min(midnight(contract.until, facts.zone), end)
        if not contract.meters.reactive or since >= until:
            return None
        for series_id in contract.meters.reactive:
            series = intervals(series_id, "reactive_energy")
            if series is None or missing_intervals(series, since, until):
                return None
            amount = series.over(since, until).amount
            total += abs(amount or Fraction(0))
    return total


def _computed_demand(
    connection: psycopg.Connection[Any], account_id: int, since: dt.date, until: dt.date
) -> tuple[float | None, float | None, float | None]:
    row = connection.execute(
        "SELECT max(demand_kw), max(least_kw), max(most_kw) FROM demand_day"
        " WHERE account_id = %s AND day >= %s AND day < %s",
        (account_id, since, until),
    ).fetchone()
    assert row is not None  # an aggregate has one row
    return row[0], row[1], row[2]


def _watts(kw: float) -> Fraction:
    """Return a computed power to the watt: its binary digits mean nothing."""
    return Fraction(round(kw * 1000), 1000)


def _output(
    connection: psycopg.Connection[Any],
    facts: CostFacts,
    last: Contract,
    since: dt.date,
    until: dt.date,
) -> Fraction | None:
    steps = last.tariff.intensity_steps
    if steps is None:
        return None
    row = connection.execute(
        "SELECT product_id FROM product WHERE site_id = %s AND code = %s",
        (facts.site_id, steps.product),
    ).fetchone()
    if row is None:
        return None
    total = output_total(
        load_output(connection, row[0], "qualified"),
        midnight(since, facts.zone),
        midnight(until, facts.zone),
    )
    return None if total.quantity is None else Fraction(total.quantity)


def billing_of(account: UtilityAccount, day: dt.date) -> tuple[dt.date, dt.date]:
    """Return the billing period of an account that a local day lies in.

    Parameters
    ----------
    account
        The account.
    day
        A local day.

    Returns
    -------
    tuple of date
        By the billing day that its contract names on that day (F21).
    """
    record = next((r for r in reversed(account.records) if r.since <= day), account.records[0])
    return billing_period(record.account.billing_day, day)
