"""The simulator behaves like the real plant's meters, read over a real socket."""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.constants import ExcCodes

from edge_agent.blocks import plan_blocks
from edge_agent.decode import compile_decoder
from edge_agent.lines import FieldLine, make_line
from edge_agent.profile import load_profile
from edge_agent.simulator.history import write_output, write_readings
from edge_agent.simulator.scenario import Scenario, ScenarioError, load_scenario
from edge_agent.simulator.server import build_units, sim_device
from edge_agent.simulator.steel_load import SteelLoad, real_year
from enpilot.demo.history import DemoFiles
from enpilot.demo.processes import free_port, port_is_free
from tests.edge_agent.modbus_server import serving
from tests.edge_agent.profiles_for_tests import line
from tests.services.clock import a_day_in

SHANGHAI = ZoneInfo("Asia/Shanghai")
QUARTER_S = 900
# The data set's own file, typed in: kWh of the first hour of 2018, and around the first midnight.
# It labels the last row of a day 0:00 of that same day; the quarter ends at the next midnight.
FIRST_HOUR_KWH = [3.17, 4.00, 3.24, 3.31]
AROUND_MIDNIGHT_KWH = [3.67, 3.42, 3.20, 3.85]  # labelled 23:45, 0:00 (of the same day), 0:15, 0:30
YEAR_KWH = 959_636.71


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> float:
    return dt.datetime(year, month, day, hour, minute, second, tzinfo=SHANGHAI).timestamp()


def scenario(**more: object) -> Scenario:
    plain = {
        "label": {"zh": "合成", "en": "Synthetic: steam, pieces and production"},
        "timezone": "Asia/Shanghai",
        "first_year": 2018,
        "shift_starts": ["00:00:00", "08:00:00", "16:00:00"],
        "tonnes_per_piece": "0.03",
        "unit": [
            {"unit": 1, "kind": "electricity", "profile": "acrel-adl400"},
            {"unit": 2, "kind": "steam", "profile": "generic-steam-totaliser"},
            {"unit": 3, "kind": "pieces", "profile": "generic-plc-counter"},
        ],
    }
    return msgspec.convert(plain | more, Scenario)


@dataclass
class SimulatedPlant:
    """A plant on a socket whose time the test sets."""

    connection: FieldLine
    now_s: float = at(2018, 1, 1)

    async def read(self, unit: int, profile: str) -> dict[str, int | float]:
        numbers: dict[str, int | float] = {}
        for block in plan_blocks(load_profile(profile), 0):
            data = await self.connection.read(unit, block)
            values, _ = compile_decoder(block.registers, block.address)(data)
            for r, value in zip(block.registers, values, strict=True):
                assert value is not None
                numbers[r.name] = value
        return numbers

    async def energy(self, now_s: float) -> float:
        self.now_s = now_s
        return (await self.read(1, "acrel-adl400"))["active_energy.total"]


@pytest.fixture
async def plant() -> AsyncIterator[SimulatedPlant]:
    units = build_units(scenario())
    held: list[SimulatedPlant] = []
    devices = [sim_device(u, lambda: held[0].now_s) for u in units]
    async with serving(devices) as port:
        held.append(SimulatedPlant(make_line(line(port, timeout_s=5.0))))
        yield held[0]
        held[0].connection.close()


async def test_the_register_advances_by_the_real_load(plant: SimulatedPlant) -> None:
    start = at(2018, 1, 1)
    shown = [await plant.energy(start + i * QUARTER_S) for i in range(5)]
    assert shown[0] == 0
    # Counts of 0.01 kWh, after each quarter hour.
    assert [b - a for a, b in pairwise(shown)] == [317, 400, 324, 331]
    assert [round(x * 100) for x in FIRST_HOUR_KWH] == [317, 400, 324, 331]
    # Within a quarter hour it runs on evenly.
    assert await plant.energy(start + 450) == 158


async def test_the_row_that_the_source_labels_midnight_ends_the_day_before(
    plant: SimulatedPlant,
) -> None:
    before = at(2018, 1, 1, 23, 30)
    shown = [await plant.energy(before + i * QUARTER_S) for i in range(5)]
    steps = [b - a for a, b in pairwise(shown)]
    assert steps == [round(x * 100) for x in AROUND_MIDNIGHT_KWH]


