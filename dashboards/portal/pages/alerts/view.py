"""The elements of the alerts page; knows the model, not the database."""

from __future__ import annotations

from nicegui import ui

from dashboards.portal.forms import hidden, may_ask, reason_field, request_form
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.page import Visit
from dashboards.portal.pages.alerts.model import (
    AlertsPage,
    ChannelRow,
    Mute,
    OpenAlert,
    PresetRow,
    RuleRow,
)
from dashboards.portal.pages.alerts.words import (
    DELIVERED,
    STATES,
    against,
    kind_name,
    limit_text,
    subject_name,
)
from dashboards.portal.shell import block, section
from dashboards.portal.state import empty, severity, synthetic
from dashboards.portal.tables import Cell, numeric, table
from enpilot.text import DASH, age, duration, instant, number, pick

__all__ = ["build", "mute_form", "open_list"]


def build(page: AlertsPage, visit: Visit) -> None:
    """Add the page being built."""
    block(
        tag("h1", _opening(page, visit), cls="opening"),
        tag("p", _subline(page, visit), cls="subline"),
    )
    with ui.element("div").classes("grid"):
        with ui.element("section").classes("span8"):
            block(section(visit.say("正在告警", "Open alerts")))
            block(open_list(page.open, visit))
        with ui.element("section").classes("span4"):
            block(section(visit.say("静默与检修", "Muted and maintenance")))
            block(_mutes(page, visit))
        with ui.element("section").classes("span12"):
            block(section(visit.say("规则", "Rules")))
            block(_rules(page, visit))
        if page.channels:
            with ui.element("section").classes("span12"):
                block(section(visit.say("通知送达", "Delivery")))
                block(_channels(page, visit))
        if page.presets:
            with ui.element("section").classes("span12"):
                block(section(visit.say("未启用的预设规则", "Presets that are not on")))
                block(_presets(page, visit))


def _opening(page: AlertsPage, visit: Visit) -> Safe:
    firing = [a for a in page.open if a.state == "firing" and not a.muted]
    taken = [a for a in page.open if a.state == "acknowledged"]
    if not firing and not taken:
        return join(visit.say("没有告警。", "Nothing fires."))
    said: list[str] = []
    if firing:
        count = number(len(firing))
        said += [visit.say("有 ", ""), tag("b", visit.say(f"{count} 项告警", f"{count} firing"),
                                          cls="bad-text")]  # fmt: skip
        oldest = min(firing, key=lambda a: a.since)
        old = age(visit.language, (page.site.now - oldest.since).total_seconds())
        said.append(visit.say(f"，最早的在{old}", f", the oldest {old}"))
    else:
        said.append(visit.say("没有无人处理的告警", "Nothing fires that nobody has"))
    if taken:
        count = number(len(taken))
        said.append(visit.say(f"；{count} 项已确认", f"; {count} acknowledged"))
    return join(*said, visit.say("。", "."))


def _subline(page: AlertsPage, visit: Visit) -> str:
    if page.evaluated_at is None:
        return visit.say("告警服务尚未运行：enpilot alerts run",
                         "no evaluator has run yet: enpilot alerts run")  # fmt: skip
    seconds = (page.site.now - page.evaluated_at).total_seconds()
    if seconds > 300:
        old = age(visit.language, seconds)
        return visit.say(f"告警服务最近一次活动在{old}", f"the evaluator was last seen {old}")
    return visit.say(f"{number(len(page.rules))} 条规则在运行",
                     f"{number(len(page.rules))} rules are watched")  # fmt: skip


def open_list(alerts: list[OpenAlert], visit: Visit) -> Safe:
    """Return what fires as a list, each with what to do and who has it."""
    if not alerts:
        return empty(
            visit.language,
            ("没有正在触发的规则。", "规则与预设见下表；历史在每条规则的页面。"),
            ("No rule fires.", "Rules and presets stand below; history on each rule's page."),
        )
    return tag("ul", *(_open(a, visit) for a in alerts), cls="items", id="open-alerts")


def _open(alert: OpenAlert, visit: Visit) -> Safe:
    language, zone = visit.language, visit.site.zone
    mark, style, zh, en = STATES[alert.state]
    name = tag("a", pick(language, alert.rule_zh, alert.rule_en),
               href=visit.address(f"alerts/{alert.rule}"))  # fmt: skip
    figure = against(language, alert)
    if alert.page:
        figure_link: str | Safe = tag("a", figure, href=_page(alert, visit))
    else:
        figure_link = figure
    since = instant(language, alert.since.astimezone(zone))
    state = pick(language, zh, en)
    if alert.acknowledged_by:
        state = f"{state}：{alert.acknowledged_by}" if language == "zh" else (
            f"{state} by {alert.acknowledged_by}")  # fmt: skip
    muted = tag("span", visit.say("静默", "muted"), cls="mark") if alert.muted else None
    runbook = pick(language, alert.runbook_zh, alert.runbook_en)
    subject = subject_name(language, alert)
    taking = None
    if alert.state == "firing":
        taking = request_form(
            visit, "alert.acknowledge", hidden(rule=alert.rule, subject=alert.subject),
            tag("input", name_="arguments.note", maxlength=500, cls="reason",
                placeholder=visit.say("备注", "Note"), aria_label=visit.say("备注", "Note")),
            quiet=True,
        )  # fmt: skip
    return tag(
        "li",
        severity(alert.severity) if alert.state != "pending" else tag(
            "span", mark, cls=f"shape {style}"),
        tag(
            "div",
            tag("div", name, f" · {subject}" if subject else None, muted,
                synthetic(language, alert.synthetic)),
            tag("div", figure_link, f" · {state} · {since}", cls="reference"),
            tag("div", alert.note, cls="reference") if alert.note else None,
            tag("div", runbook, cls="action") if runbook else None,
            taking,
        ),
        data_alert=alert.rule,
    )  # fmt: skip


