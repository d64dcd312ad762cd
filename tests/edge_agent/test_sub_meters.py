"""Sub-meters of the simulator: never more than the feeder, one curve whoever asks and whenever."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.simulator.history import write_readings
from edge_agent.simulator.scenario import Scenario, ScenarioError, load_scenario
from edge_agent.simulator.server import build_units
from edge_agent.simulator.steel_load import SteelLoad
from edge_agent.simulator.sub_load import Share, SubLoad
from enpilot.demo.history import DemoFiles
from tests.edge_agent.test_simulator import rows
from tests.services.clock import a_day_in

ZONE = zoneinfo.ZoneInfo("Asia/Shanghai")
BEGIN = dt.datetime(2025, 1, 1, tzinfo=ZONE).timestamp()  # the demo's base year
TWO_YEARS_S = 730 * 86_400


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    files = DemoFiles.lay_out(tmp_path_factory.mktemp("demo"), a_day_in(2026), 15_020)
    return load_scenario(files.path("steel_scenario.toml"))


@pytest.fixture(scope="module")
def main(demo: Scenario) -> SteelLoad:
    return demo.load()


@pytest.fixture(scope="module")
def loads(demo: Scenario, main: SteelLoad) -> dict[int | None, list[SubLoad]]:
    """The sub-meters, by the unit that they are below."""
    below: dict[int | None, list[SubLoad]] = {}
    for unit in demo.unit:
        if unit.share:
            below.setdefault(unit.below, []).append(SubLoad(main, unit.share, ZONE))
    return below


@given(st.floats(0, TWO_YEARS_S - 1), st.floats(0, 86_400))
@settings(max_examples=300, deadline=None)  # the first call lays two years of tables
def test_together_they_take_less_than_the_feeder_between_any_two_instants(
    main: SteelLoad, loads: dict[int | None, list[SubLoad]], offset_s: float, later_s: float
) -> None:
    first, second = BEGIN + offset_s, BEGIN + min(offset_s + later_s, TWO_YEARS_S)
    gained = [s.energy_micro_kwh(second) - s.energy_micro_kwh(first) for s in loads[None]]
    assert all(g >= 0 for g in gained)  # a counter never runs back
    # A part of one count may be rounded in either of the two instants.
    whole = main.energy_micro_kwh(second) - main.energy_micro_kwh(first)
    assert sum(gained) <= whole + len(gained)
    assert sum(s.power_kw(first) for s in loads[None]) <= main.power_kw(first)


def test_a_month_leaves_some_percent_over_and_the_compressors_stay_below_their_station(
    demo: Scenario, main: SteelLoad, loads: dict[int | None, list[SubLoad]]
) -> None:
    begin, end = (dt.datetime(2026, m, 1, tzinfo=ZONE).timestamp() for m in (10, 11))

    def taken(load: SteelLoad | SubLoad) -> int:
        return load.energy_micro_kwh(end) - load.energy_micro_kwh(begin)

    assert 0.03 < 1 - sum(taken(s) for s in loads[None]) / taken(main) < 0.12
    station = next(SubLoad(main, u.share, ZONE) for u in demo.unit if u.unit == 6)
    assert 0 < sum(taken(s) for s in loads[6]) < taken(station)


def test_shares_follow_weekday_hour_and_date_and_the_last_one_holds() -> None:
    share = Share(of_idle=100, of_work=200)
    assert share.holds_on(dt.date(2026, 1, 1))
    dated = Share(
        of_idle=1, of_work=1, weekdays=(7,), since=dt.date(2026, 1, 4), until=dt.date(2026, 1, 11)
    )
    assert [d for d in range(1, 15) if dated.holds_on(dt.date(2026, 1, d))] == [4]


def test_a_history_of_chosen_units_is_what_their_registers_show(
    demo: Scenario, tmp_path: Path
) -> None:
    since, until = (dt.datetime(2026, 3, 2, h, tzinfo=ZONE) for h in (8, 10))
    assert write_readings(demo, tmp_path / "whole.csv", since, until, (4, 8)) == 9
    head, *body = rows(tmp_path / "whole.csv")
    assert head == ["ts", "unit4.active_energy.total", "unit8.active_energy.total"]
    # Another process, another start: the same numbers.
    units = {u.unit.unit: u for u in build_units(demo)}
    for stamp, *numbers in body:
        at = dt.datetime.fromisoformat(stamp).timestamp()
        shown = [units[n].numbers(at)["active_energy.total"] for n in (4, 8)]
        assert [float(n) for n in numbers] == shown
        words = units[4].registers(at)
        assert words["holding", 0] << 16 | words["holding", 1] == shown[0]
    with pytest.raises(ScenarioError, match="no unit 99 with counters"):
        write_readings(demo, tmp_path / "none.csv", since, until, (99,))


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("of_work = 5200", "of_work = 9000", "below the main feeder count more than it does from"),
        ("of_work = 700 }", "of_work = 3000 }", "below unit 6 count more than it does from"),
        ("below = 6", "below = 1", "unit 1 is no other `sub_electricity` meter"),
        ('kind = "steam"', 'kind = "sub_electricity"', "tables `share` go together"),
        ("weekdays = [7]", "weekdays = [8]", "weekdays"),
        ('"05:00-09:00"', '"05:00-09:10"', "hours"),
    ],
)
def test_shares_that_cannot_be_name_file_and_remedy(
    tmp_path: Path, before: str, after: str, sentence: str
) -> None:
    file = DemoFiles.lay_out(tmp_path, a_day_in(2026), 15_020).path("steel_scenario.toml")
    text = file.read_text("utf-8")
    assert before in text
    file.write_text(text.replace(before, after), "utf-8")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert sentence in str(caught.value)
