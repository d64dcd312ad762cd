"""Charts of the year as a whole: its path, the year to date with its end, CUSUM, the expected."""

from __future__ import annotations

import datetime as dt
from typing import Any

from dashboards.portal import charts
from dashboards.portal.pages.enpi.model import EnpiPage
from dashboards.portal.pages.enpi.story import Baseline
from enpilot.text import (
    Language,
    energy_scale,
    intensity,
    intensity_scale,
    month_short,
    number,
    pick,
)

__all__ = ["cusum_option", "expected_option", "path_option", "to_date_option"]


def path_option(language: Language, page: EnpiPage) -> charts.Option:
    """Return the path over the years: blue ticks, reached years, the forecast with its interval."""
    unit = _unit(page)
    scale = intensity_scale(unit[0])
    goals = [_times(step.target_intensity, scale) for step in page.path]
    reached = [
        _times(step.figure.intensity, scale)
        if step.figure is not None and (step.closed or step.base)
        else None
        for step in page.path
    ]
    names = [str(step.year) for step in page.path]
    end = page.year_end
    index = next((i for i, s in enumerate(page.path) if s.year == page.year), None)
    forecast: list[float | None] = [None] * len(names)
    low: list[float | None] = [None] * len(names)
    band: list[float | None] = [None] * len(names)
    known = end is not None and index is not None and reached[index] is None
    if known and end is not None and index is not None and end.intensity is not None:
        forecast[index] = end.intensity * scale
        if end.intensity_lower is not None and end.intensity_upper is not None:
            low[index] = end.intensity_lower * scale
            band[index] = (end.intensity_upper - end.intensity_lower) * scale
    tops = [None if a is None or b is None else a + b for a, b in zip(low, band, strict=True)]
    bottom, top, step = charts.nice_range([*goals, *reached, *forecast, *low, *tops])
    said = [_shown(page, language, step.target_intensity) for step in page.path]
    target = pick(language, "目标", "target")
    return charts.base_option(
        grid={"left": 40, "right": 12, "top": 22, "bottom": 24, "outerBoundsMode": "none"},
        xAxis=charts.category_axis(names),
        yAxis=charts.value_axis(bottom, top, step),
        tooltip=charts.tooltip(show=False),
        series=[
            charts.line(target, goals, "var(--acc)", kind="dotted", width=1.2),
            {"type": "scatter", "name": target, "symbol": "rect", "symbolSize": [24, 2],
             "silent": True, "itemStyle": {"color": "var(--acc)"},
             "emphasis": {"disabled": True},
             # Below the tick, unless that is where the year or its forecast stands.
             "data": [None if g is None else {"value": g, "label": {
                          "formatter": text,
                          "position": "top" if here is not None and here < g else "bottom"}}
                      for g, text, here in zip(
                          goals, said,
                          [a if a is not None else b
                           for a, b in zip(reached, forecast, strict=True)], strict=True)],
             "label": charts.label("bottom", "var(--acc)")},
            {"type": "bar", "stack": "band", "data": low, "barWidth": 12, "silent": True,
             "itemStyle": {"color": "transparent"}, "emphasis": {"disabled": True}},
            {"type": "bar", "stack": "band", "data": band, "barWidth": 12, "silent": True,
             "itemStyle": {"color": "var(--prev)", "opacity": 0.6},
             "emphasis": {"disabled": True}},
            {"type": "scatter", "name": pick(language, "实际", "actual"), "data": reached,
             "symbolSize": 7, "silent": True, "itemStyle": {"color": "var(--act)"},
             "emphasis": {"disabled": True}, "z": 5},
            {"type": "scatter", "name": pick(language, "预计", "forecast"), "data": forecast,
             "symbolSize": 9, "silent": True, "emphasis": {"disabled": True}, "z": 6,
             "itemStyle": {"color": "var(--surface)", "borderColor": "var(--act)",
                           "borderWidth": 1.6},
             "label": _forecast_label(language, page)},
        ],
    )  # fmt: skip


def _forecast_label(language: Language, page: EnpiPage) -> charts.Option:
    end = page.year_end
    if end is None or end.intensity is None:
        return {"show": False}
    below = end.target_intensity is not None and end.intensity < end.target_intensity
    shown = _shown(page, language, end.intensity)
    return charts.label("bottom" if below else "top",
                        formatter=pick(language, f"预计 {shown}", f"forecast {shown}"))  # fmt: skip


