"""Say against the register what is known better: readings that do not count, energy untold."""

from __future__ import annotations

from dashboards.portal.forms import hidden, may_ask, reason_field, request_form
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.page import Visit
from dashboards.portal.pages.readings.model import Readings

__all__ = ["correction_forms"]


def correction_forms(page: Readings, visit: Visit) -> Safe | None:
    """Return forms to propose a correction of the span shown; None where that is not allowed."""
    if not may_ask(visit, "correction.propose"):
        return None
    unit = next((r.unit for r in page.readings if r.unit), "")
    counter = any(r.counter for r in page.readings)
    forms = [_form(page, visit, "void", visit.say("剔除这段读数", "Leave these readings out"))]
    if counter:
        forms.append(
            _form(
                page, visit, "substitute", visit.say("补录这段用量", "Enter what was used"),
                _field("detail.amount", visit.say(f"用量 {unit}", f"Amount {unit}"), visit),
                tag("input", type_="hidden", name_="arguments.detail.unit", value=unit),
                tag("input", type_="hidden", name_="arguments.detail.shape", value="even"),
            )
        )  # fmt: skip
    note = visit.say(
        "修正不改读数：提出后由另一人审批，可撤销，版本都保留。",
        "No reading is changed: another person approves it, it can be revoked, versions stay.",
    )
    return join(*forms, tag("p", note, cls="reference"))


def _form(page: Readings, visit: Visit, kind: str, title: str, *more: Safe) -> Safe:
    zone = page.site.zone
    form = request_form(
        visit, "correction.propose",
        hidden(point=page.point, kind=kind, quantity=page.quantity, channel=page.channel),
        _field("since", visit.say("起", "From"), visit,
               page.span.since.astimezone(zone).isoformat()),
        _field("until", visit.say("止", "To"), visit,
               page.span.until.astimezone(zone).isoformat()),
        *more, _field("evidence", visit.say("依据（单据）", "Evidence (document)"), visit),
        reason_field(visit), quiet=True,
    )  # fmt: skip
    return tag("details", tag("summary", f"{title}…"), form, cls="table-view", data_correct=kind)


def _field(name: str, said: str, visit: Visit, value: str | None = None) -> Safe:
    return tag("input", name_=f"arguments.{name}", required=True, value=value, placeholder=said,
               aria_label=said, title=said, cls="wide-field", lang=visit.language)  # fmt: skip
