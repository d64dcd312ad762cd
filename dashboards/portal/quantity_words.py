"""Names of measured quantities in both languages, and the unit of what a counter does in a time."""

from __future__ import annotations

from enpilot.quantities import QUANTITIES
from enpilot.text import Language, pick

__all__ = ["gauge_unit", "quantity_name", "rate_unit"]

_QUANTITIES = {
    "active_energy": ("有功电量", "active energy"),
    "reactive_energy": ("无功电量", "reactive energy"),
    "apparent_energy": ("视在电量", "apparent energy"),
    "active_power": ("有功功率", "active power"),
    "reactive_power": ("无功功率", "reactive power"),
    "apparent_power": ("视在功率", "apparent power"),
    "power_factor": ("功率因数", "power factor"),
    "maximum_demand": ("最大需量", "maximum demand"),
    "flow_velocity": ("流速", "flow velocity"),
    "thermal_power": ("热功率", "thermal power"),
    "current_thd": ("电流谐波畸变", "current THD"),
    "voltage_thd": ("电压谐波畸变", "voltage THD"),
    "current_unbalance": ("电流不平衡", "current unbalance"),
    "voltage_unbalance": ("电压不平衡", "voltage unbalance"),
    "transformer_ratio": ("互感器倍率", "transformer ratio"),
    "voltage": ("电压", "voltage"),
    "current": ("电流", "current"),
    "frequency": ("频率", "frequency"),
    "mass": ("质量", "mass"),
    "mass_flow": ("质量流量", "mass flow"),
    "volume": ("体积", "volume"),
    "volume_flow": ("体积流量", "volume flow"),
    "heat": ("热量", "heat"),
    "pressure": ("压力", "pressure"),
    "temperature": ("温度", "temperature"),
    "pieces": ("件数", "pieces"),
    "operating_time": ("运行时间", "operating time"),
    "status": ("状态", "status"),
}
_OF_AN_HOUR = {"kWh": "kW", "kvarh": "kvar", "kVAh": "kVA", "h": "1"}


def quantity_name(language: Language, quantity: str, channel: str = "total") -> str:
    """Return a quantity's name, and its channel if not the total; an unknown one with spaces."""
    name = pick(language, *_QUANTITIES.get(quantity, (quantity, quantity.replace("_", " "))))
    return name if channel == "total" else f"{name} {channel}"


def rate_unit(unit: str, *, daily: bool) -> str:
    """Return the unit of an amount in an hour, or in a day: kWh is kW, or kWh/d."""
    return f"{unit}/d" if daily else _OF_AN_HOUR.get(unit, f"{unit}/h")


def gauge_unit(quantity: str) -> str:
    """Return the unit of a gauge as people write it."""
    unit = QUANTITIES[quantity].unit
    return {"degC": "°C", "1": ""}.get(unit, unit)
