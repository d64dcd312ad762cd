"""A tiny run of the measurement: everything comes about, over HTTP and real sockets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dashboards.bench import measure
from enpilot.cli import main

FIGURES = (
    "overview_p95_ms", "explorer_year_p95_ms", "explorer_year_of_hours_p95_ms", "empty_page_p95_ms",
    "sql_year_of_days_ms", "sql_year_of_quarters_ms", "walk_p95_ms", "pages_per_s", "memory_mb",
)  # fmt: skip


def test_a_tiny_measurement(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENPILOT_DATABASE_URL", postgres_url)
    monkeypatch.setattr(measure, "_TIMES", 3)
    file = tmp_path / "figures.json"
    with pytest.raises(SystemExit) as ended:
        main(["bench", "portal", "--json", str(file), "--meters", "3", "--days", "40",
              "--users", "3", "--seconds", "0.5", "--pages", "2"])  # fmt: skip
    assert ended.value.code in (0, None)
    found = json.loads(file.read_text("utf-8"))
    assert found["errors"] == 0, found["first_errors"]
    assert all(found[name] > 0 for name in FIGURES)
    assert found["interval_rows"] == 3 * (40 * 24 + 6) * 4
    assert found["parameters"]["synthetic"] is True
