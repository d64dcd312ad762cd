"""The formulas of GB/T 13234-2018 on small exact numbers."""

from __future__ import annotations

from fractions import Fraction

import pytest

from analytics.errors import SavingError
from analytics.savings.gbt13234 import (
    ProductChange,
    chained_saving_rate,
    output_value_saving,
    product_saving,
    saving_rate,
    structure_saving,
    technical_measure_saving,
)


def test_product_savings_add_up_and_a_rise_counts_against_them() -> None:
    products = [
        ProductChange(Fraction(100), Fraction(95), Fraction(20)),
        ProductChange(Fraction(60), Fraction(61), Fraction(30)),
    ]
    assert product_saving(products) == 5 * 20 - 1 * 30


def test_savings_by_value_and_by_measure() -> None:
    assert output_value_saving(Fraction("0.30"), Fraction("0.27"), Fraction(1000)) == 30
    assert technical_measure_saving(Fraction("12.5"), Fraction("11.9"), Fraction(400)) == 240


def test_another_mix_saves_without_any_better_machine() -> None:
    saved = structure_saving(
        Fraction(1000),
        [Fraction("0.6"), Fraction("0.4")],
        [Fraction("0.5"), Fraction("0.5")],
        [Fraction("0.8"), Fraction("0.2")],
    )
    assert saved == 1000 * (Fraction("0.1") * Fraction("0.8") - Fraction("0.1") * Fraction("0.2"))


def test_rates_of_years_are_chained_not_added() -> None:
    assert saving_rate(Fraction(100), Fraction(96)) == Fraction("0.04")
    assert chained_saving_rate([Fraction("0.04")] * 2) == 1 - Fraction("0.96") ** 2


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: product_saving([]),
        lambda: product_saving([ProductChange(Fraction(1), Fraction(1), Fraction(-1))]),
        lambda: output_value_saving(Fraction(1), Fraction(1), Fraction(-1)),
        lambda: technical_measure_saving(Fraction(1), Fraction(1), Fraction(-1)),
        lambda: structure_saving(Fraction(1), [Fraction(1)], [Fraction("0.9")], [Fraction(1)]),
        lambda: structure_saving(Fraction(1), [Fraction(1)], [Fraction(1)], []),
        lambda: structure_saving(Fraction(-1), [Fraction(1)], [Fraction(1)], [Fraction(1)]),
        lambda: saving_rate(Fraction(0), Fraction(1)),
    ],
)
def test_what_has_no_saving_is_refused(wrong) -> None:  # type: ignore[no-untyped-def]  # a call
    with pytest.raises(SavingError):
        wrong()
