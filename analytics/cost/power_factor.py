"""The month's power factor, and what it does to the bill (力调电费)."""

from __future__ import annotations

import functools
import math
import tomllib
from fractions import Fraction
from importlib.resources import files
from typing import Final

import msgspec

from analytics.errors import CostError

__all__ = ["adjustment_percent", "power_factor"]

_HUNDREDTH: Final = Fraction(1, 100)


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    at: str
    percent: str
    each: str


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    standard: str
    users: dict[str, str]
    reward: list[_Row]
    penalty: list[_Row]


class _Tables(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    verified: bool
    table: list[_Table]


def power_factor(kwh: Fraction, kvarh: Fraction) -> Fraction | None:
    """Return the mean power factor of a month, rounded to 0.01.

    Parameters
    ----------
    kwh
        Active energy, not negative [kWh].
    kvarh
        Reactive energy, lagging and leading added up in absolute value, not negative [kvarh].

    Returns
    -------
    Fraction or None
        kWh / sqrt(kWh² + kvarh²) in hundredths; None if nothing was used.

    Raises
    ------
    CostError
        If an amount is negative: lead and lag are added in absolute value, never netted.

    Notes
    -----
    (83)水电财字215号. Exact: the root is compared in whole numbers. How halves are rounded does not
    matter, since no amounts have one: the legs and the hypotenuse of a right triangle in whole
    numbers, without a common factor, have an odd hypotenuse, and n + 1/2 hundredths an even one.
    """
    if kwh < 0 or kvarh < 0:
        raise CostError(f"a power factor needs amounts from 0 on, not {kwh} kWh, {kvarh} kvarh")
    if kwh == 0:
        return None
    # The greatest n with n - 1/2 <= 100 PF, that is 2n - 1 <= sqrt((200 kWh)² / (kWh² + kvarh²)).
    square = (200 * kwh) ** 2 / (kwh**2 + kvarh**2)
    return Fraction((math.isqrt(math.floor(square)) + 1) // 2, 100)


def adjustment_percent(factor: Fraction, standard: str) -> Fraction:
    """Return by how much the energy and basic charges change.

    Parameters
    ----------
    factor
        Power factor in hundredths, 0 .. 1.
    standard
        "0.90", "0.85" or "0.80": which users belong to which is in the table.

    Returns
    -------
    Fraction
        Change [%]; negative is a reward.

    Raises
    ------
    CostError
        If the standard has no table, or the factor is outside 0 .. 1.

    Notes
    -----
    (83)水电财字215号, tables 1 to 3 (``data/power_factor.toml``, not verified).
    """
    table = next((t for t in _tables().table if t.standard == standard), None)
    if table is None:
        known = ", ".join(t.standard for t in _tables().table)
        raise CostError(f"no table for power factor standard {standard!r}; there are: {known}")
    if not 0 <= factor <= 1:
        raise CostError(f"a power factor lies in 0 .. 1, not at {factor}")
    limit = Fraction(standard)
    if factor == limit:
        return Fraction(0)
    above = factor > limit
    rows = table.reward if above else table.penalty
    reached = [
        row for row in rows if (Fraction(row.at) <= factor if above else factor <= Fraction(row.at))
    ]
    row = reached[-1]
    steps = abs(factor - Fraction(row.at)) / _HUNDREDTH
    return Fraction(row.percent) + steps * Fraction(row.each)


@functools.cache
def _tables() -> _Tables:
    text = files("analytics.cost").joinpath("data/power_factor.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), _Tables)
