"""Load, cost, flow, waste, quality, closing, output, retrofits, alerts: by typed-in figures."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from typing import Any, get_args

import msgspec
import pytest
from playwright.sync_api import expect

from dashboards.portal.live import LiveTask
from dashboards.portal.page import Visit
from dashboards.portal.pages.alerts.model import load_alerts
from dashboards.portal.pages.alerts.words import against, limit_text
from dashboards.portal.pages.closing.model import load_closing
from dashboards.portal.pages.cost.model import load_cost
from dashboards.portal.pages.cost.words import line_name
from dashboards.portal.pages.flow.model import Band, Medium, bands_of_month, load_flow
from dashboards.portal.pages.flow.view import flow_option
from dashboards.portal.pages.load.model import load_load
from dashboards.portal.pages.load.view import curve_option
from dashboards.portal.pages.meter.model import Register, compare_display, load_meter
from dashboards.portal.pages.meter.replacing import read_replacement, replacement_lines
from dashboards.portal.pages.output.model import load_output
from dashboards.portal.pages.quality.model import load_quality
from dashboards.portal.pages.retrofits.model import load_retrofits
from dashboards.portal.pages.settings.model import load_settings
from dashboards.portal.pages.waste.model import fold_excess, load_waste
from dashboards.portal.points import Point
from dashboards.portal.site import Site, load_site
from dashboards.portal.usual import usual_range
from enpilot.text import Language
from tests.dashboards.mill import KGCE_PER_KWH, MAIN_KWH, PEAK, ZONE
from tests.dashboards.test_browser import browser, screenshots, visit  # noqa: F401  # fixtures

MONTH = "2025-09"
DAY = dt.timedelta(days=1)
replace = msgspec.structs.replace


@pytest.fixture
def mill(connection: Any) -> Site:
    known = load_site(connection, "mill")
    assert known is not None
    return known


def looking(site: Site, language: Language = "zh") -> Visit:
    return Visit(language=language, site=site, path="/s/mill/x", query={}, live=LiveTask(None))  # type: ignore[arg-type]  # nothing is read


def asking_visit(site: Site, query: dict[str, str]) -> Visit:
    return Visit(
        language="en", site=site, path="/s/mill/metering/main", query=query, live=LiveTask(None)
    )  # type: ignore[arg-type]  # nothing is read


def words(markup: str) -> str:
    return re.sub(r"<[^>]*>", "", markup)


def test_the_months_peak_and_who_ran_then(connection: Any, mill: Site) -> None:
    page = load_load(connection, mill, MONTH, None)
    assert page is not None
    first = page.peaks[0]
    assert (first.kw, first.at) == (pytest.approx(300.0), PEAK)
    assert [(p.code, round(p.kw)) for p in first.parts] == [("rolling", 180), ("air", 75)]
    assert page.day.first == PEAK.date()  # of a month the day of its peak is shown
    assert page.declared_kw == 280.0
    assert page.mean_kw == pytest.approx(MAIN_KWH / 720)
    assert len(page.sorted_kw) == 30 * 96
    assert page.sorted_kw[:2] == [pytest.approx(300.0), pytest.approx(200.0)]
    assert page.usual is not None
    assert page.usual.days == 5  # the workdays before it; Mondays and weekends are not like it
    later = load_load(connection, mill, "2025-09-25", None)
    assert later is not None
    assert later.usual is not None
    assert later.usual.middle[40] == pytest.approx(200.0)
    option = curve_option(later, looking(mill))
    assert [s.get("stack") for s in option["series"]] == ["usual", "usual", None]
    sub = load_load(connection, mill, MONTH, "air")
    assert sub is not None
    assert sub.peaks[0].kw == pytest.approx(75.0)
    assert sub.declared_kw is None  # the contract is the whole site's
    assert load_load(connection, mill, MONTH, "nothing") is None


def test_usual_is_of_like_days_only_and_withholds_too_few() -> None:
    first = dt.date(2025, 9, 1)
    days: dict[dt.date, list[float | None]] = {
        first + dt.timedelta(days=i): [float(i)] * 96 for i in range(12)
    }
    kinds = {d: "workday" if d.day % 2 else "saturday" for d in days} | {
        dt.date(2025, 9, 13): "workday"
    }
    usual = usual_range(days, dt.date(2025, 9, 13), kinds)
    assert usual is not None
    assert (usual.days, usual.middle[0]) == (6, 5.0)  # of 0, 2, 4, 6, 8, 10
    assert (
        usual_range(days, dt.date(2025, 9, 8), dict.fromkeys(days, "x") | {first: "y"}) is not None
    )
    assert usual_range(days, dt.date(2025, 9, 4), dict.fromkeys(days, "x")) is None
    short = {d: v[:92] for d, v in days.items()}  # clocks change: not comparable
    assert usual_range(short, dt.date(2025, 9, 13), kinds) is None


def test_the_bill_line_by_line_beside_its_invoice(connection: Any, mill: Site) -> None:
    page = load_cost(connection, mill, MONTH, None)
    assert page is not None
    assert page.bill is not None
    lines = page.bill.lines
    total = sum(float(line.amount_yuan or 0) for line in lines)
    assert total == pytest.approx(70427.30)
    assert page.bill.cost_yuan == pytest.approx(total)
    assert [line_name("zh", line) for line in lines] == [
        "电度电费 · 平", "基本电费（按实际需量）", "力调电费（标准 0.90）",
    ]  # fmt: skip
    assert line_name("en", lines[0]) == "Energy charge · flat"
    assert page.invoice is not None
    assert (page.invoice.number, page.invoice.differences[0].invoiced) == ("INV-9", "93000")
    assert page.months[0].invoiced_yuan == pytest.approx(71900.0)
    assert load_cost(connection, mill, MONTH, "none") is None


def test_the_flow_adds_up_and_leaves_what_no_sub_meter_counts(connection: Any, mill: Site) -> None:
    page = load_flow(connection, mill, MONTH)
    whole = MAIN_KWH * KGCE_PER_KWH / 1000
    by_end = {(b.source[0], b.target[0]): b for b in page.bands}
    assert by_end["m", "p"].tce == pytest.approx(whole)
    assert by_end["p", "r"].amount == pytest.approx(MAIN_KWH * 0.15)
    main = by_end["m", "p"].target
    below = sum(b.tce for b in page.bands if b.source == main)
    assert below == pytest.approx(whole)  # a main meter's energy goes somewhere, all of it
    assert [b.status for b in page.balances] == ["remainder"]
    option = flow_option(page, looking(mill))
    names = {n["name"] for n in option["series"][0]["data"]}
    assert names == {b.source for b in page.bands} | {b.target for b in page.bands}


def test_sub_meters_that_count_more_leave_no_negative_band() -> None:
    points = [
        Point(point_id=i, code=str(i), name_zh="", name_en="", medium="electricity", role=role,
              direction="import", parent_point_id=parent, quantity="active_energy", series_id=i)
        for i, role, parent in ((1, "boundary", None), (2, "sub", 1))
    ]  # fmt: skip
    factor = {"electricity": Medium(medium="electricity", kgce_per_unit=1.0, unit="kWh",
                                    verified=True)}  # fmt: skip
    bands = bands_of_month(points, {1: 10.0, 2: 12.0}, factor)
    assert [(b.source, b.target) for b in bands] == [("m:electricity", "p:1"), ("p:1", "p:2")]
    assert bands_of_month(points, {1: 10.0}, {}) == []
    left = bands_of_month(points, {1: 10.0}, factor)
    assert left[-1] == Band(source="p:1", target="r:1", tce=0.01, amount=10.0, unit="kWh")


def test_waste_is_in_the_order_of_its_money_and_meters_stand_apart(
    connection: Any, mill: Site
) -> None:
    page = load_waste(connection, mill, "open", None)
    assert [w.kind for w in page.wastes] == ["closed_hours_load", "profile_exceeded"]
    assert [w.kind for w in page.meters] == ["meter_stuck"]
    assert page.evidence is not None
    assert page.evidence.curve is not None
    assert page.evidence.curve.total == pytest.approx(7 * 3040 * 0.25)  # the last week is drawn
    assert load_waste(connection, mill, "done", None).wastes == []
    assert load_waste(connection, mill, "open", "99999").unknown == "99999"


def test_one_excess_on_main_and_sub_meter_is_one(connection: Any, mill: Site) -> None:
    found = load_waste(connection, mill, "open", None).wastes
    sub = next(w for w in found if w.kind == "profile_exceeded")
    main = replace(sub, waste_id=1, point_id=1, point="main")
    parents = {1: None, sub.point_id: 1}
    folded = fold_excess([sub, main], parents)
    assert [(w.point, w.also) for w in folded] == [("main", ["rolling"])]
    later = replace(main, measured_from=sub.measured_to, measured_to=sub.measured_to + DAY)
    assert len(fold_excess([sub, later], parents)) == 2  # another time is another excess
    other = replace(main, kind="closed_hours_load")
    assert len(fold_excess([sub, other], parents)) == 2


def test_quality_marks_the_poor_day_and_lists_what_awaits(connection: Any, mill: Site) -> None:
    page = load_quality(connection, mill, MONTH)
    air = next(m for m in page.meters if m.point.code == "air")
    poor = [d for d in air.days.values() if d.completeness is not None and d.completeness < 0.9]
    assert [d.day for d in poor] == [dt.date(2025, 9, 12)]
    assert {f.code for f in page.findings} == {"gap", "invoice_differs"}
    assert [(c.state, c.author) for c in page.corrections] == [("proposed", "zhang")]
    assert page.index is not None
    assert page.index.index_share == 0.75


def test_closing_says_what_stands_against_it(connection: Any, mill: Site) -> None:
    page = load_closing(connection, mill, MONTH)
    assert (page.state.action, page.over) == (None, True)
    assert [m.days for m in page.missing] == [[dt.date(2025, 9, 5)]]
    assert page.blocking == 2  # a day without output, an invoice that differs
    by_medium = {row.medium: row for row in page.ledger}
    assert by_medium["electricity"].energy == pytest.approx(MAIN_KWH * KGCE_PER_KWH)
    assert by_medium["diesel"].entered == {"purchase": 2.0}
    assert by_medium["diesel"].source == "none"
    assert [(p.invoice, p.invoiced_yuan) for p in page.paid] == [("INV-9", 71900.0)]
    signed = load_closing(connection, mill, "2025-08")
    assert (signed.state.action, [s.action for s in signed.steps]) == (
        "closed", ["prepared", "closed"],
    )  # fmt: skip
    # Of a plant that signs, the oldest open month is shown.
    assert load_closing(connection, mill, None).month.text() == MONTH


def test_output_outlines_the_shift_that_nobody_entered(connection: Any, mill: Site) -> None:
    page = load_output(connection, mill, MONTH, None, None, None, edit=False)
    assert page is not None
    assert [(c.begin, c.end) for c in page.columns] == [
        ("00:00", "08:00"), ("08:00", "16:00"), ("16:00", "00:00"),
    ]  # fmt: skip
    assert [k for k, c in page.cells.items() if c.missing] == ["2025-09-05|l1|00:00|08:00"]
    assert float(page.good_total or 0) == 89 * 6.5
    assert load_output(connection, mill, MONTH, "none", None, None, edit=False) is None


def test_a_retrofit_with_what_was_promised_and_what_is_verified(
    connection: Any, mill: Site
) -> None:
    page = load_retrofits(connection, mill, None)
    assert page is not None
    assert page.chosen is not None
    result = page.chosen.span("reporting")
    assert result is not None
    assert (result.saving, page.periods[-1].cumulative_saving) == (2788.0, 2788.0)
    assert page.model is not None
    assert page.model.usability == "usable"
    assert load_retrofits(connection, mill, "none") is None


def test_alerts_with_their_figures_and_presets_that_do_not_apply(
    connection: Any, mill: Site
) -> None:
    page = load_alerts(connection, mill)
    assert [(a.rule, a.state, a.value) for a in page.open] == [("main-high", "firing", 300.0)]
    assert against("zh", page.open[0]) == "300.0 kW，限值 250.0 kW"
    assert [p.reason_en for p in page.presets] == ["no PV"]
    assert [(c.channel, c.state, c.error, c.not_taken) for c in page.channels] == [
        ("robot", "retry", "refused: no keyword", 0),
        ("mail", "sent", None, 0),
    ]


@pytest.mark.parametrize(
    ("kind", "limit", "watch", "zh", "en"),
    [
        ("threshold", 500.0, {}, "高于 500", "above 500"),
        ("finding", 0.0, {}, "一经发现", "as soon as it is found"),
        ("finding", 3.0, {"measure": "working_days"}, "超过 3 个工作日未处理",
         "open for more than 3 working days"),
        ("deadline", 30.5, {}, "到期前 30 天", "30 days before"),
        ("silent", 300.0, {}, "5.0 分钟没有消息", "nothing for 5.0 min"),
        ("cost", 25.0, {"measure": "deviation"}, "高于 25%", "above 25%"),
        ("enpi", 1.2, {"measure": "intensity"}, "高于 1.20", "above 1.20"),
        ("demand", 100.0, {"of_contract": True}, "预计超过合同需量的 100%",
         "forecast above 100% of the contract"),
    ],
)  # fmt: skip
def test_each_kind_of_rule_in_words(
    kind: str, limit: float, watch: dict[str, Any], zh: str, en: str
) -> None:
    assert limit_text("zh", kind, "above", limit, watch) == zh
    assert limit_text("en", kind, "above", limit, watch) == en


@pytest.mark.parametrize(
    ("display", "agrees", "factor"),
    [
        (1000.0, True, None),
        (1000.9, True, None),  # the display shows fewer digits
        (40000.0, False, 40.0),  # the ratio was taken twice
        (-1000.0, False, -1.0),  # the other way round
        (100.0, False, 0.1),
        (1234.0, False, None),
    ],
)
def test_a_display_beside_its_register(display: float, agrees: bool, factor: float | None) -> None:
    register = Register(
        series_id=1, quantity="active_energy", channel="total", at=dt.datetime.now(ZONE),
        value=40000.0, unit="kWh", quality=0, counter=True, scale=40.0, register_scale=1.0,
        ratio=40.0, period_s=900,
    )  # fmt: skip
    found = compare_display(register, display)
    assert found is not None
    assert (found.level, found.agrees) == (1000.0, agrees)
    assert found.factor == (None if factor is None else pytest.approx(factor))


def test_a_replacement_becomes_lines_of_the_plant_file(connection: Any, mill: Site) -> None:
    page = load_meter(connection, mill, "main", None, None)
    assert page is not None
    query = {"device": "meter-new", "serial": 'S"7', "at": "2025-09-20T10:30",
             "closing": "98,500,123", "opening": "0"}  # fmt: skip
    new = read_replacement(asking_visit(mill, query))
    assert new is not None
    told = tomllib.loads(replacement_lines(page, page.installations[0], new))
    assert told["device"][0]["serial"] == 'S"7'
    old, fresh = told["installation"]
    assert (old["device"], fresh["device"]) == ("meter-main", "meter-new")
    assert old["to"] == fresh["from"] == dt.datetime(2025, 9, 20, 10, 30, tzinfo=ZONE)
    assert old["registers"][0]["closing"] == "98500123"
    assert fresh["ct_ratio"] == "40"
    for wrong in ({"at": "soon"}, {"closing": "much"}, {"device": "A b"}):
        assert read_replacement(asking_visit(mill, query | wrong)) is None


def test_settings_name_every_change(connection: Any, mill: Site) -> None:
    page = load_settings(connection, mill)
    assert [t.authority for t in page.targets] == ["市发改委"]
    assert [(c.author, c.about["point"]) for c in page.changes] == [("tester", 3)]


EXPECTED = {  # what must be read on each page, zh and en
    "load?t=2025-09": ("300 kW", "300 kW"),
    "cost?t=2025-09": ("7.04 万元", "CNY 70,427"),
    "flow?t=2025-09": ("11.21 tce", "11.21 tce"),
    "waste": ("6,789", "CNY 6,789"),
    "quality?t=2025-09": ("2 块每天都够完整", "2 of 3 meters"),
    "closing?t=2025-09": ("阻碍签字", "stand against signing"),
    "output?t=2025-09": ("1 格未录入", "1 cell missing"),
    "retrofits": ("11.15 tce/年", "11.15 tce a year"),
    "alerts": ("1 项告警", "1 firing"),
    "alerts/main-high": ("进线功率过高", "Feeder power high"),
    "metering/main?shown=1000": ("已验收", "accepted"),
    "reports": ("1 份", "1 signed"),
    "settings": ("市发改委", "市发改委"),
}


@pytest.mark.browser
@pytest.mark.parametrize("language", get_args(Language))
@pytest.mark.parametrize("path", EXPECTED)
def test_each_page_in_the_browser(
    visit: Any,  # noqa: F811  # a fixture
    screenshots: Any,  # noqa: F811  # a fixture
    path: str,
    language: Language,
) -> None:
    joined = "&" if "?" in path else "?"
    size = (1280, 900) if language == "zh" else (390, 844)  # English on the phone
    page = visit(f"/s/mill/{path}{joined}lang={language}", size=size)
    expect(page.locator("main.page")).to_contain_text(EXPECTED[path][language == "en"])
    name = re.sub(r"\W+", "-", path)
    page.screenshot(path=screenshots / f"mill-{name}-{language}.png")
