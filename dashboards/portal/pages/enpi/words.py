"""The performance page's sentences, whole in each language and filled from the model."""

from __future__ import annotations

from dashboards.portal.figures import EnpiFigure
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.pages.enpi.model import EnpiPage
from dashboards.portal.state import not_final, status_word
from enpilot.text import (
    Language,
    change,
    day_short,
    intensity,
    month_short,
    pick,
    progress,
    share,
)

__all__ = ["TARGET_CLASSES", "opening", "span_words", "subline", "target_class_note"]

TARGET_CLASSES = {
    "official": ("官方", "official"),
    "assigned": ("下达", "assigned"),
    "internal": ("内部", "internal"),
}
_TONE = {"on_track": "good", "slow": "warn", "behind": "bad"}


def opening(language: Language, page: EnpiPage) -> Safe:
    """Say where the year stands, how far from its target, and what the verdict is."""
    figure = page.year_to_date
    name = page.indicator.name(language)
    if figure is None:
        return join(
            pick(language, f"{page.year}年还没有{name}的累计数。",
                 f"There is no year-to-date figure of {page.year} yet ({name}).")
        )  # fmt: skip
    span = span_words(language, figure)
    if figure.intensity is None:
        return join(
            pick(language, f"{page.year}年{span}{name}", f"{page.year}, {span}: {name} is "),
            tag("b", pick(language, "暂缓", "withheld"), cls="unknown-text"),
            pick(language, "，原因见下表。", "; the table below says why."),
        )
    stated = tag(
        "b", str(intensity(language, figure.intensity, figure.energy_unit, figure.output_unit))
    )
    start = join(
        pick(language, f"{page.year}年{span}累计", f"{page.year}, {span}: "),
        stated,
    )
    if page.is_base_year:
        return join(start, pick(language, "，是各年比较的基期。", ", the base of later years."))
    if figure.to_target is None or figure.progress_ratio is None:
        return join(
            start, pick(language, "，", "; "), status_word(language, figure.status),
            pick(language, "，不作判定。", ", so there is no verdict."),
        )  # fmt: skip
    # A progress at or above 1 is at or below the target, and the words must say the same.
    today = page.site.today
    tone = "" if figure.running(today) else _TONE.get(figure.status, "")
    distance = tag("b", _distance(language, figure.to_target), cls=f"{tone}-text" if tone else None)
    verdict = tag("b", status_word(language, figure.status), cls=f"{tone}-text" if tone else None)
    return join(
        start,
        pick(language, "，比同月份目标", ", "),
        distance,
        pick(language, "；进度比", " the target of the same months; progress ratio "),
        tag("b", progress(figure.progress_ratio)),
        pick(language, "，", ": "),
        verdict,
        not_final(language, figure, today),
        pick(language, "。", "."),
        _left_out(language, page),
    )


def _left_out(language: Language, page: EnpiPage) -> str | None:
    held = [
        month_short(language, m.month)
        for m in page.months
        if m.figure is not None and m.figure.status == "withheld"
    ]
    if not held:
        return None
    names = pick(language, "、", ", ").join(held)
    return pick(language, f"{names}暂缓。", f" Withheld: {names}.")


def _distance(language: Language, ratio: float) -> str:
    text = change(abs(ratio)).lstrip("+")
    if text == "±0%":
        text = "<0.1%"
    if ratio > 0:
        return pick(language, f"高{text}", f"{text} above")
    return pick(language, f"低{text}", f"{text} below")


def span_words(language: Language, figure: EnpiFigure) -> str:
    """Name the part of the year: 1–9月, Jan–Sep; with a day where the month is not over."""
    last = figure.last_day
    if figure.period_to.day != 1:
        return pick(language, f"1月1日–{day_short('zh', last)}", f"1 Jan–{day_short('en', last)}")
    if last.month == 12:
        return pick(language, "全年", "whole year")
    if last.month == 1:
        return month_short(language, last)
    return pick(language, f"1–{last.month}月", f"Jan–{month_short('en', last)}")


def subline(language: Language, page: EnpiPage) -> str:
    """State base, rate, scheme and whose target it is, in one line."""
    parts = []
    if page.target is not None:
        base = page.path[0].target_intensity if page.path else None
        unit = (page.indicator.energy_unit, page.indicator.output_unit)
        stated = "" if base is None else str(intensity(language, base, *_row_unit(page, unit)))
        year = page.target.base_from.year
        parts.append(
            pick(language, f"基期{year}年{f'（{stated}）' if stated else ''}",
                 f"base {year}{f' ({stated})' if stated else ''}")
        )  # fmt: skip
        if page.target.annual_rate is not None:
            rate = share(page.target.annual_rate)
            parts.append(pick(language, f"每年降{rate}", f"{rate} a year"))
        parts.append(target_class_note(language, page.target.target_class))
    scheme = page.indicator.scheme(language)
    parts.append(pick(language, f"口径：{scheme}", f"scheme: {scheme}"))
    return " · ".join(parts)


def target_class_note(language: Language, target_class: str) -> str:
    """Say whose target it is; an internal one carries no official light."""
    if target_class == "internal":
        return pick(language, "内部目标，不作官方晴雨表", "internal target, no official light")
    zh, en = TARGET_CLASSES.get(target_class, (target_class, target_class))
    return pick(language, f"{zh}目标", f"{en} target")


def _row_unit(page: EnpiPage, fallback: tuple[str, str]) -> tuple[str, str]:
    figure = page.path[0].figure if page.path else None
    return fallback if figure is None else (figure.energy_unit, figure.output_unit)
