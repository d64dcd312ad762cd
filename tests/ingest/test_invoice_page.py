"""The invoice page names every key, and its example can be imported."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from enpilot.database import connect
from ingest.imports import invoice
from ingest.imports.invoice import import_invoice
from tests.analytics.cost_works import COST_WORKS
from tests.imported import apply_plant

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "invoice.md").read_text("utf-8")


@pytest.mark.parametrize("kind", [invoice._Invoice, invoice._Line], ids=lambda k: k.__name__)
def test_each_key_has_its_line(kind: type[msgspec.Struct]) -> None:
    for field in msgspec.structs.fields(kind):
        assert re.search(rf"^\| .*`{field.encode_name}`.* \| .* \| .*\|$", PAGE, re.MULTILINE)


def test_the_example_can_be_imported(tmp_path: Path, postgres_url: str) -> None:
    apply_plant(postgres_url, tmp_path, COST_WORKS)
    file = tmp_path / "invoice.toml"
    file.write_text(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0], "utf-8")
    with connect(postgres_url, "test", autocommit=True) as connection:
        done = import_invoice(connection, file, "tester")
        assert (done.version, done.changed) == (1, True)
        assert connection.execute("SELECT number, synthetic FROM invoice").fetchall() == [
            ("3302-2026-03", False)
        ]
        scanned = tmp_path / "scan.pdf"
        scanned.write_bytes(b"%PDF")
        file.write_text('original = "scan.pdf"\n' + file.read_text("utf-8"), "utf-8")
        assert import_invoice(connection, file, "tester").version == 2
        assert connection.execute(
            "SELECT file_name FROM invoice WHERE superseded_commit_no IS NULL"
        ).fetchone() == ("scan.pdf",)
