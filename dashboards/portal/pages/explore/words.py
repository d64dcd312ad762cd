"""The explorer's words in both languages."""

from __future__ import annotations

from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.pages.explore.model import Chosen, ExplorePage
from dashboards.portal.period import period_name
from enpilot.text import (
    DASH,
    Language,
    change,
    counted,
    day_short,
    instant,
    pick,
    significant,
)

__all__ = ["COMPARES", "FORMS", "STEPS", "opening", "subline"]

FORMS = {
    "lines": ("曲线", "Lines"), "heat": ("热图", "Heat map"),
    "scatter": ("散点", "Scatter"), "duration": ("持续", "Duration"),
}  # fmt: skip
COMPARES = {
    None: ("不对比", "No comparison"), "previous": ("上一期", "Period before"),
    "year-before": ("去年同期", "Year before"),
}  # fmt: skip
STEPS = {
    None: ("自动", "Auto"), "15min": ("15分钟", "15 min"), "hour": ("小时", "Hour"),
    "day": ("日", "Day"),
}  # fmt: skip
_MEANS = {
    "15min": ("15分钟平均", "15-minute means"), "hour": ("小时平均", "hourly means"),
    "day": ("每日", "by day"),
}  # fmt: skip


def opening(language: Language, page: ExplorePage) -> Safe:
    """Say what the first series did: its mean, its highest and when, and the period beside it."""
    when = period_name(language, page.period)
    if not page.chosen:
        return join(pick(language, f"{when}：没有选中序列。", f"{when}: no series is chosen."))
    first = page.chosen[0]
    course = first.course
    name = course.track.name(language)
    known = [(v, i) for i, v in enumerate(course.values) if v is not None]
    if not known:
        return join(pick(language, f"{when}{name}没有数据。", f"{when}: no data of {name}."))
    mean = sum(v for v, _ in known) / len(known)
    top, index = max(known)
    local = page.starts[index].astimezone(page.site.zone)
    at = day_short(language, local.date()) if page.step == "day" else instant(language, local)
    unit = f" {course.unit}".rstrip()
    said = [
        tag("b", name),
        pick(language, f"{when}平均 {significant(mean)}{unit}，最高 ",
             f", {when}: mean {significant(mean)}{unit}, highest "),
        tag("b", f"{significant(top)}{unit}"),
        pick(language, f"，在{at}", f" on {at}"),
    ]  # fmt: skip
    return join(*said, _beside(language, page, first), pick(language, "。", "."))


def _beside(language: Language, page: ExplorePage, first: Chosen) -> str:
    """Say the mean of the period beside it, of those steps that are known in both."""
    if page.other is None or first.before is None:
        return ""
    both = [
        (now, then)
        for now, then in zip(first.course.values, first.before.values, strict=True)
        if now is not None and then is not None
    ]
    name = period_name(language, page.other)
    if not both:
        return pick(language, f"；{name}没有数据", f"; no data of {name}")
    now, then = (sum(values) / len(both) for values in zip(*both, strict=True))
    moved = change(now / then - 1) if then > 0 else DASH
    unit = f" {first.course.unit}".rstrip()
    return pick(
        language, f"；{name}同期 {significant(then)}{unit}（{moved}）",
        f"; {name} over the same steps {significant(then)}{unit} ({moved})",
    )  # fmt: skip


def subline(language: Language, page: ExplorePage) -> list[str]:
    """Say how it is drawn, and what of the address was not understood."""
    said = [pick(language, *_MEANS[page.step])]
    if page.asked_step is not None and page.asked_step != page.step and page.form == "lines":
        said.append(
            pick(language, "时段较长，步长已加大", "the period is long, so the step is longer")
        )
    if page.unknown:
        names = _listed(language, page.unknown)
        said.append(pick(language, f"没有，或不止一个“{names}”", f"none, or several, of “{names}”"))
    if page.left_out:
        count = len(page.left_out)
        said.append(
            pick(language, f"最多六条，另{count}条未画",
                 f"six at most, {counted(count, 'series', 'series')} left out")
        )  # fmt: skip
    blank = [c.course.track.name(language) for c in page.chosen if not c.course.known]
    if blank and len(blank) < len(page.chosen):
        said.append(pick(language, f"{_listed(language, blank)}没有数据",
                         f"no data of {_listed(language, blank)}"))  # fmt: skip
    third = [c.course.track.name(language) for c in page.chosen if c.axis is None]
    third = [name for name in third if name not in blank]
    if third and page.form == "lines":
        said.append(
            pick(language, f"只有两条纵轴，{_listed(language, third)}见表",
                 f"two axes at most: {_listed(language, third)} is in the table")
        )  # fmt: skip
    if page.chosen and page.form == "lines":
        missing = sum(len(c.course.values) - c.course.known for c in page.chosen)
        total = sum(len(c.course.values) for c in page.chosen)
        if missing:
            said.append(
                pick(language, f"{missing}/{total} 步无数据", f"{missing} of {total} steps unknown")
            )
    return said


def _listed(language: Language, names: list[str]) -> str:
    return ("、" if language == "zh" else ", ").join(names)
