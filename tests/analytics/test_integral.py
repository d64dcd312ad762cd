"""Meters without a counter: the integral of a gauge over time."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.counters.integral import integrate
from tests.analytics.conftest import WORKS
from tests.analytics.test_engine import compute, local, rows
from tests.imported import apply_plant, import_counts

QUARTER_US = 900_000_000
MINUTE_US = 60_000_000
STEPS = st.lists(
    st.tuples(st.integers(1, 4000), st.floats(-1e6, 1e6)), min_size=2, max_size=60
)  # distance to the reading before [s], level


def slow_integral(
    time_us: list[int], level: list[float], gap_us: int, since: int, until: int
) -> tuple[Fraction, int]:
    """The obvious way: one step after the other, each share of it."""
    amount, measured = Fraction(0), 0
    for a, b, p, q in zip(time_us, time_us[1:], level, level[1:], strict=False):
        if b - a > gap_us:
            continue
        low, high = max(a, since), min(b, until)
        if low < high:
            amount += (Fraction(p) + Fraction(q)) / 2 * (high - low) / 3600
            measured += high - low
    return amount, measured


@given(STEPS, st.integers(60, 3000), st.integers(0, 5000))
def test_it_is_the_area_below_the_line(
    steps: list[tuple[int, float]], gap_s: int, offset_s: int
) -> None:
    time_us = np.cumsum([d for d, _ in steps]) * 1_000_000
    level = [p for _, p in steps]
    window = (offset_s * 1_000_000, int(time_us[-1]) + 1_000_000)
    done = integrate(time_us, np.array(level), gap_s * 1_000_000, window)
    amount, measured = slow_integral(time_us.tolist(), level, gap_s * 1_000_000, *window)
    if done is None:
        assert measured == 0
        return
    assert int(done.measured_us.sum()) == measured
    # Each step is rounded once, and may be cut once at either end of the window.
    assert abs(int(done.advance_micro.sum()) - amount) <= len(steps) + 2 + abs(amount) * Fraction(
        1, 10**12
    )


@given(STEPS, st.integers(0, 200))
def test_cut_into_windows_it_is_the_same(steps: list[tuple[int, float]], cut: int) -> None:
    time_us = np.cumsum([d for d, _ in steps]) * 1_000_000
    level = np.array([p for _, p in steps])
    end = int(time_us[-1]) // QUARTER_US * QUARTER_US + QUARTER_US
    middle = min(cut * QUARTER_US, end)
    whole = integrate(time_us, level, 10**10, (0, end))
    parts = [
        integrate(time_us, level, 10**10, w) for w in ((0, middle), (middle, end)) if w[0] < w[1]
    ]
    assert whole is not None
    found = [p for p in parts if p is not None]
    assert np.concatenate([p.start_us for p in found]).tolist() == whole.start_us.tolist()
    assert np.concatenate([p.advance_micro for p in found]).tolist() == whole.advance_micro.tolist()


def test_a_hole_is_not_filled() -> None:
    time_us = np.array([0, 10, 20, 60, 70]) * MINUTE_US
    done = integrate(time_us, np.full(5, 60.0), 15 * MINUTE_US, (0, 75 * MINUTE_US))
    assert done is not None
    # 60 kW: one kWh a minute. Known are minutes 0-20 and 60-70.
    assert (done.start_us // MINUTE_US).tolist() == [0, 15, 60]
    assert (done.advance_micro // 1_000_000).tolist() == [15, 5, 10]
    assert (done.measured_us // MINUTE_US).tolist() == [15, 5, 10]


POWER_ONLY = """
[[point]]
code = "fan"
name = {zh = "风机", en = "Fan"}
medium = "electricity"
role = "sub"
parent = "main"
commissioning = "accepted"
[[integrated]]
point = "fan"
quantity = "active_power"
"""


def test_a_point_with_power_alone_has_energy(works: str, tmp_path: Path) -> None:
    apply_plant(works, tmp_path, WORKS + POWER_ONLY)
    since = local(2026, 3, 1)
    times = [since + i * dt.timedelta(minutes=5) for i in range(289)]
    # From midnight on 30 kW, after noon rising from 30 to 90 kW; two hours in between are missing.
    watts = [30_000 + max(0, i - 144) * 60_000 // 144 for i in range(289)]
    kept = [i for i in range(289) if not 60 < i < 84]
    import_counts(
        works, tmp_path, [times[i] for i in kept], [watts[i] for i in kept], period_s=300,
        point="fan", quantity="active_power", unit="W", register_scale="1", side="primary",
        counter=None, modulus=None,
    )  # fmt: skip
    compute(works)
    found = rows(
        works,
        "SELECT quantity, unit, amount, coverage, estimated_share FROM energy_period"
        " WHERE period_kind = 'day'",
    )
    assert found == [
        ("active_energy", "kWh", pytest.approx(10 * 30 + 12 * 60, rel=1e-3),
         pytest.approx(22 / 24), 0.0)
    ]  # fmt: skip
