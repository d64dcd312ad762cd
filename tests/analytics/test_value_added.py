"""Value added: vintages, price bases, and what is not guessed (F17)."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction

from analytics.accounting.value_added import CURRENT_PRICES, ValueAdded, value_added_total


def year(y: int, price: int, value: str) -> ValueAdded:
    return ValueAdded(dt.date(y, 1, 1), dt.date(y + 1, 1, 1), price, Fraction(value))


def total(entries: list[ValueAdded], y: int, price: int) -> tuple[Fraction | None, bool]:
    found = value_added_total(entries, dt.date(y, 1, 1), dt.date(y + 1, 1, 1), price)
    return found.value, found.linked


def test_a_year_is_not_cut_into_months() -> None:
    entries = [year(2026, 2020, "120")]
    found = value_added_total(entries, dt.date(2026, 1, 1), dt.date(2026, 2, 1), 2020)
    assert found.value is None


def test_cumulative_months_and_single_ones_make_a_year() -> None:
    entries = [
        ValueAdded(dt.date(2026, 1, 1), dt.date(2026, 4, 1), 2020, Fraction(30)),
        ValueAdded(dt.date(2026, 1, 1), dt.date(2026, 3, 1), 2020, Fraction(19)),
        ValueAdded(dt.date(2026, 4, 1), dt.date(2027, 1, 1), 2020, Fraction(91)),
    ]
    assert total(entries, 2026, 2020) == (Fraction(121), False)


def test_price_bases_are_linked_by_growth() -> None:
    # 2020 is 100 at prices of 2015 and 110 at prices of 2020; 2019 was 95 at prices of 2015. At
    # prices of 2020 it was 95 x 110/100 = 104.5: growth 2020 over 2019 stays 100/95.
    entries = [year(2019, 2015, "95"), year(2020, 2015, "100"), year(2020, 2020, "110")]
    assert total(entries, 2019, 2020) == (Fraction("104.5"), True)
    assert Fraction(110) / Fraction("104.5") == Fraction(100, 95)


def test_current_prices_are_no_substitute() -> None:
    entries = [year(2019, CURRENT_PRICES, "90"), year(2020, CURRENT_PRICES, "101")]
    assert total([*entries, year(2020, 2020, "100")], 2019, 2020) == (None, False)
    assert total(entries, 2020, CURRENT_PRICES) == (Fraction(101), False)


def test_a_negative_value_stays_in_the_sum() -> None:
    entries = [
        ValueAdded(dt.date(2026, 1, 1), dt.date(2026, 7, 1), 2020, Fraction(-5)),
        ValueAdded(dt.date(2026, 7, 1), dt.date(2027, 1, 1), 2020, Fraction(8)),
    ]
    assert total(entries, 2026, 2020) == (Fraction(3), False)
