"""Carbon of a scheme's energy, by location (F35): grid factors by region, fuels by their table.

Standard coal and carbon are classes of their own, so that a sum of both is refused by the type
checker and by Python alike: kgce for kgCO2 is the field's most expensive slip.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Self

import psycopg

from analytics.accounting.energy_parts import EnergyPart
from analytics.errors import FactorUnitError, MissingFactorError
from enpilot.quantities import QUANTITIES, energy_quantity

__all__ = [
    "Carbon",
    "CarbonFactor",
    "CarbonFactors",
    "CarrierCarbon",
    "StandardCoal",
    "carbon_of",
    "load_carbon_factors",
]

# Nothing burns and no grid delivers them; what making them took was somebody else's.
_WITHOUT: Final = frozenset({
    "fresh_water", "soft_water", "deaerated_water", "compressed_air", "oxygen", "nitrogen",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Amount:
    """An amount that is added to its own kind only."""

    value: Fraction

    def __add__(self, other: Self) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        return type(self)(self.value + other.value)

    def __mul__(self, share: Fraction) -> Self:
        return type(self)(self.value * share)


class StandardCoal(_Amount):
    """Energy as standard coal [kgce]."""

    __slots__ = ()


class Carbon(_Amount):
    """Carbon dioxide [kgCO2]."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class CarbonFactor:
    """Carbon per ``per_unit`` of a medium from .. to.

    ``region`` and ``data_year`` are those of a grid factor; it counts from its publication on.
    """

    medium: str
    per_one: Carbon
    per_unit: str
    verified: bool
    valid_from: dt.datetime
    valid_to: dt.datetime | None
    region: str = ""
    data_year: int = 0


@dataclass(frozen=True, slots=True)
class CarbonFactors:
    """Factors of one standard and edition, with the grid's of a region; the plant's own first."""

    standard: str
    edition: str
    region: str
    factors: Sequence[CarbonFactor]

    def factor(self, medium: str, unit: str, at: dt.datetime, closing: dt.datetime) -> CarbonFactor:
        """Return the factor for a medium.

        Parameters
        ----------
        medium, unit
            What is counted.
        at
            When it was used.
        closing
            When its period is closed: the grid factor published last by then counts, of whichever
            year's data it is.

        Returns
        -------
        CarbonFactor
            [kgCO2 per its ``per_unit``].

        Raises
        ------
        MissingFactorError
            If none holds then; the message names the key to add.
        FactorUnitError
            If there is one per a unit of another quantity only.
        """
        found = [
            f
            for f in self.factors
            if f.medium == medium
            and (f.region == self.region or not f.region)
            and f.valid_from <= (closing if f.data_year else at)
            and (f.valid_to is None or (closing if f.data_year else at) < f.valid_to)
        ]
        if not found:
            of = f" for region {self.region!r}" if medium == "electricity" else ""
            raise MissingFactorError(
                f"no carbon factor for {medium} in {self.standard} ({self.edition}){of} on"
                f" {at:%Y-%m-%d}: add one with its source, or a [[factor]] of the plant's own"
            )
        # Own ones come first and are of no year; of the grid's the latest year.
        best = found[0] if not found[0].data_year else max(found, key=lambda f: f.data_year)
        units = QUANTITIES[energy_quantity(medium)].units
        if unit != best.per_unit and (unit not in units or best.per_unit not in units):
            raise FactorUnitError(
                f"{self.standard} ({self.edition}) has carbon of {medium} per {best.per_unit}, not"
                f" per {unit}: measure it in {best.per_unit} or add a factor per {unit}"
            )
        return best


@dataclass(frozen=True, slots=True)
class CarrierCarbon:
    """Carbon of one carrier; None if ``why`` says which factor is missing."""

    carrier: str
    carbon: Carbon | None
    factor: CarbonFactor | None
    why: str = ""


def carbon_of(
    parts: Sequence[EnergyPart], factors: CarbonFactors, at: dt.datetime, closing: dt.datetime
) -> list[CarrierCarbon]:
    """Return the carbon of what a scheme counts, carrier by carrier.

    Parameters
    ----------
    parts
        Of the scheme's energy in a window.
    factors
        Of the scheme.
    at
        The window's beginning.
    closing
        See `CarbonFactors.factor`.

    Returns
    -------
    list of CarrierCarbon
        By carrier. Own generation that is used inside has none; what of it leaves the works is not
        taken off what was bought.

    Notes
    -----
    F35, the location-based method: what came from the grid times the grid's average.
    """
    quantities: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    generating = {p.carrier for p in parts if p.part == "own_renewable"}
    for part in parts:
        own = part.part == "own_renewable" or (part.part == "export" and part.carrier in generating)
        if not own and part.carrier not in _WITHOUT:
            quantities[part.carrier, part.unit] += part.quantity
    found = []
    for (carrier, unit), quantity in sorted(quantities.items()):
        try:
            factor = factors.factor(carrier, unit, at, closing)
        except (MissingFactorError, FactorUnitError) as error:
            found.append(CarrierCarbon(carrier, None, None, str(error)))
            continue
        units = QUANTITIES[energy_quantity(carrier)].units
        ratio = Fraction(1) if unit == factor.per_unit else units[unit] / units[factor.per_unit]
        found.append(CarrierCarbon(carrier, factor.per_one * (quantity * ratio), factor))
    return found


def load_carbon_factors(
    connection: psycopg.Connection[Any], site_id: int, scheme_id: int
) -> CarbonFactors | None:
    """Load the carbon factors that a scheme names.

    Parameters
    ----------
    connection
        To the platform's database.
    site_id, scheme_id
        The site, and its scheme.

    Returns
    -------
    CarbonFactors or None
        None if the scheme names no grid region: then it has no carbon.
    """
    row = connection.execute(
        "SELECT carbon_standard, carbon_edition, grid_region FROM scheme_record"
        " WHERE scheme_id = %s AND superseded_commit_no IS NULL ORDER BY valid_from DESC LIMIT 1",
        (scheme_id,),
    ).fetchone()
    if row is None or row[2] is None:
        return None
    standard, edition, region = row
    return CarbonFactors(
        standard,
        edition,
        region,
        [
            CarbonFactor(medium, Carbon(Fraction(value)), *rest)
            for medium, value, *rest, _ in connection.execute(
                "SELECT medium, value, per_unit, false, valid_from, valid_to, '', 0, 0"
                " FROM site_factor WHERE site_id = %(site)s AND kind = 'carbon'"
                " AND superseded_commit_no IS NULL"
                " UNION ALL"
                " SELECT medium, value, per_unit, verified, valid_from, valid_to, region,"
                " data_year, 1 FROM factor WHERE kind = 'carbon' AND superseded_commit_no IS NULL"
                " AND (region = %(region)s OR (region = '' AND standard = %(standard)s"
                "  AND edition = %(edition)s)) ORDER BY 9, 1, 8, 5",
                {"site": site_id, "region": region, "standard": standard, "edition": edition},
            )
        ],
    )
