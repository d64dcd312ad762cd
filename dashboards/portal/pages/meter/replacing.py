"""What a meter replacement says in the plant file: the old device's end, the new one's beginning.

Closing and opening readings join the two registers, so that no energy is lost or made up between.
"""

from __future__ import annotations

import datetime as dt
import json
import re

import msgspec

from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.page import Visit
from dashboards.portal.pages.meter.model import Installation, MeterPage

__all__ = ["Replacement", "read_replacement", "replacement_form", "replacement_lines"]


class Replacement(msgspec.Struct, frozen=True, kw_only=True):
    """As read off at the meter."""

    device: str
    serial: str
    at: dt.datetime
    closing: str  # [register counts], of the old device
    opening: str  # of the new one


def read_replacement(visit: Visit) -> Replacement | None:
    """Read the form in the address; None if it is not there, or not whole."""
    asked = visit.query
    device, serial = asked.get("device", "").strip(), asked.get("serial", "").strip()
    closing, opening = (asked.get(k, "").replace(",", "").strip() for k in ("closing", "opening"))
    try:
        at = dt.datetime.fromisoformat(asked.get("at", ""))
    except ValueError:
        return None
    numbers = all(re.fullmatch(r"\d+(\.\d+)?", n) for n in (closing, opening))
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,63}", device) or not numbers:
        return None
    at = at.replace(tzinfo=at.tzinfo or visit.site.zone)
    return Replacement(device=device, serial=serial, at=at, closing=closing, opening=opening)


def replacement_lines(page: MeterPage, old: Installation, new: Replacement) -> str:
    """Return the lines for the plant file: the old installation closed, the new device put in.

    The old device's line, unit and profile are its own in the file; the new one takes them over.
    """
    register = f'{{ quantity = "{page.point.quantity}", channel = "total"'
    since = old.since.astimezone(page.site.zone).isoformat()
    ratios = f'ct_ratio = "{old.ct_ratio:g}"\npt_ratio = "{old.pt_ratio:g}"'
    at = new.at.isoformat()
    maker = "".join(
        f"{name} = {json.dumps(value, ensure_ascii=False)}\n"
        for name, value in (("maker", old.maker), ("model", old.model), ("serial", new.serial))
        if value
    )
    return (
        f"[[device]]  # beside {old.device}: take over its line, unit, profile and period_s\n"
        f'code = "{new.device}"\n{maker}\n'
        f"[[installation]]  # instead of the one of {old.device}\n"
        f'point = "{page.point.code}"\ndevice = "{old.device}"\n{ratios}\n'
        f"from = {since}\nto = {at}\n"
        f'registers = [{register}, closing = "{new.closing}" }}]\n\n'
        f"[[installation]]\n"
        f'point = "{page.point.code}"\ndevice = "{new.device}"\n{ratios}\n'
        f'from = {at}\nreason = "meter replaced"\n'
        f'registers = [{register}, opening = "{new.opening}" }}]\n'
    )


def replacement_form(page: MeterPage, visit: Visit) -> Safe | None:
    """Return the form of a replacement, and what it says once it is filled in."""
    old = next((i for i in page.installations if i.until is None), None)
    if old is None or "manage_plant" not in visit.permissions:
        return None
    asked = visit.query
    now = visit.site.now.astimezone(visit.site.zone)
    fields = [
        ("device", visit.say("新设备代码", "Code of the new device"), ""),
        ("serial", visit.say("新表出厂编号", "Serial of the new meter"), ""),
        ("at", visit.say("换表时间", "When"), f"{now:%Y-%m-%dT%H:%M}"),
        ("closing", visit.say("旧表止码", "Closing reading of the old"), ""),
        ("opening", visit.say("新表底码", "Opening reading of the new"), "0"),
    ]
    inputs = [
        tag("input", name_=name, value=asked.get(name, value), required=name != "serial",
            placeholder=said, aria_label=said, title=said, cls="wide-field")
        for name, said, value in fields
    ]  # fmt: skip
    button = tag("button", visit.say("生成", "Write the lines"), type_="submit",
                 cls="button quiet")  # fmt: skip
    form = tag("form", *inputs, button, method="get", action=visit.path, cls="fields")
    new = read_replacement(visit)
    told = None
    if new is not None:
        link = tag("a", visit.say("去“设置”检查并写入 ›", "Check and apply under Settings ›"),
                   href=visit.address("settings"))  # fmt: skip
        told = join(tag("pre", replacement_lines(page, old, new), id="replacement"), tag("p", link))
    elif "device" in asked:
        told = tag("p", visit.say("代码、时间或读数看不懂。", "Code, time or reading is not one."),
                   cls="warn-text")  # fmt: skip
    summary = tag("summary", visit.say("换表…", "Replace the meter…"))
    return tag("details", summary, form, told, cls="table-view", open_="device" in asked)
