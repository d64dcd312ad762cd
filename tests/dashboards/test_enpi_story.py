"""Why the year went as it did: forecast, split, CUSUM, and the way down to raw readings."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import msgspec
import psycopg
import pytest
from playwright.sync_api import expect

from dashboards.portal.pages.enpi import why, year_charts
from dashboards.portal.pages.enpi.filters import parse_enpi
from dashboards.portal.pages.enpi.model import EnpiPage, load_enpi
from dashboards.portal.pages.enpi.story import Event
from dashboards.portal.pages.readings.model import load_readings, parse_span
from dashboards.portal.site import Site, load_site
from tests.dashboards.steel_figures import DAY
from tests.dashboards.test_browser import browser, visit  # noqa: F401  # fixtures

Connection = psycopg.Connection[Any]
replace = msgspec.structs.replace


def site(connection: Connection, code: str) -> Site:
    known = load_site(connection, code)
    assert known is not None
    return known


def page(connection: Connection, code: str, *asked: str | None) -> EnpiPage:
    known = site(connection, code)
    return load_enpi(connection, known, known.indicators[0], parse_enpi(*asked))


def words(markup: str) -> str:
    return re.sub(r"<[^>]*>", "", markup)


def test_the_split_adds_up_to_the_change_of_energy(connection: Connection) -> None:
    shown = page(connection, "glycerine", "2025", None)
    figure = shown.year_to_date
    assert figure is not None
    assert figure.energy is not None
    parts = (figure.volume_effect, figure.mix_effect, figure.efficiency_effect)
    base = connection.execute(
        "SELECT energy FROM enpi_period JOIN site USING (site_id) WHERE code = 'glycerine'"
        " AND period_kind = 'year_to_date' AND period_from = '2024-01-01'"
        " ORDER BY period_to DESC LIMIT 1"
    ).fetchone()
    assert base is not None
    assert sum(p for p in parts if p is not None) == pytest.approx(figure.energy - base[0])
    table = why.split("zh", shown)
    assert 'class="bar good"' in table  # only efficiency has a colour
    assert table.count('class="bar open"') == 2
    assert "只有“效率”算数" in words(table)
    worse = replace(figure, efficiency_effect=abs(figure.efficiency_effect or 0.0))
    assert 'class="bar bad"' in why.split("en", replace(shown, year_to_date=worse))
    without = replace(figure, volume_effect=None, efficiency_effect=None)
    assert "无法分解" in why.split("zh", replace(shown, year_to_date=without))


def test_the_forecast_is_said_with_its_interval_and_odds(connection: Connection) -> None:
    shown = page(connection, "glycerine", "2026", None)
    assert shown.year_end is not None
    held = why.forecast_facts("zh", shown)
    assert held is not None
    if shown.year_end.intensity is None:
        assert "暂缓" in held
    known = replace(
        shown.year_end, intensity=13.0, intensity_lower=12.5, intensity_upper=13.5,
        target_intensity=12.78, probability=0.22, required_code="reachable",
        required_change=-0.031, withheld_code=None,
    )  # fmt: skip
    facts = why.forecast_facts("en", replace(shown, year_end=known))
    assert facts is not None
    said = words(facts)
    assert "12.50–13.50" in said
    assert "22%" in said
    assert "−3.1% · can be reached" in said
    option = year_charts.path_option("zh", replace(shown, year_end=known))
    band = option["series"][3]["data"]
    index = [s.year for s in shown.path].index(2026)
    assert band[index] == pytest.approx(1.0)
    ahead = year_charts.to_date_option("zh", replace(shown, year_end=known))["series"][3]["data"]
    assert ahead[11] == pytest.approx(13.0)


def test_cusum_and_expected_are_the_databases(connection: Connection) -> None:
    shown = page(connection, "glycerine", "2025", None, None, "normalised")
    assert shown.normalised
    assert shown.baseline is not None
    stored = connection.execute(
        "SELECT period_from, expected, cusum FROM baseline_period"
        " WHERE baseline_id = %s AND period_kind = 'month' AND period_from < '2026-01-01'"
        " AND NOT training ORDER BY 1",
        (shown.baseline.baseline_id,),
    ).fetchall()
    option = year_charts.cusum_option("zh", shown.baseline)
    assert option["series"][0]["data"] == [pytest.approx(row[2]) for row in stored]
    expected = year_charts.expected_option("en", shown, shown.baseline)["series"][2]["data"]
    assert expected == [pytest.approx(row[1]) for row in stored]
    said = words(why.baseline_note("zh", shown.baseline))
    assert "CV(RMSE)" in said
    unusable = replace(shown.baseline, usability="unusable", reasons=["r_squared"])
    assert "解释的波动太少" in words(why.baseline_note("zh", unusable))


def test_an_unusable_baseline_has_no_normalised_view(connection: Connection) -> None:
    connection.execute("BEGIN")
    try:
        connection.execute("UPDATE baseline_model SET usability = 'unusable'")
        assert not page(connection, "glycerine", "2025", None, None, "normalised").normalised
    finally:
        connection.execute("ROLLBACK")


def test_what_moved_the_year_is_told_with_its_evidence(connection: Connection) -> None:
    shown = page(connection, "steel", "2025", None)
    assert [(e.kind, e.at) for e in shown.events] == [("withheld", dt.date(2025, 5, 1))]
    more = [
        Event(kind="shift", at=dt.date(2025, 8, 1), severity="fault", amount=3200.0, unit="kgce"),
        Event(kind="retrofit", at=dt.date(2025, 2, 1), severity="good", name_zh="变频",
              name_en="Drives", amount=-71_000.0, uncertainty=14_000.0, unit="kgce"),
    ]  # fmt: skip
    said = words(why.events_table("en", replace(shown, events=[*more, *shown.events])))
    assert "+3.20 tce a month" in said
    assert "−71.0 ± 14.0 tce" in said
    assert "May withheld" in said


def test_a_day_leads_to_its_meters_and_a_meter_to_its_readings(
    connection: Connection,
    visit: Any,  # noqa: F811
) -> None:
    opened = visit("/s/steel/enpi?t=2025&month=2025-09&lang=en")
    opened.locator("#days a", has_text="13 Sep").click()
    opened.wait_for_url("**day=2025-09-13")
    opened.locator('[data-meter="main"] a').click()
    opened.wait_for_url("**/readings/*")
    expect(opened.locator("h1")).to_contain_text("active energy")


def test_readings_are_the_registers_own_numbers(connection: Connection) -> None:
    known = site(connection, "steel")
    series, ts, raw = connection.execute(
        "SELECT series_id, ts, raw_int FROM reading JOIN series USING (series_id)"
        " WHERE site_id = %s AND raw_int IS NOT NULL ORDER BY ts DESC LIMIT 1",
        (known.site_id,),
    ).fetchone() or (None, None, None)
    if series is None:
        series = connection.execute(
            "SELECT series_id FROM series WHERE site_id = %s LIMIT 1", (known.site_id,)
        ).fetchone()
        assert series is not None
        empty = load_readings(connection, known, str(series[0]), DAY.isoformat())
        assert empty is not None
        assert empty.readings == []
        return
    shown = load_readings(
        connection, known, str(series), ts.astimezone(known.zone).date().isoformat()
    )
    assert shown is not None
    assert (shown.readings[-1].at, shown.readings[-1].raw_int) == (ts, raw)


def test_a_series_of_another_site_is_not_found(connection: Connection) -> None:
    theirs = connection.execute(
        "SELECT series_id FROM series JOIN site USING (site_id) WHERE code = 'steel' LIMIT 1"
    ).fetchone()
    assert theirs is not None
    ours = site(connection, "glycerine")
    assert load_readings(connection, ours, str(theirs[0]), None) is None
    assert load_readings(connection, ours, "abc", None) is None


@pytest.mark.parametrize(
    ("text", "hours"), [("2025-09-13T14:00..16:00", 2), ("2025-09-13", 24), ("2025-09", 720)]
)
def test_spans_are_in_the_sites_zone(connection: Connection, text: str, hours: int) -> None:
    span = parse_span(text, site(connection, "steel"))
    assert span is not None
    assert (span.until - span.since) == dt.timedelta(hours=hours)
    assert span.since.utcoffset() == dt.timedelta(hours=8)
    for wrong in ("2025-09-13T16:00..14:00", "2025-09-13T25:00..26:00", "x"):
        assert parse_span(wrong, site(connection, "steel")) is None
