"""Energy of an accounting scheme over a window: boundary meters, and the ledger beside them.

A point counts while its dated record says that it is an accepted boundary or generation point
(F2, F24, F30). A medium without such a point is taken from the energy ledger (F5). Metered and
invoiced amounts of one medium are never added (F15).
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, Literal, Protocol, TypeAlias

from analytics.accounting.standard_coal import FactorSet
from analytics.accounting.withheld import WithheldCode
from analytics.errors import FactorError, FactorUnitError
from analytics.intervals.sums import SummedSeries, WindowSum
from enpilot.fuel_stock import StockPart, StockPeriod, overlap_share, stock_periods
from enpilot.quantities import QUANTITIES, energy_quantity

__all__ = [
    "EnergyPart",
    "EnergyTotal",
    "LedgerEntry",
    "LedgerShape",
    "MeteredPoint",
    "PartKind",
    "Scheme",
    "SchemeEnergy",
    "covered_share",
    "scheme_energy",
    "total",
]

PartKind: TypeAlias = Literal["import", "export", "own_renewable", "ledger", "excluded"]

_INFLOWS: Final = frozenset({"opening", "purchase", "transfer_in"})
# A loss was consumed; what left the works or entered a product was not.
_OUTFLOWS: Final = frozenset({"closing", "transfer_out", "sale", "non_industrial"})
# Secondary energy and working media: what a works makes of them counts where it came from.
_MADE_INSIDE: Final = frozenset({
    "steam", "heat", "coke_oven_gas", "blast_furnace_gas", "soft_water", "deaerated_water",
    "compressed_air", "oxygen", "nitrogen",
})  # fmt: skip
_KJ_PER_KGCE: Final = Fraction("29307.6")  # GB/T 2589


@dataclass(frozen=True, slots=True)
class Scheme:
    """What counts as energy. ``factors`` is None where a medium's own unit is kept.

    ``excluded_uses`` are left out at the boundary and taken off where they are metered inside.
    """

    media: frozenset[str]
    energy_unit: str
    factors: FactorSet | None
    own_renewables_counted: bool
    feedstock_deducted: bool
    excluded_uses: frozenset[str] = frozenset()
    scheme_id: int = 0
    code: str = ""


@dataclass(frozen=True, slots=True)
class MeteredPoint:
    """A counter of a point while the point's record lets it count.

    ``sign`` is -1 for export, or what a formula multiplies it by; ``relative_uncertainty`` comes
    from the device's accuracy class; ``boundary`` says whether the plant's total counts it, ``use``
    what its energy is for, ``direction_out`` that it leaves the works.
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
    use: str = "production"
    direction_out: bool = False

    def signed(self, sign: int | Fraction) -> MeteredPoint:
        """Return it as a part that is added or, with -1, subtracted; it counts in any scheme."""
        return replace(self, sign=self.sign * sign, generation=False, use="production")


class LedgerShape(Protocol):
    """How what the ledger says of a medium lies inside its span."""

    def weight(self, since: dt.datetime, until: dt.datetime) -> Fraction | None:
        """Return what [since, until) weighs; weights of parts add up; None if it is not known."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One line of the energy ledger; without a shape it lies flat in its span."""

    medium: str
    kind: str
    quantity: Fraction
    unit: str
    since: dt.datetime
    until: dt.datetime
    synthetic: bool
    calorific_value_kj_per_kg: Fraction | None = None  # measured, net, as received
    shape: LedgerShape | None = None


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


@dataclass(frozen=True, slots=True)
class EnergyPart:
    """What one carrier adds to a scheme's total.

    Attributes
    ----------
    carrier
        The medium.
    part
        What was bought, "export", "own_renewable", out of the "ledger", or "excluded" by its use.
    quantity
        As it counts: negative where it is subtracted [unit].
    energy
        [energy unit of the scheme].
    basis
        Of its factor; empty where a medium's own unit is kept, "measured" by calorific value.
    estimated_share, coverage
        0 .. 1.
    """

    carrier: str
    part: PartKind
    quantity: Fraction
    unit: str
    energy: Fraction
    basis: str
    estimated_share: float
    coverage: float
    verified: bool
    relative_uncertainty: float | None
    synthetic: bool = False


