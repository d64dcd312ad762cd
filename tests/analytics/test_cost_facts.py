"""What holds for an account on which days, and stepped prices."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction

import pytest

from analytics.cost.cost_facts import (
    AccountMeters,
    Price,
    UtilityAccount,
    _AccountRecord,
    _TariffRecord,
    contracts_within,
)
from analytics.cost.media_cost import stepped_cost
from analytics.errors import NoTariffError
from enpilot.plant import Names
from enpilot.plant.tariffs import Account, Step, Tariff

NAME = Names(zh="x", en="x")
METERS = AccountMeters((1,), (), None, ())


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def tariff(since: str, until: str | None) -> _TariffRecord:
    end = None if until is None else day(until)
    return _TariffRecord(day(since), end, Tariff(code="t", name=NAME, source=since))


def account(*records: tuple[str, str | None, str], tariffs: list[_TariffRecord]) -> UtilityAccount:
    return UtilityAccount(
        7, "main",
        [
            _AccountRecord(
                day(since), None if until is None else day(until),
                Account(code="main", name=NAME, tariff="t", points=["p"], capacity_kva=kva), METERS,
            )
            for since, until, kva in records
        ],
        {"t": tariffs},
    )  # fmt: skip


def test_a_period_is_cut_where_contract_or_tariff_change() -> None:
    found = contracts_within(
        account(("2025-01-01", "2025-03-11", "500"), ("2025-03-11", None, "800"),
                tariffs=[tariff("2024-01-01", "2025-03-21"), tariff("2025-03-21", None)]),
        day("2025-03-01"), day("2025-04-01"),
    )  # fmt: skip
    assert [(c.since.day, c.until.day, c.account.capacity_kva, c.tariff.source) for c in found] == [
        (1, 11, "500", "2024-01-01"),
        (11, 21, "800", "2024-01-01"),
        (21, 1, "800", "2025-03-21"),
    ]


def test_days_without_the_account_are_left_out_and_days_without_a_tariff_are_told() -> None:
    ended = account(("2025-03-10", "2025-03-20", "500"), tariffs=[tariff("2024-01-01", None)])
    (only,) = contracts_within(ended, day("2025-03-01"), day("2025-04-01"))
    assert (only.since, only.until) == (day("2025-03-10"), day("2025-03-20"))
    assert contracts_within(ended, day("2025-05-01"), day("2025-06-01")) == []
    late = account(("2025-01-01", None, "500"), tariffs=[tariff("2025-03-05", None)])
    with pytest.raises(NoTariffError, match=r"'t' says nothing of 2025-03-01: give the plant"):
        contracts_within(late, day("2025-03-01"), day("2025-04-01"))


@pytest.mark.parametrize(
    ("amount", "cost"), [(0, 0), (999, 2997), (1000, 3000), (1500, 4750), (2500, 8750)]
)
def test_each_block_has_its_own_price(amount: int, cost: int) -> None:
    steps = (Step(above="1000", surcharge_yuan="0.5"), Step(above="2000", surcharge_yuan="1"))
    price = Price("natural_gas", "m3", Fraction(3), steps, False, day("2025-01-01"), None)
    assert stepped_cost(Fraction(amount), price) == cost
