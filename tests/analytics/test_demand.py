"""Sliding demand against a plain statement of it; gaps, bounds, clocks; the running window."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from analytics.cost.demand import (
    MINUTE_US,
    Minutes,
    forecast_demand,
    minutes_of_power,
    sliding_demand,
)
from analytics.errors import CostError

START = 1_772_323_200_000_000  # 2026-03-01T00:00Z


def at(minute: int) -> int:
    return START + minute * MINUTE_US


def instant(minute: int) -> dt.datetime:
    return dt.datetime(2026, 3, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=minute)


def minutes(kwh: list[float], unmeasured: set[int] = frozenset(), every: int = 1) -> Minutes:  # type: ignore[assignment]  # an empty set to begin with
    """Minutes whose registers were read every so many minutes."""
    n = len(kwh)
    edges = np.arange(n + 1, dtype=np.int64)
    return Minutes(
        START,
        np.array(kwh),
        np.array([0.0 if m in unmeasured else 60.0 for m in range(n)]),
        START + edges // every * every * MINUTE_US,
        START + -(-edges // every) * every * MINUTE_US,
    )


@given(
    st.lists(st.integers(0, 50), min_size=20, max_size=120),
    st.sets(st.integers(0, 119), max_size=3),
    st.sampled_from([(15, 1), (15, 5), (15, 15), (30, 1)]),
    st.integers(-7, 7),
)
def test_it_is_the_plain_maximum_over_whole_windows(
    kwh: list[int], unmeasured: set[int], shape: tuple[int, int], offset: int
) -> None:
    width, slide = shape
    n = len(kwh)
    plain: dict[int, float] = {}
    left_out = 0
    for end in range(1, n + 1):
        if (end + offset + START // MINUTE_US) % slide:
            continue
        window = range(end - width, end)
        if end < width or not unmeasured.isdisjoint(window):
            left_out += 1
        else:
            plain[end] = sum(kwh[m] for m in window) * 60 / width
    found = sliding_demand(
        minutes([float(k) for k in kwh], unmeasured), at(0), at(n), window_s=width * 60,
        slide_s=slide * 60, clock_offset_s=offset * 60,
    )  # fmt: skip
    assert found.windows_left_out == left_out
    if not plain:
        assert found.kw is found.at is found.least_kw is found.most_kw is None
        return
    highest = max(plain.values())
    assert found.kw == pytest.approx(highest)
    assert found.least_kw == found.most_kw == pytest.approx(highest)  # read every minute
    assert found.at is not None
    assert plain[(found.at - instant(0)) // dt.timedelta(minutes=1)] == pytest.approx(highest)


def test_a_window_with_a_gap_is_listed_and_is_no_maximum() -> None:
    kwh = [1.0] * 60
    kwh[30] = 100.0  # what came with the first reading after the gap
    found = sliding_demand(minutes(kwh, {29, 30}), at(15), at(60))
    assert found.kw == pytest.approx(60.0)
    (span,) = found.left_out
    assert (span.since, span.until, span.windows) == (instant(30), instant(45), 16)
    assert found.distribution_coverage == pytest.approx(43 / 45)


def test_quarter_hourly_registers_bound_what_slides_between_them() -> None:
    # 0, 90, 30 kWh: windows on the readings are exact; between them anything up to 90 + 30 or so.
    spread = [0.0] * 15 + [6.0] * 15 + [2.0] * 15
    found = sliding_demand(minutes(spread, every=15), at(15), at(45))
    assert found.kw == pytest.approx(360.0)
    assert found.at == instant(30)
    assert found.least_kw == pytest.approx(360.0)
    assert found.most_kw == pytest.approx(480.0)  # 120 kWh at most in a window across both


@given(st.lists(st.floats(0, 1000), min_size=45, max_size=60), st.sampled_from([2, 3, 5, 15]))
def test_the_truth_lies_within_the_bounds(truth: list[float], every: int) -> None:
    n = len(truth) // every * every
    highest = max(sum(truth[e - 15 : e]) * 4 for e in range(15, n + 1))
    # Registers know only the sums of `every` minutes.
    seen = [sum(truth[m // every * every :][:every]) / every for m in range(n)]
    found = sliding_demand(minutes(seen, every=every), at(0), at(n))
    assert found.least_kw is not None
    assert found.most_kw is not None
    assert found.least_kw <= highest * (1 + 1e-9) + 1e-6
    assert highest <= found.most_kw * (1 + 1e-9) + 1e-6


def test_a_gauge_integrates_along_straight_lines_and_books_nothing_in_a_gap() -> None:
    times = np.array([at(0), at(10), at(20), at(50), at(60)], dtype=np.int64)
    power = np.array([0.0, 600.0, 600.0, 600.0, 0.0])
    found = minutes_of_power(times, power, gap_s=900, since_us=at(0), until_us=at(60))
    assert found.kwh[:10].sum() == pytest.approx(50.0)
    assert found.kwh[0] == pytest.approx(0.5)  # 30 kW on the mean of the first minute
    assert found.kwh[10:20].sum() == pytest.approx(100.0)
    assert found.kwh[20:50].sum() == 0.0
    assert found.measured_s[20:50].sum() == 0.0
    assert found.kwh[50:].sum() == pytest.approx(50.0)
    assert sliding_demand(found, at(0), at(60)).kw == pytest.approx((100 + 37.5) * 4)
    with pytest.raises(CostError, match="increasing"):
        minutes_of_power(times[::-1], power, 900, at(0), at(60))


def test_a_gauge_of_one_reading_measures_nothing() -> None:
    found = minutes_of_power(_one(at(5)), np.array([10.0]), 900, at(0), at(30))
    assert sliding_demand(found, at(0), at(30)).kw is None


def _one(value: int) -> NDArray[np.int64]:
    return np.array([value], dtype=np.int64)


def test_lengths_that_are_no_minutes_are_refused() -> None:
    for wrong in ({"window_s": 901}, {"slide_s": 30}, {"window_s": 900, "slide_s": 420}):
        with pytest.raises(CostError, match="whole minutes"):
            sliding_demand(minutes([1.0] * 30), at(0), at(30), **wrong)


def test_the_running_window_ends_where_recent_power_leads_it() -> None:
    # Ten minutes of the window have run: five at 300 kW, five at 600 kW.
    kwh = [5.0] * 20 + [10.0] * 5
    found = forecast_demand(minutes(kwh), at(25), limit_kw=480.0)
    assert found is not None
    assert (found.began, found.ends, found.minutes_left) == (instant(15), instant(30), 5.0)
    assert found.so_far_kw == pytest.approx(450.0)
    assert found.likely_kw == found.low_kw == found.high_kw == pytest.approx(500.0)
    assert found.allowed_kw == pytest.approx(540.0)  # 120 kWh less 75 in five minutes
    assert found.will_exceed
    wider = forecast_demand(minutes(kwh), at(25), recent_s=600)
    assert wider is not None
    assert (wider.low_kw, wider.likely_kw, wider.high_kw) == (
        pytest.approx(400.0), pytest.approx(450.0), pytest.approx(500.0)
    )  # fmt: skip
    assert wider.allowed_kw is wider.will_exceed is None


def test_a_forecast_needs_its_minutes_measured() -> None:
    kwh = [5.0] * 25
    assert forecast_demand(minutes(kwh, {18}), at(25)) is None
    assert forecast_demand(minutes(kwh, {3}), at(25)) is not None
    assert forecast_demand(minutes(kwh[:3]), at(3)) is None
    with pytest.raises(CostError, match="above zero"):
        forecast_demand(minutes(kwh), at(25), limit_kw=0.0)


def test_a_window_that_cannot_keep_its_limit_says_so() -> None:
    found = forecast_demand(minutes([100.0] * 25), at(25), limit_kw=480.0)
    assert found is not None
    assert found.allowed_kw is not None
    assert found.allowed_kw < 0
