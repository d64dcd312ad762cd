"""The elements of data quality; knows the model, not the database."""

from __future__ import annotations

import datetime as dt
from typing import Any

from nicegui import ui

from dashboards.portal.findings import finding_name, finding_remedy
from dashboards.portal.forms import hidden, reason_field, request_form
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.media_words import medium_name
from dashboards.portal.page import Visit
from dashboards.portal.pages.quality.model import (
    Correction,
    Criterion,
    DayQuality,
    Found,
    MeterRow,
    QualityPage,
)
from dashboards.portal.period import period_name
from dashboards.portal.shell import block, section
from dashboards.portal.state import empty, misread, reason, severity
from dashboards.portal.tables import numeric, table
from enpilot.text import (
    DASH,
    counted,
    day_short,
    duration,
    instant,
    month,
    number,
    pick,
    share,
    significant,
)
from enpilot.waste_words import CRITERIA, OUTCOMES

__all__ = ["build"]

_STEPS = (1.0, 0.99, 0.97, 0.95)  # from the lightest grey to the darkest still above the limit
_MARKS = {"passed": ("●", "good"), "failed": ("■", "bad"), "not_known": ("◌", "unknown")}
_STATES = {
    "proposed": ("待审批", "awaits approval"),
    "in_force": ("已生效", "in force"),
    "rejected": ("已驳回", "rejected"),
    "revoked": ("已撤销", "revoked"),
}


def build(page: QualityPage, visit: Visit) -> None:
    """Add the page being built."""
    block(
        tag("h1", _opening(page, visit), cls="opening"),
        tag("p", join(misread(visit.language, page.misread), by=" · "), cls="subline"),
    )
    with ui.element("div").classes("grid"):
        with ui.element("section").classes("span12"):
            block(section(visit.say("完整率：表计 × 日", "Completeness: meter by day"),
                          period_name(visit.language, page.month), _key(page, visit)))  # fmt: skip
            block(_matrix(page, visit))
        with ui.element("section").classes("span8"):
            block(section(visit.say("发现", "Findings"), period_name(visit.language, page.month)))
            block(_findings(page, visit))
            block(section(visit.say("修正", "Corrections"))).classes("next")
            block(_corrections(page, visit))
        with ui.element("section").classes("span4"):
            block(section(visit.say("质量指数", "Quality index"), visit.say("按权重", "by weight")))
            block(_criteria(page, visit))
            block(_months(page, visit))


def _opening(page: QualityPage, visit: Visit) -> Safe:
    when = period_name(visit.language, page.month)
    poor = [m for m in page.meters if any(_below(d, page.limit) for d in m.days.values())]
    serious = sum(f.severity != "note" for f in page.findings)
    count, whole = len(page.meters) - len(poor), len(page.meters)
    said = visit.say(
        f"{when}：{number(whole)} 块表中 {number(count)} 块每天都够完整",
        f"{when}: {number(count)} of {counted(whole, 'meter')} complete enough every day",
    )
    if not serious:
        return join(said, visit.say("，没有待查问题。", ", nothing to look into."))
    what = tag("b", visit.say(f"{number(serious)} 项待查", f"{number(serious)} to look into"))
    return join(said, visit.say("，", ", "), what, visit.say("。", "."))


def _below(day: DayQuality, limit: float) -> bool:
    return day.withheld_code is not None or (
        day.completeness is not None and day.completeness < limit
    )


def _key(page: QualityPage, visit: Visit) -> Safe:
    limit = share(page.limit, 0)
    cells = [(f"q{i}", f"≥ {share(step, 0)}") for i, step in enumerate(_STEPS)]
    cells += [("q4", f"≥ {limit}"), ("low", f"< {limit}"), ("none", visit.say("无数据", "no data"))]
    keys = [tag("span", tag("span", cls=f"quality-key {c}"), text) for c, text in cells]
    return tag("span", *keys, cls="quality-keys")


def _matrix(page: QualityPage, visit: Visit) -> Safe:
    if not page.meters:
        return empty(
            visit.language,
            ("这里按表计和日显示数据完整率。", "在工厂文件中登记计量点与网关。"),
            ("Completeness stands here by meter and day.",
             "Register points and a gateway in the plant file."),
        )  # fmt: skip
    head = tag(
        "tr", tag("th", visit.say("表计", "Meter"), scope="col"),
        *(tag("th", str(d.day), scope="col", cls="weekend" if d.weekday() >= 5 else None,
              title=d.isoformat()) for d in page.days),
        tag("th", visit.say("指数", "Index"), scope="col", cls="num"),
    )  # fmt: skip
    body = [_meter(row, page, visit) for row in page.meters]
    written = tag("table", tag("thead", head), tag("tbody", *body), cls="matrix", id="matrix")
    return tag("div", written, cls="scroll")


