"""Findings about costs: a computed demand that the register contradicts, invoices that differ."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import psycopg

from analytics.accounting.site_calendar import midnight
from analytics.cost.account_bill import account_intervals, bill_of, billing_of
from analytics.cost.cost_facts import CostFacts, UtilityAccount
from analytics.cost.invoice import Comparison, compare_invoice, load_invoices
from analytics.errors import NoTariffError
from analytics.intervals.finding_rows import FindingRow, keep_findings

__all__ = ["write_cost_findings"]

_CODES: Final = ("demand_differs", "invoice_differs")
# What a meter's clock and its rounding may make of the same windows.
_DEMAND_MARGIN: Final = 0.005


def write_cost_findings(
    connection: psycopg.Connection[Any],
    costs: CostFacts,
    since: dt.date,
    until: dt.date,
    through: dt.datetime,
    version: int,
) -> int:
    """Write what is odd about the closed billing periods of a span; withdraw what is no longer.

    Parameters
    ----------
    connection
        Inside the site's transaction.
    costs
        Of the site.
    since, until
        Local days that a change touches.
    through
        How far the site's data reach.
    version
        Data version that the findings name.

    Returns
    -------
    int
        Findings that hold now.
    """
    found: list[FindingRow] = []
    for account in costs.accounts:
        first, after = billing_of(account, since)
        while first < until:
            if midnight(after, costs.zone) <= through:
                found += _demand(connection, costs, account, first, after, through)
            first, after = billing_of(account, after)
    for invoice in load_invoices(connection, costs, since, until):
        comparison = compare_invoice(connection, costs, invoice, through)
        if comparison is not None and comparison.differs:
            found.append(_invoice_finding(comparison))
    span = (midnight(since, costs.zone), midnight(until, costs.zone))
    keep_findings(connection, costs.site_id, _CODES, span, found, version)
    return len(found)


def _demand(
    connection: psycopg.Connection[Any],
    costs: CostFacts,
    account: UtilityAccount,
    first: dt.date,
    after: dt.date,
    through: dt.datetime,
) -> list[FindingRow]:
    """Compare the register's demand with what the readings prove and allow (F26)."""
    if not any(r.meters.demand for r in account.records):
        return []
    intervals = account_intervals(
        connection, midnight(first, costs.zone), midnight(after, costs.zone)
    )
    try:
        bill = bill_of(connection, costs, account, first, after, through, intervals)
    except NoTariffError:
        return []
    if bill is None or not bill.bill.demand_is_register or bill.bill.demand_kw is None:
        return []
    register = float(bill.bill.demand_kw)
    if bill.least_kw is None or bill.most_kw is None:
        return []
    low, high = bill.least_kw * (1 - _DEMAND_MARGIN), bill.most_kw * (1 + _DEMAND_MARGIN)
    if low <= register <= high:
        return []
    evidence = {
        "account": account.code,
        "register_kw": register,
        "computed_kw": bill.computed_demand_kw,
        "least_kw": bill.least_kw,
        "most_kw": bill.most_kw,
    }
    return [
        FindingRow(
            "demand_differs", midnight(first, costs.zone), midnight(after, costs.zone), "warning",
            evidence, series_id=account.records[-1].meters.demand, subject=account.code,
        )
    ]  # fmt: skip


def _invoice_finding(comparison: Comparison) -> FindingRow:
    invoice = comparison.invoice
    evidence = {
        "invoice": invoice.number,
        "account": invoice.account,
        "largest_share": comparison.largest_share,
        "lines": [
            {
                "kind": line.kind,
                "code": line.code,
                "invoiced": None if line.invoiced is None else str(line.invoiced),
                "computed": None if line.computed is None else str(line.computed),
                "unit": line.unit,
            }
            for line in comparison.lines
            if line.differs
        ],
    }
    return FindingRow(
        "invoice_differs", invoice.since, invoice.until,
        "fault" if comparison.is_large else "warning", evidence, series_id=comparison.series_id,
        subject=invoice.number,
    )  # fmt: skip
