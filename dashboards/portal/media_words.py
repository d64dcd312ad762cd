"""Names of energy media in both languages."""

from __future__ import annotations

from enpilot.text import Language, pick

__all__ = ["medium_name"]

_MEDIA = {
    "electricity": ("电", "electricity"),
    "natural_gas": ("天然气", "natural gas"),
    "lng": ("液化天然气", "liquefied natural gas"),
    "lpg": ("液化石油气", "liquefied petroleum gas"),
    "biogas": ("沼气", "biogas"),
    "coke_oven_gas": ("焦炉煤气", "coke-oven gas"),
    "blast_furnace_gas": ("高炉煤气", "blast-furnace gas"),
    "raw_coal": ("原煤", "raw coal"),
    "washed_coal": ("洗精煤", "washed coal"),
    "coke": ("焦炭", "coke"),
    "crude_oil": ("原油", "crude oil"),
    "fuel_oil": ("燃料油", "fuel oil"),
    "gasoline": ("汽油", "gasoline"),
    "diesel": ("柴油", "diesel"),
    "kerosene": ("煤油", "kerosene"),
    "methanol": ("甲醇", "methanol"),
    "hydrogen": ("氢气", "hydrogen"),
    "heat": ("热力", "heat"),
    "steam": ("蒸汽", "steam"),
    "compressed_air": ("压缩空气", "compressed air"),
    "oxygen": ("氧气", "oxygen"),
    "nitrogen": ("氮气", "nitrogen"),
    "fresh_water": ("新水", "fresh water"),
    "soft_water": ("软水", "softened water"),
    "deaerated_water": ("除氧水", "deaerated water"),
    "product": ("产品", "product"),
}


def medium_name(language: Language, medium: str) -> str:
    """Return a medium's name; an unknown one with spaces."""
    return pick(language, *_MEDIA.get(medium, (medium, medium.replace("_", " "))))
