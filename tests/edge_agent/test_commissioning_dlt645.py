"""A DL/T 645 meter is commissioned like any other, from its display to its record."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge_agent.simulator.meter_unit import SimulatedMeter
from edge_agent.simulator.responder import Responder
from edge_agent.simulator.scenario import Scenario
from edge_agent.simulator.serving import serve_tcp
from tests.edge_agent.commissioned_plant import (
    BEGAN_S,
    CT,
    Clock,
    Engineer,
    Meters,
    commissioned,
    found,
    plant_file,
    results,
)

METER = "000000000161"


async def test_a_dlt645_meter_is_commissioned(tmp_path: Path) -> None:
    described = {
        "label": {"zh": "合成", "en": "SYNTHETIC phases"}, "timezone": "Asia/Shanghai",
        "first_year": 2025, "shift_starts": ["08:00:00"],
        "unit": [{"meter_address": METER, "kind": "electricity", "profile": "dlt645-2007",
                  "ct_ratio": CT, "opening_counts": 4711}],
    }  # fmt: skip
    scenario = msgspec.convert(described, Scenario)
    load = scenario.load()
    meters = Meters({}, Clock(BEGAN_S + 8 * 3600 + 60))
    meter = SimulatedMeter(scenario, scenario.unit[0], load)
    talking = Responder([], "rtu", meters.clock.now_s, BEGAN_S, [meter])

    def look(key: str) -> None:
        at_s = meters.clock.at_s
        if key in ("display.first", "display.second"):
            counts = round(load.energy_micro_kwh(at_s) / 1e4 / CT) + 4711
            engineer.answers[key] = f"{counts % 10**8 / 100:.2f}"
        if key.startswith("clamp.L"):
            apparent_kva = load.power_kw(at_s) / load.power_factor(at_s)
            engineer.answers[key] = f"{apparent_kva * 1000 / 3 / 230:.1f}"

    engineer = Engineer(meters, 1, {"load_step.kw": None}, meddle=look)
    async with serve_tcp(talking, "127.0.0.1", 0) as port:
        file = plant_file(tmp_path, port, {"main": 1})
        text = file.read_text("utf-8").replace("host =", 'kind = "rtu_over_tcp"\nhost =')
        text = text.replace("unit = 1\n", f'meter_address = "{METER}"\n')
        file.write_text(text.replace("real.toml", "dlt645-2007"), "utf-8")
        record, _ = await commissioned(meters, file, "main", engineer)
    assert found(record) == {}
    assert record.device.unit == METER
    assert record.open == ["load_step"], {c.code: c.measured for c in record.checks}
    assert results(record)["clamp"] == "passed"
