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
from dataclasses import replace

from analytics.accounting.energy_parts import (
    EnergyPart,
    EnergyTotal,
    LedgerEntry,
    MeteredPoint,
    PartKind,
    Scheme,
    SchemeEnergy,
    conversion,
)
from analytics.accounting.ledger_energy import from_ledger
from analytics.accounting.withheld import WithheldCode
from analytics.errors import FactorError
from analytics.intervals.sums import SummedSeries, WindowSum

__all__ = ["scheme_energy", "total"]


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
            elif (part := from_ledger(scheme, entries, since, until)) is not None:
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
        part = from_ledger(scheme, entries, low, high)
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
    factor, verified, basis = conversion(scheme, point.medium, point.unit, low, own=own)
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
