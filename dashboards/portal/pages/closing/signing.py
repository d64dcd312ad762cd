"""What people do at a month's end: check, prepare, sign, take back, open again."""

from __future__ import annotations

from dashboards.portal.answers import Answer
from dashboards.portal.findings import finding_name
from dashboards.portal.forms import hidden, may_ask, reason_field, request_form
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.page import Visit
from dashboards.portal.pages.closing.model import ClosingPage, Difference
from dashboards.portal.state import reason, severity
from enpilot.text import instant, pick, share

__all__ = ["decide_form", "sign_forms"]

_CHECKS = {
    "not_over": ("尚未结束", "is not over"),
    "not_computed": ("还有数据未计算", "data wait to be computed"),
    "period_before_open": ("前一期尚未结账", "the period before is open"),
    "month_open": ("有月份未结账", "a month is open"),
    "no_figures": ("没有指标", "has no figures"),
    "estimated_share_high": ("估算占比高", "much of it is estimated"),
    "factor_not_verified": ("折标系数未核", "a factor is unverified"),
    "synthetic": ("含合成数据", "holds synthetic data"),
}


def sign_forms(page: ClosingPage, visit: Visit) -> Safe:
    """Return the steps that the month is ready for and the visitor may take."""
    last = page.period_to.fromordinal(page.period_to.toordinal() - 1).isoformat()
    arguments = hidden(kind="month", day=last)
    state = page.state.action
    forms: list[Safe | None] = []
    if state in (None, "withdrawn", "reopened") and page.over:
        forms.append(request_form(visit, "closing.check", arguments, quiet=True))
        forms.append(
            request_form(
                visit, "closing.prepare", arguments, _accept(page, visit),
                reason_field(visit, required=False, hint=visit.say("说明", "Remark")),
            )
        )  # fmt: skip
    elif state == "prepared":
        own = page.state.author
        forms.append(
            request_form(
                visit, "closing.approve", arguments,
                reason_field(visit, required=False, hint=visit.say("说明", "Remark")),
            )
        )  # fmt: skip
        forms.append(
            request_form(visit, "closing.withdraw", arguments, reason_field(visit), quiet=True)
        )
        if may_ask(visit, "closing.approve"):
            forms.append(
                tag("p", visit.say(f"{own}准备的，须由另一人签字；只有一人时会注明本人审签。",
                                   f"{own} prepared it; who signs alone is recorded as such."),
                    cls="reference")
            )  # fmt: skip
    elif state == "closed":
        forms.append(
            request_form(visit, "closing.reopen", arguments, reason_field(visit), quiet=True)
        )
    return join(_checked(page.checked, page, visit), *forms)


def _accept(page: ClosingPage, visit: Visit) -> Safe | None:
    """Offer to accept faults that do not stand against closing, each by itself."""
    faults = [f for f in page.findings if f.severity == "fault"]
    if not faults:
        return None
    ticks = [
        tag(
            "label",
            tag("input", type_="checkbox", name_="arguments.accept[]:int", value=f.finding_id),
            f" {visit.say('接受', 'accept')} #{f.finding_id}"
            f" {finding_name(visit.language, f.code)}",
            cls="tick",
        )
        for f in faults
    ]
    return join(*ticks)


def _checked(answer: Answer | None, page: ClosingPage, visit: Visit) -> Safe | None:
    """Return what the last check found."""
    if answer is None or answer.outcome is None:
        return None
    found = answer.outcome.get("checks", [])
    at = instant(visit.language, answer.asked_at.astimezone(page.site.zone))
    who = answer.asked_by
    said_when = visit.say(f"{at} {who} 检查：", f"Checked {at} by {who}:")
    head = tag("p", said_when, cls="reference next")
    if not found:
        return join(head, tag("p", visit.say("没有问题。", "Nothing found."), cls="none"))
    items = []
    for check in found:
        code, level = str(check.get("code", "")), str(check.get("level", ""))
        if code in _CHECKS:
            said = pick(visit.language, *_CHECKS[code])
        elif code.startswith("finding_"):
            said = finding_name(visit.language, code.removeprefix("finding_"))
        else:
            said = reason(visit.language, code)
        value = check.get("value")
        number = f" {share(float(value))}" if isinstance(value, int | float) else ""
        items.append(
            tag("li", severity("fault" if level == "block" else "warning"),
                tag("div", said, tag("span", f"{check.get('about', '')}{number}", cls="reference")))
        )  # fmt: skip
    return join(head, tag("ul", *items, cls="items", id="checked"))


def decide_form(row: Difference, visit: Visit) -> Safe | str:
    """Return the two decisions about a difference."""
    forms = [
        request_form(
            visit, "closing.decide", hidden(difference=row.difference_id, decision=decision),
            reason_field(visit), button=visit.say(zh, en), quiet=True,
        )
        for decision, zh, en in (("accepted", "接受", "Accept"), ("refused", "不接受", "Refuse"))
    ]  # fmt: skip
    shown = [f for f in forms if f is not None]
    return join(*shown) if shown else f"#{row.difference_id}"
