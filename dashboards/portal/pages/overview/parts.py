"""The overview's figures row and findings list."""

from __future__ import annotations

from dashboards.portal.findings import finding_name, finding_remedy
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.pages.overview.model import Overview
from dashboards.portal.pages.overview.words import comparable, finding_span
from dashboards.portal.state import estimated, severity, synthetic, withheld
from enpilot.text import (
    Figure,
    Language,
    change,
    clock,
    coal,
    electricity,
    energy,
    intensity,
    money,
    pick,
    power,
    quantity,
    share,
    unit_price,
)

__all__ = ["figures_row", "findings"]


def figures_row(language: Language, page: Overview) -> Safe:
    """Return the figures between two rules, each with its reference and its trust."""
    cells = [_intensity_cell(language, page), *_energy_cells(language, page)]
    cells.append(_output_cell(language, page))
    around = [_demand_cell(language, page), _cost_cell(language, page)]
    cells += [c for c in around if c is not None] or [_coverage_cell(language, page)]
    return tag("div", *cells, cls="figures")


def _cell(
    language: Language,
    key: str,
    title: str,
    figure: Figure | None,
    reference: Safe | str | None,
    mark: Safe | None = None,
) -> Safe:
    shown = None
    if figure is not None:
        shown = tag(
            "div",
            tag("span", figure.value, cls="value"),
            tag("span", figure.unit, cls="unit"),
            cls="figure",
        )
    if isinstance(reference, str) and not isinstance(reference, Safe):
        reference = tag("span", reference, cls="reference")
    missing = tag("span", pick(language, "没有数据", "no data"), cls="withheld-word")
    return tag(
        "div",
        tag("div", tag("span", title, cls="label"), mark, cls="cell-head"),
        shown if shown is not None or reference is not None else missing,
        reference,
        cls="cell",
        data_figure=key,
    )


def _intensity_cell(language: Language, page: Overview) -> Safe:
    figure = page.figure
    title = pick(language, "单位产品能耗", "Energy per unit")
    if page.indicator is not None:
        title = page.indicator.name(language)
    if figure is None:
        return _cell(language, "intensity", title, None, _later(language, page))
    if figure.intensity is None:
        limit = page.indicator.coverage_limit if page.indicator is not None else None
        why = withheld(language, figure.withheld_code or figure.status, figure, limit)
        return _cell(language, "intensity", title, None, why)
    target = figure.target_intensity or (page.month.target_intensity if page.month else None)
    said = pick(language, "没有目标可比", "no target to compare with")
    if target:
        stated = intensity(language, target, figure.energy_unit, figure.output_unit).value
        ratio = figure.intensity / target - 1.0
        distance = change(ratio)
        if not comparable(ratio):
            distance = pick(language, "产量过少，不比较", "too little output to compare")
        said = pick(
            language, f"月目标 {stated}，{distance}", f"month's target {stated}, {distance}"
        )
    elif figure.status == "base":
        said = pick(language, "基期", "base year")
    return _cell(
        language, "intensity", title,
        intensity(language, figure.intensity, figure.energy_unit, figure.output_unit), said,
        join(estimated(language, figure.estimated_share),
             synthetic(language, figure.synthetic_energy, figure.synthetic_output)),
    )  # fmt: skip


def _later(language: Language, page: Overview) -> Safe | None:
    """Say of a running day that its judged figures come when it is over."""
    if not page.in_progress:
        return None
    text = pick(language, "当天结束后计算", "computed when the day is over")
    return tag("span", text, cls="reference")


def _energy_cells(language: Language, page: Overview) -> list[Safe]:
    figure, meters = page.figure, page.electricity
    cells = []
    coal_unit = figure is not None and figure.energy_unit in ("kgce", "tce")
    if figure is not None:
        title = pick(language, "综合能耗" if coal_unit else "用能量", "Energy use")
        scheme = page.indicator.scheme(language) if page.indicator is not None else ""
        if figure.energy is None:
            why = withheld(language, figure.withheld_code or "energy_missing", figure)
            cells.append(_cell(language, "energy", title, None, why))
        else:
            shown = energy(language, figure.energy, figure.energy_unit)
            if coal_unit and figure.energy_tce is not None:
                shown = coal(language, figure.energy_tce)
            unverified = tag(
                "span", pick(language, "未核", "unverified"), cls="mark",
                title=pick(language, "折标系数未核", "the coefficient is not verified"),
            )  # fmt: skip
            mark = join(
                synthetic(language, figure.synthetic_energy),
                None if figure.factor_verified else unverified,
            )
            cells.append(_cell(language, "energy", title, shown, scheme, mark))
    if meters is not None:
        title = pick(language, "用电量", "Electricity")
        if meters.amount_kwh is None:
            why = withheld(language, meters.withheld_code or "energy_missing")
            cells.append(_cell(language, "electricity", title, None, why))
        else:
            minutes = page.load.minutes if page.load is not None else 24 * 60
            mean = meters.amount_kwh * 60.0 / minutes
            said = pick(language, f"平均 {power(mean)}", f"mean {power(mean)}")
            typical = page.around.typical_kwh
            if typical is not None:
                like = str(electricity(language, typical))
                said = pick(language, f"同类日 {like}", f"like days {like}")
            if page.in_progress:
                said = pick(language, "进行中", "still running")
            made = tag("span", pick(language, "模拟", "simulated"), cls="mark")
            mark = join(
                estimated(language, meters.estimated_share), made if meters.simulated else None
            )
            shown = electricity(language, meters.amount_kwh)
            cells.append(_cell(language, "electricity", title, shown, said, mark))
    return cells


