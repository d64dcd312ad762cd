"""The elements of the cost page; knows the model, not the database."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from nicegui import ui

from dashboards.portal.bars import lane
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.media_words import medium_name
from dashboards.portal.page import Visit
from dashboards.portal.pages.cost.model import Bill, BillLine, CostPage, MonthCost
from dashboards.portal.pages.cost.words import BANDS, difference_name, line_name
from dashboards.portal.shell import block, section
from dashboards.portal.state import empty, misread, reason, synthetic
from dashboards.portal.tables import numeric, table
from enpilot.text import (
    DASH,
    change,
    day_short,
    electricity,
    money,
    month,
    number,
    pick,
    power,
    progress,
    share,
    significant,
    unit_price,
)

__all__ = ["build"]

_INVOICE_LIMIT = 0.02  # from here on a difference is no rounding


def build(page: CostPage, visit: Visit) -> None:
    """Add the page being built."""
    block(
        tag("h1", _opening(page, visit), cls="opening"),
        tag("p", join(misread(visit.language, page.misread), _subline(page, visit), by=" · "),
            cls="subline"),
    )  # fmt: skip
    bill = page.bill
    with ui.element("div").classes("grid"):
        if bill is None:
            with ui.element("section").classes("span12"):
                block(_nothing(visit))
            return
        with ui.element("section").classes("span8"):
            block(section(visit.say("电费明细", "The bill, line by line"), _span(bill, visit)))
            block(_bill(bill, visit))
        with ui.element("section").classes("span4"):
            block(section(visit.say("分时", "By time of use"), visit.say("元", "CNY")))
            block(_bands(page, bill, visit))
            block(_facts(page, bill, visit))
            if page.invoice is not None:
                block(section(visit.say("与发票核对", "Against the invoice"),
                              page.invoice.number)).classes("next")  # fmt: skip
                block(_invoice(page, bill, visit))
        with ui.element("section").classes("span12"):
            block(section(visit.say("各期电费", "Period by period")))
            block(_months(page, visit))
        if page.others:
            with ui.element("section").classes("span12"):
                block(section(visit.say("其他能源品种", "Other media"),
                              month(visit.language, bill.period_from)))  # fmt: skip
                block(_others(page, visit))


def _nothing(visit: Visit) -> Safe:
    return empty(
        visit.language,
        ("这里按供电户核算电费：分时、需量、力调和附加，逐行与发票核对。",
         "在工厂文件中登记 [[tariff]] 与 [[account]]。"),
        ("Here stands the bill of each utility account, line by line and beside the invoice.",
         "Register [[tariff]] and [[account]] in the plant file."),
    )  # fmt: skip


def _span(bill: Bill, visit: Visit) -> str:
    last = bill.period_to - dt.timedelta(days=1)
    return f"{day_short(visit.language, bill.period_from)}–{day_short(visit.language, last)}"


def _opening(page: CostPage, visit: Visit) -> Safe:
    bill = page.bill
    if bill is None:
        return join(visit.say("还没有电费。", "No bill yet."))
    when = month(visit.language, bill.period_from)
    if bill.cost_yuan is None:
        why = "" if bill.withheld_code is None else reason(visit.language, bill.withheld_code)
        return join(
            visit.say(f"{when}电费", f"{when}: the bill is "),
            tag("b", visit.say("暂缓", "withheld"), cls="unknown-text"),
            f"：{why}。" if visit.language == "zh" else f": {why}.",
        )
    so_far = visit.say("到目前为止", " so far") if bill.provisional else ""
    said = [
        visit.say(f"{when}{so_far}电费 ", f"{when}{so_far}: "),
        tag("b", money(visit.language, bill.cost_yuan)),
    ]
    if bill.kwh:
        mean = unit_price(visit.language, bill.cost_yuan / bill.kwh, "kWh")
        said.append(visit.say(f"，平均 {mean}", f", {mean} on average"))
    dear = [b for b in page.bands if b.band in ("sharp", "peak") and b.yuan]
    energy = sum(b.yuan or 0.0 for b in page.bands)
    if dear and energy:
        part = share(sum(b.yuan or 0.0 for b in dear) / energy, 0)
        said.append(visit.say(f"；尖峰占电度电费 {part}", f"; {part} of the energy at peak prices"))
    return join(*said, visit.say("。", "."))


def _subline(page: CostPage, visit: Visit) -> Safe:
    bill = page.bill
    if bill is None:
        return join("")
    name = pick(visit.language, page.tariff_zh or "", page.tariff_en or "")
    said = [name] if name else []
    if bill.estimated_share and bill.estimated_share >= 0.05:
        said.append(visit.say(f"估算占比 {share(bill.estimated_share)}",
                              f"estimated {share(bill.estimated_share)}"))  # fmt: skip
    unverified = None
    if not bill.tariff_verified:
        unverified = tag("span", visit.say("电价未核", "tariff unverified"), cls="mark",
                         title=page.source)  # fmt: skip
    return join(" · ".join(said), unverified, synthetic(visit.language, bill.simulated))


def _bill(bill: Bill, visit: Visit) -> Safe:
    columns = [
        visit.say("项目", "Line"), numeric(visit.say("数量", "Quantity")),
        numeric(visit.say("单价", "Price")), numeric(visit.say("金额（元）", "Amount [CNY]")),
    ]  # fmt: skip
    foot = [
        visit.say("合计", "Total"), _quantity(bill.kwh), "",
        DASH if bill.cost_yuan is None else number(bill.cost_yuan, 2),
    ]  # fmt: skip
    rows = [_line(line, visit) for line in bill.lines]
    return table(columns, rows, foot=foot, cls="", key="bill")


def _quantity(kwh: float | None) -> str:
    return DASH if kwh is None else f"{number(kwh, 1)} kWh"


def _line(line: BillLine, visit: Visit) -> list[str | Safe | None]:
    price = Decimal(line.price_yuan)
    if line.kind == "power_factor":
        priced = f"{number(float(price) * 100, 2)}%"
    else:
        priced = number(float(price), 2 if line.kind == "basic" else 4)
    amount: str | Safe = DASH
    if line.amount_yuan is not None:
        amount = number(float(line.amount_yuan), 2)
    elif line.withheld is not None:
        amount = tag("span", visit.say("暂缓", "withheld"), cls="mark",
                     title=reason(visit.language, line.withheld))  # fmt: skip
    unit = visit.say("元", "CNY") if line.unit == "yuan" else line.unit
    quantity = DASH
    if line.quantity is not None:
        quantity = f"{number(float(Decimal(line.quantity)), 1)} {unit}"
    name = join(line_name(visit.language, line), _note(line, visit))
    return [name, quantity, priced, amount]


def _note(line: BillLine, visit: Visit) -> Safe | None:
    said = []
    if "demand computed from readings" in line.note:
        said.append(visit.say("需量由读数计算", "demand computed from readings"))
    if "discount" in line.note:
        said.append(visit.say("达到每千伏安用电量，打折", "enough kWh for each kVA: discounted"))
    return tag("span", " · ".join(said), cls="reference") if said else None


def _bands(page: CostPage, bill: Bill, visit: Visit) -> Safe:
    top = max((b.yuan or 0.0 for b in page.bands), default=0.0) or 1.0
    rows: list[list[str | Safe | None]] = []
    for band in page.bands:
        part = DASH
        if band.kwh is not None and bill.kwh:
            part = share(band.kwh / bill.kwh, 0)
        rows.append(
            [
                pick(visit.language, *BANDS.get(band.band, (band.band, band.band))).capitalize(),
                lane(0.0, (band.yuan or 0.0) / top),
                "" if band.yuan is None else number(band.yuan),
                part,
            ]
        )
    columns = [visit.say("时段", "Band"), "", numeric(visit.say("金额", "Amount")),
               numeric(visit.say("占电量", "Of kWh"))]  # fmt: skip
    return table(columns, rows, cls="split", key="bands")


def _facts(page: CostPage, bill: Bill, visit: Visit) -> Safe:
    rows = []

    def fact(name: str, value: str) -> None:
        rows.append(tag("tr", tag("th", name, scope="row"), tag("td", value, cls="num")))

    if bill.demand_kw is not None:
        fact(visit.say("最大需量", "Peak demand"), str(power(bill.demand_kw)))
    if bill.power_factor is not None:
        standard = page.power_factor_standard
        of = (
            "" if standard is None else visit.say(f"（标准 {standard}）", f" (standard {standard})")
        )
        fact(visit.say("功率因数", "Power factor"), f"{progress(bill.power_factor)}{of}")
    if bill.basic_yuan is not None and bill.cost_yuan:
        fact(visit.say("基本电费占比", "Basic charge"),
             f"{share(bill.basic_yuan / bill.cost_yuan)}")  # fmt: skip
    if not rows:
        return join("")
    return tag("table", tag("tbody", *rows), cls="facts next")


def _invoice(page: CostPage, bill: Bill, visit: Visit) -> Safe:
    invoice = page.invoice
    assert invoice is not None  # asked only where there is one
    language = visit.language
    said = tag("p", visit.say("发票 ", "Invoiced "), tag("b", money(language, invoice.total_yuan)),
               synthetic(language, invoice.synthetic))  # fmt: skip
    if bill.cost_yuan:
        ratio = invoice.total_yuan / bill.cost_yuan - 1.0
        tone = "bad-text" if abs(ratio) >= _INVOICE_LIMIT else None
        said = join(said, tag("p", tag("span", change(ratio, 2), cls=tone),
                              visit.say(" 对比核算", " against what we compute"),
                              cls="reference"))  # fmt: skip
    if not invoice.differences:
        return join(said, tag("p", visit.say("逐行一致。", "Every line agrees."), cls="reference"))
    columns = [visit.say("行", "Line"), numeric(visit.say("发票", "Invoiced")),
               numeric(visit.say("核算", "Computed"))]  # fmt: skip
    rows = [
        [
            join(
                difference_name(language, d.kind, d.code),
                tag(
                    "span",
                    f" {visit.say('元', 'CNY') if d.unit == 'yuan' else d.unit}",
                    cls="reference-inline",
                ),
            ),
            _figure(d.invoiced),
            _figure(d.computed),
        ]
        for d in invoice.differences
    ]
    return join(said, table(columns, rows, cls="", key="invoice"))


def _figure(text: str | None) -> str:
    if text is None:
        return DASH
    top, _, below = text.partition("/")
    return number(float(Decimal(top)) / float(Decimal(below or "1")), 2)


def _months(page: CostPage, visit: Visit) -> Safe:
    top = max((m.cost_yuan or 0.0 for m in page.months), default=0.0) or 1.0
    columns = [
        visit.say("账期", "Period"), numeric(visit.say("用电量", "Electricity")),
        numeric(visit.say("电费（元）", "Cost [CNY]")), "",
        numeric(visit.say("其中基本", "Basic")), numeric(visit.say("力调", "Power factor")),
        numeric(visit.say("平均（元/kWh）", "CNY/kWh")), numeric(visit.say("发票", "Invoiced")),
        numeric(visit.say("差", "Difference")),
    ]  # fmt: skip
    chosen = next((i for i, m in enumerate(page.months)
                   if page.bill and m.period_from == page.bill.period_from), None)  # fmt: skip
    return table(columns, [_month_row(m, visit, top) for m in page.months], chosen=chosen,
                 key="months")  # fmt: skip


def _month_row(row: MonthCost, visit: Visit, top: float) -> list[str | Safe | None]:
    mark = tag("span", visit.say("进行中", "running"), cls="mark") if row.provisional else None
    address = visit.here(t=f"{row.period_from:%Y-%m}")
    name = join(tag("a", month(visit.language, row.period_from), href=address), mark)
    kwh = DASH if row.kwh is None else str(electricity(visit.language, row.kwh))
    if row.cost_yuan is None:
        why = "" if row.withheld_code is None else reason(visit.language, row.withheld_code)
        withheld = tag("span", visit.say("暂缓", "withheld"), cls="mark", title=why)
        return [name, kwh, withheld, None, None, None, None, None, None]
    mean = DASH if not row.kwh else number(row.cost_yuan / row.kwh, 4)
    invoiced, difference = DASH, DASH
    if row.invoiced_yuan is not None:
        invoiced = number(row.invoiced_yuan, 2)
        difference = change(row.invoiced_yuan / row.cost_yuan - 1.0, 2)
    return [
        name, kwh, number(row.cost_yuan, 2), lane(0.0, row.cost_yuan / top),
        _yuan(row.basic_yuan), _yuan(row.power_factor_yuan), mean,
        join(invoiced, synthetic(visit.language, bool(row.synthetic))), difference,
    ]  # fmt: skip


def _yuan(value: float | None) -> str:
    return DASH if value is None else number(value, 2)


def _others(page: CostPage, visit: Visit) -> Safe:
    columns = [visit.say("品种", "Medium"), numeric(visit.say("用量", "Amount")),
               numeric(visit.say("金额（元）", "Cost [CNY]"))]  # fmt: skip
    rows: list[list[str | Safe | None]] = []
    for other in page.others:
        amount = DASH if other.amount is None else f"{significant(other.amount)} {other.unit}"
        cost: str | Safe = _yuan(other.cost_yuan)
        if other.withheld_code is not None:
            cost = tag("span", visit.say("暂缓", "withheld"), cls="mark",
                       title=reason(visit.language, other.withheld_code))  # fmt: skip
        mark = None if other.tariff_verified else tag(
            "span", visit.say("未核", "unverified"), cls="mark")  # fmt: skip
        rows.append([join(medium_name(visit.language, other.medium), mark), amount, cost])
    return table(columns, rows, key="other-media")
