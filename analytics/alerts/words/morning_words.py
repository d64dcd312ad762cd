"""What the morning message says, in both languages, from its facts alone (F38)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

from analytics.alerts.morning.said import Morning
from analytics.alerts.words.wording import Line, Wording, amount
from enpilot.code_words import WITHHELD
from enpilot.text import (
    Language,
    change,
    coal,
    day,
    electricity,
    energy,
    intensity,
    money,
    pick,
    share,
)
from enpilot.waste_words import KINDS, REMEDIES

__all__ = ["morning_wording"]

_BASES: Final = {
    "baseline": ("按产量等变量的基准模型", "by the baseline, at the day's output"),
    "target": ("目标", "the target"),
    "like_days": ("前四周的同一星期几", "the same weekday of the four weeks before"),
}
_SHORT: Final = {
    "baseline": ("应有值", "what was expected"),
    "target": ("目标", "the target"),
    "like_days": ("平常", "the usual"),
}
_NEAR: Final = 0.005
# A part of the whole that is nearly all of it.
_SAME: Final = 0.001


def morning_wording(
    language: Language, said: Morning, site: str, link: str | None, key: str
) -> Wording:
    """Say what the morning message says.

    Parameters
    ----------
    language
        Of the message.
    said
        The day.
    site
        Its name in the language.
    link
        Address of the overview of that day.
    key
        By which a receiver knows a message that comes twice.

    Returns
    -------
    Wording
        Yesterday's figure, the expected one and the distance, one cause, one action; what is
        withheld says why (F38).
    """
    date = dt.date.fromisoformat(said.day)
    subject = f"{_headline(language, said)} · {site}"
    mark = pick(language, "【早报】", "[Morning] ")
    lines = [
        Line(pick(language, "日期", "Day"), day(language, date)),
        *_figures(language, said),
        *_expected(language, said),
        Line(pick(language, "原因", "Cause"), _cause(language, said)),
        Line(pick(language, "建议", "Do today"), _action(language, said)),
        *_trust(language, said),
    ]
    if link:
        lines.append(Line(pick(language, "页面", "Page"), pick(language, "总览", "overview"), link))
    lines.append(Line(pick(language, "编号", "Message"), key))
    return Wording(f"{mark}{subject}", lines, f"{mark}{subject} #{key}")


def _headline(language: Language, said: Morning) -> str:
    if said.intensity is not None:
        figure = str(intensity(language, said.intensity, said.energy_unit, said.output_unit))
        head = pick(language, f"昨天{said.name_zh} {figure}", f"yesterday {figure}")
        if said.distance is not None and said.basis is not None:
            off, what = _off(language, said.distance), pick(language, *_SHORT[said.basis])
            return pick(language, f"{head}，比{what}{off}", f"{head}, {off} {what}")
        return head
    if said.withheld_code is not None:
        return pick(
            language,
            f"昨天{said.name_zh}暂缓：{_reason(language, said.withheld_code)}",
            f"yesterday's figure is withheld: {_reason(language, said.withheld_code)}",
        )
    if said.electricity_kwh is not None:
        used = str(electricity(language, said.electricity_kwh))
        return pick(language, f"昨天用电 {used}", f"yesterday {used} of electricity")
    return pick(language, "昨天没有数据", "no figures of yesterday")


def _figures(language: Language, said: Morning) -> Iterator[Line]:
    name = pick(language, said.name_zh, said.name_en)
    if said.intensity is not None:
        yield Line(
            name, str(intensity(language, said.intensity, said.energy_unit, said.output_unit))
        )
    elif said.withheld_code is not None:
        reason = _reason(language, said.withheld_code)
        yield Line(name, pick(language, f"暂缓，{reason}", f"withheld, {reason}"))
    used = []
    if said.energy_tce is not None:
        used.append(str(coal(language, said.energy_tce)))
    elif said.energy is not None:
        used.append(str(energy(language, said.energy, said.energy_unit)))
    if said.electricity_kwh is not None:
        kwh = str(electricity(language, said.electricity_kwh))
        used.append(pick(language, f"用电 {kwh}", f"electricity {kwh}"))
    if used:
        yield Line(pick(language, "用能", "Energy"), pick(language, "，", ", ").join(used))
    if said.output is not None:
        yield Line(
            pick(language, "产量", "Output"), amount(language, said.output, said.output_unit)
        )
    if said.cost_yuan is not None:
        yield Line(pick(language, "能源费用", "Cost"), money(language, said.cost_yuan))
    elif said.cost_withheld_code is not None:
        reason = _reason(language, said.cost_withheld_code)
        yield Line(pick(language, "能源费用", "Cost"),
                   pick(language, f"暂缓，{reason}", f"withheld, {reason}"))  # fmt: skip


def _expected(language: Language, said: Morning) -> Iterator[Line]:
    label = pick(language, "应有值", "Expected")
    if said.basis is not None and said.expected is not None and said.distance is not None:
        if said.basis == "baseline":
            value = str(energy(language, said.expected, said.energy_unit))
        else:
            value = str(intensity(language, said.expected, said.energy_unit, said.output_unit))
        basis, off = pick(language, *_BASES[said.basis]), _off(language, said.distance)
        yield Line(
            label,
            pick(language, f"{value}（{basis}），实际{off}",
                 f"{value} ({basis}); it was {off} that"),
        )  # fmt: skip
    elif said.little_output:
        yield Line(label, pick(language, "产量很少，用能多为停产底数，不作比较",
                               "hardly any output, mostly base load: not compared"))  # fmt: skip
    elif said.intensity is not None:
        yield Line(label, pick(language, "没有可用的基准、目标或同类日",
                               "no usable baseline, no target and too few like days"))  # fmt: skip


def _cause(language: Language, said: Morning) -> str:
    cause = said.cause
    name = pick(language, cause.name_zh, cause.name_en)
    if cause.kind == "withheld":
        return _reason(language, cause.code)
    if cause.kind == "none":
        if not said.has_figure:
            return pick(language, "没有收到数据", "no data came")
        if said.distance is None:
            return pick(language, "没有可比的应有值", "there is nothing to compare with")
        if abs(said.distance) < _NEAR:
            return pick(language, "与应有值一致", "as expected")
        return pick(language, "没有单一原因", "no single cause")
    moved = "" if cause.tce is None else _moved(language, cause.tce, cause.share)
    if cause.kind == "waste":
        kind = pick(language, *KINDS.get(cause.code, (cause.code, cause.code)))
        return pick(language, f"{name}{kind}{moved}", f"{name}: {kind}{moved}")
    return f"{name}{moved}"


def _moved(language: Language, tce: float, part: float | None) -> str:
    size = amount(language, abs(tce), "tce")
    word = pick(language, *(("多用", "more") if tce > 0 else ("少用", "less")))
    if part is None:
        return pick(language, f"，{word} {size}", f", {size} {word}")
    of_it = "100%" if part > 1.0 - _SAME else share(part, 0)
    return pick(language, f"，{word} {size}，占差额的 {of_it}",
                f", {size} {word}, {of_it} of the distance")  # fmt: skip


def _action(language: Language, said: Morning) -> str:
    action = said.action
    name = pick(language, action.name_zh, action.name_en)
    if action.kind == "withheld":
        known = WITHHELD.get(action.code)
        return pick(language, *known[2:]) if known else action.code
    if action.kind == "waste":
        remedy = pick(language, *REMEDIES.get(action.code, ("", "")))
        if action.yuan_a_year is None:
            return pick(language, f"{name}：{remedy}", f"{name}: {remedy}")
        kind = pick(language, *KINDS.get(action.code, (action.code, action.code)))
        yuan = money(language, action.yuan_a_year)
        return pick(
            language,
            f"处理最贵的浪费线索：{name}{kind}，一年 {yuan}。{remedy}",
            f"take the dearest waste: {name}, {kind}, {yuan} a year: {remedy}",
        )
    if action.kind == "point":
        return pick(
            language,
            f"看{name}当天的负荷曲线，与上周同一天比较",
            f"look at the load of {name} that day, beside the same day of last week",
        )
    if action.kind == "shift":
        return pick(
            language,
            f"与{name}的班长核对待料、空转和启停",
            f"go through waiting, idling and starts with the lead of the {name} shift",
        )
    if not said.has_figure:
        return pick(
            language, "检查网关和表计是否在线", "check whether gateways and meters are heard of"
        )
    if said.distance is not None and said.distance >= _NEAR:
        return pick(
            language, "在总览中逐班、逐表查看", "look through shifts and meters on the overview"
        )
    return pick(language, "无需处理", "nothing to do")


def _trust(language: Language, said: Morning) -> Iterator[Line]:
    known = []
    if said.coverage is not None:
        known.append(pick(language, f"覆盖率 {share(said.coverage)}",
                          f"coverage {share(said.coverage)}"))  # fmt: skip
    if said.reporting_completeness is not None:
        complete = share(said.reporting_completeness)
        known.append(pick(language, f"完整率 {complete}", f"completeness {complete}"))
    if not said.factor_verified:
        known.append(pick(language, "折标系数未核", "coefficient unverified"))
    if said.synthetic:
        known.append(pick(language, "含合成或模拟数据", "synthetic or simulated data"))
    if known:
        yield Line(pick(language, "数据", "Data"), pick(language, "，", ", ").join(known))


def _off(language: Language, distance: float) -> str:
    size = change(abs(distance)).lstrip("+")
    if size == "±0%":
        size = "<0.1%"
    if distance > 0:
        return pick(language, f"高 {size}", f"{size} above")
    return pick(language, f"低 {size}", f"{size} below")


def _reason(language: Language, code: str) -> str:
    known = WITHHELD.get(code)
    return pick(language, *known[:2]) if known else code
