"""The elements of the settings page; knows the model, not the database."""

from __future__ import annotations

import datetime as dt
from typing import Any

from nicegui import ui

from dashboards.portal.forms import may_ask, reason_field, request_form
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.media_words import medium_name
from dashboards.portal.page import Visit
from dashboards.portal.pages.settings.model import (
    Change,
    FactorRow,
    SettingsPage,
    TargetRow,
    TariffRow,
)
from dashboards.portal.shell import block, section
from dashboards.portal.tables import Cell, numeric, table
from enpilot.text import DASH, counted, instant, number, pick, share, significant

__all__ = ["build"]

_CLASSES = {
    "official": ("官方", "official"),
    "assigned": ("下达", "assigned"),
    "internal": ("企业自定", "internal"),
}
_BASES = {"physical": ("当量值", "equivalent"), "primary": ("等价值", "primary")}
_ABOUT = {
    "site": ("厂区", "site"), "point": ("计量点", "points"), "product": ("产品", "products"),
    "scheme": ("口径", "schemes"), "enpi": ("绩效参数", "EnPIs"), "target": ("目标", "targets"),
    "tariff": ("电价", "tariffs"), "account": ("供电户", "accounts"), "shift": ("班次", "shifts"),
    "area": ("区域", "areas"), "factor": ("系数", "factors"), "calendar": ("日历", "calendar"),
    "price": ("价格", "prices"), "machine": ("设备", "machines"),
    "retrofit": ("改造", "retrofits"),
}  # fmt: skip


def build(page: SettingsPage, visit: Visit) -> None:
    """Add the page being built."""
    block(tag("h1", _opening(page, visit), cls="opening"),
          tag("p", _how(visit), cls="subline"))  # fmt: skip
    with ui.element("div").classes("grid"):
        with ui.element("section").classes("span12"):
            block(section(visit.say("目标", "Targets")))
            block(_targets(page, visit))
        with ui.element("section").classes("span12"):
            block(section(visit.say("折标系数", "Standard-coal coefficients"),
                          visit.say("按各口径所用", "as the schemes use them")))  # fmt: skip
            block(_factors(page, visit))
        if page.tariffs:
            with ui.element("section").classes("span12"):
                block(section(visit.say("电价", "Tariffs")))
                block(_tariffs(page, visit))
        if may_ask(visit, "plant.check"):
            with ui.element("section").classes("span12"):
                block(section(visit.say("工厂文件", "Plant file"),
                              visit.say("先检查，再写入", "check first, then apply")))  # fmt: skip
                block(_plant_form(visit))
        with ui.element("section").classes("span12"):
            block(section(visit.say("变更记录", "Changes"), visit.say("新的在前", "newest first")))
            block(_changes(page, visit))


def _opening(page: SettingsPage, visit: Visit) -> Safe:
    unverified = sum(not f.verified for f in page.factors)
    unverified += sum(not t.verified for t in page.tariffs)
    count = len(page.targets)
    said: list[str] = [
        visit.say(f"登记了 {number(count)} 个目标", f"{counted(count, 'target')} registered")
    ]
    if unverified:
        open_ = number(unverified)
        what = tag("b", visit.say(f"{open_} 项未核", f"{open_} unverified"), cls="warn-text")
        said += [visit.say("，系数与电价中 ", "; of factors and tariffs "), what]
    return join(*said, visit.say("。", "."))


def _how(visit: Visit) -> str:
    return visit.say(
        "这些事实来自工厂文件；改动以新版本写入，旧版本保留。",
        "These facts come from the plant file; a change is a new version, the old one stays.",
    )


def _span(first: dt.date, end: dt.date) -> str:
    return f"{first.isoformat()}–{(end - dt.timedelta(days=1)).isoformat()}"


def _targets(page: SettingsPage, visit: Visit) -> Safe:
    columns = [
        visit.say("绩效参数", "EnPI"), visit.say("类别", "Class"), visit.say("基期", "Base period"),
        visit.say("到", "Until"), numeric(visit.say("年均下降", "Decline a year")),
        visit.say("依据", "Authority"), visit.say("登记", "Registered by"),
    ]  # fmt: skip
    return table(columns, [_target(t, page, visit) for t in page.targets], key="targets")


def _target(row: TargetRow, page: SettingsPage, visit: Visit) -> list[Cell]:
    rate = DASH if row.annual_rate is None else share(row.annual_rate)
    if row.end_value is not None:
        rate = significant(row.end_value)
    authority = row.authority if row.document is None else f"{row.authority} · {row.document}"
    at = instant(visit.language, row.recorded_at.astimezone(page.site.zone))
    name = tag("a", pick(visit.language, row.name_zh, row.name_en),
               href=visit.address(f"enpi/{row.enpi}"))  # fmt: skip
    return [
        name, pick(visit.language, *_CLASSES[row.target_class]), _span(row.base_from, row.base_to),
        (row.end_to - dt.timedelta(days=1)).isoformat(), rate, authority, f"{row.author} · {at}",
    ]  # fmt: skip


