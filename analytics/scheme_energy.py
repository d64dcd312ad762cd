"""Energy of an accounting scheme over a window: boundary meters, and the ledger beside them.

A point counts while its dated record says that it is an accepted boundary or generation point
(F2, F24, F30). A medium without such a point is taken from the energy ledger (F5). Metered and
invoiced amounts of one medium are never added (F15).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from analytics.errors import FactorError
from analytics.interval_sums import SeriesIntervals
from analytics.standard_coal import FactorSet
from analytics.targets import WithheldCode

__all__ = [
    "EnergyTotal",
    "LedgerEntry",
    "MeteredPoint",
    "Scheme",
    "covered_share",
    "energy_quantity",
    "total",
]

_INFLOWS: Final = frozenset({"opening", "purchase", "own_production", "transfer_in"})
# A loss was consumed; what left the works or entered a product was not.
_OUTFLOWS: Final = frozenset({"closing", "transfer_out", "sale", "non_industrial"})
_QUANTITIES: Final = {
    "electricity": "active_energy", "heat": "heat", "steam": "mass", "natural_gas": "volume",
    "coke_oven_gas": "volume", "blast_furnace_gas": "volume", "biogas": "volume",
    "fresh_water": "volume", "soft_water": "volume", "deaerated_water": "volume",
    "compressed_air": "volume", "oxygen": "volume", "nitrogen": "volume", "hydrogen": "volume",
    "product": "pieces",
}  # fmt: skip


def energy_quantity(medium: str) -> str:
    """Return the quantity in which a medium's consumption is metered; fuels go by mass."""
    return _QUANTITIES.get(medium, "mass")


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

    ``sign`` is -1 for export; ``relative_uncertainty`` comes from the device's accuracy class.
    """

    series_id: int
    medium: str
    unit: str
    sign: int
    generation: bool
    valid_from: dt.datetime
    valid_to: dt.datetime | None
    relative_uncertainty: float | None


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
    intervals: Callable[[int], SeriesIntervals | None],
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
            part = _from_ledger(scheme, medium, entries, since, until)
            if part is not None:
                parts.append(part)
                synthetic |= any(e.synthetic for e in entries if _overlap(e, since, until) > 0)
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
        return Fraction(1), True
    factor = scheme.factors.factor(medium, unit, at)
    return factor.value, factor.verified


def _from_ledger(
    scheme: Scheme,
    medium: str,
    entries: Sequence[LedgerEntry],
    since: dt.datetime,
    until: dt.datetime,
) -> _Part | None:
    """Book an entry by the share of its span in the window; what straddles an end is a guess."""
    quantity = guessed = Fraction(0)
    spans: list[tuple[dt.datetime, dt.datetime]] = []
    verified = True
    for entry in entries:
        share = _overlap(entry, since, until)
        sign = _sign(scheme, entry.kind)
        if share <= 0 or sign == 0:
            continue
        factor, sure = _conversion(scheme, medium, entry.unit, max(since, entry.since))
        amount = sign * entry.quantity * share * factor
        quantity += amount
        verified &= sure
        guessed += abs(amount) if share < 1 else 0
        spans.append((max(since, entry.since), min(until, entry.until)))
    if not spans:
        return None
    guessed_share = float(min(Fraction(1), guessed / abs(quantity))) if quantity else 0.0
    covered = covered_share(spans, since, until)
    return _Part(quantity, guessed_share, covered * (1.0 - guessed_share), verified, None)


def _sign(scheme: Scheme, kind: str) -> int:
    if kind in _INFLOWS:
        return 1
    if kind in _OUTFLOWS or (kind == "feedstock" and scheme.feedstock_deducted):
        return -1
    return 0


def _overlap(entry: LedgerEntry, since: dt.datetime, until: dt.datetime) -> Fraction:
    inside = min(until, entry.until) - max(since, entry.since)
    step = dt.timedelta(microseconds=1)
    return max(Fraction(0), Fraction(inside // step, (entry.until - entry.since) // step))


def covered_share(
    spans: Sequence[tuple[dt.datetime, dt.datetime]], since: dt.datetime, until: dt.datetime
) -> float:
    """Return the share of [since, until) that the union of some spans inside it covers."""
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
