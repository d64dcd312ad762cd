"""The bill of a period line by line, its months, its hours, and invoices beside it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row, dict_row

from dashboards.portal.site import Site

__all__ = [
    "Band", "Bill", "BillLine", "CostPage", "Invoice", "InvoiceDifference", "MonthCost",
    "OtherMedium", "TariffHours", "load_cost",
]  # fmt: skip

_MONTHS = 13


class BillLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line in the utility's own order; amounts are exact decimals written as text."""

    kind: str
    code: str
    unit: str
    quantity: str | None
    price_yuan: str
    amount_yuan: str | None
    withheld: str | None = None
    note: str = ""


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """Use and cost of one time-of-use band."""

    band: str
    kwh: float | None
    yuan: float | None


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """What a billing period costs, as computed."""

    period_from: dt.date
    period_to: dt.date
    kwh: float | None
    cost_yuan: float | None
    energy_yuan: float | None
    basic_yuan: float | None
    power_factor_yuan: float | None
    power_factor: float | None
    demand_kw: float | None
    lines: list[BillLine]
    estimated_share: float | None
    coverage: float | None
    simulated: bool
    tariff_verified: bool
    provisional: bool
    withheld_code: str | None


class MonthCost(msgspec.Struct, frozen=True, kw_only=True):
    """One billing period among its neighbours."""

    period_from: dt.date
    period_to: dt.date
    kwh: float | None
    cost_yuan: float | None
    basic_yuan: float | None
    power_factor_yuan: float | None
    provisional: bool
    withheld_code: str | None
    invoiced_yuan: float | None
    synthetic: bool | None


class InvoiceDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A line on which an invoice differs from tariff and registers."""

    kind: str
    code: str
    unit: str
    invoiced: str | None
    computed: str | None


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """What the utility billed for the period shown."""

    number: str
    total_yuan: float
    total_kwh: float
    file_name: str
    synthetic: bool
    differences: list[InvoiceDifference]
    largest_share: float | None


class TariffHours(msgspec.Struct, frozen=True, kw_only=True):
    """Which band holds when, from the tariff's rules."""

    band: str
    months: list[int]
    days: list[str]
    hours: list[str]


class OtherMedium(msgspec.Struct, frozen=True, kw_only=True):
    """What another medium cost in the same month."""

    medium: str
    amount: float | None
    unit: str
    cost_yuan: float | None
    withheld_code: str | None
    tariff_verified: bool
    provisional: bool


class CostPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page."""

    site: Site
    accounts: list[tuple[str, str, str]]  # code, zh, en
    account: str | None
    bill: Bill | None
    bands: list[Band]
    months: list[MonthCost]
    invoice: Invoice | None
    tariff_zh: str | None
    tariff_en: str | None
    source: str | None
    hours: list[TariffHours]
    power_factor_standard: str | None
    others: list[OtherMedium]
    misread: str | None = None


def load_cost(
    connection: psycopg.Connection[Any], site: Site, month: str | None, account: str | None
) -> CostPage | None:
    """Read the billing period that begins in a month; by default the last one there is."""
    accounts: list[tuple[Any, ...]] = connection.execute(
        "SELECT a.account_id, a.code, r.name_zh, r.name_en, r.tariff_id,"
        " r.terms->>'power_factor_standard' FROM account a JOIN LATERAL"
        " (SELECT * FROM account_record r WHERE r.account_id = a.account_id"
        "  AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) r ON true"
        " WHERE a.site_id = %s ORDER BY a.code",
        (site.site_id,),
    ).fetchall()
    chosen = next((a for a in accounts if a[1] == account), None)
    if account is not None and chosen is None:
        return None
    chosen = chosen or next(iter(accounts), None)
    first, misread = _month(month)
    if chosen is None:
        return CostPage(
            site=site, accounts=[], account=None, bill=None, bands=[], months=[], invoice=None,
            tariff_zh=None, tariff_en=None, source=None, hours=[], power_factor_standard=None,
            others=_others(connection, site, first or site.today.replace(day=1)), misread=misread,
        )  # fmt: skip
    bill = _bill(connection, chosen[0], first)
    at = site.midnight(site.today if bill is None else bill.period_from)
    tariff = connection.execute(
        "SELECT name_zh, name_en, source, rules FROM tariff_record WHERE tariff_id = %s"
        " AND superseded_commit_no IS NULL AND valid_from <= %s"
        " AND (valid_to IS NULL OR valid_to > %s) ORDER BY valid_from DESC LIMIT 1",
        (chosen[4], at, at),
    ).fetchone()
    return CostPage(
        site=site, accounts=[(a[1], a[2], a[3]) for a in accounts], account=chosen[1], bill=bill,
        bands=[] if bill is None else _bands(connection, chosen[0], bill),
        months=[] if bill is None else _months(connection, chosen[0], bill),
        invoice=None if bill is None else _invoice(connection, site, chosen[0], bill),
        tariff_zh=None if tariff is None else tariff[0],
        tariff_en=None if tariff is None else tariff[1],
        source=None if tariff is None else tariff[2],
        hours=[] if tariff is None else msgspec.convert(tariff[3]["hours"], list[TariffHours]),
        power_factor_standard=chosen[5],
        others=[] if bill is None else _others(connection, site, bill.period_from),
        misread=misread,
    )  # fmt: skip


def _month(text: str | None) -> tuple[dt.date | None, str | None]:
    if text is None:
        return None, None
    try:
        return dt.date.fromisoformat(f"{text}-01"), None
    except ValueError:
        return None, text[:40]


def _bill(
    connection: psycopg.Connection[Any], account_id: int, month: dt.date | None
) -> Bill | None:
    row = (
        connection.cursor(row_factory=dict_row)
        .execute(
            "SELECT period_from, period_to, amount::double precision AS kwh,"
            " cost_yuan::double precision AS cost_yuan,"
            " energy_yuan::double precision AS energy_yuan,"
            " basic_yuan::double precision AS basic_yuan,"
            " power_factor_yuan::double precision AS power_factor_yuan,"
            " power_factor::double precision AS power_factor,"
            " demand_kw::double precision AS demand_kw, coalesce(lines, '[]') AS lines,"
            " estimated_share, coverage, simulated, tariff_verified, provisional, withheld_code"
            " FROM cost_period WHERE account_id = %(account)s AND period_kind = 'billing'"
            " AND band = 'total' AND (%(month)s::date IS NULL"
            "  OR date_trunc('month', period_from) = %(month)s::date)"
            " ORDER BY period_from DESC LIMIT 1",
            {"account": account_id, "month": month},
        )
        .fetchone()
    )
    return None if row is None else msgspec.convert(row, Bill)


def _bands(connection: psycopg.Connection[Any], account_id: int, bill: Bill) -> list[Band]:
    return (
        connection.cursor(row_factory=class_row(Band))
        .execute(
            "SELECT band, amount::double precision AS kwh, cost_yuan::double precision AS yuan"
            " FROM cost_period WHERE account_id = %s AND period_kind = 'billing'"
            " AND period_from = %s AND band <> 'total' ORDER BY array_position("
            "ARRAY['sharp', 'peak', 'flat', 'valley', 'deep_valley'], band)",
            (account_id, bill.period_from),
        )
        .fetchall()
    )


def _months(connection: psycopg.Connection[Any], account_id: int, bill: Bill) -> list[MonthCost]:
    return (
        connection.cursor(row_factory=class_row(MonthCost))
        .execute(
            "SELECT c.period_from, c.period_to, c.amount::double precision AS kwh,"
            " c.cost_yuan::double precision AS cost_yuan,"
            " c.basic_yuan::double precision AS basic_yuan,"
            " c.power_factor_yuan::double precision AS power_factor_yuan, c.provisional,"
            " c.withheld_code, i.total_yuan::double precision AS invoiced_yuan, i.synthetic"
            " FROM cost_period c LEFT JOIN LATERAL (SELECT * FROM invoice i"
            "  WHERE i.account_id = c.account_id AND i.superseded_commit_no IS NULL"
            "  AND i.from_ts >= c.period_from - interval '1 day'"
            "  AND i.to_ts <= c.period_to + interval '1 day'"
            "  ORDER BY i.recorded_at DESC LIMIT 1) i ON true"
            " WHERE c.account_id = %s AND c.period_kind = 'billing' AND c.band = 'total'"
            " AND c.period_from <= %s ORDER BY c.period_from DESC LIMIT %s",
            (account_id, bill.period_from, _MONTHS),
        )
        .fetchall()
    )


def _invoice(
    connection: psycopg.Connection[Any], site: Site, account_id: int, bill: Bill
) -> Invoice | None:
    row = connection.execute(
        "SELECT number, total_yuan::double precision, total_kwh::double precision, file_name,"
        " synthetic FROM invoice WHERE account_id = %s AND superseded_commit_no IS NULL"
        " AND from_ts < %s AND to_ts > %s ORDER BY recorded_at DESC LIMIT 1",
        (account_id, site.midnight(bill.period_to), site.midnight(bill.period_from)),
    ).fetchone()
    if row is None:
        return None
    finding = connection.execute(
        "SELECT evidence FROM finding WHERE site_id = %s AND code = 'invoice_differs'"
        " AND subject = %s AND withdrawn_version IS NULL ORDER BY at_ts DESC LIMIT 1",
        (site.site_id, row[0]),
    ).fetchone()
    evidence: dict[str, Any] = {} if finding is None else finding[0]
    return Invoice(
        number=row[0], total_yuan=row[1], total_kwh=row[2], file_name=row[3], synthetic=row[4],
        differences=msgspec.convert(evidence.get("lines", []), list[InvoiceDifference]),
        largest_share=evidence.get("largest_share"),
    )  # fmt: skip


def _others(connection: psycopg.Connection[Any], site: Site, month: dt.date) -> list[OtherMedium]:
    return (
        connection.cursor(row_factory=class_row(OtherMedium))
        .execute(
            "SELECT medium, amount::double precision AS amount, unit,"
            " cost_yuan::double precision AS cost_yuan, withheld_code, tariff_verified,"
            " provisional FROM cost_period WHERE site_id = %s AND account_id IS NULL"
            " AND period_kind = 'month' AND band = 'total'"
            " AND period_from = date_trunc('month', %s::date) ORDER BY medium",
            (site.site_id, month),
        )
        .fetchall()
    )
