"""The elements of raw readings; knows the model, not the database."""

from __future__ import annotations

import datetime as dt

from nicegui import ui

from dashboards.portal import charts
from dashboards.portal.findings import finding_name, finding_remedy
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.page import Visit
from dashboards.portal.pages.overview.words import quality_word
from dashboards.portal.pages.readings.correcting import correction_forms
from dashboards.portal.pages.readings.model import RawFinding, Reading, Readings
from dashboards.portal.quantity_words import quantity_name
from dashboards.portal.shell import block, section
from dashboards.portal.state import empty, misread, severity
from enpilot.text import clock_exact, counted, instant, number, significant

__all__ = ["build"]


def build(page: Readings, visit: Visit) -> None:
    """Add the page being built."""
    block(
        tag("h1", _opening(page, visit), cls="opening"),
        tag("p", join(misread(visit.language, page.misread), _subline(page, visit), by=" · "),
            cls="subline"),
    )  # fmt: skip
    with ui.element("div").classes("grid"):
        with ui.element("section").classes("span8"):
            _chart(page, visit)
            unscaled = visit.say("表计自己的数，未乘倍率", "the register's own numbers, unscaled")
            block(section(visit.say("原始读数", "Raw readings"), unscaled)).classes("next")
            block(_table(page, visit))
        with ui.element("section").classes("span4"):
            block(section(visit.say("核算判断", "What the accounting decided")))
            block(_findings(page, visit))
            forms = correction_forms(page, visit)
            if forms is not None:
                block(section(visit.say("修正", "Correct"))).classes("next")
                block(forms)
            block(section(visit.say("缩小时段", "Shorter spans"))).classes("next")
            block(_hours(page, visit))


def _opening(page: Readings, visit: Visit) -> Safe:
    name = visit.say(page.point_zh, page.point_en)
    what = quantity_name(visit.language, page.quantity)
    good = sum(r.quality & 255 == 0 for r in page.readings)
    bad = len(page.readings) - good
    begin = instant(visit.language, page.span.since.astimezone(page.site.zone))
    rest = visit.say(f"，其中{number(bad)}条无效", f", {number(bad)} of them bad") if bad else ""
    return join(
        tag("b", f"{name} · {what}"),
        visit.say(
            f"：{begin}起有{number(len(page.readings))}条读数{rest}。",
            f": {counted(len(page.readings), 'reading')} from {begin}{rest}.",
        ),
    )


def _subline(page: Readings, visit: Visit) -> str:
    scale = next((r for r in page.readings if r.scale is not None), None)
    said = [f"{page.point} · {page.quantity} {page.channel}"]
    if scale is not None and scale.scale is not None:
        said.append(visit.say(f"每个计数 {scale.scale:g} {scale.unit}",
                              f"{scale.scale:g} {scale.unit} a count"))  # fmt: skip
    return " · ".join(said)


