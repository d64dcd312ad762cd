"""Output that counters of PLCs tell, and what was booked where none of them counts."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction

from analytics.accounting.product_output import (
    OutputEntry,
    ProductionCounter,
    ProductOutput,
    product_total,
)
from analytics.intervals.sums import WindowSum

DAY = dt.timedelta(days=1)
SINCE = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


class Steady:
    """Ten units a day."""

    def over(self, since: dt.datetime, until: dt.datetime) -> WindowSum:
        return WindowSum(
            Fraction((until - since) // DAY * 10), 0.0, 1.0, 1.0, 0.0, 0.0, simulated=False
        )


def counter(since: int, until: int | None) -> ProductionCounter:
    end = None if until is None else SINCE + until * DAY
    return ProductionCounter(1, True, Fraction(1), SINCE + since * DAY, end)


def test_what_was_booked_before_the_counter_came_stays() -> None:
    booked = [OutputEntry(Fraction(7), True, SINCE, SINCE + 10 * DAY, False)]
    made = product_total(
        ProductOutput(1, "t", Fraction(1), booked, [counter(10, None)]),
        lambda _: Steady(), SINCE, SINCE + 30 * DAY,
    )  # fmt: skip
    assert (made.exact, made.coverage) == (Fraction(207), 1.0)


def test_a_counter_that_follows_another_leaves_nothing_uncovered() -> None:
    made = product_total(
        ProductOutput(1, "t", Fraction(1), [], [counter(0, 10), counter(10, None)]),
        lambda _: Steady(), SINCE, SINCE + 30 * DAY,
    )  # fmt: skip
    assert (made.exact, made.coverage) == (Fraction(300), 1.0)


def test_before_the_counter_nothing_is_known() -> None:
    made = product_total(
        ProductOutput(1, "t", Fraction(1), [], [counter(15, None)]),
        lambda _: Steady(), SINCE, SINCE + 30 * DAY,
    )  # fmt: skip
    assert (made.exact, made.coverage) == (Fraction(150), 0.5)
    assert made.missing == ((SINCE, SINCE + 15 * DAY),)
