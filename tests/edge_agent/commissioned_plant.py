"""A plant of simulated meters on a real socket, and an engineer who reads their displays."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from edge_agent.commissioning.cli import commission_point
from edge_agent.commissioning.following import WalkClock
from edge_agent.commissioning.questions import Question
from edge_agent.commissioning.record import Record
from edge_agent.simulator.faulty_unit import FaultyUnit
from edge_agent.simulator.responder import Responder
from edge_agent.simulator.scenario import Scenario
from edge_agent.simulator.serving import serve_tcp
from edge_agent.simulator.wired_load import LoadStep
from enpilot.plant import Names, load_plant
from tests.edge_agent.wired_meters import three_phase_profile

BEGAN_S = 1_767_225_600.0  # 2026-01-01
CT = 40


@dataclass
class Clock:
    at_s: float = BEGAN_S + 7200

    def now_s(self) -> float:
        return self.at_s

    async def sleep(self, seconds: float) -> None:
        self.at_s += seconds
        await asyncio.sleep(0)


@dataclass
class Meters:
    units: dict[int, FaultyUnit]
    clock: Clock
    port: int = 0

    def amounts(self, unit: int) -> dict[str, float]:
        """What the unit's display shows, behind its transformers."""
        meter = self.units[unit]
        numbers = meter.numbers(self.clock.at_s)
        return {r.name: numbers[r.name] * float(r.scale) for r in meter.profile.register}

    def switch(self, unit: int, kw: float) -> None:
        elapsed = self.clock.at_s - BEGAN_S
        wiring = self.units[unit].unit.wiring
        assert wiring is not None
        wiring.step.append(LoadStep(kw=kw, from_s=elapsed + 4, to_s=elapsed + 100_000))


@contextlib.asynccontextmanager
async def simulated(
    folder: Path,
    wirings: Mapping[int, dict[str, Any]],
    *,
    padded: bool = False,
    profile: str | None = None,
    real: bool = False,
    kind: str = "electricity",
    fault: list[dict[str, Any]] | None = None,
) -> AsyncIterator[Meters]:
    clock = Clock()
    made_up = three_phase_profile(folder / "real.toml", padded=padded)
    described = {
        "label": {"zh": "合成", "en": "SYNTHETIC"}, "timezone": "Asia/Shanghai",
        "first_year": 2025, "shift_starts": ["08:00:00"],
        "unit": [
            {"unit": n, "kind": kind, "profile": profile or str(made_up), "ct_ratio": CT,
             "opening_counts": 1000 * n * n, "fault": fault or [],
             **({} if real else {"wiring": {"load_kw": 60.0, **wiring}})}
            for n, wiring in wirings.items()
        ],
    }  # fmt: skip
    scenario = msgspec.convert(described, Scenario)
    units = [FaultyUnit(scenario, u, scenario.load(), BEGAN_S) for u in scenario.unit]
    meters = Meters({u.unit.unit: u for u in units}, clock)
    responder = Responder(units, "tcp", clock.now_s, BEGAN_S)
    async with serve_tcp(responder, "127.0.0.1", 0) as port:
        meters.port = port
        yield meters


def plant_file(
    folder: Path,
    port: int,
    points: Mapping[str, int],
    *,
    ct_ratio: int = CT,
    profile: Path | None = None,
    parents: Mapping[str, str] | None = None,
) -> Path:
    """Write a plant whose points are measured by these units."""
    used = (profile or folder / "real.toml").name
    text = (
        'schema = 1\n[site]\ncode = "works"\nname = { zh = "工厂", en = "Works" }\n'
        'timezone = "Asia/Shanghai"\nfrom = 2025-01-01\n[[agent]]\nid = "gw-1"\nsimulated = true\n'
        f'[[line]]\ncode = "hall"\nagent = "gw-1"\nhost = "127.0.0.1"\nport = {port}\n'
    )
    for point, unit in points.items():
        parent = (parents or {}).get(point)
        text += (
            f'[[device]]\ncode = "meter-{unit}"\nserial = "SN-{unit}"\nline = "hall"\n'
            f'unit = {unit}\nprofile = "{used}"\nsimulated = true\n'
            f'[[point]]\ncode = "{point}"\nname = {{ zh = "{point}", en = "{point}" }}\n'
            'medium = "electricity"\nrole = "sub"\ncommissioning = "wired"\n'
            + (f'parent = "{parent}"\n' if parent else "")
            + f'[[installation]]\npoint = "{point}"\ndevice = "meter-{unit}"\n'
            f'ct_ratio = "{ct_ratio}"\n'
        )
    file = folder / "plant.toml"
    file.write_text(text, "utf-8")
    return file


