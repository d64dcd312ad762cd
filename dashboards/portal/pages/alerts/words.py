"""What is said of alerts: kinds, states, figures beside their limits."""

from __future__ import annotations

from dashboards.portal.pages.alerts.model import OpenAlert
from dashboards.portal.text import Language, pick, significant

__all__ = ["KINDS", "STATES", "against", "kind_name", "limit_text", "subject_name"]

KINDS = {
    "threshold": ("限值", "threshold"),
    "rate": ("用量速率", "rate"),
    "enpi": ("绩效参数", "EnPI"),
    "target_path": ("目标路径", "target path"),
    "demand": ("需量", "demand"),
    "cost": ("电费", "cost"),
    "expected": ("偏离应有值", "off the expected"),
    "quality": ("数据质量", "data quality"),
    "finding": ("数据发现", "finding"),
    "silent": ("表计无数据", "silent meter"),
    "gateway": ("网关", "gateway"),
    "deadline": ("到期", "deadline"),
    "output_missing": ("产量缺录", "missing output"),
    "correction": ("修正待审批", "correction awaits"),
    "ratio": ("比值", "ratio"),
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


def limit_text(language: Language, comparison: str, limit: float, unit: str | None) -> str:
    """Return a limit with its direction."""
    sign = pick(language, "高于", "above") if comparison == "above" else pick(
        language, "低于", "below")  # fmt: skip
    return f"{sign} {significant(limit)} {unit or ''}".rstrip().removesuffix(" 1")


def against(language: Language, alert: OpenAlert) -> str:
    """Return the figure beside its limit."""
    unit = "" if alert.unit in (None, "1") else f" {alert.unit}"
    limit = significant(alert.threshold)
    if alert.value is None:
        return pick(language, f"限值 {limit}{unit}", f"limit {limit}{unit}")
    value = f"{significant(alert.value)}{unit}"
    return pick(language, f"{value}，限值 {limit}{unit}", f"{value}, limit {limit}{unit}")


def subject_name(language: Language, alert: OpenAlert) -> str:
    """Return what an alert is about."""
    return pick(language, alert.subject_zh, alert.subject_en) or alert.subject
