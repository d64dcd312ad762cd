"""The path and the verdict; expected values from the design's worked examples, typed in."""

from __future__ import annotations

import datetime as dt
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.accounting.enpi_facts import Target
from analytics.enpis.enpi import annual_rate
from analytics.enpis.targets import (
    Status,
    annual_rate_of,
    cumulative_progress,
    judge,
    progress_ratio,
    target_intensity,
    within_uncertainty,
)
from analytics.errors import TargetError


def test_the_glycerine_plant_is_under_the_same_months_target() -> None:
    # Month 25 is 15.83. Against the same month of the base year, 18.0 x 0.96^2 = 16.59, it is
    # 4.6 % under; against the annual mean's path, 12.78, it would read 24 % over (F8).
    verdict = judge(15.83, 18.0, 0.04, 2, 4)
    assert verdict.status is Status.ON_TRACK
    assert verdict.target_intensity == pytest.approx(16.5888)
    assert 15.83 / verdict.target_intensity - 1 == pytest.approx(-0.0457, abs=5e-5)
    assert pytest.approx(0.239, abs=5e-4) == 15.83 / 12.78 - 1


def test_exactly_on_the_path_is_a_ratio_of_one() -> None:
    assert progress_ratio(100 * 0.96**3, 100, 0.04, 3) == pytest.approx(1.0)
    assert cumulative_progress(100 * 0.96, 100, 0.04, 4) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("intensity", "status"),
    [
        (95.9, Status.ON_TRACK),
        (96.1, Status.SLOW),  # ratio 0.974
        (96.7, Status.SLOW),  # ratio 0.822
        (96.9, Status.BEHIND),  # ratio 0.771
        (105.0, Status.BEHIND),
    ],
)
def test_lights_after_one_year_at_four_percent(intensity: float, status: Status) -> None:
    assert judge(intensity, 100.0, 0.04, 1, 4).status is status


def test_an_intensity_that_rose_is_shown_negative() -> None:
    progress = judge(104.0, 100.0, 0.04, 1, 4).progress_ratio
    assert progress is not None
    assert progress == pytest.approx(math.log(1.04) / math.log(0.96))
    assert progress < 0


def test_negative_intensity_is_compared_by_difference() -> None:
    # Converter steel gives energy back: -3 is better than -2, and logarithms are not defined.
    verdict = judge(-3.0, -2.0, 0.04, 1, 4)
    assert verdict.progress_ratio is None
    assert verdict.status is Status.ON_TRACK


def test_the_base_year_is_not_judged_and_nothing_without_a_base() -> None:
    assert judge(100.0, 100.0, 0.04, 0, 4).status is Status.BASE
    verdict = judge(100.0, None, 0.04, 1, 4)
    assert verdict.status is Status.NO_BASE
    assert verdict.target_intensity is None


def test_a_target_given_by_its_end_value() -> None:
    # 100 to 88.4736 in three years is 4 % a year.
    assert annual_rate_of(100.0, 88.4736, 3) == pytest.approx(0.04)
    with pytest.raises(TargetError):
        annual_rate_of(100.0, -1.0, 3)
    with pytest.raises(TargetError):
        target_intensity(100.0, 1.0, 1)


def test_a_verdict_is_not_finer_than_the_meters() -> None:
    assert within_uncertainty(98.0, 96.0, 0.025) is True
    assert within_uncertainty(99.0, 96.0, 0.025) is False
    assert within_uncertainty(99.0, 96.0, None) is None


@given(
    st.floats(0.1, 1e6), st.floats(0.5, 1.5), st.floats(0.001, 0.3), st.integers(1, 10),
)  # fmt: skip
def test_on_track_means_not_above_the_target(
    base: float, change: float, rate: float, years: int
) -> None:
    verdict = judge(base * change, base, rate, years, years)
    assert verdict.target_intensity is not None
    distance = base * change / verdict.target_intensity - 1
    if distance < -1e-9:
        assert verdict.status is Status.ON_TRACK
    if distance > 1e-9:
        assert verdict.status is not Status.ON_TRACK


def test_no_rate_leads_to_an_end_value_from_a_base_that_is_not_positive() -> None:
    first = dt.date(2025, 1, 1)
    target = Target(1, first, first.replace(year=2026), first.replace(year=2029), None, 5.0)
    assert annual_rate(target, 8.0) is not None
    assert annual_rate(target, 0.0) is None
    assert annual_rate(target, -3.0) is None


def test_a_negative_base_is_no_leave_to_get_worse() -> None:
    verdict = judge(-1.95, -2.0, 0.04, 1, 4)
    assert verdict.target_intensity == pytest.approx(-2.08)
    assert verdict.status is Status.BEHIND
