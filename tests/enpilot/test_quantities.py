"""Units: exact ratios, and a refusal that lists what exists."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enpilot.quantities import ENERGY_UNITS, MEDIA, QUANTITIES, UnitError, convert, unit_ratio

# SI prefixes; 1 kWh = 3.6 MJ, 1 bar = 100 kPa, by definition (BIPM, The SI Brochure, 9th edition).
RATIOS = [
    ("active_energy", "Wh", Fraction(1, 1000)),
    ("active_energy", "MWh", Fraction(1000)),
    ("heat", "kWh", Fraction(36, 10_000)),
    ("heat", "MJ", Fraction(1, 1000)),
    ("mass", "kg", Fraction(1, 1000)),
    ("volume", "L", Fraction(1, 1000)),
    ("operating_time", "s", Fraction(1, 3600)),
    ("operating_time", "min", Fraction(1, 60)),
    ("active_power", "W", Fraction(1, 1000)),
    ("mass_flow", "kg/h", Fraction(1, 1000)),
    ("volume_flow", "L/h", Fraction(1, 1000)),
    ("pressure", "bar", Fraction(100)),
    ("pressure", "MPa", Fraction(1000)),
]


@pytest.mark.parametrize(("quantity", "unit", "ratio"), RATIOS)
def test_a_unit_is_an_exact_part_of_the_stored_one(
    quantity: str, unit: str, ratio: Fraction
) -> None:
    assert unit_ratio(quantity, unit) == ratio


def test_each_quantity_is_stored_in_a_unit_of_ratio_one() -> None:
    for code, quantity in QUANTITIES.items():
        assert quantity.code == code
        assert quantity.units[quantity.unit] == 1


def test_what_accumulates_is_told_from_what_has_a_level() -> None:
    assert {code for code, q in QUANTITIES.items() if q.cumulative} == {
        "active_energy", "reactive_energy", "apparent_energy", "heat", "mass", "volume", "pieces",
        "operating_time",
    }  # fmt: skip


def test_conversion_goes_both_ways() -> None:
    assert convert(1.0, "heat", "GJ", "kWh") == pytest.approx(277.777_777_777_8, abs=1e-9)
    assert convert(959_636.71, "active_energy", "kWh", "MWh") == pytest.approx(959.636_71)


@given(
    st.sampled_from([(c, u, v) for c, q in QUANTITIES.items() for u in q.units for v in q.units]),
    st.floats(min_value=-1e12, max_value=1e12),
)
def test_there_and_back_is_the_same_amount(units: tuple[str, str, str], value: float) -> None:
    quantity, unit, other = units
    back = convert(convert(value, quantity, unit, other), quantity, other, unit)
    assert back == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize(
    ("quantity", "unit", "sentence"),
    [
        ("active_energy", "kW", "no unit 'kW' for active_energy; use one of: MWh, Wh, kWh"),
        ("active_energy", "kwh", "no unit 'kwh'"),
        ("power", "kW", "no quantity 'power'; there are: active_energy"),
    ],
)
def test_a_wrong_unit_is_refused_with_what_exists(quantity: str, unit: str, sentence: str) -> None:
    with pytest.raises(UnitError) as caught:
        unit_ratio(quantity, unit)
    assert sentence in str(caught.value)


def test_schemes_count_in_standard_coal_or_in_a_medium_s_unit() -> None:
    assert {"kgce", "kWh", "GJ", "t", "m3"} <= ENERGY_UNITS
    assert not {"kW", "pcs", "tce", "V"} & ENERGY_UNITS
    assert {"electricity", "steam", "natural_gas", "product"} <= MEDIA
