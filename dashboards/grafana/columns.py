"""Every column that a query may return: its words in both languages, its form, its colour.

Actual is solid and dark, base and usual range light grey, target blue, an estimate dashed; green,
amber and red belong to a judgement only, and never come without a shape.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from grafana_foundation_sdk.models import dashboard

from dashboards.grafana.colours import Theme, colour
from dashboards.portal.findings import finding_name
from dashboards.portal.state import reason, status_word

__all__ = ["COLUMNS", "Column", "Language", "Mark", "overrides"]

Language: TypeAlias = Literal["zh", "en"]
Draw: TypeAlias = Literal["line", "dashed", "band", "edge", "bars"]
_DASH: Final = [6, 4]
_NOT_IN_LEGEND: Final = {"legend": True, "tooltip": False, "viz": False}


@dataclass(frozen=True, slots=True)
class Mark:
    """What stands for a code: shape, words, and the colour of a judgement."""

    shape: str
    zh: str
    en: str
    paint: str = "ink2"


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes
    ----------
    zh, en
        Its name on the boards.
    unit
        Grafana's name of the unit; "locale" is a number with separators.
    paint
        Colour, by the portal's name.
    draw
        How a chart draws it.
    below_to
        Column down to which the area below is filled: the other edge of a band.
    marks
        Codes that it holds.
    """

    zh: str
    en: str
    unit: str | None = None
    decimals: int | None = None
    paint: str | None = None
    draw: Draw | None = None
    below_to: str | None = None
    marks: MappingProxyType[str, Mark] = field(default_factory=lambda: MappingProxyType({}))


_STATUS: Final = {
    "on_track": ("●", "good"), "slow": ("▲", "warn-text"), "behind": ("■", "bad"),
    "base": ("–", "ink2"), "no_target": ("–", "ink2"), "no_base": ("◌", "unknown"),
    "joint": ("–", "ink2"), "withheld": ("◌", "unknown"),
}  # fmt: skip
_JUDGED: Final = {
    code: Mark(shape, status_word("zh", code), status_word("en", code), paint)
    for code, (shape, paint) in _STATUS.items()
}
# Against what was expected, the target of its month, the usual range; and of sources.
_COMPARED: Final = {
    "as_expected": Mark("●", "与应有值相符", "as expected", "good"),
    "above": Mark("■", "高于应有范围", "above its range", "bad"),
    "below": Mark("●", "低于应有范围", "below its range", "good"),
    "usual": Mark("●", "通常范围内", "usual", "good"),
    "at_target": Mark("●", "不高于目标", "at or below target", "good"),
    "over_target": Mark("■", "高于目标", "above target", "bad"),
    "no_reference": Mark("◌", "无参照", "no reference", "unknown"),
    "complete": Mark("●", "数据齐全", "complete", "good"),
    "online": Mark("●", "在线", "online", "good"),
    "late": Mark("▲", "数据滞后", "late", "warn-text"),
    "silent": Mark("■", "无消息", "silent", "bad"),
    "offline": Mark("■", "离线", "offline", "bad"),
    "never": Mark("◌", "从未连接", "never seen", "unknown"),
}
_SEVERITIES: Final = {
    "fault": Mark("■", "故障", "fault", "bad"),
    "warning": Mark("▲", "警告", "warning", "warn-text"),
    "note": Mark("◇", "提示", "note", "data"),
}
_FINDINGS: Final = (
    "rollover", "replacement", "reset", "glitch", "spike", "jump", "gap", "balance_off",
    "tariff_registers_differ", "output_overlaps", "totals_differ", "factor_missing",
    "carbon_factor_missing", "conversion_cycle", "medium_overdrawn", "demand_differs",
    "invoice_differs", "batches_lost", "fork", "agent_cloned", "database_restored",
    "meaning_disagrees", "anchor_disagrees", "register_below_previous",
)  # fmt: skip
_REASONS: Final = (
    "output_missing", "energy_missing", "coverage_low", "output_coverage_low", "base_missing",
    "base_not_complete", "factor_missing", "output_zero", "point_not_accepted",
    "product_without_base", "value_added_missing", "value_added_not_positive",
    "ownership_changed", "scheme_differs", "register_missing", "reactive_missing",
    "demand_missing", "tariff_missing", "conversion_cycle", "not_positive",
)  # fmt: skip
_KINDS: Final = {
    "day": Mark("", "日", "day"), "week": Mark("", "周", "week"), "month": Mark("", "月", "month"),
    "shift": Mark("", "班次", "shift"), "quarter": Mark("", "季度", "quarter"),
    "year_to_date": Mark("", "本年累计", "year to date"),
    "rolling_12": Mark("", "近12个月", "rolling 12 months"),
}  # fmt: skip


