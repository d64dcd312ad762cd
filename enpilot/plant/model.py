"""Structures of a plant file (TOML, one per site, under the user's version control).

Edge agents read its acquisition part (agents, lines, devices), the server its whole. Every object
has ``from`` and may have ``to``: instants at which it begins and ends to hold in the plant (F2). A
bare date means midnight in the site's time zone. See docs/reference/plant-file.md.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from enpilot.forms import DecimalText, PositiveDecimalText
from enpilot.plant.accounting import Allocation, Area, Conversion, Factor, LedgerShape
from enpilot.plant.alerts import AlertPreset, AlertRule
from enpilot.plant.base import Code, Dated, Names, PositiveShare, Strict
from enpilot.plant.baselines import Baseline, Variable
from enpilot.plant.production import (
    BaseAdjustment,
    Enpi,
    Integrated,
    ProductionCounter,
    Shift,
    Target,
    VirtualPoint,
)
from enpilot.plant.savings import NonRoutineAdjustment, Programme, Retrofit
from enpilot.plant.tariffs import Account, CalendarDay, MediumPrice, Tariff
from enpilot.plant.waste import FlatPrice, Machine, OpeningHours, RatioCheck

__all__ = [
    "Agent",
    "AlertPreset",
    "AlertRule",
    "Device",
    "Enterprise",
    "Installation",
    "Line",
    "Ownership",
    "Plant",
    "Point",
    "Product",
    "Register",
    "Scheme",
    "Site",
    "bytes_of",
]

_PeriodS = Annotated[float, Meta(ge=1, le=3600)]
_Retries = Annotated[int, Meta(ge=0, le=5)]


class Site(Dated, kw_only=True):
    """The place that the file describes; ``demonstration`` says what is synthetic in it.

    With ``self_approval`` somebody may approve her own corrections where a second person should.
    """

    code: Code
    name: Names
    timezone: str
    production_day_start: dt.time = dt.time(0)
    month_day: Annotated[int, Meta(ge=1, le=28)] = 1
    demonstration: Names | None = None
    self_approval: bool = False


class Enterprise(Dated, kw_only=True):
    """Who owns sites; dated because names, industry and scale change (F14)."""

    code: Code
    name: Names
    credit_code: str | None = None
    industry: str | None = None
    district: str | None = None
    above_scale: bool | None = None


class Ownership(Dated, kw_only=True):
    """The share of the site that an enterprise holds."""

    enterprise: Code
    share: PositiveShare = "1"


class Agent(Strict, kw_only=True):
    """A gateway. Its id is the MQTT username; it may publish the points its lines reach."""

    id: Code
    simulated: bool = False


class Line(Strict, kw_only=True):
    """One connection of an agent, shared by all units behind it.

    ``kind`` is how it is reached: a Modbus TCP gateway, a serial server that passes RTU frames
    through TCP, a serial port of this machine, or a DTU that dials in and says its
    ``registration``. Bytes are text, or hexadecimal after ``0x``. Times are in seconds.
    """

    code: Code
    agent: Code
    kind: Literal["modbus_tcp", "rtu_over_tcp", "serial", "listen"] = "modbus_tcp"
    host: str = ""
    port: Annotated[int, Meta(ge=1, le=65535)] = 502
    serial_port: str = ""
    baud: Literal[300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200] = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1
    registration: str | None = None
    heartbeat: str | None = None
    frames: Literal["rtu", "tcp"] | None = None
    # No default of the type is as low: unset, it depends on the kind.
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 0.0
    retries: _Retries = 0
    pause_s: Annotated[float, Meta(ge=0, le=10)] | None = None
    close_after_read: bool = False

    def __post_init__(self) -> None:
        if self.timeout_s == 0.0:
            self.timeout_s = 10.0 if self.kind == "listen" else 1.0
        if self.kind == "listen" and not self.host:
            self.host = "0.0.0.0"  # noqa: S104 - DTUs come from everywhere; a host limits it

    @property
    def framing(self) -> Literal["rtu", "tcp"]:
        """The frames on it."""
        return self.frames or ("tcp" if self.kind == "modbus_tcp" else "rtu")

    @property
    def address(self) -> str:
        """Where it leads to, for people."""
        if self.kind == "serial":
            return f"{self.serial_port} {self.baud} 8{self.parity[0].upper()}{self.stop_bits}"
        return f"{self.host}:{self.port}"

    @property
    def registration_bytes(self) -> bytes:
        """By what a DTU is known; ValueError if it is not hexadecimal after ``0x``."""
        return bytes_of(self.registration or "")

    @property
    def heartbeat_bytes(self) -> bytes | None:
        """What a DTU says from time to time; ValueError as above."""
        return bytes_of(self.heartbeat) if self.heartbeat else None


def bytes_of(text: str) -> bytes:
    """Return the bytes that a text stands for: its own, or hexadecimal after ``0x``."""
    return bytes.fromhex(text[2:]) if text.startswith("0x") else text.encode()


class Device(Strict, kw_only=True):
    """A meter or PLC; with ``line``, ``unit`` and ``profile`` an agent polls it.

    A meter of DL/T 645 or CJ/T 188 has a ``meter_address`` instead of a ``unit``: the digits that
    are written on it.

    A circuit of a multi-circuit meter, or one machine's counters in a shared PLC, is a device that
    is ``part_of`` another: it answers under that one's unit, ``address_offset`` registers further
    on, and both are read with the same requests. ``only`` reads just these quantities,
    ``quantity_period_s`` reads some of them at another period [s].

    A calibration holds from ``calibrated_on`` to the end of ``calibration_due``.
    """

    code: Code
    maker: str | None = None
    model: str | None = None
    serial: str | None = None
    accuracy_class: str | None = None
    calibrated_on: dt.date | None = None
    calibration_due: dt.date | None = None
    certificate: str | None = None
    simulated: bool = False
    line: Code | None = None
    unit: Annotated[int, Meta(ge=0, le=255)] | None = None
    meter_address: str | None = None
    profile: str | None = None
    period_s: _PeriodS = 60.0
    quantity_period_s: dict[str, _PeriodS] = {}
    only: list[str] | None = None
    part_of: Code | None = None
    address_offset: Annotated[int, Meta(ge=0, le=65535)] = 0
    timeout_s: Annotated[float, Meta(gt=0, le=60)] | None = None
    retries: _Retries | None = None

    @property
    def unit_address(self) -> int | str | None:
        """By what it is asked on its line: its unit, or the address of a meter."""
        return self.unit if self.meter_address is None else self.meter_address


class Point(Dated, kw_only=True):
    """A place where something is measured; it never dies, its role is dated (F1, F30).

    ``use`` is what its energy is for; schemes leave some uses out.
    ``record`` is the file of its commissioning record, relative to the plant file, and
    ``record_sha256`` the hash of that file's bytes, so that neither is exchanged unnoticed.
    """

    code: Code
    name: Names
    medium: str
    role: Literal["boundary", "sub", "generation", "production", "check"]
    direction: Literal["import", "export", "internal"] = "import"
    metering_level: Annotated[int, Meta(ge=1, le=3)] | None = None
    parent: Code | None = None
    use: Literal["production", "living", "construction", "transport"] = "production"
    commissioning: Literal["planned", "wired", "verified", "accepted"] = "planned"
    record: str | None = None
    record_sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")] | None = None


class Register(Strict, kw_only=True):
    """What stood on one register when a device came or went [register counts]."""

    quantity: str
    channel: str
    opening: DecimalText | None = None
    closing: DecimalText | None = None


class Installation(Dated, kw_only=True):
    """A device at a point: ratios and sign hold from here, for advances (F3)."""

    point: Code
    device: Code
    ct_ratio: PositiveDecimalText = "1"
    pt_ratio: PositiveDecimalText = "1"
    sign: Literal[-1, 1] = 1
    phase_map: str | None = None
    registers: list[Register] = []
    reason: str = "installed"


class Product(Dated, kw_only=True):
    """What a line makes, and the unit it is counted in."""

    code: Code
    name: Names
    unit: str


class Scheme(Dated, kw_only=True):
    """What counts as energy (F6). ``energy_unit`` "kgce" converts by factor; any other unit is that
    of the single medium itself and nothing is converted. With a ``grid_region`` its carbon is
    computed, too.
    """

    code: Code
    name: Names
    media: list[str]
    energy_unit: str = "kgce"
    factor_standard: str | None = None
    factor_edition: str | None = None
    electricity_basis: Literal["physical", "primary"] | None = None
    own_renewables_counted: bool = True
    feedstock_deducted: bool = True
    excluded_uses: list[Literal["living", "construction", "transport"]] = msgspec.field(
        default_factory=lambda: ["living", "construction"]
    )
    grid_region: str | None = None
    carbon_standard: str = "MEE GHG guideline"
    carbon_edition: str = "2024"


class Plant(Strict, kw_only=True):
    """A whole plant file."""

    schema: Literal[1]
    site: Site
    enterprise: list[Enterprise] = []
    ownership: list[Ownership] = []
    agent: list[Agent] = []
    line: list[Line] = []
    device: list[Device] = []
    point: list[Point] = []
    installation: list[Installation] = []
    product: list[Product] = []
    scheme: list[Scheme] = []
    enpi: list[Enpi] = []
    target: list[Target] = []
    base_adjustment: list[BaseAdjustment] = []
    shift: list[Shift] = []
    production_counter: list[ProductionCounter] = []
    integrated: list[Integrated] = []
    virtual_point: list[VirtualPoint] = []
    area: list[Area] = []
    conversion: list[Conversion] = []
    allocation: list[Allocation] = []
    factor: list[Factor] = []
    ledger_shape: list[LedgerShape] = []
    rule: list[AlertRule] = []
    preset: list[AlertPreset] = []
    variable: list[Variable] = []
    baseline: list[Baseline] = []
    programme: list[Programme] = []
    retrofit: list[Retrofit] = []
    non_routine_adjustment: list[NonRoutineAdjustment] = []
    calendar_day: list[CalendarDay] = []
    tariff: list[Tariff] = []
    account: list[Account] = []
    medium_price: list[MediumPrice] = []
    machine: list[Machine] = []
    opening_hours: list[OpeningHours] = []
    ratio_check: list[RatioCheck] = []
    flat_price: list[FlatPrice] = []
