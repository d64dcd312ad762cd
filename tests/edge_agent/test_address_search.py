"""Units that refuse a block: which address is to blame, and that the next plan avoids it."""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.address_search import Culprits, find_culprits
from edge_agent.blocks import Block, BlockLimits, PartRegister, Stretch, cover
from edge_agent.errors import ReadError
from edge_agent.learned import LearnedLimits
from edge_agent.profile import Profile
from enpilot.wire import Quality
from tests.edge_agent.profiles_for_tests import profile, register

WIDTHS = {1: "uint16", 2: "int32", 4: "float64"}


class Unit:
    """A unit that has some addresses and gives at most so many in one reply."""

    def __init__(self, addresses: AbstractSet[int], most: int = 125) -> None:
        self.addresses = addresses
        self.most = most
        self.asked: list[Stretch] = []

    def gives(self, stretch: Stretch) -> bool:
        wanted = set(range(stretch.first, stretch.last + 1))
        return wanted <= self.addresses and len(wanted) <= self.most

    async def ask(self, stretch: Stretch) -> None:
        self.asked.append(stretch)
        if not self.gives(stretch):
            raise ReadError(Quality.EXCEPTION_REPLY, "illegal data address", 2)


def plan(p: Profile, found: list[Culprits]) -> tuple[Block, ...]:
    longest = [c.max_registers for c in found if c.max_registers is not None]
    limits = BlockLimits(
        min([p.max_registers_per_request, *longest]),
        p.max_gap,
        tuple(g for c in found for g in c.gaps),
        tuple(v for c in found for v in c.values),
    )
    return cover([PartRegister(r) for r in p.register], limits)


def learn(p: Profile, unit: Unit) -> tuple[tuple[Block, ...], int]:
    """Read and plan anew until nothing more is learned."""
    found: list[Culprits] = []
    for scan in range(1, 20):
        news = [
            culprits
            for block in plan(p, found)
            if len(block.registers) > 1 and not unit.gives(whole(block))
            if (culprits := asyncio.run(find_culprits(block, unit.ask))) is not None
        ]
        if not news:
            return plan(p, found), scan
        found += news
    raise AssertionError("never done")


def whole(block: Block) -> Stretch:
    return Stretch(block.function, block.address, block.address + block.count - 1)


@st.composite
def profiles_and_units(draw: st.DrawFn) -> tuple[Profile, Unit]:
    registers, address, addresses = [], draw(st.integers(0, 20)), set[int]()
    for _ in range(draw(st.integers(1, 14))):
        width = draw(st.sampled_from([1, 2, 4]))
        registers.append(register(address, WIDTHS[width]))
        if draw(st.integers(0, 4)):  # most values are there
            addresses |= set(range(address, address + width))
        gap = draw(st.sampled_from([0, 0, 1, 3, 16]))
        if draw(st.booleans()):
            addresses |= set(range(address + width, address + width + gap))
        address += width + gap
    limit = draw(st.sampled_from([4, 16, 125]))
    return profile(*registers, limit=limit), Unit(addresses, draw(st.sampled_from([4, 10, 125])))


@given(profiles_and_units())
def test_what_the_unit_has_is_read_and_what_it_lacks_costs_no_neighbour(
    drawn: tuple[Profile, Unit],
) -> None:
    p, unit = drawn
    blocks, _ = learn(p, unit)
    there = [r for r in p.register if set(range(r.address, r.address + r.width)) <= unit.addresses]
    read = [r for b in blocks if unit.gives(whole(b)) for r in b.registers]
    # With no value there at all, addresses are not to blame and nothing is learned.
    assert sorted(r.address for r in read) == sorted(r.address for r in there)


def test_an_illegal_gap_is_found_with_few_requests() -> None:
    p = profile(register(0), register(1), register(5), register(8))
    unit = Unit({0, 1, 2, 5, 6, 7, 8})
    (block,) = plan(p, [])
    found = asyncio.run(find_culprits(block, unit.ask))
    assert found == Culprits(gaps=(Stretch("holding", 2, 4),))
    assert len(unit.asked) == 6
    assert [(b.address, b.count) for b in plan(p, [found])] == [(0, 2), (5, 4)]


