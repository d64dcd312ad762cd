"""Where the demo's made-up events lie on the calendar, counted from the day of its first start."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

__all__ = ["DemoDates"]

_ZONE: Final = ZoneInfo("Asia/Shanghai")
_DAY: Final = dt.timedelta(days=1)
_WEDNESDAY, _TUESDAY = 2, 1
# Days of the source year (0 is 1 January 2018) on which the real works stood in mid-week.
_STOOD: Final = (212, 213, 214, 266, 267, 268)
_SOURCE_DAYS: Final = 365


@dataclass(frozen=True, slots=True)
class DemoDates:
    """Dates of a demo that was first started on ``started_on``, a local day."""

    base_year: int
    started_on: dt.date

    def month_back(self, months: int) -> dt.date:
        """Return the first day of the month so many before that of the first start."""
        number = self.started_on.year * 12 + self.started_on.month - 1 - months
        return dt.date(number // 12, number % 12 + 1, 1)

    @property
    def split_from(self) -> dt.date:
        """From when on there are sub-meters."""
        return self.month_back(3)

    @property
    def gap(self) -> tuple[dt.datetime, dt.datetime]:
        """Hours of the last finished month in which no sub-meter was read."""
        day = _first(self.month_back(1) + 9 * _DAY, _WEDNESDAY)
        return self.at(day, 9, 30), self.at(day, 14, 15)

    @property
    def calibration(self) -> tuple[dt.datetime, dt.datetime]:
        """Hours of the last finished month in which the office's meter was open."""
        day = _first(self.month_back(1) + 16 * _DAY, _TUESDAY)
        return self.at(day, 13), self.at(day, 14)

    def at(self, day: dt.date, hour: int, minute: int = 0) -> dt.datetime:
        """Return an instant of the works' day."""
        return dt.datetime.combine(day, dt.time(hour, minute), _ZONE)

    def names(self) -> dict[str, str]:
        """Return what the files' names in braces stand for."""
        year = self.base_year + 1
        lights = _first(self.started_on - 11 * _DAY, _TUESDAY)
        days = {
            "split_from": self.split_from,
            "leak_from": self.started_on - 14 * _DAY,
            "lights_from": lights,
            "lights_to": lights + 2 * _DAY,
            "calibrated_on": self.started_on - 345 * _DAY,
            "calibration_soon": self.started_on + 20 * _DAY,
            "calibration_far": self.started_on + 750 * _DAY,
        }
        first = dt.date(year, 1, 1)
        for number, stood in enumerate(_STOOD, 1):
            # A simulated year is the source turned by whole days, so that weekdays line up.
            day = (stood - first.weekday()) % _SOURCE_DAYS
            days[f"shutdown_{number}"] = first + day * _DAY
        years = {"base_year": self.base_year, "year": year, "end_year": self.base_year + 4}
        return {name: str(value) for name, value in (days | years).items()}


def _first(day: dt.date, weekday: int) -> dt.date:
    """Return the first such weekday from a day on."""
    return day + (weekday - day.weekday()) % 7 * _DAY
