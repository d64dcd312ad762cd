"""Local days: moved working days, arrangements of festivals, what a site declares itself."""

from __future__ import annotations

import datetime as dt

import pytest

from analytics.accounting.holidays import (
    DayKind,
    DeclaredDay,
    Festival,
    HolidayCalendar,
    spring_festival_offset,
)

CHINA = HolidayCalendar(chinese=True)


def days(first: str, last: str) -> list[dt.date]:
    begin, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    return [begin + dt.timedelta(days=n) for n in range((end - begin).days + 1)]


# The arrangements as the State Council's notices print them, first and last day off.
ARRANGED = [
    ("2024-02-10", "2024-02-17", Festival.SPRING_FESTIVAL),
    ("2024-04-04", "2024-04-06", Festival.TOMB_SWEEPING),
    ("2024-05-01", "2024-05-05", Festival.LABOUR_DAY),
    ("2024-06-08", "2024-06-10", Festival.DRAGON_BOAT),
    ("2024-09-15", "2024-09-17", Festival.MID_AUTUMN),
    ("2024-10-01", "2024-10-07", Festival.NATIONAL_DAY),
    ("2025-01-28", "2025-02-04", Festival.SPRING_FESTIVAL),
    ("2025-10-01", "2025-10-08", Festival.NATIONAL_DAY),  # with Mid-Autumn inside
    ("2026-01-01", "2026-01-03", Festival.NEW_YEAR),
    ("2026-02-15", "2026-02-23", Festival.SPRING_FESTIVAL),
]


@pytest.mark.parametrize(("first", "last", "festival"), ARRANGED)
def test_an_arrangement_is_whole_and_ends(first: str, last: str, festival: Festival) -> None:
    for day in days(first, last):
        found = CHINA.of(day)
        assert (found.kind, found.festival) == (DayKind.HOLIDAY, festival), day
    around = [days(first, last)[0] - dt.timedelta(days=1), days(first, last)[-1]]
    around[1] += dt.timedelta(days=1)
    for day in around:
        assert CHINA.of(day).is_working_day, day


@pytest.mark.parametrize("day", ["2024-02-04", "2024-09-29", "2026-01-04", "2026-10-10"])
def test_a_weekend_that_is_worked_is_a_working_day(day: str) -> None:
    date = dt.date.fromisoformat(day)
    assert date.weekday() >= 5
    assert CHINA.of(date).kind is DayKind.WORKDAY


def test_an_ordinary_weekend_is_rest_without_a_name() -> None:
    found = CHINA.of(dt.date(2024, 3, 16))
    assert (found.kind, found.festival, found.name_zh) == (DayKind.REST, None, None)


def test_elsewhere_only_weekends_are_free() -> None:
    berlin = HolidayCalendar(chinese=False)
    assert berlin.of(dt.date(2024, 10, 1)).is_working_day
    assert berlin.of(dt.date(2024, 9, 29)).kind is DayKind.REST


def test_what_the_site_declares_wins() -> None:
    site = HolidayCalendar(
        chinese=True,
        declared={
            dt.date(2024, 10, 1): DeclaredDay(DayKind.WORKDAY, "国庆加班", "worked"),
            dt.date(2024, 8, 5): DeclaredDay(DayKind.SHUTDOWN, "检修", "overhaul"),
        },
    )
    worked = site.of(dt.date(2024, 10, 1))
    assert worked.is_working_day
    assert worked.festival is None
    assert site.of(dt.date(2024, 8, 5)).name_en == "overhaul"
    assert site.of(dt.date(2024, 10, 2)).kind is DayKind.HOLIDAY


@pytest.mark.parametrize(
    ("day", "offset"),
    [("2024-02-10", 0), ("2024-02-09", -1), ("2024-01-01", -40), ("2024-12-31", -29),
     ("2025-01-29", 0), ("2026-02-20", 3), ("2024-06-30", 141)],
)  # fmt: skip
def test_the_offset_from_the_spring_festival(day: str, offset: int) -> None:
    assert spring_festival_offset(dt.date.fromisoformat(day)) == offset


def test_a_year_without_moved_days_is_not_announced() -> None:
    assert CHINA.is_announced(2025)
    assert not CHINA.is_announced(2090)
    assert HolidayCalendar(chinese=False).is_announced(2090)
