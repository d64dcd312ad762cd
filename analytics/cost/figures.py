"""Cost and demand of a site as rows: what a change touches is computed anew (D11, F26, F36)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

import psycopg
from psycopg.types.json import Jsonb

from analytics.accounting.site_calendar import days_of, local_date, midnight, months_of
from analytics.accounting.withheld import WithheldCode
from analytics.cost.account_bill import (
    AccountBill,
    Energy,
    Intervals,
    account_intervals,
    bill_of,
    billing_of,
    costs_by_band,
    energy_of,
)
from analytics.cost.bill import Bill
from analytics.cost.cost_facts import (
    CostFacts,
    UtilityAccount,
    contracts_within,
    load_cost_facts,
)
from analytics.cost.cost_findings import write_cost_findings
from analytics.cost.demand_days import write_demand_days
from analytics.cost.media_cost import media_rows
from analytics.errors import NoTariffError
from enpilot.tariff_hours import Band

__all__ = ["bill_lines", "forget_cost_figures", "write_cost_figures"]

_GRID: Final = dt.timedelta(minutes=15)


class _Facts(Protocol):
    """What is needed of a site's facts."""

    @property
    def site_id(self) -> int: ...
    @property
    def zone(self) -> ZoneInfo: ...


class _Span(Protocol):
    """Local days [since, until) that a change touches, and how far the site's data reach."""

    @property
    def since(self) -> dt.date: ...
    @property
    def until(self) -> dt.date: ...
    @property
    def data_through(self) -> dt.datetime: ...


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of cost_period in the order of its columns."""

    account_id: int | None
    medium: str
    kind: str
    since: dt.date
    until: dt.date
    band: str
    amount: Fraction | None
    unit: str
    cost: Fraction | Decimal | None
    energy: Decimal | None = None
    basic: Decimal | None = None
    adjustment: Decimal | None = None
    power_factor: Fraction | None = None
    demand_kw: Fraction | None = None
    lines: list[dict[str, Any]] | None = None
    estimated_share: float | None = None
    coverage: float | None = None
    simulated: bool = False
    verified: bool = False
    provisional: bool = False
    withheld: WithheldCode | None = None


def write_cost_figures(
    connection: psycopg.Connection[Any], facts: _Facts, span: _Span, version: int
) -> int:
    """Write demand, cost by day, month and billing period, and findings that a span touches.

    Parameters
    ----------
    connection
        Inside the site's transaction; energy of the span is computed already.
    facts
        Of the site.
    span
        What is touched.
    version
        Data version that the rows name.

    Returns
    -------
    int
        Rows written; 0 for a site without accounts and prices.
    """
    costs = load_cost_facts(connection, facts.site_id, facts.zone)
    if not costs.accounts and not costs.prices:
        forget_cost_figures(connection, facts.site_id)
        return 0
    today = local_date(span.data_through, facts.zone)
    until = min(span.until, today + dt.timedelta(days=1))
    rows: list[_Row] = []
    written = 0
    if span.since < until:
        for account in costs.accounts:
            begun = _first_day(connection, costs, account)
            # Before its meters were read an account has no figures, withheld ones neither.
            since = max(span.since, begun) if begun is not None else until
            written += write_demand_days(
                connection, costs, account, (span.since, span.until), begun, span.data_through,
                version,
            )  # fmt: skip
            if since < until:
                rows += _account_rows(connection, costs, account, since, until, span.data_through)
        rows += [
            _Row(None, r.medium, r.kind, r.since, r.until, "total", r.amount, r.unit, r.cost,
                 estimated_share=r.estimated_share, coverage=r.coverage, simulated=r.synthetic,
                 verified=r.verified, provisional=r.provisional, withheld=r.withheld)
            for r in media_rows(connection, costs, span.since, until, span.data_through)
        ]  # fmt: skip
    _replace(connection, costs, span, rows, version)
    write_cost_findings(connection, costs, span.since, until, span.data_through, version)
    return written + len(rows)


def forget_cost_figures(connection: psycopg.Connection[Any], site_id: int) -> None:
    """Delete every cost and demand of a site that has no data or no accounts any more.

    Parameters
    ----------
    connection
        Inside the site's transaction.
    site_id
        The site.
    """
    connection.execute("DELETE FROM cost_period WHERE site_id = %s", (site_id,))
    connection.execute("DELETE FROM demand_day WHERE site_id = %s", (site_id,))


def _first_day(
    connection: psycopg.Connection[Any], costs: CostFacts, account: UtilityAccount
) -> dt.date | None:
    """Return the first local day of which a billing meter tells."""
    row = connection.execute(
        "SELECT least((SELECT min(ts) FROM interval_advance WHERE series_id = ANY(%s)),"
        " (SELECT min(ts) FROM counted_reading WHERE series_id = ANY(%s)))",
        (
            [s for r in account.records for s in r.meters.active],
            [s for r in account.records for s in r.meters.power],
        ),
    ).fetchone()
    assert row is not None  # an aggregate has one row
    return None if row[0] is None else local_date(row[0], costs.zone)


def _account_rows(
    connection: psycopg.Connection[Any],
    costs: CostFacts,
    account: UtilityAccount,
    since: dt.date,
    until: dt.date,
    through: dt.datetime,
) -> Iterator[_Row]:
    periods = _periods(account, since, until)
    low = min(p[1] for p in periods)
    high = max(p[2] for p in periods)
    intervals = account_intervals(connection, midnight(low, costs.zone), midnight(high, costs.zone))
    bills: dict[tuple[dt.date, dt.date], AccountBill | None] = {}
    for kind, first, after in periods:
        if midnight(first, costs.zone) + _GRID > through:
            continue  # no interval of it is over yet
        try:
            if kind == "day":
                yield from _day_rows(connection, costs, account, first, after, through, intervals)
                continue
            if (first, after) not in bills:
                bills[first, after] = bill_of(
                    connection, costs, account, first, after, through, intervals
                )
            found = bills[first, after]
            if found is not None:
                yield from _bill_rows(account, kind, first, after, found)
        except NoTariffError:
            yield _Row(account.account_id, "electricity", kind, first, after, "total", None, "kWh",
                       None, withheld=WithheldCode.TARIFF_MISSING)  # fmt: skip


def _periods(
    account: UtilityAccount, since: dt.date, until: dt.date
) -> list[tuple[str, dt.date, dt.date]]:
    """Return days, months and billing periods that have a day in [since, until)."""
    found = [("day", p.first, p.after) for p in days_of(since, until)]
    found += [("month", p.first, p.after) for p in months_of(since, until)]
    first, after = billing_of(account, since)
    while first < until:
        found.append(("billing", first, after))
        first, after = billing_of(account, after)
    return found


def _day_rows(
    connection: psycopg.Connection[Any],
    costs: CostFacts,
    account: UtilityAccount,
    first: dt.date,
    after: dt.date,
    through: dt.datetime,
    intervals: Intervals,
) -> Iterator[_Row]:
    contracts = contracts_within(account, first, after)
    if not contracts:
        return
    energy = energy_of(connection, costs, contracts, through, intervals)
    said = _trust(energy, provisional=midnight(after, costs.zone) > through)
    verified = all(c.tariff.verified for c in contracts)
    key = (account.account_id, "electricity", "day", first, after)
    if energy.withheld is not None:
        yield _Row(*key, "total", None, "kWh", None, verified=verified, withheld=energy.withheld,
                   **said)  # fmt: skip
        return
    by_band = costs_by_band(energy)
    amounts = {band: a.amount for band, a in energy.by_band.items()}
    yield from _band_rows(key, amounts, by_band, said, verified=verified)
    yield _Row(
        *key, "total", sum(amounts.values(), Fraction(0)), "kWh",
        sum(by_band.values(), Fraction(0)), verified=verified, **said,
    )  # fmt: skip


def _trust(energy: Energy, *, provisional: bool) -> dict[str, Any]:
    return {
        "estimated_share": energy.estimated_share,
        "coverage": energy.coverage,
        "simulated": energy.simulated,
        "provisional": provisional,
    }


def _band_rows(
    key: tuple[int, str, str, dt.date, dt.date],
    amounts: dict[Band, Fraction],
    by_band: dict[Band, Fraction],
    said: dict[str, Any],
    *,
    verified: bool,
) -> Iterator[_Row]:
    for band, cost in by_band.items():
        yield _Row(*key, band, amounts[band], "kWh", cost, verified=verified, **said)


def _bill_rows(
    account: UtilityAccount, kind: str, first: dt.date, after: dt.date, found: AccountBill
) -> Iterator[_Row]:
    bill = found.bill
    key = (account.account_id, "electricity", kind, first, after)
    said: dict[str, Any] = {
        "estimated_share": bill.estimated_share,
        "coverage": bill.coverage,
        "simulated": found.simulated,
        "provisional": found.provisional,
    }
    amounts = {band: a.amount for band, a in found.by_band.items()}
    yield from _band_rows(key, amounts, found.costs, said, verified=bill.tariff_verified)
    yield _Row(
        *key, "total", bill.metered_kwh, "kWh", bill.total_yuan, bill.energy_yuan,
        bill.basic_yuan, bill.power_factor_yuan, bill.power_factor, bill.demand_kw,
        bill_lines(bill), verified=bill.tariff_verified, withheld=bill.withheld, **said,
    )  # fmt: skip


def bill_lines(bill: Bill) -> list[dict[str, Any]]:
    """Return the lines of a bill as a document; numbers are decimal strings.

    Parameters
    ----------
    bill
        The bill.

    Returns
    -------
    list of dict
        For pages and reports.
    """
    return [
        {
            "kind": line.kind,
            "code": line.code,
            "quantity": None if line.quantity is None else str(_decimal(line.quantity)),
            "unit": line.unit,
            "price_yuan": str(_decimal(line.price_yuan, 8)),
            "amount_yuan": None if line.amount_yuan is None else str(line.amount_yuan),
            "withheld": line.withheld,
            "note": line.note,
        }
        for line in bill.lines
    ]


def _decimal(value: Fraction | Decimal, places: int = 6) -> Decimal:
    if isinstance(value, Decimal):
        return value
    return Decimal(round(value * 10**places)).scaleb(-places).normalize() + 0


def _replace(
    connection: psycopg.Connection[Any],
    costs: CostFacts,
    span: _Span,
    rows: list[_Row],
    version: int,
) -> None:
    """Put rows in the place of what was there for the touched periods."""
    connection.execute(
        "DELETE FROM cost_period WHERE site_id = %s AND period_from < %s AND period_to > %s",
        (costs.site_id, span.until, span.since),
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO cost_period (site_id, account_id, medium, period_kind, period_from,"
            " period_to, band, amount, unit, cost_yuan, energy_yuan, basic_yuan,"
            " power_factor_yuan, power_factor, demand_kw, lines, estimated_share, coverage,"
            " simulated, tariff_verified, provisional, withheld_code, data_version)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,"
            " %s, %s, %s, %s)",
            [
                (
                    costs.site_id, r.account_id, r.medium, r.kind, r.since, r.until, r.band,
                    None if r.amount is None else _decimal(r.amount), r.unit,
                    None if r.cost is None else _decimal(r.cost), r.energy, r.basic, r.adjustment,
                    None if r.power_factor is None else _decimal(r.power_factor),
                    None if r.demand_kw is None else _decimal(r.demand_kw),
                    None if r.lines is None else Jsonb(r.lines), r.estimated_share, r.coverage,
                    r.simulated, r.verified, r.provisional, r.withheld, version,
                )
                for r in rows
            ],
        )  # fmt: skip
