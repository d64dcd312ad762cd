"""One EnPI over its periods: energy, output, intensity and the verdict.

Rules F4, F6-F9, F12, F25 and F37. A single day has an intensity, but is not judged.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from analytics.accounting.product_output import OutputTotal, output_total
from analytics.accounting.scheme_energy import EnergyTotal, total
from analytics.accounting.site_calendar import Period, midnight
from analytics.accounting.site_facts import Enpi, SiteFacts
from analytics.accounting.withheld import WithheldCode
from analytics.enpis.targets import (
    Status,
    Verdict,
    annual_rate_of,
    judge,
    within_uncertainty,
)
from analytics.intervals.sums import SeriesIntervals

__all__ = ["EnpiFigure", "EnpiYears"]


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


@dataclass(slots=True)
class EnpiYears:
    """An EnPI of a site, asked period by period; base periods are computed once."""

    facts: SiteFacts
    enpi: Enpi
    intervals: Callable[[int], SeriesIntervals | None]
    _known: dict[Period, tuple[EnergyTotal, OutputTotal]] = field(default_factory=dict)

    @property
    def metered(self) -> bool:
        """Whether a meter stands behind it, so that single days have a figure."""
        return any(p.medium in self.enpi.scheme.media for p in self.facts.points)

    def base_period(self, period: Period) -> Period | None:
        """Return the same part of the base year; None before it, for days, or without a target."""
        target = self.enpi.target
        if target is None or period.kind == "day":
            return None
        years = target.years_after_base(period.first)
        return None if years < 0 else period.moved(-years)

    def figure(self, period: Period) -> EnpiFigure:
        """Compute and judge one period."""
        energy, output = self._totals(period)
        withheld = self._withheld(energy, output)
        if withheld is not None:
            return EnpiFigure(
                period, energy, output, None, None, Verdict(Status.WITHHELD), withheld, None
            )
        intensity = self._intensity(energy, output)
        assert intensity is not None  # nothing is withheld
        base = self._base_intensity(period)
        verdict = self._verdict(period, intensity, base)
        uncertain = (
            None
            if verdict.target_intensity is None
            else within_uncertainty(
                intensity, verdict.target_intensity, energy.relative_uncertainty
            )
        )
        return EnpiFigure(period, energy, output, intensity, base, verdict, None, uncertain)

    def _totals(self, period: Period) -> tuple[EnergyTotal, OutputTotal]:
        known = self._known.get(period)
        if known is None:
            since, until = self._instants(period)
            known = self._known[period] = (
                total(
                    self.enpi.scheme, self.facts.points, self.facts.ledger, self.intervals, since,
                    until,
                ),
                output_total(self.enpi.output, since, until),
            )  # fmt: skip
        return known

    def _instants(self, period: Period) -> tuple[dt.datetime, dt.datetime]:
        return midnight(period.first, self.facts.zone), midnight(period.after, self.facts.zone)

    def _withheld(self, energy: EnergyTotal, output: OutputTotal) -> WithheldCode | None:
        limit = self.enpi.coverage_limit
        if energy.withheld is not None:
            return energy.withheld
        if energy.coverage < limit:
            return WithheldCode.COVERAGE_LOW
        if output.quantity is None:
            return WithheldCode.OUTPUT_MISSING
        if output.coverage < limit:
            return WithheldCode.OUTPUT_COVERAGE_LOW
        return WithheldCode.OUTPUT_ZERO if output.quantity == 0 else None

    @staticmethod
    def _intensity(energy: EnergyTotal, output: OutputTotal) -> float | None:
        if energy.energy is None or not output.quantity:
            return None
        return energy.energy / output.quantity

    def _base_intensity(self, period: Period) -> float | None:
        """Return the intensity of the same months of the base year, if that is good enough."""
        base = self.base_period(period)
        if base is None:
            return None
        energy, output = self._totals(base)
        if self._withheld(energy, output) is not None:
            return None
        return self._intensity(energy, output)

    def _verdict(self, period: Period, intensity: float, base: float | None) -> Verdict:
        target = self.enpi.target
        if target is None:
            return Verdict(Status.NO_TARGET)
        years = target.years_after_base(period.first)
        if years < 0 or period.first >= target.end_to:
            return Verdict(Status.NO_TARGET)
        if years == 0:
            return Verdict(Status.BASE)
        if period.kind == "day":
            return Verdict(Status.NO_TARGET)
        rate = self._annual_rate()
        return judge(
            intensity, base if rate is not None else None, rate or 0.0, years, target.total_years
        )

    def _annual_rate(self) -> float | None:
        target = self.enpi.target
        assert target is not None  # asked only where there is one
        if target.annual_rate is not None:
            return target.annual_rate
        whole_base = Period(target.base_from, target.base_to, "year_to_date")
        base = self._base_intensity(whole_base)
        if base is None or target.end_value is None:
            return None
        return annual_rate_of(base, target.end_value, target.total_years)
