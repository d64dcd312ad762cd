"""The read planner: registers in the fewest block reads that a unit allows.

Blocks are the groups of the wire format: what one request brings back shares one timestamp.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from edge_agent.data_items import DataItem, compile_item_decoder
from edge_agent.decode import BlockDecoder, compile_decoder
from edge_agent.profile import Profile, ProfileRegister

__all__ = [
    "Block",
    "BlockLimits",
    "Function",
    "PartRegister",
    "Stretch",
    "cover",
    "needed",
    "plan_blocks",
]

Function = Literal["holding", "input", "dlt645", "cjt188"]
_FUNCTIONS: Final[tuple[Function, ...]] = ("holding", "input")
# Beside its registers: request of 8 and reply of 5 bytes (MODBUS over Serial Line 1.02).
_MODBUS_BYTES: Final = 13
# Beside its values: request of 20 and reply of 20 bytes, four of each to wake the other.
_METER_BYTES: Final = 40


@dataclass(frozen=True, slots=True)
class Stretch:
    """Addresses ``first`` to ``last``, both included, of one function.

    Of a meter of another protocol than Modbus it is one data identifier.
    """

    function: Function
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class BlockLimits:
    """What one request to a unit may span.

    ``forbidden`` is never read along to bridge a gap; ``apart`` holds values that the unit has
    refused, which are read alone so that they cost no neighbour its value.
    """

    max_registers: int = 125
    max_gap: int = 16
    forbidden: tuple[Stretch, ...] = ()
    apart: tuple[Stretch, ...] = ()

    @classmethod
    def of(cls, profiles: Iterable[Profile]) -> BlockLimits:
        """Return what all of these allow."""
        chosen = list(profiles)
        return cls(
            max_registers=min(p.max_registers_per_request for p in chosen),
            max_gap=min(p.max_gap for p in chosen),
            forbidden=tuple(
                Stretch(function, first, last)
                for p in chosen
                for first, last in p.forbidden
                for function in _FUNCTIONS
            ),
        )


@dataclass(frozen=True, slots=True)
class PartRegister:
    """A value as a unit holds it, and which of the unit's parts it belongs to."""

    register: ProfileRegister | DataItem
    part: int = 0

    @property
    def needs(self) -> Stretch:
        """What one request must bring for its value."""
        return needed(self.register)


@dataclass(frozen=True, slots=True)
class Block:
    """One request: ``count`` registers from ``address``, and the values in them.

    Of a meter of another protocol ``address`` is the data identifier, and ``count`` how long its
    values are [bytes].
    """

    group: int
    function: Function
    address: int
    count: int
    registers: tuple[ProfileRegister | DataItem, ...]
    parts: tuple[int, ...] = ()

    @property
    def place(self) -> str:
        """What is asked for, for people."""
        if self.function in _FUNCTIONS:
            return f"{self.function} {self.address:#06x}+{self.count}"
        return f"{self.function} {self.address:08X}"

    @property
    def serial_bytes(self) -> int:
        """What the request and its reply take on a serial line [bytes]."""
        if self.function in _FUNCTIONS:
            return _MODBUS_BYTES + 2 * self.count
        return _METER_BYTES + self.count

    def decoder(self) -> BlockDecoder:
        """Return what turns the bytes of its reply into values and qualities."""
        items = [r for r in self.registers if isinstance(r, DataItem)]
        if items:
            return compile_item_decoder(items)
        registers = [r for r in self.registers if isinstance(r, ProfileRegister)]
        return compile_decoder(registers, self.address)

    @property
    def runs(self) -> tuple[Stretch, ...]:
        """What is wanted of it, without the gaps."""
        runs: list[Stretch] = []
        for value in map(needed, self.registers):
            if runs and value.first <= runs[-1].last + 1:
                last = max(runs[-1].last, value.last)
                runs[-1] = Stretch(self.function, runs[-1].first, last)
            else:
                runs.append(value)
        return tuple(runs)

    @property
    def gaps(self) -> tuple[Stretch, ...]:
        """What is read along though nobody wants it."""
        return tuple(
            Stretch(self.function, a.last + 1, b.first - 1) for a, b in pairwise(self.runs)
        )


def needed(register: ProfileRegister | DataItem) -> Stretch:
    """Return what one request must bring for a value: its registers, and its scale factor's."""
    if isinstance(register, DataItem):
        return Stretch(register.protocol, register.identifier, register.identifier)
    return Stretch(register.function, register.first, register.end - 1)


def plan_blocks(profile: Profile, first_group: int = 0) -> tuple[Block, ...]:
    """Return the fewest block reads that cover one profile's registers."""
    return cover([PartRegister(r) for r in profile.values], BlockLimits.of([profile]), first_group)


def cover(
    registers: Iterable[PartRegister], limits: BlockLimits, first_group: int = 0
) -> tuple[Block, ...]:
    """Return the fewest legal block reads that cover some registers of one physical unit.

    Taking each value into the running block while the limits allow is optimal: whatever a block may
    span, each part of it may be spanned too, so a block that starts later never reaches less far. A
    value is never split, and functions never mix. A data identifier is a block of its own.

    Parameters
    ----------
    registers
        What is wanted; two parts may want the same address.
    limits
        What one request may span.
    first_group
        Number of the first block; the others follow.
    """
    wanted = list(registers)
    blocks: list[Block] = []
    for function in _FUNCTIONS:
        run: list[PartRegister] = []
        ordered = sorted(
            (r for r in wanted if r.needs.function == function),
            key=lambda r: (r.needs.first, r.needs.last, r.part),
        )
        for item in ordered:
            if run and not _fits(run, item, limits):
                blocks.append(_block(run, first_group + len(blocks)))
                run = []
            run.append(item)
        if run:
            blocks.append(_block(run, first_group + len(blocks)))
    by_identifier: dict[Stretch, list[PartRegister]] = {}
    for item in wanted:
        if isinstance(item.register, DataItem):
            by_identifier.setdefault(item.needs, []).append(item)
    blocks += [
        _identifier_block(what, items, first_group + len(blocks) + i)
        for i, (what, items) in enumerate(by_identifier.items())
    ]
    return tuple(blocks)


def _fits(run: list[PartRegister], item: PartRegister, limits: BlockLimits) -> bool:
    first, last = run[0].needs.first, max(r.needs.last for r in run)
    gap = Stretch(item.needs.function, last + 1, item.needs.first - 1)
    return (
        max(last, item.needs.last) - first < limits.max_registers
        and gap.last - gap.first < limits.max_gap
        and not any(_touch(gap, s) for s in limits.forbidden)
        and not (_is_apart(run[-1], limits) or _is_apart(item, limits))
    )


def _is_apart(item: PartRegister, limits: BlockLimits) -> bool:
    return any(_touch(item.needs, s) for s in limits.apart)


def _touch(a: Stretch, b: Stretch) -> bool:
    return a.function == b.function and max(a.first, b.first) <= min(a.last, b.last)


def _block(run: list[PartRegister], group: int) -> Block:
    first, last = run[0].needs.first, max(r.needs.last for r in run)
    return Block(
        group, run[0].needs.function, first, last - first + 1,
        tuple(r.register for r in run), tuple(r.part for r in run),
    )  # fmt: skip


def _identifier_block(what: Stretch, items: list[PartRegister], group: int) -> Block:
    count = max(i.register.end for i in items)
    registers, parts = tuple(i.register for i in items), tuple(i.part for i in items)
    return Block(group, what.function, what.first, count, registers, parts)
