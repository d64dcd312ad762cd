"""The read plan: the registers of each unit in the fewest block reads, and what they mean.

Blocks are the groups of the wire format: what one request brings back shares one timestamp.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_agent.errors import ProfileError, WiringError
from edge_agent.profile import Profile, ProfileRegister, load_profile
from enpilot import __version__
from enpilot.plant import Device, Line, Plant
from enpilot.wire import (
    MAX_WIRE_BYTES,
    WIRE_VERSION,
    Birth,
    GroupDeclaration,
    SeriesDeclaration,
    encode,
)

__all__ = ["Block", "ReadPlan", "UnitPlan", "birth_bytes", "plan_blocks", "plan_for_agent"]


@dataclass(frozen=True, slots=True)
class Block:
    """One request: ``count`` registers from ``address``, and the values in them."""

    group: int
    function: Literal["holding", "input"]
    address: int
    count: int
    registers: tuple[ProfileRegister, ...]


@dataclass(frozen=True, slots=True)
class UnitPlan:
    """What is read from one physical unit each period."""

    device: Device
    unit: int
    period_s: float
    point: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """Everything that one agent reads, by line, and the birth that says so."""

    lines: tuple[tuple[Line, tuple[UnitPlan, ...]], ...]
    birth: Birth

    @property
    def requests_per_scan(self) -> int:
        """Requests that one scan of everything takes."""
        return sum(len(unit.blocks) for _, units in self.lines for unit in units)


def plan_blocks(profile: Profile, first_group: int) -> tuple[Block, ...]:
    """Return the fewest block reads that cover a profile's registers.

    Taking each value into the running block while the gap and the length allow is optimal: a block
    that starts later can never reach less far. A value is never split, and functions never mix.
    """
    blocks: list[Block] = []
    for function in ("holding", "input"):
        run: list[ProfileRegister] = []
        ordered = sorted(
            (r for r in profile.register if r.function == function), key=lambda r: r.first
        )
        for register in ordered:
            if run and not _fits(run, register, profile):
                blocks.append(_block(run, first_group + len(blocks)))
                run = []
            run.append(register)
        if run:
            blocks.append(_block(run, first_group + len(blocks)))
    return tuple(blocks)


def _fits(run: list[ProfileRegister], register: ProfileRegister, profile: Profile) -> bool:
    end = max(r.end for r in run)
    length = max(end, register.end) - run[0].first
    gap_forbidden = any(a < register.first and end <= b for a, b in profile.forbidden)
    return (
        register.first - end <= profile.max_gap
        and length <= profile.max_registers_per_request
        and not gap_forbidden
    )


def _block(run: list[ProfileRegister], group: int) -> Block:
    start, end = run[0].first, max(r.end for r in run)
    return Block(group, run[0].function, start, end - start, tuple(run))


def birth_bytes(birth: Birth) -> bytes:
    """Return the bytes by which a birth is known: plain JSON, a zstd frame where it is too long.

    Raises
    ------
    WiringError
        If it does not fit a message even then.
    """
    body = encode(birth)
    if len(body) > MAX_WIRE_BYTES:
        body = encode(birth, compress=True)
    if len(body) > MAX_WIRE_BYTES:
        raise WiringError(
            f"agent {birth.agent!r} reads too much for one birth ({len(body)} bytes, at most "
            f"{MAX_WIRE_BYTES}): give some of its lines to another agent"
        )
    return body


def plan_for_agent(
    plant: Plant, agent: str, file: Path, now: dt.datetime | None = None
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

    Raises
    ------
    WiringError
        If the agent or a profile does not exist, or a polled device is installed nowhere.
    """
    described = next((a for a in plant.agent if a.id == agent), None)
    if described is None:
        known = ", ".join(a.id for a in plant.agent) or "none"
        raise WiringError(f"{file}: no agent {agent!r} (there is: {known}) - at `$.agent`")
    point_of = _points(plant, now or dt.datetime.now(dt.UTC))
    lines = []
    groups: list[GroupDeclaration] = []
    for line in (item for item in plant.line if item.agent == agent):
        units = []
        for i, device in enumerate(plant.device):
            if device.line != line.code or device.profile is None or device.unit is None:
                continue
            if device.code not in point_of:
                raise WiringError(
                    f"{file}: device {device.code!r} is polled but installed at no point: add an "
                    "[[installation]], or take `line`, `unit` and `profile` away if it is gone - "
                    f"at `$.device[{i}]`"
                )
            try:
                profile = load_profile(device.profile, file.parent)
            except ProfileError as error:
                raise WiringError(f"{file}: {error} - at `$.device[{i}].profile`") from error
            unit = UnitPlan(
                device, device.unit, device.period_s, point_of[device.code],
                plan_blocks(profile, len(groups)),
            )  # fmt: skip
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
                point=unit.point,
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
                device=unit.device.code,
                register=r.place,
            )
            for r in block.registers
        ],
    )
