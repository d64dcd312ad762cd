"""Elements of the page on data intake; knows the model, not the database."""

from __future__ import annotations

from nicegui import ui

from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.pages.intake.model import FlowFinding, Intake, Origin, Refusals, Worker
from dashboards.portal.pages.intake.words import (
    finding_detail,
    finding_word,
    kind_word,
    lag,
    opening,
    reason_word,
    state_word,
)
from dashboards.portal.shell import block, section
from dashboards.portal.site import Site
from dashboards.portal.state import empty, severity
from dashboards.portal.text import DASH, Language, age, instant, number, pick

__all__ = ["build", "findings_list", "origins_table", "refusals_table", "workers_table"]


def build(page: Intake, language: Language) -> None:
    """Add the page being built."""
    block(
        tag("h1", opening(language, page), cls="opening"),
        tag("p", _subline(language, page), cls="subline"),
    )
    with ui.element("div").classes("grid"):
        with ui.element("section").classes("span12"):
            block(section(pick(language, "来源", "Origins")))
            block(origins_table(language, page))
        with ui.element("section").classes("span8"):
            block(section(pick(language, "拒收", "Refused")))
            block(refusals_table(language, page))
        with ui.element("section").classes("span4"):
            block(section(pick(language, "数据流发现", "Findings about data flow")))
            block(findings_list(language, page))
        with ui.element("section").classes("span12"):
            block(
                section(
                    pick(language, "写入", "Writing"),
                    pick(language, "整个平台", "the whole platform"),
                )
            )
            block(workers_table(language, page))


def _subline(language: Language, page: Intake) -> str:
    shown = instant(language, page.site.now.astimezone(page.site.zone))
    return pick(
        language,
        f"截至{shown}；计数自首次上线起累计",
        f"as of {shown}; counted since each was first heard of",
    )


def origins_table(language: Language, page: Intake) -> Safe:
    """Return gateways and other publishers with what was counted of them."""
    if not page.origins:
        return empty(
            language,
            ("没有采集网关，也没有其他来源。",
             "在工厂文件中用 [[agent]] 登记网关，或运行 enpilot ingest publishers。"),
            ("There is neither a gateway nor another source.",
             "Register one in the plant file with [[agent]], or run enpilot ingest publishers."),
        )  # fmt: skip
    heads = (
        ("名称", "Name", ""), ("状态", "State", ""), ("最近读数", "Newest reading", ""),
        ("滞后", "Lag", "num"), ("已存读数", "Readings stored", "num"),
        ("收到批次", "Batches received", "num"), ("重复", "Duplicate", "num"),
        ("拒收", "Refused", "num"), ("丢失", "Lost", "num"), ("待传", "Waiting", "num"),
        ("上一组", "Last group", "num"),
    )  # fmt: skip
    rows = [_origin(language, o, page.site) for o in page.origins]
    return _table(language, heads, rows)


def _origin(language: Language, item: Origin, site: Site) -> Safe:
    away = item.kind == "gateway" and item.state != "online"
    mark = severity("warning") if away or item.units_down else None
    facts = [kind_word(language, item.kind)]
    if item.units_down:
        silent = f"{item.units_down} meter{'' if item.units_down == 1 else 's'} silent"
        facts.append(pick(language, f"{item.units_down}块表无应答", silent))
    if item.births_needed:
        count = number(item.births_needed)
        facts.append(pick(language, f"{count}次等待声明", f"{count} waited for a birth"))
    kind = tag("span", pick(language, "模拟", "simulated"), cls="mark") if item.simulated else None
    state: Safe | str = state_word(language, item)
    if item.state == "offline" and item.since is not None and item.said_at is not None:
        moment = instant(language, item.said_at.astimezone(site.zone))
        state = pick(language, f"{moment}起离线", f"offline since {moment}")
    newest: Safe | str = DASH
    if item.last_reading_ts is not None:
        old_s = max(0.0, (site.now - item.last_reading_ts).total_seconds())
        stands = instant(language, item.last_reading_ts.astimezone(site.zone))
        newest = join(stands, tag("span", age(language, old_s), cls="reference"))
    waiting: Safe | str = _count(item.held_readings)
    if item.held_readings and item.oldest_held_ts is not None:
        since = instant(language, item.oldest_held_ts.astimezone(site.zone))
        waiting = join(
            _count(item.held_readings),
            tag("span", pick(language, f"自{since}", f"since {since}"), cls="reference"),
        )
    group = DASH
    if item.group_batches is not None and item.group_readings is not None:
        group = pick(
            language,
            f"{number(item.group_batches)}批 {number(item.group_readings)}条",
            f"{number(item.group_batches)} batches, {number(item.group_readings)} readings",
        )
    return tag(
        "tr",
        tag("th", join(mark, " ") if mark else None, item.name, kind,
            tag("span", " · ".join(facts), cls="reference"), scope="row"),
        tag("td", state),
        tag("td", newest),
        tag("td", lag(language, item.reading_lag_ms), cls="num"),
        tag("td", _count(item.readings_stored), cls="num"),
        tag("td", _count(item.batches_received), cls="num"),
        tag("td", _count(item.batches_duplicated), cls="num"),
        tag("td", _warned(item.batches_refused), cls="num"),
        tag("td", _warned(item.batches_lost, "bad-text"), cls="num"),
        tag("td", waiting, cls="num"),
        tag("td", group, cls="num"),
        data_origin=item.name,
    )  # fmt: skip


