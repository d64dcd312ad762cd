"""One EnPI over its periods: energy, output, intensity and the verdict.

Rules F4, F6-F12, F18, F25 and F37. Days, shifts and weeks have an intensity, but are not judged.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final

from analytics.accounting.energy_parts import EnergyTotal
from analytics.accounting.enpi_facts import Enpi, Target
from analytics.accounting.product_energy import ProductAccounts, product_total_energy
from analytics.accounting.product_output import OutputTotal, product_total
from analytics.accounting.scheme_energy import total
from analytics.accounting.site_calendar import JUDGED_KINDS, Period, month_after
from analytics.accounting.site_facts import SiteFacts
from analytics.accounting.value_added import value_added_total
from analytics.accounting.withheld import WithheldCode
from analytics.enpis.change import Change, split_change
from analytics.enpis.closed_months import ClosedMonth
from analytics.enpis.targets import (
    Status,
    Verdict,
    annual_rate_of,
    judge,
    within_uncertainty,
)
from analytics.intervals.sums import SummedSeries

__all__ = ["EnpiFigure", "EnpiYears", "annual_rate", "judged_jointly", "years_of"]

# Of a month's energy that may have gone into days without an entry of output (F25).
_UNMATCHED_LIMIT: Final = 0.10
_DAY: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class EnpiFigure:
    """What an EnPI says of a period; see the table ``enpi_period``."""

    period: Period
    energy: EnergyTotal
    output: OutputTotal
    intensity: float | None
    base_intensity: float | None
    verdict: Verdict
    withheld: WithheldCode | None
    within_uncertainty: bool | None
    matched_share: float | None = None
    previous_intensity: float | None = None
    original: Verdict | None = None
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class _Totals:
    """Energy and output of a period, of its matched days alone where output is missing."""

    energy: EnergyTotal
    output: OutputTotal
    products: tuple[OutputTotal, ...]
    matched_share: float | None
    withheld: WithheldCode | None

    @property
    def intensity(self) -> float | None:
        if self.withheld is not None or self.energy.energy is None or not self.output.quantity:
            return None
        return self.energy.energy / self.output.quantity


@dataclass(slots=True)
class EnpiYears:
    """An EnPI of a site, asked period by period; base periods are computed once.

    A month is what is known of it now. What holds months, and what is compared with one, takes
    closed ones as they were signed (F13, F18).
    """

    facts: SiteFacts
    enpi: Enpi
    intervals: Callable[[int], SummedSeries | None]
    closed: Mapping[tuple[int, dt.date], ClosedMonth] = field(default_factory=dict)
    _known: dict[Period, _Totals] = field(default_factory=dict)
    _accounts: ProductAccounts | None = None

    @property
    def metered(self) -> bool:
        """Whether a meter stands behind it, so that single days have a figure."""
        if self.enpi.allocated:
            return False  # a rule holds for whole months
        if self.enpi.points is not None:
            return bool(self.enpi.points)
        return any(p.medium in self.enpi.scheme.media for p in self.facts.points)

    def base_period(self, period: Period) -> Period | None:
        """Return what a period is held against in the base year.

        Returns
        -------
        Period or None
            The same part of it, the whole of it for rolling twelve months; None before it, for what
            is not judged, or without a target.
        """
        target = self.enpi.target
        if target is None or period.kind not in JUDGED_KINDS:
            return None
        if period.kind == "rolling_12":
            return Period(target.base_from, target.base_to, "rolling_12")
        years = target.years_after_base(period.first)
        return None if years < 0 else period.moved(-years)

    def figure(self, period: Period) -> EnpiFigure:
        """Compute and judge one period."""
        totals = self._totals(period)
        intensity = totals.intensity
        if totals.withheld is not None or intensity is None:
            return EnpiFigure(
                period, totals.energy, totals.output, None, None, Verdict(Status.WITHHELD),
                totals.withheld or WithheldCode.OUTPUT_ZERO, None,
            )  # fmt: skip
        base = self._base_intensity(period)
        factor = self._adjustment(period)
        adjusted = None if base is None else base * factor
        verdict = self._verdict(period, intensity, adjusted)
        uncertain = (
            None
            if verdict.target_intensity is None
            else within_uncertainty(
                intensity, verdict.target_intensity, totals.energy.relative_uncertainty
            )
        )
        return EnpiFigure(
            period, totals.energy, totals.output, intensity, adjusted, verdict, None, uncertain,
            totals.matched_share,
            self._signed(period.moved(-1)).intensity if period.kind in JUDGED_KINDS else None,
            self._verdict(period, intensity, base) if factor != 1.0 else None,
            self._change(period, totals),
        )  # fmt: skip

    def _totals(self, period: Period) -> _Totals:
        known = self._known.get(period)
        if known is None:
            known = self._known[period] = self._compute(period)
        return known

    def _compute(self, period: Period) -> _Totals:
        since, until = self.enpi.calendar.span(period)
        energy = self._allocated(period) if self.enpi.allocated else self._energy(since, until)
        products = tuple(product_total(p, self.intervals, since, until) for p in self.enpi.products)
        output = self._output(period, products)
        withheld = self._withheld(energy, output, products)
        if withheld is WithheldCode.OUTPUT_COVERAGE_LOW:
            matched = self._matched_days(period, energy, products)
            if matched is not None:
                return matched
        return self._with_signed_months(period, _Totals(energy, output, products, None, withheld))

    def _signed(self, period: Period) -> _Totals:
        """Return what was signed of a period if it is a closed month, else what is known now."""
        totals = self._totals(period)
        closed = self.closed.get((self.enpi.enpi_id, period.first))
        if period.kind != "month" or closed is None:
            return totals
        if period.after != month_after(period.first, self.enpi.calendar.month_day):
            return totals
        if totals.intensity is None or totals.energy.energy is None:
            return _as_signed(totals, [closed])
        return _moved(
            totals,
            closed.energy - totals.energy.energy,
            (closed.energy_tce or 0.0) - (totals.energy.energy_tce or 0.0),
            closed.output - (totals.output.quantity or 0.0),
        )

    def _with_signed_months(self, period: Period, totals: _Totals) -> _Totals:
        """Let a longer period hold its closed months as they were signed."""
        if period.kind not in JUDGED_KINDS or period.kind == "month" or not self.closed:
            return totals
        months = list(self.enpi.calendar.months(period.first, period.after))
        signed_months = [self.closed.get((self.enpi.enpi_id, m.first)) for m in months]
        whole = months[-1].after == period.after
        if totals.intensity is None and whole and None not in signed_months:
            # What was signed holds although its data are gone, or are doubted.
            return _as_signed(totals, [m for m in signed_months if m is not None])
        energy = tce = output = 0.0
        for month in self.enpi.calendar.months(period.first, period.after):
            if (self.enpi.enpi_id, month.first) in self.closed and month.after <= period.after:
                raw, signed = self._totals(month), self._signed(month)
                energy += (signed.energy.energy or 0.0) - (raw.energy.energy or 0.0)
                tce += (signed.energy.energy_tce or 0.0) - (raw.energy.energy_tce or 0.0)
                output += (signed.output.quantity or 0.0) - (raw.output.quantity or 0.0)
        return _moved(totals, energy, tce, output) if energy or tce or output else totals

    def _energy(self, since: dt.datetime, until: dt.datetime) -> EnergyTotal:
        own = self.enpi.points
        return total(
            self.enpi.scheme,
            self.facts.counted if own is None else own,
            self.facts.ledger if own is None else (),
            self.intervals,
            since,
            until,
        )

    def _allocated(self, period: Period) -> EnergyTotal:
        if self._accounts is None:
            facts = self.facts
            self._accounts = ProductAccounts(
                facts.areas, facts.metered, facts.counted, facts.ledger, self.intervals
            )
        product = self.facts.areas.products.get(self.enpi.products[0].product_id, "")
        calendar = self.enpi.calendar
        months = [
            calendar.span(m.cut(period.after)) for m in calendar.months(period.first, period.after)
        ]
        return product_total_energy(self._accounts, self.enpi.scheme, product, months)

    def _output(self, period: Period, products: tuple[OutputTotal, ...]) -> OutputTotal:
        enpi = self.enpi
        if enpi.value_added is not None:
            found = value_added_total(enpi.value_added, period.first, period.after, enpi.price_year)
            if found.value is None:
                return OutputTotal(None, 0.0, synthetic=False)
            return OutputTotal(float(found.value), 1.0, found.synthetic, (), found.value)
        known = [
            (o, p.weight)
            for o, p in zip(products, enpi.products, strict=True)
            if o.exact is not None and p.weight is not None
        ]
        if not known:
            return OutputTotal(None, 0.0, synthetic=False)
        exact = sum((o.exact * w for o, w in known if o.exact is not None), Fraction(0))
        return OutputTotal(
            float(exact),
            min((o.coverage for o, p in zip(products, enpi.products, strict=True) if p.weight)),
            any(o.synthetic for o, _ in known),
            tuple(span for o, _ in known for span in o.missing),
            exact,
        )

    def _withheld(
        self, energy: EnergyTotal, output: OutputTotal, products: tuple[OutputTotal, ...]
    ) -> WithheldCode | None:
        limit = self.enpi.coverage_limit
        if self.enpi.not_accepted:
            return WithheldCode.POINT_NOT_ACCEPTED
        if energy.withheld is not None:
            return energy.withheld
        if energy.coverage < limit:
            return WithheldCode.COVERAGE_LOW
        if any(
            o.exact and p.weight is None for o, p in zip(products, self.enpi.products, strict=True)
        ):
            return WithheldCode.PRODUCT_WITHOUT_BASE
        value_added = self.enpi.value_added is not None
        if output.quantity is None:
            return WithheldCode.VALUE_ADDED_MISSING if value_added else WithheldCode.OUTPUT_MISSING
        if value_added and output.quantity <= 0:
            return WithheldCode.VALUE_ADDED_NOT_POSITIVE
        if output.coverage < limit:
            return WithheldCode.OUTPUT_COVERAGE_LOW
        return WithheldCode.OUTPUT_ZERO if output.quantity == 0 else None

    def _matched_days(
        self, period: Period, whole: EnergyTotal, products: tuple[OutputTotal, ...]
    ) -> _Totals | None:
        """Take the days with entries alone, if they used at least 90 % of the energy (F25)."""
        media = {p.medium for p in (self.enpi.points or self.facts.points)}
        if (
            period.kind not in JUDGED_KINDS
            or self.enpi.allocated
            or whole.energy is None
            or whole.energy <= 0
            or (self.enpi.points is None and not self.enpi.scheme.media <= media)
        ):
            return None
        runs = list(self._runs(period, products))
        parts = [self._energy(*run) for run in runs]
        if not parts or any(p.energy is None for p in parts):
            return None
        energy = sum(p.energy for p in parts if p.energy is not None)
        share = energy / whole.energy
        if not 1.0 - _UNMATCHED_LIMIT <= share <= 1.0:
            return None
        made = tuple(
            _added([product_total(p, self.intervals, *run) for run in runs])
            for p in self.enpi.products
        )
        output = self._output(period, made)
        # Days cannot be matched with what a counter of a PLC did not see.
        if not output.quantity or output.coverage < self.enpi.coverage_limit:
            return None
        matched = replace(
            whole,
            energy=energy,
            energy_tce=None if whole.energy_tce is None else whole.energy_tce * share,
            coverage=min(p.coverage for p in parts),
        )
        return _Totals(matched, output, made, share, None)

    def _runs(
        self, period: Period, products: tuple[OutputTotal, ...]
    ) -> Iterator[tuple[dt.datetime, dt.datetime]]:
        """Yield runs of days of which every product has its entries."""
        missing = [span for o in products for span in o.missing]
        calendar = self.enpi.calendar
        since: dt.datetime | None = None
        day = period.first
        while day < period.after:
            low, high = calendar.begins(day), calendar.begins(day + _DAY)
            whole = not any(a < high and low < b for a, b in missing)
            if whole and since is None:
                since = low
            if not whole and since is not None:
                yield since, low
                since = None
            day += _DAY
        if since is not None:
            yield since, calendar.begins(period.after)

    def _base_intensity(self, period: Period) -> float | None:
        """Return the intensity of the same months of the base year, if that is good enough."""
        base = self.base_period(period)
        return None if base is None else self._signed(base).intensity

    def _adjustment(self, period: Period) -> float:
        factor = 1.0
        at = self.enpi.calendar.begins(period.first)
        for adjustment in self.enpi.adjustments:
            if adjustment.counts(at):
                factor *= adjustment.factor
        return factor

    def _verdict(self, period: Period, intensity: float, base: float | None) -> Verdict:
        target = self.enpi.target
        if target is None or period.kind not in JUDGED_KINDS or self.enpi.kind == "mixed":
            return self._unjudged(period)
        years = years_of(target, period.kind, period.first, period.after)
        if years is None or years <= 0:
            return self._unjudged(period)
        if judged_jointly(self.enpi, period.kind, period.first, period.after):
            return Verdict(Status.JOINT)
        rate = self._annual_rate()
        return judge(
            intensity, base if rate is not None else None, rate or 0.0, years, target.total_years,
            slow_from=target.slow_from, on_track_from=target.on_track_from,
        )  # fmt: skip

    def _unjudged(self, period: Period) -> Verdict:
        target = self.enpi.target
        in_base = target is not None and target.years_after_base(period.first) == 0
        return Verdict(Status.BASE if in_base else Status.NO_TARGET)

    def _annual_rate(self) -> float | None:
        target = self.enpi.target
        assert target is not None  # asked only where there is one
        if target.annual_rate is not None:
            return target.annual_rate
        whole = Period(target.base_from, target.base_to, "rolling_12")
        return annual_rate(target, self._signed(whole).intensity)

    def _change(self, period: Period, totals: _Totals) -> Change | None:
        base = self.base_period(period)
        if base is None or period.kind == "rolling_12" or not self.enpi.products:
            return None
        before = self._signed(base)
        outputs = [o.exact for o in (*before.products, *totals.products)]
        weights = [p.weight for p in self.enpi.products]
        if (
            before.withheld is not None
            or before.energy.energy is None
            or totals.energy.energy is None
            or any(o is None for o in outputs)
            or any(w is None for w in weights)
        ):
            return None
        known = [o for o in outputs if o is not None]
        half = len(known) // 2
        return split_change(
            Fraction(before.energy.energy),
            Fraction(totals.energy.energy),
            known[:half],
            known[half:],
            [w for w in weights if w is not None],
            one_unit=len({p.unit for p in self.enpi.products}) == 1,
        )


def _as_signed(totals: _Totals, months: Sequence[ClosedMonth]) -> _Totals:
    """Return totals with nothing but signed months in them."""
    tce = [m.energy_tce for m in months if m.energy_tce is not None]
    made = sum((Fraction(m.output) for m in months), Fraction(0))
    one = len(totals.products) == 1
    return replace(
        totals,
        products=tuple(replace(p, exact=made if one else None) for p in totals.products),
        energy=replace(
            totals.energy,
            energy=sum(m.energy for m in months),
            energy_tce=sum(tce) if len(tce) == len(months) else None,
            withheld=None,
        ),
        output=replace(totals.output, quantity=float(made)),
        withheld=None,
    )


def _moved(totals: _Totals, energy: float, tce: float, output: float) -> _Totals:
    """Return totals with signed months in place of what is known of them now."""
    if totals.energy.energy is None or totals.output.quantity is None:
        return totals
    held = totals.energy
    # What was signed is a sum: of several products nobody can say which of them it would move.
    products = (
        (replace(totals.products[0], exact=(totals.products[0].exact or 0) + Fraction(output)),)
        if len(totals.products) == 1
        else tuple(replace(p, exact=None) for p in totals.products)
    )
    return replace(
        totals,
        products=products if output else totals.products,
        energy=replace(
            held,
            energy=totals.energy.energy + energy,
            energy_tce=None if held.energy_tce is None else held.energy_tce + tce,
        ),
        output=replace(totals.output, quantity=totals.output.quantity + output),
    )


def _added(parts: list[OutputTotal]) -> OutputTotal:
    known = [p.exact for p in parts if p.exact is not None]
    if len(known) < len(parts):
        return OutputTotal(None, 0.0, synthetic=False)
    exact = sum(known, Fraction(0))
    coverage = min((p.coverage for p in parts), default=0.0)
    return OutputTotal(float(exact), coverage, any(p.synthetic for p in parts), (), exact)


def annual_rate(target: Target, base_intensity: float | None) -> float | None:
    """Return the decline a year that a target asks for.

    Parameters
    ----------
    target
        With a rate, or with an end value.
    base_intensity
        Of the whole base year [energy per output]; None if it cannot be given.

    Returns
    -------
    float or None
        0.04 for 4 %; None if an end value has no base, or one that no rate leads away from (F9).
    """
    if target.annual_rate is not None:
        return target.annual_rate
    if base_intensity is None or base_intensity <= 0 or target.end_value is None:
        return None
    return annual_rate_of(base_intensity, target.end_value, target.total_years)


def judged_jointly(enpi: Enpi, kind: str, first: dt.date, after: dt.date) -> bool:
    """Say whether a period is January or February alone of a target with a light (F8).

    Parameters
    ----------
    enpi
        With its target.
    kind, first, after
        Of the period, local dates [first, after).

    Returns
    -------
    bool
        The year up to the end of January is January alone.
    """
    calendar = enpi.calendar
    return (
        enpi.target is not None
        and enpi.target.target_class != "internal"
        and kind != "rolling_12"
        and after <= month_after(first, calendar.month_day)
        and calendar.month_number(first) <= 2
    )


def years_of(target: Target, kind: str, first: dt.date, after: dt.date) -> float | None:
    """Return the years from the base to a period: k of (1 - r)^k (F8).

    Parameters
    ----------
    target
        Gives base and end.
    kind, first, after
        Of the period, local dates [first, after).

    Returns
    -------
    float or None
        Whole years, twelfths for rolling twelve months [years]; 0 for the base itself; None before
        the base and after the target's end.
    """
    if kind == "rolling_12":
        months = (after.year - target.base_to.year) * 12 + after.month - target.base_to.month
        ends = after > target.end_to
        return None if months < 0 or ends else months / 12
    years = target.years_after_base(first)
    return None if years < 0 or first >= target.end_to else years
