"""The read plan: every register once, in the fewest requests that the limits allow."""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.blocks import plan_blocks
from edge_agent.errors import WiringError
from edge_agent.plan import birth_bytes, birth_parts, plan_for_agent
from edge_agent.profile import Profile, ProfileRegister, load_profile
from enpilot.demo.history import DemoFiles
from enpilot.plant import Plant, load_plant
from enpilot.wire import MAX_WIRE_BYTES, Birth, GroupDeclaration, SeriesDeclaration, decode_birth
from tests.edge_agent.agent_under_test import lay_out
from tests.edge_agent.profiles_for_tests import profile, register
from tests.services.clock import a_day_in

WIDTHS = {1: "uint16", 2: "int32", 4: "float64"}
GOOD = Path(__file__).parents[1] / "enpilot" / "plant_files" / "good.toml"


@st.composite
def profiles(draw: st.DrawFn, most: int = 40) -> Profile:
    """Registers without overlap, of both functions, close together and far apart."""
    registers: list[ProfileRegister] = []
    for function in ("holding", "input"):
        address = draw(st.integers(0, 300))
        for _ in range(draw(st.integers(0, most))):
            width = draw(st.sampled_from([1, 2, 4]))
            registers.append(register(address, WIDTHS[width], function=function))
            address += width + draw(st.sampled_from([0, 0, 0, 1, 3, 16, 17, 40, 130]))
    if not registers:
        registers.append(register(7))
    return profile(
        *draw(st.permutations(registers)),
        max_gap=draw(st.sampled_from([0, 1, 16, 124])),
        limit=draw(st.sampled_from([4, 5, 16, 60, 125])),
    )


@given(profiles(), st.integers(0, 50))
def test_a_plan_covers_each_register_once_within_the_limits(p: Profile, first: int) -> None:
    blocks = plan_blocks(p, first)
    assert [b.group for b in blocks] == list(range(first, first + len(blocks)))
    planned = [r for b in blocks for r in b.registers]
    assert sorted(map(id, planned)) == sorted(map(id, p.register))
    for block in blocks:
        assert 1 <= block.count <= min(p.max_registers_per_request, 125)
        assert {r.function for r in block.registers} == {block.function}
        assert block.address == block.registers[0].address
        last = block.registers[-1]
        assert block.address + block.count == last.address + last.width
        for a, b in itertools.pairwise(block.registers):
            assert 0 <= b.address - (a.address + a.width) <= p.max_gap


@given(profiles(most=9))
def test_no_plan_has_fewer_requests(p: Profile) -> None:
    assert len(plan_blocks(p, 0)) == sum(
        fewest([r for r in p.register if r.function == function], p)
        for function in ("holding", "input")
    )


def fewest(registers: list[ProfileRegister], p: Profile) -> int:
    """Try every way to cut the registers, in the order of their addresses, into requests."""
    ordered = sorted(registers, key=lambda r: r.address)
    if not ordered:
        return 0

    def allowed(run: list[ProfileRegister]) -> bool:
        length = run[-1].address + run[-1].width - run[0].address
        gaps = [b.address - a.address - a.width for a, b in itertools.pairwise(run)]
        return length <= p.max_registers_per_request and all(g <= p.max_gap for g in gaps)

    for cuts in range(len(ordered)):
        for places in itertools.combinations(range(1, len(ordered)), cuts):
            edges = [0, *places, len(ordered)]
            if all(allowed(ordered[a:b]) for a, b in itertools.pairwise(edges)):
                return cuts + 1
    raise AssertionError("each register alone is always allowed")


def test_a_gap_that_the_device_forbids_is_never_read() -> None:
    registers = [register(0), register(1), register(3)]
    blocks = plan_blocks(profile(*registers, max_gap=0), 0)
    assert [(b.address, b.count) for b in blocks] == [(0, 2), (3, 1)]


