"""The page on profiles names every key and family, and its example can be used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from edge_agent.blocks import plan_blocks
from edge_agent.data_items import DataItem
from edge_agent.decode import WIDTH, RegisterType
from edge_agent.profile import Profile, ProfileRegister, load_profile, profile_codes

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "profiles.md"


@pytest.fixture(scope="module")
def sections() -> dict[str, str]:
    text = PAGE.read_text("utf-8")
    return dict(re.findall(r"^##+ (.*?)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL))


def rows(section: str) -> list[list[str]]:
    lines = [x for x in section.splitlines() if x.startswith("| `")]
    return [[c.strip() for c in x.strip("|").split("|")] for x in lines]


@pytest.mark.parametrize(
    ("title", "structure", "more"),
    [
        ("The file", Profile, {"defaults"}),
        ("A register", ProfileRegister, set()),
        ("A data item", DataItem, set()),
    ],
)
def test_the_page_has_the_schema_s_keys_and_defaults(
    sections: dict[str, str], title: str, structure: type[msgspec.Struct], more: set[str]
) -> None:
    described = {row[0].strip("`"): row for row in rows(sections[title])}
    fields = {f.encode_name: f for f in msgspec.structs.fields(structure)}
    assert described.keys() == fields.keys() | more
    for key, field in fields.items():
        _, kind, meaning, _ = described[key]
        assert meaning or key == "maker" or title == "A data item"  # there as of a register
        default = field.default
        if field.required or default is msgspec.NODEFAULT:
            continue
        assert ("none" if default is None else str(default)) in kind, key


def test_the_page_has_every_type_with_its_registers(sections: dict[str, str]) -> None:
    widths: dict[str, set[int]] = {}
    for kinds, registers, *_ in rows(sections["Types"]):
        first, *last = map(int, re.findall(r"\d", registers))
        span = set(range(first, last[0] + 1)) if "to" in registers else {first, *last}
        widths |= dict.fromkeys(re.findall(r"`(\w+)`", kinds), span)
    assert widths.keys() == set(get_args(RegisterType))
    assert all(WIDTH[kind] in span for kind, span in widths.items())


def test_the_page_has_every_family_with_its_requests(sections: dict[str, str]) -> None:
    shown = {row[0].strip("`"): int(row[2]) for row in rows(sections["Shipped families"])}
    assert shown == {c: len(plan_blocks(load_profile(c))) for c in profile_codes()}


def test_the_channels_of_shipped_profiles_are_on_the_page(sections: dict[str, str]) -> None:
    text = sections["Channels"]
    known = set(re.findall(r"`([\w-]+)`", text))
    energies = {
        r.channel
        for code in profile_codes()
        for r in load_profile(code).values
        if r.quantity in ("active_energy", "voltage", "current", "active_power")
    }
    without_phase = {re.sub(r"_L\d$", "", c) for c in energies}
    without_tariff = {re.sub(r"^total_", "import_", c) for c in without_phase}
    assert without_tariff <= known


def test_the_example_can_be_used(sections: dict[str, str], tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", sections["Writing one's own"], re.DOTALL)
    file = tmp_path / "my-meter.toml"
    file.write_text(example, "utf-8")
    profile = load_profile(str(file))
    assert [r.name for r in profile.register] == [
        "voltage.L1", "active_power.total", "active_energy.import",
    ]  # fmt: skip
    assert {(r.function, r.byte_letters) for r in profile.register} == {("input", "CDAB")}
