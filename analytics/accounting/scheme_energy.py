"""Energy of an accounting scheme over a window: boundary meters, and the ledger beside them.

A point counts while its dated record says that it is an accepted boundary or generation point
(F2, F24, F30). A medium without such a point is taken from the energy ledger (F5). Metered and
invoiced amounts of one medium are never added (F15).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from analytics.accounting.standard_coal import FactorSet
from analytics.accounting.withheld import WithheldCode
from analytics.errors import FactorError, FactorUnitError
from analytics.intervals.sums import SummedSeries
from enpilot.fuel_stock import StockPeriod, overlap_share, stock_periods
from enpilot.quantities import QUANTITIES, energy_quantity

__all__ = [
    "EnergyTotal",
    "LedgerEntry",
    "MeteredPoint",
    "Scheme",
    "covered_share",
    "total",
]

_INFLOWS: Final = frozenset({"opening", "purchase", "own_production", "transfer_in"})
# A loss was consumed; what left the works or entered a product was not.
_OUTFLOWS: Final = frozenset({"closing", "transfer_out", "sale", "non_industrial"})
_KJ_PER_KGCE: Final = Fraction("29307.6")  # GB/T 2589


@dataclass(frozen=True, slots=True)
class Scheme:
    """What counts as energy. ``factors`` is None where a medium's own unit is kept."""

    media: frozenset[str]
    energy_unit: str
    factors: FactorSet | None
    own_renewables_counted: bool
    feedstock_deducted: bool


@dataclass(frozen=True, slots=True)
class MeteredPoint:
    """A counter of a point while the point's record lets it count.

    ``sign`` is -1 for export, or what a formula multiplies it by; ``relative_uncertainty`` comes
    from the device's accuracy class; ``boundary`` says whether the plant's total counts it.
    """

    series_id: int
    medium: str
    unit: str
    sign: int | Fraction
    generation: bool
    valid_from: dt.datetime
    valid_to: dt.datetime | None
    relative_uncertainty: float | None
    boundary: bool = True
    code: str = ""

    def signed(self, sign: int | Fraction) -> MeteredPoint:
        """Return it as a part that is added or, with -1, subtracted; it counts in any scheme."""
        return replace(self, sign=self.sign * sign, generation=False)


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One line of the energy ledger."""

    medium: str
    kind: str
    quantity: Fraction
    unit: str
    since: dt.datetime
    until: dt.datetime
    synthetic: bool
    calorific_value_kj_per_kg: Fraction | None = None  # measured, net, as received


@dataclass(frozen=True, slots=True)
class EnergyTotal:
    """Energy of a scheme in a window, and how far it can be trusted.

    ``energy`` is in the scheme's unit; None if ``withheld`` says why. ``relative_uncertainty`` is
    None if some meter's class is not known.
    """

    energy: float | None
    energy_tce: float | None
    estimated_share: float
    coverage: float
    reporting_completeness: float | None
    synthetic: bool
    factor_verified: bool
    relative_uncertainty: float | None
    withheld: WithheldCode | None


@dataclass(slots=True)
class _Part:
    energy: Fraction
    estimated_share: float
    coverage: float
    verified: bool
    relative_uncertainty: float | None


def total(
    scheme: Scheme,
    points: Sequence[MeteredPoint],
    ledger: Sequence[LedgerEntry],
    intervals: Callable[[int], SummedSeries | None],
    since: dt.datetime,
    until: dt.datetime,
) -> EnergyTotal:
    """Add up what a scheme counts in [since, until).

    Parameters
    ----------
    scheme, points, ledger
        Of one site.
    intervals
        Gives the intervals of a series; they must reach over the window.
    since, until
        Ends on the 15-minute grid.

    Returns
    -------
    EnergyTotal
        In the scheme's unit [kgce, or the medium's own], or withheld with the reason.

    Notes
    -----
    F5, F6, F15, F24; GB/T 2589.
    """
    parts: list[_Part] = []
    received = expected = 0.0
    synthetic = False
    counted = [p for p in points if _counts(scheme, p, since, until)]
    try:
        for point in counted:
            low = max(since, point.valid_from)
            high = until if point.valid_to is None else min(until, point.valid_to)
            rows = intervals(point.series_id)
            summed = None if rows is None else rows.over(low, high)
            if summed is None or summed.amount is None:
                return _withheld(WithheldCode.ENERGY_MISSING)
            factor, verified = _conversion(scheme, point.medium, point.unit, low)
            received += summed.received
            expected += summed.expected
            synthetic |= summed.simulated
            parts.append(
                _Part(
                    point.sign * summed.amount * factor,
                    summed.estimated_share,
                    summed.coverage,
                    verified,
                    point.relative_uncertainty,
                )
            )
        for medium in sorted(scheme.media - {p.medium for p in counted}):
            entries = [e for e in ledger if e.medium == medium]
            part = _from_ledger(scheme, entries, since, until)
            if part is not None:
                parts.append(part)
                synthetic |= any(e.synthetic for e in entries if overlap_share(e, since, until) > 0)
    except FactorError:
        return _withheld(WithheldCode.FACTOR_MISSING)
    if not parts:
        return _withheld(WithheldCode.ENERGY_MISSING)
    energy = sum((p.energy for p in parts), Fraction(0))
    return EnergyTotal(
        float(energy),
        float(energy / 1000) if scheme.energy_unit == "kgce" else None,
        _weighted(parts, [p.estimated_share for p in parts]),
        _weighted(parts, [p.coverage for p in parts]),
        min(1.0, received / expected) if expected > 0 else None,
        synthetic,
        all(p.verified for p in parts),
        _combined_uncertainty(parts, float(energy)),
        None,
    )


def _counts(scheme: Scheme, point: MeteredPoint, since: dt.datetime, until: dt.datetime) -> bool:
    held = point.valid_from < until and (point.valid_to is None or since < point.valid_to)
    wanted = not point.generation or scheme.own_renewables_counted
    return held and wanted and point.medium in scheme.media


def _conversion(scheme: Scheme, medium: str, unit: str, at: dt.datetime) -> tuple[Fraction, bool]:
    if scheme.factors is None:
        return _in_unit(medium, unit, scheme.energy_unit), True
    factor = scheme.factors.factor(medium, unit, at)
    return factor.value * _in_unit(medium, unit, factor.per_unit), factor.verified


def _in_unit(medium: str, unit: str, other: str) -> Fraction:
    """Return how many of another unit are in one; a unit that is not the medium's counts as is."""
    if unit == other:
        return Fraction(1)
    units = QUANTITIES[energy_quantity(medium)].units
    if unit not in units or other not in units:
        raise FactorUnitError(f"{medium} is not measured in {unit}, or not in {other}")
    return units[unit] / units[other]


