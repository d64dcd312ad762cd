"""The elements of the closing page; knows the model, not the database."""

from __future__ import annotations

from nicegui import ui

from dashboards.portal.findings import finding_name
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.page import Visit
from dashboards.portal.pages.closing import tables
from dashboards.portal.pages.closing.model import (
    ClosingPage,
    Difference,
    MonthState,
    Step,
)
from dashboards.portal.pages.closing.signing import decide_form, sign_forms
from dashboards.portal.period import period_name
from dashboards.portal.shell import block, section
from dashboards.portal.state import misread, reason, severity
from dashboards.portal.tables import Cell, table
from enpilot.text import (
    day_short,
    instant,
    month,
    number,
    pick,
    significant,
)

__all__ = ["ACTIONS", "build"]

ACTIONS = {
    "prepared": ("待审签", "prepared"),
    "withdrawn": ("已撤回", "withdrawn"),
    "closed": ("已结账", "signed"),
    "reopened": ("已重开", "reopened"),
}


def build(page: ClosingPage, visit: Visit) -> None:
    """Add the page being built."""
    block(
        tag("h1", _opening(page, visit), cls="opening"),
        tag("p", join(misread(visit.language, page.misread), _span(page, visit), by=" · "),
            cls="subline"),
    )  # fmt: skip
    with ui.element("div").classes("grid"):
        with ui.element("section").classes("span8"):
            block(section(visit.say("签字的数", "What is signed")))
            block(tables.figures(page, visit))
            block(section(visit.say("能源台账", "Energy ledger"), period_name(
                visit.language, page.month))).classes("next")  # fmt: skip
            block(tables.ledger(page, visit))
            block(section(visit.say("电费与发票", "Bills and invoices"),
                          visit.say("元", "CNY"))).classes("next")  # fmt: skip
            block(tables.paid(page, visit))
            if page.totals:
                block(
                    section(visit.say("计量、发票、上报", "Metered, invoiced, declared"))
                ).classes("next")
                block(tables.totals(page, visit))
            if page.differences:
                title = visit.say("结账后的差异", "Differences after signing")
                block(section(title)).classes("next")
                block(_differences(page, visit))
        with ui.element("section").classes("span4"):
            block(section(visit.say("阻碍签字的事项", "What stands against it")))
            block(_against(page, visit))
            block(sign_forms(page, visit))
            block(section(visit.say("各月", "Months"))).classes("next")
            block(_months(page, visit))
            if page.steps:
                block(section(visit.say("经过", "What was done"))).classes("next")
                block(_steps(page, visit))


def _opening(page: ClosingPage, visit: Visit) -> Safe:
    when = period_name(visit.language, page.month)
    state = page.state
    if state.action == "closed":
        version = state.version or 1
        return join(
            visit.say(f"{when}", f"{when} is "), tag("b", visit.say("已结账", "signed")),
            visit.say(f"，第{version}版，{state.author}签。",
                      f", version {version}, by {state.author}."),
        )  # fmt: skip
    if state.action == "prepared":
        return join(
            visit.say(f"{when}", f"{when} is "), tag("b", visit.say("待审签", "prepared")),
            visit.say(f"：{state.author}已准备，须由另一人签字。",
                      f" by {state.author}; another person signs it."),
        )  # fmt: skip
    if not page.over:
        return join(visit.say(f"{when}尚未结束，暂不能结账。",
                              f"{when} is not over; it cannot be signed yet."))  # fmt: skip
    if page.blocking:
        count = number(page.blocking)
        what = tag("b", visit.say(f"{count} 项", count), cls="warn-text")
        rest = " thing stands against signing." if page.blocking == 1 else (
            " things stand against signing.")  # fmt: skip
        return join(visit.say(f"{when}还有", f"{when}: "), what, visit.say("事项阻碍签字。", rest))
    return join(visit.say(f"{when}可以", f"{when} can be "), tag("b", visit.say("结账", "signed")),
                visit.say("。", "."))  # fmt: skip


def _span(page: ClosingPage, visit: Visit) -> str:
    last = page.period_to.toordinal() - 1
    end = page.period_to.fromordinal(last)
    return visit.say(
        f"报告期 {day_short('zh', page.period_from)}至{day_short('zh', end)}",
        f"reporting period {day_short('en', page.period_from)} to {day_short('en', end)}",
    )


