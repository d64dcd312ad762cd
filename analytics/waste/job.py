"""What detectors look at: loads of a site with their history, and what the plant declares."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.accounting.site_calendar import SiteCalendar
from analytics.waste.declared import WasteFacts
from analytics.waste.found import Waste, WasteKind
from analytics.waste.quarter_hours import QUARTERS_A_DAY, LocalQuarters, QuarterHours
from analytics.waste.site_loads import SiteLoads

__all__ = ["Job"]


@dataclass(frozen=True, slots=True)
class Job:
    """What detectors look at.

    Attributes
    ----------
    loads
        Over the history and the days that are judged.
    before
        The same days a year before, in weeks; None if nothing is known of them.
    declared
        Of the site.
    shifts
        Calendar of production days.
    since, until
        Local days that are judged: the last ones of ``loads``.
    """

    loads: SiteLoads
    before: SiteLoads | None
    declared: WasteFacts
    shifts: SiteCalendar
    since: dt.date
    until: dt.date

    @property
    def quarters(self) -> LocalQuarters:
        """All quarter-hours of the job."""
        return self.loads.quarters

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Which of them are judged, shape (n,)."""
        return self.quarters.from_day(self.since)

    def points(self) -> Iterator[int]:
        """Yield the points that use energy and tell it."""
        for place in self.declared.place.values():
            if (
                place.medium != "product"
                and place.role in ("boundary", "sub")
                and self.loads.of(place.point_id) is not None
            ):
                yield place.point_id

    def load(self, point_id: int) -> QuarterHours:
        """Return the load of one of `points`."""
        used = self.loads.of(point_id)
        assert used is not None  # points yields no other
        return used

    def waste(
        self,
        kind: WasteKind,
        point_id: int,
        by_quarter: NDArray[np.float64] | None,
        evidence: Mapping[str, Any],
        *,
        subject: str = "",
        run: tuple[int, int] | None = None,
        known: NDArray[np.bool_] | None = None,
    ) -> Waste:
        """Make a finding of the judged days, or of a run of quarter-hours."""
        used = self.loads.of(point_id)
        quarters = self.quarters
        first = int(np.flatnonzero(self.judged)[0]) if run is None else run[0]
        after = len(quarters.day) if run is None else run[1]
        told = self.judged if known is None else known & self.judged
        measured = float(told.sum()) if run is None else after - first
        return Waste(
            kind,
            point_id,
            subject,
            self.declared.place[point_id].medium,
            self.loads.unit(point_id),
            quarters.instant(first),
            quarters.instant(after),
            measured / QUARTERS_A_DAY,
            run is None,
            by_quarter,
            evidence,
            used is not None and used.simulated,
        )
