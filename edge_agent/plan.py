"""The read plan of an agent: which blocks of which units when, and what their columns mean."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge_agent.blocks import Block, BlockLimits, PartRegister, Stretch, cover
from edge_agent.data_items import DataItem
from edge_agent.errors import ProfileError, WiringError
from edge_agent.learned import LearnedLimits
from edge_agent.lines.exchange import UnitAddress
from edge_agent.profile import Profile, ProfileRegister, load_profile
from enpilot import __version__
from enpilot.plant import Device, Line, Plant
from enpilot.wire import (
    MAX_INFLATED_BYTES,
    MAX_WIRE_BYTES,
    WIRE_VERSION,
    Birth,
    GroupDeclaration,
    SeriesDeclaration,
    encode,
)

__all__ = ["ReadPlan", "UnitPart", "UnitPlan", "birth_bytes", "birth_parts", "plan_for_agent"]

# A value that the unit has refused is asked for this seldom: perhaps it comes with new firmware.
_REFUSED_PERIOD_S = 3600.0
_ADDRESSES = 0x10000


@dataclass(frozen=True, slots=True)
class UnitPart:
    """A device behind a unit: mostly its only one, or a circuit of a multi-circuit meter."""

    device: Device
    point: str
    profile: Profile


@dataclass(frozen=True, slots=True)
class UnitPlan:
    """What is read from one physical unit each period; a unit has one plan a period.

    ``timeout_s`` is the longest that it is waited for [s]. ``refused`` are values that it has
    refused so far; each has a block of its own.
    """

    unit: UnitAddress
    period_s: float
    timeout_s: float
    parts: tuple[UnitPart, ...]
    blocks: tuple[Block, ...]
    refused: tuple[Stretch, ...] = ()

    @property
    def device(self) -> Device:
        """The device whose unit it is."""
        return self.parts[0].device

    @property
    def profiles(self) -> tuple[str, ...]:
        """Codes of the profiles by which it is read."""
        return tuple(p.profile.code for p in self.parts)


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """Everything that one agent reads, by line, and the birth that says so."""

    lines: tuple[tuple[Line, tuple[UnitPlan, ...]], ...]
    birth: Birth

    @property
    def requests_per_scan(self) -> int:
        """Requests that one scan of everything takes."""
        return sum(len(unit.blocks) for _, units in self.lines for unit in units)


def birth_bytes(birth: Birth) -> bytes:
    """Return the bytes by which a birth is known: plain JSON, a zstd frame where it is too long.

    Raises
    ------
    WiringError
        If it does not fit a message even then; see `birth_parts`.
    """
    body = encode(birth)
    inflated = len(body)
    if inflated > MAX_WIRE_BYTES:
        body = encode(birth, compress=True)
    if len(body) > MAX_WIRE_BYTES or inflated > MAX_INFLATED_BYTES:
        raise WiringError(
            f"the birth of agent {birth.agent!r} is too long for one message: {len(body):,} bytes, "
            f"{inflated:,} inflated (at most {MAX_WIRE_BYTES:,} and {MAX_INFLATED_BYTES:,})"
        )
    return body


def birth_parts(birth: Birth) -> list[Birth]:
    """Return a birth as few that each fit a message; a batch quotes the one of its groups.

    Raises
    ------
    WiringError
        If a single group does not fit.
    """
    try:
        birth_bytes(birth)
    except WiringError:
        if len(birth.groups) == 1:
            raise
        half = len(birth.groups) // 2
        return [
            part
            for groups in (birth.groups[:half], birth.groups[half:])
            for part in birth_parts(msgspec.structs.replace(birth, groups=groups))
        ]
    return [birth]


def plan_for_agent(
    plant: Plant,
    agent: str,
    file: Path,
    now: dt.datetime | None = None,
    learned: LearnedLimits | None = None,
) -> ReadPlan:
    """Return what an agent reads.

    Parameters
    ----------
    plant
        The plant file.
    agent
        Its id in the plant file.
    file
        Where the plant came from, for messages and for profiles of one's own.
    now
        Which installations count: those in force, else the next; left out, the present.
    learned
        What units have refused so far; left out, nothing.

    Raises
    ------
    WiringError
        If the agent does not exist, a profile cannot be used, or a polled device is installed
        nowhere; the message has all of it.
    """
    described = next((a for a in plant.agent if a.id == agent), None)
    if described is None:
        known = ", ".join(a.id for a in plant.agent) or "none"
        raise WiringError(f"{file}: no agent {agent!r} (there is: {known}) - at `$.agent`")
    parts = _parts(plant, agent, file, now or dt.datetime.now(dt.UTC))
    memory = learned or LearnedLimits()
    groups: list[GroupDeclaration] = []
    lines = []
    for line in (item for item in plant.line if item.agent == agent):
        units: list[UnitPlan] = []
        for device in (d for d in plant.device if d.line == line.code and d.code in parts):
            for unit in _plan_unit(line, device, parts[device.code], memory, len(groups)):
                groups += [_declare(unit, block) for block in unit.blocks]
                units.append(unit)
        lines.append((line, tuple(units)))
    if not groups:
        raise WiringError(f"{file}: agent {agent!r} has no device to read - at `$.device`")
    birth = Birth(
        v=WIRE_VERSION,
        agent=agent,
        software=f"enpilot {__version__}",
        simulated=described.simulated,
        groups=groups,
    )
    return ReadPlan(tuple(lines), birth)


def _parts(
    plant: Plant, agent: str, file: Path, now: dt.datetime
) -> dict[str, tuple[UnitPart, ...]]:
    """Return the parts of each polled unit of an agent, by the code of its device."""
    point_of = _points(plant, now)
    lines = {line.code for line in plant.line if line.agent == agent}
    by_code = {d.code: d for d in plant.device}
    units = {d.code for d in plant.device if d.line in lines}
    profiles: dict[str, Profile] = {}
    parts: dict[str, list[UnitPart]] = {}
    errors: list[str] = []
    # Parts follow the device whose unit it is, whatever the order in the file.
    for i, device in sorted(enumerate(plant.device), key=lambda d: d[1].part_of is not None):
        whole = device.part_of or device.code
        if whole not in units or device.profile is None:
            continue
        if device.code not in point_of:
            errors.append(
                f"device {device.code!r} is polled but installed at no point: add an "
                "[[installation]], or take `line`, `unit` and `profile` away if it is gone - "
                f"at `$.device[{i}]`"
            )
            continue
        try:
            if device.profile not in profiles:
                profiles[device.profile] = load_profile(device.profile, file.parent)
        except ProfileError as error:
            errors.append(f"{error} - at `$.device[{i}].profile`")
            continue
        part = UnitPart(device, point_of[device.code], profiles[device.profile])
        errors += _part_errors(part, i)
        errors += _protocol_errors(part, by_code[whole], i)
        parts.setdefault(whole, []).append(part)
    if errors:
        raise WiringError(f"{file}: " + "; ".join(errors))
    return {code: tuple(found) for code, found in parts.items()}


def _part_errors(part: UnitPart, i: int) -> list[str]:
    has = {r.quantity for r in part.profile.values}
    named = {*part.device.quantity_period_s, *(part.device.only or ())}
    errors = [
        f"profile {part.profile.code!r} has no {quantity} (it has: {', '.join(sorted(has))}) - at "
        f"`$.device[{i}]`"
        for quantity in sorted(named - has)
    ]
    end = max((r.end for r in part.profile.register), default=0) + part.device.address_offset
    if end > _ADDRESSES:
        errors.append(
            f"`address_offset` {part.device.address_offset} puts registers of profile "
            f"{part.profile.code!r} beyond the last address 0xffff - at `$.device[{i}]`"
        )
    return errors


_ADDRESS_DIGITS = {"dlt645": 12, "cjt188": 14}


def _protocol_errors(part: UnitPart, whole: Device, i: int) -> list[str]:
    """Return what is wrong if the device is not asked the way that its profile speaks."""
    profile, address = part.profile, whole.meter_address
    digits = _ADDRESS_DIGITS.get(profile.protocol)
    if digits is None:
        wrong = "Modbus: it is asked by a `unit`" if address is not None else None
    elif address is None or len(address) != digits:
        wrong = f"{profile.protocol}: it is asked by a `meter_address` of {digits} digits"
    elif part.device is not whole:
        wrong = f"{profile.protocol}: such a meter has no parts, drop `part_of`"
    else:
        wrong = None
    if wrong is None:
        return []
    return [f"profile {profile.code!r} is of {wrong} - at `$.device[{i}]`"]


def _plan_unit(
    line: Line,
    device: Device,
    parts: tuple[UnitPart, ...],
    memory: LearnedLimits,
    first_group: int,
) -> list[UnitPlan]:
    """Return the plans of one unit, one a period, the shortest first."""
    refused = memory.of(device.code, (p.profile.code for p in parts))
    limits = BlockLimits.of(p.profile for p in parts)
    limits = BlockLimits(
        min(limits.max_registers, refused.max_registers or limits.max_registers),
        limits.max_gap,
        (*limits.forbidden, *refused.gaps),
        refused.values,
    )
    by_period: dict[float, list[PartRegister]] = {}
    for number, part in enumerate(parts):
        for period_s, item in _wanted(part, number, refused.values):
            by_period.setdefault(period_s, []).append(item)
    plans: list[UnitPlan] = []
    for period_s, registers in sorted(by_period.items()):
        blocks = cover(registers, limits, first_group)
        first_group += len(blocks)
        timeout_s = line.timeout_s if device.timeout_s is None else device.timeout_s
        unit = device.unit_address
        assert unit is not None  # or the device would not be polled
        plans.append(UnitPlan(unit, period_s, timeout_s, parts, blocks, refused.values))
    return plans


def _wanted(
    part: UnitPart, number: int, refused: Iterable[Stretch]
) -> Iterable[tuple[float, PartRegister]]:
    for register in part.profile.values:
        if part.device.only is not None and register.quantity not in part.device.only:
            continue
        item = PartRegister(_moved(register, part.device.address_offset), number)
        period_s = part.device.quantity_period_s.get(register.quantity, part.device.period_s)
        yield max(period_s, _REFUSED_PERIOD_S) if item.needs in refused else period_s, item


def _moved(value: ProfileRegister | DataItem, offset: int) -> ProfileRegister | DataItem:
    if isinstance(value, DataItem):
        return value
    factor = value.scale_register
    return msgspec.structs.replace(
        value,
        address=value.address + offset,
        scale_register=None if factor is None else factor + offset,
    )


def _points(plant: Plant, now: dt.datetime) -> dict[str, str]:
    """Return at which point each device is, or will be next."""
    first = dt.datetime.min.replace(tzinfo=dt.UTC)
    standing = [i for i in plant.installation if i.valid_to is None or i.valid_to > now]
    standing.sort(key=lambda i: i.valid_from or first, reverse=True)
    return {i.device: i.point for i in standing}


def _declare(unit: UnitPlan, block: Block) -> GroupDeclaration:
    return GroupDeclaration(
        group=block.group,
        period_s=unit.period_s,
        series=[
            SeriesDeclaration(
                point=unit.parts[part].point,
                quantity=r.quantity,
                channel=r.channel,
                unit=r.unit,
                raw_type=r.raw_type,
                register_scale=r.scale,
                offset=r.offset,
                side=r.side,
                counter=r.counter,
                modulus=r.modulus,
                rated_max_per_h=r.rated_max_per_h,
                rated_min=r.rated_min,
                rated_max=r.rated_max,
                device=unit.parts[part].device.code,
                register=r.place,
            )
            for r, part in zip(block.registers, block.parts, strict=True)
        ],
    )