def _entry_conversion(scheme: Scheme, entry: LedgerEntry, at: dt.datetime) -> tuple[Fraction, bool]:
    """Convert by the measured calorific value where there is one, else by the table's."""
    calorific = entry.calorific_value_kj_per_kg
    if calorific is None or scheme.factors is None or scheme.energy_unit != "kgce":
        return _conversion(scheme, entry.medium, entry.unit, at)
    return calorific * _in_unit(entry.medium, entry.unit, "kg") / _KJ_PER_KGCE, True


def _from_ledger(
    scheme: Scheme,
    entries: Sequence[LedgerEntry],
    since: dt.datetime,
    until: dt.datetime,
) -> _Part | None:
    """Book what stock-takes bracket as a whole, and a movement without stock by its own span.

    Of a span across an end of the window its share of the time is booked, which is a guess.
    """
    periods, loose = stock_periods(entries)
    booked = _Booked(since, until)
    for period in (*periods, *loose):
        booked.add(scheme, period)
    if not booked.spans:
        return None
    guessed_share = (
        float(min(Fraction(1), booked.guessed / abs(booked.energy))) if booked.energy else 0.0
    )
    covered = covered_share(booked.spans, since, until)
    return _Part(
        booked.energy, guessed_share, covered * (1.0 - guessed_share), booked.verified, None
    )


class _Booked:
    """Sum of what a window holds of some spans."""

    def __init__(self, since: dt.datetime, until: dt.datetime) -> None:
        self._since, self._until = since, until
        self.energy = self.guessed = Fraction(0)
        self.spans: list[tuple[dt.datetime, dt.datetime]] = []
        self.verified = True

    def add(self, scheme: Scheme, period: StockPeriod[LedgerEntry]) -> None:
        """Add the share that the window has of a period."""
        low, high = max(self._since, period.since), min(self._until, period.until)
        counted = [(part, sign) for part in period.parts if (sign := _sign(scheme, part.kind))]
        if low >= high or not counted:
            return
        amount = Fraction(0)
        for part, sign in counted:
            factor, sure = _entry_conversion(scheme, part.entry, max(low, part.entry.since))
            amount += sign * part.entry.quantity * part.share * factor
            self.verified &= sure
        step = dt.timedelta(microseconds=1)
        share = Fraction((high - low) // step, (period.until - period.since) // step)
        self.energy += amount * share
        self.guessed += abs(amount * share) if share < 1 else 0
        self.spans.append((low, high))


def _sign(scheme: Scheme, kind: str) -> int:
    if kind in _INFLOWS:
        return 1
    if kind in _OUTFLOWS or (kind == "feedstock" and scheme.feedstock_deducted):
        return -1
    return 0


def covered_share(
    spans: Sequence[tuple[dt.datetime, dt.datetime]], since: dt.datetime, until: dt.datetime
) -> float:
    """Return the share of a window that some spans inside it cover together (F4).

    Parameters
    ----------
    spans
        May overlap each other.
    since, until
        The window.

    Returns
    -------
    float
        0 .. 1.
    """
    covered = dt.timedelta(0)
    reached = since
    for low, high in sorted(spans):
        if high > reached:
            covered += high - max(low, reached)
            reached = high
    return covered / (until - since)


def _weighted(parts: Sequence[_Part], values: Sequence[float]) -> float:
    """Weigh by energy: a share of the total's energy, not of its meters."""
    weights = [abs(float(p.energy)) for p in parts]
    if sum(weights) <= 0:
        return min(values)
    return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)


def _combined_uncertainty(parts: Sequence[_Part], energy: float) -> float | None:
    if energy == 0:
        return None
    squares = 0.0
    for part in parts:
        if part.relative_uncertainty is None:
            return None
        squares += (part.relative_uncertainty * float(part.energy)) ** 2
    return math.sqrt(squares) / abs(energy)


def _withheld(code: WithheldCode) -> EnergyTotal:
    return EnergyTotal(None, None, 0.0, 0.0, None, False, True, None, code)
