"""The elements of the retrofits page; knows the model, not the database."""

from __future__ import annotations

import datetime as dt

from nicegui import ui

from dashboards.portal import charts
from dashboards.portal.bars import bullet
from dashboards.portal.baseline_words import CLAIMS, USABILITY, WITHHELD
from dashboards.portal.baseline_words import reason as model_reason
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.page import Visit
from dashboards.portal.pages.retrofits.model import Retrofit, RetrofitsPage, SpanSaving
from dashboards.portal.shell import block, section, table_view
from dashboards.portal.state import empty, synthetic
from dashboards.portal.tables import numeric, table
from enpilot.text import (
    DASH,
    coal,
    counted,
    day,
    day_short,
    energy_scale,
    money,
    month,
    number,
    pick,
    share,
    significant,
)

__all__ = ["build", "cumulative_option", "saving_option"]

_KINDS = {
    "efficiency": ("能效提升", "efficiency"),
    "renewable": ("可再生能源", "renewable"),
    "fuel_switch": ("燃料替代", "fuel switch"),
}
_SPANS = {
    "reporting": ("报告期", "reporting period"),
    "first_12_months": ("前12个月", "first 12 months"),
    "persisting": ("目前12个月", "last 12 months"),
}


def build(page: RetrofitsPage, visit: Visit) -> None:
    """Add the page being built."""
    block(tag("h1", _opening(page, visit), cls="opening"))
    with ui.element("div").classes("grid"):
        with ui.element("section").classes("span12"):
            block(section(visit.say("项目", "Projects"),
                          visit.say("节能量 tce/年", "saving, tce a year")))  # fmt: skip
            block(_projects(page, visit))
        if page.chosen is not None:
            _detail(page, page.chosen, visit)


def _opening(page: RetrofitsPage, visit: Visit) -> Safe:
    if not page.retrofits:
        return join(visit.say("还没有登记节能改造项目。", "No retrofit projects yet."))
    verified = sum(s.counted_tce or 0.0 for r in page.retrofits if (s := _shown(r)) is not None)
    promised = sum(r.promised_tce_per_year or 0.0 for r in page.retrofits)
    count = len(page.retrofits)
    said: list[str] = [
        visit.say(
            f"{number(count)} 个项目，核定节能量 ", f"{counted(count, 'project')}; verified "
        ),
        tag("b", f"{significant(verified)} {visit.say('tce/年', 'tce a year')}"),
    ]
    if promised:
        part = share(verified / promised, 0)
        said.append(visit.say(f"，为承诺的 {part}", f", {part} of what was promised"))
    return join(*said, visit.say("。", "."))


def _shown(retrofit: Retrofit) -> SpanSaving | None:
    """Return the span that counts: the first 12 months once they are over."""
    first = retrofit.span("first_12_months")
    return first if first is not None and first.saving is not None else retrofit.span("reporting")


def _projects(page: RetrofitsPage, visit: Visit) -> Safe:
    if not page.retrofits:
        return empty(
            visit.language,
            ("这里按基准模型核定每项措施的节能量及其不确定度。",
             "在工厂文件中登记 [[retrofit]] 与其基准 [[baseline]]。"),
            ("The saving of each measure is verified here against its baseline, with uncertainty.",
             "Register a [[retrofit]] and its [[baseline]] in the plant file."),
        )  # fmt: skip
    columns = [
        visit.say("项目", "Project"), visit.say("类别", "Kind"), visit.say("投用", "In use from"),
        numeric(visit.say("承诺", "Promised")), numeric(visit.say("核定", "Verified")),
        numeric(visit.say("不确定度", "Uncertainty")), numeric(visit.say("计入", "Counted")),
        visit.say("对承诺", "Against promised"), numeric(visit.say("投资", "Cost")),
        visit.say("判断", "Judgement"),
    ]  # fmt: skip
    chosen = next(
        (i for i, r in enumerate(page.retrofits) if page.chosen and r.code == page.chosen.code),
        None,
    )
    return table(columns, [_project(r, visit) for r in page.retrofits], chosen=chosen, cls="",
                 key="retrofits", stacked=True)  # fmt: skip


