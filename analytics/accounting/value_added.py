"""Value added of an enterprise over a period, by vintage and price basis (F17).

Official value added is published for the months since the year's beginning, revised later (a
vintage), and at constant prices of a base year that changes every five years. Levels at different
price bases are never compared: an older series is carried over by its growth. What was not
published for exactly the period in question is not guessed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["CURRENT_PRICES", "ValueAdded", "ValueAddedTotal", "value_added_total"]

CURRENT_PRICES = 0


@dataclass(frozen=True, slots=True)
class ValueAdded:
    """The current vintage of a period's value added.

    Attributes
    ----------
    since, until
        Local dates [since, until).
    price_year
        Constant prices of that year, or `CURRENT_PRICES`.
    value
        May be negative [yuan].
    synthetic
        Made up.
    """

    since: dt.date
    until: dt.date
    price_year: int
    value: Fraction
    synthetic: bool = False


@dataclass(frozen=True, slots=True)
class ValueAddedTotal:
    """Value added of a period [yuan]; None if it was not published for exactly that period.

    ``linked`` is set where it was carried over from another price basis by growth.
    """

    value: Fraction | None
    linked: bool
    synthetic: bool


def value_added_total(
    entries: Sequence[ValueAdded], since: dt.date, until: dt.date, price_year: int
) -> ValueAddedTotal:
    """Add up published value added that makes exactly [since, until).

    Parameters
    ----------
    entries
        Of one enterprise, current vintages, any order.
    since, until
        Local dates.
    price_year
        Wanted price basis, `CURRENT_PRICES` or a year.

    Returns
    -------
    ValueAddedTotal
        At the wanted price basis. Where only another constant price basis has the period, it is
        multiplied by the ratio of both over the latest span that both have: growth is kept, levels
        are not compared. Current prices are never linked with constant ones.

    Notes
    -----
    F17. Fixed price bases of the statistics: 2005, 2010, 2015, 2020.
    """
    found = _exactly(entries, since, until, price_year)
    if found is not None:
        return ValueAddedTotal(*found[:1], False, found[1])
    if price_year != CURRENT_PRICES:
        for other in sorted({e.price_year for e in entries} - {price_year, CURRENT_PRICES},
                            reverse=True):  # fmt: skip
            old = _exactly(entries, since, until, other)
            link = _link(entries, other, price_year)
            if old is not None and link is not None:
                return ValueAddedTotal(old[0] * link[0], True, old[1] or link[1])
    return ValueAddedTotal(None, False, synthetic=False)


def _exactly(
    entries: Sequence[ValueAdded], since: dt.date, until: dt.date, price_year: int
) -> tuple[Fraction, bool] | None:
    """Tile the period with entries, the longest first: a year as published beats its months."""
    total, synthetic, reached = Fraction(0), False, since
    while reached < until:
        fitting = [
            e
            for e in entries
            if e.price_year == price_year and e.since == reached and e.until <= until
        ]
        if not fitting:
            return None
        best = max(fitting, key=lambda e: e.until)
        total, synthetic, reached = total + best.value, synthetic or best.synthetic, best.until
    return total, synthetic


def _link(
    entries: Sequence[ValueAdded], old_year: int, new_year: int
) -> tuple[Fraction, bool] | None:
    """Return new level over old level in the latest span that both price bases have."""
    old = {(e.since, e.until): e for e in entries if e.price_year == old_year and e.value > 0}
    both = [
        (e.until, e.until - e.since, e.value / old[e.since, e.until].value,
         e.synthetic or old[e.since, e.until].synthetic)
        for e in entries
        if e.price_year == new_year and e.value > 0 and (e.since, e.until) in old
    ]  # fmt: skip
    if not both:
        return None
    *_, ratio, synthetic = max(both)
    return ratio, synthetic
