"""A works with a boiler, a compressor, two lines and an office: whose energy, which carbon."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest

from analytics.accounting.cli import balance, energy
from enpilot.database import connect
from enpilot.errors import ConfigurationError
from tests.analytics.conftest import WORKS
from tests.analytics.test_engine import compute, local, quarters, rows, steady
from tests.imported import apply_plant, import_counts, import_production

SINCE, UNTIL = local(2026, 3, 1), local(2026, 4, 1)
POINTS = "".join(
    f'[[point]]\ncode = "{code}"\nname = {{zh = "{code}", en = "{code}"}}\nmedium = "{medium}"\n'
    f'role = "{role}"\nparent = "main"\ncommissioning = "accepted"\n{more}'
    for code, medium, role, more in (
        ("bars", "electricity", "sub", ""),
        ("compressor", "electricity", "sub", ""),
        ("office", "electricity", "sub", ""),
        ("dormitory", "electricity", "sub", 'use = "living"\n'),
        ("pv", "electricity", "generation", ""),
        ("air", "compressed_air", "sub", ""),
        ("air-bars", "compressed_air", "sub", ""),
        ("air-wire", "compressed_air", "sub", ""),
    )
)
AREAS = """
[[product]]
code = "wire"
name = {zh = "线材", en = "Wire"}
unit = "t"
[[area]]
code = "air-station"
name = {zh = "空压站", en = "Air station"}
kind = "conversion"
points = [{point = "compressor"}]
[[conversion]]
area = "air-station"
medium = "compressed_air"
points = [{point = "air"}]
[[area]]
code = "bar-line"
name = {zh = "型钢线", en = "Bar line"}
kind = "line"
products = ["section"]
points = [{point = "bars"}, {point = "air-bars"}]
[[area]]
code = "wire-line"
name = {zh = "线材线", en = "Wire line"}
kind = "line"
products = ["wire"]
points = [{point = "air-wire"}]
[[area]]
code = "office"
name = {zh = "办公楼", en = "Office"}
kind = "ancillary"
points = [{point = "office"}]
[[area]]
code = "rest"
name = {zh = "公用", en = "Shared"}
kind = "auxiliary"
media = ["electricity"]
[[allocation]]
area = "rest"
method = "equivalents"
products = [{product = "section"}, {product = "wire", coefficient = "2"}]
[[enpi]]
code = "section-allocated"
name = {zh = "型钢分摊单耗", en = "Sections with shares"}
scheme = "electricity"
product = "section"
subject = "product"
[[target]]
enpi = "section-allocated"
base_from = 2025-01-01
base_to = 2026-01-01
end_to = 2029-01-01
annual_rate = "0.04"
target_class = "internal"
authority = "test"
"""
PLANT = (WORKS + POINTS + AREAS).replace(
    'electricity_basis = "physical"', 'electricity_basis = "physical"\ngrid_region = "zhejiang"'
)
K = 0.1229
QUARTERS = 31 * 96
# kWh or m3 a month: counts a quarter x 0.01.
USE = {"bars": 3000, "compressor": 1000, "office": 200, "dormitory": 500, "pv": 800}
AIR = {"air": 900, "air-bars": 500, "air-wire": 300}


def amount(code: str) -> float:
    return (USE | AIR)[code] * 0.01 * QUARTERS


def works_with_meters(url: str, folder: Path, plant: str = PLANT, skip: str = "") -> None:
    apply_plant(url, folder, plant)
    times = quarters(SINCE, UNTIL)
    import_counts(url, folder, times, steady(times, 200))  # x 0.01 x CT 40 = 80 kWh a quarter
    for code, count in USE.items():
        if code != skip:
            import_counts(url, folder, times, steady(times, count), point=code, side="primary")
    for code, count in AIR.items():
        if code != skip:
            import_counts(
                url, folder, times, steady(times, count), point=code, side="primary",
                quantity="volume", unit="m3",
            )  # fmt: skip
    import_production(url, folder, [(SINCE, UNTIL, "100")])
    import_production(url, folder, [(SINCE, UNTIL, "50")], product="wire")
    compute(url)


def month(url: str, table: str, columns: str, order: str) -> list[tuple[Any, ...]]:
    return rows(url, f"SELECT {columns} FROM {table} WHERE period_kind = 'month' ORDER BY {order}")


def test_everything_adds_up_to_the_scheme(works: str, tmp_path: Path) -> None:
    works_with_meters(works, tmp_path)
    import_kwh = 80 * QUARTERS
    carriers = {r[0]: r[1:] for r in month(
        works, "scheme_energy_period", "part, energy, quantity, factor, basis, source, share", "1"
    )}  # fmt: skip
    counted = import_kwh + amount("pv") - amount("dormitory")
    assert carriers["import"] == (
        pytest.approx(import_kwh * K), pytest.approx(import_kwh), pytest.approx(K), "physical",
        "metered", pytest.approx(import_kwh / counted),
    )  # fmt: skip
    assert carriers["own_renewable"][0] == pytest.approx(amount("pv") * K)
    assert carriers["excluded"][0] == pytest.approx(-amount("dormitory") * K)
    total = sum(c[0] for c in carriers.values())
    [(energy,)] = rows(
        works,
        "SELECT energy FROM enpi_period JOIN enpi USING (enpi_id) WHERE code = 'per-tonne'"
        " AND period_kind = 'month'",
    )
    assert total == pytest.approx(energy, rel=1e-12)

    parts = {r[:2]: r[2:] for r in month(
        works, "product_energy_period", "part, code, direct, media, allocated, energy", "1, 2"
    )}  # fmt: skip
    assert sum(p[3] for p in parts.values()) == pytest.approx(energy, rel=1e-12)
    air = amount("compressor") * K / amount("air")
    shared = counted - sum(map(amount, ("bars", "compressor", "office")))
    assert parts["product", "section"] == (
        pytest.approx(amount("bars") * K), pytest.approx(amount("air-bars") * air),
        pytest.approx(shared * K / 2), pytest.approx(
            amount("bars") * K + amount("air-bars") * air + shared * K / 2),
    )  # fmt: skip
    assert parts["product", "wire"][1] == pytest.approx(amount("air-wire") * air)
    assert parts["ancillary", "office"][3] == pytest.approx(amount("office") * K)
    assert parts["loss", "compressed_air"][3] == pytest.approx(
        (amount("air") - amount("air-bars") - amount("air-wire")) * air
    )
    assert parts["unmetered", "electricity"][3] == pytest.approx(0)
    assert rows(works, "SELECT factor FROM medium_factor_period") == [(pytest.approx(air),)]

    # The product's EnPI divides what it was given by what was made of it.
    [(intensity, status)] = rows(
        works,
        "SELECT intensity, status FROM enpi_period JOIN enpi USING (enpi_id)"
        " WHERE code = 'section-allocated' AND period_kind = 'month'",
    )
    assert (intensity, status) == (
        pytest.approx(parts["product", "section"][3] / 100), "no_base"
    )  # fmt: skip
    kinds = rows(
        works,
        "SELECT DISTINCT period_kind FROM enpi_period JOIN enpi USING (enpi_id)"
        " WHERE code = 'section-allocated' ORDER BY 1",
    )
    assert kinds == [("month",), ("quarter",), ("year_to_date",)]

    # Own generation has no carbon, and the latest grid factor of the province counts.
    net = import_kwh - amount("dormitory")
    assert month(works, "carbon_period", "carrier, carbon_kg, region, data_year", "1") == [
        ("electricity", pytest.approx(net * 0.5153), "zhejiang", 2022)
    ]


def test_a_sub_meter_that_was_not_read_withholds_its_product_not_the_plant(
    works: str, tmp_path: Path
) -> None:
    works_with_meters(works, tmp_path, skip="air-wire")
    parts = {r[:2]: r[2:] for r in month(
        works, "product_energy_period", "part, code, energy, withheld_code", "1, 2"
    )}  # fmt: skip
    assert parts["product", "wire"] == (None, "energy_missing")
    assert parts["product", "section"][0] is not None
    [(energy,)] = rows(
        works,
        "SELECT sum(energy) FROM scheme_energy_period WHERE period_kind = 'month'",
    )
    assert sum(p[0] for p in parts.values() if p[0] is not None) == pytest.approx(energy)


def test_output_that_is_not_entered_leaves_shared_energy_unallocated(
    works: str, tmp_path: Path
) -> None:
    works_with_meters(works, tmp_path)
    with connect(works, "test", autocommit=True) as connection:
        connection.execute(
            "UPDATE output SET superseded_commit_no = 1 WHERE product_id ="
            " (SELECT product_id FROM product WHERE code = 'wire')"
        )
        connection.execute(
            "INSERT INTO dirty_site (site_id, from_ts, to_ts, commit_no)"
            " SELECT site_id, %s, %s, 0 FROM site", (SINCE, UNTIL)
        )  # fmt: skip
    compute(works)
    parts = {r[:2]: r[2:] for r in month(
        works, "product_energy_period", "part, code, energy, withheld_code", "1, 2"
    )}  # fmt: skip
    assert parts["product", "section"] == (None, "output_missing")
    assert parts["unallocated", "rest"][0] > 0
    assert rows(
        works,
        "SELECT withheld_code FROM enpi_period JOIN enpi USING (enpi_id)"
        " WHERE code = 'section-allocated' AND period_kind = 'month'",
    ) == [("output_missing",)]


def test_a_factor_that_does_not_hold_is_a_finding_with_its_key(works: str, tmp_path: Path) -> None:
    plant = PLANT.replace('factor_edition = "2020"', 'factor_edition = "1990"')
    works_with_meters(works, tmp_path, plant)
    [(why, subject)] = rows(
        works,
        "SELECT evidence->>'why', subject FROM finding WHERE code = 'factor_missing'"
        " AND withdrawn_version IS NULL",
    )
    assert "electricity (physical) in GB/T 2589 (1990) on 2026-03-01" in why
    assert subject == "electricity"
    assert month(works, "scheme_energy_period", "part, withheld_code", "1") == [
        ("withheld", "factor_missing")
    ]


def test_the_plants_own_factor_comes_first(works: str, tmp_path: Path) -> None:
    own = """
