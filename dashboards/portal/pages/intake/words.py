"""Sentences of the page on data intake."""

from __future__ import annotations

from typing import Any

from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.pages.intake.model import FlowFinding, Intake, Origin
from dashboards.portal.text import DASH, Language, age, number, pick

__all__ = [
    "finding_detail",
    "finding_word",
    "kind_word",
    "lag",
    "opening",
    "reason_word",
    "state_word",
]

_LATE_S = 120.0  # a gateway says something every 30 s
_KINDS = {
    "gateway": ("采集网关", "gateway"),
    "mqtt": ("MQTT 来源", "MQTT source"),
    "rest": ("HTTP 来源", "HTTP source"),
    "folder": ("文件夹", "folder"),
}
_STATES = {"online": ("在线", "online"), "offline": ("离线", "offline")}
_REASONS = {
    "malformed": ("报文格式不对", "not a message of this version"),
    "too_large": ("报文过大", "too large"),
    "unknown_version": ("版本未知", "unknown version"),
    "wrong_identity": ("身份与主题不符", "another identity than its topic"),
    "no_grant": ("无权上报该计量点", "point not granted"),
    "unknown_group": ("组未声明", "group not declared"),
    "shape": ("列与声明不符", "columns do not fit"),
    "overflow": ("数值超出范围", "number out of range"),
    "future_timestamp": ("时间在未来", "stamped in the future"),
    "fork": ("序号重复而内容不同", "number used for other bytes"),
    "write_failed": ("数据库拒收", "refused by the database"),
}
_FINDINGS = {
    "batches_lost": ("批次丢失", "batches lost"),
    "fork": ("发件箱被还原或复制", "outbox restored or copied"),
    "agent_cloned": ("网关被复制", "gateway cloned"),
    "database_restored": ("数据库被还原", "database restored"),
    "meaning_disagrees": ("寄存器含义与记录不符", "meaning differs from what is recorded"),
    "anchor_disagrees": ("人工抄表与采集不符", "telemetry differs from a manual reading"),
    "register_below_previous": ("读数低于上一次", "register below the one before"),
}


def kind_word(language: Language, kind: str) -> str:
    """Name the kind of an origin; an unknown one as it is."""
    return pick(language, *_KINDS[kind]) if kind in _KINDS else kind


def reason_word(language: Language, code: str) -> str:
    """Name a reason of refusal; an unknown one as it is."""
    return pick(language, *_REASONS[code]) if code in _REASONS else code


def finding_word(language: Language, code: str) -> str:
    """Name a finding about data flow; an unknown one as it is."""
    return pick(language, *_FINDINGS[code]) if code in _FINDINGS else code


def finding_detail(language: Language, finding: FlowFinding) -> str:
    """Say in a few words what a finding rests on."""
    evidence: dict[str, Any] = finding.evidence
    if finding.code == "batches_lost" and "from_seq" in evidence:
        count = evidence["to_seq"] - evidence["from_seq"] + 1
        span = f"{evidence['from_seq']}–{evidence['to_seq']}"
        return pick(language, f"{count}批（序号{span}）", f"{count} batches (numbers {span})")
    point = pick(language, finding.point_zh or "", finding.point_en or "")
    named = evidence.get("agent") or evidence.get("source") or ""
    return " · ".join(part for part in (point, str(named)) if part)


def state_word(language: Language, origin: Origin) -> str:
    """Say whether an origin is there."""
    if origin.kind != "gateway":
        heard = origin.last_received_at is not None
        return pick(language, "有数据", "sends") if heard else pick(language, "从未来数", "silent")
    if origin.state is None:
        return pick(language, "从未上线", "never heard of")
    return pick(language, *_STATES.get(origin.state, (origin.state, origin.state)))


def lag(language: Language, milliseconds: int | None) -> str:
    """Write how late something came, in the unit that fits; a negative one is a clock ahead."""
    if milliseconds is None:
        return DASH
    seconds = milliseconds / 1000
    for size, zh, en in ((86_400.0, "天", "d"), (3600.0, "小时", "h"), (60.0, "分", "min")):
        if abs(seconds) >= size:
            return f"{number(seconds / size, 1)} {pick(language, zh, en)}"
    return f"{number(seconds, 1)} {pick(language, '秒', 's')}"


def opening(language: Language, page: Intake) -> Safe:
    """Say in a sentence whether data come in."""
    gateways = [o for o in page.origins if o.kind == "gateway"]
    if not page.origins:
        return join(pick(language, "本厂没有数据来源。", "This plant has no source of data."))
    away = [o for o in gateways if o.state != "online"]
    lost = sum(o.batches_lost for o in page.origins)
    refused = sum(r.kept for r in page.refusals)
    newest = max((o.last_reading_ts for o in page.origins if o.last_reading_ts), default=None)
    parts: list[str | None] = []
    if away:
        names = pick(language, "、", ", ").join(o.name for o in away)
        said = pick(
            language,
            f"{len(away)}台网关不在线（{names}）",
            f"{len(away)} of {len(gateways)} gateways not online ({names})",
        )
        parts.append(tag("b", said, cls="bad-text"))
    elif gateways:
        parts.append(pick(language, f"{len(gateways)}台网关全部在线", _all_online(len(gateways))))
    if newest is not None:
        old_s = max(0.0, (page.site.now - newest).total_seconds())
        said = pick(language, f"最近读数{age('zh', old_s)}", f"newest reading {age('en', old_s)}")
        parts.append(tag("b", said, cls="warn-text") if old_s > _LATE_S else said)
    if lost:
        said = pick(language, f"丢失{number(lost)}批", f"{number(lost)} batches lost")
        parts.append(tag("b", said, cls="bad-text"))
    if refused:
        said = pick(
            language, f"{number(refused)}条报文待处理", f"{number(refused)} messages refused"
        )
        parts.append(tag("b", said, cls="warn-text"))
    if not lost and not refused:
        parts.append(pick(language, "没有丢失，没有拒收", "nothing lost, nothing refused"))
    return join(join(*parts, by=pick(language, "，", "; ")), pick(language, "。", "."))


def _all_online(count: int) -> str:
    return "The gateway is online" if count == 1 else f"All {count} gateways are online"
