"""Why the year is where it is: split, events, forecast, baseline; and the meters of a day."""

from __future__ import annotations

from dashboards.portal import baseline_words
from dashboards.portal.bars import Tone, lane
from dashboards.portal.figures import EnpiFigure
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.page import address
from dashboards.portal.pages.enpi.model import EnpiPage
from dashboards.portal.pages.enpi.story import Baseline, Event, MeterDay
from dashboards.portal.pages.enpi.words import span_words
from dashboards.portal.state import estimated, reason
from enpilot.text import (
    Language,
    change,
    day_short,
    energy,
    energy_scale,
    intensity,
    month,
    month_short,
    number,
    pick,
    share,
)

__all__ = ["baseline_note", "events_table", "forecast_facts", "meters_table", "split"]

_MARKS = {"good": ("●", "good"), "fault": ("■", "bad"), "warning": ("▲", "warn")}
_ROLES = {
    "boundary": ("进线", "boundary"),
    "generation": ("发电", "generation"),
    "sub": ("分表", "sub-meter"),
    "internal": ("内部", "internal"),
}


def split(language: Language, page: EnpiPage) -> Safe:
    """Return volume, mix and efficiency between the base months' energy and this year's.

    The totals are figures, the changes bars from where the one before ended; only efficiency is
    praised or blamed.
    """
    figure = page.year_to_date
    if figure is None or figure.volume_effect is None or figure.efficiency_effect is None:
        return tag(
            "p",
            pick(
                language,
                "没有同期基数，无法分解。",
                "Without the same months of a base there is nothing to split.",
            ),
            cls="none",
        )
    unit, scale = energy_scale(figure.energy_unit)
    total = (figure.energy or 0.0) * scale
    parts: list[tuple[str, float, Tone]] = [
        (pick(language, "产量", "Volume"), figure.volume_effect * scale, "open"),
        (pick(language, "产品结构", "Mix"), (figure.mix_effect or 0.0) * scale, "open"),
        (
            pick(language, "效率", "Efficiency"),
            figure.efficiency_effect * scale,
            "bad" if figure.efficiency_effect > 0 else "good",
        ),
    ]
    before = total - sum(value for _, value, _ in parts)
    ends = [before]
    for _, value, _ in parts:
        ends.append(ends[-1] + value)
    low, high = min(ends), max(ends)
    width = (high - low) or 1.0
    base_year = page.target.base_from.year if page.target else page.year - 1
    span = span_words(language, figure)
    rows = [_total(pick(language, f"{base_year}年{span}", f"{base_year}, {span}"), before)]
    for (name, value, tone), start in zip(parts, ends, strict=False):
        edges = ((start - low) / width, (start + value - low) / width)
        rows.append(
            tag(
                "tr",
                tag("th", name, scope="row"),
                tag("td", lane(*edges, tone), cls="lane"),
                tag("td", _signed(value), cls="num"),
            )
        )
    rows.append(_total(pick(language, f"{page.year}年{span}", f"{page.year}, {span}"), total))
    return join(
        tag("table", tag("tbody", *rows), cls="split", data_unit=unit),
        tag("p", _efficiency(language, figure, scale, unit), cls="reference"),
    )


def _total(name: str, value: float) -> Safe:
    return tag(
        "tr", tag("th", name, scope="row"), tag("td", "", cls="lane"),
        tag("td", tag("b", _amount(value)), cls="num"),
    )  # fmt: skip


def _efficiency(language: Language, figure: EnpiFigure, scale: float, unit: str) -> str:
    value = (figure.efficiency_effect or 0.0) * scale
    share_of = abs(value) / ((figure.energy or 0.0) * scale or 1.0)
    size = f"{_amount(abs(value))} {unit}"
    more = value > 0
    return pick(
        language,
        f"只有“效率”算数：与基期同样的产量和结构下，{'多' if more else '少'}用 {size}"
        f"（{share(share_of)}）。",
        f"Only efficiency counts: for the same output and mix as in the base, {size} "
        f"{'more' if more else 'less'} ({share(share_of)}).",
    )


def _amount(value: float) -> str:
    return number(value, 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2)


def _signed(value: float) -> str:
    text = _amount(value)
    return text if value < 0 else f"+{text}"


