"""Why energy changed against the base: more output, other products, or better work (F10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["Change", "split_change"]


@dataclass(frozen=True, slots=True)
class Change:
    """Three parts that add up to the change of energy exactly [unit of the energy]."""

    volume: Fraction
    mix: Fraction
    efficiency: Fraction


def split_change(
    base_energy: Fraction,
    energy: Fraction,
    base_output: Sequence[Fraction],
    output: Sequence[Fraction],
    weights: Sequence[Fraction],
    *,
    one_unit: bool,
) -> Change | None:
    """Split energy - base_energy into volume, mix and efficiency.

    Parameters
    ----------
    base_energy, energy
        Of the same months of the base year, and of the period [one unit].
    base_output, output
        Of each product, in the same order, >= 0 [unit of the product].
    weights
        Frozen base intensity of each product, > 0 [energy unit per product unit].
    one_unit
        Whether the products share a unit, so that a sum of them is a volume.

    Returns
    -------
    Change or None
        With S the weighted sum of outputs (what they would have taken in the base year) and Q their
        plain sum: volume = E0 (Q/Q0 - 1), mix = E0 (S/S0 - Q/Q0), efficiency = E - E0 S/S0. Without
        a common unit S stands for Q, and there is no mix to tell apart. None if nothing was made in
        the base months.

    Notes
    -----
    Index decomposition with base weights (Laspeyres); the residual is zero since the factors are
    taken one after the other.
    """
    base_weighted = sum((w * p for w, p in zip(weights, base_output, strict=True)), Fraction(0))
    weighted = sum((w * p for w, p in zip(weights, output, strict=True)), Fraction(0))
    base_sum, total = sum(base_output, Fraction(0)), sum(output, Fraction(0))
    if base_weighted <= 0 or base_sum <= 0:
        return None
    like_base = weighted / base_weighted
    volume_ratio = total / base_sum if one_unit else like_base
    return Change(
        base_energy * (volume_ratio - 1),
        base_energy * (like_base - volume_ratio),
        energy - base_energy * like_base,
    )
