"""A month shared out by each rule, from meters whose month is known."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import pytest

from analytics.accounting.area_facts import Allocation, Area, Conversion, PlantAreas
from analytics.accounting.energy_parts import MeteredPoint, Scheme
from analytics.accounting.product_energy import (
    MonthEnergy,
    ProductAccounts,
    product_total_energy,
)
from analytics.accounting.product_output import OutputEntry, ProductOutput
from analytics.accounting.withheld import WithheldCode
from analytics.intervals.sums import WindowSum

SINCE, UNTIL = dt.datetime(2026, 3, 1, tzinfo=dt.UTC), dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
# A scheme that keeps kWh: its numbers are those of the meters.
KWH = Scheme(frozenset({"electricity"}), "kWh", None, True, True, scheme_id=1)
POINTS = {"main": 1, "mill": 2, "bar-meter": 3, "wire-meter": 4}


@dataclass(frozen=True)
class Month:
    amount: Fraction

    def over(self, since: dt.datetime, until: dt.datetime) -> WindowSum:
        assert SINCE <= since < until <= UNTIL
        return WindowSum(self.amount, 0.1, 0.9, 1.0, 1.0, 1.0, simulated=False)


def point(code: str, medium: str = "electricity", unit: str = "kWh") -> MeteredPoint:
    return MeteredPoint(
        POINTS.get(code, 0), medium, unit, 1, False, LONG_AGO, None, None, code == "main", code
    )


def made(quantity: str, spans: int, lots: list[str]) -> ProductOutput:
    entries = [
        OutputEntry(Fraction(quantity) / spans, True, SINCE + i * 10 * HOUR,
                    SINCE + (i * 10 + 4) * HOUR, False, "", lots[i])
        for i in range(spans)
    ]  # fmt: skip
    return ProductOutput(1, "t", Fraction(1), entries)


def accounts(**rule: Any) -> ProductAccounts:
    said = {"key": "mill", "method": "output", "stage": "qualified", "products": [1, 2],
            "coefficients": [Fraction(1)] * 2, "points": [], "rule": 7, "valid_from": LONG_AGO,
            "valid_to": None, **rule}  # fmt: skip
    plant = PlantAreas(
        [Area("mill", "line", [1, 2], [("mill", 1)], frozenset(), LONG_AGO, None)],
        [],
        [Allocation(**said)],
        {1: "bar", 2: "wire"},
        {
            (1, "qualified"): made("30", 1, ["a"]),
            (2, "qualified"): made("10", 3, ["b", "b", ""]),
        },
    )
    months = {1: 1000, 2: 800, 3: 70, 4: 10}
    return ProductAccounts(
        plant, {code: [point(code)] for code in POINTS}, [point("main")], (),
        {n: Month(Fraction(a)) for n, a in months.items()}.get,
    )  # fmt: skip


def given(month: MonthEnergy) -> dict[tuple[str, str], Fraction]:
    return {(r.part, r.code): r.energy for r in month.rows}


@pytest.mark.parametrize(
    ("rule", "bar"),
    [
        ({"method": "output"}, Fraction(30, 40)),
        ({"method": "equivalents", "coefficients": [Fraction(1), Fraction(3)]}, Fraction(30, 60)),
        ({"method": "hours"}, Fraction(4, 16)),
        ({"method": "batches"}, Fraction(1, 3)),  # lot b was begun once, an entry without is one
        ({"method": "metered", "points": ["bar-meter", "wire-meter"]}, Fraction(70, 80)),
    ],
    ids=lambda r: r["method"] if isinstance(r, dict) else "",
)
def test_each_rule_shares_all_of_the_area(rule: dict[str, Any], bar: Fraction) -> None:
    month = accounts(**rule).month(KWH, SINCE, UNTIL)
    assert given(month) == {
        ("product", "bar"): 800 * bar,
        ("product", "wire"): 800 * (1 - bar),
        ("unmetered", "electricity"): 200,
    }
    assert month.rules == [7]


def test_a_product_of_two_months_says_how_far_it_can_be_trusted() -> None:
    found = product_total_energy(accounts(), KWH, "bar", [(SINCE, UNTIL), (SINCE, UNTIL)])
    assert (found.energy, found.estimated_share, found.coverage) == (1200.0, 0.1, 0.9)
    nothing = product_total_energy(accounts(), KWH, "plate", [(SINCE, UNTIL)])
    assert nothing.withheld is WithheldCode.ENERGY_MISSING


def test_a_rule_that_ends_within_the_month_still_counts_for_it() -> None:
    done = accounts(valid_to=SINCE + 24 * HOUR).month(KWH, SINCE, UNTIL)
    assert given(done)["product", "bar"] == 600
    over = accounts(valid_to=SINCE).month(KWH, SINCE, UNTIL)
    assert given(over)["unallocated", "mill"] == 800


def test_heat_and_power_share_their_fuel_by_what_each_holds() -> None:
    gas = Scheme(frozenset({"natural_gas"}), "m3", None, True, True, scheme_id=2)
    plant = PlantAreas(
        [
            Area("chp", "conversion", [], [], frozenset({"natural_gas"}), LONG_AGO, None),
            Area("mill", "line", [1], [("mill", 1)], frozenset(), LONG_AGO, None),
        ],
        [
            Conversion("chp electricity", "chp", "electricity", [("power", 1)], None, LONG_AGO,
                       None),
            Conversion("chp heat", "chp", "heat", [("heat", 1)], None, LONG_AGO, None),
        ],
        products={1: "bar"},
    )  # fmt: skip
    points = {
        "main": replace(point("main", "natural_gas", "m3"), series_id=1),
        "power": replace(point("power"), series_id=2),
        "heat": replace(point("heat", "heat", "GJ"), series_id=3),
        "mill": replace(point("mill"), series_id=4),
    }
    # 100 m3 of gas become 1,000 kWh (3.6 GJ) and 5.4 GJ of heat.
    months = {1: Fraction(100), 2: Fraction(1000), 3: Fraction("5.4"), 4: Fraction(500)}
    books = ProductAccounts(
        plant, {c: [p] for c, p in points.items()}, [points["main"]], (),
        {n: Month(a) for n, a in months.items()}.get,
    )  # fmt: skip
    assert given(books.month(gas, SINCE, UNTIL)) == {
        ("product", "bar"): 20,  # half of the power's 40 m3
        ("loss", "electricity"): 20,
        ("loss", "heat"): 60,
        ("unmetered", "natural_gas"): 0,
    }
    unread = ProductAccounts(
        plant, {c: [p] for c, p in points.items()}, [points["main"]], (),
        {n: Month(a) for n, a in months.items() if n != 3}.get,
    )  # fmt: skip
    month = unread.month(gas, SINCE, UNTIL)
    assert month.failed is WithheldCode.ENERGY_MISSING
    assert "of chp not everything was read" in month.why
    assert given(month) == {("unmetered", "natural_gas"): 100}
