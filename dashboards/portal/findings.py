"""Names of findings: what the accounting decided about readings, and how data came."""

from __future__ import annotations

from typing import Final

from dashboards.portal.text import Language, pick
from dashboards.portal.waste_words import KINDS, REMEDIES

__all__ = ["FLOW_CODES", "finding_name", "finding_remedy"]

_ACCOUNTING: Final = {
    "rollover": ("计数器翻转", "register rolled over"),
    "replacement": ("换表", "meter replaced"),
    "reset": ("计数器清零", "register reset"),
    "glitch": ("读数突变后恢复", "reading fell and came back"),
    "spike": ("突变读数已剔除", "impossible reading left out"),
    "jump": ("读数跳变，已按估算计入", "jump, booked as an estimate"),
    "tariff_registers_differ": (
        "分时表数之和与总表数不符",
        "tariff registers differ from the total",
    ),
    "output_overlaps": ("产量记录时段重叠", "entries of output overlap"),
    "balance_off": ("分表之和大于总表", "sub-meters count more than their main meter"),
    "totals_differ": (
        "计量、发票与上报数不符",
        "metered, invoiced and declared energy differ",
    ),
    "factor_missing": ("缺少折标系数", "no standard-coal factor holds"),
    "carbon_factor_missing": ("缺少碳排放因子", "no carbon factor holds"),
    "conversion_cycle": ("自产能源互相循环，无法求解", "in-house media only feed each other"),
    "medium_overdrawn": (
        "各区域用量之和大于供给量",
        "areas measured more of a medium than there was",
    ),
    "gap": ("缺数", "gap in the readings"),
}
_COST: Final = {
    "demand_differs": ("需量表与计算不符", "demand register outside of what readings allow"),
    "invoice_differs": ("电费账单与核算不符", "invoice differs from tariff and registers"),
}
_FLOW: Final = {
    "batches_lost": ("批次丢失", "batches lost"),
    "fork": ("网关缓存被还原或复制", "outbox restored or copied"),
    "agent_cloned": ("同一网关两处运行", "gateway runs twice"),
    "database_restored": ("数据库被还原", "database restored"),
    "meaning_disagrees": ("网关声明与登记不符", "birth differs from the record"),
    "anchor_disagrees": ("人工抄表与采集不符", "telemetry differs from a manual reading"),
    "register_below_previous": ("抄表数低于上次", "manual reading below the one before"),
}
FLOW_CODES: Final = tuple(_FLOW)
_NAMES: Final = _ACCOUNTING | _COST | _FLOW | KINDS


def finding_name(language: Language, code: str) -> str:
    """Name a finding; an unknown code as it is."""
    return pick(language, *_NAMES[code]) if code in _NAMES else code


def finding_remedy(language: Language, code: str) -> str | None:
    """Say what to do about a finding; None where there is nothing to do, or nothing known."""
    return pick(language, *REMEDIES[code]) if code in REMEDIES else None
