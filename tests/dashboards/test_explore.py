"""The explorer's courses: on their grid, gaps as gaps, never more than can be seen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.portal.live import LiveTask
from dashboards.portal.markup import plain
from dashboards.portal.page import Visit
from dashboards.portal.pages.explore import drawing
from dashboards.portal.pages.explore.filters import step_of
from dashboards.portal.pages.explore.model import ExplorePage, load_explore
from dashboards.portal.pages.explore.words import opening
from dashboards.portal.period import Period
from dashboards.portal.points import load_points
from dashboards.portal.site import Site, load_site
from dashboards.portal.tracks import (
    STEP_S,
    Course,
    Step,
    find_track,
    grid_of,
    load_course,
    load_tracks,
)
from tests.dashboards.steel_figures import DAY, ZONE

Connection = psycopg.Connection[Any]


@pytest.fixture
def steel(connection: Connection) -> Site:
    site = load_site(connection, "steel")
    assert site is not None
    return site


@pytest.fixture
def undone(connection: Connection) -> Iterator[Connection]:
    """A connection whose changes nobody else ever sees."""
    with connection.transaction(force_rollback=True):
        yield connection


def _page(connection: Connection, site: Site, **asked: str) -> ExplorePage:
    return load_explore(connection, site, asked)


def _visit(site: Site) -> Visit:
    return Visit(language="en", site=site, path="/s/steel/explore", query={},
                 live=LiveTask(None))  # type: ignore[arg-type]  # nothing is watched  # fmt: skip


def _course(connection: Connection, site: Site, code: str, period: Period, step: Step) -> Course:
    points = load_points(connection, site)
    track = find_track(load_tracks(connection, site, points), code)
    assert track is not None
    return load_course(connection, site, points, track, grid_of(site, period, step))


def test_a_day_is_its_quarter_hours_and_what_is_missing_stays_missing(
    connection: Connection, steel: Site
) -> None:
    page = _page(connection, steel, series="main", t=DAY.isoformat())
    course = page.chosen[0].course
    assert (page.step, course.unit, len(course.values)) == ("15min", "kW", 96)
    assert course.values[12:15] == [None, None, None]
    assert course.values[40] == pytest.approx(9884.0)
    assert [i for i, guessed in enumerate(course.estimated) if guessed] == list(range(57, 62))
    data = drawing.lines_option(page, _visit(steel))["series"][0]["data"]
    assert [pair[1] for pair in data if 3.0 < pair[0] < 3.75] == [None] * 4


def test_days_are_what_the_engine_computed_for_them_and_the_running_one_is_open(
    connection: Connection, steel: Site
) -> None:
    page = _page(connection, steel, series="main", t="2025-09-01..2025-09-14", step="day")
    values = page.chosen[0].course.values
    assert page.chosen[0].course.unit == "kWh/d"
    assert values[:13] == [58_000.0 + 450.0 * number for number in range(1, 14)]
    assert values[13] is None


@given(st.integers(1, 1100), st.sampled_from([None, "15min", "hour", "day"]))
def test_no_series_has_more_points_than_can_be_seen(days: int, asked: Step | None) -> None:
    first = dt.date(2025, 1, 1)
    period = Period(kind="span", first=first, end=first + dt.timedelta(days=days))
    step = step_of("lines", period, asked)
    assert days * 86400 // STEP_S[step] <= (1500 if asked is None else 3000)
    if asked is not None:
        assert STEP_S[step] >= STEP_S[asked]


def test_a_grid_is_true_time_and_a_day_the_sites_own() -> None:
    berlin = Site(
        site_id=1, code="b", name_zh="", name_en="", timezone="Europe/Berlin",
        demonstration_zh=None, demonstration_en=None, metered=True, data_version=1,
        data_through=None, code_version=None, now=dt.datetime(2025, 11, 1, tzinfo=dt.UTC),
    )  # fmt: skip
    long = Period(kind="day", first=dt.date(2025, 10, 26), end=dt.date(2025, 10, 27))
    hours = grid_of(berlin, long, "hour")
    assert len(hours.starts) == 25
    assert {b.timestamp() - a.timestamp() for a, b in zip(hours.starts, hours.starts[1:],
                                                          strict=False)} == {3600.0}  # fmt: skip
    around = Period(kind="span", first=dt.date(2025, 10, 25), end=dt.date(2025, 10, 28))
    assert [s.hour for s in grid_of(berlin, around, "day").starts] == [0, 0, 0]


def test_series_are_found_by_code_and_name_and_what_is_not_is_said(
    connection: Connection, steel: Site
) -> None:
    page = _page(connection, steel, series="main,nothing,MAIN.active_power.total", t="2025-09-13")
    assert page.codes == ["main", "main.active_power.total"]
    assert page.unknown == ["nothing"]
    # Nothing is known of the power: it takes no axis.
    assert [c.axis for c in page.chosen] == [0, None]
    name = page.chosen[0].course.track.name_zh
    assert _page(connection, steel, add=name).codes == ["main"]
    assert [t.code for t in page.others["main"] if t.code == "main"] == []


def test_the_period_beside_lies_on_the_same_steps(connection: Connection, steel: Site) -> None:
    page = _page(connection, steel, series="main", t="2025-09-13", cmp="previous")
    before = page.chosen[0].before
    assert page.other is not None
    assert page.other.text() == "2025-09-12"
    assert before is not None
    assert len(before.values) == len(page.starts)
    months = _page(connection, steel, series="main", t="2025-10", cmp="previous", step="day")
    assert months.chosen[0].before is not None
    assert len(months.chosen[0].before.values) == 31
    assert months.chosen[0].before.values[30] is None  # September has no 31st


def test_output_lies_evenly_inside_what_was_booked(undone: Connection, steel: Site) -> None:
    def book(quantity: str, since: dt.datetime, until: dt.datetime, kind: str = "good") -> None:
        undone.execute(
            "INSERT INTO output (site_id, product_id, stage, disposition, quantity, from_ts, to_ts,"
            " booked_at, source, synthetic, batch, author, reason, commit_no) SELECT site_id,"
            " product_id, 'qualified', %s, %s, %s, %s, now(), 'test', true, 1, 't', 't', 1"
            " FROM product WHERE site_id = %s LIMIT 1",
            (kind, quantity, since, until, steel.site_id),
        )

    code = undone.execute(
        "SELECT code FROM product WHERE site_id = %s", (steel.site_id,)
    ).fetchone()
    assert code is not None
    midnight = dt.datetime(2031, 3, 3, tzinfo=ZONE)
    hour = dt.timedelta(hours=1)
    book("80", midnight, midnight + 8 * hour)
    book("8", midnight, midnight + 8 * hour, "scrap")
    book("160", midnight + 8 * hour, midnight + 24 * hour)
    book("300", midnight + 24 * hour, midnight + 96 * hour)
    book("50", midnight + 96 * hour, midnight + 108 * hour)
    period = Period(kind="span", first=dt.date(2031, 3, 3), end=dt.date(2031, 3, 8))
    days = _course(undone, steel, f"output.{code[0]}", period, "day")
    assert days.values == [pytest.approx(240.0), *[pytest.approx(100.0)] * 3, None]
    assert days.estimated[:4] == [False, True, True, True]
    hours = _course(undone, steel, f"output.{code[0]}", period, "hour")
    assert (hours.unit, hours.values[0], hours.values[9]) == ("t/h", 10.0, 10.0)
    assert hours.values[108] is None


def test_a_gauge_is_the_mean_of_its_readings_scaled(undone: Connection, steel: Site) -> None:
    row = undone.execute(
        "SELECT series_id FROM series JOIN point USING (point_id) WHERE quantity = 'active_power'"
        " AND series.channel = 'total' AND series.site_id = %s AND code = 'main'", (steel.site_id,)
    ).fetchone()  # fmt: skip
    assert row is not None
    midnight = dt.datetime(2025, 9, 10, tzinfo=ZONE)
    for minute, raw in ((0, 100), (1, 300), (16, 50), (1439, 1000)):
        undone.execute(
            "INSERT INTO reading VALUES (%s, %s, %s, NULL, 0, 0, 1)",
            (midnight + dt.timedelta(minutes=minute), row[0], raw),
        )
    period = Period(kind="day", first=midnight.date(), end=midnight.date() + dt.timedelta(days=1))
    quarters = _course(undone, steel, "main.active_power.total", period, "15min")
    assert quarters.values[:3] == [pytest.approx(200 * 0.04), pytest.approx(50 * 0.04), None]
    day = _course(undone, steel, "main.active_power.total", period, "day")
    assert day.values == [pytest.approx((100 + 300 + 50 + 1000) / 4 * 0.04)]
    assert day.unit == "kW"


def test_the_other_forms_draw_what_is_known(connection: Connection, steel: Site) -> None:
    visit = _visit(steel)
    heat = _page(connection, steel, series="main", t="2025-09-13", form="heat")
    # The hour that lacks three quarters is not drawn as if it were low.
    assert len(drawing.heat_option(heat, visit)["series"][0]["data"]) == 23
    duration = _page(connection, steel, series="main", t="2025-09-13", form="duration")
    points = drawing.duration_option(duration, visit)["series"][0]["data"]
    assert points[0] == [0, 9884.0]
    assert [p[1] for p in points] == sorted((p[1] for p in points), reverse=True)
    days = _page(connection, steel, series="main", t="2025-08-01..2025-09-30", form="scatter")
    along = msgspec.structs.replace(
        days.chosen[0].course, values=[float(i) for i in range(len(days.starts))]
    )
    series = drawing.scatter_option(msgspec.structs.replace(days, across=along), visit)["series"]
    assert [len(s["data"]) for s in series] == [0, 13]
    assert series[0]["itemStyle"]["opacity"] < series[1]["itemStyle"]["opacity"]


def test_a_value_alone_between_gaps_is_seen() -> None:
    values: list[float | None] = [None] * 500
    values[7] = 5.0
    drawn = [p for p in drawing.course_points(values, 1.0) if p[1] is not None]
    assert drawn == [[7, 5.0], [8, 5.0]]


def test_periods_are_compared_over_the_steps_that_both_know(
    connection: Connection, steel: Site
) -> None:
    page = _page(connection, steel, series="main", t="2025-09-10..2025-09-19", step="day",
                 cmp="previous")  # fmt: skip
    said = plain(opening("en", page))
    # Known in both: the 11th to the 13th, and the 1st to the 3rd that lie beside them.
    assert "2025-08-31–2025-09-09 over the same steps 58,900 kWh/d (+7.6%)" in said


def test_an_interval_in_which_the_scale_changes_is_one_interval(
    undone: Connection, steel: Site
) -> None:
    noon = dt.datetime.combine(DAY, dt.time(12), ZONE)
    changed = noon + dt.timedelta(minutes=7)
    row = undone.execute(
        "UPDATE series_epoch SET valid_to = %s WHERE epoch_id = (SELECT epoch_id"
        " FROM interval_advance JOIN series USING (series_id) WHERE ts = %s AND site_id = %s)"
        " RETURNING series_id", (changed, noon, steel.site_id)
    ).fetchone()  # fmt: skip
    assert row is not None
    undone.execute(
        "WITH new AS (INSERT INTO series_epoch (series_id, raw_type, register_scale, unit,"
        " counter_kind, origin, valid_from, author, reason, commit_no) VALUES (%s, 'uint32', 0.8,"
        " 'kWh', 'lifetime', 'human', %s, 't', 't', 1) RETURNING epoch_id)"
        " INSERT INTO interval_advance SELECT %s, %s, epoch_id, 100000000, 0, 480, 480, true, 4711"
        " FROM new",
        (row[0], changed, row[0], noon),
    )
    undone.execute("DELETE FROM interval_advance WHERE ts = %s", (noon + dt.timedelta(minutes=15),))
    period = Period(kind="day", first=DAY, end=DAY + dt.timedelta(days=1))
    quarters = _course(undone, steel, "main", period, "15min")
    assert quarters.values[48] == pytest.approx(250.0 + 100 * 0.8 * 4)
    # Three quarters make no hour, though there are four rows of it.
    assert _course(undone, steel, "main", period, "hour").values[12] is None
