"""The performance page's elements; knows the model, not the database."""

from __future__ import annotations

from nicegui import events, ui

from dashboards.portal.markup import Safe, join, plain, tag
from dashboards.portal.pages.enpi import tables
from dashboards.portal.pages.enpi.chart import monthly_option
from dashboards.portal.pages.enpi.model import EnpiPage
from dashboards.portal.pages.enpi.words import opening, subline
from dashboards.portal.shell import block, section, table_view
from dashboards.portal.state import empty, misread
from dashboards.portal.text import Language, intensity_unit, month, pick

__all__ = ["build"]


def build(page: EnpiPage, language: Language) -> None:
    """Add the performance page to the page being built."""
    wrong = misread(language, page.misread)
    block(
        tag("h1", opening(language, page), cls="opening"),
        tag("p", join(wrong, subline(language, page), by=" · "), cls="subline"),
    )
    unit = _unit(language, page)
    with ui.element("div").classes("grid"):
        with ui.element("section").classes("span8"):
            _months(language, page, unit)
        with ui.element("section").classes("span4"):
            block(section(pick(language, "今年判定", "Verdict of the year")))
            block(tables.judgements(language, page))
            block(section(pick(language, "目标路径", "Target path"), unit))
            block(tables.path_table(language, page))
        if page.month is not None:
            with ui.element("section").classes("span12"):
                _days(language, page)


def _unit(language: Language, page: EnpiPage) -> str:
    figure = next((m.figure for m in page.months if m.figure is not None), None)
    if figure is not None:
        return intensity_unit(language, figure.energy_unit, figure.output_unit)
    return intensity_unit(language, page.indicator.energy_unit, page.indicator.output_unit)


def _months(language: Language, page: EnpiPage, unit: str) -> None:
    title = pick(language, "逐月：实际与目标", "Month by month: actual and target")
    block(section(title, unit, _keys(language, page)))
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
        ui.navigate.to(
            f"/s/{page.site.code}/enpi/{page.indicator.code}?t={page.year}&month={chosen:%Y-%m}"
        )

    chart = ui.echart(monthly_option(language, page), on_point_click=follow, renderer="svg")
    flat = (
        " flat" if all(m.figure is None or m.figure.to_target is None for m in page.months) else ""
    )
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


def _days(language: Language, page: EnpiPage) -> None:
    assert page.month is not None  # asked only with a month
    title = pick(language, f"{month('zh', page.month)}逐日", f"{month('en', page.month)}, by day")
    block(section(title))
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
