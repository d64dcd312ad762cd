"""The utility's invoice beside the same bill computed from tariff and registers (F15, F27)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import psycopg

from analytics.accounting.site_calendar import local_date, midnight
from analytics.cost.account_bill import AccountBill, account_intervals, bill_of
from analytics.cost.bill import to_fen
from analytics.cost.cost_facts import CostFacts
from analytics.errors import NoTariffError

__all__ = [
    "ComparedLine",
    "Comparison",
    "Invoice",
    "InvoiceLine",
    "compare_invoice",
    "compared_lines",
    "load_invoices",
]

# Beyond it a difference is a finding; beyond the second one it is a large one (F15).
_SHARE: Final = Fraction(1, 200)
_LARGE_SHARE: Final = Fraction(1, 20)
_LEAST: Final = Fraction(1, 20)  # [yuan, kWh, kvarh, kW], what rounding of lines adds up to
_LEAST_POWER_FACTOR: Final = Fraction(1, 200)


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """A line as printed; ``register`` lines have levels, the others quantity, price and amount."""

    kind: str
    code: str
    opening: Decimal | None
    closing: Decimal | None
    quantity: Decimal | None
    price_yuan: Decimal | None
    amount_yuan: Decimal | None


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice as it was typed in or read."""

    number: str
    account: str
    since: dt.datetime
    until: dt.datetime
    multiplier: Decimal
    total_kwh: Decimal
    loss_kwh: Decimal
    demand_kw: Decimal | None
    reactive_kvarh: Decimal | None
    power_factor: Decimal | None
    total_yuan: Decimal
    lines: Sequence[InvoiceLine]


@dataclass(frozen=True, slots=True)
class ComparedLine:
    """What an invoice says beside what the tariff and the registers make.

    ``computed`` is None where it is withheld, ``invoiced`` where the invoice says nothing.
    """

    kind: str
    code: str
    unit: str
    invoiced: Fraction | None
    computed: Fraction | None
    least: Fraction = _LEAST

    @property
    def difference(self) -> Fraction | None:
        """Invoiced less computed [unit]."""
        if self.invoiced is None or self.computed is None:
            return None
        return self.invoiced - self.computed

    @property
    def share(self) -> Fraction | None:
        """The difference as a share of what was computed; None if that is nothing."""
        difference = self.difference
        if difference is None or not self.computed:
            return None
        return abs(difference / self.computed)

    @property
    def differs(self) -> bool:
        """Whether it is worth a finding: one side has no such line, or they are far apart."""
        if self.invoiced is None:
            return self.computed is not None and abs(self.computed) > self.least
        difference = self.difference
        if difference is None or abs(difference) <= self.least:
            return False
        return self.share is None or self.share > _SHARE


@dataclass(frozen=True, slots=True)
class Comparison:
    """An invoice and its computed bill, line by line."""

    invoice: Invoice
    bill: AccountBill
    lines: Sequence[ComparedLine]
    series_id: int | None

    @property
    def differs(self) -> bool:
        """Whether a line is worth a finding."""
        return any(line.differs for line in self.lines)

    @property
    def largest_share(self) -> float | None:
        """Difference of the totals in energy and in money, the larger one; 0 .. 1 and more."""
        shares = [line.share for line in self.lines if line.kind == "total" and line.share]
        return float(max(shares)) if shares else None

    @property
    def is_large(self) -> bool:
        """Whether a total is off by more than 5 % (F15)."""
        return any(
            line.kind == "total" and line.share is not None and line.share > _LARGE_SHARE
            for line in self.lines
        )


def compared_lines(invoice: Invoice, found: AccountBill) -> list[ComparedLine]:
    """Put an invoice beside a bill, line by line.

    Parameters
    ----------
    invoice
        As printed.
    found
        The bill computed over the same days.

    Returns
    -------
    list of ComparedLine
        Registers against metered energy; energy, parts and charges against the tariff; each printed
        line against its own quantity times price; last the totals in kWh and yuan.

    Notes
    -----
    F27: differences in kWh and yuan. F15: metered and invoiced stand side by side.
    """
    lines = [*_registers(invoice, found), *_sums(invoice, found), *_charges(invoice, found)]
    lines += _own_products(invoice)
    bill = found.bill
    whole = (
        None
        if bill.metered_kwh is None or bill.loss_kwh is None
        else bill.metered_kwh + bill.loss_kwh
    )
    total = None if bill.total_yuan is None else Fraction(bill.total_yuan)
    return [
        *lines,
        ComparedLine("total", "energy", "kWh", Fraction(invoice.total_kwh), whole),
        ComparedLine("total", "amount", "yuan", Fraction(invoice.total_yuan), total),
    ]


def _registers(invoice: Invoice, found: AccountBill) -> Iterator[ComparedLine]:
    """Compare advances of the printed registers with what was metered; by band and as a whole."""
    metered = found.bill.metered_kwh
    for line in invoice.lines:
        if line.kind != "register" or line.opening is None or line.closing is None:
            continue
        advance = Fraction(line.closing - line.opening) * Fraction(invoice.multiplier)
        by_band: Mapping[str, Fraction] = {b: a.amount for b, a in found.by_band.items()}
        own = metered if line.code == "total" else by_band.get(line.code, Fraction(0))
        yield ComparedLine("register", line.code, "kWh", advance, own if metered else None)


