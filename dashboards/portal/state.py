"""How far a figure can be trusted, as part of its typography: marks, withheld, empty, late, error.

Silence is the normal case: a complete figure carries nothing.
"""

from __future__ import annotations

import datetime as dt

from dashboards.portal.figures import EnpiFigure
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.site import Indicator, Site
from enpilot.code_words import WITHHELD
from enpilot.text import Language, age, moment, pick, share

__all__ = [
    "ESTIMATED_SHOWN",
    "LATE_S",
    "action",
    "data_until",
    "empty",
    "estimated",
    "factor_line",
    "failed",
    "judgement",
    "misread",
    "not_final",
    "reason",
    "severity",
    "status_word",
    "synthetic",
    "withheld",
]

ESTIMATED_SHOWN = 0.05  # from this share on, the estimate is said beside the figure
LATE_S = 3600.0  # figures older than this are late

_STATUS = {  # mark, zh, en
    "on_track": ("●", "达标", "on track"),
    "slow": ("▲", "偏慢", "slow"),
    "behind": ("■", "落后", "behind"),
    "base": ("–", "基期", "base year"),
    "no_target": ("–", "没有目标", "no target"),
    "no_base": ("◌", "没有同期基数", "no base months"),
    "joint": (
        "–",
        "1、2月合并评判，见累计",
        "January and February are judged together, see year to date",
    ),
    "withheld": ("◌", "暂缓", "withheld"),
}
_STYLE = {"on_track": "good", "slow": "warn", "behind": "bad", "withheld": "unknown"}
_SEVERITY = {"fault": ("■", "bad"), "warning": ("▲", "warn"), "note": ("◇", "data")}


def reason(
    language: Language, code: str, figure: EnpiFigure | None = None, limit: float | None = None
) -> str:
    """Say why a figure is withheld; an unknown code is shown as it is."""
    if code not in WITHHELD:
        return code
    said = pick(language, *WITHHELD[code][:2])
    value = {"coverage_low": "coverage", "output_coverage_low": "output_coverage"}.get(code)
    if figure is None or value is None or limit is None:
        return said
    measured = getattr(figure, value)
    if measured is None:
        return said
    return pick(
        language,
        f"{said}：{share(measured)}，低于{share(limit)}",
        f"{said}: {share(measured)}, below {share(limit)}",
    )


def action(language: Language, code: str) -> str | None:
    """Say what helps against a withheld figure, None if the code is unknown."""
    return pick(language, *WITHHELD[code][2:]) if code in WITHHELD else None


def withheld(
    language: Language, code: str, figure: EnpiFigure | None = None, limit: float | None = None
) -> Safe:
    """Return what stands in a withheld figure's place: the word, the reason, the action."""
    return join(
        tag("span", pick(language, "暂缓", "withheld"), cls="withheld-word"),
        tag("span", reason(language, code, figure, limit), cls="reference"),
        tag("span", action(language, code), cls="reference action"),
    )


def estimated(language: Language, ratio: float | None) -> Safe | None:
    """Return the mark of a figure whose estimated share is 5 % or more, else None."""
    if ratio is None or ratio < ESTIMATED_SHOWN:
        return None
    return tag(
        "span",
        pick(language, f"≈ 估算{share(ratio)}", f"≈ {share(ratio)} estimated"),
        cls="mark-estimated",
        title=pick(
            language,
            "这部分电量的总数可信，时间分布为估算",
            "the total is known, its place in time is estimated",
        ),
    )


def synthetic(language: Language, *flags: bool) -> Safe | None:
    """Return the mark of a figure that contains made-up data, else None."""
    return tag("span", pick(language, "合成", "synthetic"), cls="mark") if any(flags) else None


def status_word(language: Language, status: str) -> str:
    """Return a status in words; an unknown one as it is."""
    return pick(language, *_STATUS[status][1:]) if status in _STATUS else status