@dataclass(frozen=True, slots=True)
class SchemeEnergy:
    """Parts of a scheme's total in a window; none if ``withheld``, and then ``why`` tells more."""

    parts: Sequence[EnergyPart]
    received: float
    expected: float
    withheld: WithheldCode | None
    why: str = ""

    @property
    def energy(self) -> Fraction | None:
        """Their sum [energy unit of the scheme]."""
        if self.withheld is not None:
            return None
        return sum((p.energy for p in self.parts), Fraction(0))


def scheme_energy(
    scheme: Scheme,
    points: Sequence[MeteredPoint],
    ledger: Sequence[LedgerEntry],
    intervals: Callable[[int], SummedSeries | None],
    since: dt.datetime,
    until: dt.datetime,
) -> SchemeEnergy:
    """Return what a scheme counts in [since, until), meter by meter and medium by medium.

    Parameters
    ----------
    scheme
        Says which media, by which factors.
    points
        Of the boundary, own generation, and what is used for something else inside.
    ledger
        Of the site.
    intervals
        Gives the intervals of a series; they must reach over the window.
    since, until
        Ends on the 15-minute grid.

    Returns
    -------
    SchemeEnergy
        Withheld if a meter that counts was not read, or a factor does not hold.

    Notes
    -----
    GB/T 2589 and F6. Working media that are made inside count in what they were made of; what is
    bought counts by its energy-equivalent value. Own renewables count by what they hold (当量值),
    and electricity that leaves a works with own generation is taken off by the same value.
    """
    parts: list[EnergyPart] = []
    received = expected = 0.0
    counted = [p for p in points if _counts(scheme, p, since, until)]
    generating = {p.medium for p in points if p.generation and _held(p, since, until)}
    try:
        for point in counted:
            if point.direction_out and point.medium in generating:
                if not scheme.own_renewables_counted:
                    continue  # it was never counted
                own = True
            else:
                own = point.generation
            rows = intervals(point.series_id)
            for low, high in _pieces(scheme, point, since, until, own=own):
                summed = None if rows is None else rows.over(low, high)
                if summed is None or summed.amount is None:
                    return SchemeEnergy(
                        (), received, expected, WithheldCode.ENERGY_MISSING,
                        f"{point.code or point.medium} was not read",
                    )  # fmt: skip
                received += summed.received
                expected += summed.expected
                parts.append(_metered_part(scheme, point, summed, low, own=own))
        metered = {p.medium for p in counted if p.boundary or p.use == "production"}
        for medium in sorted(scheme.media):
            entries = [e for e in ledger if e.medium == medium]
            if medium in metered:
                parts = _before_it_was_metered(
                    scheme, medium, parts, counted, entries, (since, until)
                )
            elif (part := _from_ledger(scheme, entries, since, until)) is not None:
                parts.append(part)
    except FactorError as error:
        return SchemeEnergy((), received, expected, WithheldCode.FACTOR_MISSING, str(error))
    if not parts:
        return SchemeEnergy((), received, expected, WithheldCode.ENERGY_MISSING, "no source")
    return SchemeEnergy(parts, received, expected, None)


def _before_it_was_metered(
    scheme: Scheme,
    medium: str,
    parts: list[EnergyPart],
    counted: Sequence[MeteredPoint],
    entries: Sequence[LedgerEntry],
    window: tuple[dt.datetime, dt.datetime],
) -> list[EnergyPart]:
    """Let the ledger tell of the time in which no point of a medium counts yet, or any more.

    Where it does not, the medium is known of a part of the window only, and its coverage says so.
    """
    since, until = window
    held = sorted(
        (max(since, p.valid_from), until if p.valid_to is None else min(until, p.valid_to))
        for p in counted
        if p.medium == medium and (p.boundary or p.use == "production")
    )
    unheld, reached = [], since
    for low, high in held:
        if low > reached:
            unheld.append((reached, low))
        reached = max(reached, high)
    if reached < until:
        unheld.append((reached, until))
    unknown = dt.timedelta(0)
    booked = []
    for low, high in unheld:
        part = _from_ledger(scheme, entries, low, high)
        if part is None:
            unknown += high - low
        else:
            booked.append(part)
    known = 1.0 - unknown / (until - since)
    return [
        replace(p, coverage=p.coverage * known) if p.carrier == medium and known < 1.0 else p
        for p in [*parts, *booked]
    ]


