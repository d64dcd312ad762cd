"""The month-by-month chart: level, difference and trust in the same twelve columns."""

from __future__ import annotations

from typing import Any

from dashboards.portal import charts
from dashboards.portal.figures import EnpiFigure
from dashboards.portal.pages.enpi.model import EnpiPage, MonthFigure
from enpilot.text import (
    Language,
    change,
    intensity,
    intensity_scale,
    month_short,
    pick,
    share,
)

__all__ = ["monthly_option"]

_COLUMN = {"bar": "var(--bad)", "good": "var(--good)", "open": "var(--prev)"}


def monthly_option(language: Language, page: EnpiPage) -> charts.Option:
    """Return the chart: actual dots, base-year line, target ticks; variance and coverage below."""
    months = page.months
    scale = next((intensity_scale(m.figure.energy_unit) for m in months if m.figure), 1.0)
    actual = [_scaled(m.figure.intensity if m.figure else None, scale) for m in months]
    base = [_scaled(m.base_intensity, scale) for m in months]
    target = [_scaled(m.figure.target_intensity if m.figure else None, scale) for m in months]
    held = _withheld_heights(months, actual, base)
    low, high, step = charts.nice_range([*actual, *base, *target, *held])
    names = [month_short(language, m.month) for m in months]
    variance = [m.figure.to_target if m.figure else None for m in months]
    width = max((abs(v) for v in variance if v is not None), default=0.01) * 1.9
    judged = any(v is not None for v in variance)
    word = pick(language, "实际", "actual")
    ticks = pick(language, "目标", "target")
    before = pick(language, "基期同月", "base year")
    withheld = pick(language, "暂缓", "withheld")
    above = pick(language, "对目标", "vs target")
    option = charts.base_option(
        grid=[
            {"left": 62, "right": 10, "top": 22, "height": 200, "outerBoundsMode": "none"},
            {"left": 62, "right": 10, "top": 262, "outerBoundsMode": "none",
             "height": 74 if judged else 1},
        ],
        xAxis=[
            charts.category_axis(names),
            charts.category_axis(
                names, gridIndex=1, axisLabel={"show": False},
                axisLine={"show": judged, "onZero": True, "lineStyle": {"color": "var(--acc)"}},
            ),
            charts.category_axis(
                [_coverage(m) for m in months], gridIndex=1, position="bottom",
                axisLine={"show": False, "onZero": False},
                name=pick(language, "覆盖率", "coverage"), nameLocation="start", nameGap=6,
                nameTextStyle={
                    **charts.AXIS_LABEL, "verticalAlign": "top", "padding": [8, 6, 0, 0],
                },
            ),
        ],
        yAxis=[
            charts.value_axis(low, high, step),
            {"type": "value", "gridIndex": 1, "min": -width, "max": width,
             "axisLabel": {"show": False}, "splitLine": {"show": False},
             "axisLine": {"show": False}, "name": above if judged else "",
             "nameLocation": "middle",
             "nameRotate": 0, "nameGap": 12,
             "nameTextStyle": {**charts.AXIS_LABEL, "align": "right"}},
        ],
        tooltip=charts.tooltip(**{":formatter": _tip(language, page)}),
        series=[
            charts.line(before, base, "var(--prev)"),
            charts.line(withheld, _bridges(actual, held), "var(--act)", kind="dashed", width=1),
            charts.line(word, _dots(language, page, actual), "var(--act)", symbol="circle",
                        symbolSize=6, z=4, label=charts.label("top")),
            _withheld_dots(withheld, held),
            _ticks(ticks, target),
            _bars(above, page, variance),
            {"type": "bar", "name": "column", "data": [high] * 12, "barWidth": "100%",
             "barGap": "-100%", "itemStyle": {"color": "transparent"}, "z": 10,
             "cursor": "pointer", "emphasis": {"disabled": True}, "tooltip": {"show": False}},
        ],
    )  # fmt: skip
    small = {"fontSize": 9}
    digits: list[Any] = [str(m.month.month) for m in months]
    return charts.with_phone(
        option,
        {"grid": [{"left": 56, "right": 2}, {"left": 56, "right": 2}],
         "xAxis": [{"data": digits}, {}, {"axisLabel": small, "nameTextStyle": small}],
         "yAxis": [{}, {"nameTextStyle": small}],
         # A column is as wide as a number: smaller labels, and 暂缓 is left to its hollow dot.
         "series": [{}, {}, {"label": {"fontSize": 9}}, {"label": {"formatter": " "}}, {},
                    {"label": {"fontSize": 8}}]},
    )  # fmt: skip


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else value * scale


def _withheld_heights(
    months: list[MonthFigure], actual: list[float | None], base: list[float | None]
) -> list[float | None]:
    """Return where a withheld month's dot is drawn: between its neighbours, it has no value."""
    heights: list[float | None] = [None] * len(months)
    for i, month in enumerate(months):
        if month.figure is None or month.figure.status != "withheld":
            continue
        before = next((v for v in reversed(actual[:i]) if v is not None), None)
        after = next((v for v in actual[i + 1 :] if v is not None), None)
        near = [v for v in (before, after) if v is not None]
        heights[i] = sum(near) / len(near) if near else base[i]
    return heights


