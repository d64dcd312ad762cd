"""Whether the readings of one meter fit each other, and what it would mean if they do not.

Pure functions over scaled readings, in the platform's own units. P is held against the sum of
U * I * PF, S against the sum of U * I, and S**2 against P**2 + Q**2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from enpilot.plant import Names

__all__ = ["Finding", "cross_check"]

Weight = Literal["fits", "note", "doubt"]

_PHASES: Final = ("L1", "L2", "L3")
# Meters show U, I and P of slightly different instants, and round them.
_TOLERANCE: Final = 0.05
_RATIO_TOLERANCE: Final = 0.03
# Below this share of a phase's usual height something is not connected.
_MISSING_VOLTAGE: Final = 0.5
# Below this apparent power nothing can be concluded.
_LEAST_KVA: Final = 0.02
_LEAST_POWER_FACTOR: Final = 0.2
_CT_RATIOS: Final = (
    5, 6, 8, 10, 12, 15, 16, 20, 25, 30, 40, 50, 60, 75, 80, 100, 120, 125, 150, 160, 200, 240, 250,
    300, 320, 400, 500, 600, 800, 1000,
)  # fmt: skip


class Finding(msgspec.Struct, frozen=True):
    """One thing found out: that it fits, a note, or a doubt with what it would mean.

    ``text`` is the sentence in both languages, ``numbers`` what it rests on.
    """

    code: str
    weight: Weight
    text: Names
    numbers: dict[str, float] = {}


def cross_check(readings: Mapping[str, float]) -> list[Finding]:
    """Hold the readings of one meter against each other.

    Parameters
    ----------
    readings
        By ``quantity.channel``, in V, A, kW, kvar, kVA, Hz and a power factor from -1 to 1; all on
        the same side of the transformers. What is missing is not checked.

    Returns
    -------
    list of Finding
        In the order of checking: voltages and frequency, then phases, then totals.
    """
    found = [*_voltages(readings), *_frequency(readings)]
    phases = [p for p in _PHASES if {f"voltage.{p}", f"current.{p}"} <= readings.keys()]
    if not phases:
        found.append(
            _say("nothing_to_check", "note", "没有同一相的电压和电流，无法核对功率",
                 "no phase has both voltage and current: power cannot be checked")
        )  # fmt: skip
        return found
    kva = {p: readings[f"voltage.{p}"] * abs(readings[f"current.{p}"]) / 1000 for p in phases}
    total_kva = sum(kva.values())
    if total_kva < _LEAST_KVA:
        found.append(
            _say("no_load", "note", "几乎没有电流，无法核对功率：请在带负荷时再测",
                 "hardly any current flows: probe again under load", sum_ui_kva=total_kva)
        )  # fmt: skip
        return found
    found += _phase_powers(readings, kva)
    whole = len(phases) == 3 or not any(f"voltage.{p}" in readings for p in ("L2", "L3"))
    if whole:
        found += _active_power(readings, kva, total_kva)
        found += _apparent_power(readings, total_kva)
    found += _triangle(readings)
    return found


def _say(code: str, weight: Weight, zh: str, en: str, **numbers: float) -> Finding:
    rounded = {k: float(f"{v:.6g}") for k, v in numbers.items()}
    return Finding(code, weight, Names(zh=zh, en=en), rounded)


def _near(a: float, b: float, tolerance: float = _TOLERANCE) -> bool:
    return math.isclose(a, b, rel_tol=tolerance)


def _voltages(readings: Mapping[str, float]) -> list[Finding]:
    volts = {p: readings[f"voltage.{p}"] for p in _PHASES if f"voltage.{p}" in readings}
    if not volts:
        return []
    highest = max(volts.values())
    missing = [p for p, v in volts.items() if abs(v) < _MISSING_VOLTAGE * highest]
    numbers = {f"voltage_{p}_v": v for p, v in volts.items()}
    if missing:
        names = ", ".join(missing)
        return [_say("missing_phase", "doubt", f"{names} 相无电压：断相，或电压线、熔断器未接好",
                     f"no voltage on {names}: a phase is missing, or its wire or fuse is open",
                     **numbers)]  # fmt: skip
    if 342 <= highest <= 440:
        return [_say("line_voltage", "doubt",
                     "相电压寄存器约为 380–400 V：很可能是线电压（三相三线接法），或地址有偏差",
                     "phase voltages near 380-400 V: probably line voltages (three-wire connection)"
                     ", or the addresses are shifted", **numbers)]  # fmt: skip
    if all(198 <= v <= 253 for v in volts.values()):
        return [_say("voltages", "fits", "相电压正常", "the phase voltages are those of a 220/380 V"
                     " or 230/400 V network", **numbers)]  # fmt: skip
    if all(51 <= v <= 64 or 90 <= v <= 121 for v in volts.values()):
        return [_say("voltages_behind_vt", "note",
                     "电压约为 57.7 V 或 100 V：经电压互感器接入，需要 PT 变比",
                     "voltages near 57.7 or 100 V: the meter is behind voltage transformers, whose "
                     "ratio is needed", **numbers)]  # fmt: skip
    return [_say("strange_voltages", "doubt",
                 "电压不像低压电网：请检查类型、字序和比例",
                 "no voltages of a low-voltage network: check type, word order and scale",
                 **numbers)]  # fmt: skip


def _frequency(readings: Mapping[str, float]) -> list[Finding]:
    hertz = readings.get("frequency.total")
    if hertz is None:
        return []
    if 49 <= hertz <= 51:
        return [_say("frequency", "fits", "频率正常", "the frequency is that of a 50 Hz network",
                     frequency_hz=hertz)]  # fmt: skip
    return [_say("strange_frequency", "doubt", "频率不在 50 Hz 附近：请检查类型、字序、比例和地址",
                 "the frequency is not near 50 Hz: check type, word order, scale and address",
                 frequency_hz=hertz)]  # fmt: skip


def _phase_powers(readings: Mapping[str, float], kva: Mapping[str, float]) -> list[Finding]:
    kw = {p: readings[f"active_power.{p}"] for p in kva if f"active_power.{p}" in readings}
    if len(kw) < 3:
        return []
    found: list[Finding] = []
    numbers = {f"active_power_{p}_kw": v for p, v in kw.items()}
    negative = [p for p, v in kw.items() if v < -0.05 * kva[p]]
    if 0 < len(negative) < 3:
        names = ", ".join(negative)
        found.append(_say("reversed_ct", "doubt",
                          f"{names} 相功率为负而其余为正：该相电流互感器很可能接反（或接错相）",
                          f"power of {names} is negative, the others' is not: its current "
                          "transformer is probably reversed, or on another phase",
                          **numbers))  # fmt: skip
    elif len(negative) == 3:
        found.append(_say("all_reversed", "note",
                          "三相功率均为负：正在反送电，或全部电流互感器接反",
                          "all phases are negative: the feeder exports, or every current "
                          "transformer is reversed", **numbers))  # fmt: skip
    beyond = [p for p, v in kw.items() if abs(v) > (1 + _TOLERANCE) * kva[p] + 0.001]
    if beyond and len(beyond) < 3:
        names = ", ".join(beyond)
        found.append(_say("wrong_phase", "doubt",
                          f"{names} 相有功大于 U·I：电压与电流可能不是同一相，或寄存器错位",
                          f"power of {names} exceeds its U*I: voltage and current may be of "
                          "different phases, or a register is misplaced", **numbers))  # fmt: skip
    total = readings.get("active_power.total")
    if total is not None and not math.isclose(
        total, sum(kw.values()), rel_tol=_RATIO_TOLERANCE, abs_tol=0.01 * sum(kva.values())
    ):
        found.append(_say("sum_of_phases", "doubt",
                          "总功率不等于各相之和：总功率或分相寄存器的地址、字序或比例有误",
                          "total power is not the sum of the phases: address, order or scale of "
                          "one of these registers is wrong",
                          total_kw=total, sum_kw=sum(kw.values())))  # fmt: skip
    return found


def _active_power(
    readings: Mapping[str, float], kva: Mapping[str, float], total_kva: float
) -> list[Finding]:
    kw = readings.get("active_power.total")
    if kw is None:
        return []
    total_factor = readings.get("power_factor.total")
    factors = {p: readings.get(f"power_factor.{p}", total_factor) for p in kva}
    known = [f for f in factors.values() if f is not None]
    if len(known) < len(kva):
        return _without_factor(kw, total_kva)
    if any(abs(f) > 1.001 for f in known):
        return [_say("factor_beyond_one", "doubt",
                     "功率因数超过 1：可能是四象限编码，或比例、字序有误",
                     "a power factor beyond 1: a four-quadrant coding, or scale or order is wrong",
                     power_factor=max(known, key=abs))]  # fmt: skip
    expected = sum(kva[p] * abs(f) for p, f in factors.items() if f is not None)
    numbers = {"active_power_kw": kw, "sum_ui_kva": total_kva, "sum_ui_pf_kw": expected}
    if total_factor is not None:
        numbers["power_factor"] = total_factor
    if expected < _LEAST_POWER_FACTOR * total_kva:
        return [_say("low_factor", "note", "功率因数很低，P ≈ ΣU·I·PF 的核对不灵敏",
                     "the power factor is very low: P against the sum of U*I*PF says little",
                     **numbers)]  # fmt: skip
    return [_ratio_finding(kw / expected, numbers)]


def _without_factor(kw: float, total_kva: float) -> list[Finding]:
    numbers = {"active_power_kw": kw, "sum_ui_kva": total_kva}
    ratio = kw / total_kva
    if abs(ratio) <= 1 + _TOLERANCE and abs(ratio) >= _LEAST_POWER_FACTOR:
        return [_say("power_within_ui", "fits",
                     "有功不超过 ΣU·I（没有功率因数，只能核对到这里）",
                     "active power is within the sum of U*I; without a power factor no more can be "
                     "checked", **numbers, power_factor=ratio)]  # fmt: skip
    if abs(ratio) < _LEAST_POWER_FACTOR and _power_of_ten(ratio) is None:
        return [_say("low_power", "note",
                     "有功远小于 ΣU·I：功率因数很低，或有电流互感器接反、比例有误",
                     "active power is far below the sum of U*I: a low power factor, a reversed "
                     "current transformer, or a wrong scale", **numbers)]  # fmt: skip
    return [_ratio_finding(ratio, numbers)]


def _power_of_ten(ratio: float) -> int | None:
    """Return the power of ten that a ratio is, within what a load's power factor leaves open."""
    exponent = round(math.log10(abs(ratio))) if ratio else 0
    return exponent if exponent and _near(abs(ratio), 10.0**exponent) else None