def _page(alert: OpenAlert, visit: Visit) -> str:
    """Return the address of the page behind a figure; rules name it below the site."""
    path = alert.page.removeprefix(f"/s/{visit.site.code}/").lstrip("/")
    return f"/s/{visit.site.code}/{path}"


def _mutes(page: AlertsPage, visit: Visit) -> Safe:
    form = mute_form(visit, None)
    if not page.mutes:
        none = tag("p", visit.say("没有静默。", "Nothing is muted."), cls="none")
        return join(none, form)
    return join(tag("ul", *(_mute(m, visit) for m in page.mutes), cls="items"), form)


def _mute(row: Mute, visit: Visit) -> Safe:
    zone = visit.site.zone
    until = instant(visit.language, row.until.astimezone(zone))
    what = " · ".join(p for p in (row.rule, row.subject) if p) or visit.say("全部", "everything")
    ending = request_form(
        visit, "alert.unmute", hidden(mute=row.mute_id), reason_field(visit), quiet=True
    )
    return tag(
        "li", tag("span", "–", cls="shape plain"),
        tag("div", tag("div", what, visit.say(f"，至{until}", f" until {until}")),
            tag("div", f"{row.author} · {row.reason}", cls="reference"), ending),
    )  # fmt: skip


def mute_form(visit: Visit, rule: str | None) -> Safe | None:
    """Offer to hear nothing for some hours: of a rule, or of the whole site."""
    if not may_ask(visit, "alert.mute"):
        return None
    hours = tag("input", name_="arguments.hours:json", type_="number", min="0.5", max="2208",
                step="0.5", value="2", required=True, cls="hours",
                aria_label=visit.say("小时", "Hours"))  # fmt: skip
    form = request_form(
        visit, "alert.mute", hidden(rule=rule) if rule else None, hours,
        tag("span", visit.say("小时", "hours"), cls="reference-inline"), reason_field(visit),
        quiet=True,
    )  # fmt: skip
    return tag("details", tag("summary", visit.say("静默…", "Mute…")), form, cls="table-view")


def _rules(page: AlertsPage, visit: Visit) -> Safe:
    columns = [
        visit.say("规则", "Rule"), visit.say("类别", "Kind"), visit.say("条件", "Condition"),
        numeric(visit.say("持续", "For")), visit.say("负责", "Owner"), visit.say("来源", "From"),
        visit.say("状态", "State"), visit.say("最近触发", "Last fired"),
    ]  # fmt: skip
    return table(columns, [_rule(r, visit) for r in page.rules], key="rules", stacked=True)


def _rule(row: RuleRow, visit: Visit) -> list[Cell]:
    language = visit.language
    name = join(
        severity(row.severity), " ",
        tag("a", pick(language, row.name_zh, row.name_en),
            href=visit.address(f"alerts/{row.code}")),
    )  # fmt: skip
    state = "firing" if row.firing else "pending" if row.pending else "ok"
    mark, style, zh, en = STATES[state]
    said = f" {pick(language, zh, en)}{f' {number(row.firing)}' if row.firing > 1 else ''}"
    shown = join(tag("span", mark, cls=f"shape {style}"), said)
    if row.error is not None:
        shown = join(shown, tag("span", row.error[:120], cls="reference warn-text"))
    fired = DASH
    if row.last_fired is not None:
        fired = instant(language, row.last_fired.astimezone(visit.site.zone))
    origin = pick(language, *{"preset": ("预设", "preset"), "plant": ("本厂", "plant")}[row.origin])
    return [
        name, kind_name(language, row.kind),
        limit_text(language, row.kind, row.comparison, row.threshold, row.watch),
        duration(language, row.for_s) if row.for_s else DASH, row.owner or DASH, origin, shown,
        fired,
    ]  # fmt: skip


def _presets(page: AlertsPage, visit: Visit) -> Safe:
    columns = [visit.say("预设", "Preset"), visit.say("状态", "State"), visit.say("原因", "Why")]
    return table(columns, [_preset(p, visit) for p in page.presets], cls="", key="presets")


def _preset(row: PresetRow, visit: Visit) -> list[Cell]:
    states = {"off": ("关闭", "off"), "not_applicable": ("不适用", "not applicable")}
    return [
        pick(visit.language, row.name_zh, row.name_en),
        pick(visit.language, *states.get(row.state, (row.state, row.state))),
        pick(visit.language, row.reason_zh, row.reason_en),
    ]


def _channels(page: AlertsPage, visit: Visit) -> Safe:
    columns = [
        visit.say("接收组", "Group"), visit.say("通道", "Channel"),
        visit.say("最近一次", "Last attempt"), visit.say("最近送达", "Last delivered"),
        numeric(visit.say("未送达", "Not delivered")), visit.say("原因", "Why"),
    ]  # fmt: skip
    return table(columns, [_channel(c, visit) for c in page.channels], key="channels", stacked=True)


def _channel(row: ChannelRow, visit: Visit) -> list[Cell]:
    language, zone = visit.language, visit.site.zone
    mark, style, zh, en = DELIVERED[row.state]
    when = instant(language, row.at.astimezone(zone))
    tried = join(tag("span", mark, cls=f"shape {style}"), f" {pick(language, zh, en)} · {when}")
    sent = DASH if row.last_sent is None else instant(language, row.last_sent.astimezone(zone))
    return [row.group, row.channel, tried, sent, number(row.not_taken), row.error or DASH]
