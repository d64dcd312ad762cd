"""Chart parts in the portal's one style: colours are CSS variables, so a theme needs no redraw."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from typing import Any

from enpilot.text import Language, day_short, number

__all__ = [
    "AXIS_LABEL",
    "Option",
    "base_option",
    "category_axis",
    "day_axis",
    "label",
    "level",
    "line",
    "minute_axis",
    "nice_range",
    "quarter_steps",
    "range_from_zero",
    "tooltip",
    "usual_band",
    "value_axis",
    "veil",
    "with_phone",
]

Option = dict[str, Any]

_FONT = "Roboto, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif"
AXIS_LABEL: Option = {"color": "var(--ink3)", "fontSize": 11, "fontFamily": _FONT}


def base_option(**parts: Any) -> Option:
    """Return an option without animation or title; ``parts`` are added."""
    return {"animation": False, "textStyle": {"fontFamily": _FONT}, **parts}


def label(position: str, color: str = "var(--ink)", **more: Any) -> Option:
    """Return a data label."""
    return {"show": True, "position": position, "color": color, "fontSize": 11,
            "fontFamily": _FONT, **more}  # fmt: skip


def nice_range(values: Iterable[float | None]) -> tuple[float, float, float]:
    """Return lower end, upper end and step of an axis with at most three lines inside.

    The range does not include zero: it is for dots and lines, never for bars.
    """
    known = [v for v in values if v is not None]
    if not known:
        return 0.0, 1.0, 0.5
    low, high = min(known), max(known)
    if high - low < 1e-9 * abs(high) or high == low:
        around = abs(low) * 0.05 or 0.5  # a share of it: an index of 0.97 is not drawn from 0.5 on
        low, high = low - around, high + around
    rough = (high - low) * 1.3 / 3
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * m for m in (1, 2, 2.5, 5, 10) if size * m >= rough)
    bottom = math.floor((low - (high - low) * 0.12) / step) * step
    top = math.ceil((high + (high - low) * 0.12) / step) * step
    return bottom, top, step


def range_from_zero(high: float) -> tuple[float, float]:
    """Return upper end and step of an axis that begins at zero, in four steps at most."""
    if high <= 0:
        return 1.0, 1.0
    rough = high * 1.06 / 4
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * m for m in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if size * m >= rough)
    return math.ceil(high * 1.06 / step) * step, step


def value_axis(low: float, high: float, step: float, **more: Any) -> Option:
    """Return a value axis: thin lines, no axis line, numbers without unit."""
    digits = max(0, -math.floor(math.log10(step))) if step < 1 else (1 if step % 1 else 0)
    formatter = f"v => v.toLocaleString('en-US', {{minimumFractionDigits: {digits}, "
    formatter += f"maximumFractionDigits: {digits}}}).replace('-', '{number(-1)[0]}')"
    return {"type": "value", "min": low, "max": high, "interval": step,
            "axisLabel": {**AXIS_LABEL, ":formatter": formatter},
            "axisLine": {"show": False}, "axisTick": {"show": False},
            "splitLine": {"lineStyle": {"color": "var(--line)"}}, **more}  # fmt: skip


def category_axis(names: list[Any], **more: Any) -> Option:
    """Return an axis of months."""
    return {"type": "category", "data": names, "axisTick": {"show": False},
            "axisLine": {"lineStyle": {"color": "var(--line2)"}},
            "axisLabel": {**AXIS_LABEL, "interval": 0}, **more}  # fmt: skip


def minute_axis(minutes: int) -> Option:
    """Return the axis of one day, in minutes after its midnight (never the browser's clock)."""
    clock = "v => String(Math.floor(v / 60)).padStart(2, '0') + ':00'"
    return {"type": "value", "min": 0, "max": minutes, "interval": 240,
            "axisLabel": {**AXIS_LABEL, ":formatter": clock, "showMaxLabel": False},
            "axisTick": {"show": False}, "splitLine": {"show": False},
            "axisLine": {"lineStyle": {"color": "var(--line2)"}}}  # fmt: skip


def day_axis(first: dt.date, hours: float, language: Language) -> Option:
    """Return an axis of whole days in hours after the first midnight; of one day, its hours."""
    if hours <= 25:
        clock = "v => String(Math.floor(v)).padStart(2, '0') + ':00'"
        labels = {**AXIS_LABEL, ":formatter": clock, "showMaxLabel": False}
        every = 4
    else:
        count = int(hours // 24) + 1
        names = [day_short(language, first + dt.timedelta(days=i)) for i in range(count)]
        labels = {**AXIS_LABEL, ":formatter": f"v => ({names!r})[Math.round(v / 24)] || ''",
                  "showMaxLabel": False, "hideOverlap": True, "align": "left"}  # fmt: skip
        every = 24 * max(1, count // 8)
    return {"type": "value", "min": 0, "max": hours, "interval": every, "axisLabel": labels,
            "axisTick": {"show": False}, "splitLine": {"show": False},
            "axisLine": {"lineStyle": {"color": "var(--line2)"}}}  # fmt: skip


def level(at: float, text: str, color: str = "var(--acc)") -> Option:
    """Return a labelled horizontal line: a limit, or what is usual."""
    return {
        "silent": True, "symbol": "none",
        "lineStyle": {"color": color, "width": 1.2, "type": "solid"},
        "label": {"show": True, "position": "insideStartTop", "color": color, "fontSize": 11,
                  "fontFamily": _FONT, "formatter": text},
        "data": [{"yAxis": at}],
    }  # fmt: skip


def line(name: str, data: list[Any], color: str, **more: Any) -> Option:
    """Return a line; dashed or dotted through ``kind``, dots through ``symbol``."""
    kind = more.pop("kind", "solid")
    width = more.pop("width", 1.6)
    return {"type": "line", "name": name, "data": data, "symbol": "none", "silent": True,
            "lineStyle": {"color": color, "width": width, "type": kind},
            "itemStyle": {"color": color}, "emphasis": {"disabled": True}, **more}  # fmt: skip


def quarter_steps(values: Sequence[float | None]) -> list[list[float | None]]:
    """Return a polyline of steps over quarter-hours, [minute, value]; None lifts the pen."""
    line: list[list[float | None]] = []
    for index, value in enumerate(values):
        line += [[index * 15, value], [index * 15 + 15, value]]
    return line


def usual_band(low: Sequence[float | None], high: Sequence[float | None]) -> list[Option]:
    """Return the grey band of what is usual for each quarter-hour of a day."""
    width = [None if a is None or b is None else b - a for a, b in zip(low, high, strict=True)]
    fill = {"color": "var(--band)", "opacity": 1}
    return [
        line("", quarter_steps(low), "transparent", stack="usual", z=1),
        line("", quarter_steps(width), "transparent", stack="usual", z=1, areaStyle=fill),
    ]


def veil(spans: list[tuple[float, float, str]]) -> Option:
    """Return grey veils over spans of the horizontal axis, each with its short label."""
    return {
        "silent": True,
        "itemStyle": {"color": "var(--band)", "opacity": 0.75},
        "label": {"color": "var(--ink2)", "fontSize": 11, "position": "insideTop",
                  "fontFamily": _FONT},
        "data": [[{"xAxis": a, "name": text}, {"xAxis": b}] for a, b, text in spans],
    }  # fmt: skip


def tooltip(**more: Any) -> Option:
    """Return the tooltip of an axis: the figure, and one line of reference."""
    return {"trigger": "axis", "backgroundColor": "var(--surface)",
            "borderColor": "var(--line2)", "borderWidth": 1, "padding": [6, 10],
            "textStyle": {"color": "var(--ink)", "fontSize": 12, "fontFamily": _FONT},
            "axisPointer": {"type": "line", "lineStyle": {"color": "var(--line2)"}},
            "confine": True, **more}  # fmt: skip


def with_phone(option: Option, phone: Option) -> Option:
    """Add what differs below 480 px, and its exact way back when the width grows again."""
    return {**option, "media": [{"query": {"maxWidth": 480}, "option": phone},
                                {"option": _same_keys(option, phone)}]}  # fmt: skip


def _same_keys(option: Any, phone: Any) -> Any:
    if isinstance(phone, dict) and isinstance(option, dict):
        return {key: _same_keys(option.get(key), value) for key, value in phone.items()}
    if isinstance(phone, list) and isinstance(option, list):
        return [_same_keys(option[i], value) for i, value in enumerate(phone)]
    return option
