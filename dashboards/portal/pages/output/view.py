"""The elements of the output page; knows the model, not the database."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from nicegui import ui

from dashboards.portal.forms import may_ask, request_form
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.page import Visit
from dashboards.portal.pages.output.model import Cell, Entry, OutputPage
from dashboards.portal.period import period_name
from dashboards.portal.shell import block, section
from dashboards.portal.state import empty, misread, synthetic
from dashboards.portal.tables import numeric, table
from enpilot.text import (
    counted,
    day_short,
    instant,
    number,
    pick,
    significant,
    unit_name,
)

__all__ = ["DISPOSITIONS", "STAGES", "build"]

STAGES = {
    "counted": ("计数产量", "Counted"),
    "qualified": ("合格产量", "Qualified"),
    "warehoused": ("入库产量", "Warehoused"),
    "shipped": ("出厂产量", "Shipped"),
}
DISPOSITIONS = {"good": ("合格", "good"), "scrap": ("废品", "scrap"), "rework": ("返工", "rework")}
_WEEKDAYS = ("一二三四五六日", ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))


def build(page: OutputPage, visit: Visit) -> None:
    """Add the page being built."""
    block(
        tag("h1", _opening(page, visit), cls="opening"),
        tag("p", join(misread(visit.language, page.misread), _subline(page, visit), by=" · "),
            cls="subline"),
    )  # fmt: skip
    with ui.element("div").classes("grid"):
        wide = "span8" if page.history else "span12"
        with ui.element("section").classes(wide):
            block(section(visit.say("产量台账", "Ledger of output"), _unit(page, visit)))
            block(_entering(page, visit))
            if page.long:
                block(section(visit.say("按月或更长时段录入", "Entered by the month")),
                      _long(page, visit)).classes("next")  # fmt: skip
        if page.history:
            with ui.element("section").classes("span4"):
                block(section(visit.say("录入历史", "History of the entry")))
                block(_history(page, visit))


def _unit(page: OutputPage, visit: Visit) -> str:
    return "" if page.product is None else unit_name(visit.language, page.product.unit)


def _opening(page: OutputPage, visit: Visit) -> Safe:
    when = period_name(visit.language, page.month)
    if page.product is None:
        return join(visit.say("还没有产品。", "No products yet."))
    name = visit.say(page.product.name_zh, page.product.name_en)
    if page.good_total is None:
        return join(visit.say(f"{when}还没有{name}的产量。", f"{when}: no output of {name} yet."))
    made = f"{significant(float(page.good_total))} {_unit(page, visit)}"
    said: list[str] = [visit.say(f"{when}{name}", f"{when}, {name}: "), tag("b", made)]
    if page.scrap_total is not None:
        scrap = significant(float(page.scrap_total))
        said.append(visit.say(f"，废品 {scrap}", f", scrap {scrap}"))
    if page.missing:
        count = number(page.missing)
        gaps = tag(
            "b",
            visit.say(f"{count} 格未录入", f"{counted(page.missing, 'cell')} missing"),
            cls="warn-text",
        )
        said += [visit.say("，", ", "), gaps]
    return join(*said, visit.say("。", "."))


def _subline(page: OutputPage, visit: Visit) -> Safe:
    said = []
    if page.closed:
        said.append(visit.say("本月已结账：改动会成为待定差异",
                              "the month is signed: a change waits as a difference"))  # fmt: skip
    mark = synthetic(visit.language, any(c.synthetic for c in page.cells.values()),
                     any(e.synthetic for e in page.long))  # fmt: skip
    return join(" · ".join(said), mark)


def _entering(page: OutputPage, visit: Visit) -> Safe:
    """Return the ledger, inside a form while it is filled in."""
    ledger = _ledger(page, visit)
    if page.product is None or not page.columns or not may_ask(visit, "output.enter"):
        return ledger
    if not page.edit:
        link = tag("a", visit.say("录入 ›", "Enter ›"), href=visit.here(edit=1, cell=None))
        return join(ledger, tag("p", link, cls="action"))
    was = [
        tag("input", type_="hidden", name_=f"was|{key}", value=cell.good)
        for key, cell in page.cells.items()
        if cell.good is not None
    ]
    names = {"product": page.product.code, "stage": page.stage, "zone": page.site.timezone}
    fields = [tag("input", type_="hidden", name_=k, value=v) for k, v in names.items()]
    changing = visit.say("改动已有的数（旧数保留为旧版本）",
                         "change entries (the old ones stay as versions)")  # fmt: skip
    tick = tag("input", type_="checkbox", name_="supersede", value="1")
    supersede = tag("label", tick, f" {changing}", cls="tick")
    said = visit.say("理由", "Reason")
    why = tag("input", name_="reason", maxlength=2000, cls="reason", placeholder=said,
              aria_label=said)  # fmt: skip
    cancel = tag("a", visit.say("取消", "Cancel"), href=visit.here(edit=None))
    ui.add_body_html('<script src="/portal/ledger.js" defer></script>')
    form = request_form(visit, "output.enter", *fields, *was, ledger, supersede, why, cls="entry")
    return join(form, tag("p", cancel, cls="action"))


def _ledger(page: OutputPage, visit: Visit) -> Safe:
    if page.product is None or not page.columns:
        if page.long:
            said = visit.say("本月没有按班或按日的记录。", "No entries by shift or day this month.")
            return tag("p", said, cls="none")
        return empty(
            visit.language,
            ("这里按日和班次列出产量。",
             "补录或导入：enpilot import output，或由 MES 经接口上报。"),
            ("Output stands here by day and shift.",
             "Enter or import it: enpilot import output, or let the MES report it."),
        )  # fmt: skip
    columns: list[str] = [visit.say("日期", "Day")]
    for column in page.columns:
        span = f"{column.begin}–{'24:00' if column.end == '00:00' else column.end}"
        columns.append(numeric(f"{column.line} {span}".strip()))
    columns += [numeric(visit.say("当日", "Day")), numeric(visit.say("废品", "Scrap"))]
    rows = [_day(day, page, visit) for day in page.days if day <= page.site.today]
    foot: list[str | Safe | None] = [visit.say("合计", "Total")]
    for column in page.columns:
        values = [page.cells[f"{d.isoformat()}|{column.key}"].good for d in page.days]
        foot.append(_sum(values, page))
    foot += [_sum([page.good_total], page), _sum([page.scrap_total], page)]
    return table(columns, rows, foot=foot, cls="wide ledger", key="output")


def _day(day: dt.date, page: OutputPage, visit: Visit) -> list[str | Safe | None]:
    weekday = _WEEKDAYS[0][day.weekday()] if visit.language == "zh" else _WEEKDAYS[1][day.weekday()]
    row: list[str | Safe | None] = [
        join(day_short(visit.language, day), tag("span", f" {weekday}", cls="reference-inline"))
    ]
    cells = [page.cells[f"{day.isoformat()}|{c.key}"] for c in page.columns]
    for column, cell in zip(page.columns, cells, strict=True):
        row.append(_cell(f"{day.isoformat()}|{column.key}", cell, page, visit))
    row += [_sum([c.good for c in cells], page), _sum([c.scrap for c in cells], page)]
    return row


def _cell(key: str, cell: Cell, page: OutputPage, visit: Visit) -> Safe:
    if page.edit:
        style = "cell-input missing" if cell.missing else "cell-input"
        return tag("input", name_=key, value=cell.good or "", inputmode="decimal",
                   autocomplete="off", cls=style, aria_label=key.replace("|", " "))  # fmt: skip
    if cell.good is None:
        if not cell.missing:
            return tag("span", "")
        return tag("span", visit.say("未录", "missing"), cls="missing")
    mark = tag("span", visit.say("改", "v"), cls="mark",
               title=visit.say(f"第{cell.version}版", f"version {cell.version}"))  # fmt: skip
    return tag("a", _figure(cell.good, page.digits), mark if cell.version > 1 else None,
               href=visit.here(cell=key))  # fmt: skip


def _figure(text: str, digits: int | None = None) -> str:
    own = max(0, -int(Decimal(text).as_tuple().exponent)) if digits is None else digits
    return number(float(text), min(own, 4))


def _sum(values: list[str | None], page: OutputPage) -> str:
    known = [Decimal(v) for v in values if v is not None]
    return "" if not known else _figure(str(sum(known, Decimal(0))), page.digits)


def _long(page: OutputPage, visit: Visit) -> Safe:
    rows: list[list[str | Safe | None]] = []
    for entry in page.long:
        begin = entry.since.astimezone(page.site.zone)
        end = entry.until.astimezone(page.site.zone) - dt.timedelta(seconds=1)
        span = f"{begin.date().isoformat()}–{end.date().isoformat()}"
        rows.append([span, entry.line, pick(visit.language, *DISPOSITIONS[entry.disposition]),
                     _figure(entry.quantity), entry.source])  # fmt: skip
    columns = [visit.say("时段", "Span"), visit.say("产线", "Line"), visit.say("去向", "Kind"),
               numeric(visit.say("数量", "Quantity")), visit.say("来源", "Source")]  # fmt: skip
    return table(columns, rows, cls="", key="long")


def _history(page: OutputPage, visit: Visit) -> Safe:
    entries = sorted(page.history, key=lambda e: (e.disposition, -e.version))
    return tag("ul", *(_version(e, page, visit) for e in entries), cls="items")


def _version(entry: Entry, page: OutputPage, visit: Visit) -> Safe:
    kind = pick(visit.language, *DISPOSITIONS[entry.disposition])
    at = instant(visit.language, entry.recorded_at.astimezone(page.site.zone))
    was = visit.say("（已被取代）", " (superseded)") if entry.superseded else ""
    return tag(
        "li",
        tag("span", "·", cls="shape"),
        tag(
            "div",
            tag("div", tag("b", _figure(entry.quantity)), f" {_unit(page, visit)} · {kind}{was}"),
            tag("div", f"{entry.author} · {at} · v{entry.version}", cls="reference"),
            tag("div", entry.reason, cls="reference"),
            tag("div", entry.source, synthetic(visit.language, entry.synthetic), cls="reference"),
        ),
    )
