"""The end of a year: interval, odds, and the rate that the rest must keep."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.baselines.forecast import (
    RequiredCode,
    RestMethod,
    forecast_year_end,
    rest_by_baseline,
    rest_by_last_year,
)
from analytics.baselines.regression import fit
from analytics.errors import BaselineError
from tests.analytics.baselines.steam import steam_columns

LAST = np.array([110.0, 100, 90, 80, 70, 60, 60, 70, 80, 90, 100, 110])


def test_by_last_year_the_trend_so_far_goes_on() -> None:
    actual = LAST[:6] * np.array([0.96, 0.94, 0.95, 0.95, 0.96, 0.94])
    rest = rest_by_last_year(actual, LAST[:6], LAST[6:])
    ratio = actual.sum() / LAST[:6].sum()
    assert rest.expected == pytest.approx(ratio * LAST[6:].sum())
    assert rest.method is RestMethod.LAST_YEAR
    assert 0 < rest.standard_error < 0.05 * rest.expected


def test_required_rate_of_the_rest_meets_the_target_exactly() -> None:
    actual = LAST[:6] * 0.98 + np.array([1, -1, 1, -1, 1, -1])
    rest = rest_by_last_year(actual, LAST[:6], LAST[6:])
    end = forecast_year_end(
        float(actual.sum()), rest, 0.95, output_to_date=510.0, output_rest=510.0
    )
    assert end.required_code is RequiredCode.REACHABLE
    assert end.required is not None
    assert (actual.sum() + end.required * 510) / 1020 == pytest.approx(0.95)
    assert end.required_change is not None
    assert rest.expected * (1 + end.required_change) == pytest.approx(end.required * 510)
    assert end.lower < end.energy < end.upper
    assert end.intensity == pytest.approx(end.energy / 1020)
    assert end.probability < 0.5


def test_the_odds_are_even_where_the_forecast_is_the_target() -> None:
    rest = rest_by_last_year(LAST[:6] + np.array([1, -1, 1, -1, 1, -1]), LAST[:6], LAST[6:])
    end = forecast_year_end(510.0, rest, 510.0 + rest.expected)
    assert end.probability == pytest.approx(0.5)
    assert end.required_code is RequiredCode.MET_ALREADY


def test_the_odds_come_true_as_often_as_they_say() -> None:
    rng = np.random.default_rng(2)
    said = come = 0.0
    for _ in range(400):
        x = rng.uniform(50, 100, 24)
        y = 100 + 2 * x + rng.normal(0, 8, 24)
        r = fit(y[:18], ["x"], x[:18, None])
        end = forecast_year_end(float(y[12:18].sum()), rest_by_baseline(r, x[18:, None]), 3010.0)
        said += end.probability
        come += y[12:].sum() <= 3010
    assert abs(said - come) / 400 < 0.04


def test_by_baseline_the_variables_decide() -> None:
    columns = steam_columns()
    x = np.column_stack([columns["op.days"], columns["temperature"]])
    r = fit(columns["Steam"][:18], ["days", "t"], x[:18])
    rest = rest_by_baseline(r, x[18:24])
    assert rest.method is RestMethod.BASELINE
    assert rest.expected == pytest.approx(float(columns["Steam"][18:24].sum()), rel=0.05)
    assert rest_by_baseline(r, np.array([[60.0, 50.0]])).outside == ("days",)


@pytest.mark.parametrize(
    ("so_far", "left", "code"),
    [(1200.0, 500.0, RequiredCode.OUT_OF_REACH), (500.0, 0.0, RequiredCode.NO_OUTPUT_LEFT)],
)
def test_what_cannot_be_reached_has_no_rate(so_far: float, left: float, code: RequiredCode) -> None:
    rest = rest_by_last_year(LAST[:6] * 0.9 + [1, 0, 0, 0, 0, 0], LAST[:6], LAST[6:])
    end = forecast_year_end(so_far, rest, 1.0, output_to_date=510.0, output_rest=left)
    assert (end.required, end.required_change, end.required_code) == (None, None, code)


def test_a_year_that_is_over_is_certain() -> None:
    rest = rest_by_last_year(LAST, LAST, LAST[:0])
    end = forecast_year_end(1000.0, rest, 1001.0)
    assert (end.lower, end.upper, end.probability) == (1000.0, 1000.0, 1.0)
    assert end.required_code is RequiredCode.NOTHING_LEFT


@pytest.mark.parametrize(
    ("actual", "last"),
    [(LAST[:1], LAST[:1]), (LAST[:3], LAST[:2]), (LAST[:3] * np.nan, LAST[:3]),
     (LAST[:3], LAST[:3] * 0)],
)  # fmt: skip
def test_months_that_do_not_compare_are_refused(actual: np.ndarray, last: np.ndarray) -> None:
    with pytest.raises(BaselineError):
        rest_by_last_year(actual, last, LAST[6:])


def test_a_year_without_output_has_no_intensity() -> None:
    rest = rest_by_last_year(LAST[:3], LAST[:3], LAST[3:])
    with pytest.raises(BaselineError, match="no output"):
        forecast_year_end(1.0, rest, 1.0, output_to_date=0.0, output_rest=0.0)
    with pytest.raises(BaselineError, match="go together"):
        forecast_year_end(1.0, rest, 1.0, output_to_date=1.0)
