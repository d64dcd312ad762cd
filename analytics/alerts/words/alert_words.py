"""What messages of rules say, in both languages, from the facts of their rows alone (F38)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from analytics.alerts.words.wording import (
    Line,
    Wording,
    amount,
    amount_beside,
    lasting,
    local_time,
)
from enpilot.code_words import FINDINGS
from enpilot.text import Language, clock, counted, pick

__all__ = ["alert_wording"]

_HEADS: Final = {
    "resolved": ("恢复", "Resolved"), "reminder": ("提醒", "Reminder"),
    "escalation": ("升级", "Escalated"),
}  # fmt: skip
_SEVERITIES: Final = {"note": ("提示", "Note"), "warning": ("警告", "Warning"),
                      "fault": ("故障", "Fault")}  # fmt: skip
# What the value is, by kind of rule; "the value" of the others.
_VALUES: Final = {
    "deadline": ("剩余", "time left"), "silent": ("无数据已有", "no data for"),
    "gateway": ("失联已有", "not heard of for"), "finding": ("存在已有", "open for"),
    "correction": ("等待已有", "waiting for"), "output_missing": ("未录入班次", "shifts missing"),
    "demand": ("本窗口预计需量", "this window's forecast"),
    "target_path": ("超出目标", "over the target"), "data_quality": ("本月", "this month"),
    "expected": ("与应有值相差", "off the expected"),
}  # fmt: skip
_VALUE: Final = ("数值", "value")
_LENGTHS: Final = frozenset({"deadline", "silent", "gateway", "finding", "correction"})


def alert_wording(
    language: Language,
    kind: str,
    severity: str,
    facts: Mapping[str, Any],
    site: tuple[str, ZoneInfo],
    link: str | None,
    key: str,
) -> Wording:
    """Say what a message of a rule says.

    Parameters
    ----------
    language
        Of the message.
    kind, severity
        Of the row.
    facts
        Of the row; what is missing is left out.
    site
        Its name in the language, and its zone.
    link
        Address of the portal's page behind the figure.
    key
        By which a receiver knows a message that comes twice.

    Returns
    -------
    Wording
        Subject, lines, and one line for SMS (F38).
    """
    name = _of(language, facts, "name") or facts.get("code") or ""
    head = pick(language, *_HEADS.get(kind, _SEVERITIES[severity]))
    count = int(facts.get("group_size") or 1)
    if kind == "firing" and count == 1 and (facts.get("more") or {}).get("over_at"):
        head = pick(language, f"{head}，已恢复", f"{head}, already over")
    who = _of(language, facts, "subject")
    what = _versus(language, facts, facts.get("unit") or "", facts) if count == 1 else ""
    if what and facts.get("rule_kind") in _LENGTHS:
        what = f"{pick(language, *_VALUES[facts['rule_kind']])} {what}"
    if count > 1:
        who = pick(language, f"{count} 项", counted(count, "subject"))
    subject = pick(language, f"【{head}】{name}", f"[{head}] {name}")
    # A length of time has a word before it, "no data for 7 min", which English sets apart.
    apart = ", " if language == "en" and what and facts.get("rule_kind") in _LENGTHS else " "
    about = apart.join(part for part in (who, what) if part)
    if about:
        subject = pick(language, f"{subject}：{about}", f"{subject}: {about}")
    subject = f"{subject} · {site[0]}"
    lines = [*_lines(language, kind, facts, site, count, name), *_ends(language, facts, link, key)]
    at = _instant(facts.get("at"))
    when = "" if at is None else f" {clock(at.astimezone(site[1]))}"
    return Wording(subject, lines, f"{subject}{when} #{key}")


def _lines(
    language: Language,
    kind: str,
    facts: Mapping[str, Any],
    site: tuple[str, ZoneInfo],
    count: int,
    name: str,
) -> Iterator[Line]:
    # What more is known is of the first subject: of several it would be taken for all of them.
    more = (facts.get("more") or {}) if count == 1 else {}
    unit = facts.get("unit") or ""
    at = _instant(facts.get("at"))
    yield Line(pick(language, "事项", "What"), name)
    where = site[0]
    if count == 1 and (who := _of(language, facts, "subject")):
        where = pick(language, f"{where}，{who}", f"{where}, {who}")
    yield Line(pick(language, "地点", "Where"), where)
    if count == 1:
        yield Line(_value_name(language, facts), _versus(language, facts, unit, facts))
    if kind == "resolved":
        yield from _over(language, facts, more, at, unit, site[1])
    elif at is not None:
        yield Line(pick(language, "自", "Since"), local_time(language, at, site[1]))
    over = _instant(more.get("over_at"))
    if over is not None and kind == "firing":
        yield Line(pick(language, "已恢复于", "Already over at"),
                   local_time(language, over, site[1]))  # fmt: skip
    yield from _more(language, more, site[1])
    if count > 1:
        subjects = facts.get("subjects") or []
        yield Line(pick(language, "涉及", "Subjects"), pick(language, f"{count} 项", f"{count}"))
        for one in subjects:
            said = _versus(language, one, unit, facts)
            who = _of(language, one, "subject")
            yield Line("", pick(language, f"{who}，{said}", f"{who}, {said}"), bullet=True)
        if count > len(subjects):
            rest = count - len(subjects)
            yield Line("", pick(language, f"另有 {rest} 项", f"and {rest} more"), bullet=True)


def _over(
    language: Language,
    facts: Mapping[str, Any],
    more: Mapping[str, Any],
    at: dt.datetime | None,
    unit: str,
    zone: ZoneInfo,
) -> Iterator[Line]:
    if at is not None:
        yield Line(pick(language, "恢复于", "Over at"), local_time(language, at, zone))
    since = _instant(more.get("since"))
    if since is not None and at is not None:
        lasted = lasting(language, (at - since).total_seconds())
        begun = local_time(language, since, zone)
        yield Line(pick(language, "持续", "Lasted"),
                   pick(language, f"{lasted}，自 {begun}", f"{lasted}, from {begun}"))  # fmt: skip
    if more.get("worst") is not None:
        above = facts.get("comparison") != "below"
        label = pick(language, *(("最高", "Highest") if above else ("最低", "Lowest")))
        yield Line(label, amount(language, more["worst"], unit))


def _more(language: Language, more: Mapping[str, Any], zone: ZoneInfo) -> Iterator[Line]:
    """Yield what only some kinds know."""
    for key, zh, en in (("last_heard", "最后一次数据", "Last heard of"),
                        ("window_ends", "需量窗口结束于", "The window ends at")):  # fmt: skip
        at = _instant(more.get(key))
        if at is not None:
            yield Line(pick(language, zh, en), local_time(language, at, zone))
    if more.get("allowed_kw") is not None:
        yield Line(pick(language, "窗口余下时间最多", "The rest of it may take"),
                   amount(language, more["allowed_kw"], "kW"))  # fmt: skip
    if more.get("days_left") is not None and more.get("required_intensity") is not None:
        need = amount(language, more["required_intensity"], "")
        yield Line(
            pick(language, "要达标", "To meet the target"),
            pick(language, f"本月余下 {more['days_left']} 天单耗不高于 {need}",
                 f"{more['days_left']} days are left, of {need} at most"),
        )  # fmt: skip
    if more.get("due_on"):
        yield Line(pick(language, "截止", "Due on"), str(more["due_on"]))
    if more.get("period_from"):
        yield Line(pick(language, "时段自", "Period from"), str(more["period_from"]))
    if more.get("missing"):
        missing = more["missing"]
        listed = missing if isinstance(missing, str) else ", ".join(str(m) for m in missing)
        yield Line(pick(language, "缺少", "Missing"), listed)
    if more.get("code") in FINDINGS:
        yield Line(pick(language, "问题", "Finding"), pick(language, *FINDINGS[more["code"]]))


def _ends(
    language: Language, facts: Mapping[str, Any], link: str | None, key: str
) -> Iterator[Line]:
    if runbook := _of(language, facts, "runbook"):
        yield Line(pick(language, "怎么办", "What to do"), runbook)
    if facts.get("owner"):
        yield Line(pick(language, "负责人", "Owner"), str(facts["owner"]))
    if facts.get("step"):
        yield Line(
            pick(language, "升级", "Escalation"),
            pick(
                language,
                f"第 {facts['step']} 级：无人确认",
                f"step {facts['step']}: nobody took it",
            ),
        )
    if link:
        yield Line(pick(language, "页面", "Page"), pick(language, "打开", "open"), link)
    if facts.get("synthetic"):
        yield Line("", pick(language, "含合成或模拟数据", "Synthetic or simulated data"))
    yield Line(pick(language, "编号", "Message"), key)


def _value_name(language: Language, facts: Mapping[str, Any]) -> str:
    said = pick(language, *_VALUES.get(str(facts.get("rule_kind")), _VALUE))
    return said[:1].upper() + said[1:]


def _versus(language: Language, one: Mapping[str, Any], unit: str, facts: Mapping[str, Any]) -> str:
    """Write a subject's value beside its limit."""
    value, limit = one.get("value"), one.get("limit")
    if limit is None:
        return amount(language, value, unit)
    said = amount_beside(language, value, limit, unit)
    edge = amount(language, limit, unit)
    if facts.get("rule_kind") in _LENGTHS:
        return pick(language, f"{said}（限值 {edge}）", f"{said} (limit {edge})")
    high = facts.get("comparison") != "below"
    beyond = value is not None and (value > limit if high else value < limit)
    if beyond and high:
        return pick(language, f"{said}，高于限值 {edge}", f"{said}, above the limit of {edge}")
    if beyond:
        return pick(language, f"{said}，低于限值 {edge}", f"{said}, below the limit of {edge}")
    return pick(language, f"{said}（限值 {edge}）", f"{said} (limit {edge})")


def _of(language: Language, facts: Mapping[str, Any], key: str) -> str:
    other = pick(language, f"{key}_en", f"{key}_zh")
    return str(facts.get(f"{key}_{language}") or facts.get(other) or "")


def _instant(text: Any) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if isinstance(text, str) and text else None
