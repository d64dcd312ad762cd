"""What is said of baselines and savings, for each code in both languages."""

from __future__ import annotations

from typing import Final

from enpilot.text import Language, pick

__all__ = ["CLAIMS", "REASONS", "REQUIRED", "USABILITY", "WITHHELD", "reason"]

USABILITY: Final = {
    "usable": ("可用", "usable"),
    "weak": ("较弱", "weak"),
    "unusable": ("不可用", "unusable"),
}
# Tests that fail, and faults that leave no model.
REASONS: Final = {
    "model_f": ("模型整体不显著", "the model as a whole is not significant"),
    "predictor_p": ("有变量不显著", "a variable is not significant"),
    "best_predictor_p": ("没有任何变量显著", "no variable is significant"),
    "r_squared": ("解释的波动太少（R²）", "explains too little of the variation (R²)"),
    "cv_rmse": ("误差太大（CV(RMSE)）", "errors too large (CV(RMSE))"),
    "predicted_r_squared": ("预测不如平均值", "predicts no better than the mean"),
    "points": ("数据点太少", "few points"),
    "missing_share": ("基准期缺数太多", "too much of the window is missing"),
    "sign": ("系数符号不合常理", "a coefficient has the wrong sign"),
    "intercept_sign": ("截距为负", "the intercept is negative"),
    "variance_inflation": ("变量之间相关", "variables depend on each other"),
    "autocorrelation": ("残差前后相关", "residuals follow each other"),
    "outliers": ("有异常点", "has outliers"),
    "too_few_points": ("数据点不多于参数", "not more points than parameters"),
    "missing_value": ("有期间缺值", "a period has no value"),
    "constant_energy": ("能耗没有变化", "the energy does not vary"),
    "constant_variable": ("变量没有变化", "a variable does not vary"),
    "collinear": ("变量说的是同一件事", "variables say the same"),
    "exact_fit": ("变量由能耗算出", "a variable is computed from the energy"),
    "no_change_point": ("温度不足以定拐点", "too few temperatures for a change point"),
    "window_overlap": ("基准期与报告期重叠", "baseline and report overlap"),
    "window_incomplete": ("基准期尚未结束", "the baseline window is not over"),
}
# Why a period has no expected energy, or a retrofit no saving.
WITHHELD: Final = {
    "energy_missing": ("缺能耗", "no energy"),
    "variable_missing": ("缺变量值", "a variable has no value"),
    "model_unusable": ("基准模型不可用", "the baseline model is unusable"),
    "no_model": ("没有基准模型", "there is no baseline model"),
    "factor_missing": ("缺折标系数", "no standard coal factor"),
    "nothing_reported": ("报告期尚无数据", "nothing reported yet"),
    "windows_overlap": ("时间窗重叠", "windows overlap"),
}
CLAIMS: Final = {
    "claimable": ("可以声明", "may be claimed"),
    "no_saving": ("没有节约", "nothing was saved"),
    "too_uncertain": ("不确定度不低于节能量的50%", "uncertainty is half of the saving or more"),
    "model_unusable": WITHHELD["model_unusable"],
    "outside_range": ("超出基准模型的范围", "outside of the model's range"),
    "nothing_reported": WITHHELD["nothing_reported"],
    "periods_missing": ("报告期有缺数", "periods of the report are missing"),
    "windows_overlap": WITHHELD["windows_overlap"],
}
REQUIRED: Final = {
    "reachable": ("可以达到", "can be reached"),
    "met_already": ("按预期即可达到", "met if the rest goes as expected"),
    "out_of_reach": ("已无法达到", "out of reach"),
    "nothing_left": ("全年已结束", "the year is over"),
    "no_output_left": ("剩余期间没有产量", "no output is planned for the rest"),
}


def reason(language: Language, code: str) -> str:
    """Say a reason of a model, "code" or "code:variable"; an unknown code as it is."""
    name, _, about = code.partition(":")
    words = pick(language, *REASONS[name]) if name in REASONS else name
    return f"{words}{pick(language, f'（{about}）', f' ({about})')}" if about else words
