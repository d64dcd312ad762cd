"""A scenario: which simulated units answer on one address, and what they stand for."""

from __future__ import annotations

import datetime as dt
import tomllib
import zoneinfo
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edge_agent.simulator.steel_load import Improvement, SteelLoad
from enpilot.errors import ConfigurationError

__all__ = ["Scenario", "ScenarioError", "Unit", "load_scenario"]


class ScenarioError(ConfigurationError):
    """A scenario file that cannot be used; names file and path."""


class Label(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is synthetic, in both languages."""

    zh: str
    en: str


class ImprovementShare(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """From a day on the load is smaller by so many basis points (0.01 %): SYNTHETIC."""

    since: dt.date
    basis_points: Annotated[int, Meta(ge=0, le=9999)]


class Unit(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One unit id: what kind of meter it is and which profile's registers it shows."""

    unit: Annotated[int, Meta(ge=0, le=255)]
    kind: Literal["electricity", "steam", "pieces"]
    profile: str
    ct_ratio: Annotated[int, Meta(ge=1)] = 1
    opening_counts: Annotated[int, Meta(ge=0)] = 0


class Scenario(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A whole scenario file."""

    label: Label
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535)] = 5020
    timezone: str
    first_year: Annotated[int, Meta(ge=1990, le=2100)]
    shift_starts: Annotated[list[dt.time], Meta(min_length=1)]
    product: str = "product"
    tonnes_per_piece: Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?$")] = "1"
    improvement: list[ImprovementShare] = []
    unit: Annotated[list[Unit], Meta(min_length=1)]

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        """The plant's time zone."""
        return zoneinfo.ZoneInfo(self.timezone)

    def load(self) -> SteelLoad:
        """Return the plant's load."""
        shares = [Improvement(i.since, i.basis_points) for i in self.improvement]
        return SteelLoad(self.first_year, self.zone, shares)


def load_scenario(file: Path) -> Scenario:
    """Read a scenario file; raises `ScenarioError`."""
    try:
        scenario = msgspec.convert(tomllib.loads(file.read_text("utf-8")), Scenario)
    except FileNotFoundError as error:
        raise ScenarioError(f"{file}: there is no such file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ScenarioError(f"{file}: {error}") from error
    except OSError as error:
        raise ScenarioError(f"{file}: cannot be read: {error.strerror}") from error
    try:
        _ = scenario.zone
    # OSError: the name of a folder ("Asia").
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScenarioError(
            f"{file}: no time zone {scenario.timezone!r} - at `$.timezone`"
        ) from error
    return scenario
