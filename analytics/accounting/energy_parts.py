"""What makes an energy total: schemes, points, ledger entries, and their parts (F5, F6)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal, Protocol, TypeAlias

from analytics.accounting.standard_coal import FactorSet
from analytics.accounting.withheld import WithheldCode
from analytics.errors import FactorUnitError
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
    "conversion",
    "covered_share",
    "in_unit",
]

PartKind: TypeAlias = Literal["import", "export", "own_renewable", "ledger", "excluded"]


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


def conversion(
    scheme: Scheme, medium: str, unit: str, at: dt.datetime, *, own: bool = False
) -> tuple[Fraction, bool, str]:
    """Return what one unit of a medium counts in a scheme.

    Parameters
    ----------
    scheme
        With its factors, or none where the medium's own unit is kept.
    medium, unit
        Of the amount.
    at
        When the factor must hold.
    own
        Made by the works itself: it counts by what it holds (当量值).

    Returns
    -------
    Fraction, bool, str
        The factor [energy unit of the scheme per unit], whether it is verified, and its basis.
    """
    if scheme.factors is None:
        return in_unit(medium, unit, scheme.energy_unit), True, ""
    factor = scheme.factors.factor(medium, unit, at, "physical" if own else None)
    return factor.value * in_unit(medium, unit, factor.per_unit), factor.verified, factor.basis


def in_unit(medium: str, unit: str, other: str) -> Fraction:
    """Return how many of another unit are in one (GB/T 2589).

    Parameters
    ----------
    medium
        Whose units they are.
    unit, other
        The same unit needs no conversion.

    Returns
    -------
    Fraction
        Exact [other per unit].

    Raises
    ------
    FactorUnitError
        If one of them is no unit of the medium.
    """
    if unit == other:
        return Fraction(1)
    units = QUANTITIES[energy_quantity(medium)].units
    if unit not in units or other not in units:
        raise FactorUnitError(f"{medium} is not measured in {unit}, or not in {other}")
    return units[unit] / units[other]


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