def test_a_value_that_the_unit_lacks_is_read_alone() -> None:
    p = profile(register(0), register(1), register(2))
    found = asyncio.run(find_culprits(plan(p, [])[0], Unit({0, 2}).ask))
    assert found == Culprits(values=(Stretch("holding", 1, 1),))
    assert [(b.address, b.count) for b in plan(p, [found])] == [(0, 1), (1, 1), (2, 1)]


def test_a_value_is_never_asked_for_in_part() -> None:
    p = profile(register(0, "int32"), register(4, "float64"), register(9, "int32"))
    unit = Unit(set(range(20)) - {8})
    asyncio.run(find_culprits(plan(p, [])[0], unit.ask))
    for stretch in unit.asked:
        for first, last in ((0, 1), (4, 7), (9, 10)):
            assert (
                stretch.last < first
                or last < stretch.first
                or (stretch.first <= first and last <= stretch.last)
            )


def test_a_unit_with_short_replies_is_read_in_short_blocks() -> None:
    p = profile(*(register(i) for i in range(100)))
    blocks, scans = learn(p, Unit(set(range(100)), most=40))
    assert [b.count for b in blocks] == [40, 40, 20]
    assert scans == 2


@pytest.mark.parametrize("addresses", [set(range(9)), set()])
def test_a_passing_refusal_and_a_total_one_teach_nothing(addresses: set[int]) -> None:
    (block,) = plan(profile(register(0), register(8)), [])
    assert asyncio.run(find_culprits(block, Unit(addresses).ask)) is None


async def test_a_unit_that_falls_silent_during_the_search_teaches_nothing() -> None:
    async def silent(_: Stretch) -> None:
        raise ReadError(Quality.NO_RESPONSE, "silent")

    (block,) = plan(profile(register(0), register(8)), [])
    with pytest.raises(ReadError):
        await find_culprits(block, silent)


GAP, VALUE = Stretch("holding", 2, 4), Stretch("input", 7, 8)


def test_what_was_learned_survives_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "outbox.learned.json"
    memory = LearnedLimits(file)
    assert memory.add("meter-1", ["acrel-adl400"], Culprits((GAP,), (VALUE,), 40))
    assert not memory.add("meter-1", ["acrel-adl400"], Culprits((GAP,), (VALUE,), 60))
    again = LearnedLimits(file).of("meter-1", ["acrel-adl400"])
    assert (again.gaps, again.values, again.max_registers) == ((GAP,), (VALUE,), 40)
    # Another profile, perhaps another meter: what was found no longer holds.
    assert LearnedLimits(file).of("meter-1", ["eastron-sdm630"]).gaps == ()
    assert LearnedLimits(file).forget("meter-1", ["acrel-adl400"], VALUE)
    assert LearnedLimits(file).of("meter-1", ["acrel-adl400"]).values == ()


@pytest.mark.parametrize("body", [b"", b"{", b'{"v":9,"units":{}}', b"\xff\xfe"])
def test_a_damaged_memory_is_begun_anew(tmp_path: Path, body: bytes) -> None:
    file = tmp_path / "outbox.learned.json"
    file.write_bytes(body)
    memory = LearnedLimits(file)
    assert memory.of("meter-1", ["x"]).gaps == ()
    assert memory.add("meter-1", ["x"], Culprits(gaps=(GAP,)))
    assert LearnedLimits(file).of("meter-1", ["x"]).gaps == (GAP,)


def test_a_memory_that_cannot_be_written_still_holds(tmp_path: Path) -> None:
    memory = LearnedLimits(tmp_path / "nowhere" / "outbox.learned.json")
    assert memory.add("meter-1", ["x"], Culprits(gaps=(GAP,)))
    assert memory.of("meter-1", ["x"]).gaps == (GAP,)
