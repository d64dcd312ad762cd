"""Quantities that meters report, and the units they may be reported in.

A quantity is a kind of thing (active energy); a unit is how much of it (kWh). Every series names
one quantity, and its epoch names the unit of the scaled register, so that a wrong unit is refused
when a plant or a profile is read and not found out from a figure years later.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

__all__ = [
    "ENERGY_UNITS",
    "INTEGRALS",
    "MEDIA",
    "QUANTITIES",
    "TARIFF_BANDS",
    "Quantity",
    "UnitError",
    "convert",
    "energy_quantity",
    "tariff_base",
    "unit_ratio",
]


class UnitError(ValueError):
    """A unit that does not exist, or does not belong to the quantity."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One kind of measured thing.

    Attributes
    ----------
    code
        Name used in plant files, profiles, messages and the database.
    unit
        The unit in which Enpilot stores and shows it.
    units
        Units a register may use, each with the exact number of ``unit`` in one of it.
    cumulative
        True for counters (energy is the advance), False for gauges (the level itself counts).
    """

    code: str
    unit: str
    units: MappingProxyType[str, Fraction]
    cumulative: bool


def _quantity(code: str, unit: str, *, cumulative: bool, **others: str) -> Quantity:
    units = {unit: Fraction(1)} | {_SPELLING.get(k, k): Fraction(v) for k, v in others.items()}
    return Quantity(code, unit, MappingProxyType(units), cumulative)


# Keyword arguments cannot spell these units.
_SPELLING = {
    "m3_per_h": "m3/h", "t_per_h": "t/h", "kg_per_h": "kg/h", "l_per_h": "L/h", "gj_per_h": "GJ/h",
    "percent": "%",
}  # fmt: skip

QUANTITIES: MappingProxyType[str, Quantity] = MappingProxyType(
    {
        q.code: q
        for q in (
            _quantity("active_energy", "kWh", cumulative=True, Wh="1/1000", MWh="1000"),
            _quantity("reactive_energy", "kvarh", cumulative=True, varh="1/1000", Mvarh="1000"),
            _quantity("apparent_energy", "kVAh", cumulative=True, VAh="1/1000", MVAh="1000"),
            _quantity("heat", "GJ", cumulative=True, MJ="1/1000", kWh="36/10000"),
            _quantity("mass", "t", cumulative=True, kg="1/1000"),
            _quantity("volume", "m3", cumulative=True, L="1/1000"),
            _quantity("pieces", "pcs", cumulative=True),
            _quantity("operating_time", "h", cumulative=True, s="1/3600", min="1/60"),
            _quantity("active_power", "kW", cumulative=False, W="1/1000", MW="1000"),
            _quantity("reactive_power", "kvar", cumulative=False, var="1/1000", Mvar="1000"),
            _quantity("apparent_power", "kVA", cumulative=False, VA="1/1000", MVA="1000"),
            _quantity("power_factor", "1", cumulative=False, percent="1/100"),
            _quantity("voltage", "V", cumulative=False, kV="1000"),
            _quantity("current", "A", cumulative=False, mA="1/1000", kA="1000"),
            _quantity("frequency", "Hz", cumulative=False),
            _quantity("voltage_thd", "%", cumulative=False),
            _quantity("current_thd", "%", cumulative=False),
            _quantity("voltage_unbalance", "%", cumulative=False),
            _quantity("current_unbalance", "%", cumulative=False),
            # Highest mean over the meter's demand period, as the meter keeps it.
            _quantity("maximum_demand", "kW", cumulative=False, W="1/1000", MW="1000"),
            # What a meter has been told about its transformers.
            _quantity("transformer_ratio", "1", cumulative=False),
            _quantity("thermal_power", "kW", cumulative=False, W="1/1000", gj_per_h="2500/9"),
            _quantity("flow_velocity", "m/s", cumulative=False),
            _quantity("mass_flow", "t/h", cumulative=False, kg_per_h="1/1000"),
            _quantity("volume_flow", "m3/h", cumulative=False, l_per_h="1/1000"),
            _quantity("temperature", "degC", cumulative=False),
            _quantity("pressure", "kPa", cumulative=False, Pa="1/1000", MPa="1000", bar="100"),
            _quantity("status", "1", cumulative=False),
        )
    }
)

# What a gauge amounts to over an hour, and how many units of that are in one of its own.
INTEGRALS: MappingProxyType[str, tuple[str, Fraction]] = MappingProxyType(
    {
        "active_power": ("active_energy", Fraction(1)),
        "reactive_power": ("reactive_energy", Fraction(1)),
        "thermal_power": ("heat", Fraction(36, 10_000)),  # 1 kWh is 0.0036 GJ
        "mass_flow": ("mass", Fraction(1)),
        "volume_flow": ("volume", Fraction(1)),
    }
)

# What a meter's tariff registers are called: 尖 峰 平 谷 深谷. The longest comes first.
TARIFF_BANDS = ("deep_valley", "sharp", "peak", "flat", "valley")

# In what a scheme may count: standard coal, or a unit in which some medium is measured.
ENERGY_UNITS: frozenset[str] = frozenset({"kgce"}).union(
    *(QUANTITIES[q].units for q in ("active_energy", "heat", "mass", "volume"))
)

# What flows: the keys of conversion factors (GB/T 2589). "product" is what a line makes.
MEDIA: frozenset[str] = frozenset(
    {
        "electricity", "steam", "heat", "natural_gas", "raw_coal", "washed_coal", "coke",
        "crude_oil", "fuel_oil", "gasoline", "kerosene", "diesel", "lpg", "lng", "coke_oven_gas",
        "blast_furnace_gas", "biogas", "hydrogen", "methanol", "fresh_water", "soft_water",
        "deaerated_water", "compressed_air", "oxygen", "nitrogen", "product",
    }
)  # fmt: skip


_METERED_AS = {
    "electricity": "active_energy", "heat": "heat", "steam": "mass", "natural_gas": "volume",
    "coke_oven_gas": "volume", "blast_furnace_gas": "volume", "biogas": "volume",
    "fresh_water": "volume", "soft_water": "volume", "deaerated_water": "volume",
    "compressed_air": "volume", "oxygen": "volume", "nitrogen": "volume", "hydrogen": "volume",
    "product": "pieces",
}  # fmt: skip


def energy_quantity(medium: str) -> str:
    """Return the quantity in which a medium's consumption is metered; fuels go by mass."""
    return _METERED_AS.get(medium, "mass")