def _meter(row: MeterRow, page: QualityPage, visit: Visit) -> Safe:
    cells = []
    for day in page.days:
        known = row.days.get(day.isoformat())
        if day > page.site.today or (known is None and day == page.site.today):
            cells.append(tag("td", cls="ahead"))
            continue
        target = visit.address(f"readings/{row.point.series_id}", t=day.isoformat())
        link = tag("a", _letter(known, page.limit), href=target,
                   title=_cell_title(day, known, visit))  # fmt: skip
        cells.append(tag("td", link, cls=_cell_style(known, page.limit)))
    index = DASH if row.index_share is None else number(row.index_share, 2)
    failed = "、".join(pick(visit.language, *CRITERIA.get(c, (c, c))) for c in row.failed)
    return tag(
        "tr", tag("th", row.point.name(visit.language), scope="row"), *cells,
        tag("td", index, cls="num", title=failed or None),
    )  # fmt: skip


def _letter(day: DayQuality | None, limit: float) -> str:
    """Return the mark of a cell: shape says the same as its colour."""
    if day is None or day.completeness is None:
        return "·"
    return "!" if _below(day, limit) else " "


def _cell_style(day: DayQuality | None, limit: float) -> str:
    if day is None or day.completeness is None:
        return "none"
    if _below(day, limit):
        return "low"
    return f"q{next((i for i, step in enumerate(_STEPS) if day.completeness >= step), 4)}"


def _cell_title(date: dt.date, day: DayQuality | None, visit: Visit) -> str:
    said = [day_short(visit.language, date)]
    if day is None:
        said.append(visit.say("无数据", "no data"))
    else:
        for name, value in (
            (visit.say("完整率", "completeness"), day.completeness),
            (visit.say("覆盖率", "coverage"), day.coverage),
            (visit.say("估算", "estimated"), day.estimated_share or None),
        ):
            if value is not None:
                said.append(f"{name} {share(value)}")
        if day.withheld_code is not None:
            said.append(reason(visit.language, day.withheld_code))
    return " · ".join(said)


def _findings(page: QualityPage, visit: Visit) -> Safe:
    if not page.findings:
        return tag("p", visit.say("本月没有发现。", "No findings this month."), cls="none")
    more = None
    if page.findings_more:
        rest = number(page.findings_more)
        more = tag("p", visit.say(f"另有 {rest} 项。", f"{rest} more."), cls="action")
    items = tag("ul", *(_finding(f, page, visit) for f in page.findings), cls="items")
    return join(items, more)


def _finding(item: Found, page: QualityPage, visit: Visit) -> Safe:
    zone = page.site.zone
    begin = item.at.astimezone(zone)
    when = instant(visit.language, begin)
    if item.to is not None and item.to > item.at:
        when = f"{when}–{instant(visit.language, item.to.astimezone(zone))}"
    place = pick(visit.language, item.point_zh or "", item.point_en or "") or medium_name(
        visit.language, item.subject
    )
    name = finding_name(visit.language, item.code)
    named: str | Safe = name[:1].upper() + name[1:]
    if item.series_id is not None:
        named = tag("a", named, href=visit.address(f"readings/{item.series_id}",
                                                   t=begin.date().isoformat()))  # fmt: skip
    return tag(
        "li",
        severity(item.severity),
        tag(
            "div",
            tag("div", join(named, tag("span", place, cls="reference right"))),
            tag("div", when, cls="reference"),
            tag("div", finding_remedy(visit.language, item.code) or "", cls="action"),
        ),
        data_finding=item.code,
    )


def _corrections(page: QualityPage, visit: Visit) -> Safe:
    if not page.corrections:
        return tag("p", visit.say("本月没有修正。", "No corrections this month."), cls="none")
    columns = [
        visit.say("表计", "Meter"), visit.say("时段", "Span"), visit.say("理由", "Reason"),
        visit.say("提出", "Proposed by"), visit.say("审批", "Approved by"),
        visit.say("状态", "State"), "",
    ]  # fmt: skip
    zone = page.site.zone
    rows: list[list[str | Safe | None]] = []
    for item in page.corrections:
        span = instant(visit.language, item.at.astimezone(zone))
        if item.to is not None:
            span = f"{span}–{instant(visit.language, item.to.astimezone(zone))}"
        own = visit.say("（本人）", " (own)") if item.self_approved else ""
        rows.append(
            [
                pick(visit.language, item.point_zh, item.point_en), span, item.reason,
                item.author, f"{item.approver or DASH}{own}",
                pick(visit.language, *_STATES[item.state]), _decide(item, visit),
            ]
        )  # fmt: skip
    return join(table(columns, rows, cls="", key="corrections", stacked=True), _would_change(visit))


