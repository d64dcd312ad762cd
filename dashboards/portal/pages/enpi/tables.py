"""The performance page's tables: judgements, path, months, days."""

from __future__ import annotations

from dashboards.portal.figures import EnpiFigure
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.pages.enpi.model import EnpiPage
from dashboards.portal.pages.enpi.words import span_words, target_class_note
from dashboards.portal.state import (
    action,
    estimated,
    judgement,
    reason,
    status_word,
    synthetic,
    withheld,
)
from enpilot.text import (
    DASH,
    Language,
    change,
    day_short,
    energy,
    intensity,
    month_short,
    pick,
    progress,
    quantity,
    share,
)

__all__ = ["days_table", "judgements", "months_table", "path_table"]


def judgements(language: Language, page: EnpiPage) -> Safe:
    """Return what is judged of the year to date, and under whose target."""
    figure = page.year_to_date
    if figure is None:
        text = pick(language, "这一年没有累计数。", "There is no year to date of this year.")
        return tag("p", text, cls="none")
    if figure.intensity is None:
        limit = page.indicator.coverage_limit
        code = figure.withheld_code or figure.status
        return tag("div", withheld(language, code, figure, limit), cls="withheld-block")
    span = span_words(language, figure)
    rows = [
        _fact(
            pick(language, f"累计 {span}", f"to date, {span}"),
            str(intensity(language, figure.intensity, figure.energy_unit, figure.output_unit)),
            "ytd-intensity",
        ),
    ]
    if figure.target_intensity is not None and figure.to_target is not None:
        goal = intensity(language, figure.target_intensity, figure.energy_unit, figure.output_unit)
        rows.append(
            _fact(
                pick(language, "同月份目标", "target, same months"),
                f"{goal} ({change(figure.to_target)})",
                "ytd-target",
            )
        )
    if figure.progress_ratio is not None:
        text = progress(figure.progress_ratio)
        rows.append(_fact(pick(language, "进度比", "progress ratio"), text, "progress-ratio"))
    if figure.cumulative_progress is not None:
        passed = _elapsed(page, figure)
        stated = progress(figure.cumulative_progress)
        said = join(
            stated,
            tag("span", pick(language, f" 已过 {passed}", f" {passed} of the time"),
                cls="reference") if passed else None,
        )  # fmt: skip
        name = pick(language, "累计进度", "cumulative progress")
        rows.append(_fact(name, said, "cumulative-progress"))
    verdict = join(
        judgement(
            language,
            figure.status,
            provisional=figure.provisional,
            running=figure.running(page.site.today),
        ),
        estimated(language, figure.estimated_share),
        synthetic(language, figure.synthetic_energy, figure.synthetic_output),
        by=" ",  # where a narrow column may break the line
    )
    rows.insert(0, _fact(pick(language, "判定", "verdict"), verdict, "verdict"))
    notes = []
    if figure.within_uncertainty:
        notes.append(
            pick(language, "差距小于计量不确定度。",
                 "The distance is within measuring uncertainty.")
        )  # fmt: skip
    if page.target is not None:
        whose = target_class_note(language, page.target.target_class)
        notes.append(pick(language, f"{whose}。", f"{whose[:1].upper()}{whose[1:]}."))
    if figure.progress_ratio is not None:
        notes.append(
            pick(
                language,
                "进度比 = ln(实际/基期同月) ÷ ln(目标/基期同月)；0.8–1 为偏慢。",
                "Progress ratio = ln(actual/base) ÷ ln(target/base), same months; 0.8–1 is slow.",
            )
        )
    return join(
        tag("table", tag("tbody", *rows), cls="facts"),
        tag("p", pick(language, "", " ").join(notes), cls="reference"),
    )


def _fact(name: str, value: str, key: str) -> Safe:
    return tag("tr", tag("th", name, scope="row"), tag("td", value, cls="num", data_figure=key))


def _elapsed(page: EnpiPage, figure: EnpiFigure) -> str | None:
    """Return the share of the target's years that is over, beside which progress is read."""
    target = page.target
    if target is None or target.end_to <= target.base_to:
        return None
    whole = (target.end_to - target.base_to).days
    passed = min(max((figure.period_to - target.base_to).days / whole, 0.0), 1.0)
    return share(passed, 0)


