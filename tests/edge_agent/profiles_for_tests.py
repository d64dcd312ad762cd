"""Profiles, plans and lines that tests make up."""

from __future__ import annotations

from typing import Any

from edge_agent.blocks import Block, plan_blocks
from edge_agent.plan import UnitPart, UnitPlan
from edge_agent.profile import Profile, ProfileRegister
from enpilot.plant import Device, Line


def register(address: int, raw_type: Any = "uint16", **more: Any) -> ProfileRegister:
    return ProfileRegister(
        address=address, type=raw_type, quantity="status", channel=f"at-{address}", unit="1", **more
    )


def profile(*registers: ProfileRegister, max_gap: int = 16, limit: int = 125) -> Profile:
    return Profile(
        code="made-up", maker="none", models=[], source="a test", verified=False,
        max_registers_per_request=limit, max_gap=max_gap, register=list(registers),
    )  # fmt: skip


def unit_plan(
    unit: int,
    period_s: float,
    described: Profile,
    first_group: int = 0,
    timeout_s: float = 1.0,
) -> UnitPlan:
    part = UnitPart(Device(code=f"unit-{unit}", unit=unit), f"point-{unit}", described)
    return UnitPlan(unit, period_s, timeout_s, (part,), plan_blocks(described, first_group))


def block(address: int, count: int, function: Any = "holding") -> Block:
    return Block(0, function, address, count, (register(address),))


def line(port: int, timeout_s: float = 1.0) -> Line:
    return Line(code="hall", agent="gw-1", host="127.0.0.1", port=port, timeout_s=timeout_s)
