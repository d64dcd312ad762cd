"""Avoided energy of a retrofit, and how sure it is.

Sources: IPMVP Core Concepts (options B and C), GB/T 28750-2012: saving = adjusted baseline -
reported energy ± non-routine adjustments. Uncertainty: ASHRAE Guideline 14 annex B, equations B-22
and B-28:
ΔE/E = 1.26·t·CV(RMSE)·sqrt((n/n')·(1 + 2/n')/m) / F, n' = n(1-ρ)/(1+ρ).
"""

from __future__ import annotations

import enum
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from analytics.baselines.regression import Regression, t_quantile
from analytics.errors import SavingError

__all__ = [
    "CONFIDENCE",
    "ClaimCode",
    "Saving",
    "avoided_energy",
    "check_windows",
    "effective_points",
    "fractional_uncertainty",
    "normalised_saving",
]

Floats: TypeAlias = NDArray[np.float64]

CONFIDENCE: Final = 0.68
_CLAIM_LIMIT: Final = 0.50  # of the saving, at 68 %: ASHRAE Guideline 14, 4.2


class ClaimCode(enum.StrEnum):
    """Whether a saving may be claimed, and if not why."""

    CLAIMABLE = "claimable"
    NO_SAVING = "no_saving"
    TOO_UNCERTAIN = "too_uncertain"
    MODEL_UNUSABLE = "model_unusable"
    OUTSIDE_RANGE = "outside_range"
    NOTHING_REPORTED = "nothing_reported"
    PERIODS_MISSING = "periods_missing"
    WINDOWS_OVERLAP = "windows_overlap"


@dataclass(frozen=True, slots=True)
class Saving:
    """Avoided energy of a reporting window [energy unit].

    Attributes
    ----------
    periods
        In the window.
    adjusted_baseline, actual
        Energy that the baseline model expects of the window's conditions, and that was used.
    adjustment
        Non-routine adjustments: what changed for other reasons, positive where it raised the actual
        energy.
    saving
        adjusted_baseline + adjustment - actual.
    uncertainty
        Half width at ``confidence`` [energy unit].
    fractional_uncertainty
        uncertainty / |saving|; None where nothing was saved or lost.
    confidence
        Of the uncertainty.
    claim
        See `ClaimCode`.
    """

    periods: int
    adjusted_baseline: float
    actual: float
    adjustment: float
    saving: float
    uncertainty: float
    fractional_uncertainty: float | None
    confidence: float
    claim: ClaimCode

    @property
    def fraction(self) -> float | None:
        """Saving as a share of the adjusted baseline; None if that is zero."""
        base = self.adjusted_baseline + self.adjustment
        return self.saving / base if base else None


def effective_points(n: int, autocorrelation: float) -> float:
    """Return how many independent points n correlated ones are worth: n(1-ρ)/(1+ρ).

    Parameters
    ----------
    n
        Training periods, at least 1.
    autocorrelation
        Lag 1, in (-1, 1); a negative one counts as 0, so that no precision is claimed from it.

    Returns
    -------
    float
        n', above 0 and at most n.

    Source: ASHRAE Guideline 14 annex B.
    """
    rho = max(0.0, autocorrelation)
    return n * (1 - rho) / (1 + rho)


def fractional_uncertainty(
    cv_rmse: float,
    n: int,
    parameters: int,
    m: int,
    fraction: float,
    *,
    autocorrelation: float = 0.0,
    confidence: float = CONFIDENCE,
) -> float:
    """Return the uncertainty of a saving as a share of it.

    ΔE/E = 1.26·t·CV(RMSE)·sqrt((n/n')·(1 + 2/n')/m) / F.

    Parameters
    ----------
    cv_rmse
        Of the baseline model [1].
    n, parameters
        Training periods and fitted parameters.
    m
        Reporting periods, at least 1.
    fraction
        F: the saving as a share of the adjusted baseline [1], not 0.
    autocorrelation
        ρ of the training residuals.
    confidence
        In (0, 1).

    Returns
    -------
    float
        ΔE/E, at least 0.

    Raises
    ------
    SavingError
        If nothing was saved (there is no share of nothing), or n, parameters or m leave no t.

    Source: ASHRAE Guideline 14 annex B, equations B-22 and B-28.
    """
    if fraction == 0:
        raise SavingError("nothing was saved: an uncertainty cannot be a share of it")
    if n <= parameters or m < 1:
        raise SavingError(
            f"{n} training periods, {parameters} parameters, {m} reporting periods: there is no"
            " scatter to tell an uncertainty from"
        )
    worth = effective_points(n, autocorrelation)
    t = t_quantile(confidence, n - parameters)
    return 1.26 * t * cv_rmse * math.sqrt(n / worth * (1 + 2 / worth) / m) / abs(fraction)


