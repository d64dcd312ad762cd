"""The real quarter-hourly load of a steel works, laid onto the calendar of any year.

A year of the simulated plant is the real year turned by whole days so that weekdays line up: every
real quarter hour occurs exactly once, and the year's energy is the real year's. In a leap year the
last day stands still, since the source has 365.
"""

from __future__ import annotations

import datetime as dt
import lzma
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from itertools import accumulate, pairwise
from typing import Final
from zoneinfo import ZoneInfo

__all__ = ["IDLE_MICRO_KWH", "QUARTER_S", "Improvement", "SteelLoad", "real_year"]

QUARTER_S: Final = 900
# Of a quarter hour: what the halls take when nothing is made, by what nights and Sundays take.
IDLE_MICRO_KWH: Final = 4_000_000
_QUARTERS: Final = 35_040
_DAY_QUARTERS: Final = 96
# 1 January 2018 was a Monday.
_SOURCE_WEEKDAY: Final = 0


@dataclass(frozen=True, slots=True)
class RealYear:
    """The source, in whole hundredths so that sums are exact.

    Attributes
    ----------
    centi_kwh, lagging_centi_kvarh, leading_centi_kvarh
        Energy of each quarter hour of 2018 [0.01 kWh, 0.01 kvarh].
    """

    centi_kwh: tuple[int, ...]
    lagging_centi_kvarh: tuple[int, ...]
    leading_centi_kvarh: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Improvement:
    """From a day on the plant takes less for the same work: SYNTHETIC [basis points]."""

    since: dt.date
    basis_points: int


@cache
def real_year() -> RealYear:
    """Read the carried data."""
    packed = files("edge_agent.simulator").joinpath("data/steel_2018.csv.xz").read_bytes()
    lines = [x for x in lzma.decompress(packed).decode().splitlines() if not x.startswith("#")]
    rows = [[round(float(cell) * 100) for cell in line.split(",")] for line in lines[1:]]
    energy, lagging, leading = (tuple(column) for column in zip(*rows, strict=True))
    return RealYear(energy, lagging, leading)


class SteelLoad:
    """Energy of the simulated plant as a pure function of absolute time.

    Pure, so that imported history and live registers are one curve and a restart goes on exactly.
    The zone must not change its offset within a year.
    """

    def __init__(self, first_year: int, zone: ZoneInfo, improvements: list[Improvement]) -> None:
        self.first_year = first_year
        self._zone = zone
        self._improvements = sorted(improvements, key=lambda i: i.since)

    @property
    def first_quarter(self) -> int:
        """Number of the quarter hour, counted from 1970, in which the plant begins."""
        return int(_year_start(self.first_year, self._zone)) // QUARTER_S

    def energy_micro_kwh(self, at_s: float, *, improved: bool = True) -> int:
        """Return the energy since the first year began [1e-6 kWh] at ``at_s`` [s since 1970]."""
        year, quarter, share = self.place(at_s)
        before = sum(self._sums(y, improved)[-1] for y in range(self.first_year, year))
        sums = self._sums(year, improved)
        running = sums[quarter + 1] - sums[quarter]
        return before + sums[quarter] + int(running * share)

    def power_kw(self, at_s: float) -> float:
        """Return the mean active power of the running quarter hour [kW]."""
        year, quarter, _ = self.place(at_s)
        sums = self._sums(year, True)
        return (sums[quarter + 1] - sums[quarter]) / 1e6 * 4

    def power_factor(self, at_s: float) -> float:
        """Return the power factor of the running quarter hour, 1 where nothing flows."""
        year, quarter, _ = self.place(at_s)
        source = self._source(year, quarter)
        if source is None:
            return 1.0
        real = real_year()
        active = real.centi_kwh[source]
        reactive = real.lagging_centi_kvarh[source] + real.leading_centi_kvarh[source]
        apparent = (active * active + reactive * reactive) ** 0.5
        return active / apparent if apparent else 1.0

    def quarters(self, year: int) -> list[int]:
        """Return the energy of each quarter hour of a year [1e-6 kWh]."""
        return [b - a for a, b in pairwise(self._sums(year, True))]

    def place(self, at_s: float) -> tuple[int, int, float]:
        """Return year, quarter hour of the year, and how much of it is over, 0 .. 1."""
        year = dt.datetime.fromtimestamp(at_s, self._zone).year
        start = _year_start(year, self._zone)
        quarter, rest = divmod(at_s - start, QUARTER_S)
        return year, int(quarter), rest / QUARTER_S

    def _source(self, year: int, quarter: int) -> int | None:
        if quarter >= _QUARTERS:
            return None
        turn = (dt.date(year, 1, 1).weekday() - _SOURCE_WEEKDAY) * _DAY_QUARTERS
        return (quarter + turn) % _QUARTERS

    @lru_cache(maxsize=32)  # noqa: B019  # one load a process, and it lives as long
    def _sums(self, year: int, improved: bool) -> list[int]:
        """Return the energy from the year's start to each quarter hour's [1e-6 kWh]."""
        if year < self.first_year:
            raise ValueError(f"the plant exists from {self.first_year}, not {year}")
        days = (dt.date(year + 1, 1, 1) - dt.date(year, 1, 1)).days
        energy = real_year().centi_kwh
        parts = []
        for day in range(days):
            kept = 10_000 - (self._basis_points(year, day) if improved else 0)
            for quarter in range(day * _DAY_QUARTERS, (day + 1) * _DAY_QUARTERS):
                source = self._source(year, quarter)
                parts.append(0 if source is None else energy[source] * kept)
        return list(accumulate(parts, initial=0))

    def _basis_points(self, year: int, day: int) -> int:
        date = dt.date(year, 1, 1) + dt.timedelta(days=day)
        place = bisect_right(self._improvements, date, key=lambda i: i.since)
        return self._improvements[place - 1].basis_points if place else 0


@cache
def _year_start(year: int, zone: ZoneInfo) -> float:
    return dt.datetime(year, 1, 1, tzinfo=zone).timestamp()