@dataclass
class Engineer:
    """Answers like somebody who stands before a meter with a clamp and a camera."""

    meters: Meters
    unit: int
    answers: dict[str, str | None] = field(default_factory=dict)
    loads_on: int | None = None
    kw: float = 20.0
    said: list[Names] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    meddle: Callable[[str], None] | None = None
    counter: str = "active_energy.total"
    digits: int = 3

    async def ask(self, question: Question) -> str | None:
        self.asked.append(question.key)
        if self.meddle is not None:
            self.meddle(question.key)
        answer = self._answer(question.key)
        if answer is not None:
            assert question.mistake(answer) is None
        return answer

    def say(self, text: Names) -> None:
        assert text.zh
        assert text.en
        self.said.append(text)

    def _answer(self, key: str) -> str | None:
        if key in self.answers:
            return self.answers[key]
        fixed = {
            "engineer": "李工", "serial": f"SN-{self.unit}", "ct.primary_a": "200",
            "ct.secondary_a": "5", "ct.turns": "1", "photo.nameplate": "plate.jpg",
            "photo.display": "one.jpg, two.jpg", "display.side": "secondary",
            "display.unit": "kWh", "flow": "import", "clamp.instrument": "clamp 1",
        }  # fmt: skip
        if key in fixed:
            return fixed[key]
        if key in ("display.first", "display.second"):
            return f"{self.meters.amounts(self.unit)[self.counter]:.{self.digits}f}"
        if key.startswith("clamp.L"):
            return f"{self._true_current(key[-2:]):.2f}"
        if key == "load_step.kw":
            self.meters.switch(self.loads_on or self.unit, self.kw)
            return f"{self.kw:.0f}"
        return None

    def _true_current(self, phase: str) -> float:
        """What flows in the conductor, however the transformers are wired."""
        wiring = self.meters.units[self.unit].unit.wiring
        assert wiring is not None
        elapsed = self.meters.clock.at_s - BEGAN_S
        load = wiring.load_kw + sum(s.kw for s in wiring.step if s.from_s <= elapsed < s.to_s)
        share = wiring.shares[("L1", "L2", "L3").index(phase)]
        tangent = (1 - wiring.power_factor**2) ** 0.5 / wiring.power_factor
        active, reactive = share * load - wiring.solar_kw / 3, share * load * tangent
        return float((active**2 + reactive**2) ** 0.5 * 1e3 / 230)


async def commissioned(
    meters: Meters, file: Path, point: str, engineer: Engineer, readings: Path | None = None
) -> tuple[Record, Path]:
    folder = file.parent / "commissioning"
    folder.mkdir(exist_ok=True)
    for name in ("plate.jpg", "one.jpg", "two.jpg"):
        (folder / name).write_bytes(hashlib.sha256(name.encode()).digest())
    clock = WalkClock(meters.clock.now_s, meters.clock.sleep)
    return await commission_point(
        point, file, load_plant(file), engineer, readings, Path("commissioning"), clock
    )


def results(record: Record) -> dict[str, str]:
    return {c.code: c.result for c in record.checks}


def found(record: Record) -> dict[str, str]:
    return {f.code: f.confidence for f in record.findings}