def _output_cell(language: Language, page: Overview) -> Safe:
    figure = page.figure
    title = pick(language, "产量", "Output")
    if figure is None or figure.output is None:
        code = figure.withheld_code if figure is not None else None
        why = _later(language, page)
        if code == "output_missing":
            why = withheld(language, code, figure)
        return _cell(language, "output", title, None, why)
    product = page.indicator.product(language) if page.indicator is not None else ""
    mark = synthetic(language, figure.synthetic_output)
    shown = quantity(language, figure.output, figure.output_unit)
    return _cell(language, "output", title, shown, product, mark)


def _demand_cell(language: Language, page: Overview) -> Safe | None:
    demand = page.around.demand
    if demand is None:
        return None
    at = clock(demand.at.astimezone(page.site.zone))
    said = at
    if demand.month_kw is not None:
        month = str(power(demand.month_kw))
        said = pick(language, f"{at} · 本月最高 {month}", f"{at} · month's highest {month}")
    over = demand.declared_kw is not None and demand.kw > demand.declared_kw
    mark = tag("span", pick(language, "超申报", "above declared"),
               cls="mark warn-text") if over else None  # fmt: skip
    title = pick(language, "最大需量", "Peak demand")
    return _cell(language, "demand", title, power(demand.kw), said, mark)


def _cost_cell(language: Language, page: Overview) -> Safe | None:
    cost = page.around.cost
    if cost is None:
        return None
    said = None
    if cost.kwh:
        mean = unit_price(language, cost.yuan / cost.kwh, "kWh")
        said = pick(language, f"均价 {mean}", f"{mean} on average")
    mark = join(
        None if cost.verified else tag("span", pick(language, "未核", "unverified"), cls="mark"),
        synthetic(language, cost.simulated),
    )
    value, _, unit = money(language, cost.yuan).partition(" ")
    if language == "en":
        value, unit = unit, value
    title = pick(language, "电度电费", "Energy charge")
    return _cell(language, "cost", title, Figure(value, unit), said, mark)


def _coverage_cell(language: Language, page: Overview) -> Safe:
    figure, meters = page.figure, page.electricity
    title = pick(language, "覆盖率", "Coverage")
    source = figure if figure is not None else meters
    if source is None or source.coverage is None:
        return _cell(language, "coverage", title, None, None)
    complete = source.reporting_completeness
    said = None
    if complete is not None:
        said = pick(language, f"完整率 {share(complete)}", f"{share(complete)} complete")
    limit = page.indicator.coverage_limit if page.indicator is not None else None
    low = limit is not None and source.coverage < limit
    mark = tag("span", pick(language, f"低于{share(limit)}", f"below {share(limit)}"),
               cls="mark warn-text") if low and limit is not None else None  # fmt: skip
    return _cell(language, "coverage", title, Figure(share(source.coverage), ""), said, mark)


def findings(language: Language, page: Overview, numbers: dict[int, str]) -> Safe:
    """List the period's findings; those drawn in the chart carry its numbers."""
    if not page.findings:
        return tag(
            "p", pick(language, "这一天没有数据问题。", "No findings on this day."), cls="none"
        )
    rows = [
        tag(
            "li",
            severity(f.severity),
            tag(
                "div",
                tag("div", numbers.get(i), " " if i in numbers else None,
                    finding_name(language, f.code)),
                tag("div", finding_span(language, f, page.site.zone), cls="reference"),
                tag("div", remedy, cls="reference")
                if (remedy := finding_remedy(language, f.code)) is not None else None,
            ),
        )
        for i, f in enumerate(page.findings)
    ]  # fmt: skip
    more = None
    if page.findings_more:
        text = pick(language, f"另有{page.findings_more}条", f"{page.findings_more} more")
        more = tag("p", text, cls="reference")
    return join(tag("ul", *rows, cls="items"), more)
