"""The elements of a meter's page, made for a phone; knows the model, not the database."""

from __future__ import annotations

from nicegui import ui

from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.page import Visit
from dashboards.portal.pages.meter.model import Installation, MeterPage, Register
from dashboards.portal.pages.meter.replacing import replacement_form
from dashboards.portal.pages.overview.words import quality_word
from dashboards.portal.quantity_words import quantity_name
from dashboards.portal.shell import block, section
from dashboards.portal.state import synthetic
from dashboards.portal.tables import Cell, numeric, table
from enpilot.text import DASH, age, change, number, pick, significant

__all__ = ["build"]

_STEPS = {  # what has been done, and what comes next
    "planned": ("已规划", "planned", "接线后在工厂文件中改为 wired", "wire it, then say wired"),
    "wired": (
        "已接线", "wired",
        "逐项核对本页后运行 enpilot edge commission，得到验收记录",
        "compare every line of this page, then run enpilot edge commission for its record",
    ),
    "verified": (
        "已核对", "verified", "由负责人在工厂文件中验收（accepted）",
        "let the person in charge accept it in the plant file",
    ),
    "accepted": ("已验收", "accepted", "", ""),
}  # fmt: skip
_ORDER = ("planned", "wired", "verified", "accepted")


def build(page: MeterPage, visit: Visit) -> None:
    """Add the page being built."""
    block(
        tag("h1", _opening(page, visit), cls="opening"),
        tag("p", _walk(page, visit), cls="subline walk"),
    )
    with ui.element("div").classes("grid"):
        with ui.element("section").classes("span8"):
            block(section(visit.say("寄存器", "Registers"), visit.say("解码后", "decoded")))
            block(_registers(page, visit))
        with ui.element("section").classes("span4"):
            block(section(visit.say("与表计显示核对", "Against the display")))
            block(_compare(page, visit))
            block(section(visit.say("设备", "Device"))).classes("next")
            block(*(_installation(i, page, visit) for i in page.installations))
            block(replacement_form(page, visit))


def _opening(page: MeterPage, visit: Visit) -> Safe:
    name = page.point.name(visit.language)
    newest = [r.at for r in page.registers if r.at is not None]
    word = pick(visit.language, *_STEPS[page.commissioning][:2])
    said = [tag("b", name), visit.say("：", ": "), word]
    if newest:
        old = age(visit.language, (page.site.now - max(newest)).total_seconds())
        said += [visit.say("，最近读数 ", ", last reading "), old]
    else:
        said.append(visit.say("，还没有读数", ", no readings yet"))
    return join(*said, visit.say("。", "."))


def _walk(page: MeterPage, visit: Visit) -> Safe:
    reached = _ORDER.index(page.commissioning)
    steps = [
        tag("span", f"{'●' if i <= reached else '○'} {pick(visit.language, *_STEPS[s][:2])}",
            cls="step done" if i <= reached else "step")
        for i, s in enumerate(_ORDER)
    ]  # fmt: skip
    following = pick(visit.language, *_STEPS[page.commissioning][2:])
    then = tag("span", visit.say("下一步：", "next: "), following) if following else None
    return join(*steps, then, by=" ")


def _registers(page: MeterPage, visit: Visit) -> Safe:
    if not page.registers:
        return tag("p", visit.say("这个计量点没有寄存器。", "This point has no registers."),
                   cls="none")  # fmt: skip
    columns = [
        visit.say("寄存器", "Register"), numeric(visit.say("现值", "Now")),
        numeric(visit.say("表计显示应为", "Display should say")),
        numeric(visit.say("多久前", "Age")), visit.say("状态", "Quality"),
    ]  # fmt: skip
    rows = [_register(r, page, visit) for r in page.registers]
    return table(columns, rows, cls="", key="registers", stacked=True)


def _register(row: Register, page: MeterPage, visit: Visit) -> list[Cell]:
    named = f"{quantity_name(visit.language, row.quantity)} · {row.channel}"
    name = tag("a", named, href=visit.address(f"readings/{row.series_id}"))
    if row.value is None or row.at is None:
        return [name, DASH, DASH, DASH, visit.say("没有读数", "no reading")]
    old_s = (page.site.now - row.at).total_seconds()
    late = row.period_s is not None and old_s > max(120.0, 3 * row.period_s)
    shown = DASH if not row.ratio else f"{significant(row.value / row.ratio)} {_unit(row)}".rstrip()
    good = row.quality is None or row.quality & 0xFF == 0
    state = visit.say("良好", "good") if good else quality_word(visit.language, row.quality or 0)
    return [
        name, f"{significant(row.value)} {_unit(row)}".rstrip(), shown,
        tag("span", age(visit.language, old_s), cls="warn-text" if late else None),
        tag("span", state, cls=None if good else "warn-text"),
    ]  # fmt: skip