def _bridges(actual: list[float | None], held: list[float | None]) -> list[float | None]:
    """Return the dashed line through withheld months and their direct neighbours."""
    path: list[float | None] = [None] * len(actual)
    for i, height in enumerate(held):
        if height is None:
            continue
        for j in (i - 1, i, i + 1):
            if 0 <= j < len(path):
                path[j] = held[j] if held[j] is not None else actual[j]
    return path


def _dots(language: Language, page: EnpiPage, actual: list[float | None]) -> list[Any]:
    data: list[Any] = []
    for i, (month, value) in enumerate(zip(page.months, actual, strict=True)):
        figure = month.figure
        if value is None or figure is None or figure.intensity is None:
            data.append(None)
            continue
        shown = intensity(language, figure.intensity, figure.energy_unit, figure.output_unit).value
        guessed = "≈" if (figure.estimated_share or 0.0) >= 0.05 else ""
        dot: charts.Option = {
            "value": value,
            "label": {"position": _side(i, actual, figure), "formatter": f"{guessed}{shown}"},
        }
        if figure.running(page.site.today):
            dot["itemStyle"] = {
                "color": "var(--surface)", "borderColor": "var(--act)", "borderWidth": 1.5,
            }  # fmt: skip
        data.append(dot)
    return data


def _side(i: int, actual: list[float | None], figure: EnpiFigure) -> str:
    """Return where a label stands: over target above its dot, else below; else off the line."""
    if figure.to_target is not None:
        return "top" if figure.to_target > 0 else "bottom"
    value = actual[i] or 0.0
    near = [v for v in (*actual[max(i - 1, 0) : i], *actual[i + 1 : i + 2]) if v is not None]
    return "top" if sum(value - v for v in near) >= 0 else "bottom"


def _withheld_dots(name: str, held: list[float | None]) -> charts.Option:
    return {
        "type": "scatter", "name": name, "data": held, "symbol": "circle", "symbolSize": 9,
        "silent": True, "z": 5, "emphasis": {"disabled": True},
        "itemStyle": {"color": "var(--surface)", "borderColor": "var(--unknown)",
                      "borderWidth": 1.4, "borderType": "dashed"},
        "label": charts.label("bottom", "var(--ink2)", formatter=name),
    }  # fmt: skip


def _ticks(name: str, target: list[float | None]) -> charts.Option:
    return {
        "type": "scatter", "name": name, "data": target, "symbol": "rect", "symbolSize": [24, 2],
        "silent": True, "z": 3, "emphasis": {"disabled": True},
        "itemStyle": {"color": "var(--acc)"},
    }  # fmt: skip


def _bars(name: str, page: EnpiPage, variance: list[float | None]) -> charts.Option:
    data: list[Any] = []
    for month, value in zip(page.months, variance, strict=True):
        if value is None or month.figure is None:
            data.append(None)
            continue
        color = _COLUMN["bar"] if value > 0 else _COLUMN["good"]
        if month.figure.running(page.site.today):
            color = _COLUMN["open"]  # no light while the month runs
        data.append({
            "value": value, "itemStyle": {"color": color},
            "label": {"position": "top" if value > 0 else "bottom", "formatter": change(value)},
        })  # fmt: skip
    return {"type": "bar", "name": name, "data": data, "xAxisIndex": 1, "yAxisIndex": 1,
            "barWidth": 16, "silent": True, "emphasis": {"disabled": True},
            "label": charts.label("top")}  # fmt: skip


def _coverage(month: MonthFigure) -> Any:
    figure = month.figure
    if figure is None or figure.coverage is None:
        return "–"
    ratios = [r for r in (figure.coverage, figure.output_coverage) if r is not None]
    text = share(min(ratios), 0)
    if figure.withheld_code in ("coverage_low", "output_coverage_low"):
        return {"value": text, "textStyle": {"color": "var(--warn-text)", "fontWeight": "bold"}}
    return text


def _tip(language: Language, page: EnpiPage) -> str:
    """Return a formatter that looks its lines up: numbers are formatted on this side only."""
    lines = []
    for month in page.months:
        figure = month.figure
        title = month_short(language, month.month)
        if figure is None:
            lines.append(f"{title}<br>–")
            continue
        if figure.intensity is None:
            lines.append(f"{title}<br><b>{pick(language, '暂缓', 'withheld')}</b>")
            continue
        shown = intensity(language, figure.intensity, figure.energy_unit, figure.output_unit)
        text = f"{title}<br><b>{shown}</b>"
        if figure.target_intensity and figure.to_target is not None:
            goal = intensity(
                language, figure.target_intensity, figure.energy_unit, figure.output_unit
            )
            stated = f"{goal.value} ({change(figure.to_target)})"
            text += f"<br>{pick(language, '目标', 'target')} {stated}"
        lines.append(text)
    quoted = ", ".join("'" + line.replace("'", "") + "'" for line in lines)
    return f"ps => [{quoted}][(ps[0] || ps).dataIndex]"
