"""How many tce are in a unit of what a baseline counts (F6)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import psycopg

from analytics.accounting.standard_coal import load_factors
from analytics.baselines.declared import DeclaredBaseline
from analytics.errors import FactorUnitError, MissingFactorError
from enpilot.quantities import QUANTITIES, energy_quantity

__all__ = ["TcePerUnit", "tce_per_unit"]


@dataclass(frozen=True, slots=True)
class TcePerUnit:
    """tce per energy unit of a baseline, and whether the factor's source was verified."""

    value: Fraction
    verified: bool


def tce_per_unit(
    connection: psycopg.Connection[Any],
    baseline: DeclaredBaseline,
    scheme_id: int | None,
    at: dt.datetime,
) -> TcePerUnit:
    """Return the factor that turns a baseline's energy into tce.

    Parameters
    ----------
    connection
        To the database.
    baseline
        Whose energy; an EnPI in kgce needs no scheme.
    scheme_id
        The scheme that converts everything else.
    at
        Instant whose factor is taken: the beginning of the reporting window, so that a factor that
        is published later changes no saving.

    Returns
    -------
    TcePerUnit
        Exact, with whether its source was verified.

    Raises
    ------
    MissingFactorError
        If there is no scheme, no factor, or the energy is of more than one medium.
    FactorUnitError
        If the factor is per a unit that the energy cannot be turned into.
    """
    if baseline.energy_unit == "kgce":
        return TcePerUnit(Fraction(1, 1000), verified=True)
    row = connection.execute(
        "SELECT factor_standard, factor_edition, electricity_basis FROM scheme_record"
        " WHERE scheme_id = %s AND superseded_commit_no IS NULL ORDER BY valid_from DESC LIMIT 1",
        (scheme_id,),
    ).fetchone()
    media = _media(connection, baseline)
    if row is None or row[0] is None or len(media) != 1:
        raise MissingFactorError(
            f"baseline {baseline.code} counts {baseline.energy_unit} of {', '.join(media)}: name a"
            " `scheme` in kgce with the retrofit"
        )
    (medium,) = media
    standard, edition, basis = row
    factor = load_factors(connection, standard, edition, basis or "physical").factor(
        medium, baseline.energy_unit, at
    )
    units = QUANTITIES[energy_quantity(medium)].units
    if factor.per_unit == baseline.energy_unit:
        ratio = Fraction(1)
    elif factor.per_unit in units and baseline.energy_unit in units:
        ratio = units[baseline.energy_unit] / units[factor.per_unit]
    else:
        raise FactorUnitError(f"{medium} is not measured in {baseline.energy_unit}")
    return TcePerUnit(factor.value * ratio / 1000, factor.verified)


def _media(connection: psycopg.Connection[Any], baseline: DeclaredBaseline) -> list[str]:
    if baseline.enpi_id is None:
        return [
            row[0]
            for row in connection.execute(
                "SELECT DISTINCT medium FROM point WHERE point_id = ANY(%s) ORDER BY 1",
                (list(baseline.point_ids),),
            )
        ]
    row = connection.execute(
        "SELECT s.media FROM enpi_record e JOIN scheme_record s USING (scheme_id)"
        " WHERE e.enpi_id = %s AND e.superseded_commit_no IS NULL"
        " AND s.superseded_commit_no IS NULL ORDER BY s.valid_from DESC LIMIT 1",
        (baseline.enpi_id,),
    ).fetchone()
    return [] if row is None else sorted(row[0])