def to_date_option(language: Language, page: EnpiPage) -> charts.Option:
    """Return the year to date against its target, then the dashed way to the forecast end."""
    unit = _unit(page)
    scale = intensity_scale(unit[0])
    actual: list[float | None] = [None] * 12
    target: list[float | None] = [None] * 12
    for figure in page.to_date:
        month = figure.last_day.month - 1
        actual[month] = _times(figure.intensity, scale)
        target[month] = _times(figure.target_intensity, scale)
    last = max((i for i, v in enumerate(actual) if v is not None), default=None)
    ahead: list[float | None] = [None] * 12
    low: list[float | None] = [None] * 12
    band: list[float | None] = [None] * 12
    end = page.year_end
    forecast = end is not None and end.intensity is not None and last is not None and last < 11
    if forecast and end is not None and last is not None and end.intensity is not None:
        here = actual[last] or 0.0
        ahead[last], ahead[11] = here, end.intensity * scale
        if end.intensity_lower is not None and end.intensity_upper is not None:
            edges = (end.intensity_lower * scale, end.intensity_upper * scale)
            for i in range(last, 12):
                way = (i - last) / (11 - last)
                low[i] = here + (edges[0] - here) * way
                band[i] = (edges[1] - edges[0]) * way
        if end.target_intensity is not None:
            target[11] = end.target_intensity * scale
    tops = [None if a is None or b is None else a + b for a, b in zip(low, band, strict=True)]
    bottom, top, step = charts.nice_range([*actual, *target, *ahead, *low, *tops])
    names = [month_short(language, dt.date(page.year, m, 1)) for m in range(1, 13)]
    goal = pick(language, "目标", "target")
    # Ends that lie close together: the higher one's label goes up, the other one's down.
    aim, reach = target[11], ahead[11]
    lift = 0
    if aim is not None and reach is not None and abs(aim - reach) < (top - bottom) * 0.08:
        lift = 8 if aim >= reach else -8
    option = charts.base_option(
        grid={"left": 46, "right": 96, "top": 16, "bottom": 24, "outerBoundsMode": "none"},
        xAxis=charts.category_axis(names, boundaryGap=False),
        yAxis=charts.value_axis(bottom, top, step),
        tooltip=charts.tooltip(**{":formatter": _tip(language, page, names, actual, target)}),
        series=[
            charts.line("", low, "transparent", stack="band", connectNulls=True),
            charts.line("", band, "transparent", stack="band", connectNulls=True,
                        areaStyle={"color": "var(--band)", "opacity": 0.9}),
            charts.line(goal, target, "var(--acc)", connectNulls=True,
                        endLabel=_end(goal, target, "var(--acc)", language, page, -lift)),
            charts.line(pick(language, "预计", "forecast"), ahead, "var(--act)", kind="dashed",
                        connectNulls=True,
                        endLabel=_end(pick(language, "预计", "forecast"), ahead, "var(--act)",
                                      language, page, lift)),
            charts.line(pick(language, "累计", "to date"), actual, "var(--act)", symbol="circle",
                        symbolSize=5, z=4, connectNulls=False),
        ],
    )  # fmt: skip
    return charts.with_phone(
        option,
        {"grid": {"left": 40, "right": 84}, "xAxis": {"data": [str(i) for i in range(1, 13)]}},
    )


def _end(
    name: str,
    values: list[float | None],
    color: str,
    language: Language,
    page: EnpiPage,
    down: int = 0,
) -> charts.Option:
    """Return the label at a line's end: its name and value, so many pixels lower."""
    last = next((v for v in reversed(values) if v is not None), None)
    if last is None:
        return {"show": False}
    shown = _shown(page, language, last / intensity_scale(_unit(page)[0]))
    return {"show": True, "color": color, "fontSize": 11, "offset": [0, down],
            "formatter": f"{name} {shown}"}  # fmt: skip


def _tip(
    language: Language, page: EnpiPage, names: list[str], actual: list[Any], target: list[Any]
) -> str:
    scale = intensity_scale(_unit(page)[0])
    lines = []
    for name, value, goal in zip(names, actual, target, strict=True):
        text = (
            name if value is None else f"{name}<br><b>{_shown(page, language, value / scale)}</b>"
        )
        if goal is not None:
            text += f"<br>{pick(language, '目标', 'target')} {_shown(page, language, goal / scale)}"
        lines.append(text)
    quoted = ", ".join(f"'{line}'" for line in lines)
    return f"ps => [{quoted}][(ps[0] || ps).dataIndex]"