def test_the_acrel_meter_takes_three_requests() -> None:
    blocks = plan_blocks(load_profile("acrel-adl400"), 5)
    assert [(b.group, b.function, b.address, b.count) for b in blocks] == [
        (5, "holding", 0x0000, 2),
        (6, "holding", 0x0061, 0x008E - 0x0061 + 1),
        (7, "holding", 0x0164, 0x017F - 0x0164 + 1),
    ]


def steel_plant(folder: Path) -> tuple[Plant, Path]:
    file = DemoFiles.lay_out(folder, a_day_in(2026), 15_020).path("steel.toml")
    return load_plant(file), file


def test_a_birth_says_what_each_column_means(tmp_path: Path) -> None:
    plant, file = steel_plant(tmp_path)
    plan = plan_for_agent(plant, "steel-gw1", file)
    assert plan.birth.agent == "steel-gw1"
    assert plan.birth.simulated
    # The main meter, steam and pieces; of each of seven sub-meters two quantities.
    assert [g.group for g in plan.birth.groups] == list(range(19))
    assert [g.period_s for g in plan.birth.groups] == [1, 1, 1, 5, 5, *[10] * 14]
    energy = plan.birth.groups[0].series[0]
    assert energy == SeriesDeclaration(
        point="main", quantity="active_energy", channel="total", unit="kWh", raw_type="uint32",
        register_scale="0.01", side="secondary", counter="lifetime", modulus="100000000",
        device="meter-main", register="holding:0x0000",
    )  # fmt: skip
    # The columns of a message follow the blocks that are read.
    for _, units in plan.lines:
        for block in (b for u in units for b in u.blocks):
            declared = plan.birth.groups[block.group].series
            assert [f"{s.quantity}.{s.channel}" for s in declared] == [
                r.name for r in block.registers
            ]


def test_the_same_plan_has_the_same_birth(tmp_path: Path) -> None:
    plant, file = steel_plant(tmp_path)
    first, second = (birth_bytes(plan_for_agent(plant, "steel-gw1", file).birth) for _ in "ab")
    assert first == second
    assert first.startswith(b'{"v":1,"agent":"steel-gw1"')


def long_birth(series: int) -> Birth:
    declared = [
        SeriesDeclaration(
            point=f"feeder-{i}-{i * 2_654_435_761 % 2**32:x}", quantity="active_energy",
            channel="total", unit="kWh", raw_type="uint32", register_scale="0.01",
            device=f"meter-{i}", register="holding:0x0000",
        )
        for i in range(series)
    ]  # fmt: skip
    groups = [GroupDeclaration(group=i, period_s=1, series=[s]) for i, s in enumerate(declared)]
    return Birth(v=1, agent="gw-1", software="test", groups=groups)


def test_a_birth_of_a_large_gateway_fits_a_message() -> None:
    birth = long_birth(1000)
    body = birth_bytes(birth)
    assert len(body) <= MAX_WIRE_BYTES
    assert decode_birth(body) == birth


