"""A baseline model: which variables it takes, where it bends, and its regression.

ISO 50006, GB/T 36713.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from analytics.baselines.change_points import ChangePoint, bend, find_change_point
from analytics.baselines.regression import Regression, fit
from analytics.errors import BaselineError, ModelFault

__all__ = ["BaselineModel", "ModelForm", "fit_model"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, order=True)
class ModelForm:
    """What a model is made of before it is fitted.

    Attributes
    ----------
    linear
        Variables that enter as they are.
    bent
        The temperature that enters by a change point; empty without one.
    change_point
        Which one; empty without.
    """

    linear: tuple[str, ...]
    bent: str = ""
    change_point: ChangePoint | None = None

    @property
    def parameters(self) -> int:
        """Intercept, slopes and the bend."""
        bends = {None: 0, "heating_3p": 2, "cooling_3p": 2, "heating_cooling_4p": 3}
        return 1 + len(self.linear) + bends[self.change_point]

    @property
    def variables(self) -> tuple[str, ...]:
        """Everything that must be known of a period."""
        return (*self.linear, *([self.bent] if self.bent else ()))

    def __str__(self) -> str:
        bent = f"{self.change_point}({self.bent})" if self.bent else ""
        return " + ".join([*self.linear, *([bent] if bent else ())]) or "mean"


@dataclass(frozen=True, slots=True)
class BaselineModel:
    """A fitted form; ``change_at`` is where energy bends [unit of the temperature]."""

    form: ModelForm
    regression: Regression
    change_at: float | None

    def rows(self, variables: Mapping[str, Floats]) -> Floats:
        """Return the rows of predictors that the regression takes.

        Parameters
        ----------
        variables
            A column of shape (m,) for each variable of the form.
        """
        return _predictors(self.form, variables, self.change_at)[1]

    def outside(self, variables: Mapping[str, float]) -> tuple[str, ...]:
        """Return the predictors that a period's values take out of the training range."""
        return self.regression.outside(
            self.rows({name: np.array([value]) for name, value in variables.items()})
        )


def fit_model(
    form: ModelForm,
    energy: Floats,
    variables: Mapping[str, Floats],
    *,
    places: Sequence[int] | None = None,
) -> BaselineModel:
    """Fit a form, its change point first.

    Parameters
    ----------
    form
        At least one variable.
    energy
        One value a period, shape (n,) [energy unit].
    variables
        A column of shape (n,) for each variable of the form.
    places
        As for `analytics.baselines.regression.fit`.

    Returns
    -------
    BaselineModel
        The form with its regression, and where it bends.

    Raises
    ------
    BaselineError
        As `analytics.baselines.regression.fit` and
        `analytics.baselines.change_points.find_change_point`.
    """
    at = None
    if form.change_point is not None:
        if len(energy) <= form.parameters:
            raise BaselineError(
                ModelFault.TOO_FEW_POINTS,
                f"{len(energy)} points for {form.parameters} parameters: a longer window",
            )
        for name in form.variables:
            if not np.isfinite(variables[name]).all():
                raise BaselineError(
                    ModelFault.MISSING_VALUE, f"{name} has no value in some of the periods"
                )
        at = find_change_point(
            energy, variables[form.bent], form.change_point,
            np.column_stack([np.empty((len(energy), 0)), *(variables[n] for n in form.linear)]),
        )  # fmt: skip
    names, x = _predictors(form, variables, at)
    extra = 0 if at is None else 1
    return BaselineModel(form, fit(energy, names, x, extra_parameters=extra, places=places), at)


def _predictors(
    form: ModelForm, variables: Mapping[str, Floats], at: float | None
) -> tuple[list[str], Floats]:
    names = list(form.linear)
    columns = [variables[n] for n in form.linear]
    if form.change_point is not None and at is not None:
        bent = bend(variables[form.bent], at, form.change_point)
        sides = {
            "heating_3p": ["below"], "cooling_3p": ["above"],
            "heating_cooling_4p": ["below", "above"],
        }  # fmt: skip
        names += [f"{form.bent} {side}" for side in sides[form.change_point]]
        columns += list(bent.T)
    return names, np.column_stack(columns)
