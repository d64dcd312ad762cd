"""The meters of a site: which device, how commissioned, when last read."""

from __future__ import annotations

from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.media_words import medium_name
from dashboards.portal.page import Visit
from dashboards.portal.pages.metering.model import Intake, Metered
from dashboards.portal.state import synthetic
from dashboards.portal.tables import Cell, numeric, table
from enpilot.text import DASH, age, number, pick

__all__ = ["COMMISSIONING", "meters_table"]

COMMISSIONING = {
    "planned": ("○", "unknown", "已规划", "planned"),
    "wired": ("◌", "unknown", "已接线", "wired"),
    "verified": ("◌", "data", "已核对", "verified"),
    "accepted": ("●", "good", "已验收", "accepted"),
}


def meters_table(page: Intake, visit: Visit) -> Safe:
    """Return every point with its device; each leads to its registers and its walk."""
    columns = [
        visit.say("计量点", "Point"), visit.say("品种", "Medium"), visit.say("设备", "Device"),
        visit.say("出厂编号", "Serial"), numeric(visit.say("倍率", "Ratio")),
        visit.say("验收", "Commissioning"), numeric(visit.say("寄存器", "Registers")),
        numeric(visit.say("最近读数", "Last reading")),
    ]  # fmt: skip
    return table(columns, [_meter(m, page, visit) for m in page.meters], key="meters",
                 stacked=True)  # fmt: skip


def _meter(row: Metered, page: Intake, visit: Visit) -> list[Cell]:
    language = visit.language
    name = tag("a", pick(language, row.name_zh, row.name_en),
               href=visit.address(f"metering/{row.code}"))  # fmt: skip
    mark, style, zh, en = COMMISSIONING[row.commissioning]
    state = join(tag("span", mark, cls=f"shape {style}"), f" {pick(language, zh, en)}")
    ratio = DASH
    if row.ct_ratio is not None and row.pt_ratio is not None:
        ratio = f"{row.ct_ratio * row.pt_ratio:g}"
    bad = None
    if row.bad:
        bad = tag("span", visit.say(f"{number(row.bad)} 个异常", f"{number(row.bad)} bad"),
                  cls="reference warn-text")  # fmt: skip
    last: Cell = DASH
    if row.at is not None:
        old = age(language, (page.site.now - row.at).total_seconds())
        last = tag("span", old, cls="warn-text" if row.late(page.site.now) else None)
    device = " ".join(p for p in (row.maker, row.model) if p) or row.device or DASH
    return [
        join(name, synthetic(language, row.simulated)), medium_name(language, row.medium), device,
        row.serial or DASH, ratio, state, join(number(row.registers), bad), last,
    ]  # fmt: skip
