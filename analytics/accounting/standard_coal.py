"""Standard coal of an amount of a medium, by the factor set that a scheme names (F6).

Source of the rule: GB/T 2589: coefficients are keyed by medium and basis, never by medium alone;
electricity counts by its equivalent value (physical) or its energy-equivalent value (primary).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import psycopg

from analytics.errors import FactorUnitError, MissingFactorError
from enpilot.quantities import QUANTITIES, energy_quantity

__all__ = ["Factor", "FactorSet", "load_factors"]


@dataclass(frozen=True, slots=True)
class Factor:
    """kgce per ``per_unit`` of a medium from .. to."""

    medium: str
    basis: str
    value: Fraction
    per_unit: str
    verified: bool
    valid_from: dt.datetime
    valid_to: dt.datetime | None


@dataclass(frozen=True, slots=True)
class FactorSet:
    """The factors of one standard and edition, and the basis taken for electricity."""

    standard: str
    edition: str
    electricity_basis: str
    factors: Sequence[Factor]

    def factor(self, medium: str, unit: str, at: dt.datetime) -> Factor:
        """Return the factor for an amount in some unit of a medium at an instant.

        One per that very unit is preferred to one per another unit of the same quantity.

        Raises
        ------
        MissingFactorError
            If none holds then; the message names the key to add.
        FactorUnitError
            If there is one per a unit of another quantity only.
        """
        basis = self.electricity_basis if medium == "electricity" else "physical"
        valid = [
            f
            for f in self.factors
            if f.medium == medium
            and f.basis == basis
            and f.valid_from <= at
            and (f.valid_to is None or at < f.valid_to)
        ]
        units = QUANTITIES[energy_quantity(medium)].units
        for f in valid:
            if f.per_unit == unit:
                return f
        for f in valid:
            if f.per_unit in units and unit in units:
                return f
        if valid:
            raise FactorUnitError(
                f"{self.standard} ({self.edition}) has {medium} per {valid[0].per_unit}, not per"
                f" {unit}: measure it in {valid[0].per_unit} or add a factor per {unit}"
            )
        raise MissingFactorError(
            f"no factor for {medium} ({basis}) in {self.standard} ({self.edition}) on"
            f" {at:%Y-%m-%d}: add one with its source"
        )


def load_factors(
    connection: psycopg.Connection[Any], standard: str, edition: str, electricity_basis: str
) -> FactorSet:
    """Load the current factors of a standard and edition.

    Parameters
    ----------
    connection
        To the platform's database.
    standard, edition
        "GB/T 2589", "2020".
    electricity_basis
        "physical" (当量值) or "primary" (等价值).

    Returns
    -------
    FactorSet
        Of all media that the standard names.
    """
    return FactorSet(
        standard,
        edition,
        electricity_basis,
        [
            Factor(medium, basis, Fraction(value), per_unit, verified, valid_from, valid_to)
            for medium, basis, value, per_unit, verified, valid_from, valid_to in (
                connection.execute(
                    "SELECT medium, basis, value, per_unit, verified, valid_from, valid_to"
                    " FROM factor WHERE kind = 'standard_coal' AND standard = %s AND edition = %s"
                    " AND superseded_commit_no IS NULL ORDER BY medium, basis, valid_from",
                    (standard, edition),
                )
            )
        ],
    )
