"""The textbook's fits to all printed digits, prediction, and what cannot be fitted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.baselines.regression import fit, out_of_sample_errors, t_quantile
from analytics.errors import BaselineError, ModelFault
from tests.analytics.baselines.steam import steam_columns

STEAM = steam_columns()


def fit_steam(*names: str):  # type: ignore[no-untyped-def]  # the type of fit
    return fit(STEAM["Steam"], names, np.column_stack([STEAM[n] for n in names]))


def rounded(values: list[float], digits: int) -> list[float]:
    return [round(v, digits) for v in values]


def test_steam_on_temperature_is_the_textbooks() -> None:
    r = fit_steam("temperature")
    assert rounded([c.value for c in r.coefficients], 4) == [13.6230, -0.0798]
    assert (round(r.r_squared, 4), round(r.s, 4)) == (0.7144, 0.8901)
    assert (r.n, r.parameters, r.degrees_of_freedom) == (25, 2, 23)


def test_steam_on_days_and_temperature_is_the_textbooks() -> None:
    r = fit_steam("op.days", "temperature")
    assert rounded([c.value for c in r.coefficients], 4) == [9.1269, 0.2028, -0.0724]
    assert rounded([c.t for c in r.coefficients], 2) == [8.28, 4.43, -9.05]
    assert (round(r.r_squared, 4), round(r.cv_rmse * 100, 2)) == (0.8491, 7.02)


def test_steam_on_output_and_degree_days_is_the_textbooks() -> None:
    r = fit_steam("glycerine", "hdd65")
    assert rounded([c.value for c in r.coefficients[:2]], 4) == [4.7842, 4.5883]
    assert round(r.coefficients[2].value, 6) == 0.003222
    assert (round(r.r_squared, 4), round(r.adjusted_r_squared, 4)) == (0.8561, 0.8431)
    assert (round(r.cv_rmse * 100, 1), round(r.f, 1)) == (6.9, 65.5)


def test_output_alone_explains_next_to_nothing() -> None:
    r = fit_steam("glycerine")
    assert round(r.r_squared, 3) == 0.093
    assert r.f_p > 0.10


def test_f_of_one_predictor_is_its_t_squared() -> None:
    r = fit_steam("temperature")
    assert r.f == pytest.approx(r.coefficients[1].t ** 2)
    assert r.f_p == pytest.approx(r.coefficients[1].p)


def test_quantiles_are_the_printed_ones() -> None:
    # Any table of Student's t, two-sided.
    assert t_quantile(0.95, 10) == pytest.approx(2.228, abs=5e-4)
    assert t_quantile(0.90, 23) == pytest.approx(1.714, abs=5e-4)


def test_an_outlier_is_found_and_its_residual_is_the_one_of_a_fit_without_it() -> None:
    y = STEAM["Steam"].copy()
    y[7] += 5.0
    r = fit(y, ["temperature"], STEAM["temperature"][:, None])
    assert r.outliers == (7,)
    kept = np.arange(25) != 7
    without = fit(y[kept], ["temperature"], STEAM["temperature"][kept][:, None])
    predicted = without.predict([float(STEAM["temperature"][7])])
    assert r.studentised[7] == pytest.approx((y[7] - predicted.expected) / predicted.standard_error)


def test_a_prediction_holds_the_energy_as_often_as_it_says() -> None:
    rng = np.random.default_rng(6)
    held = 0
    for _ in range(400):
        x = rng.uniform(0, 10, 24)
        y = 5 + 2 * x + rng.normal(0, 1.5, 24)
        p = fit(y[:12], ["x"], x[:12, None]).predict_sum(x[12:, None], 0.90)
        held += p.lower <= y[12:].sum() <= p.upper
    assert 0.86 <= held / 400 <= 0.94


def test_a_sum_is_predicted_with_the_errors_of_the_coefficients_kept_together() -> None:
    r = fit_steam("temperature")
    x = STEAM["temperature"][:6, None]
    alone = [r.predict(row.tolist()).standard_error for row in x]
    together = r.predict_sum(x).standard_error
    assert math.sqrt(sum(e * e for e in alone)) < together < sum(alone)


def test_what_leaves_the_training_range_is_named() -> None:
    r = fit_steam("op.days", "temperature")
    assert r.predict([20.0, 40.0]).outside == ()
    assert r.predict([40.0, 40.0]).outside == ("op.days",)
    assert r.predict([40.0, 200.0]).outside == ("op.days", "temperature")


def test_autocorrelation_is_taken_between_neighbours_only() -> None:
    errors = np.array([1.0, 1.0, -1.0, -1.0, 1.0, 1.0, -1.0, -1.0])
    x = np.array([0.0, 1, 1, 0, 0, 1, 1, 0])
    y = 10 + x + errors
    whole = fit(y, ["x"], x[:, None])
    split = fit(y, ["x"], x[:, None], places=[0, 1, 3, 4, 6, 7, 9, 10])
    assert split.autocorrelation > whole.autocorrelation


GOOD = np.arange(12.0)
NOISE = np.array([0.3, -0.1, 0.4, -0.5, 0.2, 0.1, -0.4, 0.3, -0.2, 0.1, -0.3, 0.2])


@pytest.mark.parametrize(
    ("energy", "columns", "fault"),
    [
        (GOOD[:3], [GOOD[:3], NOISE[:3]], ModelFault.TOO_FEW_POINTS),
        (GOOD[:0], [GOOD[:0]], ModelFault.TOO_FEW_POINTS),
        (np.where(GOOD == 4, np.nan, GOOD), [NOISE], ModelFault.MISSING_VALUE),
        (GOOD, [np.where(GOOD == 4, np.nan, NOISE)], ModelFault.MISSING_VALUE),
        (np.full(12, 7.0), [NOISE], ModelFault.CONSTANT_ENERGY),
        (np.zeros(12), [NOISE], ModelFault.CONSTANT_ENERGY),
        (GOOD, [np.full(12, 7.0)], ModelFault.CONSTANT_VARIABLE),
        (GOOD + NOISE, [GOOD, 3 * GOOD + 2], ModelFault.COLLINEAR),
        (GOOD * 2 + 1, [GOOD], ModelFault.EXACT_FIT),
        (GOOD, [], ModelFault.CONSTANT_VARIABLE),
    ],
)
def test_what_cannot_be_fitted_is_named(
    energy: np.ndarray, columns: list[np.ndarray], fault: ModelFault
) -> None:
    x = np.column_stack([np.empty((len(energy), 0)), *columns])
    with pytest.raises(BaselineError) as refused:
        fit(energy, [f"x{i}" for i in range(len(columns))], x)
    assert refused.value.fault == fault


def test_collinear_variables_are_named_and_the_innocent_is_not() -> None:
    with pytest.raises(BaselineError, match=r"^a, c say the same"):
        fit(GOOD + NOISE, ["a", "b", "c"], np.column_stack([GOOD, NOISE[::-1], 5 - GOOD]))


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=14, max_size=14),
    st.floats(1e-3, 1e3),
    st.floats(1e-3, 1e3),
)
def test_units_change_no_statistic(noise: list[float], energy_unit: float, unit: float) -> None:
    x = np.array([3.0, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7])
    y = 5000 + 100 * x + np.array(noise)
    try:
        one = fit(y, ["x"], x[:, None])
    except BaselineError:
        return
    other = fit(y * energy_unit, ["x"], x[:, None] * unit)
    for statistic in ("r_squared", "f", "cv_rmse", "durbin_watson", "f_p"):
        assert getattr(other, statistic) == pytest.approx(getattr(one, statistic), rel=1e-6)
    assert all(math.isfinite(c.t) for c in other.coefficients)
    assert sum(other.residuals) == pytest.approx(0, abs=1e-6 * energy_unit * 5000)


def test_errors_out_of_sample() -> None:
    cv_rmse, bias = out_of_sample_errors(np.array([10.0, 10.0]), np.array([9.0, 10.0]))
    assert (cv_rmse, bias) == (pytest.approx(math.sqrt(0.5) / 10), pytest.approx(0.05))
    with pytest.raises(BaselineError, match="no energy to compare"):
        out_of_sample_errors(np.array([]), np.array([]))
