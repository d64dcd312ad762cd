"""The change of energy in three parts that add up (F10)."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.enpis.change import split_change

AMOUNT = st.fractions(min_value=0, max_value=10**6, max_denominator=1000)
WEIGHT = st.fractions(min_value="1/10", max_value=1000, max_denominator=100)


def test_a_mix_shift_is_not_efficiency() -> None:
    # Products at 60 and 120 kgce/t, 500 t each; five points of the mix move to the second: E/P
    # rises from 90 to 93, by 3.3 %, and none of it is bad work (F10).
    change = split_change(
        Fraction(90_000), Fraction(93_000), [Fraction(500), Fraction(500)],
        [Fraction(450), Fraction(550)], [Fraction(60), Fraction(120)], one_unit=True,
    )  # fmt: skip
    assert change is not None
    assert (change.volume, change.mix, change.efficiency) == (0, 3000, 0)


def test_one_product_has_no_mix() -> None:
    change = split_change(
        Fraction(1000), Fraction(1080), [Fraction(10)], [Fraction(11)], [Fraction(1)], one_unit=True
    )
    assert change is not None
    assert (change.volume, change.mix, change.efficiency) == (100, 0, -20)


def test_nothing_made_in_the_base_months_gives_no_split() -> None:
    none = [Fraction(0)]
    assert (
        split_change(Fraction(5), Fraction(9), none, [Fraction(1)], [Fraction(1)], one_unit=True)
        is None
    )


@given(
    AMOUNT, AMOUNT, st.lists(st.tuples(AMOUNT, AMOUNT, WEIGHT), min_size=1, max_size=4),
    st.booleans(),
)  # fmt: skip
def test_the_parts_add_up_exactly(
    before: Fraction, after: Fraction, made: list[tuple[Fraction, Fraction, Fraction]], one: bool
) -> None:
    change = split_change(
        before, after, [m[0] for m in made], [m[1] for m in made], [m[2] for m in made],
        one_unit=one,
    )  # fmt: skip
    if change is None:
        assert not any(m[0] for m in made)
        return
    assert change.volume + change.mix + change.efficiency == after - before
    if not one:
        assert change.mix == 0


def test_the_published_shift_of_the_mean() -> None:
    assert float(Fraction(93, 90) - 1) == pytest.approx(0.033, abs=5e-4)
