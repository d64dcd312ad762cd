"""Simulated meters of DL/T 645-2007 and CJ/T 188: what they hold, and how they answer a read.

Energy, power and power factor are the real load; tariffs, phases and water are SYNTHETIC.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from edge_agent.data_items import DataItem, MeterProtocol, encode_item
from edge_agent.profile import Profile, load_profile
from edge_agent.simulator.faults import Fault
from edge_agent.simulator.scenario import Scenario, ScenarioError, Unit
from edge_agent.simulator.steel_load import SteelLoad
from enpilot.quantities import unit_ratio

__all__ = ["MeterRequest", "SimulatedMeter", "meter_request", "request_length"]

_START, _END, _WAKE = 0x68, 0x16, b"\xfe\xfe"
_READ: Final = {"dlt645": 0x11, "cjt188": 0x01}
_SHIFT: Final = {"dlt645": 0x33, "cjt188": 0}
_OTHER_ERROR, _NO_SUCH_DATA = 0x01, 0x02
_PHASES: Final = ("L1", "L2", "L3")
_PHASE_VOLTAGE_V: Final = 230.0
# Synthetic: tenths of the energy that each tariff is shown to have.
_TARIFF_TENTHS: Final = {"sharp": 1, "peak": 3, "flat": 4, "valley": 2}
# Synthetic: what the halls take by the hour, and with what is made.
_WATER_M3_PER_H: Final = 0.2
_WATER_M3_PER_KWH: Final = 0.002
# What a CJ/T 188 water meter says: two counters, its time and its state.
_CJT188_BYTES: Final = 19


@dataclass(frozen=True, slots=True)
class MeterRequest:
    """A whole request to a meter; ``head`` is everything before the control code."""

    protocol: MeterProtocol
    address: str
    head: bytes
    control: int
    field: bytes

    @property
    def identifier(self) -> int:
        """The data identifier, of CJ/T 188 with the meter's type in front."""
        if self.protocol == "dlt645":
            return int.from_bytes(self.field[:4], "little")
        return self.head[1] << 16 | int.from_bytes(self.field[:2], "little")


def request_length(data: bytes) -> int | None:
    """Return how long the request is that some bytes begin with; 0 if more must come, else None."""
    if data[0] != _START:
        return None
    for at in (9, 10):  # where the length stands: DL/T 645, then CJ/T 188
        if at == 9 and len(data) > 7 and data[7] != _START:
            continue
        if len(data) <= at or len(data) < at + data[at] + 3:
            return 0
        end = at + 1 + data[at]
        if data[end + 1] == _END and sum(data[:end]) & 0xFF == data[end]:
            return end + 2
    return None


def meter_request(frame: bytes) -> MeterRequest:
    """Return what a whole request asks for."""
    protocol: MeterProtocol = "dlt645" if frame[7] == _START else "cjt188"
    at = 8 if protocol == "dlt645" else 9
    digits = frame[1:7] if protocol == "dlt645" else frame[2:9]
    field = bytes(byte - _SHIFT[protocol] & 0xFF for byte in frame[at + 2 : -2])
    return MeterRequest(protocol, digits[::-1].hex().upper(), frame[:at], frame[at], field)


