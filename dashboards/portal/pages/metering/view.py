"""Elements of the page on data intake; knows the model, not the database."""

from __future__ import annotations

import datetime as dt

from nicegui import ui

from dashboards.portal.findings import finding_name
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.page import Visit
from dashboards.portal.pages.metering.meters import meters_table
from dashboards.portal.pages.metering.model import FlowFinding, Intake
from dashboards.portal.pages.metering.tables import origins_table, refusals_table, workers_table
from dashboards.portal.pages.metering.words import finding_detail, opening
from dashboards.portal.shell import block, section
from dashboards.portal.state import severity
from enpilot.text import Language, moment, number, pick

__all__ = ["build", "findings_list"]


def build(page: Intake, visit: Visit) -> None:
    """Add the page being built."""
    language = visit.language
    block(
        tag("h1", opening(language, page), cls="opening"),
        tag("p", _subline(language, page), cls="subline"),
    )
    with ui.element("div").classes("grid"):
        with ui.element("section").classes("span12"):
            block(section(pick(language, "数据来源", "Sources")))
            block(origins_table(language, page))
        if page.meters:
            with ui.element("section").classes("span12"):
                block(section(pick(language, "表计", "Meters")))
                block(meters_table(page, visit))
        with ui.element("section").classes("span8"):
            block(section(pick(language, "拒收", "Refused")))
            block(refusals_table(language, page))
        with ui.element("section").classes("span4"):
            block(section(pick(language, "传输异常", "Transfer findings")))
            block(findings_list(language, page))
        with ui.element("section").classes("span12"):
            whole = pick(language, "全平台", "the whole platform")
            block(section(pick(language, "写入", "Writing"), whole))
            block(workers_table(language, page))


def _subline(language: Language, page: Intake) -> str:
    now = page.site.now.astimezone(page.site.zone)
    shown = moment(language, now, now.date())
    return pick(language, f"截至{shown}，各项为累计值", f"as of {shown}; counts are totals")


def findings_list(language: Language, page: Intake) -> Safe:
    """Return findings about how data came, the newest first."""
    if not page.findings:
        return tag("p", pick(language, "没有异常。", "No findings."), cls="none")
    now = page.site.now.astimezone(page.site.zone)
    more = None
    if page.findings_more:
        count = number(page.findings_more)
        more = tag("p", pick(language, f"另有{count}条", f"{count} more"), cls="reference")
    return join(tag("ul", *(_finding(language, f, now) for f in page.findings), cls="items"), more)


def _finding(language: Language, item: FlowFinding, now: dt.datetime) -> Safe:
    when = moment(language, item.at.astimezone(now.tzinfo), now.date())
    detail = finding_detail(language, item)
    return tag(
        "li",
        severity(item.severity),
        tag(
            "div",
            tag("div", finding_name(language, item.code)),
            tag("div", f"{when} · {detail}" if detail else when, cls="reference"),
        ),
        data_finding=item.code,
    )