def _unit(row: Register) -> str:
    return "" if row.unit in (None, "1") else str(row.unit)


def _compare(page: MeterPage, visit: Visit) -> Safe:
    shown = [
        r for r in page.registers if r.value is not None and (r.counter or r.channel == "total")
    ]
    if not shown:
        return tag("p", visit.say("有了读数才能核对。", "Compare once there are readings."),
                   cls="none")  # fmt: skip
    chosen = page.comparison.series_id if page.comparison else shown[0].series_id
    forms = [_form(r, page, visit, opened=r.series_id == chosen) for r in shown[:6]]
    return join(_result(page, visit), *forms)


def _form(row: Register, page: MeterPage, visit: Visit, *, opened: bool) -> Safe:
    """Return a form that needs no script: the number goes into the address."""
    name = f"{quantity_name(visit.language, row.quantity)} · {row.channel}"
    own = page.comparison.display if page.comparison and opened else None
    return tag(
        "form",
        tag("label", f"{name} ", tag("span", _unit(row), cls="reference-inline")),
        tag("span",
            tag("input", name_="shown", inputmode="decimal", required=True,
                value=None if own is None else significant(own), cls="field",
                aria_label=visit.say("显示值", "shown on the display")),
            tag("button", visit.say("核对", "Compare"), type_="submit", cls="button"), cls="row"),
        tag("input", type_="hidden", name_="series", value=row.series_id),
        method="get", action=visit.path, cls="compare",
    )  # fmt: skip


def _result(page: MeterPage, visit: Visit) -> Safe | None:
    found = page.comparison
    if found is None:
        if page.display_misread is None:
            return None
        return tag("p", visit.say("看不懂这个数。", "That is not a number."), cls="warn-text")
    shown, level = significant(found.display), significant(found.level)
    if found.agrees:
        return tag(
            "p", tag("span", "●", cls="shape good"),
            visit.say(f" 一致：显示 {shown}，寄存器 {level}。",
                      f" Agrees: the display says {shown}, the register {level}."),
            id="comparison",
        )  # fmt: skip
    off = change(found.share, 2)
    why = None
    if found.factor is not None:
        times = significant(found.factor)
        why = tag("p", visit.say(f"相差倍数 {times}：检查倍率、字序、单位或方向。",
                                 f"A factor of {times}: check ratio, word order, unit or sign."),
                  cls="action")  # fmt: skip
    said = visit.say(
        f" 不一致：显示 {shown}，寄存器 {level}（{off}）。",
        f" Differs: the display says {shown}, the register {level} ({off}).",
    )
    return tag("div", tag("p", tag("span", "■", cls="shape bad"), said), why, id="comparison")


def _installation(row: Installation, page: MeterPage, visit: Visit) -> Safe:
    since = row.since.astimezone(page.site.zone).date().isoformat()
    until = "" if row.until is None else row.until.astimezone(page.site.zone).date().isoformat()
    facts = [
        (visit.say("设备", "Device"), row.device),
        (visit.say("型号", "Model"), " ".join(p for p in (row.maker, row.model) if p) or DASH),
        (visit.say("出厂编号", "Serial"), row.serial or DASH),
        (visit.say("准确度等级", "Accuracy class"), row.accuracy_class or DASH),
        (visit.say("倍率 CT × PT", "Ratio CT × PT"), f"{row.ct_ratio:g} × {row.pt_ratio:g}"),
        (visit.say("方向", "Sign"), number(row.sign)),
        (visit.say("安装", "Installed"), f"{since}–{until}"),
        (visit.say("登记", "Registered by"), f"{row.author} · {row.reason}"),
    ]
    body = tag(
        "tbody",
        *(tag("tr", tag("th", a, scope="row"), tag("td", b, cls="num")) for a, b in facts),
    )
    return join(synthetic(visit.language, row.simulated), tag("table", body, cls="facts"))
