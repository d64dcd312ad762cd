"""Retrofits of the glycerine factory in a database: a made-up saving, found and counted once."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analytics.baselines.regression import fit
from analytics.baselines.report import baseline_lines
from analytics.engine import run_once
from analytics.errors import NoSuchBaselineError
from analytics.savings.avoided import avoided_energy
from analytics.savings.report import counted_savings, savings_lines
from enpilot.database import connect
from enpilot.demo.history import DemoFiles
from enpilot.plant import load_plant
from ingest.imports.energy import import_energy
from ingest.imports.output import import_output
from ingest.imports.plant import import_plant
from ingest.imports.variables import import_variables
from tests.analytics.baselines.steam import steam_columns

STEAM = steam_columns()
SAVED = 1.5  # t of steam a month that is made up, from February 2025 on
RETROFITS = """
[[scheme]]
code = "tce"
name = {zh = "标准煤", en = "Standard coal"}
media = ["steam"]
factor_standard = "GB/T 2589"
factor_edition = "2020"
[[programme]]
code = "plan"
name = {zh = "计划", en = "Plan"}
goal_projects = 300
goal_tce_per_year = "500000"
[[retrofit]]
code = "heat-recovery"
name = {zh = "余热回收", en = "Heat recovery"}
option = "C"
baseline = "steam"
implementation_from = 2025-01-01
implementation_to = 2025-02-01
reporting_from = 2025-02-01
promised_tce_per_year = "2"
cost_yuan = "100000"
programme = "plan"
scheme = "tce"
"""
SECOND = """
[[retrofit]]
code = "insulation"
name = {zh = "保温", en = "Insulation"}
option = "C"
baseline = "steam"
implementation_from = 2025-01-01
implementation_to = 2025-02-01
reporting_from = 2025-02-01
programme = "plan"
scheme = "tce"
overlaps = ["heat-recovery"]
"""
ADJUSTMENT = """
[[non_routine_adjustment]]
code = "second-shift"
retrofit = "heat-recovery"
amount_per_month = "0.3"
reason = "a second shift in the packing hall"
evidence = "shift plan of April 2025"
from = 2025-04-01
to = 2025-06-16
"""


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with connect(url, "test") as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]  # a constant


@pytest.fixture
def demo(tmp_path: Path) -> DemoFiles:
    return DemoFiles.lay_out(tmp_path, dt.datetime(2026, 3, 1, tzinfo=dt.UTC), 15_020)


def describe(url: str, demo: DemoFiles, more: str) -> None:
    file = demo.path("with_retrofits.toml")
    text = demo.path("glycerine.toml").read_text("utf-8")
    text = text.replace(
        'variables = ["operating-days"', 'whole_site = true\nvariables = ["operating-days"'
    )
    file.write_text(text + more, "utf-8")
    with connect(url, "test", autocommit=True) as connection:
        import_plant(connection, load_plant(file), "tester", "retrofits")
        while run_once(connection).did_anything:
            pass


@pytest.fixture
def factory(demo: DemoFiles, database_url: str) -> str:
    """The real factory, and from February 2025 on 1.5 t of steam a month less: made up."""
    less = demo.path("less.csv")
    with demo.path("glycerine_energy.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(line for line in file if not line.startswith("#")))
    for line in lines:
        if line["from"] >= "2025-02-01":
            line["quantity"] = f"{float(line['quantity']) - SAVED:.2f}"
    with less.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, lines[0].keys())
        writer.writeheader()
        writer.writerows(lines)
    mapping = demo.path("less.toml")
    mapping.write_text(
        'site = "glycerine"\nsource = "test"\n'
        '[synthetic]\nzh = "合成节能"\nen = "made-up saving"\n',
        "utf-8",
    )
    with connect(database_url, "test", autocommit=True) as connection:
        import_plant(connection, load_plant(demo.path("glycerine.toml")), "tester", "test")
        import_energy(connection, less, mapping, "tester")
        for kind, take in (("output", import_output), ("variables", import_variables)):
            take(
                connection, demo.path(f"glycerine_{kind}.csv"),
                demo.path(f"glycerine_{kind}_mapping.toml"), "tester",
            )  # fmt: skip
    return database_url


def by_hand(adjustments: list[float] | None = None):  # type: ignore[no-untyped-def]  # a Saving
    x = np.column_stack([STEAM["op.days"], STEAM["temperature"]])
    model = fit(STEAM["Steam"][:12], ["days", "t"], x[:12])
    return avoided_energy(
        model, x[13:], np.round(STEAM["Steam"][13:] - SAVED, 2), adjustments=adjustments or []
    )


RESULT = (
    "SELECT saving, uncertainty, claim, tce_per_year, counted_tce, unallocated_tce, provisional,"
    " synthetic, months FROM saving_result JOIN retrofit t USING (retrofit_id)"
    " WHERE t.code = 'heat-recovery' AND span = 'first_12_months'"
)


def test_a_saving_is_what_it_is_by_hand(factory: str, demo: DemoFiles) -> None:
    describe(factory, demo, RETROFITS)
    hand = by_hand()
    saving, uncertainty, claim, tce, counted, beyond, provisional, synthetic, months = rows(
        factory, RESULT
    )[0]
    assert (saving, uncertainty) == (
        pytest.approx(hand.saving), pytest.approx(hand.uncertainty)
    )  # fmt: skip
    assert (claim, provisional, synthetic, months) == ("claimable", False, True, 12)
    # 3,763 MJ/t by the table: 128.6 kgce a tonne.
    assert tce == pytest.approx(hand.saving * 0.1286, rel=2e-3)
    assert (counted, beyond) == (tce, 0)
    months_rows = rows(
        factory, "SELECT saving, cumulative_saving FROM saving_period ORDER BY period_from"
    )
    assert len(months_rows) == 12
    assert months_rows[-1][1] == pytest.approx(saving)
    assert sum(r[0] for r in months_rows) == pytest.approx(saving)


def test_an_adjustment_counts_by_its_days(factory: str, demo: DemoFiles) -> None:
    describe(factory, demo, RETROFITS + ADJUSTMENT)
    # April, May and half of June.
    assert rows(factory, RESULT)[0][0] == pytest.approx(by_hand([0.3, 0.3, 0.15]).saving)


def test_overlapping_retrofits_are_counted_once(factory: str, demo: DemoFiles) -> None:
    describe(factory, demo, RETROFITS + SECOND)
    total, counted, beyond, error = rows(
        factory,
        "SELECT sum(tce_per_year), sum(counted_tce), sum(unallocated_tce), max(uncertainty_tce)"
        " FROM saving_result WHERE span = 'first_12_months'",
    )[0]
    # Both claim what the site saved: together they count it once, and its uncertainty.
    assert counted == pytest.approx(total / 2 + error)
    assert counted + beyond == pytest.approx(total)


def test_what_is_no_saving_is_not_claimed_and_says_why(factory: str, demo: DemoFiles) -> None:
    describe(factory, demo, RETROFITS.replace('baseline = "steam"', 'baseline = "steam-by-output"')
             .replace('option = "C"', 'option = "B"'))  # fmt: skip
    found = rows(factory, "SELECT DISTINCT saving, claim, withheld_code FROM saving_result")
    assert found == [(None, "model_unusable", "model_unusable")]
    describe(factory, demo, RETROFITS.replace('scheme = "tce"\n', ""))
    saving, _, claim, tce, *_ = rows(factory, RESULT)[0]
    assert (saving is not None, claim, tce) == (True, "claimable", None)


def test_a_part_of_a_year_is_provisional_and_a_window_to_come_reports_nothing(
    factory: str, demo: DemoFiles
) -> None:
    describe(
        factory, demo, RETROFITS.replace("reporting_from = 2025-02", "reporting_from = 2025-08")
    )
    saving, *_, provisional, _, months = rows(factory, RESULT)[0]
    assert (saving is not None, provisional, months) == (True, True, 6)
    describe(
        factory, demo, RETROFITS.replace("reporting_from = 2025-02", "reporting_from = 2027-01")
    )
    assert rows(factory, "SELECT DISTINCT claim FROM saving_result") == [("nothing_reported",)]
    assert rows(factory, "SELECT count(*) FROM saving_period") == [(0,)]


def test_the_tables_that_people_read(factory: str, demo: DemoFiles) -> None:
    describe(factory, demo, RETROFITS + SECOND)
    with connect(factory, "test") as connection:
        printed = "\n".join(savings_lines(connection))
        model = "\n".join(baseline_lines(connection, "steam"))
        unusable = "\n".join(baseline_lines(connection, "steam-by-output", "glycerine"))
        counted = counted_savings(connection, 1)
        with pytest.raises(NoSuchBaselineError, match="declare a"):
            list(savings_lines(connection, "nothing"))
        with pytest.raises(NoSuchBaselineError, match="no baselines"):
            list(baseline_lines(connection, "nothing"))
    assert "glycerine/heat-recovery  efficiency  promised 2 tce/a  cost 100,000 yuan" in printed
    assert "contains synthetic data" in printed
    assert "programme plan: 2 of 2 projects counted, 0.7% of 300" in printed
    assert [c.saving.code for c in counted] == ["glycerine/heat-recovery", "glycerine/insulation"]
    assert "glycerine/steam  model 1  weak: outliers" in model
    assert "performance changed" in model
    assert "r_squared" in unusable
    assert "FAILED, unusable" in unusable
    assert "nan" not in (printed + model + unusable).lower()
