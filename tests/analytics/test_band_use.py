"""Energy by band adds up to the registers' advance, whatever the bands and wherever they end."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.cost.band_time import BandSpan
from analytics.cost.band_use import amounts_by_band, hours_by_band, missing_intervals
from analytics.cost.meter_minutes import register_peak
from analytics.intervals.readings import microseconds
from analytics.intervals.sums import GRID_US, SeriesIntervals, _EpochScale
from enpilot.tariff_hours import BANDS

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


def series(advances: list[int], estimated: list[int] | None = None) -> SeriesIntervals:
    n = len(advances)
    low = microseconds(START)
    return SeriesIntervals(
        low + np.arange(n, dtype=np.int64) * GRID_US,
        np.array([1 if i % 2 else 2 for i in range(n)], dtype=np.int64),
        np.array(advances, dtype=np.int64),
        np.array(estimated or [0] * n, dtype=np.int64),
        np.full(n, 900.0),
        np.ones(n, dtype=np.int64),
        np.zeros(n, dtype=np.bool_),
        np.empty((0, 4), dtype=np.int64),
        {1: _EpochScale(Fraction(2, 5), 900), 2: _EpochScale(Fraction(3, 5), 900)},
        low,
        low + n * GRID_US,
    )


def spans(cuts: list[int], minutes: int) -> list[BandSpan]:
    edges = [0, *sorted(cuts), minutes]
    return [
        BandSpan(START + a * MINUTE, START + b * MINUTE, BANDS[i % len(BANDS)])
        for i, (a, b) in enumerate(itertools.pairwise(edges))
    ]


@given(
    st.lists(st.integers(0, 10**12), min_size=4, max_size=40),
    st.sets(st.integers(1, 59), max_size=12),
    st.sampled_from([None, Fraction(0), Fraction(1, 3), Fraction(1)]),
)
def test_the_bands_add_up_exactly(
    advances: list[int], cuts: set[int], share: Fraction | None
) -> None:
    asked: list[tuple[dt.datetime, dt.datetime]] = []

    def told(start: dt.datetime, at: dt.datetime) -> Fraction | None:
        asked.append((start, at))
        return share

    found = amounts_by_band(series(advances), spans(sorted(cuts), len(advances) * 15), told)
    whole = sum(
        a * (Fraction(2, 5) if i % 2 else Fraction(3, 5)) / 1_000_000
        for i, a in enumerate(advances)
    )
    assert sum(f.amount for f in found.values()) == whole
    assert len(asked) == sum(1 for c in cuts if c % 15)
    guessed = share is None and bool(asked)
    assert guessed or all(f.estimated == 0 for f in found.values())


def test_the_register_decides_inside_an_interval_and_time_only_as_a_guess() -> None:
    one = series([9_000_000] * 4)
    cut = spans([10], 60)
    by_register = amounts_by_band(one, cut, lambda _start, _at: Fraction(1, 9))
    assert by_register["sharp"].amount == Fraction(3, 5)  # 1 of 9 counts of 0.6
    assert by_register["sharp"].estimated == 0
    by_time = amounts_by_band(one, cut, lambda _start, _at: None)
    assert by_time["sharp"].amount == Fraction(18, 5)
    assert by_time["sharp"].estimated == by_time["sharp"].amount


def test_an_estimate_stays_an_estimate_in_its_band() -> None:
    found = amounts_by_band(
        series([4_000_000] * 4, [0, 0, 2_000_000, 0]), spans([30], 60), lambda _s, _a: None
    )
    assert found["sharp"].estimated == 0
    assert found["peak"].estimated == 2 * Fraction(3, 5)
    assert hours_by_band(spans([30], 60)) == {"sharp": Fraction(1, 2), "peak": Fraction(1, 2)}


def test_a_hole_and_an_unbracketed_end_are_missing_intervals() -> None:
    whole = series([1] * 8)
    assert missing_intervals(whole, START, START + 120 * MINUTE) == 0
    assert missing_intervals(whole, START - 15 * MINUTE, START + 120 * MINUTE) == 2
    holed = replace(whole, start_us=np.delete(whole.start_us, 3))
    assert missing_intervals(holed, START, START + 120 * MINUTE) == 1


@pytest.mark.parametrize(
    ("shown", "peak"),
    [
        ([], None),
        ([100, 150, 190], 190),
        ([700, 100, 150, 190], 190),  # reset a little after the period began
        ([100, 150, 190, 20], 190),  # and a little before it ended
        ([700, 100, 150, 190, 20], 190),
    ],
)
def test_the_register_of_the_period_is_the_longest_stretch(
    shown: list[int], peak: int | None
) -> None:
    at = {0: [], 3: [10, 40, 80], 4: [1, 10, 40, 80], 5: [1, 10, 40, 80, 99]}
    times = [float(t) for t in at[len(shown)]]
    if shown[-1:] == [20] and len(shown) == 4:
        times = [10.0, 40.0, 80.0, 99.0]
    found = register_peak(times, [Fraction(s) for s in shown], 0.0, 100.0)
    assert found == (None if peak is None else Fraction(peak))
