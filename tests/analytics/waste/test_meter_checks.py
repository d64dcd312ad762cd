"""Stuck registers, drifts and ratios: planted ones are found, clean ones are left alone."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.waste.meter_checks import check_ratio, robust_trend, stuck_runs
from analytics.waste.quarter_hours import QuarterHours


def load(kw: np.ndarray) -> QuarterHours:
    return QuarterHours(kw / 4, np.ones(len(kw), dtype=np.bool_))


def test_a_register_that_stands_still_while_power_flows() -> None:
    kw = np.full(7 * 96, 40.0)
    register = kw.copy()
    register[200:300] = 0  # 25 h
    [run] = stuck_runs(load(register), load(kw), least=1.0)
    assert (run.first, run.after, run.missed) == (200, 300, 1000.0)


def test_a_machine_that_is_off_is_not_stuck() -> None:
    kw = np.full(7 * 96, 40.0)
    kw[200:300] = 0
    assert stuck_runs(load(kw), load(kw), least=1.0) == []


def test_silence_is_not_standing_still() -> None:
    kw = np.full(7 * 96, 40.0)
    register = load(np.where(np.arange(len(kw)) < 300, kw, 0))
    register = QuarterHours(register.amount, np.arange(len(kw)) < 300)
    assert stuck_runs(register, load(kw), least=1.0) == []


def test_off_hours_at_the_ends_are_trimmed() -> None:
    kw = np.zeros(96 * 3)
    kw[100:200] = 40
    register = np.zeros(96 * 3)
    [run] = stuck_runs(load(register), load(kw), least=1.0)
    assert (run.first, run.after, run.missed) == (100, 200, 1000.0)


DAYS = np.arange(120, dtype=np.int64)
WEEK = ["rest" if d % 7 > 4 else "workday" for d in DAYS]


def residual(seed: int, drift: float = 0.0, correlation: float = 0.0) -> np.ndarray:
    """Return a share that the main meter counts and its children do not, weekends higher."""
    random = np.random.default_rng(seed)
    noise, last = [], 0.0
    for shock in random.standard_normal(len(DAYS)):
        last = correlation * last + shock
        noise.append(last)
    weekend = np.array([0.02 if kind == "rest" else 0.0 for kind in WEEK])
    return 0.03 + weekend + 0.004 * np.array(noise) + drift * DAYS / len(DAYS)


def test_a_drift_of_three_percent_is_found_with_its_size() -> None:
    trend = robust_trend(DAYS, residual(1, drift=0.03), WEEK)
    assert trend is not None
    assert trend.is_significant
    assert trend.change == pytest.approx(0.03, abs=0.004)


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_no_drift_is_found_where_there_is_none(correlation: float) -> None:
    trends = [robust_trend(DAYS, residual(s, correlation=correlation), WEEK) for s in range(200)]
    assert sum(t is not None and t.is_significant for t in trends) <= 2


def test_outliers_do_not_bend_a_trend() -> None:
    values = residual(3)
    values[::17] += 0.5
    trend = robust_trend(DAYS, values, WEEK)
    assert trend is not None
    assert not trend.is_significant


def test_a_level_without_any_variation_has_no_trend() -> None:
    trend = robust_trend(DAYS, np.full(len(DAYS), 0.02), WEEK)
    assert trend is not None
    assert (trend.slope, trend.p) == (0.0, 1.0)


def test_a_month_is_needed_for_a_trend() -> None:
    assert robust_trend(DAYS[:27], residual(1, drift=1)[:27], WEEK[:27]) is None


def test_a_ratio_is_of_sums_and_prices_what_is_above_its_range() -> None:
    kwh, m3 = np.array([130.0, 150.0, 99.0, 7.0]), np.array([1000.0, 1000.0, 0.0, 50.0])
    known = np.array([True, True, True, False])
    found = check_ratio(kwh, m3, known, 0.10, 0.12)
    assert found is not None
    assert (found.ratio, found.days, found.inside) == (0.14, 2, False)
    assert found.excess == pytest.approx(280 - 240)


def test_no_denominator_is_no_ratio() -> None:
    assert check_ratio(np.ones(3), np.zeros(3), np.ones(3, dtype=np.bool_), None, 1.0) is None
