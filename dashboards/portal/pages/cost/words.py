"""Words of bills: bands, lines, charges."""

from __future__ import annotations

from dashboards.portal.pages.cost.model import BillLine
from enpilot.text import Language, pick

__all__ = ["BANDS", "difference_name", "line_name"]

BANDS = {
    "sharp": ("尖", "critical peak"),
    "peak": ("峰", "peak"),
    "flat": ("平", "flat"),
    "valley": ("谷", "valley"),
    "deep_valley": ("深谷", "deep valley"),
}
_PARTS = {
    "energy": ("电能与输配", "energy and transmission"),
    "system": ("线损与系统运行费", "line loss and system operation"),
    "funds": ("政府性基金及附加", "government funds"),
}
_BASIC = {
    "capacity": ("基本电费（按容量）", "basic charge by capacity"),
    "demand": ("基本电费（按实际需量）", "basic charge by demand"),
    "contract_demand": ("基本电费（按合同需量）", "basic charge by contracted demand"),
}
_KINDS = {
    "register": ("示数", "register"),
    "energy": ("电量", "energy"),
    "part": ("价格组成", "price part"),
    "basic": ("基本电费", "basic charge"),
    "power_factor": ("力调电费", "power-factor adjustment"),
    "step": ("阶梯加价", "step surcharge"),
    "sum": ("小计", "sum"),
    "total": ("合计", "total"),
    "other": ("其他", "other"),
}


_SUMS = {
    "total": ("总", "total"),
    "energy": ("电量", "energy"),
    "amount": ("金额", "amount"),
}


def line_name(language: Language, line: BillLine) -> str:
    """Name a line as the utility's bill does."""
    name = _line_name(language, line)
    return name[:1].upper() + name[1:]


def _line_name(language: Language, line: BillLine) -> str:
    if line.kind == "energy" and line.code in BANDS:
        return pick(language, f"电度电费 · {BANDS[line.code][0]}",
                    f"energy charge · {BANDS[line.code][1]}")  # fmt: skip
    if line.kind == "part":
        return pick(language, *_PARTS.get(line.code, (line.code, line.code)))
    if line.kind == "basic":
        return pick(language, *_BASIC.get(line.code, _KINDS["basic"]))
    if line.kind == "power_factor":
        return pick(language, f"力调电费（标准 {line.code}）",
                    f"power-factor adjustment (standard {line.code})")  # fmt: skip
    return f"{pick(language, *_KINDS.get(line.kind, (line.kind, line.kind)))} · {line.code}"


def difference_name(language: Language, kind: str, code: str) -> str:
    """Name a line on which invoice and computation differ."""
    what = pick(language, *_KINDS.get(kind, (kind, kind)))
    named = _SUMS.get(code) if kind in ("register", "sum", "total") else None
    which = pick(language, *(named or BANDS.get(code) or _PARTS.get(code) or (code, code)))
    text = what if kind == code else f"{what} · {which}"
    return text[:1].upper() + text[1:]
