"""A baseline on the first year of the glycerine factory, judged on the rest, in a database."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analytics.baselines.regression import fit
from analytics.engine import mark_dirty, run_once
from enpilot.database import connect
from enpilot.demo.history import DemoFiles
from enpilot.plant import load_plant
from ingest.imports.energy import import_energy
from ingest.imports.output import import_output
from ingest.imports.plant import import_plant
from ingest.imports.retract import retract
from ingest.imports.variables import import_variables
from tests.analytics.baselines.steam import steam_columns

STEAM = steam_columns()
X = np.column_stack([STEAM["op.days"], STEAM["temperature"]])
YEAR = fit(STEAM["Steam"][:12], ["operating-days", "temperature"], X[:12])


def rows(url: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    with connect(url, "test") as connection:
        return connection.execute(query, parameters).fetchall()  # type: ignore[arg-type]  # a query of this file


def compute(url: str) -> None:
    with connect(url, "test", autocommit=True) as connection:
        while run_once(connection).did_anything:
            pass


@pytest.fixture
def demo(tmp_path: Path) -> DemoFiles:
    return DemoFiles.lay_out(tmp_path, dt.datetime(2026, 3, 1, tzinfo=dt.UTC), 15_020)


@pytest.fixture
def factory(demo: DemoFiles, database_url: str) -> str:
    with connect(database_url, "test", autocommit=True) as connection:
        import_plant(connection, load_plant(demo.path("glycerine.toml")), "tester", "test")
        for kind, take in (("energy", import_energy), ("output", import_output)):
            take(
                connection, demo.path(f"glycerine_{kind}.csv"),
                demo.path(f"glycerine_{kind}_mapping.toml"), "tester",
            )  # fmt: skip
        variables(connection, demo, demo.path("glycerine_variables.csv"))
    compute(database_url)
    return database_url


def variables(connection: Any, demo: DemoFiles, file: Path, *, supersede: bool = False) -> Any:
    return import_variables(
        connection, file, demo.path("glycerine_variables_mapping.toml"), "tester",
        supersede=supersede,
    )  # fmt: skip


MODEL = (
    "SELECT usability, reasons, points, r_squared, cv_rmse, version FROM baseline_model m"
    " JOIN baseline b USING (baseline_id) WHERE b.code = %s AND superseded_version IS NULL"
)
PERIODS = (
    "SELECT period_from, actual, expected, difference, cusum, lower, upper, training"
    " FROM baseline_period JOIN baseline b USING (baseline_id) WHERE b.code = 'steam' ORDER BY 1"
)


def test_the_first_year_expects_the_rest(factory: str) -> None:
    usability, reasons, points, r_squared, cv_rmse, version = rows(factory, MODEL, "steam")[0]
    # One month of the twelve lies where no scatter explains it, and the verdict says so.
    assert (usability, reasons, points, version) == ("weak", ["outliers"], 12, 1)
    assert r_squared == pytest.approx(YEAR.r_squared)
    assert cv_rmse == pytest.approx(YEAR.cv_rmse)
    found = rows(factory, PERIODS)
    assert [r[0] for r in found] == [dt.date(2024 + i // 12, i % 12 + 1, 1) for i in range(25)]
    expected = YEAR.expected(X)
    assert [r[1] for r in found] == pytest.approx(STEAM["Steam"].tolist())
    assert [r[2] for r in found] == pytest.approx(expected.tolist())
    saved = np.cumsum(STEAM["Steam"][12:] - expected[12:])
    assert [r[4] for r in found[12:]] == pytest.approx(saved.tolist())
    assert all(r[4] is None for r in found[:12])
    assert [r[7] for r in found] == [True] * 12 + [False] * 13
    assert all(lower < e < upper for _, _, e, _, _, lower, upper, _ in found)
    # What the interval of 95 % says is about what came.
    assert sum(r[5] <= r[1] <= r[6] for r in found[12:]) >= 11


def test_output_alone_is_unusable_and_its_months_are_withheld(factory: str) -> None:
    usability, reasons, *_ = rows(factory, MODEL, "steam-by-output")[0]
    assert usability == "unusable"
    assert "r_squared" in reasons
    found = rows(
        factory,
        "SELECT DISTINCT expected, difference, withheld_code FROM baseline_period"
        " JOIN baseline b USING (baseline_id) WHERE b.code = 'steam-by-output'",
    )
    assert found == [(None, None, "model_unusable")]


def test_a_model_stays_frozen_until_its_window_changes(
    factory: str, demo: DemoFiles, tmp_path: Path
) -> None:
    before = rows(factory, PERIODS)
    stamped = "SELECT data_version, computed_at FROM baseline_period ORDER BY period_from, 1"
    stamps = rows(factory, stamped)
    with connect(factory, "test", autocommit=True) as connection:
        mark_dirty(
            connection, ["glycerine"], dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
            dt.datetime(2026, 2, 1, tzinfo=dt.UTC),
        )  # fmt: skip
    compute(factory)
    assert rows(factory, PERIODS) == before
    # Nothing changed, so nothing was written.
    assert rows(factory, stamped) == stamps
    assert rows(factory, MODEL, "steam")[0][-1] == 1
    # A month after the window changes: the same model, another difference.
    late = tmp_path / "late.csv"
    late.write_text("variable,value,from,to\noperating-days,10,2025-06-01,2025-07-01\n", "utf-8")
    with connect(factory, "test", autocommit=True) as connection:
        variables(connection, demo, late, supersede=True)
    compute(factory)
    assert rows(factory, MODEL, "steam")[0][-1] == 1
    changed = [a for a, b in zip(before, rows(factory, PERIODS), strict=True) if a[2] != b[2]]
    assert [r[0] for r in changed] == [dt.date(2025, 6, 1)]
    # One in the window: a new version, and the old one is kept.
    late.write_text("variable,value,from,to\noperating-days,10,2024-06-01,2024-07-01\n", "utf-8")
    with connect(factory, "test", autocommit=True) as connection:
        stream = variables(connection, demo, late, supersede=True).stream
    compute(factory)
    assert rows(factory, MODEL, "steam")[0][-1] == 2
    with connect(factory, "test", autocommit=True) as connection:
        retract(connection, stream, "tester", "typing mistake")
    compute(factory)
    versions = rows(
        factory,
        "SELECT version, superseded_version IS NULL, r_squared FROM baseline_model"
        " JOIN baseline b USING (baseline_id) WHERE b.code = 'steam' ORDER BY 1",
    )
    assert [(v, current) for v, current, _ in versions] == [(1, False), (2, False), (3, True)]
    assert versions[0][2] == versions[2][2] != versions[1][2]


def test_a_month_without_its_variable_is_withheld_and_not_guessed(
    demo: DemoFiles, factory: str, tmp_path: Path
) -> None:
    with connect(factory, "test", autocommit=True) as connection:
        first = connection.execute(
            "SELECT s.stream FROM stream s JOIN import_run r USING (stream_no)"
            " WHERE r.kind = 'variables'"
        ).fetchone()
        assert first is not None
        retract(connection, first[0], "tester", "another file")
        lines = demo.path("glycerine_variables.csv").read_text("utf-8").splitlines(keepends=True)
        part = tmp_path / "part.csv"
        part.write_text("".join(x for x in lines if "2025-03-01,2025-04" not in x), "utf-8")
        variables(connection, demo, part)
    compute(factory)
    march = rows(
        factory,
        "SELECT actual, expected, withheld_code, cusum FROM baseline_period"
        " JOIN baseline b USING (baseline_id)"
        " WHERE b.code = 'steam' AND period_from = '2025-03-01'",
    )
    assert march == [(10.94, None, "variable_missing", None)]
    assert rows(factory, MODEL, "steam")[0][0] == "weak"


def test_a_window_that_is_not_over_has_no_model(demo: DemoFiles, factory: str) -> None:
    text = demo.path("glycerine.toml").read_text("utf-8")
    demo.path("glycerine.toml").write_text(
        text.replace("training_to = 2025-01-01", "training_to = 2027-01-01"), "utf-8"
    )
    with connect(factory, "test", autocommit=True) as connection:
        import_plant(connection, load_plant(demo.path("glycerine.toml")), "tester", "longer")
    compute(factory)
    assert rows(factory, MODEL, "steam")[0][:2] == ("unusable", ["window_incomplete"])
    assert {r[0] for r in rows(factory, "SELECT withheld_code FROM baseline_period")} == {
        "no_model"
    }


def test_candidates_are_chosen_among_and_all_that_was_tried_is_kept(
    demo: DemoFiles, factory: str
) -> None:
    text = demo.path("glycerine.toml").read_text("utf-8")
    demo.path("glycerine.toml").write_text(
        text.replace(
            'variables = ["operating-days", "temperature"]',
            'variables = ["glycerine", "operating-days", "temperature", "heating-degree-days"]\n'
            'choose = true\ntemperature = "temperature"\nchange_points = ["heating_3p"]',
        ),
        "utf-8",
    )
    with connect(factory, "test", autocommit=True) as connection:
        import_plant(connection, load_plant(demo.path("glycerine.toml")), "tester", "choose")
    compute(factory)
    form, tried, cv_left_out = rows(
        factory,
        "SELECT form, tried, cv_rmse_left_out FROM baseline_model JOIN baseline b"
        " USING (baseline_id) WHERE b.code = 'steam' AND superseded_version IS NULL",
    )[0]
    # 4 alone, 6 pairs; the bend alone and with each of the 3 others.
    assert len(tried) == 4 + 6 + 1 + 3
    assert {t["form"]: t["cv_rmse_left_out"] for t in tried}[form] == pytest.approx(cv_left_out)


def test_degree_days_of_entered_temperatures_are_the_textbooks(
    demo: DemoFiles, factory: str
) -> None:
    text = demo.path("glycerine.toml").read_text("utf-8")
    demo.path("glycerine.toml").write_text(
        text.replace(
            'variables = ["operating-days", "temperature"]',
            'variables = ["glycerine", "heating-degree-days"]',
        ).replace("training_to = 2025-01-01", "training_to = 2026-02-01"),
        "utf-8",
    )
    with connect(factory, "test", autocommit=True) as connection:
        import_plant(connection, load_plant(demo.path("glycerine.toml")), "tester", "all")
    compute(factory)
    coefficients = rows(
        factory,
        "SELECT coefficients FROM baseline_model JOIN baseline b USING (baseline_id)"
        " WHERE b.code = 'steam' AND superseded_version IS NULL",
    )[0][0]
    # February 2024 had 29 days in the calendar and in the book.
    assert [round(c["value"], 4) for c in coefficients] == [4.7842, 4.5883, 0.0032]


def test_what_was_retracted_leaves_no_expectation_behind(factory: str) -> None:
    with connect(factory, "test", autocommit=True) as connection:
        for (stream,) in connection.execute(
            "SELECT s.stream FROM stream s JOIN import_run r USING (stream_no)"
        ).fetchall():
            retract(connection, stream, "tester", "all wrong")
    compute(factory)
    assert rows(factory, "SELECT count(*) FROM baseline_period") == [(0,)]
    assert rows(factory, MODEL, "steam") == []
    assert rows(factory, "SELECT count(*) FROM baseline_model") == [(2,)]
