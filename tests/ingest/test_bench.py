"""A short run of the measurement: everything comes about, and nothing is lost or doubled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from enpilot.cli import main

FIGURES = (
    "points_per_s", "bare_copy_points_per_s", "ratio", "straightforward_points_per_s",
    "publish_to_receipt_at_half_load_p50_s", "publish_to_receipt_at_half_load_p99_s",
)  # fmt: skip


def test_a_short_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENPILOT_DATABASE_URL", raising=False)
    file = tmp_path / "figures.json"
    with pytest.raises(SystemExit) as ended:
        main(["bench", "ingest", "--json", str(file), "--seconds", "1", "--agents", "4"])
    assert ended.value.code in (0, None)
    found = json.loads(file.read_text("utf-8"))
    assert all(found[name] > 0 for name in FIGURES)
    assert (found["lost"], found["duplicates"]) == (0, 0)
    assert found["parameters"]["points_a_message"] == 100
    assert found["parameters"]["synthetic"] is True
