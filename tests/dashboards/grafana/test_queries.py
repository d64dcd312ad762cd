"""Every query of the boards, taken from the built boards, as the role that Grafana signs in as."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from dashboards.grafana.boards import BOARDS, VARIABLES, board_json
from dashboards.grafana.columns import COLUMNS, Language
from dashboards.grafana.panels import Look
from dashboards.grafana.render import LANGUAGES
from tests.dashboards.grafana.conftest import USUAL_KW
from tests.dashboards.grafana.macros import expand

# A span for each board in which the demo plants have something to show; now for what is live.
_SEPTEMBER = ("2025-09-12T16:00:00Z", "2025-09-14T00:00:00Z")
_SPANS = {
    "enpi": ("2024-12-31T16:00:00Z", "2025-12-31T15:59:59Z"),
    "quality": ("2025-08-31T16:00:00Z", "2025-09-14T00:00:00Z"),
}
_LIVE = {"health"}
_STEEL = {"site": "steel", "enpi": "electricity-per-tonne", "account": "main"}
# Ranges of sense, by the columns that carry a number of a known unit.
_SHARES = {
    "completeness", "reporting_completeness", "coverage", "output_coverage", "estimated_share",
    "index_share", "known_share", "probability",
}  # fmt: skip
_KW = {"power", "power_estimated", "usual_low", "usual_high", "maximum", "declared"}
_INTENSITY = {"base", "target", "forecast", "forecast_low", "forecast_high"}


def _span(board: str) -> tuple[str, str]:
    if board in _LIVE:
        now = dt.datetime.now(dt.UTC)
        return (now - dt.timedelta(days=10)).isoformat(), now.isoformat()
    return _SPANS.get(board, _SEPTEMBER)


def _cases() -> list[Any]:
    return [
        pytest.param(language, board.name, number, id=f"{language}-{board.name}-{panel.en}")
        for language in LANGUAGES
        for board in BOARDS
        for number, panel in enumerate(board.panels)
    ]


def _variables(connection: psycopg.Connection[Any], span: tuple[str, str]) -> dict[str, Any]:
    chosen: dict[str, Any] = dict(_STEEL)
    for name in ("account", "point"):
        rows = connection.execute(expand(VARIABLES[name].sql, *span, chosen).encode()).fetchall()
        chosen[name] = [row[0] for row in rows] if VARIABLES[name].multi else rows[0][0]
    return chosen


@pytest.mark.parametrize(("language", "board", "number"), _cases())
def test_a_panel_has_rows_of_sense(
    steel: psycopg.Connection[Any], language: Language, board: str, number: int
) -> None:
    chosen = next(b for b in BOARDS if b.name == board)
    built = board_json(chosen, Look(language, "light", "https://p.example"), "Asia/Shanghai")
    (target,) = built["panels"][number]["targets"]
    span = _span(board)
    variables = _variables(steel, span)
    assert len(variables["point"]) > 1, "one meter does not try a choice of several"
    with steel.cursor(row_factory=dict_row) as cursor:
        cursor.execute(expand(target["rawSql"], *span, variables).encode())
        names = [column.name for column in cursor.description or ()]
        rows = cursor.fetchall()
    assert tuple(names) == chosen.panels[number].columns
    assert rows
    for row in rows:
        for name, value in row.items():
            _has_sense(name, value)
    if target["format"] == "time_series":
        times = [row["time"] for row in rows]
        assert times == sorted(times)
        assert all(t.tzinfo is not None for t in times)


def _has_sense(name: str, value: Any) -> None:
    if isinstance(value, float):
        assert math.isfinite(value), name
    if value is None or name in {"time", "metric"}:
        return
    if name in _SHARES:
        assert 0 <= value <= 1, name
    elif name in _KW:
        assert 0 < value < 12_000, name
    elif name in _INTENSITY:
        assert 50 < value < 120, name
    elif marks := COLUMNS[name].marks:
        assert value in marks or value == "a_code_of_tomorrow", name


def _rows(
    connection: psycopg.Connection[Any], board: str, title: str, **other: Any
) -> list[dict[str, Any]]:
    panel = next(p for b in BOARDS if b.name == board for p in b.panels if p.en.startswith(title))
    span = _span(board)
    with connection.cursor(row_factory=dict_row) as cursor:
        sql = expand(
            panel.sql.replace("{name}", "name_en"), *span, _variables(connection, span) | other
        )
        return cursor.execute(sql.encode()).fetchall()


def test_the_load_is_exact_and_its_range_that_of_like_days(
    steel: psycopg.Connection[Any],
) -> None:
    rows = {row["time"]: row for row in _rows(steel, "load", "Site, 15-minute")}
    eight = dt.datetime(2025, 9, 13, 0, 0, tzinfo=dt.UTC)  # 08:00 at the site
    peak = rows[eight + dt.timedelta(hours=2)]
    assert peak["power"] == pytest.approx(9884.0)
    # Eight Saturdays of 4,010 to 4,080 kW: linear between the 15th and the 85th of a hundred.
    assert peak["usual_low"] == pytest.approx(USUAL_KW + 10 + 0.15 * 70)
    assert peak["usual_high"] == pytest.approx(USUAL_KW + 10 + 0.85 * 70)
    guessed = rows[eight + dt.timedelta(hours=6, minutes=30)]
    assert guessed["power"] is None
    assert guessed["power_estimated"] is not None
    # Of 03:00 to 03:45 nothing is known: no row, and no zero.
    assert eight - dt.timedelta(hours=5) not in rows
    highest = _rows(steel, "load", "The 20 highest")
    assert highest[0]["at"] == eight + dt.timedelta(hours=2)
    assert len(highest) == 20


def test_figures_of_the_wall_carry_what_they_are_held_against(
    steel: psycopg.Connection[Any],
) -> None:
    (energy,) = _rows(steel, "wall", "Energy of the last")
    assert energy == {"what": "2025-09-13 · kgce", "actual": 7900, "expected": 7600,
                      "mark": "above"}  # fmt: skip
    (year,) = _rows(steel, "wall", "Year to date")
    assert year["mark"] == "slow"
    assert year["actual"] > year["target"]


def test_the_forecast_opens_where_the_year_stands(steel: psycopg.Connection[Any]) -> None:
    *_, stands, end = _rows(steel, "enpi", "Year to date and")
    assert stands["forecast"] == stands["forecast_low"] == stands["forecast_high"]
    assert stands["forecast"] == stands["actual"] is not None
    assert (end["forecast_low"], end["forecast"], end["forecast_high"]) == (88, 89.5, 91)
    assert end["actual"] is None


def test_a_ratio_below_one_never_reads_as_one(steel: psycopg.Connection[Any]) -> None:
    (year,) = _rows(steel, "enpi", "Year to date: actual")
    assert (year["progress"], year["mark"]) == (0.99, "slow")  # stored as 0.996


def test_a_withheld_month_keeps_its_place(steel: psycopg.Connection[Any]) -> None:
    may = next(r for r in _rows(steel, "enpi", "Figures") if r["month"] == "2025-05")
    assert (may["actual"], may["mark"], may["reason"]) == (None, "withheld", "coverage_low")


def test_the_path_falls_by_its_rate_each_year(steel: psycopg.Connection[Any]) -> None:
    path = [row["target"] for row in _rows(steel, "enpi", "The path")]
    assert len(path) == 5
    assert [b / a for a, b in itertools.pairwise(path)] == pytest.approx([0.96] * 4)


def test_a_foreign_enterprise_sees_nothing(chemical: psycopg.Connection[Any]) -> None:
    assert chemical.execute(VARIABLES["site"].sql.encode()).fetchall() == [("glycerine",)]
    variables = _STEEL | {"point": ["main", "hall-1"]}
    for board in BOARDS:
        for panel in board.panels:
            sql = panel.sql.replace("{name}", "name_zh").replace("{language}", "zh")
            found = chemical.execute(
                expand(
                    sql.replace("{flow_codes}", "'fork'"), *_span(board.name), variables
                ).encode()
            ).fetchall()
            seen = [row for row in found if any(row)]
            assert seen == [], panel.en
    for name, variable in VARIABLES.items():
        if name != "site":
            span = _span("wall")
            assert (
                chemical.execute(expand(variable.sql, *span, variables).encode()).fetchall() == []
            )


def test_addresses_hold_days_of_the_site(steel: psycopg.Connection[Any]) -> None:
    """The span ends on 14 September at 08:00 there, and the figures 15 minutes earlier."""
    span = ("2025-09-12T16:30:00Z", "2025-09-14T00:00:00Z")
    found = {
        name: steel.execute(expand(VARIABLES[name].sql, *span, _STEEL).encode()).fetchone()
        for name in ("from_day", "until_day", "until_month", "until_year")
    }
    assert found == {"from_day": ("2025-09-13",), "until_day": ("2025-09-14",),
                     "until_month": ("2025-09",), "until_year": ("2025",)}  # fmt: skip


def test_every_query_filters_a_time_directly() -> None:
    """And none asks a hypertable's view without saying when (D19)."""
    for board in BOARDS:
        for panel in board.panels:
            for view, column in (("visible_interval_advance i", "i.ts"),
                                 ("visible_chart_15m b", "b.bucket")):  # fmt: skip
                if view in panel.sql:
                    assert (f"$__timeFilter({column})" in panel.sql
                            or f"{column} >= $__timeFrom()" in panel.sql), panel.en  # fmt: skip
            assert "visible_reading" not in panel.sql
            assert "time_bucket" not in panel.sql