def _project(row: Retrofit, visit: Visit) -> list[str | Safe | None]:
    language, result = visit.language, _shown(row)
    name = tag("a", visit.say(row.name_zh, row.name_en), href=visit.here(project=row.code))
    promised, verified = row.promised_tce_per_year, None if result is None else result.tce_per_year
    top = max(promised or 0.0, verified or 0.0) or 1.0
    bar = bullet(None if verified is None else verified / top,
                 None if promised is None else promised / top)  # fmt: skip
    return [
        join(name, synthetic(language, result is not None and result.synthetic)),
        pick(language, *_KINDS[row.kind]), day_short(language, row.reporting_from)
        + (f" {row.reporting_from.year}" if language == "en" else ""),
        DASH if promised is None else significant(promised),
        DASH if verified is None else significant(verified),
        _uncertainty(result), _counted(result), bar,
        DASH if row.cost_yuan is None else money(language, row.cost_yuan),
        _claim(result, visit),
    ]  # fmt: skip


def _uncertainty(result: SpanSaving | None) -> str:
    if result is None or result.uncertainty_tce is None:
        return DASH
    return f"±{significant(result.uncertainty_tce)}"


def _counted(result: SpanSaving | None) -> str:
    return DASH if result is None or result.counted_tce is None else significant(result.counted_tce)


def _claim(result: SpanSaving | None, visit: Visit) -> Safe:
    if result is None:
        return tag("span", visit.say("尚未计算", "not computed yet"), cls="reference-inline")
    good = result.claim == "claimable"
    mark = tag("span", "●" if good else "◌", cls=f"shape {'good' if good else 'unknown'}")
    said = pick(visit.language, *CLAIMS.get(result.claim, (result.claim, result.claim)))
    if result.provisional and good:
        said += visit.say("（不足12个月，暂定）", " (under 12 months, provisional)")
    return join(mark, " ", said)


def _detail(page: RetrofitsPage, chosen: Retrofit, visit: Visit) -> None:
    unit, scale = energy_scale(page.periods[0].energy_unit) if page.periods else ("", 1.0)
    with ui.element("section").classes("span8"):
        block(section(visit.say(chosen.name_zh, chosen.name_en),
                      visit.say(f"{unit}，实际与无此措施时", f"{unit}, actual and without it"),
                      _key(visit)))  # fmt: skip
        if not page.periods:
            block(tag("p", visit.say("报告期尚无数据。", "Nothing reported yet."), cls="none"))
        else:
            _chart(saving_option(page, scale), "retrofit-chart",
                   visit.say("实际与应有能耗", "actual and expected energy"))  # fmt: skip
            block(section(visit.say("累计节能", "Saved so far"), unit)).classes("next")
            _chart(cumulative_option(page, scale), "retrofit-sum-chart",
                   visit.say("累计节能量", "cumulative saving"))  # fmt: skip
            block(table_view(visit.language, _periods(page, scale, unit, visit)))
    with ui.element("section").classes("span4"):
        block(section(visit.say("节能量", "Saving")))
        block(*(_span(s, visit) for s in _distinct(chosen.spans)))
        block(section(visit.say("怎么算的", "How it is computed"),
                      f"IPMVP {chosen.ipmvp_option}")).classes("next")  # fmt: skip
        block(_method(page, chosen, visit))
        if page.adjustments:
            block(section(visit.say("非常规调整", "Non-routine adjustments"))).classes("next")
            block(_adjustments(page, visit))


def _key(visit: Visit) -> Safe:
    return join(
        tag("span", visit.say("实际", "actual"), cls="key"),
        tag("span", visit.say("无此措施时", "without it"), cls="key base"),
    )


def _chart(option: charts.Option, style: str, said: str) -> None:
    chart = ui.echart(option, renderer="svg").classes(f"chart {style}")
    chart.props.update({"role": "img", "aria-label": said})


def _days(page: RetrofitsPage) -> list[float]:
    first = page.periods[0].period_from
    return [float((p.period_from - first).days) for p in page.periods]