def total(
    scheme: Scheme,
    points: Sequence[MeteredPoint],
    ledger: Sequence[LedgerEntry],
    intervals: Callable[[int], SummedSeries | None],
    since: dt.datetime,
    until: dt.datetime,
) -> EnergyTotal:
    """Add up what a scheme counts in [since, until); see `scheme_energy`.

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
    found = scheme_energy(scheme, points, ledger, intervals, since, until)
    energy, parts = found.energy, found.parts
    if energy is None:
        return _withheld(found.withheld or WithheldCode.ENERGY_MISSING)
    return EnergyTotal(
        float(energy),
        float(energy / 1000) if scheme.energy_unit == "kgce" else None,
        _weighted(parts, [p.estimated_share for p in parts]),
        _weighted(parts, [p.coverage for p in parts]),
        min(1.0, found.received / found.expected) if found.expected > 0 else None,
        any(p.synthetic for p in parts),
        all(p.verified for p in parts),
        _combined_uncertainty(parts, float(energy)),
        None,
    )


def _pieces(
    scheme: Scheme, point: MeteredPoint, since: dt.datetime, until: dt.datetime, *, own: bool
) -> list[tuple[dt.datetime, dt.datetime]]:
    """Cut the time a point counts where a factor of its medium changes."""
    low = max(since, point.valid_from)
    high = until if point.valid_to is None else min(until, point.valid_to)
    basis = "physical" if own else None
    factors = scheme.factors
    cuts = [] if factors is None else factors.changes(point.medium, low, high, basis)
    # Amounts are asked on the grid; a factor that changes beside it changes with the window.
    cuts = [at for at in cuts if at.minute % 15 == 0 and at.second == at.microsecond == 0]
    return list(itertools.pairwise([low, *cuts, high]))


def _metered_part(
    scheme: Scheme, point: MeteredPoint, summed: WindowSum, low: dt.datetime, *, own: bool
) -> EnergyPart:
    assert summed.amount is not None  # the caller looked
    factor, verified, basis = _conversion(scheme, point.medium, point.unit, low, own=own)
    amount = point.sign * summed.amount
    if not point.boundary and point.use != "production":
        amount = -amount
    return EnergyPart(
        point.medium, _part_of(point), amount, point.unit, amount * factor, basis,
        summed.estimated_share, summed.coverage, verified, point.relative_uncertainty,
        summed.simulated,
    )  # fmt: skip


def _part_of(point: MeteredPoint) -> PartKind:
    if not point.boundary and point.use != "production":
        return "excluded"
    if point.generation:
        return "own_renewable"
    return "export" if point.direction_out else "import"


def _counts(scheme: Scheme, point: MeteredPoint, since: dt.datetime, until: dt.datetime) -> bool:
    if point.medium not in scheme.media or not _held(point, since, until):
        return False
    if point.use != "production":
        # At the boundary it does not come in; inside it is taken off.
        return (point.use in scheme.excluded_uses) != point.boundary
    return not point.generation or scheme.own_renewables_counted


def _held(point: MeteredPoint, since: dt.datetime, until: dt.datetime) -> bool:
    return point.valid_from < until and (point.valid_to is None or since < point.valid_to)


def _conversion(
    scheme: Scheme, medium: str, unit: str, at: dt.datetime, *, own: bool = False
) -> tuple[Fraction, bool, str]:
    if scheme.factors is None:
        return _in_unit(medium, unit, scheme.energy_unit), True, ""
    factor = scheme.factors.factor(medium, unit, at, "physical" if own else None)
    return factor.value * _in_unit(medium, unit, factor.per_unit), factor.verified, factor.basis


def _in_unit(medium: str, unit: str, other: str) -> Fraction:
    """Return how many of another unit are in one; a unit that is not the medium's counts as is."""
    if unit == other:
        return Fraction(1)
    units = QUANTITIES[energy_quantity(medium)].units
    if unit not in units or other not in units:
        raise FactorUnitError(f"{medium} is not measured in {unit}, or not in {other}")
    return units[unit] / units[other]


