"""Energy without a register: what the ledger of stock says of a window (F5)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from analytics.accounting.energy_parts import (
    EnergyPart,
    LedgerEntry,
    LedgerShape,
    Scheme,
    conversion,
    covered_share,
    in_unit,
)
from enpilot.fuel_stock import StockPart, StockPeriod, overlap_share, stock_periods
from enpilot.quantities import QUANTITIES, energy_quantity

__all__ = ["from_ledger"]

_INFLOWS: Final = frozenset({"opening", "purchase", "transfer_in"})
# A loss was consumed; what left the works or entered a product was not.
_OUTFLOWS: Final = frozenset({"closing", "transfer_out", "sale", "non_industrial"})
# Secondary energy and working media: what a works makes of them counts where it came from.
_MADE_INSIDE: Final = frozenset({
    "steam", "heat", "coke_oven_gas", "blast_furnace_gas", "soft_water", "deaerated_water",
    "compressed_air", "oxygen", "nitrogen",
})  # fmt: skip
_KJ_PER_KGCE: Final = Fraction("29307.6")  # GB/T 2589


def _entry_conversion(
    scheme: Scheme, entry: LedgerEntry, kind: str, at: dt.datetime
) -> tuple[Fraction, bool, str]:
    """Convert by the measured calorific value where there is one, else by the table's."""
    calorific = entry.calorific_value_kj_per_kg
    if calorific is None or scheme.factors is None or scheme.energy_unit != "kgce":
        own = kind == "own_production"
        return conversion(scheme, entry.medium, entry.unit, at, own=own)
    return calorific * in_unit(entry.medium, entry.unit, "kg") / _KJ_PER_KGCE, True, "measured"


def from_ledger(
    scheme: Scheme,
    entries: Sequence[LedgerEntry],
    since: dt.datetime,
    until: dt.datetime,
) -> EnergyPart | None:
    """Book what stock-takes bracket as a whole, and a movement without stock by its own span.

    Parameters
    ----------
    scheme
        What counts, and by which factors.
    entries
        Of one medium.
    since, until
        The window. Of a span across an end of it its share of the time is booked, a guess.

    Returns
    -------
    EnergyPart or None
        None if nothing is booked in the window [energy unit of the scheme].
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
