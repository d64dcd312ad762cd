"""The demo's made-up events lie where its pages look, whatever day it is first started on."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from enpilot.demo.dates import DemoDates
from enpilot.demo.history import DemoFiles

DAYS = [dt.date(2027, 1, 1) + dt.timedelta(days=n) for n in range(0, 800, 3)]
ENDS = [dt.date(2028, 2, 29), dt.date(2027, 12, 31), dt.date(2028, 1, 1), dt.date(2027, 3, 31)]


@pytest.mark.parametrize("today", [DAYS, ENDS], ids=["days", "ends"])
def test_events_lie_in_the_months_that_show_them(today: list[dt.date]) -> None:
    for day in today:
        dates = DemoDates(day.year - 1, day)
        this, last = dates.month_back(0), dates.month_back(1)
        assert (this.year, this.month) == (day.year, day.month)
        # Before the last finished month two that are signed.
        assert dates.split_from < dates.month_back(2) < last < this
        assert (this - dates.split_from).days in range(89, 93)
        for begin, end in (dates.gap, dates.calibration):
            assert last <= begin.date() < this
            assert begin < end
            assert begin.weekday() < 5
            assert begin.minute % 15 == end.minute % 15 == 0
        names = dates.names()
        lights = [dt.date.fromisoformat(names[f"lights_{n}"]) for n in ("from", "to")]
        # Whole nights of a working week that are over, since waste is looked for on finished days.
        assert dates.split_from < lights[0] < lights[1] <= day - dt.timedelta(days=3)
        assert lights[0].weekday() == 1
        due = dt.date.fromisoformat(names["calibration_soon"])
        assert 0 < (due - day).days < 30


def test_the_works_stand_still_on_the_days_that_are_called_an_overhaul() -> None:
    names = DemoDates(2025, dt.date(2026, 11, 27)).names()
    # By the load itself: Wednesday to Friday, and the week of the harvest festival of 2018.
    assert [names[f"shutdown_{n}"] for n in range(1, 7)] == [
        "2026-07-29", "2026-07-30", "2026-07-31", "2026-09-21", "2026-09-22", "2026-09-23",
    ]  # fmt: skip


def test_a_start_that_was_broken_off_goes_on_with_the_dates_and_steps_of_the_first(
    tmp_path: Path,
) -> None:
    first = dt.datetime(2027, 6, 30, 12, tzinfo=dt.UTC)
    files = DemoFiles.lay_out(tmp_path, first, 15_020)
    done: list[str] = []
    files.once("prepare", lambda: done.append("prepared"))

    def broken_off() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.once("approve", broken_off)
    later = DemoFiles.lay_out(tmp_path, first + dt.timedelta(days=40), 15_021)
    assert later.dates == files.dates
    later.once("prepare", lambda: done.append("prepared again"))
    later.once("approve", lambda: done.append("approved"))
    assert done == ["prepared", "approved"]
