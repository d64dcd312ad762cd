"""The elements of the flow page; knows the model, not the database."""

from __future__ import annotations

from nicegui import ui

from dashboards.portal import charts
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.media_words import medium_name
from dashboards.portal.page import Visit
from dashboards.portal.pages.explore.filters import MOST_SERIES
from dashboards.portal.pages.flow.model import Balance, FlowPage, ProductPart
from dashboards.portal.period import period_name
from dashboards.portal.shell import block, section, table_view
from dashboards.portal.state import empty, misread, reason, synthetic
from dashboards.portal.tables import numeric, table
from enpilot.text import (
    DASH,
    coal,
    energy,
    intensity,
    number,
    pick,
    share,
    significant,
)

__all__ = ["build", "flow_option"]

_ROW_PX, _LEAST_PX = 34, 200
_STATUS = {
    "closed": ("●", "good", "平衡", "agree"),
    "remainder": ("–", "plain", "有未分表用量", "a part is not sub-metered"),
    "off": ("■", "bad", "分表之和大于总表", "sub-meters count more"),
    "incomplete": ("◌", "unknown", "读数不全", "readings are missing"),
}
_PARTS = {
    "product": ("产品", "product"),
    "ancillary": ("辅助与附属", "ancillary"),
    "loss": ("损耗", "losses"),
    "unallocated": ("未分摊", "unallocated"),
    "unmetered": ("未计量到区域", "not metered by area"),
}


def build(page: FlowPage, visit: Visit) -> None:
    """Add the page being built."""
    block(
        tag("h1", _opening(page, visit), cls="opening"),
        tag("p", join(misread(visit.language, page.misread), _subline(page, visit), by=" · "),
            cls="subline"),
    )  # fmt: skip
    with ui.element("div").classes("grid"):
        with ui.element("section").classes("span12"):
            _flow(page, visit)
        with ui.element("section").classes("span12"):
            block(section(visit.say("表计平衡", "Meter balance"),
                          visit.say("总表对分表", "main against sub-meters")))  # fmt: skip
            block(_balances(page, visit))
        if page.products:
            with ui.element("section").classes("span12"):
                block(section(visit.say("用到哪里", "What it was used for"), "tce"))
                block(_products(page, visit))


def _opening(page: FlowPage, visit: Visit) -> Safe:
    when = period_name(visit.language, page.month)
    entered = sum(b.tce for b in page.bands if b.target.startswith("p:") and b.source[0] == "m")
    if not entered:
        return join(visit.say(f"{when}没有可画出的能流。", f"{when}: no energy flow to draw."))
    said = [
        visit.say(f"{when}进厂 ", f"{when}: "),
        tag("b", str(coal(visit.language, entered))),
        visit.say("", " came in"),
    ]
    left = sum(b.tce for b in page.bands if b.target[0] == "r")
    if left:
        part = share(left / entered, 0)
        said.append(
            visit.say(f"，其中 {part} 未到任何分表", f", {part} of it reaches no sub-meter")
        )
    off = sum(b.status == "off" for b in page.balances)
    if off:
        said.append(
            tag("b", visit.say(f"；{number(off)} 处分表大于总表",
                               f"; sub-meters count more in {number(off)} places"), cls="bad-text")
        )  # fmt: skip
    return join(*said, visit.say("。", "."))


def _subline(page: FlowPage, visit: Visit) -> Safe:
    said = [
        f"{medium_name(visit.language, m.medium)} {m.kgce_per_unit:g} kgce/{m.unit}"
        for m in page.media
    ]
    if page.left_out:
        names = "、".join(medium_name(visit.language, m) for m in page.left_out)
        said.append(visit.say(f"未计入口径：{names}", f"not in the scheme: {names}"))
    unverified = None
    if any(not m.verified for m in page.media):
        unverified = tag("span", visit.say("未核", "unverified"), cls="mark")
    return join(" · ".join(said), unverified, synthetic(visit.language, page.simulated))


def _flow(page: FlowPage, visit: Visit) -> None:
    block(
        section(
            visit.say("能流", "Energy flow"),
            visit.say("宽度为标准煤 tce，虚框为未分表", "width is tce; hollow: not sub-metered"),
        )
    )
    if not page.bands:
        block(
            empty(
                visit.language,
                ("这里从进线到最末一级表计画出能流。",
                 "在工厂文件中用 parent 说明分表属于哪块总表，并给出核算口径。"),
                ("The flow stands here from the boundary down to the last meter.",
                 "Say in the plant file which main meter each sub-meter belongs to (parent)."),
            )
        )  # fmt: skip
        return
    ends = {b.target for b in page.bands} - {b.source for b in page.bands}
    height = max(_LEAST_PX, _ROW_PX * len(ends) + 24)
    with ui.element("div").classes("scroll"):
        chart = ui.echart(flow_option(page, visit), renderer="svg").classes("chart flow-chart")
    chart.style(f"height: {height}px")
    chart.props.update(
        {
            "role": "img",
            "aria-label": visit.say("从进线到分表的能流", "energy flow down the meters"),
        }
    )
    columns = [visit.say("从", "From"), visit.say("到", "To"), numeric("tce"),
               numeric(visit.say("用量", "Amount"))]  # fmt: skip
    rows: list[list[str | Safe | None]] = [
        [_place(b.source, page, visit), _place(b.target, page, visit), significant(b.tce),
         f"{significant(b.amount)} {b.unit}"]
        for b in page.bands
    ]  # fmt: skip
    block(table_view(visit.language, table(columns, rows, cls="", key="flow")))


