"""The elements of load and demand; knows the model, not the database."""

from __future__ import annotations

from nicegui import ui

from dashboards.portal import charts
from dashboards.portal.bars import bullet
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.page import Visit
from dashboards.portal.pages.load.model import DemandMonth, LoadPage, Peak
from dashboards.portal.period import period_name
from dashboards.portal.shell import block, section, table_view
from dashboards.portal.state import empty, misread, synthetic
from dashboards.portal.tables import numeric, table
from enpilot.text import (
    DASH,
    clock,
    counted,
    day_short,
    instant,
    month,
    number,
    power,
    share,
)

__all__ = ["build", "curve_option"]

_POINTS = 400  # of the duration curve: more cannot be seen


def build(page: LoadPage, visit: Visit) -> None:
    """Add the page being built."""
    block(
        tag("h1", _opening(page, visit), cls="opening"),
        tag("p", join(misread(visit.language, page.misread), _subline(page, visit), by=" · "),
            cls="subline"),
    )  # fmt: skip
    with ui.element("div").classes("grid"):
        with ui.element("section").classes("span8"):
            _day(page, visit)
            _duration(page, visit)
        with ui.element("section").classes("span4"):
            block(section(visit.say("最高的15分钟", "Highest quarter-hours"),
                          period_name(visit.language, page.month)))  # fmt: skip
            block(_peaks(page, visit))
        if page.months:
            with ui.element("section").classes("span12"):
                unit = visit.say("kW，由读数计算", "kW, computed from readings")
                block(section(visit.say("各月最大需量", "Peak demand by month"), unit))
                block(_months(page, visit))


def _opening(page: LoadPage, visit: Visit) -> Safe:
    when = period_name(visit.language, page.month)
    if not page.peaks:
        return join(visit.say(f"{when}没有电量读数。", f"{when}: no readings of electricity."))
    first = page.peaks[0]
    local = first.at.astimezone(page.site.zone)
    top, at = str(power(first.kw)), instant(visit.language, local)
    said = [
        visit.say(f"{when}15分钟平均负荷最高 ", f"{when}: the highest 15-minute mean was "),
        tag("b", tag("a", top, href=visit.here(t=local.date().isoformat()))),
        visit.say(f"，在{at}", f", on {at}"),
    ]
    if page.declared_kw:
        ratio = share(first.kw / page.declared_kw, 0)
        limit = str(power(page.declared_kw))
        over = first.kw > page.declared_kw
        said += [
            visit.say("，为申报需量 ", ", "),
            tag("b", visit.say(f"{limit} 的 {ratio}", f"{ratio} of the declared {limit}"),
                cls="bad-text" if over else None),
        ]  # fmt: skip
    return join(*said, visit.say("。", "."))


def _subline(page: LoadPage, visit: Visit) -> Safe:
    said: list[str | None] = []
    if page.mean_kw is not None and page.sorted_kw:
        factor = share(page.mean_kw / page.sorted_kw[0]) if page.sorted_kw[0] > 0 else DASH
        mean, least = str(power(page.mean_kw)), str(power(page.least_kw or 0.0))
        said.append(
            visit.say(
                f"平均 {mean}，最低 {least}，负荷率 {factor}",
                f"mean {mean}, least {least}, load factor {factor}",
            )
        )
    if page.estimated_share >= 0.05:
        stated = share(page.estimated_share)
        said.append(visit.say(f"估算占比 {stated}", f"estimated {stated}"))
    mark = synthetic(visit.language, page.simulated)
    return join(join(*said, by=" · "), mark)


