"""Whether a model may be used: tests with their numbers, and one verdict.

Sources: the validity rule of the US DOE's Superior Energy Performance programme (model F p ≤ 0.10,
every predictor p ≤ 0.20 and one below 0.10, R² ≥ 0.5, ranges by min..max or three standard
deviations); ASHRAE Guideline 14 (CV(RMSE) ≤ 20 % for reports under 12 months, 25 % up to 60, 30 %
beyond). The limits are parameters.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from analytics.baselines.regression import INTERCEPT
from analytics.baselines.selection import Selection

__all__ = ["Limits", "TestCode", "Usability", "ValidityTest", "judge_model", "verdict_of"]


class Usability(enum.StrEnum):
    """What may be done with a model."""

    USABLE = "usable"
    WEAK = "weak"
    UNUSABLE = "unusable"


class TestCode(enum.StrEnum):
    """What was tested."""

    __test__ = False  # for pytest: not a test case

    MODEL_F = "model_f"
    PREDICTOR_P = "predictor_p"
    BEST_PREDICTOR_P = "best_predictor_p"
    R_SQUARED = "r_squared"
    CV_RMSE = "cv_rmse"
    PREDICTED_R_SQUARED = "predicted_r_squared"
    POINTS = "points"
    MISSING_SHARE = "missing_share"
    SIGN = "sign"
    INTERCEPT_SIGN = "intercept_sign"
    VARIANCE_INFLATION = "variance_inflation"
    AUTOCORRELATION = "autocorrelation"
    OUTLIERS = "outliers"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the tests; the defaults are those of the sources above, or our own where marked.

    Attributes
    ----------
    model_p, predictor_p, best_predictor_p
        Highest p of the model's F, of any predictor, of the best one.
    r_squared
        Lowest R².
    cv_rmse_short, cv_rmse_long, cv_rmse_longest
        Highest CV(RMSE) for reports under 12 months, up to 60, beyond.
    points
        Fewest points.
    missing_share
        Highest share of training periods without a value (our own).
    variance_inflation
        Highest of any predictor (our own, the usual rule of thumb).
    autocorrelation
        Highest lag-1 autocorrelation (our own).
    """

    model_p: float = 0.10
    predictor_p: float = 0.20
    best_predictor_p: float = 0.10
    r_squared: float = 0.5
    cv_rmse_short: float = 0.20
    cv_rmse_long: float = 0.25
    cv_rmse_longest: float = 0.30
    points: int = 12
    missing_share: float = 0.10
    variance_inflation: float = 10.0
    autocorrelation: float = 0.5

    def cv_rmse(self, reporting_months: int) -> float:
        """Return the limit of CV(RMSE) for a report of so many months."""
        if reporting_months < 12:
            return self.cv_rmse_short
        return self.cv_rmse_long if reporting_months <= 60 else self.cv_rmse_longest


@dataclass(frozen=True, slots=True)
class ValidityTest:
    """One test: its number, the limit, and what failing it means; ``about`` names a variable."""

    code: TestCode
    value: float
    limit: float
    passed: bool
    fails_to: Usability
    about: str = ""


def judge_model(
    selection: Selection,
    *,
    limits: Limits | None = None,
    reporting_months: int = 12,
    missing_share: float = 0.0,
    signs: Mapping[str, int] | None = None,
) -> tuple[ValidityTest, ...]:
    """Test a model.

    Parameters
    ----------
    selection
        The model and what was tried with it.
    limits
        `Limits` by default.
    reporting_months
        Over how many months it is to be used.
    missing_share
        Training periods without a value, of all, 0 .. 1.
    signs
        1 for predictors that can only raise energy, -1 for those that can only lower it.

    Returns
    -------
    tuple of ValidityTest
        Every test, passed or failed.
    """
    known = limits or Limits()
    r = selection.model.regression
    bad, weak = Usability.UNUSABLE, Usability.WEAK
    models = sum(1 for trial in selection.tried if trial.fault is None)
    p = {c.name: c.p for c in r.coefficients if c.name != INTERCEPT}
    worst, best = max(p, key=p.__getitem__), min(p, key=p.__getitem__)
    inflations = {c.name: c.variance_inflation or 1.0 for c in r.coefficients[1:]}
    inflated = max(inflations, key=inflations.__getitem__)
    tests = [
        _at_most(TestCode.MODEL_F, min(1.0, r.f_p * max(1, models)), known.model_p, bad),
        _at_most(TestCode.PREDICTOR_P, p[worst], known.predictor_p, bad, worst),
        _at_most(TestCode.BEST_PREDICTOR_P, p[best], known.best_predictor_p, bad, best),
        _at_least(TestCode.R_SQUARED, r.r_squared, known.r_squared, bad),
        _at_most(TestCode.CV_RMSE, r.cv_rmse, known.cv_rmse(reporting_months), bad),
        _at_least(TestCode.PREDICTED_R_SQUARED, selection.predicted_r_squared, 0.0, bad),
        _at_most(TestCode.MISSING_SHARE, missing_share, known.missing_share, bad),
        _at_least(TestCode.POINTS, r.n, known.points, weak),
        _at_most(
            TestCode.VARIANCE_INFLATION, inflations[inflated], known.variance_inflation, weak,
            inflated,
        ),
        _at_most(TestCode.AUTOCORRELATION, r.autocorrelation, known.autocorrelation, weak),
        _at_most(TestCode.OUTLIERS, len(r.outliers), 0, weak),
        _at_least(TestCode.INTERCEPT_SIGN, r.coefficients[0].value, 0.0, weak, INTERCEPT),
    ]  # fmt: skip
    for c in r.coefficients[1:]:
        sign = (signs or {}).get(c.name, 0)
        if sign > 0:
            tests.append(_at_least(TestCode.SIGN, c.value, 0.0, weak, c.name))
        elif sign < 0:
            tests.append(_at_most(TestCode.SIGN, c.value, 0.0, weak, c.name))
    return tuple(tests)


def verdict_of(tests: tuple[ValidityTest, ...]) -> Usability:
    """Return the worst that a failed test says.

    Parameters
    ----------
    tests
        Of `judge_model`.

    Returns
    -------
    Usability
        Usable if none failed.
    """
    failed = {test.fails_to for test in tests if not test.passed}
    if Usability.UNUSABLE in failed:
        return Usability.UNUSABLE
    return Usability.WEAK if failed else Usability.USABLE


def _at_most(
    code: TestCode, value: float, limit: float, fails_to: Usability, about: str = ""
) -> ValidityTest:
    return ValidityTest(code, float(value), float(limit), value <= limit, fails_to, about)


def _at_least(
    code: TestCode, value: float, limit: float, fails_to: Usability, about: str = ""
) -> ValidityTest:
    return ValidityTest(code, float(value), float(limit), value >= limit, fails_to, about)
