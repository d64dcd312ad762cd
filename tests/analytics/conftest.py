"""A database that knows the test works, with an EnPI and a target."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.imported import apply_plant
from tests.ingest.gateway import PLANT

ENPI = """
[[product]]
code = "section"
name = {zh = "型钢", en = "Sections"}
unit = "t"
[[scheme]]
code = "electricity"
name = {zh = "电", en = "Electricity"}
media = ["electricity"]
factor_standard = "GB/T 2589"
factor_edition = "2020"
electricity_basis = "physical"
[[enpi]]
code = "per-tonne"
name = {zh = "吨钢电耗", en = "Per tonne"}
scheme = "electricity"
product = "section"
[[target]]
enpi = "per-tonne"
base_from = 2025-01-01
base_to = 2026-01-01
end_to = 2029-01-01
annual_rate = "0.04"
target_class = "internal"
authority = "test"
"""
WORKS = PLANT.replace("from = 2026-01-01", "from = 2024-01-01") + ENPI


@pytest.fixture
def works(tmp_path: Path, database_url: str) -> str:
    apply_plant(database_url, tmp_path, WORKS)
    return database_url
