"""Working days, public holidays and festivals of a site's local days (F21).

China's State Council moves working days every year, so that a Sunday may be a working day and a
Monday a day off. The `holidays` library carries what was announced; a site's plant file overrides
single days (``[[calendar_day]]``).
"""

from __future__ import annotations

import datetime as dt
import enum
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

import holidays
import psycopg

__all__ = [
    "DayKind",
    "DeclaredDay",
    "Festival",
    "HolidayCalendar",
    "LocalDay",
    "load_holidays",
    "spring_festival_offset",
]

_CHINA: Final = frozenset({"Asia/Shanghai", "Asia/Urumqi", "Asia/Chongqing", "PRC"})
_ONE_DAY: Final = dt.timedelta(days=1)
# No arrangement of holidays is longer; a run of days off is looked at this far from its festival.
_LONGEST_RUN_DAYS: Final = 16
_SATURDAY: Final = 5


class DayKind(enum.StrEnum):
    """What kind of day a local day is."""

    WORKDAY = "workday"
    REST = "rest"  # a weekend that nobody moved
    HOLIDAY = "holiday"  # a day off of a festival's arrangement, weekends in it included
    SHUTDOWN = "shutdown"  # the site says that it stands still


class Festival(enum.StrEnum):
    """Festivals with days off by law in China; where two meet, the first here names the days."""

    SPRING_FESTIVAL = "spring_festival"
    NATIONAL_DAY = "national_day"
    LABOUR_DAY = "labour_day"
    MID_AUTUMN = "mid_autumn"
    DRAGON_BOAT = "dragon_boat"
    TOMB_SWEEPING = "tomb_sweeping"
    NEW_YEAR = "new_year"


# How the library's English names begin.
_NAMED: Final = {
    "Chinese New Year": Festival.SPRING_FESTIVAL,
    "National Day": Festival.NATIONAL_DAY,
    "Labor Day": Festival.LABOUR_DAY,
    "Mid-Autumn": Festival.MID_AUTUMN,
    "Dragon Boat": Festival.DRAGON_BOAT,
    "Tomb-Sweeping": Festival.TOMB_SWEEPING,
    "New Year's Day": Festival.NEW_YEAR,
}
_NAMES: Final = {
    Festival.SPRING_FESTIVAL: ("春节", "Spring Festival"),
    Festival.NATIONAL_DAY: ("国庆节", "National Day"),
    Festival.LABOUR_DAY: ("劳动节", "Labour Day"),
    Festival.MID_AUTUMN: ("中秋节", "Mid-Autumn Festival"),
    Festival.DRAGON_BOAT: ("端午节", "Dragon Boat Festival"),
    Festival.TOMB_SWEEPING: ("清明节", "Tomb-Sweeping Day"),
    Festival.NEW_YEAR: ("元旦", "New Year's Day"),
}


@dataclass(frozen=True, slots=True)
class LocalDay:
    """One local day; names are None for an ordinary working day or weekend."""

    day: dt.date
    kind: DayKind
    festival: Festival | None
    name_zh: str | None
    name_en: str | None

    @property
    def is_working_day(self) -> bool:
        """Whether people work by the calendar."""
        return self.kind is DayKind.WORKDAY


@dataclass(frozen=True, slots=True)
class DeclaredDay:
    """What a site says of one of its days."""

    kind: DayKind
    name_zh: str
    name_en: str


@dataclass(frozen=True, slots=True)
class HolidayCalendar:
    """Kinds of the local days of one site.

    Parameters
    ----------
    chinese
        Whether China's public holidays hold; else only weekends are free.
    declared
        Days that the site declares itself; they win.
    """

    chinese: bool
    declared: Mapping[dt.date, DeclaredDay] = field(default_factory=dict)

    def of(self, day: dt.date) -> LocalDay:
        """Return what a local day is.

        Parameters
        ----------
        day
            A local date of the site, from 1950 on.

        Returns
        -------
        LocalDay
            Its kind, with the festival whose arrangement it belongs to.

        Notes
        -----
        Arrangements by the State Council's yearly notice (国务院办公厅关于节假日安排的通知), as the
        `holidays` library carries them; days off next to each other around a festival are one
        arrangement, as the notices print it. F21.
        """
        festival = _festival_of(day) if self.chinese else None
        said = self.declared.get(day)
        if said is not None:
            kept = festival if said.kind is DayKind.HOLIDAY else None
            return LocalDay(day, said.kind, kept, said.name_zh, said.name_en)
        if festival is not None:
            return LocalDay(day, DayKind.HOLIDAY, festival, *_NAMES[festival])
        free = _is_off(day) if self.chinese else day.weekday() >= _SATURDAY
        return LocalDay(day, DayKind.REST if free else DayKind.WORKDAY, None, None, None)

    def is_announced(self, year: int) -> bool:
        """Return whether the moved working days of a year are known, so that they can be relied on.

        Parameters
        ----------
        year
            A calendar year.

        Returns
        -------
        bool
            False if no weekend of the year is known to be worked: the notice comes each November.
        """
        return not self.chinese or any(d.year == year for d in _china(year).weekend_workdays)


def spring_festival_offset(day: dt.date) -> int:
    """Return how many days a day lies after the nearest lunar New Year's Day.

    Parameters
    ----------
    day
        A date, 1951 to 2098.

    Returns
    -------
    int
        0 on New Year's Day, negative before it [d].

    Notes
    -----
    January and February are only comparable between years by this offset (F8, F21).
    """
    offsets = [(day - _lunar_new_year(year)).days for year in range(day.year - 1, day.year + 2)]
    return min(offsets, key=abs)


def load_holidays(
    connection: psycopg.Connection[Any], site_id: int, zone: ZoneInfo
) -> HolidayCalendar:
    """Load a site's calendar: its country's holidays, and the days that it declares itself.

    Parameters
    ----------
    connection
        To the database.
    site_id
        The site.
    zone
        Its time zone; those of China have China's holidays.

    Returns
    -------
    HolidayCalendar
        As it is known now (F21).
    """
    declared = {
        day: DeclaredDay(DayKind(kind), name_zh, name_en)
        for day, kind, name_zh, name_en in connection.execute(
            "SELECT day, kind, name_zh, name_en FROM calendar_day"
            " WHERE site_id = %s AND superseded_commit_no IS NULL",
            (site_id,),
        )
    }
    return HolidayCalendar(zone.key in _CHINA, declared)


@functools.cache
def _china(year: int) -> holidays.HolidayBase:
    return holidays.country_holidays("CN", years=year, language="en_US")


@functools.cache
def _lunar_new_year(year: int) -> dt.date:
    return min(
        day
        for day, name in _china(year).items()
        if name.startswith("Chinese New Year (") and "observed" not in name
    )


def _is_off(day: dt.date) -> bool:
    year = _china(day.year)
    return day in year or (day.weekday() >= _SATURDAY and day not in year.weekend_workdays)


def _named(day: dt.date) -> set[Festival]:
    return {
        festival
        for name in _china(day.year).get_list(day)
        for start, festival in _NAMED.items()
        if name.startswith(start)
    }


@functools.lru_cache(maxsize=4096)
def _festival_of(day: dt.date) -> Festival | None:
    """Return the festival whose run of days off a day belongs to."""
    if not _is_off(day):
        return None
    found: set[Festival] = set()
    for step in (-_ONE_DAY, _ONE_DAY):
        at = day
        for _ in range(_LONGEST_RUN_DAYS):
            if not _is_off(at):
                break
            found |= _named(at)
            at += step
    return next((f for f in Festival if f in found), None)