def _against(page: ClosingPage, visit: Visit) -> Safe:
    language = visit.language
    items = []

    def item(level: str, what: str | Safe, more: str | Safe | None) -> None:
        items.append(
            tag("li", severity(level), tag("div", tag("div", what),
                tag("div", more, cls="reference") if more else None))
        )  # fmt: skip

    if not page.over:
        item("warning", visit.say("本月尚未结束", "The month is not over"), None)
    for figure in page.figures:
        code = figure.withheld_code
        if code is not None and not code.startswith("base"):
            item("fault", pick(language, figure.name_zh, figure.name_en), reason(language, code))
    for gap in page.missing:
        days = "、".join(day_short(language, d) for d in gap.days[:6])
        more = "…" if len(gap.days) > 6 else ""
        link = tag("a", visit.say("补录产量 ›", "Enter output ›"),
                   href=visit.address("output", t=page.month.text(), edit=1))  # fmt: skip
        said = visit.say(f"{number(len(gap.days))} 天没有产量",
                         f"{number(len(gap.days))} days without output")  # fmt: skip
        item("fault", said, join(f"{days}{more} ", link))
    for finding in page.findings:
        name = finding_name(language, finding.code)
        local = finding.at.astimezone(page.site.zone)
        where = pick(language, finding.point_zh or "", finding.point_en or "")
        link = tag("a", name[:1].upper() + name[1:],
                   href=visit.address("quality", t=page.month.text()))  # fmt: skip
        parts = (where, instant(language, local), f"#{finding.finding_id}")
        item(finding.severity, link, " · ".join(p for p in parts if p))
    if not items:
        return tag("p", visit.say("没有。", "Nothing."), cls="none")
    return tag("ul", *items, cls="items", id="against")


def _months(page: ClosingPage, visit: Visit) -> Safe:
    columns = [visit.say("月份", "Month"), visit.say("状态", "State"), visit.say("经手", "By")]
    rows = [_month(m, page, visit) for m in reversed(page.months)]
    chosen = next((i for i, m in enumerate(reversed(page.months))
                   if m.period_from == page.period_from), None)  # fmt: skip
    return table(columns, rows, cls="", chosen=chosen, key="months")


def _month(row: MonthState, page: ClosingPage, visit: Visit) -> list[Cell]:
    last = row.period_to.fromordinal(row.period_to.toordinal() - 1)
    name = tag("a", month(visit.language, last), href=visit.here(t=f"{last:%Y-%m}"))
    if row.action is None:
        running = row.period_to > page.site.today
        word = visit.say("进行中", "running") if running else visit.say("未结账", "open")
        return [name, tag("span", word, cls="reference-inline"), ""]
    word = pick(visit.language, *ACTIONS[row.action])
    style = "good" if row.action == "closed" else "unknown"
    mark = tag("span", "●" if row.action == "closed" else "◌", cls=f"shape {style}")
    return [name, join(mark, f" {word} v{row.version}"), row.author]


def _steps(page: ClosingPage, visit: Visit) -> Safe:
    return tag("ul", *(_step(s, page, visit) for s in page.steps), cls="items")


def _step(row: Step, page: ClosingPage, visit: Visit) -> Safe:
    alone = visit.say("，本人审签", ", alone") if row.self_approved else ""
    at = instant(visit.language, row.at.astimezone(page.site.zone))
    word = pick(visit.language, *ACTIONS[row.action])
    return tag(
        "li", tag("span", "·", cls="shape"),
        tag(
            "div",
            tag("div", f"{word[:1].upper()}{word[1:]} v{row.version} · {row.author}{alone}"),
            tag("div", f"{at} · {row.reason}", cls="reference"),
            tag("div", visit.say(f"数据版本 {row.data_version} · 程序 {row.code_version}",
                                 f"data version {row.data_version} · code {row.code_version}"),
                cls="reference"),
            tag("div", f"sha256 {row.sha256[:16]}…", cls="reference", title=row.sha256),
        ),
    )  # fmt: skip


def _differences(page: ClosingPage, visit: Visit) -> Safe:
    columns = [visit.say("数", "Figure"), visit.say("签字值", "Signed"),
               visit.say("现算值", "Computed now"), visit.say("原因", "Cause"), ""]  # fmt: skip
    return table(columns, [_difference(d, visit) for d in page.differences], cls="",
                 key="differences")  # fmt: skip


def _difference(row: Difference, visit: Visit) -> list[Cell]:
    named = " · ".join(str(v) for v in row.figure_key.values())
    changed = sorted(
        k for k in row.closed
        if row.computed is not None and row.closed.get(k) != row.computed.get(k)
    )  # fmt: skip
    shown = [k for k in changed if isinstance(row.closed.get(k), int | float)][:3]

    def values(content: dict[str, object] | None) -> str:
        if content is None:
            return visit.say("不再有", "gone")
        return " · ".join(
            f"{k} {significant(float(v))}"
            for k in shown
            if isinstance(v := content.get(k), int | float)
        )

    cause = (
        ", ".join(str(c) for c in row.causes) if isinstance(row.causes, list) else str(row.causes)
    )
    return [f"{row.kind} {named}", values(row.closed), values(row.computed), cause[:200],
            decide_form(row, visit)]  # fmt: skip
