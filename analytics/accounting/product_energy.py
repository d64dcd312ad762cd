"""A month of a plant, shared out among products by what its meters and rules say (F11)."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final, TypeAlias

from analytics.accounting.area_energy import (
    AreaUse,
    Carrier,
    EnergyRow,
    Made,
    MediumFactor,
    input_shares,
    share_out,
)
from analytics.accounting.area_facts import Allocation, Area, Conversion, PlantAreas
from analytics.accounting.balance import PartSum, sum_parts
from analytics.accounting.energy_parts import (
    EnergyTotal,
    LedgerEntry,
    MeteredPoint,
    Scheme,
    SchemeEnergy,
)
from analytics.accounting.product_output import ProductOutput, product_total
from analytics.accounting.scheme_energy import scheme_energy
from analytics.accounting.withheld import WithheldCode
from analytics.errors import ConversionCycleError
from analytics.intervals.sums import SummedSeries

__all__ = ["MonthEnergy", "ProductAccounts", "Trust", "product_total_energy"]

Intervals: TypeAlias = Callable[[int], SummedSeries | None]
# Energy in one unit [GJ], by which a conversion of several media shares its input.
_CONTENT_GJ: Final = {
    "electricity": Fraction("0.0036"),
    "heat": Fraction(1),
    "steam": Fraction("3.763"),  # GB/T 2589, low pressure
}
_PERFECT: Final = 1.0


@dataclass(frozen=True, slots=True)
class Trust:
    """Of the meters behind a row: the largest estimated share, the least coverage; 0 .. 1."""

    estimated_share: float = 0.0
    coverage: float = _PERFECT

    def and_of(self, other: Trust) -> Trust:
        """Return what holds for both together."""
        return Trust(
            max(self.estimated_share, other.estimated_share), min(self.coverage, other.coverage)
        )


@dataclass(frozen=True, slots=True)
class MonthEnergy:
    """Rows that add up to the scheme's total of a month.

    Attributes
    ----------
    total
        What the scheme counts.
    rows
        Of a product that is withheld the part that is known stands under "unallocated".
    withheld
        Products that cannot be told, and why.
    trust
        By product or area.
    rules
        Numbers of the allocations that were used.
    overdrawn
        Media of which areas measured more than there was.
    failed
        Why nothing can be shared out at all.
    """

    total: SchemeEnergy
    rows: Sequence[EnergyRow] = ()
    factors: Sequence[MediumFactor] = ()
    withheld: Mapping[str, WithheldCode] = field(default_factory=dict)
    trust: Mapping[str, Trust] = field(default_factory=dict)
    rules: Sequence[int] = ()
    overdrawn: Sequence[str] = ()
    failed: WithheldCode | None = None
    why: str = ""


@dataclass(slots=True)
class ProductAccounts:
    """A site's areas, asked month by month; a month of a scheme is computed once.

    Parameters
    ----------
    plant
        Areas with their rules.
    metered
        What counts of each point, by code.
    points, ledger
        What schemes count.
    intervals
        Gives the intervals of a series.
    """

    plant: PlantAreas
    metered: Mapping[str, Sequence[MeteredPoint]]
    points: Sequence[MeteredPoint]
    ledger: Sequence[LedgerEntry]
    intervals: Intervals
    _known: dict[tuple[int, dt.datetime, dt.datetime], MonthEnergy] = field(default_factory=dict)

    def month(self, scheme: Scheme, since: dt.datetime, until: dt.datetime) -> MonthEnergy:
        """Share out what a scheme counts in a month.

        Parameters
        ----------
        scheme
            What counts.
        since, until
            A month, or what of the running one is complete.

        Returns
        -------
        MonthEnergy
            Its rows add up to the scheme's total, exactly.
        """
        key = (scheme.scheme_id, since, until)
        if key not in self._known:
            self._known[key] = self._compute(scheme, since, until)
        return self._known[key]

    def _compute(self, scheme: Scheme, since: dt.datetime, until: dt.datetime) -> MonthEnergy:
        total = scheme_energy(scheme, self.points, self.ledger, self.intervals, since, until)
        if total.withheld is not None:
            return MonthEnergy(total, failed=total.withheld, why=total.why)
        areas, conversions, allocations = self.plant.over(since, until)
        if not areas:
            return MonthEnergy(total)
        carriers: dict[str, Carrier] = {}
        for part in total.parts:
            so_far = carriers.get(part.carrier, Carrier(Fraction(0), Fraction(0)))
            carriers[part.carrier] = Carrier(
                so_far.energy + part.energy, so_far.quantity + part.quantity
            )
        made, unread = self._made(conversions, since, until)
        rules = {a.key: a for a in allocations}
        month = _Month(self, since, until, {m.medium for m in made} | carriers.keys())
        uses = [month.use(area, rules.get(area.key)) for area in areas]
        unread += [u.code for u in uses if u.kind == "conversion" and u.missing]
        if unread:
            why = f"of {', '.join(sorted(set(unread)))} not everything was read"
            return _unshared(total, carriers, WithheldCode.ENERGY_MISSING, why)
        try:
            found = share_out(carriers, uses, made)
        except ConversionCycleError as error:
            return _unshared(total, carriers, WithheldCode.CONVERSION_CYCLE, str(error))
        for row in found.rows:
            if row.part == "product" and row.missing:
                month.withheld.setdefault(row.code, WithheldCode.ENERGY_MISSING)
        rows = [
            replace(row, part="unallocated")
            if row.part == "product" and row.code in month.withheld
            else row
            for row in found.rows
        ]
        used = [rules[a.key].rule for a in areas if a.key in rules]
        return MonthEnergy(
            total, rows, found.factors, month.withheld, month.trust, sorted(set(used)),
            found.overdrawn,
        )  # fmt: skip

    def _made(
        self, conversions: Sequence[Conversion], since: dt.datetime, until: dt.datetime
    ) -> tuple[list[Made], list[str]]:
        """Return what conversions put out, and areas of which it was not read."""
        amounts: dict[str, dict[str, Fraction]] = defaultdict(dict)
        unread: list[str] = []
        for made in conversions:
            parts = [self.measured(code, sign, since, until) for code, sign in made.points]
            known = [p.amount for p in parts if p.amount is not None]
            if len(known) < len(parts):
                unread.append(made.area)
            amounts[made.area][made.medium] = sum(known, Fraction(0))
        given = {(c.area, c.medium): c.share for c in conversions}
        found = []
        for area, outputs in amounts.items():
            contents = {
                m: max(Fraction(0), q) * _CONTENT_GJ.get(m, Fraction(0)) for m, q in outputs.items()
            }
            by_content = input_shares(contents)
            for medium, quantity in outputs.items():
                share = given[area, medium]
                found.append(
                    Made(area, medium, quantity, by_content[medium] if share is None else share)
                )
        return found, unread

    def measured(self, code: str, sign: int, since: dt.datetime, until: dt.datetime) -> PartSum:
        """Return what a point measured in a window; not known if it is not accepted."""
        parts = [p.signed(sign) for p in self.metered.get(code, ())]
        return sum_parts(parts, self.intervals, since, until)


@dataclass(slots=True)
class _Month:
    """Gathers what areas took in one month, and how far it can be trusted."""

    accounts: ProductAccounts
    since: dt.datetime
    until: dt.datetime
    media: set[str]
    withheld: dict[str, WithheldCode] = field(default_factory=dict)
    trust: dict[str, Trust] = field(default_factory=dict)

    def use(self, area: Area, rule: Allocation | None) -> AreaUse:
        """Return what an area took, with the weights of the products that share it."""
        accounts, codes = self.accounts, self.accounts.plant.products
        quantities: dict[str, Fraction] = defaultdict(Fraction)
        missing, trust = False, Trust()
        for code, sign in area.points:
            points = accounts.metered.get(code, ())
            if points and points[0].medium not in self.media:
                continue  # the scheme does not count it, and nobody makes it here
            part = accounts.measured(code, sign, self.since, self.until)
            if part.amount is None:
                missing = True
                continue
            trust = trust.and_of(Trust(part.estimated_share, part.coverage))
            quantities[points[0].medium] += part.amount
        own = codes[area.products[0]] if len(area.products) == 1 and rule is None else None
        keys: dict[str, Fraction] = {}
        if rule is not None:
            keys = self._keys(rule)
        for product in [own] if own is not None else keys:
            self.trust[product] = self.trust.get(product, Trust()).and_of(trust)
        self.trust[area.key] = trust
        return AreaUse(area.key, area.kind, quantities, area.media, keys, own, missing)

    def _keys(self, rule: Allocation) -> dict[str, Fraction]:
        """Weigh products by the rule; if one weight is not known, none is."""
        codes = self.accounts.plant.products
        weights = [self._weight(rule, i) for i in range(len(rule.products))]
        names = [codes[p] for p in rule.products]
        if any(w is None for w in weights):
            code = (
                WithheldCode.ENERGY_MISSING
                if rule.method == "metered"
                else WithheldCode.OUTPUT_MISSING
            )
            self.withheld |= dict.fromkeys(names, code)
            return dict.fromkeys(names, Fraction(0))
        return {n: w for n, w in zip(names, weights, strict=True) if w is not None}

    def _weight(self, rule: Allocation, i: int) -> Fraction | None:
        if rule.method == "metered":
            return self.accounts.measured(rule.points[i], 1, self.since, self.until).amount
        output = self.accounts.plant.outputs[rule.products[i], rule.stage]
        if rule.method in ("output", "equivalents"):
            made = product_total(output, self.accounts.intervals, self.since, self.until).exact
            return None if made is None else made * rule.coefficients[i]
        return _hours(output, self.since, self.until) if rule.method == "hours" else _batches(
            output, self.since, self.until
        )  # fmt: skip


def _hours(output: ProductOutput, since: dt.datetime, until: dt.datetime) -> Fraction | None:
    """Return how long entries of a product lasted [h]; those of lines side by side add up."""
    step = dt.timedelta(microseconds=1)
    spans = [
        (max(since, e.since), min(until, e.until))
        for e in output.entries
        if e.since < until and since < e.until
    ]
    if not spans:
        return None
    return sum((Fraction((b - a) // step, 3_600_000_000) for a, b in spans), Fraction(0))


def _batches(output: ProductOutput, since: dt.datetime, until: dt.datetime) -> Fraction | None:
    """Return how many lots of a product were begun; entries without a lot are one each."""
    begun = [e for e in output.entries if since <= e.since < until]
    if not begun:
        return None
    lots = {e.lot for e in begun if e.lot}
    return Fraction(len(lots) + sum(not e.lot for e in begun))


def _unshared(
    total: SchemeEnergy, carriers: Mapping[str, Carrier], code: WithheldCode, why: str
) -> MonthEnergy:
    rows = [EnergyRow("unmetered", m, c.energy) for m, c in sorted(carriers.items())]
    return MonthEnergy(total, rows, failed=code, why=why)


def product_total_energy(
    accounts: ProductAccounts,
    scheme: Scheme,
    product: str,
    months: Sequence[tuple[dt.datetime, dt.datetime]],
) -> EnergyTotal:
    """Add up what a product was given over whole months.

    Parameters
    ----------
    accounts
        Of the site.
    scheme
        What counts.
    product
        Its code.
    months
        In order; the last one may be cut.

    Returns
    -------
    EnergyTotal
        Withheld if one month is.
    """
    energy, trust = Fraction(0), Trust()
    synthetic, verified = False, True
    received = expected = 0.0
    for since, until in months:
        month = accounts.month(scheme, since, until)
        row = next((r for r in month.rows if r.part == "product" and r.code == product), None)
        if row is None:
            code = month.failed or month.withheld.get(product) or WithheldCode.ENERGY_MISSING
            return EnergyTotal(None, None, 0.0, 0.0, None, False, True, None, code)
        energy += row.energy
        trust = trust.and_of(month.trust.get(product, Trust()))
        parts = month.total.parts
        synthetic |= any(p.synthetic for p in parts)
        verified &= all(p.verified for p in parts)
        received, expected = received + month.total.received, expected + month.total.expected
    return EnergyTotal(
        float(energy),
        float(energy / 1000) if scheme.energy_unit == "kgce" else None,
        trust.estimated_share,
        trust.coverage,
        min(1.0, received / expected) if expected > 0 else None,
        synthetic,
        verified,
        None,
        None,
    )