def _would_change(visit: Visit) -> Safe | None:
    """Return what a correction would make of figures, as it was just asked for."""
    answer = visit.answered
    if answer is None or answer.kind != "correction.preview" or answer.outcome is None:
        return None
    changes = answer.outcome.get("changes", [])
    if not changes:
        return tag("p", visit.say("不改变任何数值。", "No figure would change."), cls="none")
    columns = [visit.say("数值", "Figure"), visit.say("期间", "Period"),
               numeric(visit.say("现在", "Now")), numeric(visit.say("修正后", "Then")),
               visit.say("判断", "Judgement")]  # fmt: skip
    rows: list[list[str | Safe | None]] = []
    for change in changes[:60]:
        verdicts = [str(change.get(k) or "") for k in ("verdict_before", "verdict_after")]
        verdict = verdicts[1] if verdicts[0] == verdicts[1] else " → ".join(verdicts)
        period = f"{change.get('period_kind', '')} {change.get('period_from', '')}"
        rows.append(
            [str(change.get("what", "")), period, _changed(change, "before"),
             _changed(change, "after"), verdict]
        )  # fmt: skip
    return table(columns, rows, cls="", key="would-change")


def _changed(change: dict[str, Any], key: str) -> str:
    value = change.get(key)
    if not isinstance(value, int | float):
        return DASH
    return f"{significant(float(value))} {change.get('unit', '')}"


def _decide(item: Correction, visit: Visit) -> Safe | None:
    """Offer what can be done about a correction in its state."""
    kinds = {"proposed": ("correction.preview", "correction.approve", "correction.reject"),
             "in_force": ("correction.revoke",)}.get(item.state, ())  # fmt: skip
    number = hidden(correction=item.correction_id)
    forms = [
        request_form(
            visit, kind, number, None if kind == "correction.preview" else reason_field(visit),
            quiet=True,
        )
        for kind in kinds
    ]  # fmt: skip
    shown = [f for f in forms if f is not None]
    if not shown:
        return None
    summary = tag("summary", visit.say("处理…", "Decide…"))
    return tag("details", summary, *shown, cls="table-view decide")


def _criteria(page: QualityPage, visit: Visit) -> Safe:
    index = page.index
    if index is None:
        return tag("p", visit.say("本月还没有质量指数。", "No quality index of this month yet."),
                   cls="none")  # fmt: skip
    stated = DASH if index.index_share is None else number(index.index_share, 2)
    known = share(index.known_share, 0)
    head = tag(
        "p", tag("span", stated, cls="value"),
        tag("span", visit.say(f"已知 {known}", f"{known} known"), cls="unit"), cls="figure",
    )  # fmt: skip
    rows: list[list[str | Safe | None]] = []
    for item in sorted(index.criteria, key=lambda c: list(_MARKS).index(c.outcome) != 1):
        mark, style = _MARKS[item.outcome]
        name = pick(visit.language, *CRITERIA.get(item.code, (item.code, item.code)))
        rows.append(
            [
                join(tag("span", mark, cls=f"shape {style}",
                         title=pick(visit.language, *OUTCOMES[item.outcome])), " ", name),
                DASH if item.value is None else _value(item, item.value, visit),
                f"{'≥' if item.kind == 'at_least' else '≤'} {_value(item, item.limit, visit)}",
            ]
        )  # fmt: skip
    columns = [visit.say("准则", "Criterion"), numeric(visit.say("现值", "Value")),
               numeric(visit.say("限值", "Limit"))]  # fmt: skip
    unverified = None
    if any(not c.verified for c in index.criteria):
        unverified = tag("p", visit.say("限值未核。", "Limits are unverified."), cls="reference")
    return join(head, table(columns, rows, cls="", key="criteria"), unverified)


def _value(item: Criterion, value: float, visit: Visit) -> str:
    if item.unit == "s":
        return duration(visit.language, value)
    if item.unit == "1" and item.code != "open_findings":
        return share(value)
    text = number(value, 0 if value == round(value) else 2)
    return text if item.unit == "1" else f"{text} {item.unit}"


def _months(page: QualityPage, visit: Visit) -> Safe | None:
    if len(page.months) < 2:
        return None
    rows: list[list[str | Safe | None]] = []
    for row in page.months:
        failed = "、" if visit.language == "zh" else ", "
        names = failed.join(pick(visit.language, *CRITERIA.get(c, (c, c))) for c in row.failed)
        rows.append(
            [
                tag("a", month(visit.language, row.month), href=visit.here(t=f"{row.month:%Y-%m}")),
                DASH if row.index_share is None else number(row.index_share, 2), names or None,
            ]
        )  # fmt: skip
    columns = [visit.say("月份", "Month"), numeric(visit.say("指数", "Index")),
               visit.say("不合格", "Failed")]  # fmt: skip
    return tag("div", table(columns, rows, cls="", key="index-months"), cls="next")