def _factors(page: SettingsPage, visit: Visit) -> Safe:
    columns = [
        visit.say("品种", "Medium"), visit.say("标准", "Standard"), visit.say("口径", "Basis"),
        numeric(visit.say("系数", "Coefficient")), visit.say("单位", "Unit"),
        visit.say("出处", "Source"),
    ]  # fmt: skip
    return table(columns, [_factor(f, visit) for f in page.factors], key="factors")


def _factor(row: FactorRow, visit: Visit) -> list[Cell]:
    standard = f"{row.standard}-{row.edition}" if row.standard else visit.say("本厂", "own")
    mark = None if row.verified else tag("span", visit.say("未核", "unverified"), cls="mark")
    return [
        medium_name(visit.language, row.medium), standard,
        pick(visit.language, *_BASES.get(row.basis, (row.basis, row.basis))),
        join(f"{row.value:g}", mark), f"{row.unit}/{row.per_unit}",
        tag("span", row.source, cls="reference-inline"),
    ]  # fmt: skip


def _tariffs(page: SettingsPage, visit: Visit) -> Safe:
    columns = [visit.say("电价", "Tariff"), visit.say("有效", "Holds"), visit.say("出处", "Source")]
    return table(columns, [_tariff(t, page, visit) for t in page.tariffs], key="tariffs")


def _tariff(row: TariffRow, page: SettingsPage, visit: Visit) -> list[Cell]:
    since = row.since.astimezone(page.site.zone).date().isoformat()
    until = "" if row.until is None else row.until.astimezone(page.site.zone).date().isoformat()
    mark = None if row.verified else tag("span", visit.say("未核", "unverified"), cls="mark")
    return [join(pick(visit.language, row.name_zh, row.name_en), mark), f"{since}–{until}",
            row.source]  # fmt: skip


def _plant_form(visit: Visit) -> Safe:
    """Take a plant file: what it would change is shown before anything is written."""
    answer = visit.answered
    effect = None
    if answer is not None and answer.kind.startswith("plant.") and answer.outcome is not None:
        effect = _effect(answer.outcome, visit)
    text = tag("textarea", name_="arguments.text", rows=10, required=True, spellcheck=False,
               placeholder="schema = 1", aria_label=visit.say("工厂文件", "Plant file"),
               cls="plant-text")  # fmt: skip
    said = visit.say("若改动已结账月份：重开理由", "If it changes signed months: why reopen")
    reopening = tag("input", name_="arguments.reopen_reason", cls="reason", placeholder=said,
                    aria_label=said)  # fmt: skip
    remark = reason_field(visit, required=False)
    check = request_form(visit, "plant.check", text, remark, quiet=True)
    apply = request_form(visit, "plant.apply", text, reason_field(visit), reopening)
    return join(
        effect, check,
        tag("details", tag("summary", visit.say("写入…", "Apply…")), apply, cls="table-view"),
    )  # fmt: skip


def _effect(outcome: dict[str, Any], visit: Visit) -> Safe:
    changes = outcome.get("changes") or {}
    if not changes:
        return tag("p", visit.say("没有变化。", "Nothing changes."), cls="none")
    rows: list[list[Cell]] = [[str(k), number(float(v))] for k, v in sorted(changes.items())]
    months = "、".join(str(m) for m in outcome.get("closed") or [])
    closed = None
    if months:
        closed = tag("p", visit.say(f"涉及已结账：{months}", f"signed periods change: {months}"),
                     cls="warn-text")  # fmt: skip
    columns = [visit.say("内容", "What"), numeric(visit.say("写入版本", "New versions"))]
    return join(table(columns, rows, cls="", key="effect"), closed)


def _changes(page: SettingsPage, visit: Visit) -> Safe:
    columns = [visit.say("何时", "When"), visit.say("谁", "Who"), visit.say("理由", "Reason"),
               visit.say("写入", "Written")]  # fmt: skip
    return table(columns, [_change(c, page, visit) for c in page.changes], cls="", key="changes",
                 stacked=True)  # fmt: skip


def _change(row: Change, page: SettingsPage, visit: Visit) -> list[Cell]:
    local = row.at.astimezone(page.site.zone)
    about = " · ".join(
        f"{pick(visit.language, *_ABOUT.get(k, (k, k)))} {number(v)}"
        for k, v in sorted(row.about.items())
    )
    when = f"{local.date().isoformat()} {local:%H:%M}"
    return [when, row.author, row.reason, about]
