"""What is said of waste and of data quality, for each code in both languages."""

from __future__ import annotations

from typing import Final

__all__ = ["CRITERIA", "DECISIONS", "HOURS", "KINDS", "OUTCOMES", "REMEDIES"]

KINDS: Final = {
    "base_load_risen": ("基础负荷高于去年同期", "base load above last year's season"),
    "closed_hours_load": ("停工时段用能偏高", "energy used in closed hours"),
    "machine_idle": ("设备空转", "machine idles"),
    "profile_exceeded": ("用能高于同类日水平", "more than on comparable days"),
    "ratio_out_of_range": ("单耗超出范围", "ratio out of its range"),
    "meter_stuck": ("表计停走", "register stands still"),
    "meter_silent": ("表计无数据", "meter is silent"),
    "meter_drifting": ("总分表差额持续变化", "main and sub-meters drift apart"),
    "energy_and_power_differ": ("电量与功率不符", "energy differs from its own power"),
}
REMEDIES: Final = {
    "base_load_risen": (
        "夜间巡视，找出去年没有而今年一直在运行的设备",
        "walk through at night: what runs now that did not a year ago?",
    ),
    "closed_hours_load": (
        "核对停工后仍在运行的设备；确需运行的，在 [[opening_hours]] 中写明",
        "switch off what is not needed then, or declare it in [[opening_hours]]",
    ),
    "machine_idle": (
        "设定空转自动停机，或调整排产",
        "stop it after a while without work, or plan its work together",
    ),
    "profile_exceeded": (
        "查当时的生产与操作记录",
        "look up what was made and done at that time",
    ),
    "ratio_out_of_range": (
        "高于范围：检查泄漏、过滤器、冷却、压力设定或燃烧；低于范围：检查两块表，或改范围",
        "above: check leaks, filters, cooling, pressure, combustion; below: both meters, the range",
    ),
    "meter_stuck": (
        "到现场比对表计显示与读数，三个工作日内修复，并更正这段用能",
        "compare display and readings on site, repair within three working days, correct the span",
    ),
    "meter_silent": (
        "检查供电、通信线和地址",
        "check supply, line and address",
    ),
    "meter_drifting": (
        "检查互感器与接线，送检总表和分表",
        "check transformers and wiring, have main and sub-meters calibrated",
    ),
    "energy_and_power_differ": (
        "核对变比、单位和相序",
        "check ratio, unit and phases",
    ),
}
DECISIONS: Final = {
    "open": ("待处理", "open"),
    "planned": ("已计划", "planned"),
    "done": ("已完成", "done"),
    "not_waste": ("不是浪费", "not waste"),
}
HOURS: Final = {
    "all": ("全部时段", "all hours"),
    "night": ("夜间", "nights"),
    "weekend": ("周末", "weekends"),
    "holiday": ("节假日", "holidays"),
}
CRITERIA: Final = {
    "reporting_completeness": ("数据完整率", "reporting completeness"),
    "coverage": ("覆盖率", "coverage"),
    "day_sum_deviation": ("日累计与月数据偏差", "days against the month"),
    "declared_deviation": ("计量与申报偏差", "metered against declared"),
    "day_boundary_s": ("日界时点偏差", "distance from day boundaries"),
    "month_boundary_s": ("月界时点偏差", "distance from month boundaries"),
    "calibrated_share": ("检定有效天数占比", "days with a valid calibration"),
    "accuracy_margin": ("准确度等级余量", "margin of the accuracy class"),
    "clock_held_share": ("时钟不可信占比", "readings with a doubtful clock"),
    "estimated_share": ("估算占比", "estimated share"),
    "open_findings": ("未处理问题数", "open findings"),
    "fitting_margin": ("计量器具配备率余量", "margin of the fitting rate"),
}
OUTCOMES: Final = {
    "passed": ("合格", "passed"),
    "failed": ("不合格", "failed"),
    "not_known": ("未知", "not known"),
}
