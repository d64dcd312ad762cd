"""The read plan covers every register once, within the device's limits, in the fewest requests."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.decode import WIDTH
from edge_agent.errors import WiringError
from edge_agent.plan import plan_blocks, plan_for_agent
from edge_agent.profile import Profile, ProfileRegister, load_profile, profile_codes
from enpilot.plant import load_plant
from tests.ingest.gateway import PLANT


@st.composite
def profiles(draw: st.DrawFn, most: int = 12) -> Profile:
    registers = []
    for function in ("holding", "input"):
        address = draw(st.integers(0, 20))
        for i in range(draw(st.integers(0, most // 2))):
            raw_type = draw(st.sampled_from(sorted(WIDTH)))
            registers.append(
                ProfileRegister(
                    address=address, function=function, type=raw_type, quantity="voltage",
                    channel=f"{function}{i}", unit="V",
                )
            )  # fmt: skip
            address += WIDTH[raw_type] + draw(st.integers(0, 30))
    if not registers:
        registers.append(
            ProfileRegister(address=0, type="uint16", quantity="voltage", channel="x", unit="V")
        )
    return Profile(
        code="p", maker="m", models=[], source="s", verified=False,
        max_registers_per_request=draw(st.integers(4, 125)), max_gap=draw(st.integers(0, 40)),
        register=draw(st.permutations(registers)),
    )  # fmt: skip


@given(profiles())
def test_every_register_is_read_once_and_within_limits(profile: Profile) -> None:
    blocks = plan_blocks(profile, 5)
    assert [b.group for b in blocks] == list(range(5, 5 + len(blocks)))
    read = [r.channel for b in blocks for r in b.registers]
    assert sorted(read) == sorted(r.channel for r in profile.register)
    for block in blocks:
        assert block.count <= profile.max_registers_per_request
        for register in block.registers:
            assert register.function == block.function
            assert block.address <= register.address
            assert register.address + register.width <= block.address + block.count
        for a, b in itertools.pairwise(block.registers):
            assert b.address - (a.address + a.width) <= profile.max_gap


@given(profiles(most=10))
def test_no_partition_needs_fewer_requests(profile: Profile) -> None:
    fewest = 0
    for function in ("holding", "input"):
        ordered = sorted(
            (r for r in profile.register if r.function == function), key=lambda r: r.address
        )
        fewest += min(
            (len(cuts) + 1 for cuts in all_cuts(len(ordered)) if allowed(ordered, cuts, profile)),
            default=0,
        )
    assert len(plan_blocks(profile, 0)) == fewest


def all_cuts(n: int) -> list[tuple[int, ...]]:
    if n == 0:
        return []
    places = range(1, n)
    return [c for k in range(n) for c in itertools.combinations(places, k)]


def allowed(ordered: list[ProfileRegister], cuts: tuple[int, ...], profile: Profile) -> bool:
    for low, high in itertools.pairwise((0, *cuts, len(ordered))):
        run = ordered[low:high]
        length = run[-1].address + run[-1].width - run[0].address
        gaps = [b.address - a.address - a.width for a, b in itertools.pairwise(run)]
        if length > profile.max_registers_per_request or any(g > profile.max_gap for g in gaps):
            return False
    return True


@pytest.mark.parametrize("code", profile_codes())
def test_shipped_profiles_can_be_planned(code: str) -> None:
    profile = load_profile(code)
    assert profile.source
    assert plan_blocks(profile, 0)


def test_the_adl400_is_read_from_its_registers() -> None:
    # Acrel ADL400: total active energy at 0000H, voltages from 0061H, power factor at 017FH (K:
    # quoted by two public projects, not verified on a device).
    profile = load_profile("acrel-adl400")
    assert profile.verified is False
    at = {r.name: (r.address, r.type, r.scale) for r in profile.register}
    assert at["active_energy.total"] == (0x0000, "uint32", "0.01")
    assert at["voltage.L1"] == (0x0061, "uint16", "0.1")
    assert at["current.L1"] == (0x0064, "uint16", "0.01")


def test_a_birth_says_what_every_column_means(tmp_path: Path) -> None:
    file = tmp_path / "plant.toml"
    file.write_text(PLANT, "utf-8")
    plan = plan_for_agent(load_plant(file), "gw1", file)
    declared = [s for g in plan.birth.groups for s in g.series]
    assert {s.point for s in declared} == {"main"}
    energy = next(s for s in declared if s.quantity == "active_energy")
    assert (energy.unit, energy.register_scale, energy.side) == ("kWh", "0.01", "secondary")
    assert energy.counter == "lifetime"


def test_an_agent_that_does_not_exist_is_named(tmp_path: Path) -> None:
    file = tmp_path / "plant.toml"
    file.write_text(PLANT, "utf-8")
    plant = load_plant(file)
    with pytest.raises(WiringError, match=r"no agent 'gw9' \(there is: gw1, gw2\)"):
        plan_for_agent(plant, "gw9", file)
    with pytest.raises(WiringError, match="gw2"):
        plan_for_agent(plant, "gw2", file)
