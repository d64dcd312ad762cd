"""The elements of the waste page; knows the model, not the database."""

from __future__ import annotations

import datetime as dt

from nicegui import ui

from dashboards.portal import charts
from dashboards.portal.forms import hidden, reason_field, request_form
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.page import Visit
from dashboards.portal.pages.waste.model import BaseLoad, Evidence, Waste, WastePage
from dashboards.portal.pages.waste.words import METHODS, facts, kind_name, opening, span_text
from dashboards.portal.shell import block, section
from dashboards.portal.state import empty, reason, synthetic
from dashboards.portal.tables import numeric, table
from enpilot.text import (
    DASH,
    day_short,
    instant,
    money,
    number,
    pick,
    share,
    significant,
)
from enpilot.waste_words import DECISIONS, HOURS, REMEDIES

__all__ = ["build"]


def build(page: WastePage, visit: Visit) -> None:
    """Add the page being built."""
    block(
        tag("h1", opening(visit.language, page), cls="opening"),
        tag("p", _subline(page, visit), cls="subline"),
    )
    with ui.element("div").classes("grid"):
        with ui.element("section").classes("span8"):
            block(section(visit.say("按一年的代价排序", "By what a year of it costs")))
            block(_list(page, visit))
            if page.meters:
                block(section(visit.say("表计存疑", "Meters in doubt"))).classes("next")
                block(_meters(page, visit))
        with ui.element("section").classes("span4"):
            if page.evidence is not None:
                _evidence(page.evidence, page, visit)
        if page.base_loads:
            with ui.element("section").classes("span12"):
                block(_base_loads(page, visit))


def _subline(page: WastePage, visit: Visit) -> str:
    said = []
    if page.unknown is not None:
        said.append(visit.say(f"没有编号为“{page.unknown}”的线索",
                              f"there is no finding “{page.unknown}”"))  # fmt: skip
    if page.through is not None:
        until = day_short(visit.language, page.through - dt.timedelta(days=1))
        said.append(visit.say(f"已检查至{until}", f"looked for up to {until}"))
    said.append(visit.say("只按已结束的整日判断", "judged on finished days only"))
    return " · ".join(said)


def _list(page: WastePage, visit: Visit) -> Safe:
    if not page.wastes:
        return empty(
            visit.language,
            ("此状态下没有浪费线索。", "每天结束后自动检查：停工用能、空转、同类日比较、单耗。"),
            ("No findings in this state.",
             "Every finished day is looked at: closed hours, idling, like days, ratios."),
        )  # fmt: skip
    columns = [
        visit.say("线索", "Finding"), visit.say("何时", "When"),
        numeric(visit.say("实测", "Measured")), numeric(visit.say("价值", "Worth")),
        numeric(visit.say("一年", "A year")),
    ]  # fmt: skip
    shown = page.evidence.waste.waste_id if page.evidence else None
    rows = [_row(w, page, visit) for w in page.wastes]
    chosen = next((i for i, w in enumerate(page.wastes) if w.waste_id == shown), None)
    return table(columns, rows, chosen=chosen, cls="", key="waste", stacked=True)


def _row(waste: Waste, page: WastePage, visit: Visit) -> list[str | Safe | None]:
    language = visit.language
    name = tag("a", kind_name(language, waste.kind), href=visit.here(id=waste.waste_id))
    place = pick(language, waste.point_zh, waste.point_en)
    if waste.subject:
        place = f"{place} · {waste.subject}"
    if waste.also:
        names = ", ".join(waste.also)
        place += visit.say(f"，其中 {names}", f", of it {names}")
    amount = DASH
    if waste.amount is not None:
        amount = f"{significant(waste.amount)} {waste.unit}"
    worth: str | Safe = DASH if waste.yuan is None else money(language, waste.yuan)
    if waste.yuan is None and waste.yuan_withheld_code:
        worth = tag("span", visit.say("无价", "no price"), cls="mark",
                    title=reason(language, waste.yuan_withheld_code))  # fmt: skip
    yearly = DASH if waste.yuan_a_year is None else money(language, waste.yuan_a_year)
    return [
        join(name, tag("span", place, synthetic(language, waste.simulated), cls="reference")),
        span_text(language, waste, page.site), amount, worth, tag("b", yearly),
    ]  # fmt: skip


def _meters(page: WastePage, visit: Visit) -> Safe:
    language = visit.language
    columns = [visit.say("表计", "Meter"), visit.say("问题", "Doubt"), visit.say("何时", "When"),
               numeric(visit.say("涉及用量", "Amount in doubt"))]  # fmt: skip
    rows = [
        [
            pick(language, w.point_zh, w.point_en),
            tag("a", kind_name(language, w.kind), href=visit.here(id=w.waste_id)),
            span_text(language, w, page.site),
            DASH if w.amount is None else f"{significant(w.amount)} {w.unit}",
        ]
        for w in page.meters
    ]
    return table(columns, rows, cls="", key="meters", stacked=True)