def avoided_energy(
    regression: Regression,
    x: Floats,
    actual: Floats,
    *,
    adjustments: Sequence[float] = (),
    usable: bool = True,
    expected_periods: int | None = None,
    confidence: float = CONFIDENCE,
) -> Saving:
    """Compare a reporting window with what the baseline expects of its conditions.

    Parameters
    ----------
    regression
        Of the baseline.
    x
        Predictors of the reporting periods, shape (m, predictors).
    actual
        Energy of the same periods, shape (m,) [energy unit].
    adjustments
        Non-routine ones that fall into the window [energy unit], positive where something else than
        the retrofit raised the actual energy.
    usable
        Whether the model passed its tests; if not, nothing is claimed.
    expected_periods
        That the window has; fewer with figures make it unclaimable.
    confidence
        Of the uncertainty, in (0, 1).

    Returns
    -------
    Saving
        With its uncertainty and whether it may be claimed: only if uncertainty is below half of the
        saving at 68 % confidence.

    Raises
    ------
    SavingError
        If ``x`` and ``actual`` differ in length or the window is empty.

    Source: IPMVP Core Concepts; ASHRAE Guideline 14, 4.2 and annex B.
    """
    if len(actual) == 0 or len(actual) != len(x):
        raise SavingError(f"{len(actual)} periods of energy for {len(x)} of variables")
    baseline = float(regression.expected(x).sum())
    used, adjusted = float(actual.sum()), math.fsum(adjustments)
    saved = baseline + adjusted - used
    # A share of the saving times the saving: the same whether or not there is one.
    share_of_base = fractional_uncertainty(
        regression.cv_rmse, regression.n, regression.parameters, len(actual), 1.0,
        autocorrelation=regression.autocorrelation, confidence=confidence,
    )  # fmt: skip
    uncertainty = share_of_base * abs(baseline + adjusted)
    fractional = uncertainty / abs(saved) if saved else None
    outside = bool(regression.outside(x.mean(axis=0)[None, :]))
    periods_missing = expected_periods is not None and len(actual) < expected_periods
    at_68 = uncertainty * _ratio_at_68(regression, confidence)
    return Saving(
        len(actual), baseline, used, adjusted, saved, uncertainty, fractional, confidence,
        _claim(saved, at_68, usable=usable, outside=outside, missing=periods_missing),
    )  # fmt: skip


def _ratio_at_68(regression: Regression, confidence: float) -> float:
    freedom = regression.degrees_of_freedom
    return t_quantile(CONFIDENCE, freedom) / t_quantile(confidence, freedom)


def _claim(
    saving: float, uncertainty: float, *, usable: bool, outside: bool, missing: bool
) -> ClaimCode:
    if not usable:
        return ClaimCode.MODEL_UNUSABLE
    if missing:
        return ClaimCode.PERIODS_MISSING
    if outside:
        return ClaimCode.OUTSIDE_RANGE
    if saving <= 0:
        return ClaimCode.NO_SAVING
    if uncertainty >= _CLAIM_LIMIT * saving:
        return ClaimCode.TOO_UNCERTAIN
    return ClaimCode.CLAIMABLE


def normalised_saving(
    baseline: Regression,
    baseline_x: Floats,
    reporting: Regression,
    reporting_x: Floats,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """Return what the retrofit saves under normal conditions, and its half width.

    Both models are asked for the same normal conditions; their errors add in quadrature.

    Parameters
    ----------
    baseline, reporting
        Models of the time before and after.
    baseline_x, reporting_x
        The normal conditions in the predictors of either model, shape (m, predictors).
    confidence
        In (0, 1).

    Returns
    -------
    tuple of float
        Saving and half width [energy unit].

    Raises
    ------
    SavingError
        If the conditions are not as many periods for both.

    Source: IPMVP Core Concepts, normalised savings; ISO 50015:2014.
    """
    if len(baseline_x) != len(reporting_x) or len(baseline_x) == 0:
        raise SavingError(f"normal conditions of {len(baseline_x)} and {len(reporting_x)} periods")
    before, after = baseline.predict_sum(baseline_x), reporting.predict_sum(reporting_x)
    freedom = min(baseline.degrees_of_freedom, reporting.degrees_of_freedom)
    error = math.hypot(before.standard_error, after.standard_error)
    return before.expected - after.expected, t_quantile(confidence, freedom) * error


def check_windows(
    baseline: tuple[int, int], implementation: tuple[int, int], reporting: tuple[int, int]
) -> None:
    """Refuse windows that overlap: what is judged must not be part of its own yardstick.

    Parameters
    ----------
    baseline, implementation, reporting
        First day and the day after the last, as ordinals [d].

    Raises
    ------
    SavingError
        If a window is empty or begins before the one before it ends.
    """
    windows = {"baseline": baseline, "implementation": implementation, "reporting": reporting}
    for name, (first, after) in windows.items():
        # Work of a day may have no days of its own.
        if first > after or (first == after and name != "implementation"):
            raise SavingError(f"the {name} window ends before it begins")
    for (before, (_, end)), (name, (first, _)) in itertools.pairwise(windows.items()):
        if first < end:
            raise SavingError(f"the {name} window begins before the {before} window ends")
