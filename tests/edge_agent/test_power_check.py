"""P against ΣU·I·PF: right meters agree, whatever their load; wrong registers do not."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.power_check import PHASES, Measured, PowerCheck, check_power

amperes = st.floats(0, 2000)
angles = st.floats(-60, 85)  # by which the current of a phase lags [degrees]


def shown(value: float, step: float) -> Measured:
    return Measured(math.floor(value / step) * step, step)


def right_meter(
    load: list[tuple[float, float]], sign: int, ratio: float, vector: bool
) -> dict[str, Measured]:
    values: dict[str, Measured] = {}
    p = [230 * a * math.cos(math.radians(d)) / 1e3 * sign for a, d in load]
    q = [230 * a * math.sin(math.radians(d)) / 1e3 for a, d in load]
    s = [230 * a / 1e3 for a, _ in load]
    for i, x in enumerate(PHASES):
        values[f"voltage.{x}"] = shown(230.0, 0.1)
        values[f"current.{x}"] = shown(load[i][0], 0.01 * ratio)
    whole = math.hypot(sum(p), sum(q)) if vector else sum(s)
    values["active_power.total"] = shown(sum(p), 0.001 * ratio)
    values["apparent_power.total"] = shown(whole, 0.001 * ratio)
    values["power_factor.total"] = shown(abs(sum(p)) / whole if whole else 1.0, 0.001)
    return values


@given(
    st.lists(st.tuples(amperes, angles), min_size=3, max_size=3),
    st.sampled_from([1, -1]),
    st.sampled_from([1.0, 40.0, 400.0]),
    st.booleans(),
)
def test_no_right_meter_is_refused(
    load: list[tuple[float, float]], sign: int, ratio: float, vector: bool
) -> None:
    values = right_meter(load, sign, ratio, vector)
    result = check_power(values)
    assert isinstance(result, str) or result.agrees is not False
    for x, (_, degrees) in zip(PHASES, load, strict=True):
        values[f"power_factor.{x}"] = shown(math.cos(math.radians(degrees)), 0.001)
    result = check_power(values)
    assert isinstance(result, str) or result.agrees


def test_a_balanced_load_is_compared_both_ways() -> None:
    values = right_meter([(100.0, 30.0)] * 3, 1, 40.0, vector=True)
    right = check_power(values)
    assert isinstance(right, PowerCheck)
    assert right.agrees
    assert right.expected_kw == pytest.approx(3 * 23 * math.cos(math.radians(30)), rel=0.01)
    for factor in (0.1, 0.8, 1.2, 10.0):
        power = values["active_power.total"]
        wrong = check_power(
            values | {"active_power.total": Measured(power.value * factor, power.step)}
        )
        assert isinstance(wrong, PowerCheck)
        assert wrong.agrees is False
        assert wrong.ratio == pytest.approx(factor, rel=0.02)


def test_below_the_sum_only_a_meter_that_shows_its_apparent_power_is_wrong() -> None:
    values = right_meter([(100.0, 30.0)] * 3, 1, 40.0, vector=True)
    del values["apparent_power.total"]
    power = values["active_power.total"]
    for factor, agrees in ((0.1, False), (0.8, None), (1.2, False)):
        result = check_power(values | {"active_power.total": Measured(power.value * factor)})
        assert isinstance(result, PowerCheck)
        assert result.agrees is agrees


def test_what_cannot_be_compared_says_why() -> None:
    values = right_meter([(100.0, 30.0)] * 3, 1, 1.0, vector=False)
    assert check_power({}) == "no_power"
    assert check_power({"active_power.total": Measured(1.0)}) == "no_voltage_or_current"
    low = right_meter([(0.05, 30.0)] * 3, 1, 1.0, vector=False)
    assert check_power(low) == "little_load"
    nothing = {"voltage.L2": Measured(0.0, 0.1), "current.L2": Measured(0.0, 0.01)}
    assert check_power(values | nothing) == "three_wire"
    del values["power_factor.total"]
    bound = check_power(values)
    assert isinstance(bound, PowerCheck)
    assert (bound.basis, bound.agrees) == ("bound", None)
    above = check_power(values | {"active_power.total": Measured(80.0)})
    assert isinstance(above, PowerCheck)
    assert above.agrees is False


def test_a_single_phase_meter_is_compared_by_its_only_phase() -> None:
    values = {
        "voltage.total": Measured(230.0, 0.1),
        "current.total": Measured(10.0, 0.01),
        "active_power.total": Measured(2.07, 0.001),
        "power_factor.total": Measured(0.9, 0.001),
    }
    result = check_power(values)
    assert isinstance(result, PowerCheck)
    assert result.agrees