def judgement(language: Language, status: str, *, provisional: bool, running: bool) -> Safe:
    """Return mark and words of a status.

    Parameters
    ----------
    provisional
        Not closed and signed yet: said beside it.
    running
        Not even over yet: the words stand, but without the light's colour.
    """
    mark = _STATUS.get(status, ("◌", "", ""))[0]
    style = _STYLE.get(status, "plain")
    judged = style in ("good", "warn", "bad")
    return tag(
        "span",
        tag("span", mark, cls="shape", aria_hidden="true"),
        status_word(language, status),
        tag("span", pick(language, "暂定", "provisional"), cls="mark")
        if judged and (provisional or running)
        else None,
        cls=f"judgement {'provisional' if judged and running else style}",
    )


def severity(level: str) -> Safe:
    """Return the mark of a finding or alert."""
    mark, style = _SEVERITY.get(level, ("◇", "data"))
    return tag("span", mark, cls=f"shape {style}", title=level)


def empty(language: Language, zh: tuple[str, str], en: tuple[str, str]) -> Safe:
    """Return an empty section: what belongs here and why it is empty, and one action."""
    what, then = pick(language, zh[0], en[0]), pick(language, zh[1], en[1])
    return tag("div", tag("p", what), tag("p", then, cls="action"), cls="empty")


def failed(language: Language, number: str) -> Safe:
    """Return what stands where a section failed; the number leads to the log."""
    said = pick(language, f"这一部分出错了（编号 {number}）；请刷新重试。",
                f"This part failed (number {number}); reload to try again.")  # fmt: skip
    return tag("div", tag("p", said), cls="empty failed", data_failed=number)


def misread(language: Language, given: str | None) -> str | None:
    """Say that a period in the address was not understood, None if it was."""
    if given is None:
        return None
    return pick(
        language,
        f"看不懂地址中的“{given}”，显示默认时段",
        f"“{given}” in the address is not a period; this is the default",
    )


def data_until(language: Language, site: Site) -> Safe:
    """Say up to when the figures contain readings; late ones in amber, with how late."""
    through = site.data_through
    if through is None:
        return tag("span", pick(language, "尚无计算结果", "nothing computed yet"), cls="until late")
    local = through.astimezone(site.zone)
    stands = moment(language, local, site.today)
    behind_s = (site.now - through).total_seconds()
    if site.metered and behind_s > LATE_S:
        return tag(
            "span",
            pick(
                language,
                f"数据停在{stands}（{age('zh', behind_s)}）",
                f"Data stops at {stands} ({age('en', behind_s)})",
            ),
            cls="until late",
        )
    return tag(
        "span",
        pick(language, "数据截至", "Data to "),
        tag("b", stands),
        cls="until",
    )


def not_final(language: Language, figure: EnpiFigure, today: dt.date) -> str:
    """Say in a sentence why a verdict is not final, nothing if it is."""
    if figure.running(today):
        return pick(language, "（期间未结束，暂定）", " (provisional, the period is running)")
    if figure.provisional:
        return pick(language, "（未结账，暂定）", " (provisional until closed)")
    return ""


def factor_line(language: Language, indicator: Indicator | None, *, verified: bool) -> Safe | None:
    """Name the factor standard and its edition; say so if a factor is not verified."""
    if indicator is None or indicator.factor_standard is None:
        return None
    edition = f"{indicator.factor_standard}-{indicator.factor_edition}"
    used = [f for f in indicator.factors if f.medium == "electricity"]
    detail = ""
    if used:
        value = f"{used[0].value:g} {used[0].unit}/{used[0].per_unit}"
        basis = {"physical": ("当量值", "equivalent"), "primary": ("等价值", "primary")}
        words = basis.get(used[0].basis, (used[0].basis, used[0].basis))
        detail = pick(
            language, f"（电力{words[0]} {value}）", f" (electricity, {words[1]}, {value})"
        )
    unverified = not verified or any(not f.verified for f in indicator.factors)
    mark = tag("span", pick(language, "未核", "unverified"), cls="mark") if unverified else None
    return tag("span", pick(language, "折标系数 ", "Factors "), edition, detail, mark)
