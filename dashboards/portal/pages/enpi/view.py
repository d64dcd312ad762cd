"""The performance page's elements; knows the model, not the database."""

from __future__ import annotations

from nicegui import events, ui

from dashboards.portal.markup import Safe, join, plain, tag
from dashboards.portal.page import Visit
from dashboards.portal.pages.enpi import tables, why, year_charts
from dashboards.portal.pages.enpi.chart import monthly_option
from dashboards.portal.pages.enpi.model import EnpiPage
from dashboards.portal.pages.enpi.words import opening, subline
from dashboards.portal.shell import block, section, table_view
from dashboards.portal.state import empty, misread
from enpilot.text import Language, energy_scale, intensity_unit, month, pick

__all__ = ["build"]


def build(page: EnpiPage, visit: Visit) -> None:
    """Add the performance page to the page being built."""
    language = visit.language
    wrong = misread(language, page.misread)
    block(
        tag("h1", opening(language, page), cls="opening"),
        tag("p", join(wrong, subline(language, page), by=" · "), cls="subline"),
    )
    unit = _unit(language, page)
    with ui.element("div").classes("grid"):
        with ui.element("section").classes("span8"):
            _months(page, visit, unit)
        with ui.element("section").classes("span4"):
            _path(page, visit, unit)
        if page.month is not None:
            with ui.element("section").classes("span12"):
                _days(language, page)
        with ui.element("section").classes("span8"):
            _to_date(page, visit, unit)
        with ui.element("section").classes("span4"):
            _split(page, visit)
        with ui.element("section").classes("span8"):
            block(section(visit.say("影响今年的事", "What moved the year")))
            block(tag("div", why.events_table(language, page), cls="scroll"))
        with ui.element("section").classes("span4"):
            _cusum(page, visit)


def _unit(language: Language, page: EnpiPage) -> str:
    figure = next((m.figure for m in page.months if m.figure is not None), None)
    if figure is not None:
        return intensity_unit(language, figure.energy_unit, figure.output_unit)
    return intensity_unit(language, page.indicator.energy_unit, page.indicator.output_unit)


def _months(page: EnpiPage, visit: Visit, unit: str) -> None:
    language = visit.language
    if page.normalised and page.baseline is not None:
        title = visit.say("逐月：实际与应有", "Month by month: actual and expected")
        block(section(title, energy_scale(page.baseline.energy_unit)[0],
                      visit.say("带：95% 区间", "band: 95 %")))  # fmt: skip
        option = year_charts.expected_option(language, page, page.baseline)
    else:
        title = visit.say("逐月：实际与目标", "Month by month: actual and target")
        block(section(title, unit, _keys(language, page)))
        option = monthly_option(language, page)
    if all(m.figure is None for m in page.months):
        block(
            empty(
                language,
                (f"{page.year}年没有月度数。", "导入读数与产量后自动计算。"),
                (f"There are no monthly figures of {page.year}.",
                 "They are computed once readings and output are imported."),
            )
        )  # fmt: skip
        return

    def follow(event: events.EChartPointClickEventArguments) -> None:
        chosen = page.months[event.data_index].month
        ui.navigate.to(visit.here(t=page.year, month=f"{chosen:%Y-%m}", day=None))

    chart = ui.echart(option, on_point_click=follow, renderer="svg")
    judged = any(m.figure is not None and m.figure.to_target is not None for m in page.months)
    flat = "" if judged and not page.normalised else " flat"
    chart.classes(f"chart month-chart{flat}")
    chart.props.update({"role": "img", "aria-label": plain(opening(language, page))})
    block(table_view(language, tables.months_table(language, page)))


def _keys(language: Language, page: EnpiPage) -> Safe:
    """Name the three lines once; where a series is absent, so is its name."""
    keys = [tag("span", pick(language, "实际", "actual"), cls="key actual")]
    if any(m.base_intensity is not None for m in page.months) and page.target is not None:
        year = page.target.base_from.year
        text = pick(language, f"{year}同月", f"same month {year}")
        keys.append(tag("span", text, cls="key base"))
    if any(m.figure is not None and m.figure.target_intensity for m in page.months):
        keys.append(tag("span", pick(language, "目标", "target"), cls="key target"))
    return join(*keys)


def _path(page: EnpiPage, visit: Visit, unit: str) -> None:
    language = visit.language
    block(section(visit.say("目标路径", "Target path"), unit))
    if any(step.target_intensity is not None for step in page.path):
        chart = ui.echart(year_charts.path_option(language, page), renderer="svg")
        chart.classes("chart path-chart")
        said = visit.say("历年目标、实际与年末预计", "targets, actuals and forecast by year")
        chart.props.update({"role": "img", "aria-label": said})
        block(table_view(language, tables.path_table(language, page)))
    else:
        block(tables.path_table(language, page))
    block(section(visit.say("今年判定", "Verdict of the year"))).classes("next")
    block(tables.judgements(language, page))


def _to_date(page: EnpiPage, visit: Visit, unit: str) -> None:
    language = visit.language
    band = visit.say("带：80% 区间", "band: 80 %") if page.year_end is not None else None
    block(section(visit.say("累计与年末预计", "Year to date and its end"), unit, band))
    if any(f.intensity is not None for f in page.to_date):
        chart = ui.echart(year_charts.to_date_option(language, page), renderer="svg")
        chart.classes("chart to-date-chart")
        said = visit.say("逐月累计与目标", "year to date by month against its target")
        chart.props.update({"role": "img", "aria-label": said})
    else:
        block(
            tag("p", visit.say("这一年还没有累计数。", "Nothing to date in this year."), cls="none")
        )
    block(why.forecast_facts(language, page))


def _split(page: EnpiPage, visit: Visit) -> None:
    figure = page.year_to_date
    unit = None if figure is None else energy_scale(figure.energy_unit)[0]
    block(section(visit.say("为什么：对基期同月", "Why: against the base months"), unit))
    block(why.split(visit.language, page))


def _cusum(page: EnpiPage, visit: Visit) -> None:
    baseline = page.baseline
    title = visit.say("节能累计（CUSUM）", "Cumulative sum (CUSUM)")
    if baseline is None:
        block(section(title))
        block(
            empty(
                visit.language,
                ("这个指标没有基准模型，无法说出“应有”的能耗。", "在工厂文件中声明：[[baseline]]"),
                ("This indicator has no baseline, so nothing is expected.",
                 "Declare one in the plant file: [[baseline]]"),
            )
        )  # fmt: skip
        return
    block(section(title, energy_scale(baseline.energy_unit)[0]))
    if any(m.cusum is not None for m in baseline.months):
        chart = ui.echart(year_charts.cusum_option(visit.language, baseline), renderer="svg")
        chart.classes("chart cusum-chart")
        said = visit.say("相对基准模型的累积和", "sum of differences to the baseline")
        chart.props.update({"role": "img", "aria-label": said})
    block(why.baseline_note(visit.language, baseline))


def _days(language: Language, page: EnpiPage) -> None:
    assert page.month is not None  # asked only with a month
    title = pick(language, f"{month('zh', page.month)}逐日", f"{month('en', page.month)}, by day")
    block(section(title))
    if page.day is not None and page.meters:
        block(tag("div", why.meters_table(language, page), cls="scroll"))
    if page.days:
        block(tag("div", tables.days_table(language, page), cls="scroll", id="days"))
        return
    block(
        empty(
            language,
            ("这个月没有逐日数：能耗或产量只按月录入。", "逐月数见上方“表”。"),
            ("This month has no daily figures: energy or output is entered by the month.",
             "The monthly ones stand above under Table."),
        )
    )  # fmt: skip