async def test_the_register_gains_the_real_year_s_energy_in_the_year(plant: SimulatedPlant) -> None:
    begin, end = await plant.energy(at(2018, 1, 1)), await plant.energy(at(2019, 1, 1))
    assert (end - begin) / 100 == pytest.approx(YEAR_KWH, rel=1e-4)
    assert end - begin == 95_963_671  # exactly: nothing is rounded away on the way
    # The year after has the same real quarter hours; the meter has eight digits and rolls over.
    after = await plant.energy(at(2020, 1, 1))
    assert after == 2 * 95_963_671 - 100_000_000


async def test_power_voltage_and_current_fit_each_other(plant: SimulatedPlant) -> None:
    plant.now_s = at(2018, 1, 2, 10, 7)
    shown = await plant.read(1, "acrel-adl400")
    kw = shown["active_power.total"] * 0.001
    factor = shown["power_factor.total"] * 0.001
    assert shown["frequency.total"] * 0.01 == pytest.approx(50, abs=0.05)
    volts = [shown[f"voltage.L{i}"] * 0.1 for i in (1, 2, 3)]
    assert all(220 < v < 235 for v in volts)
    va = sum(v * shown[f"current.L{i}"] * 0.01 for i, v in enumerate(volts, 1))
    assert va / 1000 * factor == pytest.approx(kw, rel=0.005)
    assert 0 < factor <= 1
    # What the counter gains in this quarter hour is this power.
    gained = await plant.energy(at(2018, 1, 2, 10, 15)) - await plant.energy(at(2018, 1, 2, 10))
    assert gained * 0.01 * 4 == pytest.approx(kw, abs=0.1)


async def test_the_real_year_s_highest_load_fits_the_registers(plant: SimulatedPlant) -> None:
    """Without a transformer the current of the peak is beyond 16 bits: the meter shows its end."""
    peak = max(range(35_040), key=lambda i: real_year().centi_kwh[i])
    plant.now_s = at(2018, 1, 1) + peak * QUARTER_S + 10
    shown = await plant.read(1, "acrel-adl400")
    assert shown["active_power.total"] == 628_720  # 157.18 kWh in a quarter hour
    assert shown["current.L1"] == 65_535


async def test_pieces_start_at_zero_with_each_shift(plant: SimulatedPlant) -> None:
    async def pieces(now_s: float) -> tuple[float, float]:
        plant.now_s = now_s
        shown = await plant.read(3, "generic-plc-counter")
        return shown["pieces.good"], shown["pieces.scrap"]

    change = at(2018, 1, 2, 16)
    good, scrap = await pieces(change - 60)
    assert good > 50
    # Two per cent of all that was ever made, in whole pieces.
    assert abs(scrap - 0.02 * (good + scrap)) <= 1
    whole, _ = await pieces(change + 2)  # the reset is a moment late: nothing of a shift is missed
    assert whole >= good
    assert (await pieces(change + 6))[0] <= 1
    assert (await pieces(change + 3600))[0] > 1
    counts = [await pieces(change + s) for s in range(10, 8 * 3600, 1800)]
    assert counts == sorted(counts)


async def test_steam_is_totalised_from_its_flow(plant: SimulatedPlant) -> None:
    async def steam(now_s: float) -> dict[str, int | float]:
        plant.now_s = now_s
        return await plant.read(2, "generic-steam-totaliser")

    begin, end = await steam(at(2018, 1, 3)), await steam(at(2018, 1, 4))
    # Synthetic: half a tonne an hour, and 4 kg for each kWh of half an hour before.
    energy = SteelLoad(2018, SHANGHAI, [])
    kwh = (
        energy.energy_micro_kwh(at(2018, 1, 3, 23, 30))
        - energy.energy_micro_kwh(at(2018, 1, 2, 23, 30))
    ) / 1e6
    assert (end["mass.total"] - begin["mass.total"]) / 1000 == pytest.approx(
        12 + 0.004 * kwh, abs=0.002
    )
    noon = await steam(at(2018, 1, 3, 12, 1))
    ten_minutes = await steam(at(2018, 1, 3, 12, 11))
    assert (ten_minutes["mass.total"] - noon["mass.total"]) / 1000 * 6 == pytest.approx(
        noon["mass_flow.total"], abs=0.02
    )