def forecast_facts(language: Language, page: EnpiPage) -> Safe | None:
    """Return how the year will probably end: figure, interval, odds, what the rest would need."""
    end = page.year_end
    if end is None:
        return None
    if end.intensity is None:
        code = end.withheld_code or ""
        said = baseline_words.WITHHELD.get(code) or baseline_words.REASONS.get(code)
        why = pick(language, *said) if said else reason(language, code)
        return tag("p", pick(language, f"年末预计暂缓：{why}。", f"No forecast: {why}."),
                   cls="reference")  # fmt: skip
    unit = _unit(page)
    figure = intensity(language, end.intensity, *unit)
    rows = [_fact(pick(language, "年末预计", "year end, forecast"), str(figure), "forecast")]
    if end.intensity_lower is not None and end.intensity_upper is not None:
        low, high = (intensity(language, v, *unit).value
                     for v in (end.intensity_lower, end.intensity_upper))  # fmt: skip
        rows.append(_fact(pick(language, "80% 区间", "80 % interval"), f"{low}–{high}", "interval"))
    if end.probability is not None:
        rows.append(
            _fact(
                pick(language, "达标概率", "odds of meeting it"), share(end.probability, 0), "odds"
            )
        )
    if end.required_code is not None:
        words = baseline_words.REQUIRED.get(end.required_code, (end.required_code,) * 2)
        said_required = pick(language, *words)
        if end.required_change is not None and end.required_code == "reachable":
            said_required = f"{change(end.required_change)} · {said_required}"
        rows.append(_fact(pick(language, "剩余月份须", "the rest must"), said_required, "required"))
    return tag("table", tag("tbody", *rows), cls="facts")


def _fact(name: str, value: str, key: str) -> Safe:
    return tag("tr", tag("th", name, scope="row"), tag("td", value, cls="num", data_figure=key))


def baseline_note(language: Language, baseline: Baseline) -> Safe:
    """Return what the baseline is and how good, or the tests that it fails, in one sentence."""
    name = pick(language, baseline.name_zh, baseline.name_en)
    usable = pick(language, *baseline_words.USABILITY.get(
        baseline.usability, (baseline.usability,) * 2))  # fmt: skip
    facts = []
    if baseline.r_squared is not None:
        facts.append(f"R² {number(baseline.r_squared, 2)}")
    if baseline.cv_rmse is not None:
        facts.append(f"CV(RMSE) {share(baseline.cv_rmse)}")
    if baseline.f_p is not None:
        facts.append("p < 0.001" if baseline.f_p < 0.001 else f"p {number(baseline.f_p, 3)}")
    if baseline.points is not None:
        facts.append(pick(language, f"{baseline.points} 个点", f"{baseline.points} points"))
    why = [baseline_words.reason(language, code) for code in baseline.reasons]
    until = baseline.training_to
    window = f"{baseline.training_from:%Y-%m}–{until.replace(day=1):%Y-%m}"
    return tag(
        "p",
        pick(language, f"{name}（{window}，第{baseline.version}版）：{usable}",
             f"{name} ({window}, version {baseline.version}): {usable}"),
        f" · {'，'.join(facts) if language == 'zh' else ', '.join(facts)}" if facts else None,
        pick(language, "。", ". "),
        pick(language, "；".join(why), "; ".join(why)) + pick(language, "。", ".") if why else None,
        cls="reference",
    )  # fmt: skip


def events_table(language: Language, page: EnpiPage) -> Safe:
    """Return what moved the year, by date."""
    if not page.events:
        return tag(
            "p",
            pick(language, "这一年没有记录到变化点、改造或暂缓的月份。",
                 "No change, retrofit or withheld month is on record for this year."),
            cls="none",
        )  # fmt: skip
    head = tag(
        "tr",
        tag("th", pick(language, "何时", "When")),
        tag("th", pick(language, "事情", "What")),
        tag("th", pick(language, "依据", "Evidence")),
        tag("th", pick(language, "能耗", "Energy"), cls="num"),
    )
    rows = [_event(language, page, event) for event in page.events]
    return tag("table", tag("thead", head), tag("tbody", *rows), cls="wide")