def refusals_table(language: Language, page: Intake) -> Safe:
    """Return what was refused, by origin and reason, the latest first."""
    if not page.refusals:
        return tag("p", pick(language, "没有拒收的报文。", "Nothing was refused."), cls="none")
    heads = (
        ("来源", "From", ""), ("原因", "Reason", ""), ("报文", "Messages", "num"),
        ("可重试", "Kept", "num"), ("最近", "Last", ""), ("说明", "Because", "note"),
    )  # fmt: skip
    rows = [_refusal(language, r, page.site) for r in page.refusals]
    retry = pick(
        language,
        "原因排除后重试：enpilot ingest quarantine replay --code 原因",
        "once the reason is gone, try again: enpilot ingest quarantine replay --code REASON",
    )
    return join(_table(language, heads, rows), tag("p", retry, cls="action"))


def _refusal(language: Language, item: Refusals, site: Site) -> Safe:
    return tag(
        "tr",
        tag("th", item.name, scope="row"),
        tag("td", reason_word(language, item.code),
            tag("span", item.code, cls="reference")),
        tag("td", number(item.messages), cls="num"),
        tag("td", number(item.kept), cls="num"),
        tag("td", instant(language, item.last_at.astimezone(site.zone))),
        tag("td", item.sentence or DASH, cls="note", lang="en"),
        data_refusal=f"{item.name} {item.code}",
    )  # fmt: skip


def findings_list(language: Language, page: Intake) -> Safe:
    """Return findings about how data came, the newest first."""
    if not page.findings:
        return tag("p", pick(language, "没有发现。", "No findings."), cls="none")
    return tag("ul", *(_finding(language, f, page.site) for f in page.findings), cls="items")


def _finding(language: Language, item: FlowFinding, site: Site) -> Safe:
    when = instant(language, item.at.astimezone(site.zone))
    detail = finding_detail(language, item)
    return tag(
        "li",
        severity(item.severity),
        tag(
            "div",
            tag("div", finding_word(language, item.code)),
            tag("div", f"{when} · {detail}" if detail else when, cls="reference"),
        ),
        data_finding=item.code,
    )


def workers_table(language: Language, page: Intake) -> Safe:
    """Return the ingest workers and their last groups."""
    if not page.workers:
        return empty(
            language,
            ("没有写入进程在工作。", "启动：enpilot ingest run"),
            ("No ingest worker has written anything.", "Start one: enpilot ingest run"),
        )
    heads = (
        ("进程", "Worker", ""), ("启动", "Started", ""), ("上次提交", "Last commit", ""),
        ("提交用时", "Commit time", "num"), ("上一组", "Last group", "num"),
        ("累计批次", "Batches", "num"), ("累计读数", "Readings", "num"),
    )  # fmt: skip
    return _table(language, heads, [_worker(language, w, page.site) for w in page.workers])


def _worker(language: Language, item: Worker, site: Site) -> Safe:
    old_s = max(0.0, (site.now - item.last_commit_at).total_seconds())
    group = pick(
        language,
        f"{number(item.group_batches)}批 {number(item.group_readings)}条",
        f"{number(item.group_batches)} batches, {number(item.group_readings)} readings",
    )
    return tag(
        "tr",
        tag("th", number(item.number), scope="row"),
        tag("td", instant(language, item.started_at.astimezone(site.zone))),
        tag("td", age(language, old_s)),
        tag("td", f"{number(item.commit_ms, 1)} ms", cls="num"),
        tag("td", group, cls="num"),
        tag("td", number(item.batches), cls="num"),
        tag("td", number(item.readings), cls="num"),
        data_worker=item.number,
    )


def _table(language: Language, heads: tuple[tuple[str, str, str], ...], rows: list[Safe]) -> Safe:
    head = tag(
        "tr", *(tag("th", pick(language, zh, en), cls=style or None) for zh, en, style in heads)
    )
    table = tag("table", tag("thead", head), tag("tbody", *rows), cls="wide")
    return tag("div", table, cls="scroll")


def _count(value: int | None) -> str:
    return DASH if value is None else number(value)


def _warned(value: int | None, style: str = "warn-text") -> Safe | str:
    return tag("b", number(value), cls=style) if value else _count(value)
