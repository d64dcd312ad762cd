"""Columns of exported tables: a stable name for programs, a title for people."""

from __future__ import annotations

from typing import Literal

import msgspec

from enpilot.text import Language

__all__ = ["Column", "Kind", "column"]

Kind = Literal["text", "number", "exact", "integer", "flag", "date", "time"]
_ZH = {
    "account": "账户", "amount": "用量", "amount_a_year": "一年用量", "amount_yuan": "金额 元",
    "at": "时间", "author": "经办", "base_intensity": "基期单耗", "batch": "批次",
    "bill_yuan": "账单合计 元", "channel": "通道", "code": "代码", "coverage": "覆盖率",
    "cumulative_progress": "累计进度", "data_version": "数据版本", "decided_by": "决定人",
    "decided_reason": "决定理由", "disposition": "判定", "distribution_coverage": "分布覆盖",
    "energy": "能耗", "energy_unit": "能耗单位", "enpi": "能效指标",
    "estimated_share": "估算占比", "evidence": "证据", "factor_verified": "系数已核",
    "first_seen": "首次发现", "from": "起", "intensity": "单耗", "kind": "类别",
    "late_ms": "迟到 毫秒", "line": "生产线", "line_no": "行号", "lot": "批号",
    "measured_from": "实测起", "measured_to": "实测止", "medium": "介质", "output": "产量",
    "output_coverage": "产量覆盖率", "output_unit": "产量单位", "period": "期别",
    "period_from": "期起", "period_to": "期止（不含）", "point": "计量点",
    "point_name_en": "计量点英文名", "point_name_zh": "计量点名称", "price_yuan": "单价 元",
    "product": "产品", "progress_ratio": "进度比", "provisional": "暂定", "quality": "状态码",
    "quantity": "量", "raw_int": "原始值（整数）", "raw_real": "原始值（实数）", "reason": "理由",
    "recorded_at": "录入时间",
    "reporting_completeness": "完整率", "retracted": "已撤回", "severity": "级别",
    "shift": "班次", "simulated": "模拟", "source": "来源", "stage": "环节", "standing": "持续",
    "state": "状态", "status": "判定", "subject": "对象", "synthetic": "合成",
    "synthetic_energy": "合成能耗", "synthetic_output": "合成产量", "target_intensity": "目标单耗",
    "tariff_verified": "电价已核", "tce": "折标煤 tce", "tce_a_year": "一年折标煤 tce",
    "time": "时间", "to": "止", "unit": "单位", "value": "值", "verified": "已核",
    "version": "版本", "withheld_code": "暂缓原因", "yuan": "金额 元", "yuan_a_year": "一年金额 元",
}  # fmt: skip


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column.

    Attributes
    ----------
    name
        Stable, in English; the key in JSON and Parquet.
    kind
        exact is a decimal that is not rounded; time has an offset, date is the site's day.
    unit
        Of all its values; without one a column of the row says it.
    title_zh, title_en
        Instead of the name, where there is a better one.
    """

    name: str
    kind: Kind = "text"
    unit: str = ""
    title_zh: str = ""
    title_en: str = ""

    def title(self, language: Language) -> str:
        """Return what people read above it."""
        title = self.title_en or self.name
        if language == "zh":
            title = self.title_zh or _ZH.get(self.name, self.name)
        return f"{title} [{self.unit}]" if self.unit else title


def column(text: str) -> Column:
    """Read ``name``, ``name:kind`` or ``name:kind:unit``."""
    name, kind, unit = (*text.split(":"), "", "")[:3]
    return msgspec.convert({"name": name, "kind": kind or "text", "unit": unit}, Column)
