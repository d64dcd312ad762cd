"""Energy on relevant variables by ordinary least squares, with all that judges the fit.

ISO 50006:2014 annex D, GB/T 36713-2018; formulas of the statistics: Draper and Smith, Applied
Regression Analysis (1966). numpy's QR and the distributions of scipy.special are enough for models
of a few predictors; statsmodels would add pandas to every server for the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc, stdtr, stdtrit

from analytics.errors import BaselineError, ModelFault

__all__ = [
    "INTERCEPT",
    "Coefficient",
    "Prediction",
    "Regression",
    "VariableRange",
    "fit",
    "out_of_sample_errors",
    "t_quantile",
]

Floats: TypeAlias = NDArray[np.float64]

INTERCEPT: Final = "intercept"
# Singular values of centred, scaled predictors: below it one is a combination of the others.
_COLLINEAR: Final = 1e-6
_EXACT: Final = 1e-12  # of the variance: what rounding leaves of an exact relation
# Of all points of a fit without outliers, one in twenty fits shows one (Bonferroni).
_OUTLIER_LEVEL: Final = 0.05
_FAR: Final = 3.0  # standard deviations from the training mean (SEP rule)


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One estimate: value [energy unit per unit of the variable], its error, t and two-sided p.

    ``variance_inflation`` is 1 without relation to the other predictors; None for the intercept.
    """

    name: str
    value: float
    standard_error: float
    t: float
    p: float
    variance_inflation: float | None


