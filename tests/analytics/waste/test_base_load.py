"""Base load, its rise, and what closed hours use."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from analytics.waste.base_load import (
    base_load,
    base_load_rise,
    closed_load,
    learned_closed,
    night,
)
from analytics.waste.quarter_hours import QuarterHours
from tests.analytics.waste.loads import open_hours, planted, quarters_of, works


def test_the_base_load_of_nights_and_its_share() -> None:
    quarters = quarters_of(14)
    found = base_load(works(quarters), quarters, night(quarters))
    assert found is not None
    assert (found.rate, found.low, found.high, found.days) == (20.0, 20.0, 20.0, 14)
    assert found.share == pytest.approx(1.0)  # a night uses nothing else
    whole = base_load(works(quarters), quarters, np.ones(len(quarters.day), dtype=np.bool_))
    assert whole is not None
    # Two weeks: 14 x 24 h at 20 kW = 6,720 kWh of 6,720 + 10 days x 10 h x 180 kW = 24,720 kWh.
    assert whole.share == pytest.approx(6_720 / 24_720)


def test_one_night_of_work_does_not_move_it() -> None:
    quarters = quarters_of(14)
    found = base_load(planted(works(quarters), 96, 120, 150), quarters, night(quarters))
    assert found is not None
    assert found.rate == 20.0


def test_unknown_nights_are_no_base_load_of_zero() -> None:
    quarters = quarters_of(8)
    used = works(quarters)
    known = quarters.day >= 4
    assert base_load(QuarterHours(np.where(known, used.amount, 0), known), quarters,
                     night(quarters)) is None  # fmt: skip


def test_a_rise_against_last_year_is_found_and_noise_is_none() -> None:
    quarters = quarters_of(28)
    everything = np.ones(len(quarters.day), dtype=np.bool_)

    def of(kw: float, seed: int):  # type: ignore[no-untyped-def]  # inside a test
        used = works(quarters, closed_kw=kw, noise=0.03, day_noise=0.05, seed=seed)
        found = base_load(used, quarters, everything)
        assert found is not None
        return found

    rise = base_load_rise(of(26, 1), of(20, 2))
    assert rise.is_significant
    assert rise.rate == pytest.approx(5.7, abs=0.5)
    false = sum(base_load_rise(of(20, s), of(20, s + 100)).is_significant for s in range(40))
    assert false == 0


@pytest.mark.parametrize("night_of_each", [1, 2])
def test_what_was_left_on_in_closed_hours(night_of_each: int) -> None:
    quarters = quarters_of(28)
    used = works(quarters)
    nights = range(0, 28, night_of_each * 2)
    for day in nights:  # 40 kW more from 00:00 to 04:00
        used = planted(used, day * 96, day * 96 + 16, 40)
    found = closed_load(used, ~open_hours(quarters))
    assert found is not None
    assert found.usual_rate == pytest.approx(20.0)
    assert found.avoidable == pytest.approx(len(nights) * 4 * 40)
    assert found.hours_above == len(nights) * 4
    # 20 workdays x 14 h + 8 free days x 24 h.
    assert found.hours == 20 * 14 + 8 * 24


def test_quiet_closed_hours_have_nothing_to_avoid() -> None:
    quarters = quarters_of(28)
    shares = []
    for seed in range(40):
        used = works(quarters, noise=0.05, day_noise=0.05, seed=seed)
        found = closed_load(used, ~open_hours(quarters))
        assert found is not None
        shares.append(found.avoidable / found.amount)
    assert max(shares) < 0.03


def test_opening_hours_are_learned_from_the_load() -> None:
    quarters = quarters_of(28)
    closed = learned_closed(works(quarters, noise=0.05), quarters)
    assert closed is not None
    assert (closed == ~open_hours(quarters)).all()


def test_a_works_that_never_closes_has_no_closed_hours() -> None:
    quarters = quarters_of(28)
    assert learned_closed(works(quarters, closed_kw=200, noise=0.05), quarters) is None


def test_a_day_of_a_clock_change_has_its_quarter_hours() -> None:
    from zoneinfo import ZoneInfo

    from analytics.accounting.holidays import HolidayCalendar
    from analytics.waste.quarter_hours import local_quarters

    berlin = ZoneInfo("Europe/Berlin")
    spring = local_quarters(berlin, HolidayCalendar(False), dt.date(2025, 3, 30),
                            dt.date(2025, 3, 31))  # fmt: skip
    autumn = local_quarters(berlin, HolidayCalendar(False), dt.date(2025, 10, 26),
                            dt.date(2025, 10, 27))  # fmt: skip
    assert (len(spring.day), len(autumn.day)) == (92, 100)
    assert 8 not in spring.quarter
    assert (autumn.quarter == 8).sum() == 2
    assert replace(spring, day=spring.day).instant(92) == spring.since + dt.timedelta(hours=23)
