"""Energy that bends with the temperature: three- and four-parameter change-point models.

Sources: ASHRAE Guideline 14 annex D; Kissock, Haberl and Claridge, Inverse Modeling Toolkit (2003).
The bend is found by search and is a parameter like all others: it costs a degree of freedom, and
intervals hold for the bend as found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from analytics.errors import BaselineError, ModelFault

__all__ = ["CHANGE_POINTS", "ChangePoint", "bend", "find_change_point"]

Floats: TypeAlias = NDArray[np.float64]
ChangePoint: TypeAlias = Literal["heating_3p", "cooling_3p", "heating_cooling_4p"]

CHANGE_POINTS: Final[tuple[ChangePoint, ...]] = ("heating_3p", "cooling_3p", "heating_cooling_4p")
# On either side of a bend, so that no single period makes a slope.
_LEAST: Final = 3
_STEPS: Final = 40


@dataclass(frozen=True, slots=True)
class _Search:
    energy: Floats
    others: Floats
    temperature: Floats
    kind: ChangePoint

    def best(self, candidates: Floats) -> tuple[float, float]:
        """Return the bend with the least squares, and these."""
        found = [(self._left(c), c) for c in candidates.tolist()]
        left, at = min(found)
        return at, left

    def _left(self, at: float) -> float:
        design = np.column_stack(
            [np.ones(len(self.energy)), bend(self.temperature, at, self.kind), self.others]
        )
        solution = np.linalg.lstsq(design, self.energy, rcond=None)[0]
        residuals = self.energy - design @ solution
        return float(residuals @ residuals)


def bend(temperature: Floats, at: float, kind: ChangePoint) -> Floats:
    """Return the predictors of a change-point model.

    Parameters
    ----------
    temperature
        Mean of each period, shape (n,) [°C or °F].
    at
        Where energy bends [the same unit].
    kind
        ``heating_3p``: max(0, at - T); ``cooling_3p``: max(0, T - at);
        ``heating_cooling_4p``: both.

    Returns
    -------
    numpy.ndarray
        Shape (n, 1), or (n, 2) for four parameters.
    """
    below, above = np.maximum(0.0, at - temperature), np.maximum(0.0, temperature - at)
    columns = {"heating_3p": [below], "cooling_3p": [above], "heating_cooling_4p": [below, above]}
    return np.column_stack(columns[kind])


def find_change_point(
    energy: Floats, temperature: Floats, kind: ChangePoint, others: Floats | None = None
) -> float:
    """Search the temperature at which energy bends, by least squares.

    Parameters
    ----------
    energy
        One value a period, shape (n,) [energy unit].
    temperature
        Mean of each period, shape (n,) [°C or °F].
    kind
        Which model.
    others
        Further predictors, shape (n, m).

    Returns
    -------
    float
        The bend [unit of the temperature], at least three periods away from either end.

    Raises
    ------
    BaselineError
        If there are too few periods, or too few temperatures, for a bend between them.
    """
    ordered = np.sort(temperature)
    if len(ordered) < 2 * _LEAST or not ordered[-_LEAST] > ordered[_LEAST - 1]:
        raise BaselineError(
            ModelFault.NO_CHANGE_POINT,
            f"{len(ordered)} periods do not hold {_LEAST} temperatures on either side of a bend",
        )
    search = _Search(
        energy, np.empty((len(energy), 0)) if others is None else others, temperature, kind
    )
    low, high = float(ordered[_LEAST - 1]), float(ordered[-_LEAST])
    step = (high - low) / _STEPS
    at, _ = search.best(np.linspace(low, high, _STEPS + 1))
    at, _ = search.best(np.linspace(max(low, at - step), min(high, at + step), _STEPS + 1))
    return at
