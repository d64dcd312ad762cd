"""Which addresses of a block a unit does not have, found by asking for less and less."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from edge_agent.blocks import Block, Stretch, needed
from edge_agent.errors import ReadError

__all__ = ["REFUSING", "Culprits", "find_culprits"]

# "Illegal data address", and "illegal data value", which some units say of a request that is too
# long (Modbus Application Protocol 1.1b3, section 7).
REFUSING = frozenset({2, 3})


@dataclass(frozen=True, slots=True)
class Culprits:
    """Why a unit refuses a block.

    ``gaps`` must not be read along, ``values`` are wanted but refused even alone, and
    ``max_registers`` is what the unit gives in one reply, where it gives less than was asked.
    """

    gaps: tuple[Stretch, ...] = ()
    values: tuple[Stretch, ...] = ()
    max_registers: int | None = None


async def find_culprits(
    block: Block, ask: Callable[[Stretch], Awaitable[object]]
) -> Culprits | None:
    """Find why a unit refuses a block.

    Asks for each run of wanted registers alone, for the values of a run that is refused, and across
    each gap: once in the life of the unit, at most two requests a value.

    Parameters
    ----------
    block
        What was refused.
    ask
        Reads a stretch; raises `ReadError`.

    Returns
    -------
    Culprits or None
        None if the unit now gives the whole block, or none of its values: then addresses are not
        to blame.

    Raises
    ------
    ReadError
        If the unit falls silent meanwhile: then nothing is known.
    """
    longest = 0

    async def has(stretch: Stretch) -> bool:
        nonlocal longest
        try:
            await ask(stretch)
        except ReadError as error:
            if error.exception_code in REFUSING:
                return False
            raise
        longest = max(longest, stretch.last - stretch.first + 1)
        return True

    if await has(Stretch(block.function, block.address, block.address + block.count - 1)):
        return None
    values = _values(block)
    refused: list[Stretch] = []
    for run in block.runs:
        if not await has(run):
            own = [v for v in values if run.first <= v.first <= run.last]
            bad = [v for v in own if not await has(v)]
            refused += bad
            if not bad:  # each value is there, only the reply would be too long
                await _longest_prefix(own, has)
    if longest == 0:
        return None
    gaps = []
    for gap in block.gaps:
        before = max((v for v in values if v.last < gap.first), key=lambda v: v.last)
        after = min((v for v in values if v.first > gap.last), key=lambda v: v.first)
        across = Stretch(gap.function, before.first, after.last)
        if before in refused or after in refused or not await has(across):
            gaps.append(gap)
    if gaps or refused:
        return Culprits(tuple(gaps), tuple(refused))
    return Culprits(max_registers=longest)


async def _longest_prefix(values: list[Stretch], has: Callable[[Stretch], Awaitable[bool]]) -> None:
    """Ask for ever closer guesses at how many of some values fit one reply."""
    given, refused = 1, len(values)
    while refused - given > 1:
        middle = (given + refused) // 2
        first, last = values[0].first, values[middle - 1].last
        if await has(Stretch(values[0].function, first, last)):
            given = middle
        else:
            refused = middle


def _values(block: Block) -> list[Stretch]:
    return sorted(set(map(needed, block.registers)), key=lambda v: v.first)