async def test_meters_are_read_only(plant: SimulatedPlant) -> None:
    await plant.energy(at(2018, 1, 1, 1))
    host, port = plant.connection.where.split(":")
    client = AsyncModbusTcpClient(host, port=int(port))
    assert await client.connect()
    reply = await client.write_register(0, 1, device_id=1)
    client.close()
    assert reply.isError()
    assert reply.exception_code == ExcCodes.ILLEGAL_FUNCTION
    assert await plant.energy(at(2018, 1, 1, 1)) == 1372


def test_the_carried_data_is_the_source_in_file_order() -> None:
    year = real_year()
    assert len(year.centi_kwh) == 35_040
    assert sum(year.centi_kwh) == 95_963_671
    assert year.centi_kwh[:4] == (317, 400, 324, 331)
    assert year.centi_kwh[94:98] == (367, 342, 320, 385)
    assert year.lagging_centi_kvarh[:2] == (295, 446)
    assert max(year.centi_kwh) == 15_718


@pytest.mark.parametrize(
    ("year", "first_source_day"),
    [(2018, 0), (2024, 0), (2025, 2), (2026, 3), (2023, 6)],
)
def test_weekdays_line_up_and_each_real_day_occurs_once(year: int, first_source_day: int) -> None:
    load = SteelLoad(year, SHANGHAI, [])
    first = real_year().centi_kwh[first_source_day * 96]
    begin = at(year, 1, 1)
    assert load.energy_micro_kwh(begin + QUARTER_S) == first * 10_000
    # 1 January 2018 was a Monday.
    assert dt.date(year, 1, 1).weekday() == first_source_day % 7
    assert load.energy_micro_kwh(at(year + 1, 1, 1)) == 959_636_710_000
    assert load.energy_micro_kwh(at(year + 1, 12, 31)) > 959_636_710_000


def test_the_improvement_is_in_the_energy_and_not_in_the_real_year() -> None:
    described = scenario(improvement=[{"since": dt.date(2019, 1, 1), "basis_points": 300}])
    load = described.load()
    real = load.energy_micro_kwh(at(2019, 1, 1))
    improved = load.energy_micro_kwh(at(2020, 1, 1)) - real
    assert real == 959_636_710_000
    assert improved == real * 97 // 100
    assert load.energy_micro_kwh(at(2020, 1, 1), improved=False) == 2 * real


def rows(file: Path) -> list[list[str]]:
    lines = file.read_text("utf-8").splitlines()
    return list(csv.reader(x for x in lines if not x.startswith("#")))


def test_a_written_history_is_what_the_registers_showed(tmp_path: Path) -> None:
    file = tmp_path / "readings.csv"
    begin, end = (dt.datetime(2018, 1, day, tzinfo=SHANGHAI) for day in (2, 3))
    assert write_readings(scenario(), file, begin, end) == 97
    head, *body = rows(file)
    assert head == [
        "ts", "unit1.active_energy.total", "unit2.mass.total", "unit3.pieces.good",
        "unit3.pieces.scrap",
    ]  # fmt: skip
    assert body[0][0] == "2018-01-02T00:00:00+08:00"
    assert body[-1][0] == "2018-01-03T00:00:00+08:00"
    energy = [int(row[1]) for row in body]
    assert [b - a for a, b in pairwise(energy)] == list(real_year().centi_kwh[96:192])
    text = file.read_text("utf-8")
    assert "CC BY 4.0" in text
    assert "# Synthetic: steam, pieces and production" in text


def test_written_production_is_what_the_piece_counter_counted(tmp_path: Path) -> None:
    file = tmp_path / "output.csv"
    begin, end = (dt.datetime(2018, 1, day, tzinfo=SHANGHAI) for day in (1, 8))
    assert write_output(scenario(), file, begin, end) == 7 * 3 * 2
    head, *body = rows(file)
    assert head == ["product", "line", "stage", "disposition", "quantity", "from", "to"]
    assert file.read_text("utf-8").startswith("# SYNTHETIC production figures.")
    counter = build_units(scenario())[2]
    made = sum(counter.pieces(begin.timestamp(), end.timestamp()))
    assert made > 1000
    assert sum(float(row[4]) for row in body) == pytest.approx(made * 0.03)
    assert body[0][5:] == ["2018-01-01T00:00:00+08:00", "2018-01-01T08:00:00+08:00"]


