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

    def changes(
        self, medium: str, since: dt.datetime, until: dt.datetime, basis: str | None = None
    ) -> list[dt.datetime]:
        """Return the instants inside [since, until) at which a factor of a medium begins or ends.

        Parameters
        ----------
        medium
            What is measured.
        since, until
            The window.
        basis
            See `factor`.

        Returns
        -------
        list of datetime
            In order.
        """
        if basis is None and medium == "electricity":
            basis = self.electricity_basis
        ends = {
            at
            for f in self.factors
            if f.medium == medium and f.basis == (basis or f.basis)
            for at in (f.valid_from, f.valid_to)
        }
        return sorted(at for at in ends if at is not None and since < at < until)

    def factor(self, medium: str, unit: str, at: dt.datetime, basis: str | None = None) -> Factor:
        """Return the factor for an amount in some unit of a medium at an instant.

        The plant's own is preferred to a published one, and one per that very unit to one per
        another unit of the same quantity.

        Parameters
        ----------
        medium, unit
            What was measured.
        at
            When.
        basis
            "physical" or "primary"; left out, electricity counts by the set's basis, and other
            media by what they hold, or else by what making them takes (working media).

        Returns
        -------
        Factor
            [kgce per its ``per_unit``].

        Raises
        ------
        MissingFactorError
            If none holds then; the message names the key to add.
        FactorUnitError
            If there is one per a unit of another quantity only.
        """
        if basis is None:
            basis = self.electricity_basis if medium == "electricity" else "physical"
        held = [
            f
            for f in self.factors
            if f.medium == medium and f.valid_from <= at and (f.valid_to is None or at < f.valid_to)
        ]
        valid = [f for f in held if f.basis == basis]
        if not valid and medium != "electricity":
            valid = [f for f in held if f.basis == "primary"]
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
    connection: psycopg.Connection[Any],
    standard: str,
    edition: str,
    electricity_basis: str,
    site_id: int | None = None,
) -> FactorSet:
    """Load the current factors of a standard and edition, after a site's own.

    Parameters
    ----------
    connection
        To the platform's database.
    standard, edition
        "GB/T 2589", "2020".
    electricity_basis
        "physical" (当量值) or "primary" (等价值).
    site_id
        Whose own factors come first; none without it.

    Returns
    -------
    FactorSet
        In order of preference.
    """
    return FactorSet(
        standard,
        edition,
        electricity_basis,
        [
            Factor(medium, basis, Fraction(value), per_unit, verified, valid_from, valid_to)
            for medium, basis, value, per_unit, verified, valid_from, valid_to, _ in (
                connection.execute(
                    # What a plant declares names its source; nobody else has checked it.
                    "SELECT medium, basis, value, per_unit, false, valid_from, valid_to, 0"
                    " FROM site_factor WHERE kind = 'standard_coal' AND site_id = %(site)s"
                    " AND superseded_commit_no IS NULL"
                    " UNION ALL"
                    " SELECT medium, basis, value, per_unit, verified, valid_from, valid_to, 1"
                    " FROM factor WHERE kind = 'standard_coal' AND standard = %(standard)s"
                    " AND edition = %(edition)s AND superseded_commit_no IS NULL"
                    " ORDER BY 8, 1, 2, 6",
                    {"site": site_id, "standard": standard, "edition": edition},
                )
            )
        ],
    )
