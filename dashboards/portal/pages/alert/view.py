"""The elements of a rule's page; knows the model, not the database."""

from __future__ import annotations

import datetime as dt
from typing import Any

from nicegui import ui

from dashboards.portal import charts
from dashboards.portal.answers import Answer
from dashboards.portal.forms import hidden, may_ask, request_form
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.page import Visit
from dashboards.portal.pages.alert.model import AlertPage, Event, Rule
from dashboards.portal.pages.alerts.view import mute_form, open_list
from dashboards.portal.pages.alerts.words import STATES, kind_name, limit_text
from dashboards.portal.shell import block, section
from dashboards.portal.tables import Cell, numeric, table
from enpilot.text import DASH, duration, instant, number, pick, significant

__all__ = ["build", "replay_option"]

_BACK_DAYS = 28


def build(page: AlertPage, visit: Visit) -> None:
    """Add the page being built."""
    block(tag("h1", _opening(page, visit), cls="opening"),
          tag("p", tag("a", visit.say("‹ 全部告警", "‹ All alerts"), href=visit.address("alerts")),
              cls="subline"))  # fmt: skip
    with ui.element("div").classes("grid"):
        with ui.element("section").classes("span8"):
            if page.open:
                block(section(visit.say("正在告警", "Open")))
                block(open_list(page.open, visit))
            _replay(page, visit)
            block(section(visit.say("经过", "History"))).classes("next")
            block(_events(page, visit))
        with ui.element("section").classes("span4"):
            block(section(visit.say("规则", "Rule"), kind_name(visit.language, page.rule.kind)))
            block(_facts(page.rule, visit))
            block(mute_form(visit, page.rule.code))


def _opening(page: AlertPage, visit: Visit) -> Safe:
    rule = page.rule
    condition = limit_text(visit.language, rule.kind, rule.comparison, rule.threshold, rule.watch)
    lasting = ""
    if rule.for_s:
        long = duration(visit.language, rule.for_s)
        lasting = visit.say(f"持续 {long}", f" for {long}")
    return join(tag("b", visit.say(rule.name_zh, rule.name_en)), visit.say("：", ": "), condition,
                lasting, visit.say("。", "."))  # fmt: skip


def _replay(page: AlertPage, visit: Visit) -> None:
    """Show what the rule would have done, and offer to try another limit."""
    block(
        section(visit.say("回放：它会在何时触发", "Back-test: when it would have fired"))
    ).classes("next" if page.open else "")
    if page.replayed is not None and page.replayed.outcome is not None:
        _replayed(page.replayed, page, visit)
    elif not may_ask(visit, "alert.replay"):
        block(tag("p", visit.say("还没有人回放过。", "Nobody has asked for one yet."), cls="none"))
    until = page.site.midnight(page.site.today)
    since = page.site.midnight(page.site.today - dt.timedelta(days=_BACK_DAYS))
    other = tag("input", name_="arguments.threshold:json", type_="number", step="any",
                value=f"{page.rule.threshold:g}", cls="hours",
                aria_label=visit.say("限值", "Limit"))  # fmt: skip
    block(
        request_form(
            visit, "alert.replay",
            hidden(rule=page.rule.code, since=since.isoformat(), until=until.isoformat()),
            tag("span", visit.say(f"最近{_BACK_DAYS}天，限值", f"last {_BACK_DAYS} days, limit"),
                cls="reference-inline"), other, quiet=True,
        )
    )  # fmt: skip


def _replayed(answer: Answer, page: AlertPage, visit: Visit) -> None:
    told = answer.outcome or {}
    firings: list[dict[str, Any]] = told.get("firings", [])
    limit = significant(float(told.get("threshold", 0.0)))
    count = len(firings)
    block(
        tag("p", visit.say(f"限值 {limit} 时会触发 {number(count)} 次。",
                           f"With a limit of {limit} it would have fired {number(count)} times."))
    )  # fmt: skip
    seen = told.get("seen", [])
    if seen and len(seen[0]["at"]) > 1:
        chart = ui.echart(replay_option(told, page, visit), renderer="svg")
        chart.classes("chart evidence-chart")
        chart.props.update({"role": "img", "aria-label": visit.say("回放", "back-test")})
    rows: list[list[Cell]] = []
    for firing in firings[:50]:
        since = _at(firing["since"], page)
        until = None if firing["until"] is None else _at(firing["until"], page)
        lasted = visit.say("仍在", "still on")
        if until is not None:
            lasted = duration(visit.language, (until - since).total_seconds())
        worst = firing.get("worst")
        rows.append([instant(visit.language, since), firing["subject"], lasted,
                     DASH if worst is None else significant(float(worst))])  # fmt: skip
    if rows:
        columns = [visit.say("触发", "Fired"), visit.say("对象", "Subject"),
                   numeric(visit.say("持续", "Lasted")),
                   numeric(visit.say("最坏值", "Worst"))]  # fmt: skip
        block(table(columns, rows, cls="", key="replay"))


