"""The explorer's charts as options; colours are grey, series differ by line and by name."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Sequence

from dashboards.portal import charts
from dashboards.portal.page import Visit
from dashboards.portal.pages.explore.model import Chosen, ExplorePage
from dashboards.portal.tracks import STEP_S
from enpilot.text import Language, day_short, month_short, significant

__all__ = [
    "LINES", "course_points", "duration_option", "heat_option", "lines_option", "month_keys",
    "reading", "scatter_option",
]  # fmt: skip

# Colour and kind of the first, second ... series; never a colour for identity.
LINES = [
    ("var(--act)", "solid"), ("var(--ink3)", "solid"), ("var(--act)", "dashed"),
    ("var(--ink3)", "dashed"), ("var(--act)", "dotted"), ("var(--ink3)", "dotted"),
]  # fmt: skip
_STEPPED = 400  # steps drawn as steps; more are as narrow as a line
_DURATION_POINTS = 400
_VEILS = 40

Pairs = list[list[float | None]]


def lines_option(page: ExplorePage, visit: Visit) -> charts.Option:
    """Return courses over time, the period beside them in light grey on the same axis."""
    hours = len(page.starts) * STEP_S[page.step] / 3600
    step = STEP_S[page.step] / 3600
    drawn = [c for c in page.chosen if c.axis is not None]
    series: list[charts.Option] = []
    for index, chosen in enumerate(page.chosen):
        if chosen.axis is None:
            continue
        color, kind = LINES[index]
        if chosen.before is not None:
            series.append(
                charts.line("", course_points(chosen.before.values, step), "var(--prev)", kind=kind,
                            yAxisIndex=chosen.axis, z=2)
            )  # fmt: skip
        line = charts.line(chosen.course.track.name(visit.language),
                           course_points(chosen.course.values, step), color, kind=kind,
                           yAxisIndex=chosen.axis, z=4)  # fmt: skip
        if not series or (len(drawn) == 1):
            line["markArea"] = charts.veil(_estimated(chosen, step))
        series.append(line)
    axes = [
        _axis([c for c in drawn if c.axis == axis], right=axis == 1)
        for axis in sorted({c.axis for c in drawn if c.axis is not None})
    ]
    option = charts.base_option(
        grid={"left": 58, "right": 58 if len(axes) > 1 else 14, "top": 14, "bottom": 26},
        xAxis=charts.day_axis(page.period.first, hours, visit.language), yAxis=axes,
        tooltip=charts.tooltip(**{":formatter": _lines_tip(page, visit.language)}), series=series,
        toolbox={"show": False},
        brush={"xAxisIndex": "all", "brushType": "lineX", "brushMode": "single", "toolbox": [],
               "outOfBrush": {"colorAlpha": 1},
               "brushStyle": {"borderWidth": 1, "color": "transparent",
                              "borderColor": "var(--acc)"}},
    )  # fmt: skip
    return charts.with_phone(option, {"grid": {"left": 46, "right": 46 if len(axes) > 1 else 8}})


def course_points(values: Sequence[float | None], step: float) -> Pairs:
    """Return a mean of each step as a step, or in its middle where steps are too narrow."""
    pairs: Pairs = []
    if len(values) <= _STEPPED:
        for index, value in enumerate(values):
            pairs += [[round(index * step, 4), _short(value)],
                      [round((index + 1) * step, 4), _short(value)]]  # fmt: skip
        return pairs
    known = [None, *values, None]
    for index, value in enumerate(values):
        if value is not None and known[index] is None and known[index + 2] is None:
            # Alone between gaps, a point would draw nothing.
            pairs += [[round(index * step, 4), _short(value)],
                      [round((index + 1) * step, 4), _short(value)]]  # fmt: skip
        else:
            pairs.append([round((index + 0.5) * step, 4), _short(value)])
    return pairs


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _estimated(chosen: Chosen, step: float) -> list[tuple[float, float, str]]:
    spans = []
    at = 0
    for guessed, group in itertools.groupby(chosen.course.estimated):
        count = len(list(group))
        if guessed:
            spans.append((at * step, (at + count) * step, ""))
        at += count
    return spans[:_VEILS]


def _axis(chosen: Sequence[Chosen], *, right: bool) -> charts.Option:
    values = [v for c in chosen for v in c.course.values if v is not None]
    values += [v for c in chosen if c.before for v in c.before.values if v is not None]
    more: charts.Option = {"position": "right" if right else "left"}
    if right:
        more["splitLine"] = {"show": False}
    # A level (voltage, temperature) is no amount: its range need not begin at zero.
    if min(values, default=0.0) < 0 or all(c.course.track.kind == "gauge" for c in chosen):
        low, high, step = charts.nice_range(values)
        return charts.value_axis(low, high, step, **more)
    high, step = charts.range_from_zero(max(values, default=0.0))
    return charts.value_axis(0, high, step, **more)


def _lines_tip(page: ExplorePage, language: Language) -> str:
    names = [c.course.track.name(language) for c in page.chosen]
    units = {c.course.track.name(language): c.course.unit for c in page.chosen}
    count = int(len(page.starts) * STEP_S[page.step] // 86400) + 1
    days = [day_short(language, _day(page, i)) for i in range(min(count, page.period.days))]
    clock = (
        ""
        if page.step == "day"
        else (
            " + ' ' + String(Math.floor(h % 24)).padStart(2, '0') + ':'"
            " + String(Math.round(h % 1 * 60)).padStart(2, '0')"
        )
    )
    size = STEP_S[page.step] / 3600
    return (
        f"ps => {{ const d = {json.dumps(days)}, u = {json.dumps(units)},"
        f" n = {json.dumps(names)}; const seen = {{}};"
        f" const h = Math.floor(ps[0].axisValue / {size} + 1e-6) * {size};"
        f" const at = (d[Math.floor(h / 24)] || ''){clock};"
        " for (const p of ps) if (p.seriesName && p.value[1] != null) seen[p.seriesName] ="
        " Number(p.value[1].toPrecision(4)).toLocaleString('en-US') + ' ' + u[p.seriesName];"
        " const e = s => s.replace(/[&<>]/g, c => '&#' + c.charCodeAt(0) + ';');"
        " return at + n.filter(s => seen[s]).map(s => '<br>' + e(s) + ' <b>' + seen[s] + '</b>')"
        ".join(''); }"
    )


def _day(page: ExplorePage, index: int) -> dt.date:
    return page.period.first + dt.timedelta(days=index)


def heat_option(page: ExplorePage, visit: Visit) -> charts.Option:
    """Return hour by day of the first series, one hue by opacity; a gap is the bare surface."""
    course = page.chosen[0].course
    first = page.period.first
    cells = []
    for start, value in zip(page.starts, course.values, strict=True):
        if value is not None:
            cells.append([(start.date() - first).days, start.hour, _short(value)])
    values = [v for v in course.values if v is not None]
    low = min(values) if course.track.kind == "gauge" else min(0.0, *values)
    names = [day_short(visit.language, _day(page, i)) for i in range(page.period.days)]
    days = charts.category_axis(names)
    days["axisLabel"] = {**charts.AXIS_LABEL, "interval": max(0, len(names) // 9)}
    hours = charts.category_axis([f"{h:02d}" for h in range(24)], inverse=True)
    hours["axisLabel"] = {**charts.AXIS_LABEL, "interval": 5}
    hours["axisLine"] = {"show": False}
    tip = (
        f"p => ({names!r})[p.value[0]] + ' ' + String(p.value[1]).padStart(2, '0') + ':00'"
        " + '<br><b>' + Number(p.value[2].toPrecision(4)).toLocaleString('en-US')"
        f" + ' ' + {json.dumps(course.unit)} + '</b>'"
    )
    return charts.base_option(
        grid={"left": 34, "right": 12, "top": 8, "bottom": 26}, xAxis=days, yAxis=hours,
        tooltip=charts.tooltip(**{"trigger": "item", ":formatter": tip}),
        visualMap={"show": False, "min": low, "max": max(values),
                   "inRange": {"opacity": [0.05, 1]}},
        series=[{"type": "heatmap", "data": cells, "emphasis": {"disabled": True},
                 "itemStyle": {"color": "var(--heat)"}, "progressive": 0}],
    )  # fmt: skip


def scatter_option(page: ExplorePage, visit: Visit) -> charts.Option:
    """Return the days of each series against what goes along; later months are darker."""
    assert page.across is not None
    months = sorted({(s.year, s.month) for s in page.starts})
    series: list[charts.Option] = []
    days = [
        (start.date(), x, y)
        for start, x, y in zip(
            page.starts, page.across.values, page.chosen[0].course.values, strict=True
        )
        if x is not None and y is not None
    ]
    xs, ys = [x for _, x, _ in days], [y for _, _, y in days]
    for rank, month in enumerate(months):
        data = [
            [_short(x), _short(y), day_short(visit.language, day)]
            for day, x, y in days
            if (day.year, day.month) == month
        ]
        opacity = 1.0 if len(months) == 1 else 0.25 + 0.75 * rank / (len(months) - 1)
        series.append(
            {"type": "scatter", "data": data, "symbolSize": 7,
             "itemStyle": {"color": "var(--act)", "opacity": round(opacity, 2)},
             "emphasis": {"disabled": True}}
        )  # fmt: skip
    low, high, step = charts.nice_range(xs)
    if low < 0 <= min(xs, default=0):
        low = 0.0
    across = charts.value_axis(low, high, step, splitLine={"show": False},
                               axisLine={"show": True, "onZero": False,
                                         "lineStyle": {"color": "var(--line2)"}})  # fmt: skip
    bottom, top, rise = charts.nice_range(ys)
    if bottom < 0 <= min(ys, default=0):
        bottom = 0.0
    unit, along = json.dumps(page.chosen[0].course.unit), json.dumps(page.across.unit)
    tip = (
        "p => p.value[2] + '<br><b>' + Number(p.value[1].toPrecision(4)).toLocaleString('en-US')"
        f" + ' ' + {unit} + '</b><br>' +"
        f" Number(p.value[0].toPrecision(4)).toLocaleString('en-US') + ' ' + {along}"
    )
    return charts.base_option(
        grid={"left": 62, "right": 16, "top": 12, "bottom": 28}, xAxis=across,
        yAxis=charts.value_axis(bottom, top, rise),
        tooltip=charts.tooltip(**{"trigger": "item", ":formatter": tip}), series=series,
    )  # fmt: skip


def month_keys(page: ExplorePage, visit: Visit) -> str:
    """Say which month is the lightest and which the darkest point."""
    first, last = page.starts[0].date(), page.starts[-1].date()
    if (first.year, first.month) == (last.year, last.month):
        return month_short(visit.language, last)
    light, dark = month_short(visit.language, first), month_short(visit.language, last)
    return visit.say(f"浅 {light} – 深 {dark}", f"light {light} – dark {dark}")


def duration_option(page: ExplorePage, visit: Visit) -> charts.Option:
    """Return each series from its highest step to its lowest, over the hours that are known."""
    series = []
    longest, values = 0.0, []
    hours = STEP_S[page.step] / 3600
    unit = page.chosen[0].course.unit
    for index, chosen in enumerate(page.chosen):
        if chosen.course.unit != unit:
            continue
        ordered = sorted((v for v in chosen.course.values if v is not None), reverse=True)
        every = max(1, len(ordered) // _DURATION_POINTS)
        points = [[i * hours, _short(v)] for i, v in enumerate(ordered)
                  if i % every == 0 or i == len(ordered) - 1]  # fmt: skip
        longest = max(longest, len(ordered) * hours)
        values += ordered
        color, kind = LINES[index]
        series.append(
            charts.line(chosen.course.track.name(visit.language), points, color, kind=kind)
        )
    axis = {
        **charts.minute_axis(60), "max": longest, "interval": _nice(longest),
        "axisLabel": {**charts.AXIS_LABEL, "formatter": "{value} h", "showMaxLabel": False},
    }  # fmt: skip
    if min(values, default=0.0) < 0:
        scale = charts.value_axis(*charts.nice_range(values))
    else:
        high, step = charts.range_from_zero(max(values, default=0.0))
        scale = charts.value_axis(0, high, step)
    return charts.base_option(
        grid={"left": 58, "right": 14, "top": 12, "bottom": 26}, xAxis=axis, yAxis=scale,
        tooltip=charts.tooltip(show=False), series=series,
    )  # fmt: skip


def _nice(hours: float) -> int:
    return next((t for t in (6, 24, 48, 96, 168, 336, 720) if hours / t <= 8), 1200)


def reading(value: float | None) -> str:
    """Write a value of a table; nothing is known: a dash."""
    return "–" if value is None else significant(value)
