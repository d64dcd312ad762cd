"""The simulated meters: the real year's energy, real registers on a real socket."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pymodbus.client import ModbusTcpClient

from edge_agent.decode import decode
from edge_agent.simulator.scenario import Scenario, load_scenario
from edge_agent.simulator.steel_load import SteelLoad, real_year
from tests.e2e.plant_under_test import PlantUnderTest

ZONE = ZoneInfo("Asia/Shanghai")
# The sum over the published file's 35,040 quarter hours.
YEAR_KWH = 959_636.71


def start_of(year: int) -> float:
    return dt.datetime(year, 1, 1, tzinfo=ZONE).timestamp()


def test_the_carried_year_is_the_real_one() -> None:
    real = real_year()
    assert len(real.centi_kwh) == 365 * 96
    assert sum(real.centi_kwh) / 100 == pytest.approx(YEAR_KWH, abs=0.02)


@pytest.mark.parametrize("year", [2023, 2024, 2025, 2026])
def test_every_year_has_the_real_years_energy(year: int) -> None:
    load = SteelLoad(year, ZONE, [])
    assert load.energy_micro_kwh(start_of(year)) == 0
    assert load.energy_micro_kwh(start_of(year + 1)) / 1e6 == pytest.approx(YEAR_KWH, abs=0.02)


def test_weekdays_line_up() -> None:
    # 1 January 2018 was a Monday; the first Monday of 2026 is the 5th.
    load = SteelLoad(2026, ZONE, [])
    monday = dt.datetime(2026, 1, 5, tzinfo=ZONE).timestamp()
    first_day = load.energy_micro_kwh(monday + 86400) - load.energy_micro_kwh(monday)
    assert first_day in {
        sum(real_year().centi_kwh[d * 7 * 96 : (d * 7 + 1) * 96]) * 10_000 for d in range(52)
    }


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantUnderTest]:
    plant = PlantUnderTest(tmp_path_factory.mktemp("plant"), "", 1)
    plant.start("simulator")
    yield plant
    plant.end()


@pytest.fixture(scope="module")
def scenario(plant: PlantUnderTest) -> Scenario:
    return load_scenario(plant.files.path("steel_scenario.toml"))


def test_registers_are_those_of_the_load_at_the_moment(
    plant: PlantUnderTest, scenario: Scenario
) -> None:
    client = ModbusTcpClient("127.0.0.1", port=plant.modbus_port)
    assert client.connect()
    try:
        before = dt.datetime.now(dt.UTC).timestamp()
        reply = client.read_holding_registers(0x0000, count=2, device_id=1)
        after = dt.datetime.now(dt.UTC).timestamp()
        shown = decode(reply.registers, "uint32", "big")
        load = scenario.load()
        unit = scenario.unit[0]
        low, high = (
            (unit.opening_counts + load.energy_micro_kwh(t) // (10_000 * unit.ct_ratio)) % 10**8
            for t in (before - 2, after + 2)
        )
        assert low <= shown <= high
        volts = client.read_holding_registers(0x0061, count=3, device_id=1).registers
        assert all(2200 <= v <= 2400 for v in volts)
    finally:
        client.close()


def test_a_unit_or_register_that_is_not_there_answers_like_a_meter(plant: PlantUnderTest) -> None:
    client = ModbusTcpClient("127.0.0.1", port=plant.modbus_port, timeout=1, retries=0)
    assert client.connect()
    try:
        reply = client.read_holding_registers(0x7000, count=2, device_id=1)
        assert reply.isError()
    finally:
        client.close()


def test_pieces_start_anew_with_each_shift(scenario: Scenario) -> None:
    from edge_agent.simulator.meters import SimulatedUnit  # only here

    counter = SimulatedUnit(scenario, scenario.unit[2], scenario.load())
    shift = dt.datetime(scenario.first_year, 3, 5, 16, tzinfo=ZONE).timestamp()
    last = counter.numbers(shift - 1)["pieces.good"]
    assert last > 10
    assert counter.numbers(shift + 60)["pieces.good"] < last
    good, scrap = counter.pieces(shift - 8 * 3600, shift)
    assert good + scrap >= last


def test_history_and_registers_are_one_curve(plant: PlantUnderTest, scenario: Scenario) -> None:
    from edge_agent.simulator.meters import SimulatedUnit  # only here

    since = dt.datetime(scenario.first_year, 3, 1, tzinfo=ZONE)
    table = Path(plant.folder / "readings.csv")
    plant.run(
        "edge", "simulate", "history", str(plant.files.path("steel_scenario.toml")),
        "--readings", str(table), "--output", str(plant.folder / "output.csv"),
        "--from", since.isoformat(), "--to", (since + dt.timedelta(hours=2)).isoformat(),
    )  # fmt: skip
    lines = [x.split(",") for x in table.read_text().splitlines() if not x.startswith("#")]
    at = lines[0].index("unit1.active_energy.total")
    unit = SimulatedUnit(scenario, scenario.unit[0], scenario.load())
    expected = [
        str(int(unit.numbers(since.timestamp() + 900 * i)["active_energy.total"])) for i in range(9)
    ]
    assert [row[at] for row in lines[1:]] == expected