_Test = tuple[Callable[[float], bool], str, str, str]
_EXPLANATIONS: Final[tuple[_Test, ...]] = (
    (lambda r: _near(r, -1), "reversed_direction",
     "有功为 -ΣU·I·PF：全部电流互感器接反，或正在反送电，或该表以负号表示用电",
     ("P is minus the sum of U*I*PF: every current transformer is reversed, the feeder exports, or "
     "the meter counts consumption as negative")),
    (lambda r: _near(abs(r), 1 / 3), "one_ct_reversed",
     "有功只有 ΣU·I·PF 的三分之一：很可能有一相电流互感器接反，或总功率寄存器其实是单相",
     ("P is a third of the sum of U*I*PF: probably one current transformer is reversed, or the "
     "register is that of one phase")),
    (lambda r: _near(abs(r), 3), "three_times",
     "有功是 ΣU·I·PF 的三倍：电流或电压寄存器可能是平均值，或三相重复",
     "P is three times the sum of U*I*PF: are currents and voltages those of each phase?"),
    (lambda r: _near(abs(r), math.sqrt(3)) or _near(abs(r), 1 / math.sqrt(3)), "square_root_of_3",
     "相差 √3 倍：线电压被当作相电压（或相反）",
     ("off by the square root of 3: line voltages are taken for phase voltages, or the other way "
     "round")),
    (lambda r: _power_of_ten(r) is not None, "power_of_ten",
     "相差 10 的整数次方：单位（W/kW）或比例有误，除非电流互感器正是这个变比",
     ("off by a power of ten: a unit (W or kW) or a scale is wrong, unless the current "
     "transformers have just this ratio")),
)  # fmt: skip


