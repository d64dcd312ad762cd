"""A tiny run of the measurement: everything comes about, and the sums agree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from enpilot.cli import main

FIGURES = (
    "kernel_readings_per_s", "polars_readings_per_s", "pandas_readings_per_s", "ratio_polars",
    "ratio_pandas", "end_to_end_readings_per_s", "sql_readings_per_s", "ratio_sql",
    "first_call_cold_s", "first_call_from_disk_s", "with_day_and_month_figures_s",
)  # fmt: skip


def test_a_tiny_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENPILOT_DATABASE_URL", raising=False)
    file = tmp_path / "figures.json"
    with pytest.raises(SystemExit) as ended:
        main(["bench", "analytics", "--json", str(file), "--meters", "60", "--days", "2",
              "--kernel-days", "2"])  # fmt: skip
    assert ended.value.code in (0, None)
    found = json.loads(file.read_text("utf-8"))
    assert all(found[name] > 0 for name in FIGURES)
    assert [size["meters"] for size in found["linearity_meters"]] == [15, 30, 60]
    assert [size["days"] for size in found["linearity_days"]] == [1, 2]
    assert found["settings"]["shared_buffers"]
    assert found["parameters"]["synthetic"] is True
