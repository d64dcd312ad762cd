"""How a year will end: energy so far, what is expected of the rest, and the odds of the target.

The rest comes from a usable baseline model; without one from the same months of last year times
how this year went so far. Either way with an error, so that a year's end has an interval and is not
a number only (F37). All of it holds for the output that is planned for the rest.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from analytics.baselines.regression import Regression, t_quantile
from analytics.errors import BaselineError, ModelFault

__all__ = [
    "RequiredCode",
    "RestMethod",
    "RestOfYear",
    "YearEnd",
    "forecast_year_end",
    "rest_by_baseline",
    "rest_by_last_year",
]

Floats: TypeAlias = NDArray[np.float64]


class RestMethod(enum.StrEnum):
    """Where the expectation for the rest of a year comes from."""

    BASELINE = "baseline"
    LAST_YEAR = "last_year"
    NOTHING_LEFT = "nothing_left"


class RequiredCode(enum.StrEnum):
    """What is said about the rate that the rest of the year must keep."""

    REACHABLE = "reachable"
    MET_ALREADY = "met_already"  # whatever the rest takes within what is expected
    OUT_OF_REACH = "out_of_reach"  # more was used already than the whole year may take
    NOTHING_LEFT = "nothing_left"
    NO_OUTPUT_LEFT = "no_output_left"


@dataclass(frozen=True, slots=True)
class RestOfYear:
    """Expected energy of the periods that are left [energy unit].

    ``standard_error`` is that of the sum, with ``degrees_of_freedom`` for its t; ``outside`` names
    what leaves the training range of the baseline.
    """

    method: RestMethod
    expected: float
    standard_error: float
    degrees_of_freedom: int
    outside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class YearEnd:
    """A year's end as it is expected now.

    Attributes
    ----------
    energy, lower, upper
        Of the whole year, with its interval [energy unit].
    intensity, intensity_lower, intensity_upper
        The same by the year's output [energy unit per output unit]; the energy itself for a target
        without output.
    probability
        That the year ends at or below the target, 0 .. 1.
    required
        What each unit of output of the rest may take for that [energy unit per output unit], or the
        rest as a whole [energy unit] for a target without output; None by ``required_code``.
    required_change
        The same against what is expected: -0.05 is 5 % less; None by ``required_code``.
    required_code
        See `RequiredCode`.
    method
        See `RestMethod`.
    """

    energy: float
    lower: float
    upper: float
    intensity: float
    intensity_lower: float
    intensity_upper: float
    probability: float
    required: float | None
    required_change: float | None
    required_code: RequiredCode
    method: RestMethod


def rest_by_baseline(regression: Regression, x_rest: Floats) -> RestOfYear:
    """Expect of the rest of a year what a baseline says of its variables.

    Parameters
    ----------
    regression
        Of a model that is not unusable.
    x_rest
        Predictors of the periods that are left, shape (m, predictors), as planned or as usual at
        that time of the year; m = 0 if none is left.

    Returns
    -------
    RestOfYear
        Its sum.

    Source: Draper and Smith, Applied Regression Analysis (1966): variance of a sum of predictions.
    """
    if len(x_rest) == 0:
        return RestOfYear(RestMethod.NOTHING_LEFT, 0.0, 0.0, 1)
    predicted = regression.predict_sum(x_rest)
    return RestOfYear(
        RestMethod.BASELINE, predicted.expected, predicted.standard_error,
        regression.degrees_of_freedom, predicted.outside,
    )  # fmt: skip


def rest_by_last_year(actual: Floats, last_year: Floats, last_year_rest: Floats) -> RestOfYear:
    """Expect of the rest what it was last year, times how this year went so far.

    The ratio r = ΣA/ΣL of the months so far has the variance of a ratio estimator, with a scatter
    that grows with the month's energy: s² = Σ (A - rL)²/L / (m - 1); the sum of the rest R then has
    the variance s²(R + R²/ΣL) (Cochran, Sampling Techniques, 1977, 6.3 and 6.7).

    Parameters
    ----------
    actual
        Energy of this year's closed months, shape (m,), m ≥ 2 [energy unit].
    last_year
        Energy of the same months of last year, shape (m,), above 0 [energy unit].
    last_year_rest
        Energy of last year's other months, shape (12 - m,), above 0 [energy unit].

    Returns
    -------
    RestOfYear
        Its sum.

    Raises
    ------
    BaselineError
        If there are fewer than two months, a month is missing, or last year has none to compare.
    """
    if len(last_year_rest) == 0:
        return RestOfYear(RestMethod.NOTHING_LEFT, 0.0, 0.0, 1)
    known = np.concatenate([actual, last_year, last_year_rest])
    if not np.isfinite(known).all():
        raise BaselineError(
            ModelFault.MISSING_VALUE, "a month of this year or of last year has no energy"
        )
    if len(actual) != len(last_year) or len(actual) < 2:
        raise BaselineError(
            ModelFault.TOO_FEW_POINTS,
            f"{len(actual)} months of this year and {len(last_year)} of last year: a trend needs"
            " the same two months at least",
        )
    if float(last_year.min()) <= 0 or float(last_year_rest.min()) <= 0:
        raise BaselineError(
            ModelFault.CONSTANT_ENERGY, "a month of last year has no energy above 0 to compare with"
        )
    base, rest = float(last_year.sum()), float(last_year_rest.sum())
    ratio = float(actual.sum()) / base
    freedom = len(actual) - 1
    scatter = float(((actual - ratio * last_year) ** 2 / last_year).sum()) / freedom
    error = math.sqrt(scatter * (rest + rest * rest / base))
    return RestOfYear(RestMethod.LAST_YEAR, ratio * rest, error, freedom)


def forecast_year_end(
    energy_to_date: float,
    rest: RestOfYear,
    target: float,
    *,
    output_to_date: float | None = None,
    output_rest: float | None = None,
    confidence: float = 0.80,
) -> YearEnd:
    """Forecast a year's end, its odds, and what the rest may still take.

    Parameters
    ----------
    energy_to_date
        Of the closed periods [energy unit].
    rest
        Of `rest_by_baseline` or `rest_by_last_year`.
    target
        Intensity of the whole year [energy unit per output unit], or without outputs its energy
        [energy unit].
    output_to_date, output_rest
        Made so far and planned for the rest [output unit]; both, or neither for a target of energy.
    confidence
        Of the interval, in (0, 1).

    Returns
    -------
    YearEnd
        Conditional on the planned output.

    Raises
    ------
    BaselineError
        If only one output is given, or the year's output is not above 0.
    """
    if (output_to_date is None) != (output_rest is None):
        raise BaselineError(
            ModelFault.MISSING_VALUE, "output so far and output of the rest go together"
        )
    output = 1.0 if output_to_date is None or output_rest is None else output_to_date + output_rest
    if output <= 0:
        raise BaselineError(
            ModelFault.CONSTANT_VARIABLE, "no output in the whole year: there is no intensity"
        )
    left = 1.0 if output_rest is None else output_rest
    energy = energy_to_date + rest.expected
    allowed = target * output
    half = (
        t_quantile(confidence, rest.degrees_of_freedom) * rest.standard_error
        if rest.standard_error > 0
        else 0.0
    )
    required, change, code = _required(allowed - energy_to_date, rest, left)
    return YearEnd(
        energy, energy - half, energy + half, energy / output, (energy - half) / output,
        (energy + half) / output, _probability(allowed - energy, rest), required, change, code,
        rest.method,
    )  # fmt: skip


def _probability(room: float, rest: RestOfYear) -> float:
    if rest.standard_error <= 0:
        return 1.0 if room >= 0 else 0.0
    return float(stdtr(rest.degrees_of_freedom, room / rest.standard_error))


def _required(
    room: float, rest: RestOfYear, left: float
) -> tuple[float | None, float | None, RequiredCode]:
    if rest.method is RestMethod.NOTHING_LEFT:
        return None, None, RequiredCode.NOTHING_LEFT
    if left <= 0:
        return None, None, RequiredCode.NO_OUTPUT_LEFT
    if room <= 0:
        return None, None, RequiredCode.OUT_OF_REACH
    change = room / rest.expected - 1 if rest.expected > 0 else None
    met = change is None or change >= 0
    return room / left, change, RequiredCode.MET_ALREADY if met else RequiredCode.REACHABLE
