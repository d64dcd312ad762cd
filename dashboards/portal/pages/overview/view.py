"""The overview's elements; knows the model, not the database."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from dashboards.portal import charts
from dashboards.portal.findings import finding_name
from dashboards.portal.live import LiveState, LiveTask
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.page import Visit
from dashboards.portal.pages.overview import around, live_parts, parts
from dashboards.portal.pages.overview.load import INTERVAL_MINUTES, Load
from dashboards.portal.pages.overview.model import Overview
from dashboards.portal.pages.overview.words import opening
from dashboards.portal.shell import block, section, table_view
from dashboards.portal.state import empty, misread
from enpilot.text import Language, number, pick, power

__all__ = ["build", "load_option"]

_CIRCLED = "①②③④⑤⑥⑦⑧⑨"


def build(page: Overview, visit: Visit) -> None:
    """Add the overview to the page being built."""
    language, live = visit.language, visit.live
    block(
        tag("h1", opening(language, page), cls="opening"),
        tag("p", _subline(language, page), cls="subline"),
    )
    block(parts.figures_row(language, page))
    numbers = _numbered(page)
    with ui.element("div").classes("grid"):
        if page.load is None:
            with ui.element("section").classes("span12"):
                _no_meters(language, page)
            return
        with ui.element("section").classes("span8"):
            _load(language, page, page.load, numbers)
        with ui.element("section").classes("span4"):
            block(section(pick(language, "要处理", "To do"), pick(language, "按金额", "by money")))
            block(around.tasks(page.around, visit))
            block(section(pick(language, "数据发现", "Findings"))).classes("next")
            block(parts.findings(language, page, numbers))
        for part in (around.indicators, around.shifts, around.weeks):
            built = part(page.around, visit)
            if built is not None:
                with ui.element("section").classes("span4"):
                    block(built)
        _live(language, page, live)


def _subline(language: Language, page: Overview) -> str:
    wrong = misread(language, page.misread)
    said = [] if wrong is None else [wrong]
    if page.kind == "month":
        said.append(pick(language, "本厂只有月度数据", "this plant has monthly figures only"))
        if page.defaulted:
            said.append(pick(language, "最近有数据的月份", "latest month with figures"))
    elif page.in_progress:
        said.append(pick(language, "进行中，不作判定", "still running, not judged"))
    elif page.defaulted:
        said.append(pick(language, "最近一个完整日", "last complete day"))
    if page.indicator is not None:
        scheme = page.indicator.scheme(language)
        said.append(pick(language, f"口径：{scheme}", f"scheme: {scheme}"))
    return " · ".join(said)


def _numbered(page: Overview) -> dict[int, str]:
    """Return the circled number of each finding that has a span on the chart."""
    spans = [i for i, f in enumerate(page.findings) if f.to is not None and f.to > f.at]
    return dict(zip(spans, _CIRCLED, strict=False)) if page.load is not None else {}


def _no_meters(language: Language, page: Overview) -> None:
    block(section(pick(language, "负荷与实时", "Load and live values")))
    block(
        empty(
            language,
            (
                "本厂没有接入电表：没有负荷曲线、实时功率和数据发现；能耗与产量来自月度台账。",
                "在工厂文件中登记计量点与网关后，这里显示负荷。",
            ),
            (
                "No meters here: no load curve, live power or findings; figures come by the month.",
                "Register points and a gateway in the plant file, and the load appears here.",
            ),
        )
    )
    if page.indicator is not None:
        address = f"/s/{page.site.code}/enpi/{page.indicator.code}?t={page.period_from.year}"
        block(tag("a", pick(language, "逐月看能效 ›", "Month by month ›"), href=address))


def _load(language: Language, page: Overview, load: Load, numbers: dict[int, str]) -> None:
    title = pick(language, "负荷", "Load")
    head = pick(language, "kW，15分钟平均", "kW, 15-minute means")
    peak = load.peak
    right = None
    if peak is not None:
        stated = f"{power(peak.kw)} · {_clock(peak.minute)}"
        right = tag("span", pick(language, f"最大 {stated}", f"maximum {stated}"), cls="reference")
    block(section(title, head, right))
    if not load.intervals:
        block(
            empty(
                language,
                ("这一天没有电量读数。", "检查网关，或补导入：enpilot import readings"),
                ("There are no readings of this day.",
                 "Check the gateway, or import them: enpilot import readings"),
            )
        )  # fmt: skip
        return
    chart = ui.echart(load_option(language, page, numbers), renderer="svg")
    chart.classes("chart load-chart")
    chart.props.update({"role": "img", "aria-label": _spoken(language, load)})
    block(table_view(language, _load_table(language, load)))


def load_option(language: Language, page: Overview, numbers: dict[int, str]) -> charts.Option:
    """Return the day's step line: solid where measured, dashed on a veil where placed by guess."""
    load = page.load
    assert load is not None  # asked only where there is one
    solid, dashed, spans = _runs(load)
    usual = page.around.usual
    tops = [i.kw for i in load.intervals]
    if usual is not None:
        tops += [v for v in usual.high if v is not None]
    declared = None if page.around.demand is None else page.around.demand.declared_kw
    if declared is not None and declared <= 1.6 * max(tops, default=0.0):
        tops.append(declared)
    else:
        declared = None
    top = max(tops, default=0.0)
    high, step = charts.range_from_zero(top)
    veils = [(a, b, "") for a, b in spans]
    veils += [(a, b, pick(language, "无数据", "no data")) for a, b in load.missing]
    begin = page.site.midnight(page.period_from)
    for index, mark in numbers.items():
        finding = page.findings[index]
        assert finding.to is not None  # only those with a span are numbered
        a = max((finding.at - begin).total_seconds() / 60, 0.0)
        b = min((finding.to - begin).total_seconds() / 60, float(load.minutes))
        if a <= 0 and b >= load.minutes:
            continue  # weeks long: it says nothing about a part of this day
        veils.append((a, b, f"{mark} {finding_name(language, finding.code)}"))
    unit = pick(language, "平均", "mean")
    guess = pick(language, "估算", "estimated")
    tip = (
        "ps => { const p = ps.find(q => q.seriesName && q.value && q.value[1] != null);"
        " if (!p) return '';"
        " const t = m => String(Math.floor(m / 60)).padStart(2, '0') + ':' +"
        " String(m % 60).padStart(2, '0'); const b = Math.floor(p.axisValue / 15) * 15;"
        f" return t(b) + '–' + t(b + 15) + '<br><b>' +"
        " Math.round(p.value[1]).toLocaleString('en-US') + ' kW</b> ' +"
        f" (p.seriesName === '{guess}' ? '{guess}' : '{unit}'); }}"
    )
    main = charts.line(unit, solid, "var(--act)", markArea=charts.veil(veils), z=3)
    if declared is not None:
        stated = number(declared)
        main["markLine"] = charts.level(
            declared, pick(language, f"申报需量 {stated}", f"declared {stated}")
        )
    bands = [] if usual is None or load.minutes != 1440 else charts.usual_band(
        usual.low, usual.high)  # fmt: skip
    option = charts.base_option(
        grid={"left": 46, "right": 12, "top": 22, "bottom": 26},
        xAxis=charts.minute_axis(load.minutes),
        yAxis=charts.value_axis(0, high, step),
        tooltip=charts.tooltip(**{":formatter": tip}),
        series=[*bands, main, charts.line(guess, dashed, "var(--act)", kind="dashed", z=3)],
    )
    return charts.with_phone(option, {"xAxis": {"interval": 360}, "grid": {"left": 40, "right": 8}})


