"""The overview's sections around the day's load: to do, indicators, shifts, five weeks."""

from __future__ import annotations

import datetime as dt

from dashboards.portal.bars import bullet
from dashboards.portal.figures import EnpiFigure
from dashboards.portal.findings import finding_name
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.page import Visit
from dashboards.portal.pages.overview.context import Around, ShiftFigure, Task
from dashboards.portal.shell import section
from dashboards.portal.state import reason, severity, status_word, withheld
from dashboards.portal.tables import Cell, numeric, table
from enpilot.text import (
    DASH,
    change,
    day_short,
    instant,
    intensity,
    money,
    number,
    pick,
)

__all__ = ["indicators", "shifts", "tasks", "weeks"]

_CELL, _ROW, _LEFT, _BOTTOM = 24, 8, 92, 28  # of the five weeks' picture, in its own units


_TONES = {"on_track": "good", "slow": "warn", "behind": "bad"}
_MARKS = {"on_track": "●", "slow": "▲", "behind": "■"}


def tasks(around: Around, visit: Visit) -> Safe:
    """Return what to do, the most pressing and the dearest first."""
    if not around.tasks:
        none = visit.say("没有要处理的事。", "Nothing to do.")
        return tag("p", none, cls="none")
    more = None
    if around.tasks_more:
        text = visit.say(f"全部 {number(around.tasks_more + len(around.tasks))} ›",
                         f"all {number(around.tasks_more + len(around.tasks))} ›")  # fmt: skip
        more = tag("p", tag("a", text, href=visit.address("waste")), cls="action")
    return join(tag("ul", *(_task(t, visit) for t in around.tasks), cls="items", id="tasks"), more)


def _task(task: Task, visit: Visit) -> Safe:
    language = visit.language
    name = pick(language, task.name_zh, task.name_en) or finding_name(language, task.code)
    worth = None
    if task.yuan is not None:
        unit = visit.say("/年", " a year") if task.yearly else ""
        worth = tag("span", f"{money(language, task.yuan)}{unit}", cls="right")
    place = pick(language, task.place_zh, task.place_en)
    at = instant(language, task.at.astimezone(visit.site.zone))
    since = visit.say(f"{at} 起", f"since {at}") if task.kind == "alert" else (
        visit.say(f"至 {at}", f"to {at}"))  # fmt: skip
    return tag(
        "li",
        severity(task.severity),
        tag(
            "div",
            tag("div", worth, tag("a", name[:1].upper() + name[1:],
                                  href=f"/s/{visit.site.code}/{task.page}")),
            tag("div", f"{place} · {since}" if place else since, cls="reference"),
        ),
        data_task=task.kind,
    )  # fmt: skip


def indicators(around: Around, visit: Visit) -> Safe | None:
    """Return each indicator's month to date against its own target."""
    if not around.months:
        return None
    language = visit.language
    rows: list[list[Cell]] = []
    for row in around.months:
        figure = row.figure
        name = tag("a", row.indicator.name(language),
                   href=visit.address(f"enpi/{row.indicator.code}"))  # fmt: skip
        if figure.intensity is None:
            why = reason(language, figure.withheld_code or figure.status)
            rows.append([name, None, tag("span", visit.say("暂缓", "withheld"), cls="mark",
                                         title=why), DASH])  # fmt: skip
            continue
        top = max(figure.intensity, figure.target_intensity or 0.0) * 1.15
        tick = None if not figure.target_intensity else figure.target_intensity / top
        rows.append(
            [
                name, bullet(figure.intensity / top, tick),
                str(intensity(language, figure.intensity, figure.energy_unit,
                              figure.output_unit)),
                _to_target(figure, visit),
            ]
        )  # fmt: skip
    columns = [visit.say("指标", "Indicator"), "", numeric(visit.say("本月", "Month")),
               visit.say("对目标", "To target")]  # fmt: skip
    unit = visit.say("本月累计", "month to date")
    head = section(visit.say("单位产品能耗", "Energy per unit"), unit,
                   visit.say("竖线：目标", "tick: target"))  # fmt: skip
    return join(head, table(columns, rows, cls="", key="indicators"))


def _to_target(figure: EnpiFigure, visit: Visit) -> Safe:
    """Return the distance with its mark: coloured once the month is over."""
    style = _TONES.get(figure.status, "plain")
    if figure.running(visit.site.today):
        style = "plain"
    mark = tag("span", _MARKS.get(figure.status, "–"), cls=f"shape {style}",
               title=status_word(visit.language, figure.status))  # fmt: skip
    said = DASH if figure.to_target is None else change(figure.to_target)
    return tag("span", mark, f" {said}", cls="unbroken")


def shifts(around: Around, visit: Visit) -> Safe | None:
    """Return the day's shifts."""
    if not around.shifts:
        return None
    columns = [visit.say("班次", "Shift"), numeric(visit.say("单耗", "Per unit")),
               numeric(visit.say("对目标", "To target"))]  # fmt: skip
    rows = [_shift(s, visit) for s in around.shifts]
    return join(section(visit.say("班次", "Shifts")), table(columns, rows, cls="", key="shifts"))


def _shift(row: ShiftFigure, visit: Visit) -> list[Cell]:
    language = visit.language
    name = pick(language, row.name_zh, row.name_en)
    if row.intensity is None:
        return [name, withheld(language, row.withheld_code or "withheld"), DASH]
    stated = str(intensity(language, row.intensity, row.energy_unit, row.output_unit))
    return [name, stated, DASH if row.to_target is None else change(row.to_target)]


def weeks(around: Around, visit: Visit) -> Safe | None:
    """Return five weeks by hour: one hue by opacity, idle nights and weekends show at once."""
    if around.weeks_from is None:
        return None
    known = [v for row in around.weeks for v in row if v is not None]
    top = max(known) or 1.0
    low = sorted(known)[len(known) // 20]
    parts = []
    for index, hours in enumerate(around.weeks):
        y = index * _ROW
        date = around.weeks_from + dt.timedelta(days=index)
        if date.weekday() == 0:
            parts.append(tag("text", day_short(visit.language, date), x=0, y=y + _ROW))
        for hour, value in enumerate(hours[:24]):
            if value is None:
                continue
            shade = str(round(0.05 + 0.95 * max(value, 0.0) / top, 3))
            parts.append(
                tag("rect", x=_LEFT + hour * _CELL, y=y, width=_CELL - 1, height=_ROW - 1,
                    fill_opacity=shade)
            )  # fmt: skip
    bottom = len(around.weeks) * _ROW
    parts += [
        tag("text", str(hour), x=_LEFT + hour * _CELL, y=bottom + _BOTTOM - 6)
        for hour in (0, 6, 12, 18)
    ]
    floor = f"{number(low, 0 if low >= 100 else 1)} kW"
    spoken = visit.say(
        f"近五周逐时负荷，底数约 {floor}", f"five weeks by hour, about {floor} at least"
    )
    picture = tag("svg", *parts, viewBox=f"0 0 {_LEFT + 24 * _CELL} {bottom + _BOTTOM}",
                  role="img", aria_label=spoken, cls="weeks")  # fmt: skip
    axes = visit.say("行=日，列=时", "row: day, column: hour")
    least = visit.say(f"底数 {floor}", f"base {floor}")
    head = section(visit.say("近五周", "Five weeks"), axes, least)
    return join(head, picture)