def _at(text: str, page: AlertPage) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(page.site.zone)


def replay_option(told: dict[str, Any], page: AlertPage, visit: Visit) -> charts.Option:
    """Return what was seen of the first subject against the limit, with veils where it fired."""
    seen = told["seen"][0]
    since = dt.datetime.fromisoformat(told["since"]).astimezone(page.site.zone)
    hours = (dt.datetime.fromisoformat(told["until"]) - since).total_seconds() / 3600

    def at(text: str) -> float:
        return (dt.datetime.fromisoformat(text) - since).total_seconds() / 3600

    points = [[round(at(t), 4), v] for t, v in zip(seen["at"], seen["value"], strict=True)]
    limit = float(told["threshold"])
    low, high, step = charts.nice_range([limit, *(p[1] for p in points)])
    series = charts.line("", points, "var(--act)", width=1)
    series["markLine"] = charts.level(
        limit, visit.say(f"限值 {significant(limit)}", f"limit {significant(limit)}")
    )
    series["markArea"] = charts.veil(
        [
            (at(f["since"]), hours if f["until"] is None else at(f["until"]), "")
            for f in told["firings"]
            if f["subject"] == seen["subject"]
        ][:200]
    )
    return charts.base_option(
        grid={"left": 52, "right": 12, "top": 14, "bottom": 24},
        xAxis=charts.day_axis(since.date(), hours, visit.language),
        yAxis=charts.value_axis(low, high, step), tooltip=charts.tooltip(show=False),
        series=[series],
    )  # fmt: skip


def _events(page: AlertPage, visit: Visit) -> Safe:
    if not page.events:
        return tag("p", visit.say("还没有触发过。", "It never fired."), cls="none")
    columns = [visit.say("何时", "When"), visit.say("对象", "Subject"), visit.say("状态", "State"),
               numeric(visit.say("值", "Value")), numeric(visit.say("限值", "Limit")),
               visit.say("谁", "Who")]  # fmt: skip
    return table(columns, [_event(e, page, visit) for e in page.events], cls="", key="events")


def _event(row: Event, page: AlertPage, visit: Visit) -> list[Cell]:
    mark, style, zh, en = STATES.get(row.to_state, ("–", "plain", row.to_state, row.to_state))
    state = join(tag("span", mark, cls=f"shape {style}"), f" {pick(visit.language, zh, en)}")
    unit = "" if row.unit in (None, "1") else f" {row.unit}"
    who = " · ".join(p for p in (row.author, row.note) if p)
    return [
        instant(visit.language, row.at.astimezone(page.site.zone)), row.subject, state,
        DASH if row.value is None else f"{significant(row.value)}{unit}",
        f"{significant(row.threshold)}{unit}", who,
    ]  # fmt: skip


def _facts(rule: Rule, visit: Visit) -> Safe:
    language = visit.language
    hours = ", ".join(str(h) for h in rule.schedule.get("hours", [])) or visit.say(
        "全天", "all day"
    )
    days = ", ".join(str(d) for d in rule.schedule.get("days", []))
    facts = [
        (visit.say("条件", "Condition"),
         limit_text(language, rule.kind, rule.comparison, rule.threshold, rule.watch)),
        (visit.say("回差", "Hysteresis"),
         significant(rule.hysteresis) if rule.hysteresis else DASH),
        (visit.say("持续", "For"), duration(language, rule.for_s) if rule.for_s else DASH),
        (visit.say("评估周期", "Evaluated every"), duration(language, rule.period_s)),
        (visit.say("时段", "Hours"), f"{days} {hours}".strip()),
        (visit.say("停产时静默", "Muted in shutdowns"),
         visit.say("是", "yes") if rule.mute_in_shutdown else visit.say("否", "no")),
        (visit.say("提醒", "Reminder"),
         duration(language, rule.remind_s) if rule.remind_s else DASH),
        (visit.say("升级", "Escalation"), _escalation(rule, visit)),
        (visit.say("负责", "Owner"), rule.owner or DASH),
        (visit.say("通知", "Recipients"), rule.recipients or DASH),
        (visit.say("登记", "Registered by"), f"{rule.author} · {rule.reason}"),
    ]  # fmt: skip
    rows = [tag("tr", tag("th", a, scope="row"), tag("td", b, cls="num")) for a, b in facts]
    runbook = pick(language, rule.runbook_zh, rule.runbook_en)
    return join(
        tag("table", tag("tbody", *rows), cls="facts"),
        tag("p", tag("b", visit.say("建议：", "Do: ")), runbook, cls="action") if runbook else None,
    )


def _escalation(rule: Rule, visit: Visit) -> str:
    said = []
    for step in rule.escalation:
        minutes = number(float(step.get("after_min", 0)))
        to = str(step.get("recipients") or step.get("severity") or "")
        said.append(visit.say(f"{minutes}分钟后 {to}", f"after {minutes} min {to}"))
    return "；".join(said) if visit.language == "zh" and said else "; ".join(said) or DASH