def _marks(marks: dict[str, Mark]) -> MappingProxyType[str, Mark]:
    return MappingProxyType(marks)


_REASON_MARKS: Final = _marks(
    {code: Mark("", reason("zh", code), reason("en", code), "unknown") for code in _REASONS}
    | {
        "known": Mark("●", "可信", "known"),
        "too_few_points": Mark("◌", "数据点不足", "too few points", "unknown"),
    }
)
_FINDING_MARKS: Final = _marks(
    {code: Mark("", finding_name("zh", code), finding_name("en", code)) for code in _FINDINGS}
)

COLUMNS: Final = MappingProxyType({
    # What a figure is of, the figure, what it should be, the mark.
    "what": Column("时段与单位", "Period and unit", paint="ink2"),
    "label": Column("", ""),
    "actual": Column("实绩", "Actual", "locale", 2, "act", "line"),
    "expected": Column("应有值", "Expected", "locale", 2, "prev", "line"),
    "base": Column("基期同期", "Base", "locale", 2, "prev", "line"),
    "target": Column("目标", "Target", "locale", 2, "acc", "line"),
    "forecast": Column("年末预测", "Year-end forecast", "locale", 2, "act", "dashed"),
    "forecast_low": Column("预测下限", "Forecast, low", "locale", 2, "prev", "edge"),
    "forecast_high": Column("预测上限", "Forecast, high", "locale", 2, "prev", "band",
                            below_to="forecast_low"),
    "progress": Column("进度比", "Progress ratio", "none", 2, "ink"),
    "cumulative_progress": Column("累计进度", "Cumulative progress", "none", 2, "ink"),
    "probability": Column("达标概率", "Probability", "percentunit", 0, "ink"),
    "required_change": Column("余期需变化", "Required of the rest", "percentunit", 1, "ink"),
    "mark": Column("判断", "Mark", marks=_marks(_JUDGED | _COMPARED)),
    "reason": Column("原因", "Reason", marks=_REASON_MARKS),
    "deviation": Column("偏离通常", "Off usual", "percentunit", 1, "ink2"),
    # Load
    "power": Column("功率 (kW)", "Power (kW)", "locale", 0, "act", "line"),
    "power_estimated": Column("估算 (kW)", "Estimated (kW)", "locale", 0, "act", "dashed"),
    "usual_low": Column("通常下限 (kW)", "Usual, low (kW)", "locale", 0, "prev", "edge"),
    "usual_high": Column("通常上限 (kW)", "Usual, high (kW)", "locale", 0, "prev", "band",
                         below_to="usual_low"),
    "maximum": Column("月最大需量 (kW)", "Peak of the month (kW)", "locale", 0, "act", "bars"),
    "declared": Column("申报需量 (kW)", "Declared demand (kW)", "locale", 0, "acc", "line"),
    "energy": Column("能耗", "Energy", "locale", 1, "act", "bars"),
    "energy_unit": Column("能耗单位", "Unit of energy"),
    "output": Column("产量", "Output", "locale", 2),
    "output_unit": Column("产量单位", "Unit of output"),
    "at": Column("时刻", "At"),
    # Sources and ingest
    "gateways": Column("应有网关", "Of gateways", "none", 0, "ink2"),
    "late": Column("滞后", "Late", "none", 0, "ink"),
    "source": Column("来源", "Source"),
    "heard_at": Column("最后消息", "Last heard"),
    "last_reading_ts": Column("最后读数", "Last reading"),
    "due_s": Column("应有间隔", "Due every", "s", 0),
    "held_readings": Column("积压读数", "Backlog", "locale", 0, "ink"),
    "oldest_held_ts": Column("最早积压", "Oldest held"),
    "units_down": Column("失联仪表", "Meters down", "none", 0),
    "readings_stored": Column("入库读数", "Stored", "locale", 0),
    "readings_duplicated": Column("重复", "Duplicated", "locale", 0),
    "readings_refused": Column("拒收读数", "Refused", "locale", 0),
    "messages_refused": Column("拒收消息", "Refused messages", "locale", 0, "ink"),
    "batches_lost": Column("丢失批次", "Lost batches", "locale", 0, "ink"),
    "reading_lag_s": Column("到达时延", "Lag", "s", 1),
    "simulated": Column("模拟", "Simulated"),
    "readings_per_minute": Column("读数/分钟", "Readings a minute", "locale", 1, "act", "line"),
    "code": Column("代码", "Code"),
    "messages": Column("条数", "Messages", "locale", 0),
    "kept": Column("待处理", "Kept", "locale", 0),
    "last_at": Column("最近一次", "Last at"),
    "sentence": Column("说明", "Sentence"),
    "worker": Column("进程", "Worker", "none", 0),
    "last_commit_at": Column("最近提交", "Last commit"),
    "group_batches": Column("每组批次", "Batches a group", "locale", 0),
    "group_readings": Column("每组读数", "Readings a group", "locale", 0),
    "commit_ms": Column("提交耗时", "Commit", "ms", 1),
    "readings_per_second": Column("读数/秒", "Readings a second", "locale", 1),
    "data_through": Column("数据截至", "Data until", paint="ink"),
    # Trust
    "completeness": Column("完整率", "Completeness", "percentunit", 1),
    "reporting_completeness": Column("完整率", "Completeness", "percentunit", 1),
    "coverage": Column("覆盖率", "Coverage", "percentunit", 1),
    "output_coverage": Column("产量覆盖率", "Output coverage", "percentunit", 1),
    "estimated_share": Column("估算占比", "Estimated share", "percentunit", 1, "act", "line"),
    "index_share": Column("质量指数", "Quality index", "percentunit", 1, "act", "line"),
    "known_share": Column("已知占比", "Share known", "percentunit", 1, "prev", "line"),
    "failed": Column("未达标项", "Failed criteria"),
    "provisional": Column("暂定", "Provisional"),
    "synthetic": Column("合成", "Synthetic"),
    "indicator": Column("指标", "Indicator"),
    "period_kind": Column("时段", "Kind", marks=_marks(_KINDS)),
    "period_from": Column("自", "From"),
    "period_through": Column("至", "Through"),
    "month": Column("月份", "Month"),
    "meter": Column("计量点", "Meter"),
    "severity": Column("级别", "Severity", marks=_marks(_SEVERITIES)),
    "finding": Column("发现", "Finding", marks=_FINDING_MARKS),
    "alert": Column("告警", "Alert"),
    "since": Column("自", "Since"),
    "value": Column("数值", "Value", "locale", 1),
    "at_ts": Column("自", "From"),
    "to_ts": Column("至", "To"),
    "online": Column("在线", "Online", "none", 0, "ink"),
})  # fmt: skip