[[factor]]
kind = "standard_coal"
medium = "electricity"
value = "0.2"
per_unit = "kWh"
source = "test"
[[factor]]
kind = "carbon"
medium = "electricity"
value = "0"
per_unit = "kWh"
source = "green certificates"
"""
    works_with_meters(works, tmp_path, PLANT + own)
    found = month(works, "scheme_energy_period", "factor, factor_verified", "1")
    assert found == [(pytest.approx(0.2), False)] * 3
    assert month(works, "carbon_period", "carbon_kg", "1") == [(0.0,)]


def test_more_used_than_made_is_a_finding(works: str, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(AIR, "air", 600)
        works_with_meters(works, tmp_path)
    assert rows(
        works,
        "SELECT subject, (evidence->>'left')::float < 0 FROM finding"
        " WHERE code = 'medium_overdrawn'",
    ) == [("electricity compressed_air", True)]


def test_the_rule_of_the_month_counts(works: str, tmp_path: Path) -> None:
    ended = PLANT.replace(
        'method = "equivalents"', 'method = "equivalents"\nto = 2026-02-15'
    ).replace("[[enpi]]\ncode = \"section-a", """[[allocation]]
area = "rest"
method = "hours"
from = 2026-02-15
products = [{product = "section"}, {product = "wire"}]
[[enpi]]
code = "section-a""")  # fmt: skip
    works_with_meters(works, tmp_path, ended)
    [(one, other)] = rows(
        works,
        "SELECT a.allocated, b.allocated FROM product_energy_period a, product_energy_period b"
        " WHERE a.code = 'section' AND b.code = 'wire' AND a.period_kind = 'month'"
        " AND b.period_kind = 'month'",
    )
    assert one == pytest.approx(other)  # both were made all month
    assert dt.date(2026, 3, 1) == rows(works, "SELECT min(period_from) FROM carbon_period"
                                       " WHERE period_kind = 'month'")[0][0]  # fmt: skip


def test_tables_for_people(
    works: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    works_with_meters(works, tmp_path)
    monkeypatch.setenv("ENPILOT_DATABASE_URL", works)
    energy("works", month="2026-03")
    said = capsys.readouterr().out
    assert "scheme electricity: 30,357" in said
    assert re.search(r"electricity +excluded +-14,880\.0 +kWh +0\.1229 +physical", said)
    assert re.search(r"electricity +\d+\.\d+ +0\.5153 +kgCO2/kWh +zhejiang +2022", said)
    assert re.search(r"ancillary +office", said)
    balance("works", month="2026-03")
    assert re.search(r"electricity +main +238,080\.0", capsys.readouterr().out)
    with pytest.raises(ConfigurationError, match="nothing is computed of works in 2020-01"):
        energy("works", month="2020-01")
    with pytest.raises(ConfigurationError, match="no site 'nowhere'"):
        balance("nowhere", month="2026-03")