def tariff_base(channel: str) -> str | None:
    """Return the channel that a tariff register is a part of: "total" of "total_peak".

    Parameters
    ----------
    channel
        Of a series.

    Returns
    -------
    str or None
        None if it is no tariff register.
    """
    for band in TARIFF_BANDS:
        if channel.endswith(f"_{band}"):
            return channel[: -len(band) - 1]
    return None


def unit_ratio(quantity: str, unit: str) -> Fraction:
    """Return how many of the quantity's own unit are in one ``unit``.

    Parameters
    ----------
    quantity
        A key of `QUANTITIES`.
    unit
        A unit of that quantity, in its usual spelling ("kWh", "m3/h").

    Raises
    ------
    UnitError
        If the quantity or the unit does not exist; the message lists what does.
    """
    known = QUANTITIES.get(quantity)
    if known is None:
        raise UnitError(f"no quantity {quantity!r}; there are: {', '.join(sorted(QUANTITIES))}")
    ratio = known.units.get(unit)
    if ratio is None:
        raise UnitError(
            f"no unit {unit!r} for {quantity}; use one of: {', '.join(sorted(known.units))}"
        )
    return ratio


def convert(value: float, quantity: str, unit: str, to: str) -> float:
    """Convert a value of a quantity from one unit to another.

    Parameters
    ----------
    value
        A number [unit].
    quantity, unit, to
        See `unit_ratio`.

    Returns
    -------
    float
        The same amount [to].

    Raises
    ------
    UnitError
        If a unit does not belong to the quantity.
    """
    ratio = unit_ratio(quantity, unit) / unit_ratio(quantity, to)
    return value * ratio.numerator / ratio.denominator
