"""Carbon by location: the right year's grid factor, no mixing of units or of coal and carbon."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any

import pytest

from analytics.accounting.carbon import (
    Carbon,
    CarbonFactor,
    CarbonFactors,
    StandardCoal,
    carbon_of,
)
from analytics.accounting.energy_parts import EnergyPart
from analytics.errors import FactorUnitError, MissingFactorError

UTC = dt.UTC
LONG_AGO = dt.datetime(2008, 1, 1, tzinfo=UTC)
MAY, CLOSING = dt.datetime(2024, 5, 1, tzinfo=UTC), dt.datetime(2026, 2, 1, tzinfo=UTC)


def factor(medium: str, value: str, unit: str, **more: Any) -> CarbonFactor:
    said = {"verified": True, "valid_from": LONG_AGO, "valid_to": None, **more}
    return CarbonFactor(medium, Carbon(Fraction(value)), unit, **said)


FACTORS = CarbonFactors(
    "guideline", "2024", "zhejiang",
    [
        factor("electricity", "0.5422", "kWh", region="zhejiang", data_year=2021,
               valid_from=dt.datetime(2024, 4, 12, tzinfo=UTC)),
        factor("electricity", "0.5153", "kWh", region="zhejiang", data_year=2022,
               valid_from=dt.datetime(2024, 12, 26, tzinfo=UTC)),
        factor("electricity", "0.1073", "kWh", region="yunnan", data_year=2022),
        factor("raw_coal", "1747.1", "t"),
        factor("heat", "110", "GJ"),
    ],
)  # fmt: skip


def part(carrier: str, kind: Any, quantity: str, unit: str) -> EnergyPart:
    return EnergyPart(
        carrier, kind, Fraction(quantity), unit, Fraction(0), "physical", 0.0, 1.0, True, None
    )


def kg(parts: list[EnergyPart], closing: dt.datetime = CLOSING) -> dict[str, Fraction | None]:
    return {
        c.carrier: None if c.carbon is None else c.carbon.value
        for c in carbon_of(parts, FACTORS, MAY, closing)
    }


def test_the_factor_published_last_at_closing_counts() -> None:
    bought = [part("electricity", "import", "1000", "kWh")]
    assert kg(bought) == {"electricity": Fraction("515.3")}
    assert kg(bought, dt.datetime(2024, 6, 1, tzinfo=UTC)) == {"electricity": Fraction("542.2")}
    [before] = carbon_of(bought, FACTORS, MAY, dt.datetime(2024, 1, 1, tzinfo=UTC))
    assert before.carbon is None
    assert (
        "no carbon factor for electricity in guideline (2024) for region 'zhejiang'" in before.why
    )
    assert "on 2024-05-01" in before.why


def test_own_generation_has_none_and_what_is_sold_of_it_takes_nothing_off() -> None:
    parts = [
        part("electricity", "import", "1000", "kWh"),
        part("electricity", "own_renewable", "300", "kWh"),
        part("electricity", "export", "-100", "kWh"),
    ]
    assert kg(parts) == {"electricity": Fraction("515.3")}
    # Without own generation what is sold was bought before.
    assert kg([parts[0], parts[2]]) == {"electricity": Fraction("463.77")}


def test_fuels_and_heat_by_their_table_and_water_by_none() -> None:
    parts = [
        part("raw_coal", "ledger", "2", "t"),
        part("heat", "import", "10", "GJ"),
        part("fresh_water", "import", "500", "m3"),
    ]
    assert kg(parts) == {"raw_coal": Fraction("3494.2"), "heat": Fraction(1100)}


def test_units_of_one_quantity_are_converted_and_others_refused() -> None:
    assert kg([part("raw_coal", "ledger", "500", "kg")]) == {"raw_coal": Fraction("873.55")}
    with pytest.raises(FactorUnitError, match="carbon of raw_coal per t, not per m3"):
        FACTORS.factor("raw_coal", "m3", MAY, CLOSING)
    with pytest.raises(MissingFactorError, match="no carbon factor for steam"):
        FACTORS.factor("steam", "t", MAY, CLOSING)


def test_carbon_and_standard_coal_are_never_added() -> None:
    coal, carbon = StandardCoal(Fraction(1)), Carbon(Fraction(2))
    assert carbon + carbon == Carbon(Fraction(4))
    with pytest.raises(TypeError):
        _ = coal + carbon  # type: ignore[operator]  # what the type checker refuses, too
    assert coal != StandardCoal(Fraction(2))
    assert StandardCoal(Fraction(2)) != Carbon(Fraction(2))
