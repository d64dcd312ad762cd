"""What codes are called, in Chinese and in English: of findings, and why a figure is withheld."""

from __future__ import annotations

from typing import Final

from enpilot.waste_words import KINDS

__all__ = ["FINDINGS", "FLOW_FINDINGS", "WITHHELD"]

_ACCOUNTING: Final = {
    "rollover": ("计数器翻转", "register rolled over"),
    "replacement": ("换表", "meter replaced"),
    "reset": ("计数器清零", "register reset"),
    "glitch": ("读数突变后恢复", "reading fell and came back"),
    "spike": ("突变读数已剔除", "impossible reading left out"),
    "jump": ("读数跳变，已按估算计入", "jump, booked as an estimate"),
    "tariff_registers_differ": (
        "分时表数之和与总表数不符",
        "tariff registers differ from the total",
    ),
    "output_overlaps": ("产量记录时段重叠", "entries of output overlap"),
    "balance_off": ("分表之和大于总表", "sub-meters count more than their main meter"),
    "totals_differ": (
        "计量、发票与上报数不符",
        "metered, invoiced and declared energy differ",
    ),
    "factor_missing": ("缺少折标系数", "no standard-coal factor holds"),
    "carbon_factor_missing": ("缺少碳排放因子", "no carbon factor holds"),
    "conversion_cycle": ("自产能源互相循环，无法求解", "in-house media only feed each other"),
    "medium_overdrawn": (
        "各区域用量之和大于供给量",
        "areas measured more of a medium than there was",
    ),
    "gap": ("缺数", "gap in the readings"),
}
_COST: Final = {
    "demand_differs": ("需量表与计算不符", "demand register outside of what readings allow"),
    "invoice_differs": ("电费账单与核算不符", "invoice differs from tariff and registers"),
}
FLOW_FINDINGS: Final = {
    "batches_lost": ("批次丢失", "batches lost"),
    "fork": ("网关缓存被还原或复制", "outbox restored or copied"),
    "agent_cloned": ("同一网关两处运行", "gateway runs twice"),
    "database_restored": ("数据库被还原", "database restored"),
    "meaning_disagrees": ("网关声明与登记不符", "birth differs from the record"),
    "anchor_disagrees": ("人工抄表与采集不符", "telemetry differs from a manual reading"),
    "register_below_previous": ("抄表数低于上次", "manual reading below the one before"),
}
FINDINGS: Final = _ACCOUNTING | _COST | FLOW_FINDINGS | KINDS
WITHHELD: Final = {  # zh, en, action zh, action en
    "output_missing": (
        "产量未录入", "output not entered", "补录产量：enpilot import output",
        "enter it: enpilot import output",
    ),
    "energy_missing": (
        "没有能耗数据", "no energy data", "检查电表，或补导入读数：enpilot import readings",
        "check the meter, or import its readings: enpilot import readings",
    ),
    "coverage_low": (
        "能耗覆盖率不足", "energy coverage too low", "补导入缺失读数：enpilot import readings",
        "import the missing readings: enpilot import readings",
    ),
    "output_coverage_low": (
        "产量覆盖率不足", "output coverage too low", "补录缺失产量：enpilot import output",
        "enter the missing output: enpilot import output",
    ),
    "base_missing": (
        "没有同期基数", "no figures for the same months of the base year",
        "导入基期的能耗和产量", "import energy and output of the base year",
    ),
    "base_not_complete": (
        "基期数据不完整", "the base year is not complete",
        "补齐基期的能耗和产量", "complete energy and output of the base year",
    ),
    "factor_missing": (
        "缺少折标系数", "no standard-coal coefficient",
        "录入该品种的系数及其出处", "enter the medium's coefficient with its source",
    ),
    "output_zero": (
        "产量为零，没有单位能耗", "no output, so no energy per unit",
        "能耗计入当月；产量有误时补录：enpilot import output",
        "its energy counts in the month; if output is wrong: enpilot import output",
    ),
    "point_not_accepted": (
        "计量点尚未验收", "a point is not accepted yet", "完成该点的验收",
        "commission the point to acceptance",
    ),
    "product_without_base": (
        "有产品没有基期单耗", "a product has no base intensity",
        "在工厂文件中给出该产品的基期单耗", "give the product its base intensity in the plant file",
    ),
    "value_added_missing": (
        "没有该时段的增加值", "no value added published for this period",
        "录入增加值：enpilot import value-added", "enter it: enpilot import value-added",
    ),
    "value_added_not_positive": (
        "增加值不为正，没有单位能耗", "value added is not positive, so no energy per unit",
        "能耗仍计入合计", "its energy stays in the sums",
    ),
    "ownership_changed": (
        "期内股权有变动", "ownership changed within the period",
        "按变动前后分别查看", "look at the time before and after it",
    ),
    "scheme_differs": (
        "各厂核算口径不同", "the sites count by different schemes",
        "统一各厂的核算口径", "give the sites one accounting scheme",
    ),
    "register_missing": (
        "计费表底数不全", "a billing meter's registers do not bracket the period",
        "补导入读数：enpilot import readings", "import its readings: enpilot import readings",
    ),
    "reactive_missing": (
        "没有无功电量，不能计算力调电费", "no reactive energy, so no power-factor adjustment",
        "接入无功表，或从账户中去掉功率因数标准",
        "read the reactive register, or leave the account's power-factor standard out",
    ),
    "demand_missing": (
        "没有最大需量", "no maximum demand",
        "接入需量表，或补导入读数", "read the demand register, or import the missing readings",
    ),
    "tariff_missing": (
        "当日没有电价", "no tariff holds on some day",
        "在配置文件中补上电价及其日期：[[tariff]]",
        "give the plant file's [[tariff]] a span that has this day",
    ),
    "conversion_cycle": (
        "自产能源互相循环，无法求解", "in-house media only feed each other",
        "给其中一个转换区域加上外部输入的计量点",
        "give one of the conversions a point of what it takes from outside",
    ),
    "not_positive": (
        "数值不为正，不能计算比值", "not positive, so no ratio can be formed",
        "核对台账和产量", "check the ledger and the output",
    ),
}  # fmt: skip
