"""Names of measured quantities in both languages."""

from __future__ import annotations

from dashboards.portal.text import Language, pick

__all__ = ["quantity_name"]

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


def quantity_name(language: Language, quantity: str) -> str:
    """Return a quantity's name; an unknown one with spaces."""
    return pick(language, *_QUANTITIES.get(quantity, (quantity, quantity.replace("_", " "))))
