"""What is said of alerts: kinds, states, figures beside their limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboards.portal.pages.alerts.model import OpenAlert
from enpilot.text import Language, duration, number, pick, significant

__all__ = ["DELIVERED", "KINDS", "STATES", "against", "kind_name", "limit_text", "subject_name"]

KINDS = {
    "threshold": ("限值", "threshold"),
    "enpi": ("绩效参数", "EnPI"),
    "target_path": ("目标路径", "target path"),
    "demand": ("需量", "demand"),
    "cost": ("电费", "cost"),
    "expected": ("偏离应有值", "off the expected"),
    "data_quality": ("数据质量", "data quality"),
    "finding": ("数据发现", "finding"),
    "silent": ("表计无数据", "silent meter"),
    "gateway": ("网关", "gateway"),
    "deadline": ("到期", "deadline"),
    "output_missing": ("产量缺录", "missing output"),
    "correction": ("修正待审批", "correction awaits"),
}
_PERCENT = ("enpi", "target_path", "cost", "expected", "data_quality")
DELIVERED = {  # mark, style, zh, en
    "sent": ("●", "good", "已送达", "delivered"),
    "retry": ("▲", "warn", "重试中", "tried again"),
    "failed": ("■", "bad", "未送达", "not delivered"),
    "skipped": ("–", "plain", "过期未发", "too old to send"),
}
STATES = {
    "firing": ("■", "bad", "触发", "firing"),
    "acknowledged": ("▲", "warn", "已确认", "acknowledged"),
    "pending": ("◌", "unknown", "将触发", "pending"),
    "resolved": ("●", "good", "已恢复", "resolved"),
    "ok": ("●", "good", "正常", "ok"),
}


def kind_name(language: Language, kind: str) -> str:
    """Return a rule's kind; an unknown one with spaces."""
    return pick(language, *KINDS.get(kind, (kind, kind.replace("_", " "))))


def limit_text(
    language: Language, kind: str, comparison: str, limit: float, watch: Mapping[str, Any]
) -> str:
    """Say in words when a rule fires, with the unit of what its kind watches."""
    said = significant(limit) if limit % 1 else number(limit)
    measure = watch.get("measure")
    if kind == "finding" and not limit:
        return pick(language, "一经发现", "as soon as it is found")
    if kind == "finding":
        unit = ("个工作日", "working days") if measure == "working_days" else ("小时", "h")
        return pick(
            language, f"超过 {said} {unit[0]}未处理", f"open for more than {said} {unit[1]}"
        )
    if kind == "deadline":
        days = number(int(limit))
        return pick(language, f"到期前 {days} 天", f"{days} days before")
    if kind in ("silent", "gateway"):
        lasting = duration(language, limit)
        return pick(language, f"{lasting}没有消息", f"nothing for {lasting}")
    if kind == "output_missing":
        by = str(watch.get("by", ""))[:5]
        return pick(language, f"{by} 时昨日仍有缺录", f"still missing at {by}")
    if kind == "correction":
        return pick(language, f"等待超过 {said} 小时", f"waits for more than {said} h")
    if kind == "demand" and watch.get("of_contract"):
        return pick(
            language, f"预计超过合同需量的 {said}%", f"forecast above {said}% of the contract"
        )
    sign = pick(language, "高于", "above") if comparison == "above" else pick(
        language, "低于", "below")  # fmt: skip
    percent = kind in _PERCENT and measure not in ("intensity", "progress", "yuan", "power_factor")
    return f"{sign} {said}{'%' if percent else ''}"


def against(language: Language, alert: OpenAlert) -> str:
    """Return the figure beside its limit."""
    if alert.kind == "deadline" and alert.value is not None:
        days = number(abs(alert.value))
        if alert.value < 0:
            return pick(language, f"已过期 {days} 天", f"{days} days overdue")
        return pick(language, f"还剩 {days} 天", f"{days} days left")
    if alert.kind in ("finding", "correction", "silent", "gateway") and alert.value is not None:
        seconds = alert.value * {"d": 86400.0, "h": 3600.0}.get(alert.unit or "s", 1.0)
        lasting = duration(language, seconds)
        return pick(language, f"已持续 {lasting}", f"for {lasting}")
    unit = "" if alert.unit in (None, "1") else f" {alert.unit}"
    limit = significant(alert.threshold)
    if alert.value is None:
        return pick(language, f"限值 {limit}{unit}", f"limit {limit}{unit}")
    value = f"{significant(alert.value)}{unit}"
    return pick(language, f"{value}，限值 {limit}{unit}", f"{value}, limit {limit}{unit}")


def subject_name(language: Language, alert: OpenAlert) -> str:
    """Return what an alert is about."""
    return pick(language, alert.subject_zh, alert.subject_en) or alert.subject