def saving_option(page: RetrofitsPage, scale: float) -> charts.Option:
    """Return actual energy against what would have been used, as lines over true time."""
    at = _days(page)
    actual = [_times(p.actual, scale) for p in page.periods]
    expected = [_times(p.adjusted_baseline, scale) for p in page.periods]
    low, high, step = charts.nice_range([*actual, *expected])
    return charts.base_option(
        grid={"left": 46, "right": 12, "top": 12, "bottom": 24}, xAxis=_axis(page),
        yAxis=charts.value_axis(max(0.0, low), high, step), tooltip=charts.tooltip(show=False),
        series=[
            charts.line("", [list(p) for p in zip(at, expected, strict=True)], "var(--prev)"),
            charts.line("", [list(p) for p in zip(at, actual, strict=True)], "var(--act)",
                        symbol="circle", symbolSize=5 if len(at) < 60 else 0),
        ],
    )  # fmt: skip


def cumulative_option(page: RetrofitsPage, scale: float) -> charts.Option:
    """Return what was saved so far; zero is drawn."""
    at = _days(page)
    sums = [_times(p.cumulative_saving, scale) for p in page.periods]
    low, high, step = charts.nice_range([0.0, *sums])
    main = charts.line("", [list(p) for p in zip(at, sums, strict=True)], "var(--act)")
    main["markLine"] = charts.level(0.0, "0", "var(--ink3)")
    return charts.base_option(
        grid={"left": 46, "right": 12, "top": 12, "bottom": 24}, xAxis=_axis(page),
        yAxis=charts.value_axis(low, high, step), tooltip=charts.tooltip(show=False), series=[main],
    )  # fmt: skip


