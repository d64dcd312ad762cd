"""What is signed, as tables: EnPIs, the ledger, bills beside invoices, totals side by side."""

from __future__ import annotations

from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.media_words import medium_name
from dashboards.portal.page import Visit
from dashboards.portal.pages.closing.ledger import KINDS, LedgerRow
from dashboards.portal.pages.closing.model import ClosingPage, PaidPeriod, SignedFigure, Totals
from dashboards.portal.state import judgement, reason, synthetic
from dashboards.portal.tables import Cell, numeric, table
from enpilot.text import (
    DASH,
    change,
    day_short,
    energy,
    energy_scale,
    intensity,
    number,
    pick,
    share,
    significant,
)

__all__ = ["figures", "ledger", "paid", "totals"]

_LEDGER = {
    "opening": ("期初库存", "Opening stock"),
    "purchase": ("购进", "Purchased"),
    "own_production": ("自产", "Own production"),
    "transfer_in": ("调入", "Transferred in"),
    "transfer_out": ("调出", "Transferred out"),
    "sale": ("销售", "Sold"),
    "feedstock": ("用于原料", "Feedstock"),
    "non_industrial": ("非工业", "Non-industrial"),
    "loss": ("损失", "Losses"),
    "closing": ("期末库存", "Closing stock"),
}
_LARGE = 0.05  # metered, invoiced and declared may differ by so much (F27)


def figures(page: ClosingPage, visit: Visit) -> Safe:
    """Return the EnPIs of the month, as they would be signed."""
    columns = [
        visit.say("绩效参数", "EnPI"), numeric(visit.say("能耗", "Energy")),
        numeric(visit.say("产量", "Output")), numeric(visit.say("单耗", "Intensity")),
        numeric(visit.say("目标", "Target")), visit.say("判断", "Judgement"),
        numeric(visit.say("覆盖率", "Coverage")),
    ]  # fmt: skip
    if not page.figures:
        return tag("p", visit.say("本月还没有指标。", "No figures of this month yet."), cls="none")
    return table(columns, [_figure(f, page, visit) for f in page.figures], key="figures")


def _figure(row: SignedFigure, page: ClosingPage, visit: Visit) -> list[Cell]:
    language = visit.language
    marks = join(
        tag("span", visit.say("未核", "unverified"), cls="mark")
        if not row.factor_verified
        else None,
        synthetic(language, row.synthetic),
    )
    name = tag("a", pick(language, row.name_zh, row.name_en),
               href=visit.address(f"enpi/{row.code}", t=f"{page.month.first:%Y}",
                                  month=page.month.text()))  # fmt: skip

    def per(value: float | None) -> str:
        if value is None:
            return DASH
        return str(intensity(language, value, row.energy_unit, row.output_unit))

    stated: str | Safe = per(row.intensity)
    if row.withheld_code is not None and row.intensity is None:
        stated = tag("span", visit.say("暂缓", "withheld"), cls="mark",
                     title=reason(language, row.withheld_code))  # fmt: skip
    made = DASH if row.output is None else f"{significant(row.output)} {row.output_unit}"
    used = DASH if row.energy is None else str(energy(language, row.energy, row.energy_unit))
    judged = judgement(language, row.status, provisional=False, running=not page.over)
    covered = DASH if row.coverage is None else share(row.coverage)
    return [join(name, marks), used, made, stated, per(row.target_intensity), judged, covered]


def ledger(page: ClosingPage, visit: Visit) -> Safe:
    """Return the energy ledger in the layout of the statistical form."""
    if not page.ledger:
        return tag(
            "p", visit.say("本月没有台账。", "Nothing in the ledger this month."), cls="none"
        )
    used = [k for k in KINDS if k == "purchase" or any(k in row.entered for row in page.ledger)]
    unit, _ = energy_scale(page.ledger_unit)
    columns = [
        visit.say("能源名称", "Medium"), visit.say("单位", "Unit"),
        *(numeric(pick(visit.language, *_LEDGER[k])) for k in used),
        numeric(visit.say("消费量", "Consumed")), numeric(visit.say("折标系数", "Coefficient")),
        numeric(visit.say(f"折标准煤 {unit}", unit) if unit == "tce" else unit),
        visit.say("依据", "From"),
    ]  # fmt: skip
    total = sum(row.energy or 0.0 for row in page.ledger)
    whole = all(row.withheld_code is None for row in page.ledger)
    foot: list[Cell] = [visit.say("合计", "Total"), "", *("" for _ in used), "", "",
            _energy(total, page) if whole else DASH, ""]  # fmt: skip
    rows = [_ledger_row(row, used, page, visit) for row in page.ledger]
    return table(columns, rows, foot=foot, key="ledger")


