"""Units: factors from the SI brochure and its prefixes, typed in."""

from __future__ import annotations

from fractions import Fraction

import pytest

from enpilot.quantities import QUANTITIES, UnitError, convert, unit_ratio


@pytest.mark.parametrize(
    ("quantity", "unit", "ratio"),
    [
        ("active_energy", "MWh", Fraction(1000)),
        ("active_energy", "Wh", Fraction(1, 1000)),
        ("heat", "kWh", Fraction(36, 10_000)),  # 1 kWh = 3.6 MJ
        ("heat", "MJ", Fraction(1, 1000)),
        ("mass", "kg", Fraction(1, 1000)),
        ("pressure", "bar", Fraction(100)),
        ("operating_time", "s", Fraction(1, 3600)),
    ],
)
def test_ratio_to_the_quantitys_own_unit(quantity: str, unit: str, ratio: Fraction) -> None:
    assert unit_ratio(quantity, unit) == ratio


def test_a_wrong_unit_is_refused_with_the_right_ones() -> None:
    with pytest.raises(UnitError, match=r"kWh"):
        unit_ratio("active_energy", "kW")
    with pytest.raises(UnitError, match=r"active_energy"):
        unit_ratio("energy", "kWh")


def test_conversion_and_back() -> None:
    assert convert(2.5, "active_energy", "MWh", "kWh") == 2500.0
    for quantity in QUANTITIES.values():
        for unit in quantity.units:
            there = convert(7.0, quantity.code, unit, quantity.unit)
            assert convert(there, quantity.code, quantity.unit, unit) == pytest.approx(7.0)
