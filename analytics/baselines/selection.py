"""Which variables a model takes: by how well it predicts periods that it has not seen.

Every combination of up to four candidates is tried, and those with a change point. Trying many
finds chance fits, so three things are paid for it:

- a model counts by its errors on blocks of periods left out (cross-validation), not by its fit;
- a smaller model is preferred while the best one is not better by more than one standard error of
  the paired difference (Breiman and others, Classification and Regression Trees, 1984, 3.4.3);
- the p of the chosen model's F is multiplied by the number of models tried (Bonferroni).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from analytics.baselines.change_points import ChangePoint
from analytics.baselines.model import BaselineModel, ModelForm, fit_model
from analytics.errors import BaselineError, ModelFault

__all__ = [
    "MAX_PREDICTORS",
    "Selection",
    "Trial",
    "candidate_forms",
    "cross_validate",
    "select_model",
]

Floats: TypeAlias = NDArray[np.float64]
MAX_PREDICTORS: Final = 4


@dataclass(frozen=True, slots=True)
class Trial:
    """One form that was tried.

    ``cv_rmse_left_out`` is the root mean square of the errors on what was left out, as a share of
    the mean energy; None if ``fault`` says why the form cannot be fitted.
    """

    form: ModelForm
    parameters: int
    cv_rmse_left_out: float | None
    fault: ModelFault | None


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen model and everything that was tried, in the order of trying.

    Attributes
    ----------
    model
        Fitted to all periods.
    tried
        All forms, those that could not be fitted too.
    cv_rmse_left_out
        Of the chosen form, see `Trial`.
    cv_rmse_of_mean
        The same for the mean alone: a model that is not below it explains nothing.
    """

    model: BaselineModel
    tried: tuple[Trial, ...]
    cv_rmse_left_out: float
    cv_rmse_of_mean: float

    @property
    def predicted_r_squared(self) -> float:
        """Share of the variance that is predicted, not fitted; below 0, worse than the mean."""
        return 1 - (self.cv_rmse_left_out / self.cv_rmse_of_mean) ** 2


def candidate_forms(
    names: Sequence[str],
    *,
    temperature: str = "",
    change_points: Iterable[ChangePoint] = (),
    most: int = MAX_PREDICTORS,
) -> list[ModelForm]:
    """Return every combination of 1 to ``most`` variables, and those with a bend in temperature.

    Parameters
    ----------
    names
        The candidates.
    temperature
        One of them, which may bend.
    change_points
        How it may bend.
    most
        Predictors at most, 1 .. 4.

    Returns
    -------
    list of ModelForm
        The smaller ones first, those with a bend at the end.
    """
    forms = [
        ModelForm(chosen)
        for size in range(1, min(most, MAX_PREDICTORS) + 1)
        for chosen in itertools.combinations(names, size)
    ]
    others = [n for n in names if n != temperature]
    forms += [
        ModelForm(chosen, temperature, kind)
        for kind in change_points
        for size in range(min(most, MAX_PREDICTORS))
        for chosen in itertools.combinations(others, size)
    ]
    return forms


def cross_validate(
    form: ModelForm, energy: Floats, variables: Mapping[str, Floats], block: int = 1
) -> Floats:
    """Return the error of each period by a model that has not seen it, nor its block.

    Parameters
    ----------
    form
        Searched anew, change point and all, without each block.
    energy
        Shape (n,) [energy unit].
    variables
        A column of shape (n,) for each variable of the form.
    block
        Neighbouring periods that are left out together, at least 1; more than 1 where residuals
        follow each other.

    Returns
    -------
    numpy.ndarray
        Actual minus predicted, shape (n,) [energy unit].

    Raises
    ------
    BaselineError
        If a model without one of the blocks cannot be fitted.
    """
    errors = np.empty(len(energy))
    for first in range(0, len(energy), block):
        left_out = np.zeros(len(energy), dtype=bool)
        left_out[first : first + block] = True
        model = fit_model(
            form, energy[~left_out], {n: variables[n][~left_out] for n in form.variables}
        )
        rows = model.rows({n: variables[n][left_out] for n in form.variables})
        errors[left_out] = energy[left_out] - model.regression.expected(rows)
    return errors


def select_model(
    forms: Sequence[ModelForm],
    energy: Floats,
    variables: Mapping[str, Floats],
    *,
    block: int = 1,
    places: Sequence[int] | None = None,
) -> Selection:
    """Choose among forms by cross-validation and fit the chosen one to all periods.

    Parameters
    ----------
    forms
        At least one, see `candidate_forms`.
    energy
        Shape (n,) [energy unit].
    variables
        A column of shape (n,) for each variable.
    block
        See `cross_validate`.
    places
        As for `analytics.baselines.regression.fit`.

    Returns
    -------
    Selection
        The model and what was tried.

    Raises
    ------
    BaselineError
        If no form can be fitted: the fault of the last one that was tried.
    """
    squares: dict[ModelForm, Floats] = {}
    tried: list[Trial] = []
    why: BaselineError | None = None
    for form in forms:
        try:
            errors = cross_validate(form, energy, variables, block)
        except BaselineError as error:
            tried.append(Trial(form, form.parameters, None, ModelFault(error.fault)))
            why = error
            continue
        squares[form] = errors**2
        tried.append(Trial(form, form.parameters, _share(errors**2, energy), None))
    if not squares:
        raise why or BaselineError(ModelFault.CONSTANT_VARIABLE, "no variable to choose from")
    chosen = _smallest_as_good(squares)
    return Selection(
        fit_model(chosen, energy, variables, places=places),
        tuple(tried),
        _share(squares[chosen], energy),
        _share(_mean_left_out(energy, block) ** 2, energy),
    )


def _smallest_as_good(squares: Mapping[ModelForm, Floats]) -> ModelForm:
    best = min(squares, key=lambda form: (float(squares[form].mean()), form.parameters))
    for form in sorted(squares, key=lambda f: (f.parameters, float(squares[f].mean()))):
        if form.parameters >= best.parameters:
            break
        worse = squares[form] - squares[best]
        error = float(worse.std(ddof=1)) / math.sqrt(len(worse))
        if float(worse.mean()) <= error:
            return form
    return best


def _share(squares: Floats, energy: Floats) -> float:
    return math.sqrt(float(squares.mean())) / abs(float(energy.mean()))


def _mean_left_out(energy: Floats, block: int) -> Floats:
    errors = np.empty(len(energy))
    for first in range(0, len(energy), block):
        out = slice(first, first + block)
        held = energy[out]
        rest = len(energy) - len(held)
        mean = (float(energy.sum()) - float(held.sum())) / rest if rest else 0.0
        errors[out] = held - mean
    return errors