def _sums(invoice: Invoice, found: AccountBill) -> Iterator[ComparedLine]:
    bill = found.bill
    for code, unit, invoiced, computed, least in (
        ("losses", "kWh", invoice.loss_kwh, bill.loss_kwh, _LEAST),
        ("demand", "kW", invoice.demand_kw, bill.demand_kw, _LEAST),
        ("reactive", "kvarh", invoice.reactive_kvarh, bill.kvarh, _LEAST),
        ("power_factor", "1", invoice.power_factor, bill.power_factor, _LEAST_POWER_FACTOR),
    ):
        if invoiced is not None:
            yield ComparedLine("sum", code, unit, Fraction(invoiced), computed, least)


def _charges(invoice: Invoice, found: AccountBill) -> Iterator[ComparedLine]:
    """Compare quantities and amounts of lines of the same kind and code, wherever they stand."""
    printed: dict[tuple[str, str], list[InvoiceLine]] = {}
    for line in invoice.lines:
        if line.kind not in ("register", "other"):
            printed.setdefault((line.kind, line.code), []).append(line)
    computed: dict[tuple[str, str], tuple[Fraction | None, Fraction | None, str]] = {}
    for own in found.bill.lines:
        key: tuple[str, str] = (own.kind, own.code)
        quantity, amount, _ = computed.get(key, (Fraction(0), Fraction(0), own.unit))
        paid = own.amount_yuan
        computed[key] = (
            None if own.quantity is None or quantity is None else quantity + own.quantity,
            None if paid is None or amount is None else amount + Fraction(paid),
            own.unit,
        )
    for key in [*computed, *(k for k in printed if k not in computed)]:
        lines = printed.get(key, [])
        quantity, amount, unit = computed.get(key, (Fraction(0), Fraction(0), "kWh"))
        known = [line.quantity for line in lines if line.quantity is not None]
        if known and key[0] != "power_factor":
            yield ComparedLine(*key, unit, Fraction(sum(known)), quantity)
        paid_yuan = [line.amount_yuan for line in lines if line.amount_yuan is not None]
        yield ComparedLine(*key, "yuan", Fraction(sum(paid_yuan)) if paid_yuan else None, amount)


def _own_products(invoice: Invoice) -> Iterator[ComparedLine]:
    """Compare printed amounts with printed quantity times price."""
    for line in invoice.lines:
        if line.quantity is None or line.price_yuan is None or line.amount_yuan is None:
            continue
        product = Fraction(to_fen(Fraction(line.quantity) * Fraction(line.price_yuan)))
        own = ComparedLine(
            f"printed {line.kind}", line.code, "yuan", Fraction(line.amount_yuan), product
        )
        if own.differs:
            yield own


def compare_invoice(
    connection: psycopg.Connection[Any], costs: CostFacts, invoice: Invoice, through: dt.datetime
) -> Comparison | None:
    """Compute the bill of an invoice's days and compare.

    Parameters
    ----------
    connection
        To the database.
    costs
        Of the site.
    invoice
        One of its invoices.
    through
        How far the site's data reach.

    Returns
    -------
    Comparison or None
        None if the account or its tariff does not exist on these days, or they are not over.
    """
    account = costs.account(invoice.account)
    if account is None or invoice.until > through:
        return None
    since, until = local_date(invoice.since, costs.zone), local_date(invoice.until, costs.zone)
    intervals = account_intervals(
        connection, midnight(since, costs.zone), midnight(until, costs.zone)
    )
    try:
        found = bill_of(connection, costs, account, since, until, through, intervals)
    except NoTariffError:
        return None
    if found is None:
        return None
    series = [s for r in account.records for s in r.meters.active]
    return Comparison(invoice, found, compared_lines(invoice, found), series[0] if series else None)


def load_invoices(
    connection: psycopg.Connection[Any],
    costs: CostFacts,
    since: dt.date | None = None,
    until: dt.date | None = None,
    number: str | None = None,
) -> list[Invoice]:
    """Load the current invoices of a site that have a day in [since, until), or one of a number.

    Parameters
    ----------
    connection
        To the database.
    costs
        Of the site.
    since, until
        Local days; all without them.
    number
        Only this one.

    Returns
    -------
    list of Invoice
        By account and time.
    """
    found = []
    for invoice_id, *head in connection.execute(
        "SELECT i.invoice_id, i.number, a.code, i.from_ts, i.to_ts, i.multiplier, i.total_kwh,"
        " i.transformer_loss_kwh + i.line_loss_kwh, i.demand_kw, i.reactive_kvarh,"
        " i.power_factor, i.total_yuan"
        " FROM invoice i JOIN account a USING (account_id) WHERE i.site_id = %(site)s"
        " AND i.superseded_commit_no IS NULL"
        " AND i.to_ts > coalesce(%(since)s::timestamptz, '-infinity')"
        " AND i.from_ts < coalesce(%(until)s::timestamptz, 'infinity')"
        " AND i.number = coalesce(%(number)s::text, i.number) ORDER BY a.code, i.from_ts",
        {
            "site": costs.site_id,
            "since": since and midnight(since, costs.zone),
            "until": until and midnight(until, costs.zone),
            "number": number,
        },
    ).fetchall():
        lines = [
            InvoiceLine(*line)
            for line in connection.execute(
                "SELECT kind, code, opening, closing, quantity, price_yuan, amount_yuan"
                " FROM invoice_line WHERE invoice_id = %s ORDER BY line_no",
                (invoice_id,),
            )
        ]
        found.append(Invoice(*(*head, lines)))
    return found