class SimulatedMeter:
    """One meter as a pure function of time.

    Parameters
    ----------
    scenario, unit
        What it stands for; the unit has a ``meter_address``.
    load
        The plant's load.
    """

    def __init__(self, scenario: Scenario, unit: Unit, load: SteelLoad) -> None:
        self.unit = unit
        self.address = unit.meter_address or ""
        self.profile: Profile = load_profile(unit.profile)
        if not self.profile.item:
            raise ScenarioError(
                f"profile {unit.profile!r} is of Modbus: the unit has a number, no `meter_address`"
            )
        self._load = load
        begin = dt.datetime(scenario.first_year, 1, 1, tzinfo=scenario.zone)
        self._began_s = begin.timestamp()

    def data(self, at_s: float) -> dict[int, bytes]:
        """Return the bytes of each data identifier."""
        values = self._water(at_s) if self.unit.kind == "water" else self._electricity(at_s)
        shown: dict[int, bytearray] = {}
        for item in self.profile.item:
            length = _CJT188_BYTES if item.protocol == "cjt188" else 0
            stored = shown.setdefault(item.identifier, bytearray(length))
            stored.extend(bytes(max(0, item.end - len(stored))))
            coded = encode_item(self._number(item, values.get(item.name, 0.0)), item)
            stored[item.at : item.end] = coded
        return {identifier: bytes(stored) for identifier, stored in shown.items()}

    def _number(self, item: DataItem, value: float) -> int:
        counts = round(value / float(unit_ratio(item.quantity, item.unit) * Fraction(item.scale)))
        if item.counter is not None:
            modulus = int(item.modulus or 10**item.digits)
            return (counts + self.unit.opening_counts) % modulus
        # A meter whose range is too small shows its last number.
        most: int = 10**item.digits - 1 if not item.signed else 8 * 10 ** (item.digits - 1) - 1
        return min(max(counts, -most if item.signed else 0), most)

    def _electricity(self, at_s: float) -> dict[str, float]:
        ratio = self.unit.ct_ratio
        energy = self._load.energy_micro_kwh(at_s) / 1e6 / ratio
        power, factor = self._load.power_kw(at_s) / ratio, self._load.power_factor(at_s)
        apparent = power / factor if factor else 0.0
        values = {
            "active_energy.import": energy,
            "active_power.total": power,
            "power_factor.total": factor,
        }
        values |= {f"active_energy.import_{t}": energy * n / 10 for t, n in _TARIFF_TENTHS.items()}
        for phase in _PHASES:
            values[f"voltage.{phase}"] = _PHASE_VOLTAGE_V
            values[f"current.{phase}"] = apparent * 1000 / 3 / _PHASE_VOLTAGE_V
            values[f"active_power.{phase}"] = power / 3
            values[f"power_factor.{phase}"] = factor
        return values

    def _water(self, at_s: float) -> dict[str, float]:
        energy = self._load.energy_micro_kwh(at_s) / 1e6
        hours = (at_s - self._began_s) / 3600
        return {"volume.total": _WATER_M3_PER_H * hours + _WATER_M3_PER_KWH * energy}

    def answer(self, request: MeterRequest, at_s: float, faults: list[Fault]) -> bytes:
        """Return the frame that answers a request, as its faults have it."""
        kinds = {f.kind for f in faults}
        known = self.data(at_s).get(request.identifier)
        error = next((f.code for f in faults if f.kind == "exception"), None)
        if request.control != _READ[request.protocol]:
            error = _OTHER_ERROR
        elif known is None and error is None:
            error = _NO_SUCH_DATA
        head = bytearray(request.head)
        if "wrong_unit" in kinds:
            head[2] = head[2] + 1 & 0xFF
        if error is not None:
            # DL/T 645 an error byte; CJ/T 188 the serial number and two bytes of state.
            field = bytes([error])
            if request.protocol == "cjt188":
                field = request.field[2:3] + bytes([error, 0])
            return _frame(request, bytes(head), 0xC0, field)
        field = request.field + (known or b"")
        if "wrong_transaction" in kinds:
            field = bytes([field[0] + 1 & 0xFF]) + field[1:]
        if "wrong_length" in kinds:
            field = field[:-2]
        frame = _frame(request, bytes(head), 0x80, field)
        if "bad_crc" in kinds:
            frame = frame[:-2] + bytes([frame[-2] ^ 0xFF, _END])
        return frame


def _frame(request: MeterRequest, head: bytes, bits: int, field: bytes) -> bytes:
    coded = bytes(byte + _SHIFT[request.protocol] & 0xFF for byte in field)
    frame = head + bytes([request.control | bits, len(coded)]) + coded
    return _WAKE + frame + bytes([sum(frame) & 0xFF, _END])
