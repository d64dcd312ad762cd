"""What a plant file changes: only where facts differ that a figure depends on."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.imports.changed_facts import FactSpan, changed_spans


def at(month: int) -> dt.datetime:
    return dt.datetime(2026, month, 1, tzinfo=dt.UTC)


def row(since: int, until: int | None = None, **facts: Any) -> FactSpan:
    return facts, at(since), None if until is None else at(until)


BOUNDARY = {"role": "boundary", "name_en": "Main"}


@pytest.mark.parametrize(
    ("table", "held", "said", "expected"),
    [
        ("point_record", [row(1, **BOUNDARY)], [row(1, **BOUNDARY)], []),
        # Ends earlier: differs from its new end on.
        ("point_record", [row(1, **BOUNDARY)], [row(1, 6, **BOUNDARY)], [(6, None)]),
        ("point_record", [row(1, 6, **BOUNDARY)], [row(1, 4, **BOUNDARY)], [(4, 6)]),
        # Another name, or the same facts in two records, is no other fact.
        ("point_record", [row(1, **BOUNDARY)], [row(1, **BOUNDARY | {"name_en": "In"})], []),
        ("point_record", [row(1, **BOUNDARY)], [row(1, 3, **BOUNDARY), row(3, **BOUNDARY)], []),
        ("point_record", [row(1, role="sub")], [row(1, 3, role="sub"), row(3, **BOUNDARY)],
         [(3, None)]),
        # A new sub-meter leaves the plant's total, a new boundary point does not.
        ("point_record", [], [row(2, role="sub")], []),
        ("point_record", [], [row(2, **BOUNDARY)], [(2, None)]),
        ("agent_grant", [row(1)], [row(2)], []),
        ("enpi_record", [], [row(1, stage="qualified")], []),
        ("tariff_record", [row(1, rules=["a"])], [row(1, rules=["a"]), row(7, rules=["b"])],
         [(7, None)]),
        ("base_adjustment", [], [row(5, factor=2)], [(5, None)]),
    ],
)  # fmt: skip
def test_only_where_a_figure_depends_on_it(
    table: str, held: list[FactSpan], said: list[FactSpan], expected: list[tuple[int, int | None]]
) -> None:
    found = changed_spans(table, held, said)
    assert found == [(at(a), None if b is None else at(b)) for a, b in expected]


def test_what_is_applied_to_all_time_changes_all_of_it() -> None:
    [(since, until)] = changed_spans(
        "scheme_record", [row(1, media=["electricity"])],
        [row(1, 5, media=["electricity"]), row(5, media=["electricity", "steam"])],
    )  # fmt: skip
    assert (since < at(1), until) == (True, None)


def _rows(borders: list[int], facts: list[int]) -> list[FactSpan]:
    return [
        row(a, b, ratio=f) for a, b, f in zip(borders, borders[1:], facts, strict=False) if a < b
    ]


BORDERS = st.lists(st.integers(1, 12), min_size=2, max_size=5).map(sorted)
FACTS = st.lists(st.integers(1, 2), min_size=4, max_size=4)


@given(BORDERS, FACTS, BORDERS, FACTS)
def test_month_by_month_it_is_the_same(
    one: list[int], of_one: list[int], other: list[int], of_other: list[int]
) -> None:
    held, said = _rows(one, of_one), _rows(other, of_other)
    found = changed_spans("point_record", held, said) if held else []
    for month in range(1, 13):
        facts = [
            [f["ratio"] for f, since, until in rows if since <= at(month) and at(month) < until]  # type: ignore[operator]  # every row ends here
            for rows in (held, said)
        ]
        changed = any(a <= at(month) and (b is None or at(month) < b) for a, b in found)
        assert not held or changed == (facts[0] != facts[1])
