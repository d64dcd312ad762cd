"""Sentences of the page on data intake."""

from __future__ import annotations

import datetime as dt
from typing import Any

from dashboards.portal.gateways import condition_word
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.pages.metering.model import FlowFinding, Intake, Origin
from enpilot.text import Language, age, counted, number, pick

__all__ = ["finding_detail", "kind_word", "opening", "reason_word", "state_word"]

_NAMED = 2  # gateways in the opening sentence; the others are in the table
_KINDS = {
    "gateway": ("采集网关", "gateway"),
    "mqtt": ("MQTT 来源", "MQTT source"),
    "rest": ("HTTP 来源", "HTTP source"),
}
_REASONS = {
    "malformed": ("报文格式错误", "not a message of this version"),
    "too_large": ("报文过大", "too large"),
    "unknown_version": ("报文版本未知", "unknown version"),
    "wrong_identity": ("身份与主题不符", "another identity than its topic"),
    "no_grant": ("未授权的计量点", "point not granted"),
    "unknown_group": ("分组未声明", "group not declared"),
    "shape": ("数据列与声明不符", "columns do not fit"),
    "overflow": ("数值超出范围", "number out of range"),
    "future_timestamp": ("时间戳超前", "stamped in the future"),
    "fork": ("序号相同而内容不同", "number used for other bytes"),
    "write_failed": ("数据库拒绝写入", "refused by the database"),
}


def kind_word(language: Language, kind: str) -> str:
    """Name the kind of an origin; an unknown one as it is."""
    return pick(language, *_KINDS[kind]) if kind in _KINDS else kind


def reason_word(language: Language, code: str) -> str:
    """Name a reason of refusal; an unknown one as it is."""
    return pick(language, *_REASONS[code]) if code in _REASONS else code


def finding_detail(language: Language, finding: FlowFinding) -> str:
    """Say in a few words what a finding rests on."""
    evidence: dict[str, Any] = finding.evidence
    parts = [pick(language, finding.point_zh or "", finding.point_en or "")]
    named = str(evidence.get("agent") or evidence.get("source") or "")
    parts.append(named.removeprefix("agent ").removeprefix("source "))
    if finding.code == "batches_lost" and "from_seq" in evidence:
        low, high = evidence["from_seq"], evidence["to_seq"]
        count = high - low + 1
        span = str(low) if count == 1 else f"{low}–{high}"
        batches = counted(count, "batch", "batches")
        parts.append(pick(language, f"{number(count)}批（序号{span}）", f"{batches} ({span})"))
    if finding.code == "fork" and "seq" in evidence:
        parts.append(pick(language, f"序号{evidence['seq']}", f"number {evidence['seq']}"))
    if finding.code == "database_restored":
        parts.append(_restored(language, evidence))
    return " · ".join(part for part in parts if part)


def _restored(language: Language, evidence: dict[str, Any]) -> str:
    if "found_commit_no" in evidence:
        before, after = evidence["confirmed_commit_no"], evidence["found_commit_no"]
        return pick(
            language, f"提交号从{before}退回到{after}", f"commit {before} fell back to {after}"
        )
    return pick(language, "数据库标识已变", "another database identity")


def state_word(language: Language, origin: Origin, now: dt.datetime) -> str:
    """Say whether an origin is there; ``now`` is in the zone of the site."""
    if origin.gateway:
        return condition_word(language, origin, now)
    if origin.last_received_at is None:
        return pick(language, "尚无数据", "nothing yet")
    # A source says nothing of itself: all that is known is when it sent.
    heard = (now - origin.last_received_at).total_seconds()
    return pick(language, f"{age('zh', heard)}收到", f"received {age('en', heard)}")


def opening(language: Language, page: Intake) -> Safe:
    """Say in a sentence whether data come in."""
    if not page.origins:
        return join(pick(language, "本厂没有数据来源。", "This plant has no source of data."))
    parts = [*_gateways(language, page), *_readings(language, page), *_flow(language, page)]
    return join(join(*parts, by=pick(language, "，", "; ")), pick(language, "。", "."))


def _gateways(language: Language, page: Intake) -> list[str]:
    away, never = page.gateways("offline", "silent"), page.gateways("never")
    online = len(page.gateways("online"))
    parts: list[str] = []
    if away:
        one = len(away) == 1
        start = pick(language, "网关", "Gateway " if one else "Gateways ")
        end = pick(language, "失联", " is not heard from" if one else " are not heard from")
        parts.append(tag("b", start, _named(language, away), end, cls="bad-text"))
    if never:
        one = len(never) == 1
        en = f"{'g' if parts else 'G'}ateway{'' if one else 's'} "
        end = pick(language, "从未上线", " was never heard of" if one else " were never heard of")
        parts.append(join(pick(language, "网关", en), _named(language, never), end))
    if online and parts:
        en = "1 other is online" if online == 1 else f"{online} others are online"
        parts.append(pick(language, f"其余{online}台在线", en))
    elif online == 1:
        parts.append(pick(language, "采集网关在线", "The gateway is online"))
    elif online:
        en = f"{'Both' if online == 2 else f'All {online}'} gateways are online"
        parts.append(pick(language, f"{online}台采集网关全部在线", en))
    if not parts:  # other publishers only
        count = len(page.origins)
        parts.append(
            pick(
                language, f"没有网关，{count}个其他来源", f"No gateway, {counted(count, 'source')}"
            )
        )
    return parts


def _readings(language: Language, page: Intake) -> list[str]:
    now = page.site.now
    if not any(o.last_reading_ts for o in page.origins):
        return [pick(language, "还没有读数", "no readings yet")]
    told = page.gateways("offline", "silent")  # that their readings stopped goes without saying
    late = [(s, o) for o in page.origins if o not in told and (s := o.late_s(now)) is not None]
    if not late:
        return [] if told else [pick(language, "读数及时", "readings come in time")]
    worst, origin = max(late, key=lambda pair: pair[0])
    start = pick(language, "", "readings of ")
    end = pick(language, f"的读数停在{age('zh', worst)}", f" stopped {age('en', worst)}")
    return [tag("b", start, _unbroken(origin.name), end, cls="warn-text")]


def _flow(language: Language, page: Intake) -> list[str]:
    lost = sum(o.batches_lost for o in page.origins)
    kept = sum(r.kept for r in page.refusals)
    parts: list[str] = []
    if lost:
        said = f"{counted(lost, 'batch', 'batches')} lost"
        parts.append(tag("b", pick(language, f"丢失{number(lost)}批数据", said), cls="bad-text"))
    if kept:
        said = f"{counted(kept, 'refused message')} open"
        zh = f"{number(kept)}条拒收报文待处理"
        parts.append(tag("b", pick(language, zh, said), cls="warn-text"))
    if not parts:
        if page.refusals:
            en = "nothing lost, no refused message open"
            parts.append(pick(language, "没有丢失，没有待处理的拒收报文", en))
        else:
            parts.append(pick(language, "没有丢失，没有拒收", "nothing lost, nothing refused"))
    return parts


def _named(language: Language, origins: list[Origin]) -> Safe:
    names = [_unbroken(o.name) for o in origins[:_NAMED]]
    listed = join(*names, by=pick(language, "、", ", "))
    more = len(origins) - _NAMED
    if more <= 0:
        return listed
    return join(listed, pick(language, f"等{len(origins)}台", f" and {more} more"))


def _unbroken(name: str) -> Safe:
    return tag("span", name, cls="unbroken")