def cusum_option(language: Language, baseline: Baseline) -> charts.Option:
    """Return the sum of differences to the expected since training; a bend is a change."""
    months = [m for m in baseline.months if not m.training]
    unit, scale = energy_scale(baseline.energy_unit)
    values = [_times(m.cusum, scale) for m in months]
    bottom, top, step = charts.nice_range([0.0, *values])
    shifts = [
        {"xAxis": i, "yAxis": v, "value": "①②③④⑤⑥⑦⑧⑨"[n]}
        for n, (i, v) in enumerate(
            (i, v) for i, (m, v) in enumerate(zip(months, values, strict=True))
            if m.shift and v is not None
        )
        if n < 9
    ]  # fmt: skip
    names = [month_short(language, m.month) for m in months]
    last = next((v for v in reversed(values) if v is not None), None)
    return charts.base_option(
        grid={"left": 46, "right": 56, "top": 14, "bottom": 24, "outerBoundsMode": "none"},
        xAxis=charts.category_axis(
            names, boundaryGap=False,
            axisLabel={**charts.AXIS_LABEL, "interval": "auto", "hideOverlap": True},
            axisLine={"onZero": True, "lineStyle": {"color": "var(--line2)"}},
        ),
        yAxis=charts.value_axis(bottom, top, step),
        tooltip=charts.tooltip(**{
            ":formatter": "ps => ps[0].name + '<br><b>' + Math.round(ps[0].value)"
                          ".toLocaleString('en-US')"
                          f".replace('-', '{number(-1)[0]}') + ' {unit}</b>'"
        }),
        series=[charts.line(
            "CUSUM", values, "var(--act)",
            markPoint={"symbol": "circle", "symbolSize": 1, "silent": True, "data": shifts,
                       "label": charts.label("top", "var(--ink2)", fontSize=13)},
            endLabel={"show": last is not None, "color": "var(--act)", "fontSize": 11,
                      "formatter": "" if last is None else number(last)},
        )],
    )  # fmt: skip


def expected_option(language: Language, page: EnpiPage, baseline: Baseline) -> charts.Option:
    """Return the year's energy by month over what the baseline expects, with its 95 % band."""
    unit, scale = energy_scale(baseline.energy_unit)
    by_month = {m.month: m for m in baseline.months}
    months = [by_month.get(m.month) for m in page.months]
    actual = [None if m is None else _times(m.actual, scale) for m in months]
    expected = [None if m is None else _times(m.expected, scale) for m in months]
    low = [None if m is None else _times(m.lower, scale) for m in months]
    high = [None if m is None else _times(m.upper, scale) for m in months]
    band = [None if a is None or b is None else b - a for a, b in zip(low, high, strict=True)]
    bottom, top, step = charts.nice_range([*actual, *expected, *low, *high])
    names = [month_short(language, m.month) for m in page.months]
    lines = []
    for name, a, e in zip(names, actual, expected, strict=True):
        line = name if a is None else f"{name}<br><b>{number(a, 1)} {unit}</b>"
        if e is not None:
            line += f"<br>{pick(language, '应有', 'expected')} {number(e, 1)}"
        lines.append(f"'{line}'")
    option = charts.base_option(
        grid={"left": 62, "right": 10, "top": 22, "bottom": 26, "outerBoundsMode": "none"},
        xAxis=charts.category_axis(names), yAxis=charts.value_axis(bottom, top, step),
        tooltip=charts.tooltip(**{
            ":formatter": f"ps => [{', '.join(lines)}][(ps[0] || ps).dataIndex]"
        }),
        series=[
            charts.line("", low, "transparent", stack="band"),
            charts.line("", band, "transparent", stack="band",
                        areaStyle={"color": "var(--band)", "opacity": 0.9}),
            charts.line(pick(language, "应有", "expected"), expected, "var(--acc)", kind="dashed"),
            charts.line(pick(language, "实际", "actual"), actual, "var(--act)", symbol="circle",
                        symbolSize=6, z=4),
            {"type": "bar", "name": "column", "data": [top] * 12, "barWidth": "100%",
             "itemStyle": {"color": "transparent"}, "z": 10, "cursor": "pointer",
             "emphasis": {"disabled": True}, "tooltip": {"show": False}},
        ],
    )  # fmt: skip
    return charts.with_phone(option, {"xAxis": {"data": [str(i) for i in range(1, 13)]}})


def _unit(page: EnpiPage) -> tuple[str, str]:
    figure = next((m.figure for m in page.months if m.figure is not None), None)
    if figure is not None:
        return figure.energy_unit, figure.output_unit
    return page.indicator.energy_unit, page.indicator.output_unit


def _times(value: float | None, scale: float) -> float | None:
    return None if value is None else value * scale


def _shown(page: EnpiPage, language: Language, value: float | None) -> str:
    return "–" if value is None else intensity(language, value, *_unit(page)).value
