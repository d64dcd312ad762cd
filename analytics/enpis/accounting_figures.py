"""Where a scheme's total comes from, its carbon and whose energy it is (F6, F11, F35).

For every scheme that a site declares, of the months, quarters and years to date that a change
touches. The carriers of a period add up to the energy of the plant's EnPI, and so do products,
ancillary use, losses and what no area has.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import psycopg

from analytics.accounting.area_energy import EnergyRow
from analytics.accounting.carbon import CarbonFactors, carbon_of, load_carbon_factors
from analytics.accounting.energy_parts import EnergyPart, Scheme, SchemeEnergy
from analytics.accounting.enpi_facts import load_scheme
from analytics.accounting.product_energy import MonthEnergy, ProductAccounts, Trust
from analytics.accounting.product_output import product_total
from analytics.accounting.scheme_energy import scheme_energy
from analytics.accounting.site_calendar import Period, SiteCalendar
from analytics.accounting.site_facts import SiteFacts
from analytics.accounting.site_intervals import SiteIntervals
from analytics.accounting.withheld import WithheldCode
from analytics.enpis.figures import Span
from analytics.intervals.finding_rows import FindingRow, keep_findings
from enpilot.quantities import QUANTITIES, energy_quantity

__all__ = ["write_accounting_figures"]

_TABLES: Final = ("scheme_energy_period", "carbon_period", "product_energy_period")
_CODES: Final = ("factor_missing", "carbon_factor_missing", "conversion_cycle", "medium_overdrawn")
_MARGIN: Final = dt.timedelta(days=1)


@dataclass(slots=True)
class _SchemeRows:
    """What is written of one scheme."""

    facts: SiteFacts
    scheme: Scheme
    carbon: CarbonFactors | None
    accounts: ProductAccounts
    span: Span
    version: int
    energy: list[tuple[object, ...]]
    carbons: list[tuple[object, ...]]
    products: list[tuple[object, ...]]
    media: list[tuple[object, ...]]
    found: dict[tuple[str, dt.datetime, str], FindingRow]


def write_accounting_figures(
    connection: psycopg.Connection[Any], facts: SiteFacts, span: Span, version: int
) -> int:
    """Write carriers, carbon, products and in-house media of the periods that a span touches.

    Parameters
    ----------
    connection
        In the transaction that claimed the span.
    facts, span, version
        Of the site, the touched days, and the data version that the rows will name.

    Returns
    -------
    int
        Rows written.
    """
    calendar = facts.calendars["civil"]
    complete = min(span.complete_until, calendar.day_of(span.data_through))
    first = _first_day(connection, facts, calendar)
    schemes = [
        load_scheme(connection, scheme_id)
        for (scheme_id,) in connection.execute(
            "SELECT DISTINCT scheme_id FROM scheme JOIN scheme_record USING (scheme_id)"
            " WHERE site_id = %s AND superseded_commit_no IS NULL ORDER BY 1",
            (facts.site_id,),
        ).fetchall()
    ]
    for table in (*_TABLES, "medium_factor_period"):
        connection.execute(
            f"DELETE FROM {table} WHERE site_id = %s AND (period_to > %s OR period_to <= %s)",
            (facts.site_id, complete, first or dt.date.max),
        )
    if first is None or first >= complete or not schemes:
        return 0
    carbons = [load_carbon_factors(connection, facts.site_id, s.scheme_id) for s in schemes]
    since = min(span.since, _stale_carbon(connection, facts, carbons, span) or span.since)
    for table in (*_TABLES, "medium_factor_period"):
        connection.execute(
            f"DELETE FROM {table} WHERE site_id = %s AND period_from < %s AND period_to > %s",
            (facts.site_id, span.until, since),
        )
    touched = list(_touched(calendar, since, span.until, first, complete))
    if not touched:
        return 0
    low = max(first, min(p.first for p in touched)) - _MARGIN
    intervals = SiteIntervals(
        connection, facts, calendar.begins(low), calendar.begins(complete + _MARGIN)
    )
    accounts = ProductAccounts(facts.areas, facts.metered, facts.counted, facts.ledger, intervals)
    written = 0
    found: dict[tuple[str, dt.datetime, str], FindingRow] = {}
    for scheme, carbon in zip(schemes, carbons, strict=True):
        rows = _SchemeRows(
            facts, scheme, carbon, accounts, span, version, [], [], [], [], found
        )  # fmt: skip
        for period in touched:
            _gather(rows, period.cut(complete))
        _replace(connection, calendar, scheme, touched, rows)
        written += len(rows.energy) + len(rows.carbons) + len(rows.products) + len(rows.media)
    months = [p for p in touched if p.kind == "month"]
    if months:
        looked = (calendar.begins(months[0].first), calendar.begins(months[-1].after))
        keep_findings(connection, facts.site_id, _CODES, looked, list(found.values()), version)
    return written


def _first_day(
    connection: psycopg.Connection[Any], facts: SiteFacts, calendar: SiteCalendar
) -> dt.date | None:
    row = connection.execute(
        "SELECT min(ts) FROM interval_advance WHERE series_id = ANY(%s)",
        ([p.series_id for p in facts.counted],),
    ).fetchone()
    known = [row[0]] if row is not None and row[0] is not None else []
    known += [e.since for e in facts.ledger]
    return calendar.day_of(min(known)) if known else None


def _stale_carbon(
    connection: psycopg.Connection[Any],
    facts: SiteFacts,
    carbons: Sequence[CarbonFactors | None],
    span: Span,
) -> dt.date | None:
    """Return the first day whose carbon goes by a grid factor that a later one has replaced.

    What is signed keeps the factor that was the latest then (F35).
    """
    found: list[dt.date] = []
    for carbon in carbons:
        if carbon is None:
            continue
        latest = max(
            (f.data_year for f in carbon.factors if f.valid_from <= span.data_through), default=0
        )
        row = connection.execute(
            "SELECT min(period_from) FROM carbon_period WHERE site_id = %s AND region = %s"
            " AND data_year < %s AND closing_version IS NULL",
            (facts.site_id, carbon.region, latest),
        ).fetchone()
        if row is not None and row[0] is not None:
            found.append(row[0])
    return min(found) if found else None


def _touched(
    calendar: SiteCalendar, since: dt.date, until: dt.date, first: dt.date, complete: dt.date
) -> Iterator[Period]:
    for make in (calendar.months, calendar.quarters, calendar.years_to_date):
        for period in make(first, complete):
            if period.cut(complete).overlaps(since, until):
                yield period


def _gather(rows: _SchemeRows, period: Period) -> None:
    facts, scheme = rows.facts, rows.scheme
    # In local time, so that a missing factor names the day that people know.
    since, until = (at.astimezone(facts.zone) for at in facts.calendars["civil"].span(period))
    total = scheme_energy(
        scheme, facts.counted, facts.ledger, rows.accounts.intervals, since, until
    )
    name = (facts.site_id, scheme.scheme_id, period.kind, period.first, period.after)
    rows.energy += _energy_rows(scheme, total, name, rows.version)
    if total.withheld is WithheldCode.FACTOR_MISSING and period.kind == "month":
        _find(rows, "factor_missing", since, until, scheme.code, {"why": total.why})
    if rows.carbon is not None:
        for one in carbon_of(total.parts, rows.carbon, since, rows.span.data_through):
            factor = one.factor
            rows.carbons.append(
                (
                    *name, one.carrier, None if one.carbon is None else float(one.carbon.value),
                    None if factor is None else float(factor.per_one.value),
                    None if factor is None else factor.per_unit,
                    "" if factor is None else factor.region,
                    None if factor is None else factor.data_year or None,
                    factor is not None and factor.verified,
                    WithheldCode.FACTOR_MISSING if one.carbon is None else None, rows.version,
                )
            )  # fmt: skip
            if one.carbon is None and period.kind == "month":
                _find(rows, "carbon_factor_missing", since, until,
                      f"{scheme.code} {one.carrier}", {"why": one.why})  # fmt: skip
    if facts.areas.areas:
        _gather_products(rows, period, name)


def _find(
    rows: _SchemeRows,
    code: str,
    since: dt.datetime,
    until: dt.datetime,
    subject: str,
    evidence: dict[str, object],
) -> None:
    rows.found[code, since, subject] = FindingRow(
        code, since, until, "warning", evidence, subject=subject
    )


def _energy_rows(
    scheme: Scheme, total: SchemeEnergy, name: tuple[object, ...], version: int
) -> Iterator[tuple[object, ...]]:
    """Yield a row for each carrier and part of it."""
    if total.withheld is not None:
        yield (
            *name, "", "withheld", None, None, None, None, None, scheme.energy_unit, None, "none",
            None, None, True, False, total.withheld, version,
        )  # fmt: skip
        return
    groups: dict[tuple[str, str, str], list[EnergyPart]] = defaultdict(list)
    for part in total.parts:
        groups[part.carrier, part.part, part.unit].append(part)
    whole = total.energy or Fraction(0)
    for (carrier, kind, unit), parts in sorted(groups.items()):
        energy = sum((p.energy for p in parts), Fraction(0))
        quantity = sum((p.quantity for p in parts), Fraction(0))
        size = sum(abs(p.energy) for p in parts)
        yield (
            *name, carrier, kind, float(quantity), unit,
            float(energy / quantity) if quantity else None,
            "+".join(sorted({p.basis for p in parts if p.basis})) or None, float(energy),
            scheme.energy_unit, float(energy / whole) if whole else None,
            "ledger" if kind == "ledger" else "metered",
            sum(p.estimated_share * float(abs(p.energy)) for p in parts) / float(size) if size
            else 0.0,
            min(p.coverage for p in parts), all(p.verified for p in parts),
            any(p.synthetic for p in parts), None, version,
        )  # fmt: skip


def _gather_products(rows: _SchemeRows, period: Period, name: tuple[object, ...]) -> None:
    facts, scheme = rows.facts, rows.scheme
    calendar = facts.calendars["civil"]
    months: list[MonthEnergy] = []
    for month in calendar.months(period.first, period.after):
        since, until = calendar.span(month.cut(period.after))
        done = rows.accounts.month(scheme, since, until)
        months.append(done)
        if period.kind != "month":
            continue
        if done.failed is WithheldCode.CONVERSION_CYCLE:
            _find(rows, "conversion_cycle", since, until, scheme.code, {"why": done.why})
        for medium in done.overdrawn:
            left = next(r.energy for r in done.rows
                        if r.code == medium and r.part in ("loss", "unmetered"))  # fmt: skip
            _find(rows, "medium_overdrawn", since, until, f"{scheme.code} {medium}",
                  {"medium": medium, "left": float(left), "unit": scheme.energy_unit})  # fmt: skip
        rows.media += [
            (
                facts.site_id, scheme.scheme_id, period.first, period.after, f.medium,
                float(f.input), float(f.output), None if f.factor is None else float(f.factor),
                float(f.used), scheme.energy_unit, QUANTITIES[energy_quantity(f.medium)].unit,
                rows.version,
            )
            for f in done.factors
        ]  # fmt: skip
    rows.products += _product_rows(rows, period, months, name)


def _product_rows(
    rows: _SchemeRows, period: Period, months: Sequence[MonthEnergy], name: tuple[object, ...]
) -> Iterator[tuple[object, ...]]:
    """Yield the sums of some months by part and code, and what of them is withheld."""
    failed = next((m.failed for m in months if m.failed), None)
    withheld: dict[str, WithheldCode] = {}
    sums: dict[tuple[str, str], list[EnergyRow]] = defaultdict(list)
    for month in months:
        withheld |= month.withheld
        for row in month.rows:
            sums[row.part, row.code].append(row)
    if failed is not None and not all(m.rows for m in months):
        withheld, sums = {}, defaultdict(list)  # without a total nothing is shared out
    if failed is not None:
        withheld = dict.fromkeys(rows.facts.areas.products.values(), failed)
    for code in withheld:
        # What months before gave it stays in the sum.
        sums["unallocated", code] += sums.pop(("product", code), [])
    trust: dict[str, Trust] = defaultdict(Trust)
    for month in months:
        for code, one in month.trust.items():
            trust[code] = trust[code].and_of(one)
    rules = sorted({rule for m in months for rule in m.rules})
    synthetic = any(p.synthetic for m in months for p in m.total.parts)
    unit = rows.scheme.energy_unit
    for (part, code), found in sorted(sums.items()):
        if not found:
            continue
        direct, media, allocated = (
            sum((getattr(r, what) for r in found), Fraction(0))
            for what in ("direct", "media", "allocated")
        )
        output = _output(rows, period, code) if part == "product" else (None, None)
        known = trust.get(code, Trust())
        yield (
            *name, part, code, float(direct), float(media), float(allocated),
            float(direct + media + allocated), unit, *output, known.estimated_share,
            known.coverage, rules, synthetic, None, rows.version,
        )  # fmt: skip
    for code, why in sorted(withheld.items()):
        yield (
            *name, "product", code, None, None, None, None, unit,
            *_output(rows, period, code), None, None, rules, synthetic, why, rows.version,
        )  # fmt: skip


def _output(rows: _SchemeRows, period: Period, code: str) -> tuple[float | None, str | None]:
    areas = rows.facts.areas
    number = next((n for n, c in areas.products.items() if c == code), None)
    product = areas.outputs.get((number, "qualified")) if number is not None else None
    if product is None:
        return None, None
    since, until = rows.facts.calendars["civil"].span(period)
    made = product_total(product, rows.accounts.intervals, since, until)
    return made.quantity, product.unit


def _replace(
    connection: psycopg.Connection[Any],
    calendar: SiteCalendar,
    scheme: Scheme,
    touched: Sequence[Period],
    rows: _SchemeRows,
) -> None:
    keys = [
        (
            scheme.scheme_id, p.kind, p.first,
            calendar.month_start(p.after - _MARGIN) if p.kind == "year_to_date" else p.first,
            p.after,
        )
        for p in touched
    ]  # fmt: skip
    with connection.cursor() as cursor:
        for table in _TABLES:
            cursor.executemany(
                f"DELETE FROM {table} WHERE scheme_id = %s AND period_kind = %s"
                " AND period_from = %s AND period_to > %s AND period_to <= %s",
                keys,
            )
        cursor.executemany(
            "DELETE FROM medium_factor_period WHERE scheme_id = %s AND period_from = %s",
            [(scheme.scheme_id, p.first) for p in touched if p.kind == "month"],
        )
        period = "site_id, scheme_id, period_kind, period_from, period_to"
        for table, columns, values in (
            (
                "scheme_energy_period",
                (
                    f"{period}, carrier, part, quantity, quantity_unit, factor, basis, energy,"
                    " energy_unit, share, source, estimated_share, coverage, factor_verified,"
                    " synthetic, withheld_code, data_version"
                ),
                rows.energy,
            ),
            (
                "carbon_period",
                (
                    f"{period}, carrier, carbon_kg, factor, factor_unit, region, data_year,"
                    " factor_verified, withheld_code, data_version"
                ),
                rows.carbons,
            ),
            (
                "product_energy_period",
                (
                    f"{period}, part, code, direct, media, allocated, energy, energy_unit, output,"
                    " output_unit, estimated_share, coverage, rules, synthetic, withheld_code,"
                    " data_version"
                ),
                rows.products,
            ),
            (
                "medium_factor_period",
                (
                    "site_id, scheme_id, period_from, period_to, medium, input, output, factor,"
                    " used, energy_unit, output_unit, data_version"
                ),
                rows.media,
            ),
        ):
            marks = ", ".join(["%s"] * (columns.count(",") + 1))
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", values)