def path_table(language: Language, page: EnpiPage) -> Safe:
    """Return the path from the base to the last target year, with what has been reached."""
    if not page.path:
        said = pick(
            language,
            "没有目标，或基期不完整。",
            "There is no target, or its base is not complete.",
        )
        return tag("p", said, cls="none")
    unit = page.indicator.energy_unit, page.indicator.output_unit
    first = page.path[0].figure
    if first is not None:
        unit = first.energy_unit, first.output_unit
    rows = []
    for step in page.path:
        goal = DASH
        if step.target_intensity is not None:
            goal = intensity(language, step.target_intensity, *unit).value
        figure = step.figure
        reached: str = DASH
        if figure is not None and figure.intensity is not None and step.closed:
            reached = intensity(language, figure.intensity, *unit).value
        elif figure is not None:
            reached = pick(language, "不完整", "incomplete")
            if figure.running(page.site.today):
                reached = pick(language, "进行中", "running")
        mark: str = DASH
        if step.base:
            mark = pick(language, "基期", "base")
        elif figure is not None and step.closed:
            mark = judgement(language, figure.status, provisional=figure.provisional, running=False)
        rows.append(
            tag(
                "tr",
                tag("th", str(step.year), scope="row"),
                tag("td", goal, cls="num target"),
                tag("td", reached, cls="num"),
                tag("td", mark),
                cls="chosen" if step.year == page.year else None,
            )
        )
    head = tag(
        "tr",
        tag("th", pick(language, "年", "Year")),
        tag("th", pick(language, "路径", "Path"), cls="num"),
        tag("th", pick(language, "全年实际", "Whole year"), cls="num"),
        tag("th", pick(language, "判定", "Verdict")),
    )
    return tag("table", tag("thead", head), tag("tbody", *rows))


def months_table(language: Language, page: EnpiPage) -> Safe:
    """Return the chart's figures as a table, withheld months with reason and action."""
    rows = []
    for month in page.months:
        if month.figure is None:
            continue
        address = f"?t={page.year}&month={month.month:%Y-%m}"
        name = tag("a", month_short(language, month.month), href=address)
        rows.append(_row(language, page, name, month.figure, month.base_intensity))
    return _figures_table(language, pick(language, "月", "Month"), rows)


def days_table(language: Language, page: EnpiPage) -> Safe:
    """Return the days of the chosen month; each leads to its meters."""
    rows = []
    for figure in page.days:
        address = f"?t={page.year}&month={page.month:%Y-%m}&day={figure.period_from.isoformat()}"
        name = tag("a", day_short(language, figure.period_from), href=address)
        rows.append(_row(language, page, name, figure, None))
    return _figures_table(language, pick(language, "日", "Day"), rows)


def _figures_table(language: Language, first: str, rows: list[list[Safe | None]]) -> Safe:
    """Put rows under heads; a column without any value is left out (days have no target)."""
    heads = [
        (first, None),
        (pick(language, "能耗", "Energy"), "num"),
        (pick(language, "产量", "Output"), "num"),
        (pick(language, "单耗", "Per unit"), "num"),
        (pick(language, "目标", "Target"), "num"),
        (pick(language, "对目标", "vs target"), "num"),
        (pick(language, "基期", "Base"), "num"),
        (pick(language, "覆盖率", "Coverage"), "num"),
        (pick(language, "说明", "Note"), None),
    ]
    used = [i for i in range(len(heads)) if any(row[i] is not None for row in rows)]
    head = [tag("th", heads[i][0], cls=heads[i][1]) for i in used]
    dash = tag("td", DASH, cls="num")
    body = [tag("tr", *(dash if row[i] is None else row[i] for i in used)) for row in rows]
    return tag("table", tag("thead", tag("tr", *head)), tag("tbody", *body), cls="wide")


def _row(
    language: Language, page: EnpiPage, name: Safe, figure: EnpiFigure, base: float | None
) -> list[Safe | None]:
    unit = figure.energy_unit, figure.output_unit
    base = figure.base_intensity if figure.base_intensity is not None else base
    held = tag("b", pick(language, "暂缓", "withheld"), cls="unknown-text")
    shown = held if figure.intensity is None else intensity(language, figure.intensity, *unit).value
    return [
        tag("th", name, scope="row"),
        _num(None if figure.energy is None else energy(language, figure.energy, unit[0])),
        _num(None if figure.output is None else quantity(language, figure.output, unit[1])),
        tag("td", shown, cls="num"),
        _num(_level(language, figure.target_intensity, unit)),
        _num(None if figure.to_target is None else change(figure.to_target)),
        _num(_level(language, base, unit)),
        _num(None if figure.coverage is None else share(figure.coverage)),
        tag("td", _notes(language, page, figure), cls="note"),
    ]


def _notes(language: Language, page: EnpiPage, figure: EnpiFigure) -> Safe:
    note: list[str | None] = []
    if figure.withheld_code is not None:
        said = reason(language, figure.withheld_code, figure, page.indicator.coverage_limit)
        what = action(language, figure.withheld_code)
        note.append(said if what is None else f"{said} · {what}")
    if figure.status == "joint":
        note.append(status_word(language, figure.status))
    note.append(estimated(language, figure.estimated_share))
    note.append(synthetic(language, figure.synthetic_energy, figure.synthetic_output))
    if figure.running(page.site.today):
        note.append(tag("span", pick(language, "进行中", "running"), cls="mark"))
    return join(*note, by=" ")


def _level(language: Language, value: float | None, unit: tuple[str, str]) -> str | None:
    return None if value is None else intensity(language, value, *unit).value


def _num(text: object | None) -> Safe | None:
    return None if text is None else tag("td", str(text), cls="num")
