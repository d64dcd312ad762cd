"""Planted shifts are found where they were planted; without one there is hardly ever an alarm."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.baselines.cusum import cusum, find_shifts
from analytics.baselines.regression import fit


def test_the_level_is_the_cumulative_difference() -> None:
    assert cusum(np.array([10.0, 9, 8]), np.array([9.0, 9, 10])).tolist() == [1, 1, -1]


def record(rng: np.random.Generator, shifts: dict[int, float], n: int = 36):  # type: ignore[no-untyped-def]  # what a test needs of it says the type
    """A model trained on 12 months, and the differences of all months from it."""
    x = rng.uniform(50, 100, n)
    energy = 200 + 3 * x + rng.normal(0, 10, n)
    for at, by in shifts.items():
        energy[at:] += by
    r = fit(energy[:12], ["x"], x[:12, None])
    return energy - r.expected(x[:, None]), r


def test_no_shift_no_alarm() -> None:
    """Counted: at most one record in ten has an alarm; the price is set for one in twenty."""
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(400):
        differences, r = record(rng, {})
        alarms += len(find_shifts(differences, r.s, r.degrees_of_freedom)) > 1
    assert alarms / 400 <= 0.10


@pytest.mark.parametrize("size", [-30.0, 30.0])
def test_a_planted_shift_is_dated_within_a_month(size: float) -> None:
    rng = np.random.default_rng(5)
    found = dated = 0
    for _ in range(100):
        differences, r = record(rng, {20: size})
        segments = find_shifts(differences, r.s, r.degrees_of_freedom)
        found += len(segments) == 2
        dated += any(abs(s.first - 20) <= 1 for s in segments[1:])
    assert found >= 80
    assert dated >= 85


def test_two_shifts_are_both_found() -> None:
    rng = np.random.default_rng(7)
    differences, r = record(rng, {18: -50.0, 27: 50.0})
    segments = find_shifts(differences, r.s, r.degrees_of_freedom)
    assert [s.first for s in segments] == [0, 18, 27]
    assert segments[1].level == pytest.approx(-50, abs=15)


def test_one_odd_month_is_no_shift() -> None:
    differences = np.zeros(24)
    differences[10] = 60.0
    assert len(find_shifts(differences, 10.0, 10)) == 1


def test_residuals_that_follow_each_other_raise_the_bar() -> None:
    differences = np.r_[np.zeros(12), np.full(12, 15.0)]
    assert len(find_shifts(differences, 10.0, 20)) == 2
    assert len(find_shifts(differences, 10.0, 20, autocorrelation=0.6)) == 1


def test_short_records_and_no_scatter() -> None:
    assert find_shifts(np.array([]), 1.0, 5) == []
    assert len(find_shifts(np.array([5.0, -5.0]), 1.0, 5)) == 1
    with pytest.raises(ValueError, match="scatter"):
        find_shifts(np.zeros(5), 0.0, 5)