def test_production_in_two_pieces_is_production_in_one(tmp_path: Path) -> None:
    days = [dt.datetime(2018, 1, 1, h, tzinfo=SHANGHAI) for h in (0, 11, 23)]
    write_output(scenario(), tmp_path / "whole", days[0], days[2])
    write_output(scenario(), tmp_path / "first", days[0], days[1])
    write_output(scenario(), tmp_path / "second", days[1], days[2])
    assert rows(tmp_path / "whole")[1:] == [
        *rows(tmp_path / "first")[1:],
        *rows(tmp_path / "second")[1:],
    ]


def test_a_first_shift_that_began_before_the_plant_counts_from_its_beginning(
    tmp_path: Path,
) -> None:
    nightly = scenario(shift_starts=["06:00:00", "22:00:00"])
    begin, end = (dt.datetime(2018, 1, 1, h, tzinfo=SHANGHAI) for h in (0, 12))
    assert write_output(nightly, tmp_path / "output.csv", begin, end) == 2
    good = rows(tmp_path / "output.csv")[1]
    counter = build_units(nightly)[2]
    made, _ = counter.pieces(begin.timestamp(), at(2018, 1, 1, 6))
    assert float(good[4]) == pytest.approx(made * 0.03)


def test_history_before_the_plant_is_refused(tmp_path: Path) -> None:
    span = (dt.datetime(2017, 12, 31, tzinfo=SHANGHAI), dt.datetime(2018, 1, 2, tzinfo=SHANGHAI))
    with pytest.raises(ScenarioError, match="the simulated plant exists from 2018"):
        write_readings(scenario(), tmp_path / "x.csv", *span)
    with pytest.raises(ScenarioError, match="the simulated plant exists from 2018"):
        write_output(scenario(), tmp_path / "x.csv", *span)
    only_meter = scenario(unit=[{"unit": 1, "kind": "electricity", "profile": "acrel-adl400"}])
    with pytest.raises(ScenarioError, match='no unit of kind "pieces"'):
        write_output(only_meter, tmp_path / "x.csv", span[1], span[1])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ('"Asia/Shanghai"', '"Asia"', "no time zone 'Asia' - at `$.timezone`"),
        ('"Asia/Shanghai"', '"../x"', "no time zone '../x' - at `$.timezone`"),
        ('"Asia/Shanghai"', '"Asia/Ningbo"', "no time zone 'Asia/Ningbo' - at `$.timezone`"),
        ("first_year", "frist_year", "unknown field `frist_year`"),
        ('kind = "steam"', 'kind = "vapour"', "$.unit[1].kind`"),
        ("basis_points = 300", "basis_points = 10000", "$.improvement[0].basis_points`"),
        ("first_year", "= first_year", "Invalid"),
    ],
)
def test_a_wrong_scenario_names_file_and_place(
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
    with pytest.raises(ScenarioError, match="cannot be read: Is a directory"):
        load_scenario(tmp_path)


def test_the_demo_s_command_answers_stops_and_refuses_a_port_in_use(tmp_path: Path) -> None:
    port = free_port()
    files = DemoFiles.lay_out(tmp_path, dt.datetime.now(dt.UTC), port)
    command = [
        sys.executable, "-m", "enpilot", "edge", "simulate", "run",
        str(files.path("steel_scenario.toml")),
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 20
        while port_is_free(port):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

        async def read() -> dict[str, int | float]:
            plant = SimulatedPlant(make_line(line(port, timeout_s=5.0)))
            try:
                return await plant.read(1, "acrel-adl400")
            finally:
                plant.connection.close()

        before = time.time()
        shown = asyncio.run(read())
        after = time.time()
        load = load_scenario(files.path("steel_scenario.toml")).load()
        low, high = (98_500_000 + load.energy_micro_kwh(t) // 400_000 for t in (before, after))
        # Counts before a 40:1 transformer, on a meter of eight digits.
        assert low % 10**8 <= shown["active_energy.total"] <= high % 10**8
        second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        assert second.returncode == 2
        assert second.stderr.startswith(f"enpilot: no simulator on 127.0.0.1:{port}: ")
        assert second.stderr.count("\n") == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert "Synthetic" in process.stderr.read()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        assert process.stderr is not None
        process.stderr.close()