def _day(page: LoadPage, visit: Visit) -> None:
    name = period_name(visit.language, page.day)
    right = None
    if page.usual is not None:
        days = page.usual.days
        right = tag("span", visit.say(f"灰带：前{days}个同类日的 P15–P85",
                                      f"band: P15–P85 of {counted(days, 'like day')} before"),
                    cls="reference")  # fmt: skip
    block(section(name, visit.say("kW，15分钟平均", "kW, 15-minute means"), right))
    if not page.curve.known:
        block(
            empty(
                visit.language,
                ("这一天没有电量读数。", "检查网关，或补导入：enpilot import readings"),
                ("There are no readings of this day.",
                 "Check the gateway, or import them: enpilot import readings"),
            )
        )  # fmt: skip
        return
    chart = ui.echart(curve_option(page, visit), renderer="svg").classes("chart load-chart")
    chart.props.update(
        {"role": "img", "aria-label": visit.say(f"{name}的负荷曲线", f"load curve of {name}")}
    )
    block(table_view(visit.language, _day_table(page, visit)))


def curve_option(page: LoadPage, visit: Visit) -> charts.Option:
    """Return the day's step line over what is usual, with the declared demand."""
    rates = page.curve.rates
    minutes = len(rates) * 15
    tops = [r for r in rates if r is not None]
    if page.usual is not None:
        tops += [v for v in page.usual.high if v is not None]
    shown_limit = page.declared_kw is not None and page.declared_kw <= 1.6 * max(tops, default=0.0)
    if shown_limit and page.declared_kw is not None:
        tops.append(page.declared_kw)
    high, step = charts.range_from_zero(max(tops, default=0.0))
    main = charts.line(visit.say("负荷", "load"), charts.quarter_steps(rates), "var(--act)", z=4)
    if shown_limit and page.declared_kw is not None:
        label = visit.say(f"申报需量 {number(page.declared_kw)}",
                          f"declared {number(page.declared_kw)}")  # fmt: skip
        main["markLine"] = charts.level(page.declared_kw, label)
    series: list[charts.Option] = []
    if page.usual is not None and len(rates) == 96:
        series += charts.usual_band(page.usual.low, page.usual.high)
    series.append(main)
    tip = (
        "ps => { const p = ps[ps.length - 1]; if (!p || p.value[1] == null) return '';"
        " const t = m => String(Math.floor(m / 60)).padStart(2, '0') + ':' +"
        " String(m % 60).padStart(2, '0'); const b = Math.floor(p.axisValue / 15) * 15;"
        " return t(b) + '–' + t(b + 15) + '<br><b>' +"
        " Math.round(p.value[1]).toLocaleString('en-US') + ' kW</b>'; }"
    )
    option = charts.base_option(
        grid={"left": 46, "right": 12, "top": 22, "bottom": 26},
        xAxis=charts.minute_axis(minutes), yAxis=charts.value_axis(0, high, step),
        tooltip=charts.tooltip(**{":formatter": tip}), series=series,
    )  # fmt: skip
    return charts.with_phone(option, {"xAxis": {"interval": 360}, "grid": {"left": 40, "right": 8}})


