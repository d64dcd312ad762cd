"""Named wiring faults: each is found where it is, and none on a meter that is wired rightly."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.commissioning.findings import FINDING_CODES, Finding, shown_number
from edge_agent.commissioning.phase_angles import Flow
from edge_agent.commissioning.wiring import (
    Ratios,
    clamp_findings,
    energy_findings,
    phase_findings,
    power_findings,
    shift_findings,
)
from edge_agent.power_check import PHASES, Measured
from tests.edge_agent.wired_meters import Loads, currents_of, floor, meter

NONE = Ratios()
amps = st.floats(0, 500)
star = st.lists(st.tuples(amps, st.floats(-30, 80)), min_size=3, max_size=3)
delta = st.lists(st.tuples(amps, st.floats(-30, 80)), min_size=0, max_size=3)
balanced = st.tuples(st.floats(5, 500), st.floats(-20, 70))


def codes(findings: list[Finding]) -> list[tuple[str, list[str]]]:
    return [(f.code, f.phases) for f in findings]


@settings(max_examples=400)
@given(star, delta, st.sampled_from([0.001, 0.01, 0.4]), st.booleans())
def test_a_right_consumer_has_no_finding(
    to_neutral: Loads, between: Loads, step: float, reactive: bool
) -> None:
    values = meter(currents_of(to_neutral, between), step=step, with_reactive=reactive)
    assert phase_findings(values, "import") == []
    assert phase_findings(values, "either") == []
    assert power_findings([values] * 4, Ratios(40.0)) == []
    assert shift_findings(values, {}) == []


@settings(max_examples=200)
@given(star, st.lists(st.floats(0, 500), min_size=3, max_size=3))
def test_solar_behind_the_point_is_no_finding(load: Loads, sun: list[float]) -> None:
    fed = currents_of([(a, 180.0) for a in sun])
    net = {x: i + fed[x] for x, i in currents_of(load).items()}
    values = meter(net)
    assert phase_findings(values, "either") == []
    assert power_findings([values] * 4, NONE) == []
    values = meter(fed)
    assert phase_findings(values, "export") == []


@given(balanced, st.sampled_from(PHASES), st.booleans())
def test_one_reversed_transformer_is_named(
    load: tuple[float, float], phase: str, reactive: bool
) -> None:
    amps_, lag = load
    if math.cos(math.radians(lag)) < 0.56:
        lag = 30.0
    values = meter(currents_of([(amps_, lag)] * 3), turned=[phase], with_reactive=reactive)
    assert codes(phase_findings(values, "import")) == [("reversed_ct", [phase])]


@given(star)
def test_all_reversed_is_named_where_energy_is_taken(load: Loads) -> None:
    strong = [(a + 5, min(lag, 60.0)) for a, lag in load]
    values = meter(currents_of(strong), turned=PHASES)
    assert codes(phase_findings(values, "import")) == [("reversed_ct", list(PHASES))]
    assert phase_findings(values, "either") == []


@given(balanced, st.sampled_from(list(itertools.combinations(PHASES, 2))), st.booleans())
def test_two_exchanged_currents_are_named(
    load: tuple[float, float], pair: tuple[str, str], reactive: bool
) -> None:
    a, b = pair
    values = meter(currents_of([load] * 3), carries={a: b, b: a}, with_reactive=reactive)
    found = phase_findings(values, "import")
    assert [f.code for f in found] == ["ct_wrong_phase"]
    if reactive:
        assert found[0].phases == [a, b]
        assert found[0].evidence["current_carries"] == f"{a}: {b}, {b}: {a}"


@pytest.mark.parametrize("phase", PHASES)
def test_a_missing_voltage_is_named(phase: str) -> None:
    values = meter(currents_of([(50.0, 30.0)] * 3), dead=[phase])
    (found,) = phase_findings(values, "either")
    assert (found.code, found.phases, found.confidence) == ("missing_phase", [phase], "certain")


def test_three_wires_and_a_dead_line_are_no_missing_phase() -> None:
    nothing = dict.fromkeys(PHASES, 0j)
    assert phase_findings(meter(nothing, dead=["L2"]), "either") == []
    assert phase_findings(meter(nothing, dead=PHASES), "either") == []
    assert phase_findings(meter(nothing, dead=["L2", "L3"]), "either") == []


def at_factors(*degrees: float) -> list[dict[str, Measured]]:
    return [meter(currents_of([(80.0, d)] * 3)) for d in degrees]


def test_reactive_power_read_as_active_is_named() -> None:
    history = at_factors(15.0, 25.0, 30.0)
    for values in history:
        p, q = values["active_power.total"], values["reactive_power.total"]
        values["active_power.total"], values["reactive_power.total"] = q, p
    (found,) = power_findings(history, NONE)
    assert (found.code, found.confidence) == ("kvar_as_kw", "certain")
    for values in history:
        del values["reactive_power.total"]
        del values["apparent_power.total"]
    assert power_findings(history, NONE) == []  # below the sum: a total factor may be the reason
    strongly = at_factors(55.0, 60.0, 65.0)
    for values in strongly:
        values["active_power.total"] = values.pop("reactive_power.total")
    assert [f.code for f in power_findings(strongly, NONE)] == ["kvar_as_kw"]


@pytest.mark.parametrize(
    ("factor", "named"), [(40.0, "ct_ratio"), (1.5, ""), (0.025, "1/ct_ratio")]
)
def test_a_steady_factor_of_power_is_a_wrong_ratio(factor: float, named: str) -> None:
    history = at_factors(20.0, 30.0, 40.0)
    for values in history:
        p = values["active_power.total"]
        values["active_power.total"] = Measured(p.value * factor, p.step)
    (found,) = power_findings(history, Ratios(40.0))
    assert found.code == "wrong_ratio"
    assert float(found.evidence["factor"]) == pytest.approx(factor, rel=0.02)
    assert named in found.text.en


def test_energy_against_the_integral_of_power() -> None:
    assert energy_findings(100.0, 98.0, 0.1, NONE) == []
    assert energy_findings(1.0, 100.0, 0.1, NONE) == []  # ten steps only
    assert energy_findings(0.0, 100.0, 0.1, NONE) == []
    for factor in (1000.0, 10.0, 0.1, 0.001):
        (found,) = energy_findings(100.0 * factor, 101.0, 0.001, Ratios(40.0))
        assert found.code == "energy_unit"
    (found,) = energy_findings(4000.0, 101.0, 0.01, Ratios(40.0))
    assert (found.code, found.evidence["is"]) == ("wrong_ratio", "ct_ratio")


@given(st.floats(0.75, 1.25), st.floats(10, 1e5))
def test_right_energy_has_no_finding_however_roughly_power_was_seen(
    rough: float, kwh: float
) -> None:
    assert energy_findings(kwh, kwh * rough, 0.01, Ratios(40.0, 100.0)) == []


def test_the_clamp_finds_ratio_phase_and_open_secondary() -> None:
    values = meter(currents_of([(100.0, 30.0), (60.0, 30.0), (30.0, 30.0)]))
    clamp = {"L1": 101.0, "L2": 59.0, "L3": 30.3}
    assert clamp_findings(clamp, values, NONE) == []
    (found,) = clamp_findings({x: a / 1.5 for x, a in clamp.items()}, values, NONE)
    assert found.code == "wrong_ratio"
    (found,) = clamp_findings({"L1": 60.0, "L2": 100.0, "L3": 30.0}, values, NONE)
    assert (found.code, found.phases) == ("ct_wrong_phase", ["L1", "L2"])
    values["current.L3"] = Measured(0.0, 0.01)
    (found,) = clamp_findings(clamp, values, NONE)
    assert (found.code, found.phases) == ("missing_phase", ["L3"])


def test_impossible_numbers_that_make_sense_one_register_further_are_named() -> None:
    right = meter(currents_of([(50.0, 20.0)] * 3))
    wrong = dict(right)
    wrong["voltage.L3"] = floor(0.5, 0.1)
    wrong["frequency.total"] = floor(0.9, 0.01)
    (found,) = shift_findings(wrong, {1: right, -1: wrong})
    assert (found.code, found.confidence) == ("register_off_by_one", "certain")
    assert found.evidence["registers_further_on"] == "+1"
    (found,) = shift_findings(wrong, {})
    assert found.confidence == "possible"
    assert shift_findings(right, {1: right, -1: wrong}) == []


def test_each_finding_has_both_languages_and_plain_decimals() -> None:
    flow: Flow = "import"
    (found,) = phase_findings(meter(currents_of([(50.0, 20.0)] * 3), turned=["L2"]), flow)
    assert found.code in FINDING_CODES
    for text in (found.text, found.remedy):
        assert text.zh
        assert text.en
    assert found.evidence["p_over_ui_L2"].startswith("-0.9")
    assert [shown_number(x) for x in (0.0, 1234567.0, 0.000123456, -2.50)] == [
        "0", "1235000", "0.0001235", "-2.5",
    ]  # fmt: skip