def _chart(page: Readings, visit: Visit) -> None:
    good = [r for r in page.readings if r.quality & 255 == 0 and r.raw is not None]
    if len(good) < 2:
        return
    since = page.span.since
    minutes = max(1, int((page.span.until - since).total_seconds() // 60))
    points = [[(r.at - since).total_seconds() / 60, _level(r)] for r in good]
    low, high, step = charts.nice_range([p[1] for p in points])
    axis = charts.minute_axis(minutes)
    axis["interval"] = _tick(minutes)
    offset = since.astimezone(page.site.zone).hour * 60 + since.astimezone(page.site.zone).minute
    axis["axisLabel"] = {
        **charts.AXIS_LABEL,
        ":formatter": f"v => {{ const m = (v + {offset}) % 1440; return"
        " String(Math.floor(m / 60)).padStart(2, '0') + ':' +"
        " String(Math.floor(m % 60)).padStart(2, '0'); }",
        "hideOverlap": True,
    }
    unit = next((r.unit for r in good if r.unit), "")
    counter = any(r.counter for r in good)
    head = visit.say("计数器", "register") if counter else unit
    block(section(visit.say("走势", "Course"), head))
    chart = ui.echart(
        charts.base_option(
            grid={"left": 76, "right": 12, "top": 12, "bottom": 26},
            xAxis=axis, yAxis=charts.value_axis(low, high, step),
            tooltip=charts.tooltip(show=False),
            series=[charts.line("", points, "var(--act)", symbol="circle",
                                symbolSize=3 if len(points) < 400 else 0, width=1)],
        ),
        renderer="svg",
    )  # fmt: skip
    chart.classes("chart readings-chart")
    chart.props.update(
        {"role": "img", "aria-label": visit.say("读数走势", "course of the readings")}
    )


def _level(reading: Reading) -> float:
    raw = reading.raw or 0.0
    if reading.counter or reading.scale is None:
        return raw
    return raw * reading.scale + (reading.offset or 0.0)


def _tick(minutes: int) -> int:
    return next((t for t in (5, 15, 30, 60, 120, 240, 720, 1440) if minutes / t <= 8), 1440 * 7)


def _table(page: Readings, visit: Visit) -> Safe:
    if not page.readings:
        return empty(
            visit.language,
            ("这个时段没有在线读数。",
             "更早的月份可能已归档（enpilot db archive），或网关当时未连。"),
            ("There are no readings on line of this span.",
             "Older months may be archived (enpilot db archive), or the gateway was away."),
        )  # fmt: skip
    counter = any(r.counter for r in page.readings)
    unit = next((r.unit for r in page.readings if r.unit), "")
    last = visit.say(f"增量 {unit}", f"Advance {unit}") if counter else unit
    head = tag(
        "tr",
        tag("th", visit.say("时间", "Time")),
        tag("th", visit.say("原始值", "Raw"), cls="num"),
        tag("th", last, cls="num"),
        tag("th", visit.say("状态", "Quality")),
        tag("th", visit.say("迟到", "Late"), cls="num"),
        tag("th", visit.say("批次", "Batch"), cls="num"),
    )
    rows = []
    before: Reading | None = None
    for reading in page.readings:
        rows.append(_row(page, visit, reading, before))
        if reading.quality & 255 == 0 and reading.raw is not None and not reading.retracted:
            before = reading
    more = None
    if page.more:
        more = tag("p", visit.say("时段较长，只显示开头部分；请缩小时段。",
                                  "Only the beginning is shown; choose a shorter span."),
                   cls="action")  # fmt: skip
    table = tag("table", tag("thead", head), tag("tbody", *rows), cls="wide", id="readings")
    return join(tag("div", table, cls="scroll tall"), more)


def _row(page: Readings, visit: Visit, reading: Reading, before: Reading | None) -> Safe:
    local = reading.at.astimezone(page.site.zone)
    raw = "–"
    if reading.raw_int is not None:
        raw = number(reading.raw_int)
    elif reading.raw_real is not None:
        raw = f"{reading.raw_real:.9g}"
    scaled = "–"
    if reading.raw is not None and reading.scale is not None and reading.quality & 255 == 0:
        if not reading.counter:
            scaled = significant(_level(reading))
        elif before is not None and before.raw is not None:
            scaled = significant((reading.raw - before.raw) * reading.scale)
    state = quality_word(visit.language, reading.quality)
    if reading.retracted:
        state = visit.say("已撤回", "retracted")
    off = reading.quality & 255 or reading.retracted
    return tag(
        "tr",
        tag("td", clock_exact(local), title=local.isoformat()),
        tag("td", raw, cls="num"),
        tag("td", scaled, cls="num"),
        tag("td", state, cls="warn-text" if off else None),
        tag("td", "" if not reading.late_ms else f"{number(reading.late_ms)} ms", cls="num"),
        tag("td", f"{reading.batch >> 32}/{reading.batch & 0xFFFFFFFF}", cls="num"),
    )


def _findings(page: Readings, visit: Visit) -> Safe:
    if not page.findings:
        return tag(
            "p", visit.say("这个时段没有异常判断。", "Nothing odd in this span."), cls="none"
        )
    return tag("ul", *(_finding(page, visit, f) for f in page.findings), cls="items")


def _finding(page: Readings, visit: Visit, item: RawFinding) -> Safe:
    when = instant(visit.language, item.at.astimezone(page.site.zone))
    if item.to is not None and item.to > item.at:
        when += f"–{instant(visit.language, item.to.astimezone(page.site.zone))}"
    facts = " · ".join(f"{key} {value}" for key, value in sorted(item.evidence.items()))
    return tag(
        "li",
        severity(item.severity),
        tag(
            "div",
            tag("div", finding_name(visit.language, item.code)),
            tag("div", when, cls="reference"),
            tag("div", facts, cls="reference") if facts else None,
            tag("div", finding_remedy(visit.language, item.code), cls="action"),
        ),
        data_finding=item.code,
    )


def _hours(page: Readings, visit: Visit) -> Safe:
    """Return links to the hours of the span's first day, and to the days around it."""
    day = page.span.since.astimezone(page.site.zone).date()
    links = [
        tag("a", f"{hour:02d}", href=visit.here(t=f"{day}T{hour:02d}:00..{_end(hour)}"))
        for hour in range(24)
    ]
    near = [day - dt.timedelta(days=1), day, day + dt.timedelta(days=1)]
    days = [tag("a", d.isoformat(), href=visit.here(t=d.isoformat())) for d in near]
    return join(tag("p", *days, cls="links"), tag("p", *links, cls="links"))


def _end(hour: int) -> str:
    return f"{hour + 1:02d}:00" if hour < 23 else "23:59"