def _axis(page: RetrofitsPage) -> charts.Option:
    """Return an axis of days after the first, labelled by month."""
    first, last = page.periods[0].period_from, page.periods[-1].period_to
    span = max(1, (last - first).days)
    axis = charts.minute_axis(span)
    return {**axis, "interval": span / max(1, min(span // 30, 8)), "axisLabel": {
        **charts.AXIS_LABEL,
        ":formatter": f"v => {{ const d = new Date(Date.UTC({first.year}, {first.month - 1},"
        f" {first.day} + Math.round(v))); return d.toISOString().slice(2, 10); }}",
        "hideOverlap": True,
    }}  # fmt: skip


def _times(value: float | None, scale: float) -> float | None:
    return None if value is None else value * scale


def _periods(page: RetrofitsPage, scale: float, unit: str, visit: Visit) -> Safe:
    columns = [
        visit.say("期间", "Period"), numeric(f"{visit.say('应有', 'Expected')} {unit}"),
        numeric(visit.say("实际", "Actual")), numeric(visit.say("调整", "Adjustment")),
        numeric(visit.say("节能", "Saved")), numeric(visit.say("累计", "So far")),
    ]  # fmt: skip

    def cell(value: float | None) -> str:
        return DASH if value is None else number(value * scale, 2)

    rows: list[list[str | Safe | None]] = []
    for p in page.periods:
        whole = (p.period_to - p.period_from).days > 1
        name = month(visit.language, p.period_from) if whole else day(visit.language, p.period_from)
        saved: str | Safe = cell(p.saving)
        if p.withheld_code is not None:
            why = pick(visit.language, *WITHHELD.get(p.withheld_code, ("暂缓", "withheld")))
            saved = tag("span", visit.say("暂缓", "withheld"), cls="mark", title=why)
        rows.append([name, cell(p.adjusted_baseline), cell(p.actual), cell(p.adjustment or None),
                     saved, cell(p.cumulative_saving)])  # fmt: skip
    return table(columns, rows, key="saving-periods")


def _distinct(spans: list[SpanSaving]) -> list[SpanSaving]:
    """Leave out spans that are, so far, the same days as one before."""
    seen: dict[tuple[dt.date | None, dt.date | None], SpanSaving] = {}
    for span in spans:
        seen.setdefault((span.period_from, span.period_to), span)
    return list(seen.values())


def _span(row: SpanSaving, visit: Visit) -> Safe:
    language = visit.language
    title = pick(language, *_SPANS[row.span])
    head = tag("p", tag("b", title), tag("span", _dates(row, visit), cls="reference"))
    if row.saving is None:
        code = row.withheld_code or ""
        return join(head, tag("p", pick(language, *WITHHELD.get(code, (code, code))), cls="action"))
    unit, scale = energy_scale(row.energy_unit or "kgce")
    stated = significant(row.saving * scale)
    around = "" if row.uncertainty is None else f" ± {significant(row.uncertainty * scale)}"
    figure = tag("p", tag("span", f"{stated}{around}", cls="value"), tag("span", unit, cls="unit"),
                 cls="figure")  # fmt: skip
    said = []
    if row.confidence is not None and row.fractional_uncertainty is not None:
        sure, part = share(row.confidence, 0), share(row.fractional_uncertainty, 0)
        said.append(visit.say(f"置信度 {sure} 时为节能量的 {part}",
                              f"{part} of the saving at {sure} confidence"))  # fmt: skip
    if row.tce_per_year is not None:
        said.append(f"{coal(language, row.tce_per_year)}{visit.say('/年', ' a year')}")
    mark = None
    if row.factor_verified is False:
        mark = tag("span", visit.say("未核", "unverified"), cls="mark")
    return join(head, figure, tag("p", " · ".join(said), mark, cls="reference"))


def _dates(row: SpanSaving, visit: Visit) -> str:
    if row.period_from is None or row.period_to is None:
        return ""
    last = row.period_to - dt.timedelta(days=1)
    months = ""
    if row.months is not None:
        count = number(row.months, 1)
        months = visit.say(f"，{count}个月", f", {count} months")
    return f"{row.period_from.isoformat()}–{last.isoformat()}{months}"


def _method(page: RetrofitsPage, chosen: Retrofit, visit: Visit) -> Safe:
    language, model = visit.language, page.model
    rows: list[tuple[str, str]] = []
    if model is not None:
        last = model.training_to - dt.timedelta(days=1)
        rows.append((visit.say("基准期", "Baseline window"),
                     f"{model.training_from.isoformat()}–{last.isoformat()}"))  # fmt: skip
        rows.append((visit.say("模型", "Model"), model.form or DASH))
        rows.append((visit.say("判断", "Judgement"), pick(language, *USABILITY[model.usability])))
        if model.r_squared is not None:
            rows.append(("R²", number(model.r_squared, 3)))
        if model.cv_rmse is not None:
            rows.append(("CV(RMSE)", share(model.cv_rmse)))
        if model.points is not None:
            rows.append((visit.say("数据点", "Points"), number(model.points)))
        rows += [(visit.say("不足", "Fault"), model_reason(language, r)) for r in model.reasons]
    works = f"{chosen.implementation_from.isoformat()}–{chosen.implementation_to.isoformat()}"
    rows.append((visit.say("施工", "Implementation"), works))
    rows.append((visit.say("登记", "Registered by"), f"{chosen.author} · {chosen.reason}"))
    return tag(
        "table",
        tag("tbody", *(tag("tr", tag("th", a, scope="row"), tag("td", b, cls="num"))
                       for a, b in rows)),
        cls="facts",
    )  # fmt: skip


def _adjustments(page: RetrofitsPage, visit: Visit) -> Safe:
    items = []
    unit = page.periods[0].energy_unit if page.periods else ""
    for item in page.adjustments:
        since = item.since.astimezone(page.site.zone).date().isoformat()
        until = "" if item.until is None else item.until.astimezone(page.site.zone).date()
        items.append(
            tag(
                "li", tag("span", "·", cls="shape"),
                tag("div", tag("div", item.why),
                    tag("div", visit.say("每月 ", "a month "),
                        f"{number(item.amount_per_month)} {unit} · {since}–{until} · {item.author}",
                        cls="reference"),
                    tag("div", item.evidence, cls="reference")),
            )
        )  # fmt: skip
    return tag("ul", *items, cls="items")