def _ratio_finding(ratio: float, numbers: dict[str, float]) -> Finding:
    numbers = {**numbers, "ratio": ratio}
    if _near(ratio, 1):
        return _say("power", "fits", "P ≈ ΣU·I·PF", "P fits the sum of U*I*PF", **numbers)
    for test, code, zh, en in _EXPLANATIONS:
        if test(ratio):
            return _say(code, "doubt", zh, en, **numbers)
    size = max(abs(ratio), 1 / abs(ratio)) if ratio else math.inf
    for ct in _CT_RATIOS:
        if _near(size, ct, _RATIO_TOLERANCE):
            return _say("transformer_side", "doubt",
                        f"相差约 {ct} 倍：电流与功率不在互感器的同一侧（CT {ct * 5}/5）",
                        f"off by about {ct}: current and power are not on the same side of the "
                        f"transformers (CT {ct * 5}/5)", **numbers)  # fmt: skip
    if size > 1e4:
        return _say("word_order", "doubt", "数量级完全不符：字序、类型或地址有误",
                    "the magnitudes have nothing to do with each other: word order, type or "
                    "address is wrong", **numbers)  # fmt: skip
    return _say("power_differs", "doubt",
                "P 与 ΣU·I·PF 不符：电流可能接错相，或某个寄存器的地址、类型、比例有误",
                "P does not fit the sum of U*I*PF: currents may be on the wrong phases, or the "
                "address, type or scale of a register is wrong", **numbers)  # fmt: skip


