"""Power factor and the three tables of (83)水电财字215号, as typed in."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.cost.power_factor import adjustment_percent, power_factor
from analytics.errors import CostError

# standard, power factor, percent
TYPED_IN = [
    ("0.90", "1.00", "-0.75"), ("0.90", "0.95", "-0.75"), ("0.90", "0.94", "-0.60"),
    ("0.90", "0.92", "-0.30"), ("0.90", "0.91", "-0.15"), ("0.90", "0.90", "0"),
    ("0.90", "0.89", "0.5"), ("0.90", "0.80", "5"), ("0.90", "0.70", "10"),
    ("0.90", "0.69", "11"), ("0.90", "0.65", "15"), ("0.90", "0.64", "17"),
    ("0.90", "0.60", "25"),
    ("0.85", "0.86", "-0.1"), ("0.85", "0.90", "-0.5"), ("0.85", "0.91", "-0.65"),
    ("0.85", "0.93", "-0.95"),
    # A public program has -1.0 here.
    ("0.85", "0.94", "-1.10"), ("0.85", "1.00", "-1.10"),
    ("0.85", "0.85", "0"), ("0.85", "0.84", "0.5"), ("0.85", "0.65", "10"),
    ("0.85", "0.64", "11"), ("0.85", "0.60", "15"), ("0.85", "0.59", "17"),
    ("0.80", "0.81", "-0.1"), ("0.80", "0.90", "-1.0"), ("0.80", "0.91", "-1.15"),
    ("0.80", "0.92", "-1.30"), ("0.80", "1.00", "-1.30"), ("0.80", "0.80", "0"),
    ("0.80", "0.79", "0.5"), ("0.80", "0.60", "10"), ("0.80", "0.59", "11"),
    ("0.80", "0.55", "15"), ("0.80", "0.54", "17"),
]  # fmt: skip


@pytest.mark.parametrize(("standard", "factor", "percent"), TYPED_IN)
def test_the_tables(standard: str, factor: str, percent: str) -> None:
    assert adjustment_percent(Fraction(factor), standard) == Fraction(percent)


@given(st.sampled_from(["0.90", "0.85", "0.80"]), st.integers(0, 99))
def test_a_better_power_factor_never_costs_more(standard: str, hundredths: int) -> None:
    worse, better = Fraction(hundredths, 100), Fraction(hundredths + 1, 100)
    assert adjustment_percent(better, standard) <= adjustment_percent(worse, standard)


@pytest.mark.parametrize(
    ("kwh", "kvarh", "factor"),
    [("3", "4", "0.60"), ("1", "0", "1"), ("895", "0", "1"), ("0.9", "0.4358898943", "0.90"),
     ("100", "10000", "0.01")],
)  # fmt: skip
def test_a_power_factor_has_two_decimals(kwh: str, kvarh: str, factor: str) -> None:
    assert power_factor(Fraction(kwh), Fraction(kvarh)) == Fraction(factor)


def test_a_hair_above_half_a_hundredth_goes_up_and_a_hair_less_goes_down() -> None:
    # No amounts have an exact half (see the function): the neighbours of 0.895 tell.
    assert power_factor(Fraction("0.8949999"), Fraction("0.4460665")) == Fraction("0.89")
    assert power_factor(Fraction("0.8950001"), Fraction("0.4460655")) == Fraction("0.90")


def test_nothing_used_has_no_power_factor_and_nothing_negative_is_taken() -> None:
    assert power_factor(Fraction(0), Fraction(5)) is None
    with pytest.raises(CostError, match="from 0 on"):
        power_factor(Fraction(1), Fraction(-1))
    with pytest.raises(CostError, match=r"no table .* there are: 0\.90, 0\.85, 0\.80"):
        adjustment_percent(Fraction(1), "0.95")
    with pytest.raises(CostError, match="lies in"):
        adjustment_percent(Fraction(2), "0.90")