def test_a_birth_that_is_too_long_comes_in_parts() -> None:
    birth = long_birth(9000)
    with pytest.raises(WiringError, match=r"too long for one message: .* inflated"):
        birth_bytes(birth)
    parts = birth_parts(birth)
    assert [g for part in parts for g in part.groups] == birth.groups
    assert {(part.agent, part.software) for part in parts} == {(birth.agent, birth.software)}
    for part in parts:
        assert decode_birth(birth_bytes(part)) == part  # as a receiver takes it
    assert birth_parts(long_birth(10)) == [long_birth(10)]


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ('id = "gw-1"', 'id = "gw-2"', "no agent 'gw-1' (there is: gw-2) - at `$.agent`"),
        ('device = "meter-1"', 'device = "meter-1"\nto = 2025-02-01',
         "device 'meter-1' is polled but installed at no point"),
        ('profile = "acrel-adl400"', 'profile = "acrel"',
         "no profile 'acrel'; shipped are abb-b23"),
        ('profile = "acrel-adl400"', 'profile = "own.toml"', "own.toml: there is no such file"),
        ("line = \"hall\"\nunit = 1\nprofile = \"acrel-adl400\"\n", "",
         "agent 'gw-1' has no device to read - at `$.device`"),
    ],
)  # fmt: skip
def test_wiring_that_cannot_work_names_file_and_place(
    tmp_path: Path, before: str, after: str, sentence: str
) -> None:
    file = tmp_path / "plant.toml"
    text = wired_once(GOOD.read_text("utf-8"))
    assert before in text
    file.write_text(
        text.replace(before, after).replace('agent = "gw-1"', 'agent = "gw-2"')
        if "gw-2" in after
        else text.replace(before, after),
        "utf-8",
    )
    with pytest.raises(WiringError) as caught:
        plan_for_agent(load_plant(file), "gw-1", file, dt.datetime(2026, 6, 1, tzinfo=dt.UTC))
    assert str(caught.value).startswith(f"{file}: ")
    assert sentence in str(caught.value)
    assert " - at `$." in str(caught.value)


def wired_once(text: str) -> str:
    """Take the second meter, which nobody installed, off the line."""
    return text.replace('line = "hall"\nunit = 2\nprofile = "acrel-adl400"\n', "")


def test_a_profile_of_one_s_own_lies_beside_the_plant_file(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        'code = "own"\nmaker = "m"\nmodels = []\nsource = "s"\nverified = true\n'
        '[[register]]\naddress = 9\ntype = "float32"\nquantity = "active_power"\n'
        'channel = "total"\nunit = "kW"\n'
    )
    file = tmp_path / "plant.toml"
    file.write_text(wired_once(GOOD.read_text("utf-8")).replace('"acrel-adl400"', '"own.toml"'))
    ((_, (unit,)),) = plan_for_agent(load_plant(file), "gw-1", file).lines
    assert [(b.address, b.count) for b in unit.blocks] == [(9, 2)]


def test_a_planned_removal_or_move_counts_from_its_date(tmp_path: Path) -> None:
    file = tmp_path / "plant.toml"
    file.write_text(
        wired_once(GOOD.read_text("utf-8")).replace(
            'device = "meter-1"\n', 'device = "meter-1"\nto = 2026-03-01\n'
        )
        + '\n[[installation]]\npoint = "sub"\ndevice = "meter-1"\nfrom = 2026-03-01\n'
    )
    plant = load_plant(file)
    for day, point in ((28, "main"), (1, "sub")):
        now = dt.datetime(2026, 2 if day == 28 else 3, day, 12, tzinfo=dt.UTC)
        ((_, (unit,)),) = plan_for_agent(plant, "gw-1", file, now).lines
        assert unit.parts[0].point == point


def test_circuits_of_one_meter_are_read_together(tmp_path: Path) -> None:
    plant = lay_out(tmp_path, 502, [0, 1]).plant
    circuits = "".join(
        f'[[device]]\ncode = "circuit{n}"\npart_of = "d"\nprofile = "p.toml"\nperiod_s = 1\n'
        f"address_offset = {2 * n}\n"
        f'[[point]]\ncode = "q{n}"\nname = {{ zh = "路", en = "circuit" }}\n'
        f'medium = "electricity"\nrole = "check"\n'
        f'[[installation]]\npoint = "q{n}"\ndevice = "circuit{n}"\n'
        for n in range(1, 13)
    )
    with plant.open("a", encoding="utf-8") as file:
        file.write(circuits)
    plan = plan_for_agent(load_plant(plant), "gw-1", plant)
    ((_, (unit,)),) = plan.lines
    assert plan.requests_per_scan == 1  # thirteen circuits of two registers each
    assert (unit.blocks[0].address, unit.blocks[0].count) == (0, 26)
    (group,) = plan.birth.groups
    assert {s.point for s in group.series} == {"p", *(f"q{n}" for n in range(1, 13))}
