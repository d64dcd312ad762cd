"""The reference page names every field, check and finding of a commissioning record."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge_agent.commissioning import record
from edge_agent.commissioning.findings import FINDING_CODES, Finding

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "commissioning-record.md").read_text(
    "utf-8"
)


@pytest.mark.parametrize(
    "kind",
    [
        record.Record, record.Check, record.DisplayReading, record.EvidenceFile,
        record.RecordedDevice, record.RecordedWiring, Finding,
    ],
)  # fmt: skip
def test_each_field_is_named(kind: type[msgspec.Struct]) -> None:
    for field in msgspec.structs.fields(kind):
        assert f"`{field.encode_name}`" in PAGE, f"{kind.__name__}.{field.name}"


def test_each_check_and_finding_has_its_line() -> None:
    for code in (*record.CHECK_CODES, *FINDING_CODES):
        assert f"| `{code}` |" in PAGE
