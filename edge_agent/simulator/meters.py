"""What the simulated meters show at an instant: register numbers by quantity and channel.

Electricity is the real load. Steam and pieces are SYNTHETIC, derived from it, so that the demo has
several media and a product; whoever shows them says so.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Final
from zoneinfo import ZoneInfo

from edge_agent.decode import encode
from edge_agent.profile import Profile, ProfileRegister, load_profile
from edge_agent.simulator.scenario import Scenario, Unit
from edge_agent.simulator.steel_load import IDLE_MICRO_KWH, QUARTER_S, SteelLoad
from edge_agent.simulator.sub_load import SubLoad
from edge_agent.simulator.wired_load import WiredLoad
from enpilot.quantities import unit_ratio

__all__ = ["SimulatedUnit", "shift_start"]

_PHASES: Final = ("L1", "L2", "L3")
# What a current transformer divides.
_TRANSFORMED: Final = frozenset(
    {"current", "active_power", "reactive_power", "apparent_power", "active_energy"}
)
# The load is a symmetrical consumer. Divisors of its energy by channel.
_ENERGY_SHARES: Final = {"total": 1, "import": 1} | {f"import_{name}": 3 for name in _PHASES}
_PHASE_VOLTAGE_V: Final = 230.0
_NOMINAL_HZ: Final = 50.0
# Synthetic: a boiler that idles at half a tonne an hour and follows the load by half an hour.
_STEAM_IDLE_T_PER_H: Final = 0.5
_STEAM_T_PER_KWH: Final = 0.004
_STEAM_LAG_S: Final = 1800
# Synthetic: pieces follow the load above what the halls take when nothing is made.
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

    _began_s = 0.0

    def __init__(self, scenario: Scenario, unit: Unit, load: SteelLoad) -> None:
        self.unit = unit
        self.profile: Profile = load_profile(unit.profile)
        self._scenario = scenario
        self._load: SteelLoad | SubLoad = load
        if unit.kind == "sub_electricity":
            self._load = SubLoad(load, unit.share, scenario.zone)
        self._pieces = _PieceCount(load)
        show: Mapping[str, Callable[[float], dict[str, float]]] = {
            "electricity": self._electricity if unit.wiring is None else self._wired,
            "sub_electricity": self._electricity,
            "steam": self._steam,
            "pieces": self._piece_counter,
        }
        self._show = show.get(unit.kind, _nothing)
        self._captured: dict[tuple[str, int], int] = {
            (block.function, block.address + i): word
            for block in unit.block
            for i, word in enumerate(block.words)
        }

    def numbers(self, at_s: float) -> dict[str, float]:
        """Return the register numbers [register counts] by ``quantity.channel``."""
        values = self._show(at_s)
        return {r.name: self._raw(r, values) for r in self.profile.register}

    def counters(self, at_s: float) -> dict[str, float]:
        """Return the numbers of the counters alone, which is quicker."""
        counters = [r for r in self.profile.register if r.counter is not None]
        if self._show != self._electricity:
            values = self._show(at_s)
        else:
            values = {r.name: self._electrical_counts(r, at_s, {}) for r in counters}
        return {r.name: self._raw(r, values) for r in counters}

    def registers(self, at_s: float) -> dict[tuple[str, int], int]:
        """Return the 16-bit words by function and address."""
        if self._captured:
            return self._captured
        words: dict[tuple[str, int], int] = {}
        numbers = self.numbers(at_s)
        exponents = self._exponents(numbers)
        for r in self.profile.register:
            number = numbers[r.name]
            if r.scale_register is not None:
                exponent = exponents[r.scale_register]
                number = round(number * float(Decimal(r.scale).scaleb(-exponent)))
                words[r.function, r.scale_register] = exponent & 0xFFFF
            elif r.bits is not None:
                number = int(number) << r.bits[0]
            encoded = encode(number, r.type, r.word_order, r.byte_order)
            for offset, word in enumerate(encoded):
                place = r.function, r.address + offset
                words[place] = word | (words.get(place, 0) if r.bits is not None else 0)
        return words

    def _exponents(self, numbers: dict[str, float]) -> dict[int, int]:
        """Return the exponents in the scale registers: the finest that leave no number too big."""
        exponents: dict[int, int] = {}
        for r in self.profile.register:
            if r.scale_register is None:
                continue
            low, high = _RANGE[r.type]
            exponent = Decimal(r.scale).adjusted()
            value = numbers[r.name] * float(r.scale)
            while not low <= round(value / 10.0**exponent) <= high:
                exponent += 1
            exponents[r.scale_register] = max(exponent, exponents.get(r.scale_register, exponent))
        return exponents

    def _raw(self, register: ProfileRegister, values: dict[str, float]) -> float:
        value = values.get(register.name, 0.0)
        if register.type.startswith("float"):
            return value
        # A meter whose range is too small shows its last number, it does not fall silent.
        low, high = _range(register)
        return min(max(int(value), low), high)

    def _electricity(self, at_s: float) -> dict[str, float]:
        shown = self._electrical_values(at_s)
        return {r.name: self._electrical_counts(r, at_s, shown) for r in self.profile.register}

    def _electrical_values(self, at_s: float) -> dict[str, float]:
        """Return what flows through the feeder, in the platform's units, before any transformer."""
        power_kw = self._load.power_kw(at_s)
        factor = self._load.power_factor(at_s)
        apparent_kva = power_kw / factor if factor else 0.0
        reactive_kvar = max(0.0, apparent_kva**2 - power_kw**2) ** 0.5
        values = {
            "frequency.total": _NOMINAL_HZ + 0.03 * math.sin(at_s / 97),
            "transformer_ratio.ct": float(self.unit.ct_ratio),
            "transformer_ratio.pt": 1.0,
        }
        volts = [
            _PHASE_VOLTAGE_V + 1.5 * math.sin(at_s / 300 + phase) - apparent_kva / 300
            for phase in range(3)
        ]
        for phase, name in enumerate(_PHASES):
            values[f"voltage.{name}"] = volts[phase]
            values[f"current.{name}"] = apparent_kva * 1000 / 3 / volts[phase]
        for a, b in ((0, 1), (1, 2), (2, 0)):
            # Two sides of a triangle that enclose 120 degrees.
            square = volts[a] ** 2 + volts[a] * volts[b] + volts[b] ** 2
            values[f"voltage.{_PHASES[a]}-{_PHASES[b]}"] = square**0.5
        values["current.total"] = sum(values[f"current.{name}"] for name in _PHASES)
        for quantity, total in (
            ("active_power", power_kw), ("apparent_power", apparent_kva),
            ("reactive_power", reactive_kvar),
        ):  # fmt: skip
            values[f"{quantity}.total"] = total
            values |= {f"{quantity}.{name}": total / 3 for name in _PHASES}
        values |= {f"power_factor.{name}": factor for name in ("total", *_PHASES)}
        return values

    def _electrical_counts(
        self, register: ProfileRegister, at_s: float, shown: dict[str, float]
    ) -> float:
        """Return what a meter of any profile shows in a register [register counts]."""
        transformed = register.side == "secondary" and register.quantity in _TRANSFORMED
        ratio = self.unit.ct_ratio if transformed else 1
        unit = unit_ratio(register.quantity, register.unit)
        if register.quantity == "active_energy":
            share = _ENERGY_SHARES.get(register.channel)
            if share is None:  # of another direction or tariff
                return 0.0
            # Exact, and rolling over like the device.
            micro_kwh = Fraction(register.scale) * unit * 1_000_000 * ratio * share
            advanced = self._load.energy_micro_kwh(at_s) / micro_kwh
            counts = self.unit.opening_counts + advanced
            whole = counts if register.type.startswith("float") else math.floor(counts)
            return float(whole % self._modulus(register.name))
        value = shown.get(register.name, 0.0) / float(unit)
        return (value - float(register.offset)) / ratio / float(register.scale)

    def _wired(self, at_s: float) -> dict[str, float]:
        assert self.unit.wiring is not None
        unit = self.unit
        load = WiredLoad(self.unit.wiring, self.profile, unit.ct_ratio, unit.opening_counts)
        return load.counts(at_s, self._began_s)

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
            "status.running": int(self._load.power_kw(at_s) * 1e6 / 4 > IDLE_MICRO_KWH),
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
        return max(0, energy - IDLE_MICRO_KWH)


def _nothing(at_s: float) -> dict[str, float]:
    del at_s
    return {}


def _range(register: ProfileRegister) -> tuple[int, int]:
    """Return the lowest and the highest number that a register can show."""
    if register.bits is not None:
        return 0, (1 << register.bits[1]) - 1
    if register.type.startswith(("bcd", "m10k")):
        most = 10 ** (4 * register.width) - 1
        return (-most if register.type.startswith("m10k") else 0), most
    if register.type.startswith("sm"):
        most = (1 << (16 * register.width - 1)) - 1
        return -most, most
    return _RANGE[register.raw_type]


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
