"""Sentences of waste findings, whole in each language."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.pages.waste.model import Waste, WastePage
from dashboards.portal.site import Site
from enpilot.text import (
    Language,
    clock,
    counted,
    day_short,
    money,
    number,
    pick,
    share,
    significant,
)
from enpilot.waste_words import KINDS

__all__ = ["METHODS", "facts", "kind_name", "opening", "span_text"]

METHODS = {
    "base_load_risen": (
        "各日最低负荷的稳健均值，与去年同季比较，秩和检验。",
        "Robust mean of the days' lowest load against the same season a year before, rank test.",
    ),
    "closed_hours_load": (
        "停工时段内超过其通常低值的部分；停工时段来自工厂文件，或由负荷自身识别。",
        "Energy above the usual low load within closed hours, declared or learned from the load.",
    ),
    "machine_idle": (
        "设备有电而无产出的时段，按其待机门槛或状态信号判定。",
        "Time with power and without work, by the machine's thresholds or its status signal.",
    ),
    "profile_exceeded": (
        "与过去同类日同一时刻的中位数比较，偏离按绝对中位差计。",
        "Against the median of the same quarter-hours of like days; distance in robust deviations.",
    ),
    "ratio_out_of_range": (
        "两块表之比与工厂文件中给定的范围比较。",
        "The ratio of two meters against the range that the plant file gives.",
    ),
    "meter_stuck": (
        "读数不动，而平时这一时段总在走。",
        "The register stands still at a time when it always moved before.",
    ),
    "meter_silent": ("计划周期内没有读数。", "No readings within the scheduled period."),
    "meter_drifting": (
        "总表与分表之差占总表的份额，按日做趋势检验。",
        "Trend test of the daily share that sub-meters leave of the main meter.",
    ),
    "energy_and_power_differ": (
        "电量计数器与自身功率积分按整日比较。",
        "The energy register against the integral of its own power, by whole days.",
    ),
}

_FACTS = {  # what the evidence calls it: zh, en, how it is written
    "amount": ("时段内合计", "used in the span", "unit"),
    "expected": ("同类日应有", "comparable days", "unit"),
    "usual_rate": ("通常低值", "usual low load", "rate"),
    "hours_above": ("高于低值", "above it for", "hours"),
    "closed_hours": ("停工时长", "closed for", "hours"),
    "hours": ("持续", "for", "hours"),
    "days_measured": ("实测天数", "days measured", "days"),
    "z": ("偏离", "distance", "deviations"),
    "ratio": ("比值", "ratio", "number"),
    "low": ("下限", "low limit", "number"),
    "high": ("上限", "high limit", "number"),
    "p": ("p 值", "p value", "number"),
    "change": ("份额变化", "change of the share", "share"),
    "remainder": ("目前份额", "share now", "share"),
    "rate": ("目前", "now", "rate"),
    "rate_before": ("去年同季", "a year before", "rate"),
}


def kind_name(language: Language, kind: str) -> str:
    """Return what kind of finding it is; an unknown one as it is."""
    name = pick(language, *KINDS[kind]) if kind in KINDS else kind
    return name[:1].upper() + name[1:]


def opening(language: Language, page: WastePage) -> Safe:
    """Say how many there are, what they are worth and which is the dearest."""
    worth = sum(w.yuan_a_year or 0.0 for w in page.wastes)
    count = len(page.wastes)
    if count == 0:
        return join(pick(language, "这里没有浪费线索。", "No waste findings here."))
    dearest = page.wastes[0]
    name = pick(language, *KINDS.get(dearest.kind, (dearest.kind, dearest.kind)))
    named = f"{dearest.point_zh if language == 'zh' else dearest.point_en} · {name}"
    if not worth:
        return join(
            pick(language, f"{number(count)} 条线索，没有持续的；", ""),
            pick(language, "", f"{counted(count, 'finding')}, none of them lasting; "),
            pick(language, "最贵的一次是", "the dearest once was "),
            tag("b", named),
            pick(language, "。", "."),
        )
    return join(
        pick(language, f"{number(count)} 条线索，持续的一年约值 ", ""),
        pick(language, "", f"{counted(count, 'finding')}; those that go on cost about "),
        tag("b", money(language, worth)),
        pick(language, "，最贵的是", " a year, most of all "),
        tag("b", named),
        pick(language, "。", "."),
    )


def span_text(language: Language, waste: Waste, site: Site) -> str:
    """Say when it was measured, in whole days of a long one."""
    begin = waste.measured_from.astimezone(site.zone)
    end = waste.measured_to.astimezone(site.zone)
    if end - begin >= dt.timedelta(days=2):
        last = (end - dt.timedelta(seconds=1)).date()
        return f"{day_short(language, begin.date())}–{day_short(language, last)}"
    tail = clock(end) if end.date() == begin.date() else (
        f"{day_short(language, end.date())} {clock(end)}"
    )  # fmt: skip
    return f"{day_short(language, begin.date())} {clock(begin)}–{tail}"


def facts(language: Language, evidence: Mapping[str, Any], unit: str) -> list[tuple[str, str]]:
    """Return the numbers behind a finding, each with its name, in a fixed order."""
    said = []
    for key, (zh, en, form) in _FACTS.items():
        value = evidence.get(key)
        if not isinstance(value, int | float) or isinstance(value, bool):
            continue
        said.append((pick(language, zh, en), _written(language, float(value), form, unit)))
    if evidence.get("learned") is True:
        said.append(
            (
                pick(language, "停工时段", "closed hours"),
                pick(language, "由负荷识别，未在工厂文件中声明", "learned, not declared"),
            )
        )
    return said


def _written(language: Language, value: float, form: str, unit: str) -> str:
    if form == "unit":
        return f"{significant(value)} {unit}"
    if form == "rate":
        return f"{significant(value)} {'kW' if unit == 'kWh' else f'{unit}/h'}"
    if form == "hours":
        return f"{number(value, 1)} h"
    if form == "days":
        return number(value, 1)
    if form == "deviations":
        return pick(language, f"{number(value, 1)} 倍偏差", f"{number(value, 1)} deviations")
    if form == "share":
        return share(value)
    return significant(value)
