"""What holds for any load: nothing is negative, nothing exceeds what was used, nothing is NaN."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st

from analytics.waste.base_load import base_load, closed_load, learned_closed
from analytics.waste.machine_states import find_power_bands, idle_energy, states_by_power
from analytics.waste.quarter_hours import QuarterHours, runs_of
from analytics.waste.weekly_profile import deviations, expected_profile
from tests.analytics.waste.loads import FIRST, quarters_of

DAYS = 14
QUARTERS = quarters_of(DAYS)
# Few levels, so that ties, zeros and still registers are common.
LEVELS = numpy_st.arrays(np.int64, DAYS * 24, elements=st.integers(0, 6))
KNOWN = numpy_st.arrays(np.bool_, DAYS * 24)


def load(levels: np.ndarray, known: np.ndarray) -> QuarterHours:
    told = np.repeat(known, 4)
    return QuarterHours(np.where(told, np.repeat(levels * 5.0, 4), 0.0), told)


@settings(max_examples=60, deadline=None)
@given(LEVELS, KNOWN)
def test_detectors_stay_within_what_was_used(levels: np.ndarray, known: np.ndarray) -> None:
    used = load(levels, known)
    whole = float(used.amount.sum())
    closed = learned_closed(used, QUARTERS)
    found = None if closed is None else closed_load(used, closed)
    if found is not None:
        assert 0 <= found.avoidable <= found.amount + 1e-9 <= whole + 2e-9
        assert (found.above >= 0).all()
    lowest = base_load(used, QUARTERS, np.ones(len(used.amount), dtype=np.bool_))
    if lowest is not None:
        assert lowest.low <= lowest.rate <= lowest.high
        assert lowest.share is None or 0 <= lowest.share <= 1
    bands = find_power_bands(used)
    if bands is not None:
        idle = idle_energy(used, states_by_power(used, bands))
        assert 0 < bands.idle_from < bands.running_from
        assert 0 <= idle.amount <= whole + 1e-9
        assert idle.hours + idle.running_hours <= DAYS * 24
    expected = expected_profile(used, QUARTERS, FIRST)
    assert np.isfinite(expected.amount).all()
    assert (expected.deviation > 0).all()
    for run in deviations(used, expected):
        assert run.above > 0
        assert used.known[run.first]
        assert used.known[run.after - 1]


@given(numpy_st.arrays(np.bool_, st.integers(0, 60)), st.integers(1, 5), st.integers(0, 3))
def test_runs_are_in_order_apart_and_long_enough(
    held: np.ndarray, shortest: int, bridged: int
) -> None:
    end = -bridged - 1
    for low, high in runs_of(held, shortest, bridged):
        assert held[low]
        assert held[high - 1]
        assert held[low:high].sum() >= shortest
        assert low - end > bridged
        end = high
