"""A scenario: which simulated units answer on one address, and what they stand for."""

from __future__ import annotations

import datetime as dt
import tomllib
import zoneinfo
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edge_agent.simulator.faults import Fault
from edge_agent.simulator.steel_load import Improvement, SteelLoad
from edge_agent.simulator.sub_load import Share, overdrawn
from edge_agent.simulator.wired_load import Wiring
from enpilot.errors import ConfigurationError
from enpilot.plant.model import bytes_of

__all__ = ["CapturedBlock", "DialIn", "Scenario", "ScenarioError", "Unit", "load_scenario"]


class ScenarioError(ConfigurationError):
    """A scenario file that cannot be used; names file and path."""


_FAULTS_OF_NUMBERS = frozenset({"rollover", "reset", "glitch", "frozen"})


class Label(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is synthetic, in both languages."""

    zh: str
    en: str


class ImprovementShare(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """From a day on the load is smaller by so many basis points (0.01 %): SYNTHETIC."""

    since: dt.date
    basis_points: Annotated[int, Meta(ge=0, le=9999)]


class CapturedBlock(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Registers as a real meter once showed them: 16-bit words from an address on."""

    function: Literal["holding", "input"] = "holding"
    address: Annotated[int, Meta(ge=0, le=65535)]
    words: Annotated[list[Annotated[int, Meta(ge=0, le=65535)]], Meta(min_length=1)]


class Unit(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One unit id: what kind of meter it is and which profile's registers it shows.

    With ``wiring`` an electricity meter shows that SYNTHETIC load instead of the real one. A
    ``sub_electricity`` meter shows its ``share`` of the real load (SYNTHETIC); ``below`` names the
    unit that it is under, by default the main feeder. A ``captured`` unit shows the words of its
    blocks, always the same ones. A meter of DL/T 645 or CJ/T 188 has a ``meter_address`` instead of
    a unit id.
    """

    unit: Annotated[int, Meta(ge=0, le=255)] = 0
    meter_address: str | None = None
    kind: Literal["electricity", "sub_electricity", "steam", "pieces", "captured", "water"]
    profile: str
    ct_ratio: Annotated[int, Meta(ge=1)] = 1
    opening_counts: Annotated[int, Meta(ge=0)] = 0
    block: list[CapturedBlock] = []
    fault: list[Fault] = []
    wiring: Wiring | None = None
    share: list[Share] = []
    below: Annotated[int, Meta(ge=0, le=255)] | None = None

    def __post_init__(self) -> None:
        if (self.kind == "sub_electricity") != bool(self.share):
            raise ValueError('`kind` "sub_electricity" and tables `share` go together')
        if self.below is not None and not self.share:
            raise ValueError('`below` belongs to a unit of kind "sub_electricity"')
        if self.share and self.meter_address is not None:
            raise ValueError("a `sub_electricity` meter has a `unit`: it speaks Modbus")
        if (self.kind == "captured") != bool(self.block):
            raise ValueError('`kind` "captured" and tables `block` go together')
        if self.kind == "water" and self.meter_address is None:
            raise ValueError("a `water` meter has a `meter_address`: it speaks CJ/T 188")
        if self.meter_address is not None:
            shown = sorted({f.kind for f in self.fault} & _FAULTS_OF_NUMBERS)
            if shown:
                raise ValueError(f"a unit with a `meter_address` knows no fault {shown[0]!r}")


class DialIn(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How a simulated DTU behaves. Bytes are text, or hexadecimal after ``0x``; times in seconds.

    Frames are sent in pieces of ``split_bytes``; 0 leaves them whole.
    """

    registration: str
    heartbeat: str | None = None
    heartbeat_s: Annotated[float, Meta(gt=0)] = 60.0
    latency_s: Annotated[float, Meta(ge=0)] = 0.0
    split_bytes: Annotated[int, Meta(ge=0)] = 0
    redial_s: Annotated[float, Meta(gt=0)] = 5.0

    def __post_init__(self) -> None:
        _ = self.registration_bytes, self.heartbeat_bytes

    @property
    def registration_bytes(self) -> bytes:
        """What it says first."""
        return bytes_of(self.registration)

    @property
    def heartbeat_bytes(self) -> bytes:
        """What it says from time to time; empty if nothing."""
        return bytes_of(self.heartbeat or "")


class Scenario(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A whole scenario file.

    ``link`` says how the units are reached: Modbus TCP or RTU frames on ``host`` and ``port``, a
    pseudo-terminal that looks like a serial port (``serial_link`` is the name it gets), or a DTU
    that dials in at ``host`` and ``port`` (``dial_in`` says how).
    """

    label: Label
    link: Literal["modbus_tcp", "rtu_over_tcp", "serial", "dial_in"] = "modbus_tcp"
    serial_link: str | None = None
    dial_in: DialIn | None = None
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
    if (scenario.link == "dial_in") != (scenario.dial_in is not None):
        raise ScenarioError(f'{file}: `link` "dial_in" and a table `dial_in` go together - at `$`')
    _check_shares(file, scenario)
    return scenario


def _check_shares(file: Path, scenario: Scenario) -> None:
    """Sub-meters never count more than the meter above them."""
    subs = {u.unit: u.share for u in scenario.unit if u.share}
    below: dict[int | None, list[list[Share]]] = {}
    for i, unit in enumerate(scenario.unit):
        if not unit.share:
            continue
        if unit.below is not None and (unit.below not in subs or unit.below == unit.unit):
            raise ScenarioError(
                f"{file}: unit {unit.below} is no other `sub_electricity` meter"
                f" - at `$.unit[{i}].below`"
            )
        below.setdefault(unit.below, []).append(unit.share)
    for above, shares in below.items():
        when = overdrawn(None if above is None else subs[above], shares)
        if when is not None:
            named = "the main feeder" if above is None else f"unit {above}"
            raise ScenarioError(
                f"{file}: the sub-meters below {named} count more than it does from {when} on:"
                " their shares add up to more than its own - at `$.unit`"
            )