@dataclass(frozen=True, slots=True)
class VariableRange:
    """Where a variable was in training [unit of the variable]; outside, a model is a guess."""

    name: str
    low: float
    high: float
    mean: float
    deviation: float

    def holds(self, value: float) -> bool:
        """Whether a value lies within min..max, or within 3 standard deviations of the mean."""
        near = abs(value - self.mean) <= _FAR * self.deviation
        return near or self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Prediction:
    """Expected energy of one period or of a sum of periods [energy unit].

    Attributes
    ----------
    expected
        Of the model.
    standard_error
        Of a new observation: error of the coefficients and scatter of the energy together.
    lower, upper
        The interval at the confidence that was asked for.
    outside
        Variables that lie outside of what the model was trained on.
    """

    expected: float
    standard_error: float
    lower: float
    upper: float
    outside: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Regression:
    """A fitted model.

    Attributes
    ----------
    coefficients
        The intercept first.
    n, parameters
        Points, and parameters that were fitted: with the intercept, and with a change point.
    mean
        Of the training energy [energy unit].
    s
        Standard error of the regression, sqrt(SSE / (n - parameters)) [energy unit].
    r_squared, adjusted_r_squared, f, f_p
        Of the whole model against its mean.
    cv_rmse
        s / mean; ASHRAE Guideline 14.
    durbin_watson, autocorrelation
        Of neighbouring residuals; lag 1.
    ranges
        Of each predictor in training.
    residuals, studentised
        Of each point [energy unit]; [1]. None for a point that decides a coefficient alone.
    outliers
        Places of points whose studentised residual no scatter explains (level 5 % a fit).
    inverse
        (X'X)^-1 in the order of the coefficients.
    """

    coefficients: tuple[Coefficient, ...]
    n: int
    parameters: int
    mean: float
    s: float
    r_squared: float
    adjusted_r_squared: float
    f: float
    f_p: float
    cv_rmse: float
    durbin_watson: float
    autocorrelation: float
    ranges: tuple[VariableRange, ...]
    residuals: tuple[float, ...]
    studentised: tuple[float | None, ...]
    outliers: tuple[int, ...]
    inverse: tuple[tuple[float, ...], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the predictors, without the intercept."""
        return tuple(c.name for c in self.coefficients[1:])

    @property
    def degrees_of_freedom(self) -> int:
        """Points beyond parameters."""
        return self.n - self.parameters

    def expected(self, x: Floats) -> Floats:
        """Return expected energy [energy unit] for rows of predictors, shape (m, predictors)."""
        rows = _rows(x, len(self.names))
        values = np.array([c.value for c in self.coefficients])
        return np.asarray(values[0] + rows @ values[1:], dtype=np.float64)

    def predict(self, x: Sequence[float], confidence: float = 0.95) -> Prediction:
        """Predict the energy of one period.

        Parameters
        ----------
        x
            One value for each predictor, in the order of ``names``.
        confidence
            Of the interval, in (0, 1).

        Returns
        -------
        Prediction
            With its interval, and the variables that are outside of training.
        """
        rows = _rows(np.asarray(x, dtype=np.float64)[None, :], len(self.names))
        return self.predict_sum(rows, confidence)

    def predict_sum(self, x: Floats, confidence: float = 0.95) -> Prediction:
        """Predict the energy of several periods together.

        The variance of a sum of m periods is s²(m·a + u'(X'X)⁻¹u), u the sum of the rows: errors of
        the coefficients do not cancel out over periods. a = (1+ρ)/(1-ρ) where residuals follow each
        other (ρ > 0), else 1.

        Parameters
        ----------
        x
            Rows of predictors, shape (m, predictors), m ≥ 1.
        confidence
            Of the interval, in (0, 1).

        Returns
        -------
        Prediction
            Of the sum.
        """
        rows = _rows(x, len(self.names))
        u = np.concatenate([[float(len(rows))], rows.sum(axis=0)])
        a = 1.0
        if len(rows) > 1 and 0 < self.autocorrelation < 1:
            a = (1 + self.autocorrelation) / (1 - self.autocorrelation)
        error = self.s * math.sqrt(len(rows) * a + float(u @ np.array(self.inverse) @ u))
        expected = float(self.expected(rows).sum())
        half = t_quantile(confidence, self.degrees_of_freedom) * error
        return Prediction(expected, error, expected - half, expected + half, self.outside(rows))

    def outside(self, x: Floats) -> tuple[str, ...]:
        """Return the predictors that leave their training range in some row."""
        rows = _rows(x, len(self.names))
        return tuple(
            r.name
            for i, r in enumerate(self.ranges)
            if not all(r.holds(value) for value in rows[:, i].tolist())
        )


def t_quantile(confidence: float, degrees_of_freedom: int) -> float:
    """Return t such that ±t holds the confidence of Student's distribution.

    Parameters
    ----------
    confidence
        In (0, 1).
    degrees_of_freedom
        At least 1.

    Returns
    -------
    float
        t, above 0.
    """
    return float(stdtrit(degrees_of_freedom, 0.5 + confidence / 2))


def fit(
    energy: Floats,
    names: Sequence[str],
    x: Floats,
    *,
    extra_parameters: int = 0,
    places: Sequence[int] | None = None,
) -> Regression:
    """Fit energy = b₀ + Σ bᵢ·xᵢ by least squares.

    Parameters
    ----------
    energy
        One value a period, shape (n,) [energy unit].
    names
        Of the predictors.
    x
        Predictors, shape (n, predictors) [unit of each].
    extra_parameters
        Parameters that were found by search before, such as a change point: they cost degrees of
        freedom like all others.
    places
        Running number of each period, where some are left out: only neighbours tell of
        autocorrelation.

    Returns
    -------
    Regression
        The fit and its statistics.

    Raises
    ------
    BaselineError
        If there are not more points than parameters, a value is missing, the energy or a variable
        does not vary, variables say the same, or they give the energy exactly.
    """
    rows = _rows(x, len(names))
    y = np.asarray(energy, dtype=np.float64)
    parameters = 1 + len(names) + extra_parameters
    _check(y, names, rows, parameters)
    n = len(y)
    design = np.column_stack([np.ones(n), rows])
    # Columns of unit length: degree days beside tonnes must not decide what is singular.
    lengths = np.linalg.norm(design, axis=0)
    q, r = np.linalg.qr(design / lengths)
    beta = np.linalg.solve(r, q.T @ y) / lengths
    residuals = y - design @ beta
    centred = y - y.mean()
    total, left = float(centred @ centred), float(residuals @ residuals)
    if left <= _EXACT * total:
        raise BaselineError(
            ModelFault.EXACT_FIT,
            f"{', '.join(names)} give the energy exactly, without any scatter: one of them is"
            " computed from it, or there are too few points",
        )
    freedom = n - parameters
    s = math.sqrt(left / freedom)
    back = np.linalg.inv(r) / lengths[:, None]
    inverse = back @ back.T
    leverage = np.minimum((q**2).sum(axis=1), 1.0)
    inflations = _variance_inflations(rows)
    coefficients = [
        _coefficient(name, value, s * math.sqrt(variance), freedom, inflation)
        for name, value, variance, inflation in zip(
            [INTERCEPT, *names], beta.tolist(), np.diag(inverse).tolist(), [None, *inflations],
            strict=True,
        )
    ]  # fmt: skip
    explained = parameters - 1
    f = ((total - left) / explained) / (left / freedom)
    studentised = _studentised(residuals, leverage, left, freedom)
    watson, rho = _following(residuals, left, places)
    return Regression(
        tuple(coefficients), n, parameters, float(y.mean()), s, 1 - left / total,
        1 - (left / freedom) / (total / (n - 1)), f, float(fdtrc(explained, freedom, f)),
        s / abs(float(y.mean())), watson, rho,
        tuple(_range(name, rows[:, i]) for i, name in enumerate(names)),
        tuple(residuals.tolist()), studentised, _outliers(studentised, n, freedom),
        tuple(tuple(row) for row in inverse.tolist()),
    )  # fmt: skip


def out_of_sample_errors(actual: Floats, expected: Floats) -> tuple[float, float]:
    """Return CV(RMSE) and normalised mean bias of periods that the model was not fitted to.

    Both divide by the number of periods, since nothing was fitted to these. On training data the
    bias of least squares is zero by construction and says nothing.

    Parameters
    ----------
    actual, expected
        Shape (m,), m ≥ 1 [energy unit].

    Returns
    -------
    tuple of float
        CV(RMSE) and NMBE [1], as shares of the mean actual energy; ASHRAE Guideline 14.

    Raises
    ------
    BaselineError
        If there is no period, or the mean is zero.
    """
    if len(actual) == 0 or float(actual.mean()) == 0:
        raise BaselineError(
            ModelFault.CONSTANT_ENERGY, "no energy to compare with: errors have no mean to refer to"
        )
    differences = actual - expected
    mean = float(actual.mean())
    return math.sqrt(float((differences**2).mean())) / abs(mean), float(differences.mean()) / mean


def _rows(x: Floats, width: int) -> Floats:
    rows = np.asarray(x, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise ValueError(f"predictors of shape {rows.shape}, expected (periods, {width})")
    return rows


def _check(y: Floats, names: Sequence[str], rows: Floats, parameters: int) -> None:
    n = len(y)
    if len(rows) != n:
        raise ValueError(f"{n} energies, {len(rows)} rows of predictors")
    for name, values in (("energy", y), *((m, rows[:, i]) for i, m in enumerate(names))):
        missing = np.flatnonzero(~np.isfinite(values))
        if len(missing):
            raise BaselineError(
                ModelFault.MISSING_VALUE,
                f"{name} has no value in {len(missing)} of {n} periods, the first at place"
                f" {int(missing[0])}: leave these periods out",
            )
    if not names:
        raise BaselineError(ModelFault.CONSTANT_VARIABLE, "a model needs at least one variable")
    if n <= parameters:
        raise BaselineError(
            ModelFault.TOO_FEW_POINTS,
            f"{n} points for {parameters} parameters: fewer variables, or a longer window",
        )
    if not np.ptp(y) > 0 or float(y.mean()) == 0:
        raise BaselineError(
            ModelFault.CONSTANT_ENERGY,
            f"the energy is {y[0]:g} in every period: nothing to explain",
        )
    for i, name in enumerate(names):
        if not np.ptp(rows[:, i]) > 0:
            raise BaselineError(
                ModelFault.CONSTANT_VARIABLE,
                f"{name} is {rows[0, i]:g} in every period: it cannot explain a change",
            )
    scaled = rows - rows.mean(axis=0)
    scaled /= np.linalg.norm(scaled, axis=0)
    _, values, vectors = np.linalg.svd(scaled, full_matrices=False)
    if values[-1] < _COLLINEAR:
        alike = [m for m, share in zip(names, vectors[-1], strict=True) if abs(share) > 0.1]
        raise BaselineError(
            ModelFault.COLLINEAR, f"{', '.join(alike)} say the same: leave one of them out"
        )


def _coefficient(
    name: str, value: float, error: float, freedom: int, inflation: float | None
) -> Coefficient:
    t = value / error
    return Coefficient(name, value, error, t, 2 * float(stdtr(freedom, -abs(t))), inflation)


def _variance_inflations(rows: Floats) -> list[float]:
    if rows.shape[1] == 1:
        return [1.0]
    found: list[float] = np.diag(np.linalg.inv(np.corrcoef(rows, rowvar=False))).tolist()
    return found


def _studentised(
    residuals: Floats, leverage: Floats, left: float, freedom: int
) -> tuple[float | None, ...]:
    """Divide each residual by its error, estimated without its own point."""
    found: list[float | None] = []
    for e, h in zip(residuals.tolist(), leverage.tolist(), strict=True):
        free = 1 - h
        if free < 1e-9 or freedom < 2:
            found.append(None)
            continue
        others = (left - e * e / free) / (freedom - 1)
        found.append(e / math.sqrt(others * free) if others > 0 else None)
    return tuple(found)


def _outliers(studentised: Sequence[float | None], n: int, freedom: int) -> tuple[int, ...]:
    if freedom < 2:
        return ()
    limit = t_quantile(1 - _OUTLIER_LEVEL / n, freedom - 1)
    return tuple(i for i, t in enumerate(studentised) if t is not None and abs(t) > limit)


def _following(residuals: Floats, left: float, places: Sequence[int] | None) -> tuple[float, float]:
    """Return Durbin-Watson and the lag-1 autocorrelation over pairs of neighbours."""
    steps = np.arange(len(residuals)) if places is None else np.asarray(places)
    near = np.diff(steps) == 1
    before, after = residuals[:-1][near], residuals[1:][near]
    return float(((after - before) ** 2).sum()) / left, float((before * after).sum()) / left


def _range(name: str, values: Floats) -> VariableRange:
    return VariableRange(
        name, float(values.min()), float(values.max()), float(values.mean()),
        float(values.std(ddof=1)),
    )  # fmt: skip
