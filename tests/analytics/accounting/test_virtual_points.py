"""A virtual point counts while every part of its formula does."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction

from analytics.accounting.energy_parts import MeteredPoint
from analytics.accounting.virtual_points import FormulaSpan, VirtualPoint, expand

JANUARY, MARCH, MAY, JULY = (dt.datetime(2026, m, 1, tzinfo=dt.UTC) for m in (1, 3, 5, 7))


def point(series_id: int, since: dt.datetime, until: dt.datetime | None = None) -> MeteredPoint:
    return MeteredPoint(series_id, "electricity", "kWh", 1, False, since, until, None)


def rest(**points: list[MeteredPoint]) -> list[tuple[int, dt.datetime, dt.datetime | None]]:
    formula = {"main": Fraction(1), "mill": Fraction(-1)}
    virtual = VirtualPoint(1, "rest", "electricity", [FormulaSpan(formula, JANUARY, None)])
    found = expand([virtual], points).get("rest", [])
    return sorted((p.series_id, p.valid_from, p.valid_to) for p in found)


def test_a_part_that_came_later_leaves_nothing_of_the_sum_before_it() -> None:
    found = rest(main=[point(1, JANUARY)], mill=[point(2, MARCH)])
    assert found == [(1, MARCH, None), (2, MARCH, None)]


def test_a_part_that_left_ends_the_sum() -> None:
    found = rest(main=[point(1, JANUARY)], mill=[point(2, JANUARY, MARCH), point(3, MAY, JULY)])
    assert found == [
        (1, JANUARY, MARCH), (1, MAY, JULY), (2, JANUARY, MARCH), (3, MAY, JULY),
    ]  # fmt: skip


def test_registers_of_tariffs_count_once_each() -> None:
    found = rest(main=[point(1, JANUARY), point(4, JANUARY)], mill=[point(2, MARCH)])
    assert found == [(1, MARCH, None), (2, MARCH, None), (4, MARCH, None)]
