"""The year of the documents, in both languages, is what the code says of the same quantities."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from analytics.accounting.area_energy import AreaUse, Carrier, Made, SharedOut, share_out
from analytics.accounting.energy_parts import LedgerEntry, MeteredPoint, Scheme, SchemeEnergy
from analytics.accounting.scheme_energy import scheme_energy
from analytics.accounting.standard_coal import Factor, FactorSet
from analytics.intervals.sums import WindowSum
from tests.docs.tables import EXAMPLES, number, table

ENGLISH = EXAMPLES / "comprehensive-energy.md"
CHINESE = EXAMPLES / "comprehensive-energy.zh.md"
HEADINGS = {
    ENGLISH: ("The coal", "By carrier", "In-house steam by what it really took",
              "Whose energy it is"),
    CHINESE: ("原煤", "分品种", "自产蒸汽按实际投入折算", "能耗归谁"),
}  # fmt: skip
SINCE = dt.datetime(2024, 12, 31, 16, tzinfo=dt.UTC)
UNTIL = dt.datetime(2025, 12, 31, 16, tzinfo=dt.UTC)
CENT = Fraction(1, 200)  # the document rounds to two digits
Rows = list[list[str]]


@dataclass(frozen=True)
class Year:
    """A meter's year."""

    amount: Fraction

    def over(self, since: dt.datetime, until: dt.datetime) -> WindowSum:
        assert (since, until) == (SINCE, UNTIL)
        return WindowSum(self.amount, 0.0, 1.0, 1.0, 1.0, 1.0, simulated=True)


@pytest.fixture(params=[ENGLISH, CHINESE], ids=["en", "zh"])
def tables(request: pytest.FixtureRequest) -> list[Rows]:
    document: Path = request.param
    return [[list(row.values()) for row in table(document, h)] for h in HEADINGS[document]]


def accounted(tables: list[Rows], basis: str) -> SchemeEnergy:
    coal, carriers = tables[0], tables[1]
    electricity = {"physical": carriers[0][4], "primary": carriers[0][6]}

    def factor(medium: str, value: str, unit: str, basis: str = "physical") -> Factor:
        return Factor(medium, basis, number(value), unit, True, SINCE, None)

    factors = FactorSet("GB/T 2589", "2020", basis, [
        *(factor("electricity", v, "kWh", b) for b, v in electricity.items()),
        factor("natural_gas", carriers[4][4], "m3"), factor("steam", carriers[6][4], "t"),
    ])  # fmt: skip
    scheme = Scheme(
        frozenset({"electricity", "raw_coal", "natural_gas", "steam"}), "kgce", factors, True, True,
        frozenset({"living"}),
    )  # fmt: skip
    said = [
        (0, "electricity", "kWh", {}),
        (1, "electricity", "kWh", {"generation": True}),
        (2, "electricity", "kWh", {"sign": -1, "direction_out": True}),
        (4, "natural_gas", "m3", {}),
        (5, "natural_gas", "m3", {"boundary": False, "use": "living"}),
        (6, "steam", "t", {}),
        (7, "steam", "t", {"sign": -1, "direction_out": True}),
    ]
    points = [
        MeteredPoint(**{
            "series_id": row, "medium": medium, "unit": unit, "sign": 1, "generation": False,
            "valid_from": SINCE, "valid_to": None, "relative_uncertainty": None, **more,
        })
        for row, medium, unit, more in said
    ]  # fmt: skip
    ledger = [
        LedgerEntry(
            "raw_coal", kind, number(row[1]), "t", SINCE, UNTIL, True, Fraction(21_000)
        )
        for kind, row in zip(("opening", "purchase", "closing"), coal[:3], strict=True)
    ]  # fmt: skip
    meters = {row: Year(abs(number(carriers[row][2]))) for row, *_ in said}
    return scheme_energy(scheme, points, ledger, meters.__getitem__, SINCE, UNTIL)


@pytest.mark.parametrize(("basis", "column"), [("physical", 5), ("primary", 7)])
def test_every_carrier_and_the_total(tables: list[Rows], basis: str, column: int) -> None:
    found = accounted(tables, basis)
    assert found.withheld is None
    order = {"import": 0, "own_renewable": 1, "ledger": 1, "excluded": 2, "export": 2}
    media = ["electricity", "raw_coal", "natural_gas", "steam"]
    parts = sorted(found.parts, key=lambda p: (media.index(p.carrier), order[p.part]))
    *carriers, whole = tables[1]
    for part, row in zip(parts, carriers, strict=True):
        assert part.quantity == number(row[2])
        assert abs(part.energy / 1000 - number(row[column])) <= CENT
    assert found.energy is not None
    assert abs(found.energy / 1000 - number(whole[column])) <= CENT
    assert sum((p.energy for p in found.parts), Fraction(0)) == found.energy


def test_the_coal_between_its_stock_takes(tables: list[Rows]) -> None:
    [coal] = [p for p in accounted(tables, "physical").parts if p.carrier == "raw_coal"]
    assert coal.quantity == number(tables[0][3][1])
    assert (coal.part, coal.basis, coal.estimated_share) == ("ledger", "measured", 0.0)


def shared(tables: list[Rows]) -> tuple[SharedOut, Fraction]:
    found = accounted(tables, "physical")
    carriers: dict[str, Carrier] = {}
    for part in found.parts:
        before = carriers.get(part.carrier, Carrier(Fraction(0), Fraction(0)))
        carriers[part.carrier] = Carrier(
            before.energy + part.energy, before.quantity + part.quantity
        )
    areas = [
        AreaUse("boiler", "conversion", {"electricity": Fraction(200_000)},
                frozenset({"raw_coal"})),
        AreaUse("a", "line", {"electricity": Fraction(3_000_000), "steam": Fraction(30_000)},
                frozenset({"natural_gas"}), own_product="a"),
        AreaUse("b", "line", {"electricity": Fraction(1_500_000), "steam": Fraction(18_000)},
                own_product="b"),
        AreaUse("office", "ancillary", {"electricity": Fraction(300_000)}),
    ]  # fmt: skip
    made = [Made("boiler", "steam", number(tables[2][2][2]))]
    assert found.energy is not None
    return share_out(carriers, areas, made), found.energy


def test_steam_carries_what_it_took(tables: list[Rows]) -> None:
    [steam] = shared(tables)[0].factors
    assert abs(steam.input / 1000 - number(tables[2][5][1])) <= CENT
    assert steam.output == number(tables[2][5][2])
    assert abs(steam.input / 1000 - sum(number(r[1]) for r in tables[2][:5] if r[1])) <= 5 * CENT


def test_all_parts_add_up_to_the_total(tables: list[Rows]) -> None:
    found, total = shared(tables)
    rows = {(r.part, r.code): r for r in found.rows if r.energy}
    order = [("product", "a"), ("product", "b"), ("ancillary", "office"), ("loss", "steam"),
             ("unmetered", "electricity")]  # fmt: skip
    assert rows.keys() == set(order)
    for key, row in zip(order, tables[3], strict=False):
        assert abs(rows[key].energy / 1000 - number(row[3])) <= CENT
        if key[0] == "product":
            assert abs(rows[key].direct / 1000 - number(row[1])) <= CENT
            assert abs(rows[key].media / 1000 - number(row[2])) <= CENT
    assert sum((r.energy for r in found.rows), Fraction(0)) == total
    assert abs(total / 1000 - number(tables[3][5][3])) <= CENT
