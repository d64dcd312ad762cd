"""Savings with their uncertainty, claims, and nothing counted twice."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.baselines.regression import fit, t_quantile
from analytics.errors import SavingError
from analytics.savings.avoided import (
    ClaimCode,
    avoided_energy,
    check_windows,
    effective_points,
    fractional_uncertainty,
    normalised_saving,
)
from analytics.savings.programme import (
    VerifiedSaving,
    count_once,
    overlap_groups,
    programme_total,
)


def plant(saved: float, noise: float = 5.0, seed: int = 0):  # type: ignore[no-untyped-def]  # a result that its name says
    rng = np.random.default_rng(seed)
    x = rng.uniform(50, 100, 24)
    energy = 100 + 4 * x + rng.normal(0, noise, 24)
    energy[12:] -= saved
    return fit(energy[:12], ["x"], x[:12, None]), x[12:, None], energy[12:]


def test_uncertainty_is_the_formula_of_the_guideline() -> None:
    # CV 10 %, 12 months before and after, 2 parameters, 10 % saved, no autocorrelation.
    t = t_quantile(0.68, 10)
    expected = 1.26 * t * 0.10 * math.sqrt((1 + 2 / 12) / 12) / 0.10
    assert fractional_uncertainty(0.10, 12, 2, 12, 0.10) == pytest.approx(expected)
    followed = fractional_uncertainty(0.10, 12, 2, 12, 0.10, autocorrelation=0.5)
    assert effective_points(12, 0.5) == pytest.approx(4)
    assert followed == pytest.approx(1.26 * t * 0.10 * math.sqrt(12 / 4 * (1 + 2 / 4) / 12) / 0.10)
    # No precision is claimed from residuals that alternate.
    assert fractional_uncertainty(0.10, 12, 2, 12, 0.10, autocorrelation=-0.5) == pytest.approx(
        expected
    )


@given(st.floats(0.01, 0.5), st.integers(12, 60), st.integers(1, 60), st.floats(0.01, 0.9))
def test_more_months_and_larger_savings_are_surer(cv: float, n: int, m: int, f: float) -> None:
    one = fractional_uncertainty(cv, n, 2, m, f)
    assert fractional_uncertainty(cv, n, 2, m + 1, f) < one
    assert fractional_uncertainty(cv, n + 1, 2, m, f) < one
    assert fractional_uncertainty(cv, n, 2, m, f + 0.01) < one


def test_a_planted_saving_is_found_within_its_uncertainty() -> None:
    held = 0
    for seed in range(200):
        s = avoided_energy(*plant(30.0, seed=seed))
        held += abs(s.saving - 12 * 30) <= s.uncertainty
    # The 1.26 of the formula makes it a little wider than 68 %.
    assert 0.62 <= held / 200 <= 0.86


def test_a_clear_saving_may_be_claimed_and_a_doubtful_one_not() -> None:
    assert avoided_energy(*plant(30.0)).claim is ClaimCode.CLAIMABLE
    assert avoided_energy(*plant(3.0, noise=20.0)).claim in (
        ClaimCode.TOO_UNCERTAIN, ClaimCode.NO_SAVING,
    )  # fmt: skip
    lost = avoided_energy(*plant(-30.0))
    assert (lost.claim, lost.saving < 0) == (ClaimCode.NO_SAVING, True)


def test_what_forbids_a_claim_is_said() -> None:
    r, x, actual = plant(30.0)
    assert avoided_energy(r, x, actual, usable=False).claim is ClaimCode.MODEL_UNUSABLE
    assert avoided_energy(r, x, actual, expected_periods=13).claim is ClaimCode.PERIODS_MISSING
    assert avoided_energy(r, x + 400, actual).claim is ClaimCode.OUTSIDE_RANGE


def test_the_claim_is_judged_at_68_percent_whatever_is_shown() -> None:
    shown = avoided_energy(*plant(14.0, noise=12.0), confidence=0.95)
    at_68 = avoided_energy(*plant(14.0, noise=12.0))
    assert shown.uncertainty > at_68.uncertainty
    assert shown.claim is at_68.claim


def test_adjustments_change_the_saving_by_their_amount() -> None:
    r, x, actual = plant(30.0)
    plain = avoided_energy(r, x, actual)
    adjusted = avoided_energy(r, x, actual, adjustments=[25.0, -5.0])
    assert adjusted.saving - plain.saving == pytest.approx(20.0)
    assert adjusted.adjustment == 20.0


def test_nothing_reported_is_refused() -> None:
    r, x, actual = plant(30.0)
    with pytest.raises(SavingError):
        avoided_energy(r, x[:0], actual[:0])
    with pytest.raises(SavingError):
        avoided_energy(r, x, actual[:3])
    with pytest.raises(SavingError):
        fractional_uncertainty(0.1, 12, 2, 12, 0.0)
    with pytest.raises(SavingError):
        fractional_uncertainty(0.1, 2, 2, 12, 0.1)


def test_normalised_savings_are_taken_under_the_same_conditions() -> None:
    rng = np.random.default_rng(3)
    x = rng.uniform(50, 100, 24)
    energy = 100 + 4 * x + rng.normal(0, 3, 24)
    energy[12:] -= 0.5 * x[12:]
    before = fit(energy[:12], ["x"], x[:12, None])
    after = fit(energy[12:], ["x"], x[12:, None])
    normal = np.full((12, 1), 80.0)
    saved, half = normalised_saving(before, normal, after, normal)
    assert abs(saved - 12 * 40) < 2 * half
    with pytest.raises(SavingError):
        normalised_saving(before, normal, after, normal[:6])


@pytest.mark.parametrize(
    ("windows", "said"),
    [
        (((0, 365), (365, 400), (400, 765)), None),
        (((0, 365), (365, 365), (365, 730)), None),
        (((0, 365), (300, 400), (400, 765)), "implementation window begins before the baseline"),
        (((0, 365), (365, 400), (390, 765)), "reporting window begins before the implementation"),
        (((365, 0), (365, 400), (400, 765)), "baseline window ends"),
    ],
)
def test_windows_do_not_overlap(windows: tuple[tuple[int, int], ...], said: str | None) -> None:
    if said is None:
        check_windows(*windows)
        return
    with pytest.raises(SavingError, match=said):
        check_windows(*windows)


def saving(code: str, tce: float, kind: str = "efficiency", claimable: bool = True):  # type: ignore[no-untyped-def]  # a result that its name says
    return VerifiedSaving(code, kind, tce, tce / 10, claimable)  # type: ignore[arg-type]  # a kind


def test_overlapping_projects_are_counted_up_to_what_the_site_saved() -> None:
    counted = count_once([saving("a", 60.0), saving("b", 90.0)], 90.0, 10.0)
    assert [c.counted_tce for c in counted] == [pytest.approx(40.0), pytest.approx(60.0)]
    assert sum(c.unallocated_tce for c in counted) == pytest.approx(50.0)
    assert [c.uncertainty_tce for c in counted] == [pytest.approx(4.0), pytest.approx(6.0)]


def test_within_the_sites_uncertainty_all_is_counted() -> None:
    counted = count_once([saving("a", 60.0), saving("b", 39.0)], 90.0, 10.0)
    assert [c.counted_tce for c in counted] == [60.0, 39.0]


def test_without_the_sites_saving_only_the_largest_of_overlapping_projects_counts() -> None:
    counted = count_once([saving("a", 60.0), saving("b", 90.0)], None, 0.0)
    assert [c.counted_tce for c in counted] == [0.0, 90.0]
    assert count_once([saving("a", 60.0)], None, 0.0)[0].counted_tce == 60.0


@given(
    st.lists(st.tuples(st.floats(-50, 500), st.booleans()), min_size=1, max_size=6),
    st.floats(-100, 1000),
    st.floats(0, 100),
)
def test_never_more_than_the_limit_is_counted(
    claims: list[tuple[float, bool]], site: float, uncertainty: float
) -> None:
    savings = [saving(str(i), tce, claimable=ok and tce > 0) for i, (tce, ok) in enumerate(claims)]
    counted = count_once(savings, site, uncertainty)
    claimed = sum(s.tce_per_year for s in savings if s.claimable)
    total = sum(c.counted_tce for c in counted)
    assert total <= max(0.0, site + uncertainty) + 1e-6
    assert total + sum(c.unallocated_tce for c in counted) == pytest.approx(claimed)


def test_overlaps_reach_through_others() -> None:
    assert overlap_groups({"a": ["b"], "b": [], "c": ["b"], "d": []}) == [("a", "b", "c"), ("d",)]


def test_a_programme_adds_over_sites_in_quadrature_and_keeps_kinds_apart() -> None:
    site_one = count_once([saving("a", 300.0)], None, 0.0)
    site_two = count_once([saving("b", 400.0)], None, 0.0)
    pv = count_once([saving("pv", 1000.0, "renewable")], None, 0.0)
    fuel = count_once([saving("gas", 50.0, "fuel_switch")], None, 0.0)
    none = count_once([saving("no", 70.0, claimable=False)], None, 0.0)
    total = programme_total(
        [*site_one, *site_two, *pv, *fuel, *none], goal_projects=300, goal_tce_per_year=500_000.0
    )
    assert (total.projects, total.counted_projects) == (5, 4)
    assert (total.efficiency_tce, total.renewable_tce, total.fuel_switch_tce) == (700, 1000, 50)
    assert total.uncertainty_tce == pytest.approx(50.0)  # 30 and 40
    assert total.tce_share == pytest.approx(700 / 500_000)
    assert programme_total([]).tce_share is None
