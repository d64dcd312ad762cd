"""Meter profiles: the shipped ones say what the register lists say, wrong ones are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.blocks import plan_blocks
from edge_agent.errors import ProfileError
from edge_agent.profile import load_profile, profile_codes

# Acrel ADL400, function 3, high word first, secondary side: typed in from the maker's list as two
# public projects quote it.
ACREL = {
    "active_energy.total": (0x0000, "uint32", "0.01", "kWh"),
    "voltage.L1": (0x0061, "uint16", "0.1", "V"),
    "voltage.L2": (0x0062, "uint16", "0.1", "V"),
    "voltage.L3": (0x0063, "uint16", "0.1", "V"),
    "current.L1": (0x0064, "uint16", "0.01", "A"),
    "current.L2": (0x0065, "uint16", "0.01", "A"),
    "current.L3": (0x0066, "uint16", "0.01", "A"),
    "frequency.total": (0x0077, "uint16", "0.01", "Hz"),
    "active_power.total": (0x016A, "int32", "0.001", "kW"),
    "power_factor.total": (0x017F, "int16", "0.001", "1"),
    "active_power.L1": (0x0164, "int32", "0.001", "kW"),
    "active_power.L2": (0x0166, "int32", "0.001", "kW"),
    "active_power.L3": (0x0168, "int32", "0.001", "kW"),
    "reactive_power.total": (0x0172, "int32", "0.001", "kvar"),
    "apparent_power.total": (0x017A, "int32", "0.001", "kVA"),
    "transformer_ratio.pt": (0x008D, "uint16", "1", "1"),
    "transformer_ratio.ct": (0x008E, "uint16", "1", "1"),
}
GOOD = """\
code = "own"
maker = "maker"
models = ["model"]
source = "a test"
verified = true

[[register]]
address = 0
type = "uint32"
quantity = "active_energy"
channel = "total"
unit = "kWh"
counter = "lifetime"

[[register]]
address = 2
type = "uint16"
quantity = "voltage"
channel = "L1"
unit = "V"
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "own.toml"
    file.write_text(text, "utf-8")
    return file


def test_the_acrel_meter_is_described_as_its_register_list_says() -> None:
    profile = load_profile("acrel-adl400")
    assert {r.name: (r.address, r.type, r.scale, r.unit) for r in profile.register} == ACREL
    assert {r.function for r in profile.register} == {"holding"}
    assert {r.word_order for r in profile.register} == {"big"}
    # Before CT and PT, but for what no transformer changes.
    assert {r.name for r in profile.register if r.side == "primary"} == {
        "frequency.total",
        "power_factor.total",
        "transformer_ratio.pt",
        "transformer_ratio.ct",
    }
    assert not profile.verified  # nobody has held it against a device


def test_the_generic_profiles_are_a_totaliser_and_a_piece_counter() -> None:
    steam = {r.name: r for r in load_profile("generic-steam-totaliser").register}
    assert (steam["mass.total"].function, steam["mass.total"].counter) == ("input", "lifetime")
    assert steam["mass.total"].modulus == "4294967296"  # 2**32
    assert steam["mass_flow.total"].type == "float32"
    pieces = {r.name: r for r in load_profile("generic-plc-counter").register}
    assert pieces["pieces.good"].counter == "periodic"
    assert pieces["pieces.good"].word_order == "little"


@pytest.mark.parametrize("code", profile_codes())
def test_each_shipped_profile_loads_and_says_where_it_is_from(code: str) -> None:
    profile = load_profile(code)
    assert profile.code == code
    assert profile.source
    assert plan_blocks(profile, 0)


@pytest.mark.parametrize("code", profile_codes())
def test_what_a_source_does_not_say_is_said(code: str) -> None:
    """Nobody has held a map against a device yet; a counter without a modulus says why."""
    profile = load_profile(code)
    own = profile.source.startswith("layout of our own")
    assert profile.verified == own
    assert own or "http" in profile.source or profile.maker == "Acrel"
    for r in profile.values:
        said = f"{profile.note or ''} {r.note or ''}"
        assert r.counter is None or r.modulus or "modulus" in said, r.name
        if r.quantity == "frequency":
            assert (r.rated_min, r.rated_max) == (45, 65)
        if r.quantity == "power_factor":
            one = 100 if r.unit == "%" else 1
            assert (r.rated_min, r.rated_max) == (-one, one), r.name


def test_a_good_profile_of_one_s_own_loads(tmp_path: Path) -> None:
    assert len(load_profile(str(write(tmp_path, GOOD))).register) == 2
    write(tmp_path, GOOD)
    assert len(load_profile("own.toml", tmp_path).register) == 2


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("address = 2", "address = 1",
         "voltage.L1 (holding 0x0001) overlaps active_energy.total (0x0000, 2 registers) - at `$."),
        ("address = 2", "adress = 2", "unknown field `adress` - at `$.register[1]`"),
        ("address = 2", "address = 65536", "<= 65535 - at `$.register[1].address`"),
        ("address = 0", "address = 65535", "goes beyond the last address 0xffff - at"),
        ('type = "uint16"', 'type = "bcd"', "sm16, sm32 - at `$.register[1].type`"),
        ('unit = "V"', 'unit = "kW"',
         "no unit 'kW' for voltage; use one of: V, kV - at `$.register[1]`"),
        ('quantity = "voltage"', 'quantity = "tension"', "no quantity 'tension'"),
        ('counter = "lifetime"', "", "active_energy.total needs `counter` - at `$.register[0]`"),
        ('unit = "V"', 'unit = "V"\ncounter = "lifetime"', "voltage.L1 has no `counter`"),
        ('unit = "V"', 'unit = "V"\nmodulus = "65536"',
         "voltage.L1 has a `modulus` but counts nothing - at `$.register[1]`"),
        ('unit = "V"', 'unit = "V"\nscale = "0.00"', "`$.register[1].scale`"),
        ('unit = "V"', 'unit = "V"\nscale = "-1"', "`$.register[1].scale`"),
        ('unit = "V"', 'unit = "V"\nscale = "1e-3"', "`$.register[1].scale`"),
        ('quantity = "voltage"\nchannel = "L1"\nunit = "V"',
         'quantity = "active_energy"\nchannel = "total"\nunit = "kWh"\ncounter = "lifetime"',
         "active_energy.total is described twice"),
        ("verified = true", "verified = true\nmax_registers_per_request = 1",
         "active_energy.total (0x0000, 2 registers) does not fit one request of 1"),
        ("verified = true", "verified = true\nmax_registers_per_request = 126",
         "<= 125 - at `$.max_registers_per_request`"),
        ("verified = true", "verified = maybe", "Invalid value"),
    ],
)  # fmt: skip
def test_a_wrong_profile_names_file_and_register(
    tmp_path: Path, before: str, after: str, sentence: str
) -> None:
    assert before in GOOD
    file = write(tmp_path, GOOD.replace(before, after))
    with pytest.raises(ProfileError) as caught:
        load_profile(str(file))
    assert str(caught.value).startswith(f"{file}: ")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_profile_that_is_not_there_lists_what_is(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="no profile 'adl400'; shipped are abb-b23, acrel-adl"):
        load_profile("adl400")
    with pytest.raises(ProfileError, match=r"x\.toml: there is no such file"):
        load_profile("x.toml", tmp_path)
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(ProfileError, match="cannot be read: Is a directory"):
        load_profile("folder.toml", tmp_path)