def _apparent_power(readings: Mapping[str, float], total_kva: float) -> list[Finding]:
    kva = readings.get("apparent_power.total")
    if kva is None:
        return []
    numbers = {"apparent_power_kva": kva, "sum_ui_kva": total_kva}
    if _near(kva, total_kva):
        return [_say("apparent_power", "fits", "S ≈ ΣU·I", "S fits the sum of U*I", **numbers)]
    return [_say("apparent_power_differs", "doubt",
                 "S 与 ΣU·I 不符：比例、单位或互感器侧有误",
                 "S does not fit the sum of U*I: scale, unit or the side of the transformers is "
                 "wrong", **numbers, ratio=kva / total_kva)]  # fmt: skip


def _triangle(readings: Mapping[str, float]) -> list[Finding]:
    names = ("active_power.total", "reactive_power.total", "apparent_power.total")
    if not all(name in readings for name in names):
        return []
    kw, kvar, kva = (readings[name] for name in names)
    numbers = {"active_power_kw": kw, "reactive_power_kvar": kvar, "apparent_power_kva": kva}
    if abs(kva) < _LEAST_KVA:
        return []
    if _near(math.hypot(kw, kvar), abs(kva)):
        return [_say("power_triangle", "fits", "S² ≈ P² + Q²", "S**2 fits P**2 + Q**2", **numbers)]
    return [_say("power_triangle_differs", "doubt",
                 "S² 与 P² + Q² 不符：三者之一的地址、字序或比例有误，或谐波很大",
                 "S**2 does not fit P**2 + Q**2: address, order or scale of one is wrong, or there "
                 "are strong harmonics", **numbers)]  # fmt: skip
