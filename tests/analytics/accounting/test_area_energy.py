"""Products, ancillary use, losses and what nobody has add up to the plant, whatever is measured."""

from __future__ import annotations

from fractions import Fraction as F  # noqa: N817  # dozens of small exact numbers
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.accounting.area_energy import (
    AreaUse,
    Carrier,
    Made,
    SharedOut,
    input_shares,
    share_out,
)
from analytics.errors import ConversionCycleError

MEDIA = ("electricity", "natural_gas", "steam", "compressed_air", "soft_water")


def rows(found: SharedOut) -> dict[tuple[str, str], F]:
    return {(r.part, r.code): r.energy for r in found.rows}


def test_a_chain_of_conversions_is_charged_by_its_real_input() -> None:
    # Water treatment (electricity) -> boiler (gas, electricity, water) -> two lines by steam.
    carriers = {
        "electricity": Carrier(F(1000), F(10_000)),  # 0.1 a kWh
        "natural_gas": Carrier(F(2000), F(1600)),
    }
    areas = [
        AreaUse("water", "conversion", {"electricity": F(200)}),
        AreaUse("boiler", "conversion", {"electricity": F(300), "soft_water": F(9)},
                frozenset({"natural_gas"})),
        AreaUse("bars", "line", {"electricity": F(5000), "steam": F(6)}, own_product="bar"),
        AreaUse("wire", "line", {"electricity": F(4000), "steam": F(3)}, own_product="wire"),
        AreaUse("office", "ancillary", {"electricity": F(100)}),
    ]  # fmt: skip
    made = [Made("water", "soft_water", F(10)), Made("boiler", "steam", F(10))]
    found = share_out(carriers, areas, made)
    # Water: 20 for 10 m3. Boiler: 2000 + 30 + 9 x 2 = 2048 for 10 t of steam.
    steam = F("204.8")
    assert {f.medium: f.factor for f in found.factors} == {"soft_water": F(2), "steam": steam}
    assert rows(found) == {
        ("product", "bar"): 500 + 6 * steam,
        ("product", "wire"): 400 + 3 * steam,
        ("ancillary", "office"): F(10),
        ("loss", "soft_water"): F(2),
        ("loss", "steam"): steam,
        ("unmetered", "electricity"): F(40),
        ("unmetered", "natural_gas"): F(0),
    }
    assert sum(rows(found).values()) == 3000


def test_a_circle_is_solved() -> None:
    # A CHP's own pumps take its power, its burners its steam: E = 100 + E/2 x 1/10 + E/2 x 1/5.
    carriers = {"natural_gas": Carrier(F(100), F(100))}
    areas = [
        AreaUse("chp", "conversion", {"electricity": F(1), "steam": F(2)},
                frozenset({"natural_gas"})),
        AreaUse("line", "line", {"electricity": F(9), "steam": F(8)}, own_product="bar"),
    ]  # fmt: skip
    half = F(1, 2)
    made = [Made("chp", "electricity", F(10), half), Made("chp", "steam", F(10), half)]
    found = share_out(carriers, areas, made)
    assert found.factors[0].input * 2 == 100 / (1 - F(1, 20) - F(1, 10))
    assert rows(found)["product", "bar"] == 100
    assert sum(rows(found).values()) == 100


def test_a_circle_that_gives_nothing_away_is_refused() -> None:
    areas = [
        AreaUse("a", "conversion", {"steam": F(10)}),
        AreaUse("b", "conversion", {"compressed_air": F(5)}),
    ]
    made = [Made("a", "compressed_air", F(5)), Made("b", "steam", F(10))]
    with pytest.raises(ConversionCycleError, match="a, b feed each other"):
        share_out({}, areas, made)


def test_what_came_to_nothing_is_a_loss_and_what_has_no_key_stays_visible() -> None:
    carriers = {"electricity": Carrier(F(100), F(100))}
    areas = [
        AreaUse("compressor", "conversion", {"electricity": F(30)}),
        AreaUse("mill", "line", {"electricity": F(50), "compressed_air": F(0)},
                keys={"bar": F(0), "wire": F(0)}),
    ]  # fmt: skip
    found = share_out(carriers, areas, [Made("compressor", "compressed_air", F(0))])
    assert rows(found) == {
        ("unallocated", "mill"): 50,  # it stood, and still took 50
        ("loss", "compressed_air"): 30,
        ("unmetered", "electricity"): 20,
    }


def test_steam_bought_beside_own_steam_is_one_pool() -> None:
    carriers = {"steam": Carrier(F(1286), F(10)), "natural_gas": Carrier(F(714), F(600))}
    areas = [
        AreaUse("boiler", "conversion", {}, frozenset({"natural_gas"})),
        AreaUse("line", "line", {"steam": F(20)}, own_product="bar"),
    ]
    found = share_out(carriers, areas, [Made("boiler", "steam", F(10))])
    assert found.factors[0].factor == 100
    assert rows(found)["product", "bar"] == 2000


def test_more_than_there_was_is_said() -> None:
    carriers = {"electricity": Carrier(F(100), F(100))}
    found = share_out(
        carriers, [AreaUse("l", "line", {"electricity": F(120)}, own_product="bar")], []
    )
    assert found.overdrawn == ["electricity"]
    assert sum(r.energy for r in found.rows) == 100


def test_a_chp_shares_its_fuel_by_what_it_became() -> None:
    assert input_shares({"electricity": F(25), "heat": F(75)}) == {
        "electricity": F(1, 4), "heat": F(3, 4),
    }  # fmt: skip
    assert input_shares({"electricity": F(0), "heat": F(0)})["heat"] == F(1, 2)


amounts = st.fractions(0, 1000, max_denominator=20)


@st.composite
def plants(draw: st.DrawFn) -> tuple[dict[str, Carrier], list[AreaUse], list[Made]]:
    carriers = {
        m: Carrier(draw(st.fractions(-100, 1000, max_denominator=20)), draw(amounts))
        for m in draw(st.lists(st.sampled_from(MEDIA), unique=True))
    }
    used = st.dictionaries(st.sampled_from(MEDIA), amounts)
    areas: list[AreaUse] = []
    made: list[Made] = []
    rest = list(draw(st.permutations(MEDIA)))
    for i in range(draw(st.integers(1, 6))):
        kind: Any = draw(st.sampled_from(("line", "conversion", "ancillary", "auxiliary")))
        own = f"p{i % 3}" if kind == "line" and draw(st.booleans()) else None
        keys = (
            draw(st.dictionaries(st.sampled_from(("p0", "p1", "p2")), amounts))
            if own is None and kind != "conversion"
            else {}
        )
        takes = frozenset({rest.pop()} if rest and draw(st.booleans()) else ())
        areas.append(AreaUse(f"a{i}", kind, draw(used), takes, keys, own))
        if kind == "conversion":
            media = draw(st.lists(st.sampled_from(MEDIA), min_size=1, max_size=2, unique=True))
            shares = input_shares({m: draw(amounts) for m in media})
            made += [Made(f"a{i}", m, draw(amounts), shares[m]) for m in media]
    return carriers, areas, made


@given(plants())
def test_all_parts_add_up_to_the_scheme(
    plant: tuple[dict[str, Carrier], list[AreaUse], list[Made]],
) -> None:
    carriers, areas, made = plant
    try:
        found = share_out(carriers, areas, made)
    except ConversionCycleError:
        return
    assert sum((r.energy for r in found.rows), F(0)) == sum(
        (c.energy for c in carriers.values()), F(0)
    )