def _ledger_row(row: LedgerRow, used: list[str], page: ClosingPage, visit: Visit) -> list[Cell]:
    cells: list[Cell] = []
    for kind in used:
        value = row.entered.get(kind)
        if kind == "purchase" and value is None:
            value = row.bought
        cells.append("" if value is None else significant(value))
    factor: str | Safe = DASH
    if row.factor is not None:
        factor = f"{row.factor:g}"
        if not row.factor_verified:
            factor = join(factor, tag("span", visit.say("未核", "unverified"), cls="mark"))
    source = {
        "metered": visit.say("计量", "meters"), "ledger": visit.say("台账", "ledger"),
        "none": visit.say("不在口径内", "not counted"),
    }[row.source]  # fmt: skip
    counted: str | Safe = DASH if row.energy is None else _energy(row.energy, page)
    if row.withheld_code is not None:
        counted = tag("span", visit.say("暂缓", "withheld"), cls="mark",
                      title=reason(visit.language, row.withheld_code))  # fmt: skip
    name = join(medium_name(visit.language, row.medium), synthetic(visit.language, row.synthetic))
    consumed = DASH if row.consumed is None else significant(row.consumed)
    return [name, row.unit, *cells, consumed, factor, counted, source]


def _energy(value: float, page: ClosingPage) -> str:
    return significant(value * energy_scale(page.ledger_unit)[1])


def paid(page: ClosingPage, visit: Visit) -> Safe:
    """Return each bill beside its invoice, in yuan."""
    if not page.paid:
        said = visit.say("本月没有账期结束。", "No account's billing period ends this month.")
        return tag("p", said, cls="none")
    columns = [
        visit.say("供电户", "Account"), visit.say("账期", "Billing period"),
        numeric(visit.say("核算", "Computed")), numeric(visit.say("发票", "Invoiced")),
        numeric(visit.say("差", "Difference")), visit.say("发票号", "Invoice"),
    ]  # fmt: skip
    return table(columns, [_paid_row(p, visit) for p in page.paid], key="paid")


def _paid_row(row: PaidPeriod, visit: Visit) -> list[Cell]:
    bill = visit.address("cost", t=f"{row.period_from:%Y-%m}", account=row.account)
    name = tag("a", pick(visit.language, row.account_zh, row.account_en), href=bill)
    computed: str | Safe = DASH if row.computed_yuan is None else number(row.computed_yuan, 2)
    if row.withheld_code is not None:
        computed = tag("span", visit.say("暂缓", "withheld"), cls="mark",
                       title=reason(visit.language, row.withheld_code))  # fmt: skip
    differs: str | Safe = DASH
    if row.invoiced_yuan is not None and row.computed_yuan:
        ratio = row.invoiced_yuan / row.computed_yuan - 1.0
        yuan = row.invoiced_yuan - row.computed_yuan
        text = f"{'+' if yuan > 0 else ''}{number(yuan, 2)} ({change(ratio, 2)})"
        differs = tag("span", text, cls="bad-text") if abs(ratio) > _LARGE else text
    last = row.period_to.fromordinal(row.period_to.toordinal() - 1)
    span = f"{day_short(visit.language, row.period_from)}–{day_short(visit.language, last)}"
    invoiced = DASH if row.invoiced_yuan is None else number(row.invoiced_yuan, 2)
    missing = tag("span", visit.say("未录", "missing"), cls="missing")
    number_: str | Safe = missing if row.invoice is None else row.invoice
    return [name, span, computed, join(invoiced, synthetic(visit.language, bool(row.synthetic))),
            differs, number_]  # fmt: skip


def totals(page: ClosingPage, visit: Visit) -> Safe:
    """Return metered, invoiced and declared totals side by side."""
    columns = [
        visit.say("品种", "Medium"), numeric(visit.say("计量", "Metered")),
        numeric(visit.say("发票", "Invoiced")), numeric(visit.say("对计量", "Off metered")),
        numeric(visit.say("上报", "Declared")), numeric(visit.say("对计量", "Off metered")),
    ]  # fmt: skip
    return table(columns, [_total_row(t, visit) for t in page.totals], key="totals")


def _total_row(row: Totals, visit: Visit) -> list[Cell]:
    def amount(value: float | None) -> str:
        return DASH if value is None else f"{significant(value)} {row.unit}"

    def off(value: float | None) -> str | Safe:
        if value is None:
            return DASH
        return tag("span", change(value), cls="bad-text") if abs(value) > _LARGE else change(value)

    invoiced: str | Safe = amount(row.invoiced)
    if row.invoiced is None and row.invoices_missing:
        names = "、".join(row.invoices_missing)
        invoiced = tag("span", visit.say("缺", "missing"), cls="missing", title=names)
    return [medium_name(visit.language, row.medium), amount(row.metered), invoiced,
            off(row.invoiced_share), amount(row.declared), off(row.declared_share)]  # fmt: skip
