"""Criteria pass, fail or are not known; the index is the weighted share of what is known."""

from __future__ import annotations

import datetime as dt

import pytest

from analytics.quality.boundary_timing import boundary_timing
from analytics.quality.criteria import Outcome, Rule, judge, load_rules, worst
from analytics.quality.fitting import accuracy_margin, edition_on, fitting_rates

LEAST = Rule("completeness", "at_least", 0.9, "1", 3, "test", verified=False)
MOST = Rule("boundary", "at_most", 60, "s", 1, "test", verified=False)


@pytest.mark.parametrize(
    ("rule", "value", "outcome"),
    [
        (LEAST, 0.9, "passed"), (LEAST, 0.8999, "failed"), (LEAST, None, "not_known"),
        (MOST, 60.0, "passed"), (MOST, 60.001, "failed"), (MOST, float("nan"), "not_known"),
    ],
)  # fmt: skip
def test_a_limit_belongs_to_what_passes(rule: Rule, value: float | None, outcome: str) -> None:
    assert rule.outcome(value) == outcome


def test_the_index_is_the_weighted_share_of_what_is_known() -> None:
    both = judge([LEAST, MOST], {"completeness": 0.95, "boundary": 70}, 0.5)
    assert (both.index, both.known_share) == (0.75, 1.0)
    assert both.codes(Outcome.FAILED) == ["boundary"]
    one = judge([LEAST, MOST], {"completeness": 0.95}, 0.5)
    assert (one.index, one.known_share) == (1.0, 0.75)
    assert one.codes(Outcome.NOT_KNOWN) == ["boundary"]


def test_an_index_that_rests_on_too_little_is_withheld() -> None:
    found = judge([LEAST, MOST], {"boundary": 3}, 0.5)
    assert (found.index, found.known_share) == (None, 0.25)
    nothing = judge([LEAST, MOST], {}, 0.5)
    assert (nothing.index, nothing.known_share) == (None, 0.0)


def test_a_site_is_as_good_as_its_worst_meter() -> None:
    assert worst(LEAST, [0.99, 0.91]) == 0.91
    assert worst(MOST, [3, 61]) == 61
    # One that fails is enough; one that is not known keeps the others from passing.
    assert worst(LEAST, [0.5, None]) == 0.5
    assert worst(LEAST, [0.99, None]) is None
    assert worst(LEAST, []) is None


def test_each_shipped_rule_has_a_source_and_its_own_code() -> None:
    rules = load_rules().rule
    assert len({r.code for r in rules}) == len(rules) == 12
    assert all(r.source and r.weight > 0 for r in rules)


def test_nine_of_ten_midnights_decide() -> None:
    # 31 midnights: 28 within 5 s, two at 45 s, one without a reading.
    days = [5.0] * 28 + [45.0, 45.0, None]
    found = boundary_timing(days, [5.0, 7200.0], [False] * 29 + [True])
    assert (found.day_s, found.month_s) == (5.0, 7200.0)
    assert found.clock_held_share == pytest.approx(1 / 30)
    worse = boundary_timing([5.0] * 20 + [None] * 11, [None, 5.0], [])
    assert (worse.day_s, worse.month_s, worse.clock_held_share) == (600.0, 129_600.0, None)


def test_fitting_rates_by_the_edition_in_force() -> None:
    old, new = edition_on(dt.date(2026, 1, 31)), edition_on(dt.date(2026, 2, 1))
    assert old is not None
    assert new is not None
    assert (old.edition, new.edition, old.verified, new.verified) == ("2006", "2025", False, False)
    assert edition_on(dt.date(2006, 12, 31)) is None
    points = [("steam", 2, True), ("steam", 2, True), ("steam", 2, False), ("electricity", 1, True)]
    electricity, steam = fitting_rates(points, old)
    assert (electricity.rate, electricity.margin) == (1.0, 0.0)
    assert (steam.fitted, steam.wanted, steam.required) == (2, 3, 0.8)
    assert steam.margin == pytest.approx(2 / 3 - 0.8)
    # What nobody here has read of the new edition judges nothing.
    assert [f.margin for f in fitting_rates(points, new)] == [None, None]


def test_the_class_of_a_meter_against_the_coarsest() -> None:
    old = edition_on(dt.date(2025, 6, 1))
    assert accuracy_margin("electricity", 0.5, old) == 1.5
    assert accuracy_margin("electricity", 2.5, old) == -0.5
    assert accuracy_margin("electricity", None, old) is None
    assert accuracy_margin("hydrogen", 1.0, old) is None
