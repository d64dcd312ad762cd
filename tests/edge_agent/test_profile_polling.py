"""Every shipped profile, planned from a plant file and polled against the simulator.

The registers are encoded here, by other code than the agent's; the most telling ones are typed in
as the words that a meter would send.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import struct
import time
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import pytest

from edge_agent.blocks import plan_blocks
from edge_agent.clock import Clock
from edge_agent.decode import compile_decoder
from edge_agent.lines import make_line
from edge_agent.plan import ReadPlan, plan_for_agent
from edge_agent.poller import LinePoller, Sample
from edge_agent.profile import Profile, ProfileRegister, load_profile, profile_codes
from edge_agent.simulator.responder import Responder
from edge_agent.simulator.scenario import Scenario
from edge_agent.simulator.server import build_units
from edge_agent.simulator.serving import serve_tcp
from edge_agent.simulator.steel_load import SteelLoad
from enpilot.plant import load_plant
from enpilot.quantities import unit_ratio

# As many registers as the manuals give bytes for; the others in the maps' own types. Address as on
# the wire, the words in hexadecimal, and what the meter's display would show, in the map's unit.
WORDS: Final[dict[str, dict[str, tuple[int, str, str]]]] = {
    "abb-b23": {
        "voltage.L1": (0x5B00, "0000 0900", "230.4"),
        "active_power.total": (0x5B14, "FFFE 1DC0", "-1234.56"),
        "power_factor.total": (0x5B3A, "FC7C", "-0.9"),
        "active_energy.import": (0x5000, "0000 0000 00BC 614E", "123456.78"),
    },
    "acrel-adl400": {
        "active_energy.total": (0x0000, "0012 D687", "12345.67"),
        "voltage.L1": (0x0061, "08FC", "230"),
        "current.L3": (0x0066, "01F4", "5"),
        "frequency.total": (0x0077, "1388", "50"),
        "active_power.total": (0x016A, "FFFF FB2E", "-1.234"),
        "power_factor.total": (0x017F, "FC7C", "-0.9"),
    },
    "acrel-adl400-primary": {
        "active_power.total": (0x081A, "4148 0000", "12.5"),
        "active_energy.total": (0x0842, "0001 86A0", "10000"),
        "active_energy.total_valley": (0x084A, "0000 3039", "1234.5"),
    },
    "acrel-adw300": {
        "voltage.L1": (20, "08FC", "230"),
        "active_power.total": (36, "FFFF FB2E", "-1234"),
        "active_energy.import": (62, "0000 3039", "123.45"),
    },
    "carlo-gavazzi-em24": {
        "voltage.L1": (0x00, "0900 0000", "230.4"),
        "active_power.total": (0x28, "CFC7 FFFF", "-1234.5"),
        "power_factor.total": (0x35, "FC7C", "-0.9"),
        "frequency.total": (0x37, "01F4", "50"),
        "active_energy.import": (0x42, "614E 00BC", "1234567.8"),
    },
    "carlo-gavazzi-em340": {
        "active_power.total": (0x28, "CFC7 FFFF", "-1234.5"),
        "frequency.total": (0x33, "01F4", "50"),
        "active_energy.import": (0x34, "614E 00BC", "1234567.8"),
    },
    "chint-dtsu666": {
        "voltage.L1": (0x2006, "4510 0000", "230.4"),
        "active_power.total": (0x2012, "4640 E400", "1234.5"),
        "frequency.total": (0x2044, "459C 4000", "50"),
        "active_energy.import": (0x101E, "42F7 0000", "123.5"),
    },
    "eastron-sdm120": {
        "voltage.L1": (0x00, "4366 3334", "230.2"),
        "active_power.total": (0x0C, "C49A 5000", "-1234.5"),
        "active_energy.import": (0x48, "4640 E600", "12345.5"),
    },
    "eastron-sdm630": {
        "voltage.L1": (0x00, "4366 3334", "230.2"),
        "active_power.total": (0x34, "C49A 5000", "-1234.5"),
        "active_energy.import": (0x48, "4640 E600", "12345.5"),
    },
    "generic-plc-counter": {"pieces.good": (100, "1170 0001", "70000")},
    "generic-steam-totaliser": {
        "mass.total": (0, "0001 1170", "70"),
        "mass_flow.total": (2, "4148 0000", "12.5"),
    },
    "janitza-umg96": {
        "active_power.total": (19026, "C49A 5000", "-1234.5"),
        "active_energy.import": (19068, "4974 2400", "1000000"),
    },
    "schneider-iem3000": {
        "active_power.total": (0x0BF3, "4148 0000", "12.5"),
        "active_energy.import": (0x0C83, "0000 0000 00BC 614E", "12345678"),
    },
    "schneider-pm5110": {
        "active_power.total": (3059, "4148 0000", "12.5"),
        "power_factor.L1": (3077, "3F8C CCCD", "0.9"),  # 1.1: leading
        "power_factor.L2": (3079, "BF8C CCCD", "-0.9"),
        "power_factor.L3": (3081, "3F66 6666", "0.9"),
        "active_energy.import": (3203, "0000 0000 00BC 614E", "12345678"),
    },
    "siemens-pac3200": {
        "active_power.total": (65, "C49A 5000", "-1234.5"),
        "active_energy.import": (801, "4132 D687 0000 0000", "1234567"),
    },
    "sunspec-203": {
        "voltage.L1": (40078, "0900", "230.4"),
        "active_power.total": (40088, "FB2E", "-12340"),
        "active_energy.import": (40116, "0001 86A0", "1000000"),
    },
    "tuf-2000m": {
        "temperature.supply": (32, "806B 4212", "36.6254"),
        "volume.import": (8, "1170 0001", "70000"),
        "status.signal_quality": (91, "0263", "99"),
    },
}  # fmt: skip
# The exponents that the SunSpec meter shows, by address.
SCALE_FACTORS: Final = {40076: -2, 40085: -1, 40087: -2, 40092: 1, 40097: 0, 40102: 0, 40107: -1,
                        40124: 1}  # fmt: skip
STRUCT: Final = {
    "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q", "uint64": ">Q",
    "float32": ">f", "float64": ">d",
}  # fmt: skip
PLANT: Final = """\
schema = 1
[site]
code = "works"
name = { zh = "工厂", en = "Works" }
timezone = "Asia/Shanghai"
from = 2025-01-01
[[agent]]
id = "gw-1"
[[line]]
code = "hall"
agent = "gw-1"
host = "127.0.0.1"
port = %d
timeout_s = 5
"""
DEVICE: Final = """\
[[device]]
code = "{code}"
line = "hall"
unit = {unit}
profile = "{code}"
period_s = 1
[[point]]
code = "{code}"
name = {{ zh = "点", en = "Point" }}
medium = "electricity"
role = "sub"
[[installation]]
point = "{code}"
device = "{code}"
"""


def in_words(value: float, r: ProfileRegister) -> list[int]:
    """Encode a number the slow way: high byte first, then the swaps that the map asks for."""
    sent = struct.pack(STRUCT[r.type], value)
    words = [sent[i : i + 2] for i in range(0, len(sent), 2)]
    if r.word_order == "little":
        words.reverse()
    if r.byte_order == "little":
        words = [w[::-1] for w in words]
    return [int.from_bytes(w, "big") for w in words]


@dataclass
class Meter:
    """What one unit shows, and what its readings must come to by name."""

    words: dict[tuple[str, int], int] = field(default_factory=dict)
    expected: dict[str, Decimal] = field(default_factory=dict)

    @classmethod
    def of(cls, profile: Profile) -> Meter:
        meter = cls()
        for i, r in enumerate(profile.register):
            meter._show(i, r)
        for name, (address, words, value) in WORDS[profile.code].items():
            function = next(r.function for r in profile.register if r.name == name)
            for offset, word in enumerate(words.split()):
                meter.words[function, address + offset] = int(word, 16)
            meter.expected[name] = Decimal(value)
        return meter

    def _show(self, i: int, r: ProfileRegister) -> None:
        """Give each register a number of its own, those that may be below zero in turn."""
        number: float = 1000 + 37 * i
        if r.coding == "power_factor_4q":
            number = 0.5 + i / 128
        elif r.type.startswith("float"):
            number += 0.5
        if i % 2 and not r.type.startswith("uint"):
            number = -number
        if r.bits is not None:
            number = 5
        for offset, word in enumerate(in_words(number, r)):
            self.words[r.function, r.address + offset] = word
        value = Decimal(number) * Decimal(r.scale)
        if r.scale_register is not None:
            exponent = SCALE_FACTORS[r.scale_register]
            self.words[r.function, r.scale_register] = exponent & 0xFFFF
            value = Decimal(number).scaleb(exponent)
        self.expected[r.name] = value


@dataclass
class Polled:
    plan: ReadPlan
    requests: int
    values: dict[str, dict[str, Decimal | None]]


async def poll_once(folder: Path, meters: dict[str, Meter]) -> Polled:
    codes = sorted(meters)
    described = {
        "label": {"zh": "测试", "en": "Typed in by a test"},
        "timezone": "Asia/Shanghai", "first_year": 2018, "shift_starts": ["00:00:00"],
        "unit": [
            {
                "unit": i, "kind": "captured", "profile": code,
                "block": [
                    {"function": f, "address": a, "words": [w]}
                    for (f, a), w in sorted(meters[code].words.items())
                ],
            }
            for i, code in enumerate(codes, 1)
        ],
    }  # fmt: skip
    units = build_units(msgspec.convert(described, Scenario))
    responder = Responder(units, "tcp", time.time, time.time())
    async with serve_tcp(responder, "127.0.0.1", 0) as port:
        devices = [DEVICE.format(code=code, unit=i) for i, code in enumerate(codes, 1)]
        file = folder / "plant.toml"
        file.write_text(PLANT % port + "".join(devices), "utf-8")
        plan = plan_for_agent(load_plant(file), "gw-1", file)
        ((line, unit_plans),) = plan.lines
        samples: dict[int, Sample] = {}
        complete = asyncio.Event()

        def take(sample: Sample) -> None:
            samples[sample.group] = sample
            if len(samples) == plan.requests_per_scan:
                complete.set()

        connection = make_line(line)
        running = asyncio.create_task(LinePoller(connection, unit_plans, Clock(), take).run())
        try:
            await asyncio.wait_for(complete.wait(), 30)
            requests = responder.requests
        finally:
            running.cancel()
            await asyncio.wait([running])
            connection.close()
    values: dict[str, dict[str, Decimal | None]] = {code: {} for code in codes}
    for group in plan.birth.groups:
        sample = samples[group.group]
        assert sample.quality is None, sample
        for series, number in zip(group.series, sample.values, strict=True):
            scaled = None
            if number is not None:
                scaled = Decimal(number) * Decimal(series.register_scale) + Decimal(series.offset)
            values[series.device][f"{series.quantity}.{series.channel}"] = scaled
    return Polled(plan, requests, values)


MODBUS: Final = [c for c in profile_codes() if load_profile(c).protocol == "modbus"]


@pytest.fixture(scope="module")
def meters() -> dict[str, Meter]:
    return {code: Meter.of(load_profile(code)) for code in MODBUS}


@pytest.fixture(scope="module")
def polled(tmp_path_factory: pytest.TempPathFactory, meters: dict[str, Meter]) -> Polled:
    return asyncio.run(poll_once(tmp_path_factory.mktemp("plant"), meters))


@pytest.mark.parametrize("code", MODBUS)
def test_each_shipped_profile_is_planned_polled_and_scaled(
    code: str, polled: Polled, meters: dict[str, Meter]
) -> None:
    values, expected = polled.values[code], meters[code].expected
    assert values.keys() == expected.keys()
    for name, value in values.items():
        # A float of 32 bits has seven digits.
        assert value is not None, name
        assert float(value) == pytest.approx(float(expected[name]), rel=3e-7), name


def test_a_scan_takes_as_many_requests_as_were_planned(polled: Polled) -> None:
    assert polled.plan.requests_per_scan == polled.requests
    ((_, unit_plans),) = polled.plan.lines
    assert len(unit_plans) == len(MODBUS)


ELECTRICITY: Final = [c for c in profile_codes() if "frequency.total" in
                      {r.name for r in load_profile(c).register}]  # fmt: skip


@pytest.mark.parametrize("code", ELECTRICITY)
def test_the_simulated_meter_shows_one_load_through_any_profile(code: str) -> None:
    described = {
        "label": {"zh": "合成", "en": "Synthetic"}, "timezone": "Asia/Shanghai",
        "first_year": 2018, "shift_starts": ["00:00:00"],
        "unit": [{"unit": 1, "kind": "electricity", "profile": code, "ct_ratio": 40}],
    }  # fmt: skip
    (unit,) = build_units(msgspec.convert(described, Scenario))
    at_s = dt.datetime(2018, 1, 2, 10, 7, tzinfo=dt.timezone(dt.timedelta(hours=8))).timestamp()
    words = unit.registers(at_s)
    shown: dict[str, float] = {}
    for block in plan_blocks(unit.profile, 0):
        data = b"".join(
            words.get((block.function, a), 0).to_bytes(2, "big")
            for a in range(block.address, block.address + block.count)
        )
        values, _ = compile_decoder(block.registers, block.address)(data)
        for r, number in zip(block.registers, values, strict=True):
            ratio = 40 if r.side == "secondary" and r.quantity != "voltage" else 1
            factor = float(unit_ratio(r.quantity, r.unit)) * ratio
            shown[r.name] = (number or 0) * float(r.scale) * factor
    phases = [p for p in ("L1", "L2", "L3") if f"voltage.{p}" in shown]
    kw, hz = shown["active_power.total"], shown["frequency.total"]
    kva = sum(shown[f"voltage.{p}"] * shown[f"current.{p}"] for p in phases) / 1000
    assert 49.9 < hz < 50.1
    assert 100 < kw < 700  # the real load of that quarter hour
    if len(phases) == 3 and "power_factor.total" in shown:
        assert kva * shown["power_factor.total"] == pytest.approx(kw, rel=0.01)
    energy = next(n for n in ("active_energy.total", "active_energy.import") if n in shown)
    assert shown[energy] == pytest.approx(_energy_kwh(at_s), rel=0.001)


def _energy_kwh(at_s: float) -> float:
    load = SteelLoad(2018, ZoneInfo("Asia/Shanghai"), [])
    return load.energy_micro_kwh(at_s) / 1e6
