"""Views in every state, from made-up models: words and chart options are plain data."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from dashboards.portal import charts
from dashboards.portal.live import Alert, Gateway, LiveState, Power
from dashboards.portal.pages.enpi import tables
from dashboards.portal.pages.enpi.chart import monthly_option
from dashboards.portal.pages.enpi.words import opening as enpi_opening
from dashboards.portal.pages.overview import live_parts, parts
from dashboards.portal.pages.overview.view import load_option
from dashboards.portal.pages.overview.words import opening as overview_opening
from enpilot.text import Language
from tests.dashboards.steel_figures import ZONE
from tests.dashboards.test_model import enpi, overview

Connection = psycopg.Connection[Any]
_PORTAL = Path(__file__).parents[2] / "dashboards" / "portal"
_NOW = dt.datetime(2025, 9, 14, 8, 0, tzinfo=dt.UTC)
replace = msgspec.structs.replace


def words(markup: str) -> str:
    return re.sub(r"<[^>]*>", "", markup)


@pytest.mark.parametrize("status", ["on_track", "slow", "behind"])
def test_the_verdict_is_coloured_only_once_the_year_is_over(
    connection: Connection, status: str
) -> None:
    page = enpi(connection, "steel")
    figure = page.year_to_date
    assert figure is not None
    over = replace(page, year_to_date=replace(figure, status=status, provisional=True))
    tone = {"on_track": "good", "slow": "warn", "behind": "bad"}[status]
    assert f"{tone}-text" in enpi_opening("zh", over)
    assert "（未结账，暂定）" in words(enpi_opening("zh", over))
    assert f"judgement {tone}" in tables.judgements("zh", over)
    closed = replace(over, year_to_date=replace(figure, status=status, provisional=False))
    assert "暂定" not in enpi_opening("zh", closed)
    in_december = dt.datetime(2025, 12, 30, tzinfo=dt.UTC)
    running = replace(over, site=replace(page.site, now=in_december))
    assert "-text" not in enpi_opening("zh", running)
    assert "期间未结束，暂定" in enpi_opening("zh", running)
    assert "judgement provisional" in tables.judgements("zh", running)


def test_an_internal_target_says_that_it_carries_no_official_light(connection: Connection) -> None:
    page = enpi(connection, "steel")
    assert "内部目标，不作官方晴雨表" in tables.judgements("zh", page)
    assert "Internal target, no official light" in tables.judgements("en", page)
    assert page.target is not None
    official = replace(page, target=replace(page.target, target_class="official"))
    assert "官方目标" in tables.judgements("zh", official)


def test_the_performance_sentence(connection: Connection) -> None:
    page = enpi(connection, "steel")
    assert words(enpi_opening("zh", page)) == (
        "2025年1–9月累计89.4 kgce/t，比同月份目标高0.2%；"
        "进度比0.99，偏慢（未结账，暂定）。5月暂缓。"
    )
    assert words(enpi_opening("en", page)).startswith("2025, Jan–Sep: 89.4 kgce/t, 0.2% above the")


def test_performance_without_figures_or_target_still_reads(connection: Connection) -> None:
    page = enpi(connection, "steel")
    figure = page.year_to_date
    assert figure is not None
    bare = replace(page, year_to_date=None, target=None, path=[])
    for language in _LANGUAGES:
        assert words(enpi_opening(language, bare))
        assert "class" in tables.judgements(language, bare)
        assert "class" in tables.path_table(language, bare)
    held = replace(figure, intensity=None, status="withheld", withheld_code="made_up",
                   progress_ratio=None, target_intensity=None)  # fmt: skip
    page = replace(page, year_to_date=held)
    assert "made_up" in tables.judgements("zh", page)
    assert "暂缓" in enpi_opening("zh", page)


_LANGUAGES: tuple[Language, ...] = ("zh", "en")


def test_a_withheld_month_keeps_its_place_as_a_hollow_dashed_dot(connection: Connection) -> None:
    page = enpi(connection, "steel")
    in_september = dt.datetime(2025, 9, 20, tzinfo=dt.UTC)
    page = replace(page, site=replace(page.site, now=in_september))
    option = monthly_option("zh", page)
    by_name: dict[str, list[Any]] = {}
    for series in option["series"]:
        by_name.setdefault(series["name"], []).append(series["data"])
    actual = by_name["实际"][0]
    assert actual[4] is None
    assert actual[0]["value"] == pytest.approx(92.9)
    assert actual[6]["label"]["formatter"] == "≈87.4"  # 5.6 % estimated
    bridge, dots = by_name["暂缓"]
    assert dots[4] == pytest.approx((87.5 + 86.7) / 2)
    assert [v is not None for v in bridge][2:7] == [False, True, True, True, False]
    coverage = option["xAxis"][2]["data"]
    assert coverage[4]["value"] == "86%"
    assert coverage[9] == "–"
    bars = by_name["对目标"][0]
    assert bars[0]["itemStyle"]["color"] == "var(--bad)"
    assert bars[2]["itemStyle"]["color"] == "var(--good)"
    assert bars[8]["itemStyle"]["color"] == "var(--prev)"  # not over yet
    assert bars[4] is None


def test_the_months_as_a_table_say_reason_and_action(connection: Connection) -> None:
    table = words(tables.months_table("zh", enpi(connection, "steel")))
    assert "能耗覆盖率不足：86.3%，低于95%" in table
    assert "enpilot import readings" in table


def test_the_load_line_is_solid_dashed_or_absent(connection: Connection) -> None:
    page = overview(connection, "steel")
    option = load_option("zh", page, {2: "①"})
    solid, dashed = (s["data"] for s in option["series"])
    assert [825 + 15, 4800.0 + 350 * 1] in [[x, round(y)] for x, y in solid if y is not None]
    assert {x for x, y in dashed if y is not None} == {855, 870, 885, 900, 915, 930}
    veils = option["series"][0]["markArea"]["data"]
    assert [v[0]["name"] for v in veils] == ["", "无数据", "① 缺数"]
    assert not [x for x, y in solid if y is not None and 180 < x < 225]


def test_the_overview_marks_what_is_estimated_synthetic_and_unverified(
    connection: Connection,
) -> None:
    row = words(parts.figures_row("zh", overview(connection, "steel")))
    for expected in ("63,850 kWh", "≈ 估算5.6%", "合成", "未核", "月目标", "99.9%", "完整率 98.7%"):
        assert expected in row.replace("kWh", " kWh").replace("  ", " "), expected
    held = words(parts.figures_row("en", overview(connection, "steel", "2025-09-12")))
    assert "withheld" in held
    assert "output not entered" in held
    assert "NaN" not in held


def test_the_overview_sentence(connection: Connection) -> None:
    assert words(overview_opening("zh", overview(connection, "steel"))) == (
        "2025年9月13日每单位型钢（合成产量）用能89.7 kgce/t，比同月份目标高3.3%。"
        "2025年至9月累计89.4 kgce/t，进度比0.99，偏慢（暂定）。"
    )
    assert "4.6% below" in words(overview_opening("en", overview(connection, "glycerine")))


def test_a_closed_day_is_not_blamed_for_its_intensity(connection: Connection) -> None:
    page = overview(connection, "steel")
    assert page.figure is not None
    closed = replace(page, figure=replace(page.figure, output=0.03, intensity=1160.2))
    said = words(overview_opening("zh", closed))
    assert said.startswith(
        "2025年9月13日只产出0.030 t型钢（合成产量），用能多为停产底数，不与目标比较。"
    )
    assert "%" not in said
    assert "产量过少，不比较" in parts.figures_row("zh", closed)


def test_unknown_findings_are_shown_as_they_are(connection: Connection) -> None:
    page = overview(connection, "steel")
    listed = parts.findings("zh", page, {1: "①"})
    assert "a_code_of_tomorrow" in listed
    assert "突变读数已剔除" in listed
    none = replace(page, findings=[])
    assert "没有数据问题" in parts.findings("zh", none, {})


def test_live_values_show_age_and_quality_and_go_stale() -> None:
    power = Power(
        point="main", name_zh="总进线", name_en="Main", at=_NOW - dt.timedelta(seconds=2),
        value=412.04, unit="kW", quality=0, period_s=1,
    )  # fmt: skip
    fresh = LiveState(now=_NOW, power=[power], alerts=[], gateways=[])
    assert "412" in live_parts.live_power("zh", fresh, ZONE)
    assert "2秒前 · 良好" in words(live_parts.live_power("zh", fresh, ZONE))
    old = replace(power, at=_NOW - dt.timedelta(hours=3))
    stale = live_parts.live_power("en", replace(fresh, power=[old]), ZONE)
    assert "stopped at" in stale
    assert "stale" in stale
    bad = replace(power, quality=1, value=None)
    assert "设备无应答" in live_parts.live_power("zh", replace(fresh, power=[bad]), ZONE)
    for render in (live_parts.live_power, live_parts.alerts, live_parts.gateways):
        assert "empty" in render("zh", LiveState(now=_NOW, power=[], alerts=[], gateways=[]), ZONE)


def test_alerts_and_gateways_in_their_states() -> None:
    alert = Alert(
        code="high", name_zh="功率过高", name_en="High", severity="fault", comparison="above",
        threshold=500.0, unit="kW", state="firing", since=_NOW, value=512.5, evaluated_at=_NOW,
    )  # fmt: skip
    gateway = Gateway(
        agent_id="gw", simulated=True, state="offline", said_at=_NOW, held_readings=12,
        units_down=1, last_received_at=_NOW, last_reading_ts=_NOW, messages_refused=3,
    )  # fmt: skip
    state = LiveState(now=_NOW, power=[], alerts=[alert], gateways=[gateway])
    assert "触发 · 限值 高于 500 kW" in words(live_parts.alerts("zh", state, ZONE))
    said = words(live_parts.gateways("en", state, ZONE))
    assert "offline since 14 Sep 16:00" in said
    assert "1 meter silent" in said
    assert "3 messages refused" in said
    # "online" is the last that was said; with the broker away nobody says otherwise.
    quiet = replace(gateway, state="online", said_at=_NOW - dt.timedelta(minutes=12),
                    last_received_at=_NOW - dt.timedelta(minutes=9))  # fmt: skip
    said = live_parts.gateways("zh", replace(state, gateways=[quiet]), ZONE)
    assert "9.0 分钟无消息" in words(said)
    assert "shape warn" in said
    back = replace(quiet, last_received_at=_NOW, units_down=0)
    assert "在线" in words(live_parts.gateways("zh", replace(state, gateways=[back]), ZONE))
    new = replace(state, alerts=[replace(alert, state=None, since=None, value=None)],
                  gateways=[replace(gateway, state=None, said_at=None, held_readings=None,
                                    units_down=None, last_received_at=None, last_reading_ts=None,
                                    messages_refused=0)])  # fmt: skip
    assert "not evaluated yet" in live_parts.alerts("en", new, ZONE)
    assert "从未上线" in live_parts.gateways("zh", new, ZONE)


def test_a_phone_option_finds_its_exact_way_back() -> None:
    option = charts.with_phone(
        {"grid": [{"left": 52, "right": 10}], "xAxis": {"interval": 240}},
        {"grid": [{"left": 34}], "xAxis": {"interval": 360}},
    )
    assert option["media"][1]["option"] == {"grid": [{"left": 52}], "xAxis": {"interval": 240}}


def test_no_axis_has_more_than_three_lines_inside() -> None:
    for values in ([86.0, 98.0], [15.0, 31.0], [0.0, 9884.0], [5.0, 5.0], [], [-3.0, 2.0]):
        low, high, step = charts.nice_range(values)
        assert all(low <= v <= high for v in values)
        assert (high - low) / step <= 5.01


def test_colours_sizes_and_number_formats_stand_only_where_they_belong() -> None:
    allowed = {"tokens.css", "charts.py", "text.py", "favicon.svg"}
    for file in _PORTAL.rglob("*"):
        if file.suffix not in (".py", ".css", ".js", ".svg") or file.name in allowed:
            continue
        found = re.findall(
            r"#[0-9a-fA-F]{6}\b|toFixed|font-size|:,\.\d|:\.\df", file.read_text("utf-8")
        )
        assert not found, f"{file.name}: {found}"