def _runs(load: Load) -> tuple[list[Any], list[Any], list[tuple[float, float]]]:
    """Return both polylines (None lifts the pen) and the spans that are guessed."""
    solid: list[Any] = []
    dashed: list[Any] = []
    spans: list[tuple[float, float]] = []
    before: tuple[float, float, bool] | None = None  # end, height, guessed
    for interval in load.intervals:
        end = interval.minute + INTERVAL_MINUTES
        line = dashed if interval.estimated else solid
        joined = before is not None and before[0] == interval.minute
        if not joined or before is None or before[2] != interval.estimated:
            line.append([interval.minute, None])
            if joined and before is not None:
                line.append([interval.minute, before[1]])
        line += [[interval.minute, interval.kw], [end, interval.kw]]
        if interval.estimated:
            if spans and spans[-1][1] == interval.minute:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((interval.minute, end))
        before = (end, interval.kw, interval.estimated)
    return solid, dashed, spans


def _spoken(language: Language, load: Load) -> str:
    if load.peak is None:
        return pick(language, "当日负荷曲线", "load of the day")
    stated = f"{power(load.peak.kw)}, {_clock(load.peak.minute)}"
    gaps = len(load.missing)
    return pick(
        language,
        f"当日负荷曲线，最大{stated}，缺数{gaps}段",
        f"load of the day, maximum {stated}, {gaps} gaps",
    )


def _load_table(language: Language, load: Load) -> Safe:
    head = tag(
        "tr",
        tag("th", pick(language, "时段", "Interval")),
        tag("th", "kW", cls="num"),
        tag("th", ""),
    )
    rows = [
        tag(
            "tr",
            tag("td", f"{_clock(i.minute)}–{_clock(i.minute + INTERVAL_MINUTES)}"),
            tag("td", number(i.kw, 1), cls="num"),
            tag("td", pick(language, "估算", "estimated") if i.estimated else ""),
        )
        for i in load.intervals
    ]
    return tag("table", tag("thead", head), tag("tbody", *rows))


def _clock(minute: float) -> str:
    return f"{int(minute) // 60:02d}:{int(minute) % 60:02d}"


def _live(language: Language, page: Overview, live: LiveTask) -> None:
    zone = page.site.zone
    shown = []
    for title, unit, render in (
        (pick(language, "实时功率", "Power now"), pick(language, "每秒", "by the second"),
         live_parts.live_power),
        (pick(language, "告警", "Alerts"), None, live_parts.alerts),
        (pick(language, "采集网关", "Gateways"), None, live_parts.gateways),
    ):  # fmt: skip
        with ui.element("section").classes("span4"):
            block(section(title, unit))
            shown.append((block(render(language, page.live, zone)), render))

    def show(state: LiveState) -> None:
        for element, render in shown:
            content = join(render(language, state, zone))
            if element.content != content:
                element.set_content(content)

    first = shown[0][0]
    live.watch(page.site.site_id, show, lambda: not first.is_deleted)