def _evidence(evidence: Evidence, page: WastePage, visit: Visit) -> None:
    language, waste = visit.language, evidence.waste
    block(section(kind_name(language, waste.kind), pick(language, waste.point_zh, waste.point_en)))
    if evidence.curve is not None and evidence.curve.known:
        _chart(evidence, page, visit)
    rows = [
        tag("tr", tag("th", name, scope="row"), tag("td", value, cls="num"))
        for name, value in facts(language, waste.evidence, waste.unit)
    ]
    if waste.amount is not None:
        measured = f"{significant(waste.amount)} {waste.unit}"
        rows.insert(0, _fact(visit.say("实测浪费", "Wasted, as measured"), measured))
    rows.append(_fact(visit.say("状态", "State"), pick(language, *DECISIONS[waste.state])))
    if waste.tce_a_year is not None:
        rows.append(_fact(visit.say("一年折标煤", "Standard coal a year"),
                          f"{significant(waste.tce_a_year)} tce"))  # fmt: skip
    method = METHODS.get(waste.kind)
    remedy = REMEDIES.get(waste.kind)
    unverified = None
    if not waste.verified:
        unverified = tag("p", visit.say("电价或折标系数未核。", "Price or factor unverified."),
                         cls="reference")  # fmt: skip
    block(
        tag("table", tag("tbody", *rows), cls="facts"),
        None if method is None else tag("p", pick(language, *method), cls="reference"),
        None if remedy is None else tag(
            "p", tag("b", visit.say("建议：", "Do: ")), pick(language, *remedy), cls="action"),
        unverified,
        _decisions(evidence, page, visit),
        _decide(waste, visit),
    )  # fmt: skip


def _fact(name: str, value: str) -> Safe:
    return tag("tr", tag("th", name, scope="row"), tag("td", value, cls="num"))


def _decide(waste: Waste, visit: Visit) -> Safe | None:
    """Offer to say what becomes of it; a reason is kept with it."""
    options = [
        tag("option", pick(visit.language, *names).capitalize(), value=state,
            selected=state == waste.state)
        for state, names in DECISIONS.items()
    ]  # fmt: skip
    states = tag("select", *options, name_="arguments.state", aria_label=visit.say("状态", "State"))
    return request_form(
        visit, "waste.decide", hidden(waste=waste.waste_id), states, reason_field(visit),
        cls="fields next",
    )  # fmt: skip


def _decisions(evidence: Evidence, page: WastePage, visit: Visit) -> Safe | None:
    if not evidence.decisions:
        return None
    zone = page.site.zone
    items = [
        tag(
            "li",
            tag("span", "·", cls="shape"),
            tag(
                "div",
                tag("div", f"{pick(visit.language, *DECISIONS[d.state])}：{d.reason}"
                    if visit.language == "zh" else f"{DECISIONS[d.state][1]}: {d.reason}"),
                tag("div", f"{d.author} · {instant(visit.language, d.at.astimezone(zone))}",
                    cls="reference"),
            ),
        )
        for d in evidence.decisions
    ]  # fmt: skip
    return tag("ul", *items, cls="items")


def _chart(evidence: Evidence, page: WastePage, visit: Visit) -> None:
    curve, waste = evidence.curve, evidence.waste
    if curve is None:
        return
    hours = curve.step_s / 3600
    points = [
        [round(i * hours, 4), None if r is None else round(r, 3)] for i, r in enumerate(curve.rates)
    ]
    high, step = charts.range_from_zero(max((r for r in curve.rates if r is not None), default=1))
    span_hours = len(curve.amounts) * hours
    begin = curve.begin
    low_h = max(0.0, (waste.measured_from - begin).total_seconds() / 3600)
    high_h = min(span_hours, (waste.measured_to - begin).total_seconds() / 3600)
    series = charts.line("", points, "var(--act)", step="end")
    if not waste.standing:
        series["markArea"] = charts.veil([(low_h, high_h, "")])
    usual = waste.evidence.get("usual_rate")
    if isinstance(usual, int | float):
        series["markLine"] = charts.level(float(usual), visit.say("通常低值", "usual low"))
    chart = ui.echart(
        charts.base_option(
            grid={"left": 44, "right": 8, "top": 10, "bottom": 24},
            xAxis=charts.day_axis(begin.astimezone(page.site.zone).date(), span_hours,
                                  visit.language),
            yAxis=charts.value_axis(0.0, high, step), tooltip=charts.tooltip(show=False),
            series=[series],
        ),
        renderer="svg",
    ).classes("chart evidence-chart")  # fmt: skip
    chart.props.update(
        {"role": "img", "aria-label": visit.say("线索所在时段的负荷", "load around the finding")}
    )


def _base_loads(page: WastePage, visit: Visit) -> Safe:
    language = visit.language
    first = page.base_loads[0]
    last = first.period_to - dt.timedelta(days=1)
    span = f"{day_short(language, first.period_from)}–{day_short(language, last)}"
    columns = [
        visit.say("计量点", "Meter"), visit.say("时段", "Hours"),
        numeric(visit.say("底数", "Base load")), numeric(visit.say("日间四分位", "Quartiles")),
        numeric(visit.say("占该时段", "Share")), numeric(visit.say("去年同季", "A year before")),
        numeric(visit.say("升高", "Rise")),
    ]  # fmt: skip
    return join(
        section(visit.say("停不下来的负荷", "The load that never goes away"), span),
        table(columns, [_base_row(b, visit) for b in page.base_loads], key="base-load"),
    )


def _base_row(row: BaseLoad, visit: Visit) -> list[str | Safe | None]:
    unit = "kW" if row.unit == "kWh/h" else row.unit
    rise: str | Safe | None = DASH
    if row.rise is not None and row.rise_p is not None:
        sure = row.rise_p < 0.01 and row.rise > 0
        text = f"{'+' if row.rise > 0 else ''}{number(row.rise, 1)} {unit}"
        rise = tag("span", text, cls="warn-text") if sure else text
    return [
        pick(visit.language, row.point_zh, row.point_en),
        pick(visit.language, *HOURS.get(row.hours, (row.hours, row.hours))),
        f"{significant(row.rate)} {unit}", f"{significant(row.low)}–{significant(row.high)}",
        DASH if row.share is None else share(row.share),
        DASH if row.rate_before is None else f"{significant(row.rate_before)} {unit}", rise,
    ]  # fmt: skip
