"""Every minute of every kind of day has exactly one band, whatever hours a tariff was given."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enpilot.plant.tariffs import regimes
from enpilot.tariff_hours import BANDS, BandHours, day_bands, hours_mistakes

KINDS = [
    frozenset({"workday"}), frozenset({"rest"}), frozenset({"holiday"}),
    frozenset({"holiday", "spring_festival"}), frozenset({"holiday", "mid_autumn"}),
]  # fmt: skip


@pytest.mark.parametrize("code", sorted(regimes()))
def test_a_shipped_regime_has_one_band_for_every_minute(code: str) -> None:
    regime = regimes()[code]
    assert list(hours_mistakes(regime.hours, regime.special_hours, "$")) == []
    for month, classes in itertools.product(range(1, 13), KINDS):
        bands = day_bands(regime.hours, regime.special_hours, month, classes)
        assert bands[0].begin == 0
        assert bands[-1].end == 1440
        assert all(a.end == b.begin for a, b in itertools.pairwise(bands))


def test_the_shipped_regimes_follow_each_other() -> None:
    ordered = sorted(regimes().values(), key=lambda r: r.since)
    assert all(a.to == b.since for a, b in itertools.pairwise(ordered))
    assert not any(r.verified for r in ordered)


def test_the_hours_of_2024_are_those_of_the_notice() -> None:
    regime = regimes()["zhejiang-2024"]
    winter = day_bands(regime.hours, regime.special_hours, 1, frozenset({"workday"}))
    assert [(b.begin // 60, b.end // 60, b.band) for b in winter] == [
        (0, 8, "valley"), (8, 9, "peak"), (9, 11, "sharp"), (11, 13, "valley"), (13, 15, "flat"),
        (15, 17, "sharp"), (17, 23, "peak"), (23, 24, "flat"),
    ]  # fmt: skip
    festival = day_bands(regime.hours, regime.special_hours, 10, frozenset({"national_day"}))
    assert [(b.begin // 60, b.end // 60, b.band) for b in festival] == [
        (0, 8, "valley"), (8, 10, "peak"), (10, 14, "deep_valley"), (14, 17, "peak"),
        (17, 24, "flat"),
    ]  # fmt: skip


@given(st.data())
def test_hours_that_pass_the_check_cover_the_day_and_others_are_refused(
    data: st.DataObject,
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, 1439), min_size=1, max_size=8)))
    edges = [*cuts, cuts[0] + 1440]  # the last band runs over midnight
    spans = list(itertools.pairwise(edges))
    rules = [
        BandHours(band=data.draw(st.sampled_from(BANDS)), hours=(_text(begin, end),))
        for begin, end in spans
    ]
    assert list(hours_mistakes(rules, [], "$")) == []
    bands = day_bands(rules, [], 6, frozenset({"workday"}))
    for minute in {0, 1439, *cuts, *(c - 1 for c in cuts)}:
        of_rule = next(
            rule.band
            for rule, (begin, end) in zip(rules, spans, strict=True)
            if begin <= minute < end or begin <= minute + 1440 < end
        )
        assert [b.band for b in bands if b.begin <= minute < b.end] == [of_rule]
    dropped = data.draw(st.integers(0, len(rules) - 1))
    holed = [*rules[:dropped], *rules[dropped + 1 :]]
    assert any("is in no band" in m for m in hours_mistakes(holed, [], "$"))
    assert any("is in two bands" in m for m in hours_mistakes([*rules, rules[dropped]], [], "$"))


def _text(begin: int, end: int) -> str:
    return "-".join(f"{m // 60 % 24:02}:{m % 60:02}" for m in (begin, end))
