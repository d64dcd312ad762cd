"""Degree days by day, by month, and daily means out of readings."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.baselines.degree_days import daily_means, degree_days

HOUR = 3_600_000_000


def test_china_counts_below_18_and_above_26() -> None:
    days = np.array([10.0, 18.0, 20.0, 26.0, 30.0])
    assert degree_days(days, 18.0, "heating") == 8.0
    assert degree_days(days, 26.0, "cooling") == 4.0


def test_a_day_without_a_temperature_is_not_one_at_the_base() -> None:
    with pytest.raises(ValueError, match="without a temperature"):
        degree_days(np.array([10.0, np.nan]), 18.0, "heating")


def test_a_months_mean_gives_days_times_the_difference() -> None:
    assert degree_days(np.full(31, 35.3), 65.0, "heating") == pytest.approx(31 * 29.7)
    assert degree_days(np.full(30, 71.3), 65.0, "heating") == 0.0


def test_a_mean_is_weighted_by_time_and_a_silent_thermometer_is_not_known() -> None:
    midnights = np.array([0, 24 * HOUR, 48 * HOUR])
    # 10 degrees for the first hour, then 20 every hour; nothing from noon of the second day on.
    read = np.arange(0, 36) * HOUR
    level = np.r_[10.0, np.full(35, 20.0)]
    mean, known = daily_means(read, level, midnights)
    assert mean[0] == pytest.approx((10 + 23 * 20) / 24)
    assert known.tolist() == [1.0, pytest.approx(13 / 24)]
    assert daily_means(read[:0], level[:0], midnights)[1].tolist() == [0.0, 0.0]