def _entry_conversion(
    scheme: Scheme, entry: LedgerEntry, kind: str, at: dt.datetime
) -> tuple[Fraction, bool, str]:
    """Convert by the measured calorific value where there is one, else by the table's."""
    calorific = entry.calorific_value_kj_per_kg
    if calorific is None or scheme.factors is None or scheme.energy_unit != "kgce":
        own = kind == "own_production"
        return _conversion(scheme, entry.medium, entry.unit, at, own=own)
    return calorific * _in_unit(entry.medium, entry.unit, "kg") / _KJ_PER_KGCE, True, "measured"


def _from_ledger(
    scheme: Scheme,
    entries: Sequence[LedgerEntry],
    since: dt.datetime,
    until: dt.datetime,
) -> EnergyPart | None:
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
    medium = entries[0].medium
    return EnergyPart(
        medium, "ledger", booked.quantity, QUANTITIES[energy_quantity(medium)].unit, booked.energy,
        "+".join(sorted(booked.bases)), guessed_share, covered * (1.0 - guessed_share),
        booked.verified, None,
        any(e.synthetic for e in entries if overlap_share(e, since, until) > 0),
    )  # fmt: skip


class _Booked:
    """Sum of what a window holds of some spans."""

    def __init__(self, since: dt.datetime, until: dt.datetime) -> None:
        self._since, self._until = since, until
        self.energy = self.guessed = self.quantity = Fraction(0)
        self.bases: set[str] = set()
        self.spans: list[tuple[dt.datetime, dt.datetime]] = []
        self.verified = True

    def add(self, scheme: Scheme, period: StockPeriod[LedgerEntry]) -> None:
        """Add the share that the window has of a period."""
        low, high = max(self._since, period.since), min(self._until, period.until)
        counted = [(part, sign) for part in period.parts if (sign := _sign(scheme, part))]
        if low >= high or not counted:
            return
        amount = quantity = Fraction(0)
        for part, sign in counted:
            entry = part.entry
            factor, sure, basis = _entry_conversion(scheme, entry, part.kind, max(low, entry.since))
            moved = sign * entry.quantity * part.share
            amount += moved * factor
            quantity += moved * QUANTITIES[energy_quantity(entry.medium)].units[entry.unit]
            self.verified &= sure
            self.bases.add(basis)
        share = _share_inside(period, counted[0][0].entry.shape, low, high)
        self.energy += amount * share
        self.quantity += quantity * share
        self.guessed += abs(amount * share) if share < 1 else 0
        self.spans.append((low, high))


def _share_inside(
    period: StockPeriod[LedgerEntry],
    shape: LedgerShape | None,
    low: dt.datetime,
    high: dt.datetime,
) -> Fraction:
    """Return the share of a period that falls into [low, high): by its shape, else by time."""
    if shape is not None:
        whole, inside = shape.weight(period.since, period.until), shape.weight(low, high)
        if whole is not None and inside is not None and whole > 0:
            return inside / whole
    step = dt.timedelta(microseconds=1)
    return Fraction((high - low) // step, (period.until - period.since) // step)


def _sign(scheme: Scheme, part: StockPart[LedgerEntry]) -> int:
    kind, medium = part.kind, part.entry.medium
    if kind == "own_production":
        if medium in _MADE_INSIDE:
            return 0  # it counts in what it was made of
        return 1 if medium != "electricity" or scheme.own_renewables_counted else 0
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


def _weighted(parts: Sequence[EnergyPart], values: Sequence[float]) -> float:
    """Weigh by energy: a share of the total's energy, not of its meters."""
    weights = [abs(float(p.energy)) for p in parts]
    if sum(weights) <= 0:
        return min(values)
    return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)


def _combined_uncertainty(parts: Sequence[EnergyPart], energy: float) -> float | None:
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
