"""A SYNTHETIC three-phase load behind transformers that may be wired wrongly.

What the meter shows follows from the phasors: voltages and currents are complex numbers, and the
meter multiplies whatever reaches its terminals.
"""

from __future__ import annotations

import cmath
import itertools
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from edge_agent.profile import Profile
from enpilot.quantities import unit_ratio

__all__ = ["LoadStep", "WiredLoad", "Wiring"]

Phase: TypeAlias = Literal["L1", "L2", "L3"]
_PHASES: Final[tuple[Phase, ...]] = ("L1", "L2", "L3")
_VOLTS: Final = 230.0
_HERTZ: Final = 50.0
_Share = Annotated[float, Meta(ge=0, le=1)]


class LoadStep(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A load that is switched on, from .. to seconds after the simulator began [kW]."""

    kw: float
    from_s: Annotated[float, Meta(ge=0)]
    to_s: Annotated[float, Meta(gt=0)]


class Wiring(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A load and how its meter is wired.

    ``load_kw`` is shared by the phases as ``shares`` say, at one ``power_factor`` (lagging);
    ``solar_kw`` is fed in evenly, so that power may turn round. ``carries`` says which phase's
    conductor really runs through a phase's transformer, ``reversed`` which transformers are turned,
    ``no_voltage`` and ``no_current`` which terminals nothing reaches.
    """

    load_kw: Annotated[float, Meta(ge=0)]
    power_factor: Annotated[float, Meta(gt=0, le=1)] = 0.9
    shares: tuple[_Share, _Share, _Share] = (1 / 3, 1 / 3, 1 / 3)
    solar_kw: Annotated[float, Meta(ge=0)] = 0.0
    step: list[LoadStep] = []
    reversed: list[Phase] = []
    carries: dict[Phase, Phase] = {}
    no_voltage: list[Phase] = []
    no_current: list[Phase] = []


class WiredLoad:
    """What a meter with such a wiring shows.

    Parameters
    ----------
    wiring
        Load and wiring.
    profile
        Which registers there are, and their scales.
    ct_ratio
        Of the transformers that are really there.
    opening_counts
        What each counter starts from.
    """

    def __init__(
        self, wiring: Wiring, profile: Profile, ct_ratio: float, opening_counts: int
    ) -> None:
        self._wiring = wiring
        self._profile = profile
        self._ct = ct_ratio
        self._opening = opening_counts

    def counts(self, at_s: float, began_s: float) -> dict[str, float]:
        """Return the register numbers [counts] by ``quantity.channel`` at an instant [s]."""
        elapsed_s = max(0.0, at_s - began_s)
        amounts = self._amounts(self._load_kw(elapsed_s))
        amounts["frequency.total"] = _HERTZ
        for channel, part in _COUNTED.items():
            amounts[f"active_energy.{channel}"] = self._integral(elapsed_s, part) / 3600
        found = {}
        for r in self._profile.register:
            amount = amounts.get(r.name, 0.0)
            if r.side == "secondary" and not r.name.startswith("voltage"):
                amount /= self._ct if r.quantity != "power_factor" else 1.0
            unit = float(unit_ratio(r.quantity, r.unit)) * float(Decimal(r.scale))
            found[r.name] = amount / unit
            if r.counter is not None:
                modulus = int(r.modulus) if r.modulus else 1 << 16 * r.width
                found[r.name] = (self._opening + found[r.name]) % modulus
        return found

    def _load_kw(self, elapsed_s: float) -> float:
        steps = (s.kw for s in self._wiring.step if s.from_s <= elapsed_s < s.to_s)
        return self._wiring.load_kw + sum(steps)

    def _integral(self, elapsed_s: float, part: Callable[[float], float]) -> float:
        """Return the integral of a part of the power that the meter sees [kW s]."""
        edges = sorted(
            {0.0, elapsed_s}
            | {min(t, elapsed_s) for s in self._wiring.step for t in (s.from_s, s.to_s)}
        )
        total = 0.0
        for begin, end in itertools.pairwise(edges):
            power = self._amounts(self._load_kw(begin))["active_power.total"]
            total += part(power) * (end - begin)
        return total

    def _amounts(self, load_kw: float) -> dict[str, float]:
        wiring = self._wiring
        tangent = math.tan(math.acos(wiring.power_factor))
        volts = {x: cmath.rect(_VOLTS, -2 * math.pi / 3 * k) for k, x in enumerate(_PHASES)}
        currents = {}
        for x, share in zip(_PHASES, wiring.shares, strict=True):
            power = share * load_kw - wiring.solar_kw / 3
            flow = complex(power, share * load_kw * tangent) * 1e3
            currents[x] = (flow / volts[x]).conjugate()
        found: dict[str, float] = {}
        total, apparent_kva = 0j, 0.0
        for x in _PHASES:
            u = 0j if x in wiring.no_voltage else volts[x]
            i = currents[wiring.carries.get(x, x)] * (-1 if x in wiring.reversed else 1)
            i = 0j if x in wiring.no_current else i
            flow = u * i.conjugate() / 1e3
            total += flow
            apparent_kva += abs(flow)
            found |= {
                f"voltage.{x}": abs(u), f"current.{x}": abs(i), f"active_power.{x}": flow.real,
                f"reactive_power.{x}": flow.imag,
                f"power_factor.{x}": flow.real / abs(flow) if flow else 1.0,
            }  # fmt: skip
        found["active_power.total"] = total.real
        found["reactive_power.total"] = total.imag
        found["apparent_power.total"] = apparent_kva
        found["power_factor.total"] = total.real / apparent_kva if apparent_kva else 1.0
        return found


# Which part of the power each kind of counter adds up; a "total" one both directions.
_COUNTED: Final[dict[str, Callable[[float], float]]] = {
    "total": abs,
    "import": lambda kw: max(kw, 0.0),
    "export": lambda kw: max(-kw, 0.0),
}