def flow_option(page: FlowPage, visit: Visit) -> charts.Option:
    """Return the Sankey diagram: grey, width in standard coal, what is left hollow and dashed."""
    names = dict.fromkeys(p for b in page.bands for p in (b.source, b.target))
    through: dict[str, float] = {}
    for place in names:
        entered = sum(b.tce for b in page.bands if b.target == place)
        left = sum(b.tce for b in page.bands if b.source == place)
        through[place] = max(entered, left)
    nodes = []
    for place in names:
        label = f"{_place(place, page, visit)}  {significant(through[place])}"
        style = {"color": "var(--act)", "borderColor": "var(--act)"}
        if place[0] == "r":
            style = {"color": "transparent", "borderColor": "var(--unknown)",
                     "borderType": "dashed"}  # fmt: skip
        nodes.append({"name": place, "value": through[place], "itemStyle": style,
                      "label": {"formatter": label}})  # fmt: skip
    links = [
        {"source": b.source, "target": b.target, "value": round(b.tce, 6),
         "lineStyle": {"color": "var(--prev)" if b.target[0] != "r" else "var(--band)",
                       "opacity": 0.55}}
        for b in page.bands
    ]  # fmt: skip
    return charts.base_option(
        tooltip={"show": False},
        series=[
            {
                "type": "sankey", "left": 4, "right": 230, "top": 8, "bottom": 8, "nodeWidth": 8,
                "nodeGap": 14, "draggable": False, "silent": True, "data": nodes, "links": links,
                "layoutIterations": 0, "emphasis": {"disabled": True},
                "label": charts.label("right", fontSize=12),
            }
        ],
    )  # fmt: skip


def _place(place: str, page: FlowPage, visit: Visit) -> str:
    kind, _, key = place.partition(":")
    if kind == "m":
        return medium_name(visit.language, key)
    point = next((p for p in page.points if p.point_id == int(key)), None)
    name = key if point is None else point.name(visit.language)
    if kind == "r":
        return visit.say("未分表", "Not sub-metered")
    if kind == "x":
        return visit.say(f"外供 · {name}", f"Exported · {name}")
    return name


def _balances(page: FlowPage, visit: Visit) -> Safe:
    if not page.balances:
        return empty(
            visit.language,
            ("没有可核对的总表与分表。", "在工厂文件中用 parent 登记分表。"),
            ("No main meter with sub-meters to compare.", "Register sub-meters with parent."),
        )
    columns = [
        visit.say("总表", "Main meter"), numeric(visit.say("总表用量", "Main")),
        numeric(visit.say("分表之和", "Sub-meters")), numeric(visit.say("差额", "Remainder")),
        numeric(visit.say("占总表", "Of main")), numeric(visit.say("允差", "Tolerance")),
        visit.say("判断", "Judgement"),
    ]  # fmt: skip
    return table(columns, [_balance(b, page, visit) for b in page.balances], key="balance")


def _balance(row: Balance, page: FlowPage, visit: Visit) -> list[str | Safe | None]:
    point = next((p for p in page.points if p.point_id == row.parent_point_id), None)
    name = visit.say("厂区边界", "Site boundary") if point is None else point.name(visit.language)
    mark, style, zh, en = _STATUS[row.status]
    judged = join(tag("span", mark, cls=f"shape {style}"), " ", pick(visit.language, zh, en))
    if row.incomplete:
        judged = join(judged, tag("span", "、".join(row.incomplete), cls="reference"))
    of_main = DASH
    if row.remainder is not None and row.main:
        of_main = share(row.remainder / row.main)
    named: str | Safe = f"{name} · {medium_name(visit.language, row.medium)}"
    if point is not None and "see_trade_secrets" in visit.permissions:
        below = [p.code for p in page.points if p.parent_point_id == point.point_id]
        codes = ",".join([point.code, *below][:MOST_SERIES])
        named = tag("a", named, href=visit.address("explore", series=codes, t=page.month.text()))

    def amount(value: float | None) -> str:
        return DASH if value is None else f"{significant(value)} {row.unit}"

    return [named, amount(row.main), amount(row.children), amount(row.remainder), of_main,
            f"±{amount(row.tolerance)}" if row.tolerance is not None else DASH, judged]  # fmt: skip


def _products(page: FlowPage, visit: Visit) -> Safe:
    columns = [
        visit.say("用途", "Use"), numeric(visit.say("直接", "Direct")),
        numeric(visit.say("自产能源", "In-house media")), numeric(visit.say("分摊", "Allocated")),
        numeric(visit.say("合计", "Total")), numeric(visit.say("产量", "Output")),
        numeric(visit.say("单耗", "Per unit")),
    ]  # fmt: skip
    rows = [_product(p, visit) for p in page.products]
    return table(columns, rows, key="products")


def _product(row: ProductPart, visit: Visit) -> list[str | Safe | None]:
    language = visit.language
    kind = pick(language, *_PARTS[row.part])
    plain = medium_name(language, row.code)
    name = pick(language, row.name_zh or plain, row.name_en or plain)
    named = name if row.part == "product" else (f"{kind} · {name}" if name else kind)

    def amount(value: float | None) -> str:
        return DASH if value is None else str(energy(language, value, row.energy_unit))

    total: str | Safe = amount(row.energy)
    if row.withheld_code is not None:
        total = tag("span", visit.say("暂缓", "withheld"), cls="mark",
                    title=reason(language, row.withheld_code))  # fmt: skip
    made, per = DASH, DASH
    if row.output is not None and row.output_unit is not None:
        made = f"{significant(row.output)} {row.output_unit}"
        if row.output > 0 and row.energy is not None:
            per = str(intensity(language, row.energy / row.output, row.energy_unit,
                                row.output_unit))  # fmt: skip
    return [named, amount(row.direct), amount(row.media), amount(row.allocated), total, made, per]
