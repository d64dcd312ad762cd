"""What the simulated meters show at an instant: register numbers by quantity and channel.

Electricity is the real load. Steam and pieces are SYNTHETIC, derived from it, so that the demo has
several media and a product; whoever shows them says so.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from typing import Final
from zoneinfo import ZoneInfo

from edge_agent.decode import encode
from edge_agent.profile import Profile, ProfileRegister, load_profile
from edge_agent.simulator.scenario import Scenario, Unit
from edge_agent.simulator.steel_load import QUARTER_S, SteelLoad

__all__ = ["SimulatedUnit", "shift_start"]

_PHASE_VOLTAGE_V: Final = 230.0
_NOMINAL_HZ: Final = 50.0
# Synthetic: a boiler that idles at half a tonne an hour and follows the load by half an hour.
_STEAM_IDLE_T_PER_H: Final = 0.5
_STEAM_T_PER_KWH: Final = 0.004
_STEAM_LAG_S: Final = 1800
# Synthetic: pieces follow the load above what the halls take when nothing is made.
_IDLE_MICRO_KWH_PER_QUARTER: Final = 4_000_000
_KWH_PER_PIECE: Final = 2.5
_SCRAP_SHARE: Final = 0.02
_RANGE: Final = {
    f"{sign}int{bits}": (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for sign in ("", "u")
    for bits in (16, 32, 64)
}
# The PLC resets a moment late, so a reading on the hour still shows the whole shift.
RESET_AFTER_S: Final = 5


class SimulatedUnit:
    """One unit's registers as a pure function of time."""

    def __init__(self, scenario: Scenario, unit: Unit, load: SteelLoad) -> None:
        self.unit = unit
        self.profile: Profile = load_profile(unit.profile)
        self._scenario = scenario
        self._load = load
        self._pieces = _PieceCount(load)
        show: Mapping[str, Callable[[float], dict[str, float]]] = {
            "electricity": self._electricity,
            "steam": self._steam,
            "pieces": self._piece_counter,
        }
        self._show = show[unit.kind]

    def numbers(self, at_s: float) -> dict[str, float]:
        """Return the register numbers [register counts] by ``quantity.channel``."""
        values = self._show(at_s)
        return {r.name: self._raw(r, values) for r in self.profile.register}

    def registers(self, at_s: float) -> dict[tuple[str, int], int]:
        """Return the 16-bit words by function and address."""
        words: dict[tuple[str, int], int] = {}
        numbers = self.numbers(at_s)
        for r in self.profile.register:
            encoded = encode(numbers[r.name], r.type, r.word_order, r.byte_order)
            for offset, word in enumerate(encoded):
                words[r.function, r.address + offset] = word
        return words

    def _raw(self, register: ProfileRegister, values: dict[str, float]) -> float:
        value = values.get(register.name, 0.0)
        if register.type.startswith("float"):
            return value
        # A meter whose range is too small shows its last number, it does not fall silent.
        low, high = _RANGE[register.raw_type]
        return min(max(int(value), low), high)

    def _electricity(self, at_s: float) -> dict[str, float]:
        energy = self._load.energy_micro_kwh(at_s)
        power = self._load.power_kw(at_s)
        factor = self._load.power_factor(at_s)
        values: dict[str, float] = {}
        apparent = power / factor if factor else 0.0
        for phase, name in enumerate(("L1", "L2", "L3")):
            volts = _PHASE_VOLTAGE_V + 1.5 * math.sin(at_s / 300 + phase) - apparent / 300
            amperes = apparent * 1000 / 3 / volts
            values[f"voltage.{name}"] = volts / 0.1
            values[f"current.{name}"] = amperes / self.unit.ct_ratio / 0.01
        values["frequency.total"] = (_NOMINAL_HZ + 0.03 * math.sin(at_s / 97)) / 0.01
        secondary_kw = power / self.unit.ct_ratio
        values["active_power.total"] = secondary_kw / 0.001
        for name in ("L1", "L2", "L3"):
            values[f"active_power.{name}"] = secondary_kw / 3 / 0.001
        secondary_kva = apparent / self.unit.ct_ratio
        values["apparent_power.total"] = secondary_kva / 0.001
        reactive_kvar = max(0.0, secondary_kva**2 - secondary_kw**2) ** 0.5
        values["reactive_power.total"] = reactive_kvar / 0.001
        values["transformer_ratio.ct"] = self.unit.ct_ratio
        values["transformer_ratio.pt"] = 1
        values["power_factor.total"] = factor / 0.001
        # Counts of 0.01 kWh on the meter's side of the transformers, rolling over like the device.
        counts = self.unit.opening_counts + energy // (10_000 * self.unit.ct_ratio)
        values["active_energy.total"] = counts % self._modulus("active_energy.total")
        return values

    def _steam(self, at_s: float) -> dict[str, float]:
        lagged = at_s - _STEAM_LAG_S
        hours = (at_s - _first_instant(self._scenario)) / 3600
        energy = self._load.energy_micro_kwh(max(lagged, _first_instant(self._scenario))) / 1e6
        tonnes = _STEAM_IDLE_T_PER_H * hours + _STEAM_T_PER_KWH * energy
        flow = _STEAM_IDLE_T_PER_H + _STEAM_T_PER_KWH * self._load.power_kw(
            max(lagged, _first_instant(self._scenario))
        )
        counts = self.unit.opening_counts + int(tonnes * 1000)
        return {"mass.total": counts % self._modulus("mass.total"), "mass_flow.total": flow}

    def _piece_counter(self, at_s: float) -> dict[str, float]:
        start = shift_start(at_s - RESET_AFTER_S, self._scenario.shift_starts, self._scenario.zone)
        since = max(start + RESET_AFTER_S, _first_instant(self._scenario))
        good, scrap = self.pieces(since, at_s)
        return {
            "pieces.good": good,
            "pieces.scrap": scrap,
            "status.running": int(
                self._load.power_kw(at_s) * 1e6 / 4 > _IDLE_MICRO_KWH_PER_QUARTER
            ),
        }

    def pieces(self, since_s: float, until_s: float) -> tuple[int, int]:
        """Return good and scrap pieces made between two instants [pcs]."""
        made = self._pieces.at(until_s) - self._pieces.at(since_s)
        scrap = math.floor(self._pieces.at(until_s) * _SCRAP_SHARE) - math.floor(
            self._pieces.at(since_s) * _SCRAP_SHARE
        )
        return made - scrap, scrap

    def _modulus(self, name: str) -> int:
        register = next(r for r in self.profile.register if r.name == name)
        return int(register.modulus) if register.modulus else 1 << 16 * register.width


