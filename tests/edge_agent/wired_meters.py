"""Meters that show loads through wirings that tests choose: phasors in, registers out."""

from __future__ import annotations

import cmath
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge_agent.power_check import PHASES, Measured

VOLTS = {x: cmath.rect(230.0, -2 * math.pi / 3 * k) for k, x in enumerate(PHASES)}
# Amperes, and degrees by which they lag.
Loads = Sequence[tuple[float, float]]


def currents_of(star: Loads, delta: Loads = ()) -> dict[str, complex]:
    found = {
        x: cmath.rect(amps, cmath.phase(VOLTS[x]) - math.radians(lag))
        for x, (amps, lag) in zip(PHASES, star, strict=True)
    }
    for k, (amps, lag) in enumerate(delta):
        a, b = PHASES[k], PHASES[(k + 1) % 3]
        flow = cmath.rect(amps, cmath.phase(VOLTS[a] - VOLTS[b]) - math.radians(lag))
        found[a] += flow
        found[b] -= flow
    return found


def floor(value: float, step: float) -> Measured:
    return Measured(math.trunc(value / step) * step, step)


def meter(
    currents: Mapping[str, complex],
    *,
    carries: Mapping[str, str] | None = None,
    turned: Sequence[str] = (),
    dead: Sequence[str] = (),
    step: float = 0.01,
    with_reactive: bool = True,
) -> dict[str, Measured]:
    """What a meter with a resolution of ``step`` [A, kW] shows."""
    values: dict[str, Measured] = {}
    total, apparent = 0j, 0.0
    for x in PHASES:
        u = 0j if x in dead else VOLTS[x]
        i = currents[(carries or {}).get(x, x)] * (-1 if x in turned else 1)
        flow = u * i.conjugate() / 1e3
        total += flow
        apparent += abs(flow)
        values[f"voltage.{x}"] = floor(abs(u), 0.1)
        values[f"current.{x}"] = floor(abs(i), step)
        values[f"active_power.{x}"] = floor(flow.real, step)
        if with_reactive:
            values[f"reactive_power.{x}"] = floor(flow.imag, step)
    values["active_power.total"] = floor(total.real, step)
    values["reactive_power.total"] = floor(total.imag, step)
    values["apparent_power.total"] = floor(apparent, step)
    values["power_factor.total"] = floor(abs(total.real) / apparent if apparent else 1.0, 0.001)
    values["frequency.total"] = Measured(50.0, 0.01)
    return values


THREE_PHASE = """
code = "test-three-phase"
maker = "none"
models = []
source = "made up for tests"
verified = false
"""
_ROWS = [
    *((f"voltage.L{n}", "V", "0.1", "uint16") for n in (1, 2, 3)),
    *((f"current.L{n}", "A", "0.001", "uint16") for n in (1, 2, 3)),
    ("frequency.total", "Hz", "0.01", "uint16"),
    *((f"power_factor.L{n}", "1", "0.001", "int16") for n in (1, 2, 3)),
    ("power_factor.total", "1", "0.001", "int16"),
    *((f"active_power.L{n}", "kW", "0.0001", "int32") for n in (1, 2, 3)),
    ("active_power.total", "kW", "0.0001", "int32"),
    ("reactive_power.total", "kvar", "0.0001", "int32"),
    ("active_energy.total", "kWh", "0.001", "uint32"),
]


def three_phase_profile(
    file: Path,
    *,
    shift: int = 0,
    exchanged: bool = False,
    energy_unit: str = "kWh",
    side: str = "secondary",
    padded: bool = False,
) -> Path:
    """Write a profile of the test meter: right, or with one of the usual mistakes."""
    text, address = THREE_PHASE, 0x10 - padded
    before, after = (("status.before", "1", "1", "uint16"), ("status.after", "1", "1", "uint16"))
    for name, unit, scale, kind in [before, *_ROWS, after] if padded else _ROWS:
        if exchanged and name in ("active_power.total", "reactive_power.total"):
            name = {"a": "reactive_power.total", "r": "active_power.total"}[name[0]]
            unit = {"kW": "kvar", "kvar": "kW"}[unit]
        quantity, channel = name.split(".")
        if quantity == "active_energy":
            unit = energy_unit
        behind = quantity not in ("frequency", "power_factor", "status")
        own_side = side if quantity in ("current", "voltage", "active_energy") else "secondary"
        text += (
            f'[[register]]\naddress = {address + shift}\ntype = "{kind}"\n'
            f'quantity = "{quantity}"\nchannel = "{channel}"\nunit = "{unit}"\nscale = "{scale}"\n'
            f'side = "{own_side if behind else "primary"}"\n'
        )
        if quantity == "active_energy":
            text += 'counter = "lifetime"\n'
        address += 2 if kind.endswith("32") else 1
    file.write_text(text, "utf-8")
    return file
