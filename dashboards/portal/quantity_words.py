"""Quantities and channels in words, and the unit of what a counter does in a time."""

from __future__ import annotations

from dashboards.portal.text import Language, pick
from enpilot.quantities import QUANTITIES

__all__ = ["QUANTITY_WORDS", "gauge_unit", "quantity_word", "rate_unit"]

QUANTITY_WORDS: dict[str, tuple[str, str]] = {
    "active_energy": ("有功电量", "active energy"),
    "reactive_energy": ("无功电量", "reactive energy"),
    "apparent_energy": ("视在电量", "apparent energy"),
    "heat": ("热量", "heat"),
    "mass": ("质量", "mass"),
    "volume": ("体积", "volume"),
    "pieces": ("件数", "pieces"),
    "operating_time": ("运行时间", "operating time"),
    "active_power": ("有功功率", "active power"),
    "reactive_power": ("无功功率", "reactive power"),
    "apparent_power": ("视在功率", "apparent power"),
    "power_factor": ("功率因数", "power factor"),
    "voltage": ("电压", "voltage"),
    "current": ("电流", "current"),
    "frequency": ("频率", "frequency"),
    "voltage_thd": ("电压谐波畸变率", "voltage THD"),
    "current_thd": ("电流谐波畸变率", "current THD"),
    "voltage_unbalance": ("电压不平衡度", "voltage unbalance"),
    "current_unbalance": ("电流不平衡度", "current unbalance"),
    "maximum_demand": ("最大需量", "maximum demand"),
    "transformer_ratio": ("互感器变比", "transformer ratio"),
    "thermal_power": ("热功率", "thermal power"),
    "flow_velocity": ("流速", "flow velocity"),
    "mass_flow": ("质量流量", "mass flow"),
    "volume_flow": ("体积流量", "volume flow"),
    "temperature": ("温度", "temperature"),
    "pressure": ("压力", "pressure"),
    "status": ("状态", "status"),
}
_OF_AN_HOUR = {"kWh": "kW", "kvarh": "kvar", "kVAh": "kVA", "h": "1"}


def quantity_word(language: Language, quantity: str, channel: str = "total") -> str:
    """Return a quantity in words, with its channel where that is not the total."""
    word = pick(language, *QUANTITY_WORDS.get(quantity, (quantity, quantity)))
    return word if channel == "total" else f"{word} {channel}"


def rate_unit(unit: str, *, daily: bool) -> str:
    """Return the unit of an amount in an hour, or in a day: kWh is kW, or kWh/d."""
    return f"{unit}/d" if daily else _OF_AN_HOUR.get(unit, f"{unit}/h")


def gauge_unit(quantity: str) -> str:
    """Return the unit of a gauge as people write it."""
    unit = QUANTITIES[quantity].unit
    return {"degC": "°C", "1": ""}.get(unit, unit)
