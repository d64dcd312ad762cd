"""Dirty spans: near ones are one, far ones stay apart, nothing dirty is left out."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from analytics.intervals.spans import merge_spans

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def span(a: int, b: int) -> tuple[dt.datetime, dt.datetime]:
    return START + a * HOUR, START + b * HOUR


def test_a_late_reading_of_last_year_does_not_make_the_year_dirty() -> None:
    assert merge_spans([span(0, 1), span(-8760, -8759), span(2, 3)], 24 * HOUR) == [
        span(-8760, -8759), span(0, 3),
    ]  # fmt: skip


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 9)).map(lambda x: span(x[0], sum(x)))),
    st.integers(0, 30),
)
def test_everything_dirty_is_covered_and_merged_spans_are_apart(
    spans: list[tuple[dt.datetime, dt.datetime]], hours: int
) -> None:
    merged = merge_spans(spans, hours * HOUR)
    for since, until in spans:
        assert any(a <= since and until <= b for a, b in merged)
    for (_, earlier), (later, _) in pairwise(merged):
        assert later - earlier > hours * HOUR
    ends = {s for s, _ in spans} | {u for _, u in spans}
    assert all(a in ends and b in ends for a, b in merged)
