"""The overview's sentences, whole in each language and filled from the model."""

from __future__ import annotations

import datetime as dt
import zoneinfo

from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.pages.overview.model import FindingRow, Overview
from dashboards.portal.state import status_word
from enpilot.text import (
    Language,
    change,
    clock,
    day,
    day_short,
    intensity,
    month,
    month_short,
    pick,
    progress,
    quantity,
)

__all__ = [
    "comparable",
    "finding_span",
    "opening",
    "period_name",
    "quality_word",
]

_TONE = {"on_track": "good", "slow": "warn", "behind": "bad"}
_QUALITY = {
    0: ("良好", "good"),
    1: ("设备无应答", "no response"),
    2: ("异常应答", "exception reply"),
    3: ("设备无此值", "not available"),
    4: ("非数", "not a number"),
    5: ("溢出", "overflow"),
    6: ("旧值重复", "stale"),
    7: ("传感器故障", "sensor fault"),
}


def opening(language: Language, page: Overview) -> Safe:
    """Say what the period used per unit of output, and where the year stands."""
    return join(_period_sentence(language, page), _year_sentence(language, page))


def _period_sentence(language: Language, page: Overview) -> Safe:
    when = _when(language, page)
    figure = page.figure
    if figure is None or page.indicator is None:
        return join(pick(language, f"{when}没有可判定的数据。", f"{when}: no figures to judge. "))
    product = page.indicator.product(language)
    if figure.intensity is None:
        return join(
            pick(language, f"{when}的单位产品能耗", f"{when}: energy per unit of output is "),
            tag("b", pick(language, "暂缓", "withheld"), cls="unknown-text"),
            pick(language, "。", ". "),
        )
    stated = tag(
        "b", str(intensity(language, figure.intensity, figure.energy_unit, figure.output_unit))
    )
    start = join(
        pick(language, f"{when}每单位{product}用能", f"{when}: "),
        stated,
        pick(language, "", f" of {_inside(product)}"),
    )
    reference = _reference(page)
    if reference is None:
        return join(start, pick(language, "。", ". "))
    distance = figure.intensity / reference - 1.0
    if not comparable(distance) and figure.output is not None:
        made = tag("b", str(quantity(language, figure.output, figure.output_unit)))
        return join(
            pick(language, f"{when}只产出", f"{when}: only "),
            made,
            pick(
                language,
                f"{product}，用能多为停产底数，不与目标比较。",
                f" of {_inside(product)}; mostly closed-hours load, not compared. ",
            ),
        )
    tone = ""
    if page.kind == "month" and not figure.running(page.site.today):
        tone = f"{_TONE.get(figure.status, 'plain')}-text"
    which = pick(language, "同月份目标", "the month's target")
    return join(
        start,
        pick(language, f"，比{which}", ", "),
        tag("b", _direction(language, distance), cls=tone or None),
        pick(language, "。", f" {which}. "),
    )


def _year_sentence(language: Language, page: Overview) -> Safe | None:
    year = page.year
    if year is None or year.intensity is None:
        return None
    until = month_short(language, year.last_day)
    upto = pick(
        language,
        f"{year.period_from.year}年至{until}累计",
        f"Year to {until} {year.period_from.year}: ",
    )
    stated = str(intensity(language, year.intensity, year.energy_unit, year.output_unit))
    if year.progress_ratio is None:
        word = status_word(language, year.status)
        return join(
            upto, tag("b", stated), pick(language, "，", ", "), word, pick(language, "。", ".")
        )
    running = year.running(page.site.today)
    tone = "" if running else f"{_TONE.get(year.status, 'plain')}-text"
    word = status_word(language, year.status)
    tail = ""
    if running or year.provisional:
        tail = pick(language, "（暂定）", " (provisional)")
    return join(
        upto,
        tag("b", stated),
        pick(language, "，进度比", ", progress ratio "),
        tag("b", progress(year.progress_ratio)),
        pick(language, "，", ": "),
        tag("b", word, cls=tone or None),
        tail,
        pick(language, "。", "."),
    )


def _inside(name: str) -> str:
    """Return an English name as it stands within a sentence."""
    return name[:1].lower() + name[1:]


def comparable(distance: float) -> bool:
    """Whether a distance to the target says something about efficiency.

    A day with hardly any output uses its closed-hours load: "+9,970 %" would blame the wrong thing.
    """
    return distance <= 1.0


def _reference(page: Overview) -> float | None:
    """Return the target of the period, else of its month; only a known one is compared with."""
    for row in (page.figure, page.month):
        if row is not None and row.target_intensity:
            return row.target_intensity
    return None


def _direction(language: Language, ratio: float) -> str:
    text = change(abs(ratio)).lstrip("+")
    if text == "±0%":
        text = "<0.1%"
    if ratio > 0:
        return pick(language, f"高{text}", f"{text} above")
    return pick(language, f"低{text}", f"{text} below")


def _when(language: Language, page: Overview) -> str:
    if page.kind == "month":
        return month(language, page.period_from)
    if page.in_progress:
        return pick(language, "今天到目前为止", "Today so far")
    if page.period_from == page.site.today - dt.timedelta(days=1):
        return pick(language, "昨天", "Yesterday")
    if page.period_from.year == page.site.today.year:
        return day_short(language, page.period_from)
    return (
        day(language, page.period_from).rsplit(" ", 1)[0]
        if language == "zh"
        else day(language, page.period_from)
    )


def period_name(language: Language, page: Overview) -> str:
    """Name the period in full, for the period control."""
    if page.kind == "month":
        return month(language, page.period_from)
    return day(language, page.period_from)


def finding_span(language: Language, finding: FindingRow, zone: zoneinfo.ZoneInfo) -> str:
    """Say when a finding was and at which point."""
    begin = finding.at.astimezone(zone)
    when = f"{day_short(language, begin.date())} {clock(begin)}"
    if finding.to is not None and finding.to > finding.at:
        end = finding.to.astimezone(zone)
        tail = clock(end)
        if end.date() != begin.date():
            tail = f"{day_short(language, end.date())} {tail}"
        when = f"{when}–{tail}"
    point = pick(language, finding.point_zh or "", finding.point_en or "")
    return f"{when} · {point}" if point else when


def quality_word(language: Language, quality: int) -> str:
    """Return what a reading's quality means; an unknown one as its number."""
    low = quality & 0xFF
    return pick(language, *_QUALITY[low]) if low in _QUALITY else str(low)
