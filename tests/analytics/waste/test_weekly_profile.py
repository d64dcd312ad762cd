"""What comparable days let expect, runs above it, and no alarm on clean loads."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from analytics.accounting.holidays import DayKind, DeclaredDay, HolidayCalendar
from analytics.waste.quarter_hours import QuarterHours, local_quarters
from analytics.waste.weekly_profile import deviations, expected_profile
from tests.analytics.waste.loads import FIRST, ZONE, planted, quarters_of, works

DAYS = 84
JUDGED = 70


def judged(day: int) -> dt.date:
    return FIRST + dt.timedelta(days=day)


def test_a_night_that_was_left_on_is_one_run_with_its_energy() -> None:
    quarters = quarters_of(DAYS)
    # Of day 72 from 20:00 to 06:00: 30 kW more, over midnight, 300 kWh.
    first = 72 * 96 + 80
    used = planted(works(quarters, noise=0.01), first, first + 40, 30)
    [run] = deviations(used, expected_profile(used, quarters, judged(JUDGED)))
    assert (run.first, run.after, run.hours) == (first, first + 40, 10.0)
    assert run.above == pytest.approx(300, rel=0.02)
    assert run.expected == pytest.approx(200, rel=0.02)
    assert run.z > 4


def test_a_weekend_is_compared_with_weekends() -> None:
    quarters = quarters_of(DAYS)
    saturday = next(n for n in range(JUDGED, DAYS) if quarters.days[n].weekday() == 5)
    used = planted(works(quarters), saturday * 96 + 40, saturday * 96 + 56, 180)
    [run] = deviations(used, expected_profile(used, quarters, judged(JUDGED)))
    assert run.above == pytest.approx(720)


def test_no_false_alarm_in_clean_records() -> None:
    """20 works x 14 days with noise by quarter-hour and by day."""
    quarters = quarters_of(DAYS)
    false = 0
    for seed in range(20):
        used = works(quarters, noise=0.05, day_noise=0.08, seed=seed)
        false += len(deviations(used, expected_profile(used, quarters, judged(JUDGED))))
    assert false == 0


def test_a_planned_shutdown_neither_alarms_nor_teaches() -> None:
    since, until = FIRST, FIRST + dt.timedelta(days=DAYS)
    still = {
        FIRST + dt.timedelta(days=n): DeclaredDay(DayKind.SHUTDOWN, "检修", "overhaul")
        for n in range(70, 77)
    }
    quarters = local_quarters(ZONE, HolidayCalendar(False, still), since, until)
    used = works(quarters)  # the works stands still in these days
    used = planted(used, 71 * 96 + 40, 71 * 96 + 60, 500)  # work on it, at full load
    expected = expected_profile(used, quarters, judged(JUDGED))
    assert not expected.known[70 * 96 : 77 * 96].any()
    assert deviations(used, expected) == []


def test_too_little_history_expects_nothing() -> None:
    quarters = quarters_of(10)
    used = planted(works(quarters), 2 * 96, 2 * 96 + 20, 300)
    expected = expected_profile(used, quarters, FIRST)
    assert not expected.known[: 4 * 96].any()
    assert expected.known[4 * 96 : 5 * 96].all()
    assert deviations(used, expected) == []


def test_unknown_quarter_hours_are_not_exceeded() -> None:
    quarters = quarters_of(DAYS)
    used = planted(works(quarters), 72 * 96, 72 * 96 + 20, 100)
    known = np.ones(len(used.amount), dtype=np.bool_)
    known[72 * 96 : 72 * 96 + 20] = False
    used = QuarterHours(used.amount, known)
    assert deviations(used, expected_profile(used, quarters, judged(JUDGED))) == []


def test_holidays_are_not_working_days() -> None:
    # National Day 2025 begins on 1 October; its days off are no working days that use too little,
    # and the moved working Sunday is one.
    quarters = quarters_of(DAYS + 14, dt.date(2025, 7, 14), chinese=True)
    used = works(quarters, noise=0.02)
    expected = expected_profile(used, quarters, dt.date(2025, 9, 22))
    assert deviations(used, expected) == []
