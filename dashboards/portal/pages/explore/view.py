"""The elements of the explorer; knows the model, not the database."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable

from nicegui import ui

from dashboards.portal import charts
from dashboards.portal.exports.links import export_links
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.page import Choice, Visit
from dashboards.portal.pages.explore import drawing
from dashboards.portal.pages.explore.model import ExplorePage
from dashboards.portal.pages.explore.series_bar import canonical, series_bar
from dashboards.portal.pages.explore.words import COMPARES, STEPS, opening, subline
from dashboards.portal.period import Period, period_name, period_of
from dashboards.portal.shell import block, section, table_view
from dashboards.portal.state import empty, misread, synthetic
from dashboards.portal.tables import numeric, table
from enpilot.text import clock, day_short, month_short, unit_name

__all__ = ["build", "exports"]

_HEAT_DAYS = 366
_ROWS = 400  # of the table: more are in the files


def exports(page: ExplorePage, visit: Visit) -> list[Choice]:
    """Return the files with the same series, period and step."""
    step = page.asked_step if page.form == "lines" else page.step
    return export_links(
        visit, "explore", series=",".join(page.codes), t=page.period.text(), step=step
    )


def build(page: ExplorePage, visit: Visit) -> None:
    """Add the page being built."""
    said = [misread(visit.language, page.misread), *subline(visit.language, page)]
    made_up = any(c.course.simulated for c in page.chosen)
    block(
        tag("h1", opening(visit.language, page), cls="opening"),
        tag("p", join(*said, by=" · "), synthetic(visit.language, made_up), cls="subline"),
    )
    block(series_bar(page, visit))
    with ui.element("section"):
        block(section(_title(page, visit), _unit(page, visit), _right(page, visit))).classes("next")
        _chart(page, visit)
        block(_zoom(page, visit))
        if page.chosen:
            block(table_view(visit.language, _table(page, visit)))


def _title(page: ExplorePage, visit: Visit) -> str:
    return period_name(visit.language, page.period)


def _unit(page: ExplorePage, visit: Visit) -> str:
    units = dict.fromkeys(c.course.unit for c in page.chosen if c.axis is not None)
    written = [unit_name(visit.language, u) for u in units if u]
    if page.form == "scatter" and page.across is not None:
        name = page.across.track.name(visit.language)
        up = page.chosen[0].course.unit if page.chosen else ""
        return visit.say(f"{up}，横轴 {name} {page.across.unit}",
                         f"{up}, across: {name} {page.across.unit}")  # fmt: skip
    if page.form in ("heat", "duration"):
        return written[0] if written else ""
    if len(written) == 2:
        return visit.say(
            f"左 {written[0]}，右 {written[1]}", f"left {written[0]}, right {written[1]}"
        )
    return "".join(written)


def _right(page: ExplorePage, visit: Visit) -> Safe | None:
    if page.form == "scatter":
        return tag("span", drawing.month_keys(page, visit), cls="reference")
    if page.form != "lines":
        return None
    here = canonical(page, visit)
    compares = [
        tag("a", visit.say(*names), href=here(cmp=code),
            aria_current="page" if code == page.compare else None)
        for code, names in COMPARES.items()
    ]  # fmt: skip
    steps = [
        tag("a", visit.say(*names), href=here(step=code),
            aria_current="page" if code == page.asked_step else None)
        for code, names in STEPS.items()
    ]  # fmt: skip
    return join(tag("span", *compares, cls="picks"), tag("span", *steps, cls="picks"))


def _chart(page: ExplorePage, visit: Visit) -> None:
    known = sum(c.course.known for c in page.chosen)
    if page.form == "scatter" and (page.across is None or not page.chosen):
        block(
            empty(
                visit.language,
                ("散点需要两条序列。", "再添加一条：产量，或另一块表。"),
                ("A scatter needs two series.", "Add one more: output, or another meter."),
            )
        )
        return
    if page.form == "heat" and page.period.days > _HEAT_DAYS:
        block(
            empty(
                visit.language,
                ("热图最多画一年。", "选一个较短的时段。"),
                ("A heat map is of a year at most.", "Choose a shorter period."),
            )
        )
        return
    if not known or (page.form == "scatter" and not _pairs(page)):
        block(
            empty(
                visit.language,
                ("这个时段没有数据。", "换一个时段；更早的读数可能已归档：enpilot db archive"),
                ("There are no data of this period.",
                 "Choose another one; older readings may be archived: enpilot db archive"),
            )
        )  # fmt: skip
        return
    makers: dict[str, Callable[[ExplorePage, Visit], charts.Option]] = {
        "lines": drawing.lines_option, "heat": drawing.heat_option,
        "scatter": drawing.scatter_option, "duration": drawing.duration_option,
    }  # fmt: skip
    chart = ui.echart(makers[page.form](page, visit), renderer="svg")
    chart.classes("chart explore-chart")
    chart.props.update({"role": "img", "aria-label": _title(page, visit)})
    if page.form == "lines" and page.period.days > 1:
        _brush(chart, page, visit)


def _brush(chart: ui.echart, page: ExplorePage, visit: Visit) -> None:
    """Let a mouse drag across days choose them as the new period; a finger scrolls."""
    target = json.dumps(canonical(page, visit)(t="FROM..TO"))
    first = f"Date.UTC({page.period.first.year}, {page.period.first.month - 1},"
    first += f" {page.period.first.day})"
    chart.on(
        "chart:finished",
        js_handler=f"""() => {{
            const chart = getElement({chart.id}).chart;
            if (chart.brushed || matchMedia('(pointer: coarse)').matches) return;
            chart.brushed = true;
            chart.dispatchAction({{type: 'takeGlobalCursor', key: 'brush',
                                  brushOption: {{brushType: 'lineX', brushMode: 'single'}}}});
        }}""",
    )
    chart.on(
        "chart:brushEnd",
        js_handler=f"""(event) => {{
            const range = event.areas[0] && event.areas[0].coordRange;
            if (!range) return;
            const day = (hours) => new Date({first} + Math.floor(hours / 24) * 864e5)
                .toISOString().slice(0, 10);
            location.assign({target}.replace('FROM', day(range[0])).replace('TO', day(range[1])));
        }}""",
    )


def _pairs(page: ExplorePage) -> int:
    if page.across is None or not page.chosen:
        return 0
    up = page.chosen[0].course.values
    return sum(x is not None and y is not None for x, y in zip(page.across.values, up, strict=True))


def _zoom(page: ExplorePage, visit: Visit) -> Safe | None:
    """Return the shorter periods inside this one, and the longer one around it."""
    here = canonical(page, visit)
    first = page.period.first
    wider = {"day": "week", "week": "month", "month": "year"}.get(page.period.kind)
    links: list[Safe] = []
    if wider is not None:
        around = period_of(wider, first)  # type: ignore[arg-type]  # one of the kinds
        links.append(tag("a", period_name(visit.language, around), href=here(t=around.text())))
    parts = _parts(page.period)
    links += [
        tag("a", month_short(visit.language, p.first) if p.kind == "month"
            else day_short(visit.language, p.first), href=here(t=p.text()))
        for p in parts
    ]  # fmt: skip
    if page.form == "lines" and parts:
        hint = visit.say("或在图上拖出时段", "or drag across the chart")
        links.append(tag("span", hint, cls="reference"))
    return tag("p", *links, cls="links") if links else None


def _parts(period: Period) -> list[Period]:
    if period.days == 1:
        return []
    kind = "month" if period.days > 45 else "day"
    parts: list[Period] = []
    at = period.first
    while at < period.end and len(parts) < 46:
        part = period_of("month", at) if kind == "month" else period_of("day", at)
        parts.append(part)
        at = part.end
    return parts


def _table(page: ExplorePage, visit: Visit) -> Safe:
    courses = [c.course for c in page.chosen]
    titles = [numeric(f"{c.track.name(visit.language)} {c.unit}".strip()) for c in courses]
    columns: list[list[float | None]] = [c.values for c in courses]
    if page.other is not None:
        for chosen in page.chosen:
            if chosen.before is not None:
                name = period_name(visit.language, page.other)
                titles.append(numeric(f"{chosen.course.track.name(visit.language)} {name}"))
                columns.append(chosen.before.values)
    if page.across is not None:
        titles.append(numeric(f"{page.across.track.name(visit.language)} {page.across.unit}"))
        columns.append(page.across.values)
    rows = []
    for index, start in enumerate(page.starts[:_ROWS]):
        rows.append([_when(page, start), *(drawing.reading(c[index]) for c in columns)])
    note = None
    if len(page.starts) > _ROWS:
        shown = f"{_ROWS}/{len(page.starts)}"
        note = tag("p", visit.say(f"只列前 {shown} 行，全部见 CSV。",
                                  f"The first {shown} rows; all of them are in the CSV."),
                   cls="action")  # fmt: skip
    return join(table([visit.say("时间", "Time"), *titles], rows, key="courses"), note)


def _when(page: ExplorePage, start: dt.datetime) -> str:
    if page.step == "day":
        return start.date().isoformat()
    return f"{start.date().isoformat()} {clock(start)}"