def _event(language: Language, page: EnpiPage, event: Event) -> Safe:
    mark, style = _MARKS.get(event.severity, ("◇", "data"))
    if event.kind == "withheld":
        what = pick(
            language,
            f"{month_short('zh', event.at)}暂缓",
            f"{month_short('en', event.at)} withheld",
        )
        evidence = reason(language, event.reason or "")
    elif event.kind == "shift":
        down = event.severity == "good"
        what = pick(language, "能耗水平下降" if down else "能耗水平上升",
                    "Level of energy fell" if down else "Level of energy rose")  # fmt: skip
        evidence = pick(
            language, "相对基准模型的变化点（CUSUM）", "change point against the baseline (CUSUM)"
        )
    else:
        what = pick(language, event.name_zh, event.name_en)
        said = baseline_words.WITHHELD.get(event.reason or "")
        evidence = pick(language, "改造投运", "retrofit in operation")
        if said is not None:
            evidence += pick(language, f"；节能量暂缓：{said[0]}", f"; saving withheld: {said[1]}")
    amount = ""
    if event.amount is not None:
        unit, scale = energy_scale(event.unit)
        amount = f"{_signed(event.amount * scale)} {unit}"
        if event.uncertainty is not None:
            amount = (
                f"{_signed(event.amount * scale)} ± {_amount(event.uncertainty * scale)} {unit}"
            )
        if event.kind == "shift":
            amount += pick(language, "/月", " a month")
    at = f"?t={page.year}&month={event.at:%Y-%m}"
    return tag(
        "tr",
        tag("td", tag("a", month(language, event.at), href=at)),
        tag("td", tag("span", mark, cls=f"shape {style}", aria_hidden="true"), f" {what}"),
        tag("td", evidence, cls="note"),
        tag("td", amount, cls="num"),
        data_event=event.kind,
    )


def meters_table(language: Language, page: EnpiPage) -> Safe:
    """Return the meters of a day; each leads to its raw readings."""
    assert page.day is not None  # asked only with a day
    head = tag(
        "tr",
        tag("th", pick(language, "计量点", "Meter")),
        tag("th", pick(language, "位置", "Role")),
        tag("th", pick(language, "用量", "Amount"), cls="num"),
        tag("th", pick(language, "覆盖率", "Coverage"), cls="num"),
        tag("th", pick(language, "完整率", "Completeness"), cls="num"),
        tag("th", pick(language, "说明", "Note")),
    )
    rows = [_meter(language, page, meter) for meter in page.meters]
    title = pick(
        language, f"{day_short('zh', page.day)}各计量点", f"Meters on {day_short('en', page.day)}"
    )
    return tag("table", tag("caption", title), tag("thead", head), tag("tbody", *rows), cls="wide",
               id="meters")  # fmt: skip


def _meter(language: Language, page: EnpiPage, meter: MeterDay) -> Safe:
    name: str | Safe = pick(language, meter.name_zh, meter.name_en)
    if meter.series_id is not None and page.day is not None:
        to = address(page.site.code, f"readings/{meter.series_id}", t=page.day.isoformat())
        name = tag("a", name, href=to)
    shown: str | Safe = tag("b", pick(language, "暂缓", "withheld"), cls="unknown-text")
    if meter.amount is not None:
        shown = str(energy(language, meter.amount, meter.unit))
    role = pick(language, *_ROLES.get(meter.role, (meter.role, meter.role)))
    return tag(
        "tr",
        tag("th", name, scope="row"),
        tag("td", role),
        tag("td", shown, cls="num"),
        tag("td", "–" if meter.coverage is None else share(meter.coverage), cls="num"),
        tag("td", "–" if meter.reporting_completeness is None
            else share(meter.reporting_completeness), cls="num"),
        tag("td", join(
            None if meter.withheld_code is None else reason(language, meter.withheld_code),
            estimated(language, meter.estimated_share),
            tag("span", pick(language, "模拟", "simulated"), cls="mark")
            if meter.simulated else None,
            by=" "), cls="note"),
        data_meter=meter.point,
    )  # fmt: skip


def _unit(page: EnpiPage) -> tuple[str, str]:
    figure = page.year_to_date
    if figure is not None:
        return figure.energy_unit, figure.output_unit
    return page.indicator.energy_unit, page.indicator.output_unit
