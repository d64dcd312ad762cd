"""What a detector found: energy that nobody needed, or that a meter does not tell rightly."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analytics.accounting.withheld import WithheldCode
from analytics.waste.prices import Priced

__all__ = ["METER_KINDS", "PricedWaste", "Waste", "WasteKind", "rank"]

_DAYS_A_YEAR: Final = 365


class WasteKind(enum.StrEnum):
    """What kind of waste or doubt it is."""

    BASE_LOAD_RISEN = "base_load_risen"
    CLOSED_HOURS_LOAD = "closed_hours_load"
    MACHINE_IDLE = "machine_idle"
    PROFILE_EXCEEDED = "profile_exceeded"
    RATIO_OUT_OF_RANGE = "ratio_out_of_range"
    METER_STUCK = "meter_stuck"
    METER_SILENT = "meter_silent"
    METER_DRIFTING = "meter_drifting"
    ENERGY_AND_POWER_DIFFER = "energy_and_power_differ"


# These are doubts about a meter: the energy was not wasted, it is not known rightly.
METER_KINDS: Final = frozenset(
    {
        WasteKind.METER_STUCK,
        WasteKind.METER_SILENT,
        WasteKind.METER_DRIFTING,
        WasteKind.ENERGY_AND_POWER_DIFFER,
    }
)


@dataclass(frozen=True, slots=True)
class Waste:
    """One finding, not priced yet.

    Attributes
    ----------
    kind, point_id, subject
        What, where, and the code of the machine, hours or ratio it is about; else "".
    medium, unit
        Of its amount.
    since, until
        The time over which it was measured, or for which it lasted.
    days
        Days that were measured: what is told of a year rests on them.
    standing
        It goes on, so that a year of it can be told; else it happened once.
    by_quarter
        Its energy by the quarter-hours of the job [unit], shape (n,); None if it is not known.
    evidence
        What proves it; JSON.
    simulated
        Some reading came from a simulated source.
    """

    kind: WasteKind
    point_id: int
    subject: str
    medium: str
    unit: str
    since: dt.datetime
    until: dt.datetime
    days: float
    standing: bool
    by_quarter: NDArray[np.float64] | None
    evidence: Mapping[str, Any]
    simulated: bool

    @property
    def amount(self) -> float | None:
        """Its energy [unit]."""
        return None if self.by_quarter is None else float(self.by_quarter.sum())

    @property
    def withheld(self) -> WithheldCode | None:
        """Why its energy is not told."""
        return WithheldCode.ENERGY_MISSING if self.by_quarter is None else None


@dataclass(frozen=True, slots=True)
class PricedWaste:
    """A finding in its unit, in tce and in yuan."""

    waste: Waste
    tce: Priced
    yuan: Priced

    @property
    def times_a_year(self) -> float | None:
        """By what its measured figures become those of a year; None for what happened once."""
        w = self.waste
        return _DAYS_A_YEAR / w.days if w.standing and w.days > 0 else None

    def a_year(self, value: float | None) -> float | None:
        """Return a measured figure at the same rate over a year.

        Parameters
        ----------
        value
            Amount, tce or yuan of the measured time.

        Returns
        -------
        float or None
            None for what is not known or happened once: an event is no rate.
        """
        times = self.times_a_year
        return None if value is None or times is None else value * times


def rank(found: list[PricedWaste]) -> list[PricedWaste]:
    """Order findings by what they are worth.

    Parameters
    ----------
    found
        Of one site.

    Returns
    -------
    list of PricedWaste
        Waste before meters in doubt; by yuan (of a year where it goes on, else as measured), those
        without a price by tce, and those without either last. Equal ones by kind, point and
        subject, so that the order is always the same (F36).
    """

    def key(one: PricedWaste) -> tuple[bool, float, float, str, int, str]:
        yuan = one.a_year(one.yuan.value) or one.yuan.value or 0.0
        tce = one.a_year(one.tce.value) or one.tce.value or 0.0
        w = one.waste
        return (w.kind in METER_KINDS, -yuan, -tce, w.kind, w.point_id, w.subject)

    return sorted(found, key=key)
