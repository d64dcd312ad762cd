"""Loads of a site's points by quarter-hours, loaded once for all detectors."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from analytics.accounting.energy_parts import MeteredPoint
from analytics.accounting.holidays import HolidayCalendar
from analytics.accounting.site_calendar import midnight
from analytics.accounting.site_facts import SiteFacts
from analytics.intervals.readings import microseconds
from analytics.intervals.sums import GRID_US, SeriesIntervals, load_intervals
from analytics.waste.declared import WasteFacts
from analytics.waste.quarter_hours import (
    LocalQuarters,
    QuarterHours,
    local_quarters,
    quarter_hours,
)
from enpilot.quantities import INTEGRALS, QUANTITIES, energy_quantity, unit_ratio

__all__ = ["SiteLoads"]

_QUARTER_S: Final = 900
# A day: whoever publishes a status only on its change says it again from time to time.
_LONGEST_HELD: Final = 96


class SiteLoads:
    """Loads of a site over local days, and what its gauges said.

    Parameters
    ----------
    connection
        To the database.
    facts, declared, calendar
        Of the site.
    since, until
        Local days [since, until).
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        facts: SiteFacts,
        declared: WasteFacts,
        calendar: HolidayCalendar,
        since: dt.date,
        until: dt.date,
    ) -> None:
        self._connection, self._facts, self._declared = connection, facts, declared
        self._until = midnight(until, facts.zone)
        wanted = {p.series_id for parts in facts.metered.values() for p in parts}
        wanted |= set(declared.power.values())
        self._intervals = load_intervals(
            connection,
            {c.series_id: c.quantity for c in facts.counters if c.series_id in wanted},
            midnight(since, facts.zone),
            self._until,
        )
        self._known: dict[int, QuarterHours | None] = {}
        self.quarters: LocalQuarters = local_quarters(facts.zone, calendar, since, until)

    def unit(self, point_id: int) -> str:
        """Return the unit of a point's energy.

        Parameters
        ----------
        point_id
            An accepted point.

        Returns
        -------
        str
            That of its medium (`enpilot.quantities`).
        """
        return QUANTITIES[energy_quantity(self._declared.place[point_id].medium)].unit

    def of(self, point_id: int) -> QuarterHours | None:
        """Return the load of a point.

        Parameters
        ----------
        point_id
            An accepted point.

        Returns
        -------
        QuarterHours or None
            None if it has no interval there.
        """
        if point_id not in self._known:
            self._known[point_id] = quarter_hours(
                self._parts(point_id), self._intervals.get, self.quarters
            )
        return self._known[point_id]

    def series_of(self, point_id: int) -> list[SeriesIntervals]:
        """Return the intervals of the counters of a point.

        Parameters
        ----------
        point_id
            An accepted point.

        Returns
        -------
        list of SeriesIntervals
            Without those that have no reading at all.
        """
        return [
            s for p in self._parts(point_id) if (s := self._intervals.get(p.series_id)) is not None
        ]

    def integrated(self, point_id: int) -> QuarterHours | None:
        """Return what a point's gauge of power amounts to, where the plant integrates it.

        Parameters
        ----------
        point_id
            A point with a counter beside it.

        Returns
        -------
        QuarterHours or None
            None without such a gauge.
        """
        power = self._declared.power.get(point_id)
        if power is None or power not in {c.series_id for c in self._facts.counters}:
            return None
        since = self.quarters.since
        part = MeteredPoint(power, "electricity", "kWh", 1, False, since, None, None)
        return quarter_hours([part], self._intervals.get, self.quarters)

    def power(self, point_id: int, since: dt.datetime, until: dt.datetime) -> QuarterHours | None:
        """Return what a point's gauge of power says, as energy of whole quarter-hours.

        Parameters
        ----------
        point_id
            The point.
        since, until
            Where to look; elsewhere nothing is known.

        Returns
        -------
        QuarterHours or None
            Mean of the readings times a quarter of an hour; None without a gauge.
        """
        series_id = self._declared.power.get(point_id)
        if series_id is None:
            return None
        per_hour = INTEGRALS["active_power"][1]
        n, begin = len(self.quarters.day), microseconds(self.quarters.since)
        amount, known = np.zeros(n), np.zeros(n, dtype=np.bool_)
        for bucket, mean, unit in self._connection.execute(
            "SELECT date_bin('15 minutes', r.ts, 'epoch'::timestamptz), avg(coalesce(r.raw_int,"
            ' r.raw_real) * e.scale::double precision + e."offset"::double precision), e.unit'
            " FROM counted_reading r JOIN series_epoch e ON e.series_id = r.series_id"
            " AND e.valid_from <= r.ts AND (e.valid_to IS NULL OR r.ts < e.valid_to)"
            " AND e.superseded_commit_no IS NULL WHERE r.series_id = %s AND r.ts >= %s"
            " AND r.ts < %s AND r.quality & 255 = 0 GROUP BY 1, 3",
            (series_id, since, until),
        ):
            number = (microseconds(bucket) - begin) // GRID_US
            if 0 <= number < n and mean is not None:
                ratio = float(unit_ratio("active_power", unit) * per_hour)
                amount[number] = mean * ratio * _QUARTER_S / 3600
                known[number] = True
        return QuarterHours(amount, known)

    def status(self, series_id: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return a status by quarter-hours.

        Parameters
        ----------
        series_id
            Of quantity ``status``.

        Returns
        -------
        tuple
            The value of each quarter-hour, and whether it held for all of it, shape (n,); a value
            holds until the next reading, for at most a day.
        """
        n, begin = len(self.quarters.day), microseconds(self.quarters.since)
        value, known = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.bool_)
        held: int | None = None
        at = 0
        for bucket, first, low, high, last in self._connection.execute(
            "SELECT date_bin('15 minutes', ts, 'epoch'::timestamptz), min(ts), min(v), max(v),"
            " (array_agg(v ORDER BY ts DESC))[1] FROM (SELECT ts, coalesce(raw_int,"
            " round(raw_real)::bigint) AS v FROM counted_reading WHERE series_id = %s AND ts >= %s"
            " AND ts < %s AND quality & 255 = 0) x GROUP BY 1 ORDER BY 1",
            (series_id, self.quarters.since, self._until),
        ):
            number = (microseconds(bucket) - begin) // GRID_US
            if held is not None and number - at <= _LONGEST_HELD:
                value[at:number], known[at:number] = held, True
            # A quarter-hour within which it changed belongs to neither state.
            if low == high and (first == bucket or held in (None, low)):
                value[number], known[number] = low, True
            held, at = int(last), number + 1
        if held is not None and n - at <= _LONGEST_HELD:
            value[at:], known[at:] = held, True
        return value, known

    def _parts(self, point_id: int) -> list[MeteredPoint]:
        place = self._declared.place[point_id]
        return [p for p in self._facts.metered.get(place.code, ()) if p.sign > 0]
