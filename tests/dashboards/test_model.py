"""The models say what the database says, and serve as the API."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import psycopg
import pytest

from dashboards.portal.figures import Target
from dashboards.portal.pages.enpi.filters import EnpiFilters, parse_enpi
from dashboards.portal.pages.enpi.model import EnpiPage, load_enpi, target_path
from dashboards.portal.pages.overview.filters import OverviewFilters, parse_overview
from dashboards.portal.pages.overview.model import Overview, load_overview
from dashboards.portal.site import first_site, load_site
from tests.dashboards.steel_figures import DAY, WITHHELD_DAY

Connection = psycopg.Connection[Any]


def overview(connection: Connection, site: str, t: str | None = None) -> Overview:
    known = load_site(connection, site)
    assert known is not None
    return load_overview(connection, known, parse_overview(t))


def enpi(
    connection: Connection, site: str, t: str | None = None, month: str | None = None
) -> EnpiPage:
    known = load_site(connection, site)
    assert known is not None
    return load_enpi(connection, known, known.indicators[0], parse_enpi(t, month))


def test_the_first_site_is_a_site_that_exists(connection: Connection) -> None:
    assert first_site(connection) in ("steel", "glycerine")
    assert load_site(connection, "nowhere") is None


def test_the_overview_opens_on_the_last_complete_day(connection: Connection) -> None:
    page = overview(connection, "steel")
    assert page.kind == "day"
    assert page.period_from == DAY
    assert page.defaulted
    assert not page.in_progress
    assert page.previous == WITHHELD_DAY
    assert page.electricity is not None
    stored = connection.execute(
        "SELECT amount FROM energy_period WHERE period_kind = 'day' AND period_from = %s", (DAY,)
    ).fetchone()
    assert stored is not None
    assert page.electricity.amount_kwh == pytest.approx(stored[0])
    assert page.electricity.estimated_share == pytest.approx(0.056)


def test_the_load_is_the_intervals_advance_at_their_scale(connection: Connection) -> None:
    load = overview(connection, "steel").load
    assert load is not None
    assert load.minutes == 1440
    assert load.peak is not None
    assert (load.peak.minute, load.peak.kw) == (600, pytest.approx(9884.0))
    assert load.missing == [(180.0, 225.0)]
    assert [i.minute for i in load.intervals if i.estimated] == [855, 870, 885, 900, 915]


def test_a_withheld_day_has_no_intensity_and_says_why(connection: Connection) -> None:
    figure = overview(connection, "steel", WITHHELD_DAY.isoformat()).figure
    assert figure is not None
    assert figure.intensity is None
    assert figure.withheld_code == "output_missing"


def test_a_plant_without_meters_shows_its_last_month(connection: Connection) -> None:
    page = overview(connection, "glycerine")
    assert page.kind == "month"
    assert page.period_from == dt.date(2026, 1, 1)
    assert page.load is None
    assert page.electricity is None
    assert page.figure is not None
    assert page.figure.intensity == pytest.approx(15.83, abs=0.01)
    assert page.figure.target_intensity == pytest.approx(16.59, abs=0.01)


def test_the_live_state_scales_the_latest_power(connection: Connection) -> None:
    live = overview(connection, "steel").live
    assert [(p.value, p.unit) for p in live.power] == [(pytest.approx(412.0), "kW")]
    assert [a.state for a in live.alerts] == ["firing"]
    assert [g.agent_id for g in live.gateways] == ["steel-gw1"]


def test_a_rule_of_many_things_is_named_by_those_that_fire(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute(
            "WITH rule AS (INSERT INTO alert_rule (site_id, code) SELECT site_id, 'silent'"
            "  FROM site WHERE code = 'steel' RETURNING alert_rule_id), said AS ("
            " INSERT INTO alert_rule_record (alert_rule_id, name_zh, name_en, kind, comparison,"
            "  threshold, severity, origin, valid_from, author, reason, commit_no)"
            "  SELECT alert_rule_id, '表计无数据', 'Meter silent', 'silent', 'above', 300, 'note',"
            "  'preset', '2026-01-01', 'test', 'test', 1 FROM rule)"
            " INSERT INTO alert_state (alert_rule_id, subject, subject_zh, subject_en, unit, state,"
            "  since, value, threshold, evaluated_at) SELECT alert_rule_id, c, c, c, 's', s, now(),"
            "  400, 300, now() FROM rule, (VALUES ('a', 'firing'), ('b', 'ok'), ('c', 'pending'))"
            "  x(c, s)"
        )
        live = overview(connection, "steel").live
    found = [(a.name_en, a.state, a.unit) for a in live.alerts if a.code == "silent"]
    assert found == [("Meter silent · a", "firing", "s"), ("Meter silent · c", "pending", "s")]


def test_performance_opens_on_the_latest_year(connection: Connection) -> None:
    page = enpi(connection, "steel")
    assert page.year == 2025
    assert page.years == [2024, 2025]
    assert [m.figure is not None for m in page.months] == [True] * 9 + [False] * 3
    assert page.months[4].figure is not None
    assert page.months[4].figure.status == "withheld"
    assert page.months[4].base_intensity == pytest.approx(90.2)  # a withheld month keeps its base
    assert page.months[11].base_intensity == pytest.approx(93.9)
    assert page.year_to_date is not None
    assert page.year_to_date.period_to == dt.date(2025, 10, 1)
    assert page.target is not None
    assert page.target.target_class == "internal"


def test_the_path_falls_by_the_rate_and_knows_which_years_are_whole(connection: Connection) -> None:
    path = enpi(connection, "glycerine").path
    assert [step.year for step in path] == [2024, 2025, 2026, 2027]
    assert path[0].base
    assert [step.closed for step in path] == [True, True, False, False]
    first, second = path[0].target_intensity, path[1].target_intensity
    assert first is not None
    assert second == pytest.approx(first * 0.96)


def test_an_end_value_gives_the_same_path_as_its_rate() -> None:
    target = Target(
        base_from=dt.date(2024, 1, 1), base_to=dt.date(2025, 1, 1), end_to=dt.date(2028, 1, 1),
        annual_rate=None, end_value=100 * 0.96**3, target_class="assigned", authority="city",
        document=None,
    )  # fmt: skip
    path = target_path(100.0, target)
    assert path == pytest.approx({2024: 100.0, 2025: 96.0, 2026: 92.16, 2027: 88.4736})


def test_the_days_of_a_chosen_month(connection: Connection) -> None:
    page = enpi(connection, "steel", "2025", "2025-09")
    assert len(page.days) == 13
    assert page.days[11].withheld_code == "output_missing"


def test_models_go_over_the_wire_without_nan(connection: Connection) -> None:
    for model in (overview(connection, "steel"), enpi(connection, "glycerine")):
        text = msgspec.json.encode(model)
        assert b"NaN" not in text
        assert msgspec.json.decode(text)["site"]["code"] in ("steel", "glycerine")


@pytest.mark.parametrize(
    ("t", "expected"),
    [
        (None, OverviewFilters()),
        ("yesterday", OverviewFilters()),
        ("2025-09-13", OverviewFilters(day=dt.date(2025, 9, 13))),
        ("2025-09", OverviewFilters(month=dt.date(2025, 9, 1))),
        ("2025-02-30", OverviewFilters(misread="2025-02-30")),
        ("<script>", OverviewFilters(misread="<script>")),
    ],
)
def test_addresses_of_the_overview(t: str | None, expected: OverviewFilters) -> None:
    assert parse_overview(t) == expected


def test_addresses_of_performance() -> None:
    assert parse_enpi(None, None) == EnpiFilters()
    assert parse_enpi("2025", None) == EnpiFilters(year=2025)
    chosen = EnpiFilters(year=2024, month=dt.date(2024, 3, 1))
    assert parse_enpi("2025", "2024-03") == chosen  # a month leads to its own year
    assert parse_enpi("soon", None).misread == "soon"
    assert parse_enpi("2025", "2025-13").misread == "2025-13"
