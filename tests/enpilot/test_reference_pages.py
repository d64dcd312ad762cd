"""The reference pages name every message, table, key and code, and show what the code makes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args, get_type_hints

import msgspec
import pytest

from enpilot.plant import model
from enpilot.plant.alerts import MEASURES, PRESETS, RuleKind, RuleWatch
from enpilot.plant.base import Dated
from enpilot.wire import Quality, QualityFlag, Refusal, decode_data, messages, sha256_hex
from tests.enpilot.wire_examples import BATCH, BIRTH, DATA, EXAMPLES, shown

PAGES = Path(__file__).parents[2] / "docs" / "reference"


@pytest.fixture
def wire() -> str:
    return (PAGES / "wire.md").read_text("utf-8")


@pytest.fixture
def plant_file() -> str:
    return (PAGES / "plant-file.md").read_text("utf-8")


def structures(module: object) -> list[type[msgspec.Struct]]:
    return [
        kind
        for name in module.__all__  # type: ignore[attr-defined]  # a module, as a plain object
        if isinstance(kind := getattr(module, name), type) and issubclass(kind, msgspec.Struct)
    ]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_are_what_the_code_makes(wire: str, name: str) -> None:
    assert f"```json\n{shown(EXAMPLES[name])}\n```" in wire


def test_the_examples_fit_each_other() -> None:
    assert sha256_hex(msgspec.json.encode(BIRTH)) == BATCH.birth
    assert bytes(decode_data(msgspec.json.encode(DATA)).batch) == msgspec.json.encode(BATCH)


@pytest.mark.parametrize("kind", structures(messages), ids=lambda k: k.__name__)
def test_each_field_of_the_wire_has_its_line(wire: str, kind: type[msgspec.Struct]) -> None:
    for field in msgspec.structs.fields(kind):
        assert re.search(rf"^\| `[a-z\[\].]*\b{field.encode_name}` \|", wire, re.MULTILINE), (
            f"{kind.__name__}.{field.name}"
        )


def test_each_code_of_the_wire_has_its_line(wire: str) -> None:
    for quality in Quality:
        assert f"| {quality.value} | `{quality.name}` |" in wire
    for flag in QualityFlag:
        assert f"| 0x{flag.value:04x} | `{flag.name}` |" in wire
    for refusal in Refusal:
        assert f"| `{refusal.value}` |" in wire


def test_each_table_and_key_of_the_plant_file_is_named(plant_file: str) -> None:
    tables = {
        (f"[[{f.name}]]" if f.name != "site" else "[site]"): f
        for f in msgspec.structs.fields(model.Plant)
        if f.name != "schema"
    }
    sections = dict(
        re.findall(r"^### `(.*?)`\n(.*?)(?=^### |\Z)", plant_file, re.MULTILINE | re.DOTALL)
    )
    assert sections.keys() == tables.keys()
    forms = get_type_hints(model.Plant)
    for table, text in sections.items():
        form = forms[tables[table].name]
        kind = (get_args(form) or (form,))[0]
        assert ("Dated" in text) == issubclass(kind, Dated), table
        for field in msgspec.structs.fields(kind):
            if field.encode_name not in ("from", "to"):
                assert f"`{field.encode_name}`" in text, f"{table} {field.encode_name}"


def test_each_kind_of_alert_and_each_preset_is_named() -> None:
    page = (PAGES / "alerts.md").read_text("utf-8")
    kinds = dict(re.findall(r"^\| `([a-z_]+)` \| (.*\|.*\|.*) \|$", page, re.MULTILINE))
    assert kinds.keys() == set(get_args(RuleKind))
    for kind, measures in MEASURES.items():
        assert all(f"`{measure}`" in kinds[kind] for measure in measures), kind
    for preset in PRESETS:
        assert f"`{preset}`" in page
    for field in msgspec.structs.fields(RuleWatch):
        assert f"`{field.name}`" in page or field.name == "measure"
