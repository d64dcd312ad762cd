"""A bill line by line, exactly; what is missing withholds its lines, never becomes zero."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.accounting.withheld import WithheldCode
from analytics.cost.bill import BandUse, Bill, Metered, Segment, band_price, compute_bill, to_fen
from analytics.cost.cost_facts import billing_period
from analytics.errors import CostError
from enpilot.plant import Names
from enpilot.plant.tariffs import (
    Account,
    IntensitySteps,
    Losses,
    PricePart,
    Step,
    Tariff,
    with_regime,
)

NAME = Names(zh="x", en="x")
TARIFF = with_regime(
    Tariff(
        code="t", name=NAME, source="made up", regime="zhejiang-2024",
        parts=[
            PricePart(code="energy", name=NAME, yuan_per_kwh="0.6", floats=True),
            PricePart(code="loss", name=NAME, yuan_per_kwh="0.02"),
            PricePart(code="funds", name=NAME, yuan_per_kwh="0.03", adjusted=False),
        ],
        capacity_yuan_per_kva="30", demand_yuan_per_kw="48",
        demand_discount_from_kwh_per_kva="260", demand_discount_factor="0.9",
        contract_excess_from="1.05", contract_excess_factor="2",
    )
)  # fmt: skip
ACCOUNT = Account(
    code="a", name=NAME, tariff="t", points=["main"], basic_charge="demand", capacity_kva="1000",
    contract_demand_kw="800", power_factor_standard="0.90",
)  # fmt: skip
JANUARY = (dt.date(2025, 1, 1), dt.date(2025, 2, 1))


def use(**kwh: int) -> dict[Any, BandUse]:
    return {band: BandUse(Fraction(k), Fraction(124)) for band, k in kwh.items()}


def segment(tariff: Tariff = TARIFF, account: Account = ACCOUNT, **kwh: int) -> Segment:
    return Segment(*JANUARY, tariff, account, use(**(kwh or {"peak": 100_000, "valley": 60_000})))


def metered(one: Segment | None = None, **changes: Any) -> Metered:
    whole: dict[str, Any] = {
        "kvarh": Fraction(60_000), "demand_kw": Fraction(700), "demand_is_register": True,
    }  # fmt: skip
    return Metered([one or segment()], **(whole | changes))


def amounts(bill: Bill) -> dict[tuple[str, str], str | None]:
    return {
        (line.kind, line.code): None if line.amount_yuan is None else str(line.amount_yuan)
        for line in bill.lines
    }


def test_every_line_by_hand() -> None:
    bill = compute_bill(metered())
    # 0.6 x 1.65 = 0.99; 0.6 x 0.38 = 0.228. 160,000 / 1,000 kVA = 160 < 260: no discount.
    # PF = 160 / sqrt(160² + 60²) = 0.9363 -> 0.94 -> -0.60 %, of all but the funds.
    assert amounts(bill) == {
        ("energy", "peak"): "99000.00",
        ("energy", "valley"): "13680.00",
        ("part", "loss"): "3200.00",
        ("part", "funds"): "4800.00",
        ("basic", "demand"): "33600.00",
        ("power_factor", "0.90"): "-896.88",
    }
    assert bill.power_factor == Fraction("0.94")
    assert bill.total_yuan == Decimal("153383.12")
    assert (bill.energy_yuan, bill.basic_yuan) == (Decimal("120680.00"), Decimal("33600.00"))
    assert bill.withheld is None
    assert not bill.tariff_verified


def test_who_uses_his_transformer_well_pays_less_for_demand() -> None:
    bill = compute_bill(metered(segment(peak=200_000, valley=60_000)))
    assert amounts(bill)["basic", "demand"] == "30240.00"  # 260 kWh/kVA: 48 x 0.9 x 700
    nearly = compute_bill(metered(segment(peak=199_999, valley=60_000)))
    assert amounts(nearly)["basic", "demand"] == "33600.00"


@pytest.mark.parametrize(
    ("demand", "billed"), [("700", "800"), ("840", "800"), ("841", "802"), ("900", "920")]
)
def test_a_contracted_demand_is_paid_and_what_is_far_above_it_twice(
    demand: str, billed: str
) -> None:
    account = msgspec.structs.replace(ACCOUNT, basic_charge="contract_demand")
    bill = compute_bill(metered(segment(account=account), demand_kw=Fraction(demand)))
    line = next(x for x in bill.lines if x.kind == "basic")
    assert line.quantity == Fraction(billed)


def test_a_charge_for_capacity_knows_no_demand() -> None:
    account = msgspec.structs.replace(ACCOUNT, basic_charge="capacity")
    bill = compute_bill(metered(segment(account=account), demand_kw=None))
    assert amounts(bill)["basic", "capacity"] == "30000.00"
    assert bill.total_yuan is not None


def test_losses_before_the_meter_are_billed() -> None:
    losses = Losses(no_load_kw="2", load_share="0.01", no_load_kvar="10", load_kvarh_per_kwh="0.05")
    account = msgspec.structs.replace(ACCOUNT, losses=losses)
    bill = compute_bill(metered(segment(account=account)))
    # 2 kW over 124 h in each band, and 1 %.
    assert bill.loss_kwh == 2 * 248 + 1600
    assert bill.metered_kwh == 160_000
    assert bill.kvarh == 60_000 + 10 * 248 + 8000
    assert amounts(bill)["energy", "peak"] == str(to_fen(Fraction(101_248) * Fraction("0.99")))


def test_two_tariffs_in_one_period_share_the_basic_charge_by_days() -> None:
    dearer = msgspec.structs.replace(TARIFF, demand_yuan_per_kw="55")
    first = Segment(dt.date(2025, 1, 1), dt.date(2025, 1, 11), TARIFF, ACCOUNT, use(peak=1000))
    second = Segment(dt.date(2025, 1, 11), dt.date(2025, 2, 1), dearer, ACCOUNT, use(peak=2000))
    bill = compute_bill(replace(metered(), segments=[first, second]))
    basic = [x for x in bill.lines if x.kind == "basic"]
    assert [x.quantity for x in basic] == [Fraction(7000, 31), Fraction(14700, 31)]
    assert bill.basic_yuan == sum(x.amount_yuan for x in basic if x.amount_yuan)
    assert bill.metered_kwh == 3000


def test_what_is_missing_withholds_its_lines_and_the_total() -> None:
    without = compute_bill(metered(demand_kw=None))
    assert (without.total_yuan, without.withheld) == (None, WithheldCode.DEMAND_MISSING)
    assert amounts(without)["energy", "peak"] == "99000.00"
    # The adjustment hangs on the basic charge.
    assert amounts(without)["power_factor", "0.90"] is None
    blind = compute_bill(metered(kvarh=None))
    assert (blind.total_yuan, blind.withheld) == (None, WithheldCode.REACTIVE_MISSING)
    assert blind.basic_yuan == Decimal("33600.00")
    unread = compute_bill(metered(withheld=WithheldCode.REGISTER_MISSING))
    assert unread.withheld is WithheldCode.REGISTER_MISSING
    assert unread.energy_yuan is unread.metered_kwh is unread.power_factor is None
    with pytest.raises(CostError, match="tariff that holds"):
        compute_bill(Metered([]))


def test_nothing_used_is_adjusted_by_nothing() -> None:
    bill = compute_bill(metered(segment(peak=0), kvarh=Fraction(0)))
    assert amounts(bill)["power_factor", "0.90"] == "0.00"
    assert bill.power_factor is None
    assert bill.total_yuan == Decimal("33600.00")


def test_steps_by_the_month_and_by_what_a_tonne_took() -> None:
    tariff = msgspec.structs.replace(
        TARIFF,
        steps=[Step(above="100000", surcharge_yuan="0.05"),
               Step(above="150000", surcharge_yuan="0.10")],
        intensity_steps=IntensitySteps(
            product="aluminium", threshold_kwh_per_unit="13450", step_kwh_per_unit="20",
            yuan_per_kwh_per_step="0.01",
        ),
    )  # fmt: skip
    bill = compute_bill(metered(segment(tariff), output=Fraction(160_000, 13_491)))
    steps = {x.code: x.amount_yuan for x in bill.lines if x.kind == "step"}
    # 41 kWh/t over: three steps begun, 0.03 yuan on all of it.
    assert steps == {
        "above_100000": Decimal("3000.00"), "above_150000": Decimal("1000.00"),
        "aluminium": Decimal("4800.00"),
    }  # fmt: skip
    at_limit = compute_bill(metered(segment(tariff), output=Fraction(160_000, 13_450)))
    assert amounts(at_limit)["step", "aluminium"] == "0.00"
    none = compute_bill(metered(segment(tariff)))
    assert none.withheld is WithheldCode.OUTPUT_MISSING
    nothing_made = compute_bill(metered(segment(tariff), output=Fraction(0)))
    assert nothing_made.withheld is WithheldCode.OUTPUT_ZERO


def test_a_band_price_is_its_own_or_its_ratio_of_what_floats() -> None:
    assert band_price(TARIFF, "sharp") == Fraction("1.188")
    printed = msgspec.structs.replace(TARIFF, price_decimals=2)
    assert band_price(printed, "sharp") == Fraction("1.19")
    assert band_price(printed, "valley") == Fraction("0.23")
    own = msgspec.structs.replace(TARIFF, band_prices={"sharp": "1.3"})
    assert band_price(own, "sharp") == Fraction("1.3")
    with pytest.raises(CostError, match="no price for band 'flat'"):
        band_price(msgspec.structs.replace(TARIFF, ratios={}), "flat")


@given(st.fractions(min_value=-1_000_000, max_value=1_000_000))
def test_rounding_to_a_fen_is_near_and_even_handed(amount: Fraction) -> None:
    rounded = to_fen(amount)
    assert abs(Fraction(rounded) - amount) <= Fraction(1, 200)
    assert to_fen(-amount) == -rounded
    assert rounded.as_tuple().exponent == -2


@given(
    st.dictionaries(st.sampled_from(["sharp", "peak", "flat", "valley"]),
                    st.integers(0, 10**7), min_size=1),
    st.integers(0, 10**6), st.integers(0, 5000),
)  # fmt: skip
def test_the_total_is_the_sum_of_its_lines(kwh: dict[str, int], kvarh: int, demand: int) -> None:
    bill = compute_bill(metered(segment(**kwh), kvarh=Fraction(kvarh), demand_kw=Fraction(demand)))
    assert bill.total_yuan == sum((x.amount_yuan or Decimal(0)) for x in bill.lines)
    assert bill.energy_yuan is not None
    assert bill.basic_yuan is not None
    assert bill.power_factor_yuan is not None
    assert bill.total_yuan == bill.energy_yuan + bill.basic_yuan + bill.power_factor_yuan


@pytest.mark.parametrize(
    ("billing_day", "day", "first", "after"),
    [(1, "2025-01-31", "2025-01-01", "2025-02-01"), (20, "2025-01-19", "2024-12-20", "2025-01-20"),
     (20, "2025-01-20", "2025-01-20", "2025-02-20"), (28, "2024-03-01", "2024-02-28", "2024-03-28"),
     (5, "2024-12-31", "2024-12-05", "2025-01-05")],
)  # fmt: skip
def test_a_billing_period_begins_on_its_day(
    billing_day: int, day: str, first: str, after: str
) -> None:
    found = billing_period(billing_day, dt.date.fromisoformat(day))
    assert [d.isoformat() for d in found] == [first, after]
