"""The watch raises what lasts, clears what is gone, and leaves right meters alone, at no cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from edge_agent.commissioning.watch import WiringWatch, expected_flow
from edge_agent.plan import ReadPlan, plan_for_agent
from edge_agent.poller import Sample
from edge_agent.simulator.faulty_unit import FaultyUnit
from edge_agent.simulator.scenario import Scenario
from enpilot.plant import load_plant
from enpilot.wire import Quality
from tests.edge_agent.commissioned_plant import BEGAN_S, CT, plant_file
from tests.edge_agent.wired_meters import three_phase_profile

HOUR = 3600


class Watched:
    """A plant whose meters are read each minute, by a clock that runs as fast as it can."""

    def __init__(self, folder: Path, wirings: dict[int, dict[str, Any]], **plant: Any) -> None:
        three_phase_profile(folder / "real.toml")
        described = {
            "label": {"zh": "合成", "en": "SYNTHETIC"}, "timezone": "Asia/Shanghai",
            "first_year": 2025, "shift_starts": ["08:00:00"],
            "unit": [
                {"unit": n, "kind": "electricity", "profile": str(folder / "real.toml"),
                 "ct_ratio": CT, "opening_counts": 1000 * n * n,
                 "wiring": {"load_kw": 60.0, **wiring}}
                for n, wiring in wirings.items()
            ],
        }  # fmt: skip
        scenario = msgspec.convert(described, Scenario)
        self.units = {
            u.unit: FaultyUnit(scenario, u, scenario.load(), BEGAN_S) for u in scenario.unit
        }
        file = plant_file(folder, 502, {f"p{n}": n for n in wirings}, **plant)
        described_plant = load_plant(file)
        self.plan: ReadPlan = plan_for_agent(described_plant, "gw-1", file)
        self.watch = WiringWatch(self.plan, described_plant)
        self.at_s = BEGAN_S

    def samples(self) -> Iterator[Sample]:
        for _, plans in self.plan.lines:
            for plan in plans:
                numbers = self.units[plan.unit].numbers(self.at_s)
                for block in plan.blocks:
                    values: list[Any] = [int(numbers[r.name]) for r in block.registers]
                    yield Sample(block.group, int(self.at_s * 1e6), 0, values, None)

    def run(
        self,
        hours: float,
        before: Callable[[Watched], None] | None = None,
        every_s: float = 60.0,
    ) -> list[str]:
        for _ in range(int(hours * HOUR / every_s)):
            self.at_s += every_s
            if before is not None:
                before(self)
            for sample in self.samples():
                self.watch.observe(sample)
        return [f"{f.point} {f.code}" for f in self.watch.findings()]

    def wiring(self, unit: int) -> Any:
        return self.units[unit].unit.wiring


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_right_meters_have_no_finding_in_two_days(folder: Path) -> None:
    loads = {1: {}, 2: {"shares": (0.8, 0.2, 0.0)}, 3: {"power_factor": 0.4}, 4: {"load_kw": 0.01}}
    assert Watched(folder, loads).run(50) == []


def test_a_sun_that_nobody_described_is_no_finding(folder: Path) -> None:
    plant = Watched(folder, {1: {"load_kw": 20.0}, 2: {"load_kw": 0.02}})

    def shine(now: Watched) -> None:
        hour = (now.at_s - BEGAN_S) / HOUR % 24
        for unit in (1, 2):
            now.wiring(unit).solar_kw = 80.0 if 7 <= hour < 18 else 0.0

    # The counters of the simulated meters know constant loads only.
    for watched in plant.watch._points:
        watched.counter = None
    assert plant.run(24 * 4, shine) == []


def test_a_reversed_transformer_is_raised_after_a_day_and_cleared_when_mended(
    folder: Path,
) -> None:
    plant = Watched(folder, {1: {"reversed": ["L2"]}, 2: {}})
    assert plant.run(23) == []
    assert plant.run(2) == ["p1 reversed_ct"]
    (found,) = plant.watch.findings()
    assert found.phases == ["L2"]
    plant.wiring(1).reversed = []
    assert plant.run(1) == []


def test_another_plan_goes_on_where_the_last_one_was(folder: Path) -> None:
    plant = Watched(folder, {1: {"reversed": ["L2"]}, 2: {}})
    assert plant.run(23) == []
    file = folder / "plant.toml"
    for ratio, found in (("40", ["p1 reversed_ct"]), ("60", [])):
        text = file.read_text("utf-8").replace('ct_ratio = "40"', f'ct_ratio = "{ratio}"')
        file.write_text(text, "utf-8")
        described = load_plant(file)
        after = WiringWatch(plan_for_agent(described, "gw-1", file), described)
        after.take_over(plant.watch)
        plant.watch = after
        assert plant.run(2) == found
        assert after.codes_by_device() == [("reversed_ct", "meter-1")][: len(found)]


def test_a_missing_phase_is_raised_within_the_hour(folder: Path) -> None:
    plant = Watched(folder, {1: {}})
    plant.run(2)
    plant.wiring(1).no_voltage = ["L3"]
    assert plant.run(0.5) == []
    assert plant.run(1) == ["p1 missing_phase"]
    plant.wiring(1).no_voltage = []
    assert plant.run(1) == []


def test_a_ghost_voltage_without_frequency_is_a_missing_phase_only(folder: Path) -> None:
    plant = Watched(folder, {1: {"no_voltage": ["L1"]}})
    real = plant.units[1].numbers

    def ghost(at_s: float) -> dict[str, float]:
        return real(at_s) | {"voltage.L1": 52.0, "frequency.total": 0.0}

    plant.units[1].numbers = ghost  # type: ignore[method-assign]  # a meter of another kind
    assert plant.run(3) == ["p1 missing_phase"]


def test_a_wrong_unit_of_energy_is_raised_after_some_hours(folder: Path) -> None:
    wrong = three_phase_profile(folder / "wrong.toml", energy_unit="MWh")
    plant = Watched(folder, {1: {}}, profile=wrong)
    assert plant.run(2) == []
    assert plant.run(3) == ["p1 energy_unit"]


def test_exchanged_power_registers_are_raised(folder: Path) -> None:
    wrong = three_phase_profile(folder / "wrong.toml", exchanged=True)
    plant = Watched(folder, {1: {}}, profile=wrong)
    # The simulated meter goes by its own profile: the registers are exchanged on the way.
    real = plant.units[1].numbers

    def exchanged(at_s: float) -> dict[str, float]:
        n = real(at_s)
        n["active_power.total"], n["reactive_power.total"] = (
            n["reactive_power.total"],
            n["active_power.total"],
        )
        return n

    plant.units[1].numbers = exchanged  # type: ignore[method-assign]  # a meter of another kind
    assert "p1 kvar_as_kw" in plant.run(3)


def test_one_unit_read_twice_is_raised_and_equal_loads_are_not(folder: Path) -> None:
    plant = Watched(folder, {1: {}, 2: {}, 3: {}})
    assert plant.run(4) == []
    plant.units[2].unit.opening_counts = plant.units[1].unit.opening_counts
    assert plant.run(4) == ["p1 same_unit_twice"]


def test_a_child_above_its_parent_is_raised_after_a_day(folder: Path) -> None:
    plant = Watched(folder, {1: {"load_kw": 30.0}, 2: {"load_kw": 90.0}}, parents={"p2": "p1"})
    assert plant.run(26) == ["p2 swapped_meters"]


def test_silence_and_refusals_say_nothing(folder: Path) -> None:
    plant = Watched(folder, {1: {}})
    width = len(next(plant.samples()).values)
    for minute in range(600):
        ts_us = int((BEGAN_S + 60 * minute) * 1e6)
        lost = [int(Quality.NO_RESPONSE)] * width
        plant.watch.observe(Sample(0, ts_us, 0, [None] * width, lost))
    assert plant.watch.findings() == []


@settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    st.lists(
        st.tuples(
            st.floats(0, 200), st.floats(0.35, 1.0), st.tuples(*[st.floats(0, 1)] * 3),
        ),
        min_size=4, max_size=10,
    )
)  # fmt: skip
def test_no_right_consumer_is_suspected_however_its_load_changes(
    tmp_path_factory: pytest.TempPathFactory, course: list[tuple[float, float, Any]]
) -> None:
    plant = Watched(tmp_path_factory.mktemp("plant"), {1: {}})
    for watched in plant.watch._points:
        watched.counter = None
    for kw, factor, shares in course:
        whole = sum(shares) or 1.0
        wiring = plant.wiring(1)
        wiring.load_kw, wiring.power_factor = kw, factor
        wiring.shares = tuple(s / whole for s in shares)
        assert plant.run(1, every_s=450.0) == []
    assert plant.watch._points[0].suspicions == {}


def test_only_a_plant_without_generation_has_a_certain_direction(folder: Path) -> None:
    three_phase_profile(folder / "real.toml")
    file = plant_file(folder, 502, {"main": 1, "sun": 2})
    assert expected_flow(load_plant(file), "main") == "import"
    text = file.read_text("utf-8")
    at = text.rindex('role = "sub"')
    file.write_text(text[:at] + 'role = "generation"' + text[at + 12 :], "utf-8")
    assert expected_flow(load_plant(file), "main") == "either"


def test_watching_costs_next_to_nothing(folder: Path) -> None:
    plant = Watched(folder, {n: {} for n in range(1, 51)})
    minute = list(plant.samples())
    readings = sum(len(s.values) for s in minute)
    began = time.process_time()
    for second in range(600):
        for s in minute:
            s.ts_us = int((BEGAN_S + second) * 1e6)
            plant.watch.observe(s)
    seconds = time.process_time() - began
    # A bound for a busy machine; the agent spends about 0.01 s on each 1,000 readings.
    assert seconds / (600 * readings) * 1000 < 0.0005