def _day_table(page: LoadPage, visit: Visit) -> Safe:
    usual = page.usual
    rows = []
    for index, rate in enumerate(page.curve.rates):
        begin = index * 15
        span = f"{_clock(begin)}–{_clock(begin + 15)}"
        low = usual.low[index] if usual is not None and index < 96 else None
        high = usual.high[index] if usual is not None and index < 96 else None
        band = DASH if low is None or high is None else f"{number(low)}–{number(high)}"
        rows.append([span, DASH if rate is None else number(rate, 1), band])
    return table(
        [visit.say("时段", "Interval"), numeric("kW"), numeric(visit.say("通常", "Usual"))], rows
    )


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _duration(page: LoadPage, visit: Visit) -> None:
    if len(page.sorted_kw) < 2:
        return
    hours = len(page.sorted_kw) / 4
    unit = visit.say(f"kW，{number(hours)} h 由高到低", f"kW, {number(hours)} h from the highest")
    block(section(visit.say("负荷持续曲线", "Load duration"), unit)).classes("next")
    every = max(1, len(page.sorted_kw) // _POINTS)
    points = [[i / 4, round(kw, 2)] for i, kw in enumerate(page.sorted_kw) if i % every == 0]
    high, step = charts.range_from_zero(page.sorted_kw[0])
    axis = {
        **charts.minute_axis(60),
        "max": hours,
        "interval": _nice(hours),
        "axisLabel": {**charts.AXIS_LABEL, "formatter": "{value} h", "showMaxLabel": False},
    }
    main = charts.line("", points, "var(--act)")
    if page.mean_kw is not None:
        label = visit.say(f"平均 {number(page.mean_kw)}", f"mean {number(page.mean_kw)}")
        main["markLine"] = charts.level(page.mean_kw, label, "var(--ink3)")
    chart = ui.echart(
        charts.base_option(
            grid={"left": 46, "right": 12, "top": 10, "bottom": 24}, xAxis=axis,
            yAxis=charts.value_axis(0, high, step), tooltip=charts.tooltip(show=False),
            series=[main],
        ),
        renderer="svg",
    ).classes("chart duration-chart")  # fmt: skip
    chart.props.update(
        {"role": "img", "aria-label": visit.say("本月负荷持续曲线", "load duration of the month")}
    )


def _nice(hours: float) -> int:
    return next((t for t in (6, 24, 48, 96, 120, 168) if hours / t <= 8), 168)


def _peaks(page: LoadPage, visit: Visit) -> Safe:
    if not page.peaks:
        return tag("p", visit.say("本月没有读数。", "No readings this month."), cls="none")
    rows = [_peak(peak, page, visit) for peak in page.peaks]
    columns = [visit.say("时段", "When"), numeric("kW"),
               visit.say("谁在运行" if page.peaks[0].parts else "", "Who ran"
                         if page.peaks[0].parts else "")]  # fmt: skip
    return table(columns, rows, cls="", key="peaks")


def _peak(peak: Peak, page: LoadPage, visit: Visit) -> list[str | Safe | None]:
    local = peak.at.astimezone(page.site.zone)
    when = tag(
        "a", f"{day_short(visit.language, local.date())} {clock(local)}",
        href=visit.here(t=local.date().isoformat()),
    )  # fmt: skip
    top = page.peaks[0].kw or 1.0
    ran: Safe | None = bullet(peak.kw / top, None)
    if peak.parts:
        ran = join(
            *(f"{p.name_zh if visit.language == 'zh' else p.name_en} {number(p.kw)}"
              for p in peak.parts[:3]), by=" · "
        )  # fmt: skip
    guessed = tag("span", "≈", title=visit.say("估算", "estimated")) if peak.estimated else None
    return [when, join(guessed, number(peak.kw, 1)), ran]


def _months(page: LoadPage, visit: Visit) -> Safe:
    top = max([m.demand_kw for m in page.months] + [page.declared_kw or 0.0])
    columns = [
        visit.say("月份", "Month"), numeric(visit.say("最大需量", "Peak demand")),
        visit.say("对申报需量", "Against declared"), visit.say("何时", "When"),
        visit.say("读数所证范围", "Proved range"),
    ]  # fmt: skip
    rows = [_month(m, page, visit, top) for m in reversed(page.months)]
    note = visit.say(
        "计费需量以供电表计自身寄存器为准；此处由读数计算，用于核对和预警。",
        "Billed demand is the utility meter's own register; computed here to check and to warn.",
    )
    return join(table(columns, rows, key="demand"), tag("p", note, cls="reference"))


def _month(row: DemandMonth, page: LoadPage, visit: Visit, top: float) -> list[str | Safe | None]:
    local = row.at.astimezone(page.site.zone)
    over = page.declared_kw is not None and row.demand_kw > page.declared_kw
    tick = None if page.declared_kw is None else page.declared_kw / top
    proved = DASH
    if row.least_kw is not None and row.most_kw is not None:
        proved = f"{number(row.least_kw)}–{number(row.most_kw)} kW"
    mark = tag("span", visit.say("进行中", "running"), cls="mark") if row.provisional else None
    return [
        join(tag("a", month(visit.language, row.month), href=visit.here(t=f"{row.month:%Y-%m}")),
             mark),
        number(row.demand_kw, 1),
        bullet(row.demand_kw / top, tick, "bad" if over else "actual"),
        instant(visit.language, local), proved,
    ]  # fmt: skip
