"""The test works with a tariff, an account and prices of other media."""

from __future__ import annotations

from tests.analytics.conftest import WORKS

TARIFF = """
[[tariff]]
code = "industry"
name = { zh = "工业", en = "Industry" }
regime = "zhejiang-2024"
from = 2024-03-01
to = 2026-07-01
demand_yuan_per_kw = "48"
capacity_yuan_per_kva = "30"
source = "made up for tests"
[[tariff.parts]]
code = "energy"
name = { zh = "电量", en = "Energy" }
yuan_per_kwh = "0.60"
floats = true
[[tariff.parts]]
code = "funds"
name = { zh = "基金", en = "Funds" }
yuan_per_kwh = "0.03"
adjusted = false
"""
ACCOUNT = """
[[account]]
code = "main"
name = { zh = "主账户", en = "Main account" }
tariff = "industry"
points = ["main"]
from = 2024-03-01
basic_charge = "demand"
capacity_kva = "1000"
"""
COST_WORKS = WORKS + TARIFF + ACCOUNT