class _PieceCount:
    """Whole pieces since the plant began: piecewise linear between quarter hours."""

    def __init__(self, load: SteelLoad) -> None:
        self._load = load
        self._first = load.first_quarter
        self._sums = [0]

    def at(self, at_s: float) -> int:
        quarter, rest = divmod(at_s, QUARTER_S)
        if quarter < self._first:
            return 0
        begin = self._sum(int(quarter))
        running = self._productive(int(quarter))
        return int((begin + int(running * (rest / QUARTER_S))) / 1e6 / _KWH_PER_PIECE)

    def _sum(self, quarter: int) -> int:
        while len(self._sums) <= quarter - self._first:
            self._sums.append(self._sums[-1] + self._productive(self._first + len(self._sums) - 1))
        return self._sums[quarter - self._first]

    def _productive(self, quarter: int) -> int:
        start = quarter * QUARTER_S
        energy = self._load.energy_micro_kwh(
            start + QUARTER_S, improved=False
        ) - self._load.energy_micro_kwh(start, improved=False)
        return max(0, energy - _IDLE_MICRO_KWH_PER_QUARTER)


def shift_start(at_s: float, starts: list[dt.time], zone: ZoneInfo) -> float:
    """Return when the shift that runs at an instant began [s since 1970]."""
    local = dt.datetime.fromtimestamp(at_s, zone)
    begun = [
        begin
        for day in (local.date(), local.date() - dt.timedelta(days=1))
        for start in starts
        if (begin := dt.datetime.combine(day, start, zone)) <= local
    ]
    return max(begun).timestamp()


def _first_instant(scenario: Scenario) -> float:
    return dt.datetime(scenario.first_year, 1, 1, tzinfo=scenario.zone).timestamp()
