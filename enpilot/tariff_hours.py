"""Bands of a tariff over a local day, to the minute: every instant belongs to exactly one (F21).

A tariff says hours for each band, by month and by kind of day; special hours (deep valley on some
festivals) replace what they cover. Nothing here knows a price.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta

__all__ = [
    "BANDS",
    "DAY_CLASSES",
    "Band",
    "BandHours",
    "DayBand",
    "DayClass",
    "day_bands",
    "hours_mistakes",
    "hours_of_day",
]

# 尖峰 高峰 平段 低谷 深谷, the dearest first.
Band: TypeAlias = Literal["sharp", "peak", "flat", "valley", "deep_valley"]
DayClass: TypeAlias = Literal[
    "workday", "rest", "holiday", "shutdown", "spring_festival", "national_day", "labour_day",
    "mid_autumn", "dragon_boat", "tomb_sweeping", "new_year",
]  # fmt: skip
BANDS: Final[tuple[Band, ...]] = get_args(Band)
DAY_CLASSES: Final[tuple[DayClass, ...]] = get_args(DayClass)
_FESTIVALS: Final = DAY_CLASSES[4:]
_DAY_MINUTES: Final = 24 * 60
_ALL_MONTHS: Final = tuple(range(1, 13))

_Month = Annotated[int, Meta(ge=1, le=12)]
# "08:00-11:30"; an end before the begin runs over midnight, inside each local day by itself.
_Hours = Annotated[
    str,
    Meta(
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)\Z",
        description='hours such as "08:00-11:30", at most to 24:00',
    ),
]


def hours_of_day(text: str) -> Iterator[tuple[int, int]]:
    """Yield "22:00-08:00" as minutes of a local day [from, to)."""
    begin, end = (_minute(part) for part in text.split("-"))
    if begin < end:
        yield begin, end
    else:
        yield begin, _DAY_MINUTES
        if end:
            yield 0, end


class BandHours(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Hours of one band; without ``months`` in each, without ``days`` on every kind of day."""

    band: Band
    hours: Annotated[tuple[_Hours, ...], Meta(min_length=1)]
    months: tuple[_Month, ...] = _ALL_MONTHS
    days: tuple[DayClass, ...] = ()

    def holds(self, month: int, classes: frozenset[str]) -> bool:
        """Return whether it speaks of a month, and of a day that is of these classes."""
        return month in self.months and (not self.days or not classes.isdisjoint(self.days))

    def minutes(self) -> Iterator[tuple[int, int]]:
        """Yield its hours as minutes of the local day [from, to)."""
        for text in self.hours:
            yield from hours_of_day(text)


class DayBand(msgspec.Struct, frozen=True):
    """A band from .. to on one local day [minutes of the local day]."""

    begin: int
    end: int
    band: Band


def day_bands(
    hours: Sequence[BandHours],
    special_hours: Sequence[BandHours],
    month: int,
    classes: frozenset[str],
) -> list[DayBand]:
    """Return the bands of a local day in order, without gap or overlap.

    Parameters
    ----------
    hours, special_hours
        Of one tariff; `hours_mistakes` found nothing in them.
    month
        1 .. 12.
    classes
        What the day is: its kind, and its festival if it has one.

    Returns
    -------
    list of DayBand
        From minute 0 to minute 1440.
    """
    owner: list[Band | None] = [None] * _DAY_MINUTES
    for rules in (hours, special_hours):
        for rule in rules:
            if rule.holds(month, classes):
                for begin, end in rule.minutes():
                    owner[begin:end] = [rule.band] * (end - begin)
    found = []
    minute = 0
    for band, run in itertools.groupby(owner):
        end = minute + len(list(run))
        assert band is not None, "hours_mistakes refuses a gap"
        found.append(DayBand(minute, end, band))
        minute = end
    return found


def hours_mistakes(
    hours: Sequence[BandHours], special_hours: Sequence[BandHours], path: str
) -> Iterator[str]:
    """Yield what keeps every minute of every kind of day from having exactly one band.

    Parameters
    ----------
    hours, special_hours
        Of one tariff.
    path
        Where the tariff stands in its file.

    Yields
    ------
    str
        A gap or an overlap, with its place and remedy; each only once.
    """
    said: set[str] = set()
    for month, classes in itertools.product(_ALL_MONTHS, _kinds_of_days()):
        when = f"in month {month} on a day that is {' and '.join(sorted(classes))}"
        for what, remedy in (
            *_overlaps(hours, month, classes, f"{path}.hours"),
            *_overlaps(special_hours, month, classes, f"{path}.special_hours"),
            *_gaps((*hours, *special_hours), month, classes, f"{path}.hours"),
        ):
            # The same hours are missing in many months and on many days: the first says it.
            if what not in said:
                said.add(what)
                yield f"{what}: {when}{remedy}"


def _overlaps(
    rules: Sequence[BandHours], month: int, classes: frozenset[str], path: str
) -> Iterator[tuple[str, str]]:
    held = [
        (begin, end, i)
        for i, rule in enumerate(rules)
        if rule.holds(month, classes)
        for begin, end in rule.minutes()
    ]
    for (_, end, i), (begin, later_end, j) in itertools.pairwise(sorted(held)):
        if begin < end:
            hours = f"{_clock(begin)}-{_clock(min(end, later_end))}"
            both = f"{rules[i].band} and {rules[j].band}"
            yield f"{hours} is in two bands, {both}", f" - at `{path}[{j}]`"


def _gaps(
    rules: Sequence[BandHours], month: int, classes: frozenset[str], path: str
) -> Iterator[tuple[str, str]]:
    held = sorted(span for rule in rules if rule.holds(month, classes) for span in rule.minutes())
    reached = 0
    for begin, end in [*held, (_DAY_MINUTES, _DAY_MINUTES)]:
        if begin > reached:
            hours = f"{_clock(reached)}-{_clock(begin)}"
            yield f"{hours} is in no band", f"; give it one - at `{path}`"
        reached = max(reached, end)


def _kinds_of_days() -> Iterator[frozenset[str]]:
    for kind in ("workday", "rest", "shutdown", "holiday"):
        yield frozenset({kind})
    for festival in _FESTIVALS:
        yield frozenset({"holiday", festival})


def _minute(text: str) -> int:
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)


def _clock(minute: int) -> str:
    return "24:00" if minute == _DAY_MINUTES else f"{dt.time(minute // 60, minute % 60):%H:%M}"