def overrides(
    name: str, language: Language, theme: Theme, *, in_chart: bool
) -> list[dashboard.DynamicConfigValue]:
    """Return what Grafana is told of a column: name, unit, colour, marks and form.

    Parameters
    ----------
    name
        A column of `COLUMNS`.
    language, theme
        Of the board.
    in_chart
        Of a chart, where the column's form counts, not of a table or figure.
    """
    column = COLUMNS[name]
    found: dict[str, Any] = {"displayName": column.zh if language == "zh" else column.en}
    if column.unit is not None:
        found["unit"] = column.unit
    if column.decimals is not None:
        found["decimals"] = column.decimals
    if column.paint is not None:
        found["color"] = {"mode": "fixed", "fixedColor": colour(column.paint, theme)}
    if column.marks:
        found["mappings"] = [_mapping(column.marks, language, theme)]
    if in_chart and column.draw is not None:
        found |= _form(column, language)
    return [dashboard.DynamicConfigValue(key, value) for key, value in found.items()]


def _mapping(
    marks: MappingProxyType[str, Mark], language: Language, theme: Theme
) -> dashboard.ValueMap:
    return dashboard.ValueMap({
        code: dashboard.ValueMappingResult(
            text=f"{mark.shape} {mark.zh if language == 'zh' else mark.en}".strip(),
            color=colour(mark.paint, theme), index=index,
        )
        for index, (code, mark) in enumerate(marks.items())
    })  # fmt: skip


def _form(column: Column, language: Language) -> dict[str, Any]:
    match column.draw:
        case "dashed":
            return {"custom.lineStyle": {"fill": "dash", "dash": _DASH}}
        case "edge":
            return {"custom.lineWidth": 0, "custom.hideFrom": _NOT_IN_LEGEND}
        case "band":
            # By the name that is shown: Grafana did not always look for the column's own.
            edge = COLUMNS[column.below_to or ""]
            return {"custom.lineWidth": 0, "custom.fillOpacity": 45,
                    "custom.fillBelowTo": edge.zh if language == "zh" else edge.en}  # fmt: skip
        case "bars":
            return {"custom.drawStyle": "bars", "custom.fillOpacity": 80}
        case _:
            return {"custom.drawStyle": "line"}
