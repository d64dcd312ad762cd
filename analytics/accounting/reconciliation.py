"""What was metered, invoiced and declared of each medium, side by side and never merged (F15).

An invoice or a declaration is held against the meters over its own span. Only one that spans a
month is the month's: a share of it would be a guess. Pairs that do not count the same thing are not
compared: a purchase that went into stock, a grid invoice beside a works that generates.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final, Literal, TypeAlias

import psycopg

from analytics.accounting.balance import PartSum, sum_parts
from analytics.accounting.site_calendar import local_date, midnight
from analytics.accounting.site_facts import SiteFacts
from analytics.intervals.finding_rows import FindingRow, keep_findings
from analytics.intervals.sums import SummedSeries
from enpilot.quantities import QUANTITIES, UnitError, energy_quantity, unit_ratio

__all__ = [
    "TOTALS_LIMIT",
    "Differences",
    "Pair",
    "Totals",
    "differences",
    "reconciled_spans",
    "write_reconciliation_figures",
]

Intervals: TypeAlias = Callable[[int], SummedSeries | None]
Pair: TypeAlias = Literal["metered_invoiced", "metered_declared", "invoiced_declared"]
Days: TypeAlias = tuple[dt.date, dt.date]
# Beyond it a difference is a finding with an owner (F15).
TOTALS_LIMIT: Final = Fraction(1, 20)
_CODE: Final = "totals_differ"
_ELECTRICITY: Final = "electricity"
_STOCK: Final = frozenset({"opening", "closing"})


@dataclass(frozen=True, slots=True)
class Totals:
    """The totals of one medium over one span [unit of the medium]; None where not known.

    Attributes
    ----------
    metered
        Import - export + generation, as the boundary's meters say.
    bought
        Import alone.
    invoiced
        Without what the utility adds for losses.
    declared
        As handed in.
    stocked
        Whether what was bought may have gone into stock, so that it is no consumption.
    """

    metered: Fraction | None = None
    bought: Fraction | None = None
    invoiced: Fraction | None = None
    declared: Fraction | None = None
    stocked: bool = False


@dataclass(frozen=True, slots=True)
class Differences:
    """How far totals are apart, each as a share of the first of its pair.

    Attributes
    ----------
    shares
        Signed; a pair that is not comparable, or whose first is zero, has none.
    most
        The pair that is furthest apart; None if none differs.
    beyond
        Pairs that differ by more than the limit, or from nothing at all.
    """

    shares: Mapping[Pair, Fraction]
    most: Pair | None
    beyond: tuple[Pair, ...]


def differences(totals: Totals, limit: Fraction = TOTALS_LIMIT) -> Differences:
    """Hold three totals against each other.

    Parameters
    ----------
    totals
        Of one medium and one span.
    limit
        Share from which a pair is named as too far apart; 0 .. 1.

    Returns
    -------
    Differences
        Of the pairs that count the same: what was bought against the invoice, consumption against
        the declaration, and both papers where all that was bought was consumed.

    Notes
    -----
    F15.
    """
    pairs: list[tuple[Pair, Fraction | None, Fraction | None]] = [
        ("metered_declared", totals.metered, totals.declared)
    ]
    if not totals.stocked:
        pairs.append(("metered_invoiced", totals.bought, totals.invoiced))
        if totals.metered == totals.bought:
            pairs.append(("invoiced_declared", totals.invoiced, totals.declared))
    shares: dict[Pair, Fraction] = {}
    from_nothing: list[Pair] = []
    for pair, one, other in pairs:
        if one is None or other is None:
            continue
        if one:
            shares[pair] = (other - one) / abs(one)
        elif other:
            from_nothing.append(pair)
    beyond = [*from_nothing, *(p for p, share in shares.items() if abs(share) > limit)]
    apart = {p: abs(share) for p, share in shares.items() if share}
    most: Pair | None = from_nothing[0] if from_nothing else None
    if not from_nothing and apart:
        furthest: Pair = max(apart, key=apart.__getitem__)
        most = furthest
    return Differences(shares, most, tuple(beyond))


@dataclass(frozen=True, slots=True)
class _Declared:
    medium: str
    quantity: Fraction
    tce: Fraction | None
    document: str
    author: str
    synthetic: bool
    days: Days


@dataclass(frozen=True, slots=True)
class _Invoiced:
    """An invoice, or a purchase of the ledger."""

    medium: str
    quantity: Fraction
    losses: Fraction
    document: str
    author: str
    synthetic: bool
    account: str
    days: Days


@dataclass(slots=True)
class _Papers:
    """What papers say of a site."""

    declared: list[_Declared]
    invoices: list[_Invoiced]
    purchases: list[_Invoiced]
    stocked: dict[str, list[Days]]
    accounts: list[tuple[str, dt.date, dt.date | None]]


@dataclass(slots=True)
class _Row:
    """One medium over one span."""

    medium: str
    days: Days
    kind: Literal["month", "document"]
    totals: Totals
    meters: PartSum | None
    invoiced: list[_Invoiced] = field(default_factory=list)
    declared: _Declared | None = None
    missing: list[str] = field(default_factory=list)


def reconciled_spans(
    connection: psycopg.Connection[Any], facts: SiteFacts, since: dt.date, until: dt.date
) -> list[tuple[dt.date, dt.date]]:
    """Return the spans that are to be reconciled anew where some days changed.

    Parameters
    ----------
    connection
        To the platform's database.
    facts
        Of the site.
    since, until
        Local days [since, until), finished ones.

    Returns
    -------
    list
        Months and spans of papers that are over, from the first that holds one of the days; local
        dates [first, after), in order.

    Notes
    -----
    F15.
    """
    return _spans(facts, _papers(connection, facts), since, until)


def write_reconciliation_figures(
    connection: psycopg.Connection[Any],
    facts: SiteFacts,
    intervals: Intervals,
    since: dt.date,
    until: dt.date,
    version: int,
) -> int:
    """Write the three totals of the months, and of the papers' own spans, that hold some days.

    Parameters
    ----------
    connection
        In the site's transaction.
    facts
        Of the site.
    intervals
        Reaching over `reconciled_spans`.
    since, until
        Local days [since, until), finished ones.
    version
        Data version that the rows will name.

    Returns
    -------
    int
        Rows written.

    Notes
    -----
    F15. A pair that is further apart than `TOTALS_LIMIT` is a finding; its owner is who entered the
    paper.
    """
    papers = _papers(connection, facts)
    spans = _spans(facts, papers, since, until)
    if not spans:
        return 0
    rows = [row for days in spans for row in _reconciled(facts, papers, intervals, days)]
    connection.execute(
        "DELETE FROM reconciliation_period WHERE site_id = %s AND period_from >= %s"
        " AND period_from < %s",
        (facts.site_id, spans[0][0], until),
    )
    _insert(connection, facts.site_id, rows, version)
    span = (midnight(spans[0][0], facts.zone), midnight(until, facts.zone))
    found = [f for row in rows for f in _findings(facts, row)]
    keep_findings(connection, facts.site_id, [_CODE], span, found, version)
    return len(rows)


def _spans(facts: SiteFacts, papers: _Papers, since: dt.date, until: dt.date) -> list[Days]:
    if since >= until:
        return []
    calendar = facts.calendars["civil"]
    of_papers = {d.days for d in papers.declared} | {i.days for i in papers.invoices}
    touched = {(m.first, m.after) for m in calendar.months(since, until)} | of_papers
    over = [d for d in touched if d[0] < d[1] <= until]
    low = min((d[0] for d in over if since < d[1]), default=None)
    if low is None:
        return []
    months = {(m.first, m.after) for m in calendar.months(low, until)}
    return sorted(d for d in months | of_papers if low <= d[0] < d[1] <= until)


def _reconciled(
    facts: SiteFacts, papers: _Papers, intervals: Intervals, days: Days
) -> Iterator[_Row]:
    low, high = midnight(days[0], facts.zone), midnight(days[1], facts.zone)
    month = next(iter(facts.calendars["civil"].months(days[0], days[0] + dt.timedelta(days=1))))
    kind: Literal["month", "document"] = (
        "month" if (month.first, month.after) == days else "document"
    )
    declared = {d.medium: d for d in papers.declared if d.days == days}
    invoiced: dict[str, list[_Invoiced]] = defaultdict(list)
    for invoice in papers.invoices:
        if invoice.days == days:
            invoiced[invoice.medium].append(invoice)
    invoiced |= _purchases(papers, days)
    media = {p.medium for p in facts.points} if kind == "month" else set()
    for medium in sorted(media | declared.keys() | invoiced.keys()):
        points = [p for p in facts.points if p.medium == medium]
        meters = sum_parts(points, intervals, low, high) if points else None
        own = [p for p in points if not p.generation and not p.direction_out]
        bought_sum = meters if own == points else sum_parts(own, intervals, low, high)
        papers_of = invoiced[medium]
        missing = _missing(papers, papers_of, days) if medium == _ELECTRICITY else []
        complete = bool(papers_of) and not missing
        paper = declared.get(medium)
        totals = Totals(
            None if meters is None else meters.amount,
            None if bought_sum is None else bought_sum.amount,
            sum((p.quantity for p in papers_of), Fraction(0)) if complete else None,
            None if paper is None else paper.quantity,
            any(a < days[1] and days[0] < b for a, b in papers.stocked.get(medium, ())),
        )
        if all(t is None for t in (totals.metered, totals.invoiced, totals.declared)) and not (
            papers_of
        ):
            continue
        yield _Row(medium, days, kind, totals, meters, papers_of, paper, missing)


def _purchases(papers: _Papers, days: Days) -> dict[str, list[_Invoiced]]:
    """Return the purchases of a span by medium; one across its ends is nobody's, nor are the rest.

    Electricity is invoiced.
    """
    found: dict[str, list[_Invoiced]] = defaultdict(list)
    across = set()
    for purchase in papers.purchases:
        first, after = purchase.days
        if days[0] <= first and after <= days[1]:
            found[purchase.medium].append(purchase)
        elif first < days[1] and days[0] < after:
            across.add(purchase.medium)
    return {m: bought for m, bought in found.items() if m not in across}


def _missing(papers: _Papers, invoices: Sequence[_Invoiced], days: Days) -> list[str]:
    """Return the accounts that are billed in a span, but by no invoice of exactly this span."""
    billed = {i.account for i in invoices}
    held = {
        code
        for code, since, until in papers.accounts
        if since < days[1] and (until is None or days[0] < until)
    }
    return sorted(held - billed) if billed else []


def _findings(facts: SiteFacts, row: _Row) -> Iterator[FindingRow]:
    found = differences(row.totals)
    if not found.beyond or found.most is None:
        return
    pair = found.most
    low, high = (midnight(day, facts.zone) for day in row.days)
    owner = (
        row.declared.author
        if row.declared is not None and pair != "metered_invoiced"
        else row.invoiced[0].author
    )
    share = found.shares.get(pair)
    evidence = {
        "medium": row.medium,
        "unit": QUANTITIES[energy_quantity(row.medium)].unit,
        "pair": pair,
        "share": None if share is None else float(share),
        "metered": _number(row.totals.metered),
        "bought": _number(row.totals.bought),
        "invoiced": _number(row.totals.invoiced),
        "declared": _number(row.totals.declared),
        "coverage": None if row.meters is None else row.meters.coverage,
        "documents": [i.document for i in row.invoiced]
        + ([] if row.declared is None else [row.declared.document]),
        "owner": owner,
    }
    subject = row.medium if row.kind == "month" else f"{row.medium} to {row.days[1]}"
    yield FindingRow(_CODE, low, high, "warning", evidence, subject=subject)


def _insert(
    connection: psycopg.Connection[Any], site_id: int, rows: Iterable[_Row], version: int
) -> None:
    names = (
        "site_id", "medium", "period_from", "period_to", "period_kind", "unit", "metered",
        "metered_bought", "coverage", "invoiced", "invoiced_losses", "invoice_kind",
        "invoices_missing", "declared", "declared_tce", "invoiced_share", "declared_share",
        "declared_invoiced_share", "most", "synthetic", "data_version",
    )  # fmt: skip
    values = []
    for row in rows:
        found = differences(row.totals)
        losses = sum((i.losses for i in row.invoiced), Fraction(0))
        by = "invoice" if row.medium == _ELECTRICITY else "ledger"
        paper, meters = row.declared, row.meters
        values.append(
            (
                site_id, row.medium, *row.days, row.kind,
                QUANTITIES[energy_quantity(row.medium)].unit,
                _number(row.totals.metered), _number(row.totals.bought),
                None if meters is None or meters.amount is None else meters.coverage,
                _number(row.totals.invoiced),
                None if row.totals.invoiced is None else float(losses),
                by if row.invoiced else None, row.missing,
                _number(row.totals.declared), None if paper is None else _number(paper.tce),
                _number(found.shares.get("metered_invoiced")),
                _number(found.shares.get("metered_declared")),
                _number(found.shares.get("invoiced_declared")), found.most,
                any(p.synthetic for p in row.invoiced) or (paper is not None and paper.synthetic)
                or (meters is not None and meters.simulated),
                version,
            )
        )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO reconciliation_period ({', '.join(names)})"
            f" VALUES ({', '.join(['%s'] * len(names))})",
            values,
        )


def _papers(connection: psycopg.Connection[Any], facts: SiteFacts) -> _Papers:
    site, zone = (facts.site_id,), facts.zone

    def days(since: dt.datetime, until: dt.datetime) -> Days:
        return local_date(since, zone), local_date(until, zone)

    declared = [
        _Declared(
            medium, exact, None if tce is None else Fraction(tce), document, author, synthetic,
            days(since, until),
        )
        for medium, quantity, unit, tce, document, author, synthetic, since, until
        in connection.execute(
            "SELECT medium, quantity, unit, tce, document, author, synthetic, from_ts, to_ts"
            " FROM declared_total WHERE site_id = %s AND superseded_commit_no IS NULL"
            " ORDER BY from_ts, medium",
            site,
        )
        if (exact := _exact(medium, quantity, unit)) is not None
    ]  # fmt: skip
    invoices = [
        _Invoiced(
            _ELECTRICITY, Fraction(total) - Fraction(losses), Fraction(losses), number, author,
            synthetic, account, days(since, until),
        )
        for number, account, total, losses, author, synthetic, since, until in connection.execute(
            "SELECT i.number, a.code, i.total_kwh, i.transformer_loss_kwh + i.line_loss_kwh,"
            " i.author, i.synthetic, i.from_ts, i.to_ts FROM invoice i JOIN account a"
            " USING (account_id) WHERE i.site_id = %s AND i.superseded_commit_no IS NULL"
            " ORDER BY i.from_ts, i.number",
            site,
        )
    ]  # fmt: skip
    purchases = []
    stocked: dict[str, list[Days]] = defaultdict(list)
    for (
        medium,
        kind,
        quantity,
        unit,
        document,
        author,
        synthetic,
        since,
        until,
    ) in connection.execute(
        "SELECT medium, kind, quantity, unit, document, author, synthetic, from_ts, to_ts"
        " FROM energy_ledger WHERE site_id = %s AND superseded_commit_no IS NULL"
        " AND kind IN ('purchase', 'opening', 'closing') ORDER BY from_ts, document",
        site,
    ):
        if kind in _STOCK:
            stocked[medium].append(days(since, until))
            continue
        exact = _exact(medium, quantity, unit)
        if exact is not None and medium != _ELECTRICITY:
            purchases.append(
                _Invoiced(
                    medium, exact, Fraction(0), document, author, synthetic, "",
                    days(since, until),
                )
            )  # fmt: skip
    accounts = [
        (code, local_date(since, zone), None if until is None else local_date(until, zone))
        for code, since, until in connection.execute(
            "SELECT a.code, r.valid_from, r.valid_to FROM account a JOIN account_record r"
            " USING (account_id) WHERE a.site_id = %s AND r.superseded_commit_no IS NULL",
            site,
        )
    ]
    return _Papers(declared, invoices, purchases, stocked, accounts)


def _exact(medium: str, quantity: Any, unit: str) -> Fraction | None:
    """Return a quantity in the unit in which the medium is metered; None if it has another kind."""
    try:
        return Fraction(quantity) * unit_ratio(energy_quantity(medium), unit)
    except UnitError:
        return None


def _number(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
