"""Days, shifts, weeks, months and years as a site cuts them (F21)."""

from __future__ import annotations

import datetime as dt
import itertools
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.accounting.site_calendar import Period, Shift, SiteCalendar

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
ALWAYS = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
CREWS = [
    Shift("day", dt.time(8), dt.time(16), ALWAYS),
    Shift("late", dt.time(16), dt.time(0), ALWAYS),
    Shift("night", dt.time(0), dt.time(8), ALWAYS),
]
DAYS = st.dates(dt.date(2020, 1, 1), dt.date(2030, 1, 1))


def hours(calendar: SiteCalendar, period: Period) -> float:
    since, until = calendar.span(period)
    return (until - since) / dt.timedelta(hours=1)


def test_a_local_day_has_23_24_or_25_hours() -> None:
    civil = SiteCalendar(BERLIN)
    assert [
        hours(civil, Period(day, day + dt.timedelta(days=1), "day"))
        for day in (dt.date(2026, 3, 29), dt.date(2026, 3, 30), dt.date(2026, 10, 25))
    ] == [23, 24, 25]


def test_a_night_shift_belongs_to_the_day_it_began() -> None:
    calendar = SiteCalendar(SHANGHAI, dt.time(8), 1, CREWS)
    shifts = list(calendar.shifts_of(dt.date(2026, 3, 1), dt.date(2026, 3, 2)))
    assert [s.shift for s in shifts] == ["day", "late", "night"]
    since, until = calendar.span(shifts[2])
    assert since.astimezone(SHANGHAI).isoformat() == "2026-03-02T00:00:00+08:00"
    assert until.astimezone(SHANGHAI).isoformat() == "2026-03-02T08:00:00+08:00"
    assert calendar.day_of(since) == dt.date(2026, 3, 1)


@given(DAYS, st.sampled_from([SHANGHAI, BERLIN]), st.sampled_from([0, 6, 8]))
def test_shifts_without_a_break_make_the_day(day: dt.date, zone: ZoneInfo, start: int) -> None:
    crews = [
        Shift(str(i), dt.time((start + 8 * i) % 24), dt.time((start + 8 * i + 8) % 24), ALWAYS)
        for i in range(3)
    ]
    calendar = SiteCalendar(zone, dt.time(start), 1, crews)
    ends = [calendar.span(s) for s in calendar.shifts_of(day, day + dt.timedelta(days=1))]
    assert ends[0][0] == calendar.begins(day)
    assert ends[-1][1] == calendar.begins(day + dt.timedelta(days=1))
    assert [a[1] for a in ends[:-1]] == [b[0] for b in ends[1:]]


def test_a_shift_that_ended_is_not_there_any_more() -> None:
    until = dt.datetime(2026, 3, 1, tzinfo=SHANGHAI)
    calendar = SiteCalendar(
        SHANGHAI, dt.time(8), 1, [Shift("day", dt.time(8), dt.time(20), ALWAYS, until)]
    )
    days = calendar.shifts_of(dt.date(2026, 2, 27), dt.date(2026, 3, 3))
    assert [s.first.day for s in days] == [27, 28]
    with pytest.raises(KeyError, match="no shift 'day' on 2026-03-02"):
        calendar.span(Period(dt.date(2026, 3, 2), dt.date(2026, 3, 3), "shift", "day"))


def test_a_reporting_month_is_named_by_the_month_it_ends_in() -> None:
    calendar = SiteCalendar(SHANGHAI, month_day=26)
    january, february = list(calendar.months(dt.date(2026, 1, 10), dt.date(2026, 1, 27)))
    assert (january.first, january.after) == (dt.date(2025, 12, 26), dt.date(2026, 1, 26))
    assert calendar.month_number(january.first) == 1
    assert calendar.year_start(dt.date(2025, 12, 30)) == dt.date(2025, 12, 26)
    assert calendar.year_start(dt.date(2025, 12, 20)) == dt.date(2024, 12, 26)
    assert february.first == january.after
    quarter = next(calendar.quarters(dt.date(2026, 2, 1), dt.date(2026, 2, 2)))
    assert (quarter.first, quarter.after) == (dt.date(2025, 12, 26), dt.date(2026, 3, 26))


@given(DAYS, st.integers(1, 28))
def test_months_and_quarters_tile_the_year(day: dt.date, month_day: int) -> None:
    calendar = SiteCalendar(SHANGHAI, month_day=month_day)
    first = calendar.year_start(day)
    after = first.replace(year=first.year + 1)
    for make, count in ((calendar.months, 12), (calendar.quarters, 4)):
        found = list(make(first, after))
        assert len(found) == count
        assert (found[0].first, found[-1].after) == (first, after)
        assert all(a.after == b.first for a, b in itertools.pairwise(found))
    rolling = list(calendar.rolling_years(first, after))
    assert rolling[-1] == Period(first, after, "rolling_12")


def test_weeks_begin_on_monday() -> None:
    weeks = list(SiteCalendar(SHANGHAI).weeks(dt.date(2026, 3, 4), dt.date(2026, 3, 10)))
    assert [w.first for w in weeks] == [dt.date(2026, 3, 2), dt.date(2026, 3, 9)]
