"""The elements of the reports page; knows the model, not the database."""

from __future__ import annotations

import datetime as dt

from nicegui import ui

from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.page import Visit
from dashboards.portal.pages.closing.view import ACTIONS
from dashboards.portal.pages.reports.model import Report, ReportsPage
from dashboards.portal.shell import block, section
from dashboards.portal.state import empty
from dashboards.portal.tables import Cell, numeric, table
from enpilot.text import instant, month, number, pick

__all__ = ["build"]


def build(page: ReportsPage, visit: Visit) -> None:
    """Add the page being built."""
    block(tag("h1", _opening(page, visit), cls="opening"))
    with ui.element("div").classes("grid"), ui.element("section").classes("span12"):
        block(section(visit.say("月度与年度报告", "Months and years")))
        block(_reports(page, visit), _proof(visit) if page.reports else None)


def _opening(page: ReportsPage, visit: Visit) -> Safe:
    signed = [r for r in page.reports if r.latest and r.action == "closed"]
    if not signed:
        return join(visit.say("还没有签字的报告。", "Nothing is signed yet."))
    count = number(len(signed))
    last = max(signed, key=lambda r: r.period_to)
    name = _name(last, visit)
    return join(
        tag("b", visit.say(f"{count} 份", count)),
        visit.say(f"报告已签字，最近的是{name}。", f" signed, the last of {name}."),
    )


def _name(row: Report, visit: Visit) -> str:
    last = row.period_to - dt.timedelta(days=1)
    if row.kind == "year":
        return visit.say(f"{last.year}年", str(last.year))
    return month(visit.language, last)


def _reports(page: ReportsPage, visit: Visit) -> Safe:
    if not page.reports:
        link = tag("a", visit.say("去月度结账 ›", "Go to closing ›"), href=visit.address("closing"))
        return join(
            empty(
                visit.language,
                ("这里列出签过字的月份和年份，可打印、可核验。", "先在“月度结账”准备并签字。"),
                ("Signed months and years stand here, to print and to prove.",
                 "Prepare and sign one under Closing first."),
            ),
            tag("p", link),
        )  # fmt: skip
    columns = [
        visit.say("报告期", "Period"), numeric(visit.say("版本", "Version")),
        visit.say("状态", "State"), visit.say("经手", "By"), visit.say("时间", "When"),
        numeric(visit.say("数据版本", "Data version")), visit.say("校验和", "Checksum"),
        visit.say("文件", "Files"),
    ]  # fmt: skip
    return table(columns, [_report(r, page, visit) for r in page.reports], key="reports")


def _report(row: Report, page: ReportsPage, visit: Visit) -> list[Cell]:
    last = row.period_to - dt.timedelta(days=1)
    good = row.action == "closed" and row.latest
    mark = tag("span", "●" if good else "◌", cls=f"shape {'good' if good else 'unknown'}")
    state = pick(visit.language, *ACTIONS[row.action])
    if not row.latest:
        state = visit.say(f"{state}，已被取代", f"{state}, superseded")
    alone = visit.say("（本人审签）", " (alone)") if row.self_approved else ""
    check = tag("span", f"{row.snapshot_sha256[:12]}…", title=row.snapshot_sha256,
                cls="reference-inline")  # fmt: skip
    files: Safe | None = None
    if row.kind == "month":
        asked = f"{last:%Y-%m}"
        files = join(
            tag("a", visit.say("打开并打印", "Open and print"),
                href=visit.address("closing", t=asked)),
            " · ",
            tag("a", "JSON", href=f"/api/v1{visit.address('closing', t=asked)}"),
        )  # fmt: skip
    return [
        _name(row, visit), str(row.version), join(mark, f" {state}"), f"{row.author}{alone}",
        instant(visit.language, row.at.astimezone(page.site.zone)), str(row.data_version), check,
        files,
    ]  # fmt: skip


def _proof(visit: Visit) -> Safe:
    said = visit.say(
        "校验和是签字时全部数值的 SHA-256；每一步与前一步相连，enpilot close status 检查是否完整。",
        "The checksum is the SHA-256 of all figures as signed; each step is chained to the one"
        " before, and enpilot close status checks that the chain is whole.",
    )
    return tag("p", said, cls="reference")
