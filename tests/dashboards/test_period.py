"""The grammar of periods in addresses."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.portal.period import Kind, Period, parse_period, period_name, period_of

_TODAY = dt.date(2018, 9, 14)  # a Friday


@pytest.mark.parametrize(
    ("text", "kind", "first", "end"),
    [
        ("2018-09-13", "day", "2018-09-13", "2018-09-14"),
        ("2018-W37", "week", "2018-09-10", "2018-09-17"),
        ("2020-W53", "week", "2020-12-28", "2021-01-04"),
        ("2018-02", "month", "2018-02-01", "2018-03-01"),
        ("2018", "year", "2018-01-01", "2019-01-01"),
        ("2018-08-01..2018-09-13", "span", "2018-08-01", "2018-09-14"),
        ("2018-08..2018-09", "span", "2018-08-01", "2018-10-01"),
        ("2018-08..yesterday", "span", "2018-08-01", "2018-09-14"),
        ("today", "day", "2018-09-14", "2018-09-15"),
        ("yesterday", "day", "2018-09-13", "2018-09-14"),
        ("this-week", "week", "2018-09-10", "2018-09-17"),
        ("last-week", "week", "2018-09-03", "2018-09-10"),
        ("this-month", "month", "2018-09-01", "2018-10-01"),
        ("last-month", "month", "2018-08-01", "2018-09-01"),
        ("last-year", "year", "2017-01-01", "2018-01-01"),
    ],
)
def test_what_can_be_asked_for(text: str, kind: str, first: str, end: str) -> None:
    period = parse_period(text, _TODAY)
    assert period is not None
    assert (period.kind, str(period.first), str(period.end)) == (kind, first, end)


@pytest.mark.parametrize(
    "text",
    [None, "", "2018-13", "2018-02-30", "2019-W53", "18", "..", "2018-09..2018-08", "next-week",
     "this-day", "2018-09-13..", "'; drop"],
)  # fmt: skip
def test_what_cannot_be_read_is_none(text: str | None) -> None:
    assert parse_period(text, _TODAY) is None


@given(
    st.dates(dt.date(1980, 1, 1), dt.date(2100, 1, 1)),
    st.sampled_from(["day", "week", "month", "year"]),
)
def test_a_period_reads_as_it_is_written_and_its_neighbours_touch_it(
    date: dt.date, kind: Kind
) -> None:
    period = period_of(kind, date)
    assert period.first <= date < period.end
    assert parse_period(period.text(), _TODAY) == period
    assert period.previous().end == period.first
    assert period.following().first == period.end
    assert period.following().previous() == period


def test_a_year_before_keeps_the_weekday_of_days_and_weeks() -> None:
    day = period_of("day", dt.date(2018, 9, 13))
    assert day.year_before().first.weekday() == day.first.weekday()
    february = period_of("month", dt.date(2020, 2, 29)).year_before()
    assert (str(february.first), str(february.end)) == ("2019-02-01", "2019-03-01")
    span = Period(kind="span", first=dt.date(2020, 2, 29), end=dt.date(2020, 3, 2))
    assert str(span.year_before().first) == "2019-02-28"


def test_a_period_has_a_name_in_both_languages() -> None:
    assert period_name("zh", period_of("day", _TODAY)) == "2018年9月14日 周五"
    assert period_name("zh", period_of("week", _TODAY)) == "2018年第37周"
    assert period_name("en", period_of("week", _TODAY)) == "2018, week 37"
    assert period_name("zh", period_of("year", _TODAY)) == "2018年"
    span = Period(kind="span", first=dt.date(2018, 8, 1), end=_TODAY)
    assert period_name("en", span) == "2018-08-01–2018-09-13"
