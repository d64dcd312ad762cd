"""The page of mapping files names every key, word and finding, and its examples are read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, get_args, get_origin

import msgspec
import pytest

from enpilot.fuel_stock import LEDGER_KINDS
from ingest.imports import mapping
from ingest.imports.declared import DECLARED_FIELDS
from ingest.imports.energy import ENERGY_FIELDS
from ingest.imports.findings import FINDINGS
from ingest.imports.manual_table import MANUAL_FIELDS
from ingest.imports.mapping import read_mapping
from ingest.imports.output import OUTPUT_FIELDS
from ingest.imports.value_added import VALUE_ADDED_FIELDS
from ingest.imports.variables import VARIABLE_FIELDS

PAGE = (Path(__file__).parents[2] / "docs/reference/import-mapping.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^### (.*?)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
KINDS = {
    "readings": mapping.ReadingsMapping,
    "output": mapping.OutputMapping,
    "energy": mapping.EnergyMapping,
    "variables": mapping.VariablesMapping,
    "manual": mapping.ManualMapping,
}
STRUCTURES: dict[str, type[msgspec.Struct]] = {
    "every mapping": mapping.ImportMapping,
    "`[file]`": mapping.FileForm,
    "`[time]` of readings and manual": mapping.TimeForm,
    "`[time]` of output and energy": mapping.EntryTime,
    "readings": mapping.ReadingsMapping,
    "`[long]`": mapping.LongForm,
    "`[[series]]` of readings": mapping.ReadingColumn,
    "output and energy": mapping.EntryMapping,
    "energy": mapping.EnergyMapping,
    "variables": mapping.VariablesMapping,
    "value-added": mapping.ValueAddedMapping,
    "declared": mapping.DeclaredMapping,
    "`[units]`": mapping.UnitWord,
    "manual": mapping.ManualMapping,
    "`[[series]]` of manual": mapping.ManualSeries,
}


def own_fields(kind: type[msgspec.Struct]) -> list[msgspec.structs.FieldInfo]:
    of_bases = {
        f.name
        for base in kind.__mro__[1:]
        if issubclass(base, msgspec.Struct) and base is not msgspec.Struct
        for f in msgspec.structs.fields(base)
    }
    return [f for f in msgspec.structs.fields(kind) if f.name not in of_bases]


def choices(kind: object) -> list[str]:
    if get_origin(kind) is Literal:
        return [str(c) for c in get_args(kind)]
    return [c for part in get_args(kind) for c in choices(part)]


def test_every_section_has_its_structure() -> None:
    assert set(SECTIONS) == set(STRUCTURES)


@pytest.mark.parametrize("section", STRUCTURES)
def test_every_key_and_word_is_named(section: str) -> None:
    text = SECTIONS[section]
    for field in own_fields(STRUCTURES[section]):
        line = re.search(rf"^\|[^|]*`{field.encode_name}`[^|]*\|.*$", text, re.MULTILINE)
        assert line is not None, field.encode_name
        if field.encode_name in ("separator", "decimal", "thousands", "raw_type"):
            continue  # shown as signs; the types of registers are described elsewhere
        if "as above" in line.group():
            continue
        for word in choices(field.type):
            assert word in line.group(), (field.encode_name, word)


@pytest.mark.parametrize("field", [*OUTPUT_FIELDS, *ENERGY_FIELDS], ids=lambda f: f.name)
def test_every_field_of_an_entry_is_named(field: object) -> None:
    assert f"`{field.name}`" in SECTIONS["output and energy"]  # type: ignore[attr-defined]  # the fields of msgspec structs


def test_every_field_of_a_variable_is_named() -> None:
    assert all(f"`{field.name}`" in SECTIONS["variables"] for field in VARIABLE_FIELDS)


def test_every_field_of_value_added_is_named() -> None:
    assert all(f"`{field.name}`" in SECTIONS["value-added"] for field in VALUE_ADDED_FIELDS)


def test_every_field_of_a_declared_total_is_named() -> None:
    assert all(f"`{field.name}`" in SECTIONS["declared"] for field in DECLARED_FIELDS)


def test_every_kind_and_manual_field_is_named() -> None:
    assert all(kind in SECTIONS["output and energy"] for kind in LEDGER_KINDS)
    assert all(f"`{name}`" in SECTIONS["manual"] for name in MANUAL_FIELDS)


def test_every_finding_has_its_line() -> None:
    lines = re.findall(r"^\| `([a-z_]+)` \| (note|warning|fault) \| (.*) \|$", PAGE, re.MULTILINE)
    assert [(code, (grade, text)) for code, grade, text in lines] == list(FINDINGS.items())


def test_the_examples_are_read(tmp_path: Path) -> None:
    examples = re.findall(r"^```toml ([a-z]+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert {kind for kind, _ in examples} == set(KINDS)
    for number, (kind, text) in enumerate(examples):
        file = tmp_path / f"{number}.toml"
        file.write_text(text, "utf-8")
        assert isinstance(read_mapping(file, KINDS[kind]), KINDS[kind])
