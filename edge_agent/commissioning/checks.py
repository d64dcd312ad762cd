"""The checks of a commissioning, each a pure function of what was read and what was answered.

A limit names its source. What cannot be told from the numbers is not done, with the reason; it is
never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from edge_agent.commissioning.findings import shown_number
from edge_agent.commissioning.phase_angles import phase_loads
from edge_agent.commissioning.record import Check, CheckCode, EvidenceFile
from edge_agent.power_check import PHASES, Measured, PowerCheck, check_power
from enpilot.plant import Names

__all__ = [
    "DISPLAY_APART_S",
    "DisplayPair",
    "check_clamp",
    "check_display",
    "check_energy_integral",
    "check_frames",
    "check_load_step",
    "check_nameplate",
    "check_parent_child",
    "check_photos",
    "check_power_sum",
    "check_signs",
    "middle",
    "not_done",
]

DISPLAY_APART_S: Final = 900.0
# Between looking at the display and the register's read.
_TYPING_S: Final = 60.0
_CLAMP_SHARE: Final = 0.05
_INTEGRAL_SHARE: Final = 0.05
_LEAST_STEPS: Final = 20
_LEAST_REQUESTS: Final = 100
_MAX_ERROR_SHARE: Final = 0.01
_RATIO_SHARE: Final = 0.001
_FAMILY_SHARE: Final = 0.05
_NOMINAL_SHARE: Final = 0.3
_WEAK: Final = 0.5

_NOT_COMPARABLE: Final = {
    "no_power": Names(
        zh="规约中没有总有功功率。", en="The profile has no active power."
    ),
    "no_voltage_or_current": Names(
        zh="规约中没有同相的电压和电流。",
        en="The profile has no phase with both voltage and current.",
    ),
    "three_wire": Names(
        zh="三相三线两元件：仅有总功率因数时功率不等于 ΣU·I·PF。",
        en="Two elements on three wires: with a total power factor only, power is not ΣU·I·PF.",
    ),
    "little_load": Names(
        zh="负荷太小，寄存器分辨率不足以判断；加大负荷后重做。",
        en="The load is too small for the registers' resolution; repeat under more load.",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DisplayPair:
    """A display reading beside the register [unit of the quantity], and what flowed then.

    ``rate_per_h`` is the power or flow at that moment, 0 if it is not known.
    """

    at_s: float
    display: Measured
    register: Measured
    rate_per_h: float

    @property
    def limit(self) -> float:
        """How far display and register may be apart."""
        return (
            self.display.step + self.register.step + abs(self.rate_per_h) * _TYPING_S / 3600
        ) + 1e-9


def not_done(
    code: CheckCode,
    zh: str,
    en: str,
    measured: Mapping[str, float | str] | None = None,
    *,
    applies: bool = True,
) -> Check:
    """Return a check that was not done, with its reason and what was measured all the same."""
    return Check(
        code=code,
        result="not_done",
        reason=Names(zh=zh, en=en),
        applies=applies,
        measured=_shown(measured or {}),
    )


def _check(
    code: CheckCode,
    passed: bool,
    measured: Mapping[str, float | str],
    limit: str,
    source: tuple[str, str],
    reason: tuple[str, str],
) -> Check:
    zh, en = source
    return Check(
        code=code,
        result="passed" if passed else "failed",
        measured=_shown(measured),
        limit=limit,
        limit_source=Names(zh=zh, en=en),
        reason=None if passed else Names(zh=reason[0], en=reason[1]),
    )


def _shown(measured: Mapping[str, float | str]) -> dict[str, str]:
    return {k: v if isinstance(v, str) else shown_number(v, 9) for k, v in measured.items()}


def check_display(pairs: Sequence[DisplayPair]) -> Check:
    """Two display readings at least 15 minutes apart against the register, and its advance."""
    if len(pairs) < 2:
        return not_done(
            "display", "需要两次间隔至少 15 分钟的表显读数。",
            "Two display readings at least 15 minutes apart are needed.",
            {"readings": str(len(pairs))},
        )  # fmt: skip
    first, last = pairs[0], pairs[-1]
    apart_s = last.at_s - first.at_s
    shown = last.display.value - first.display.value
    counted = last.register.value - first.register.value
    measured: dict[str, float | str] = {
        "apart_s": apart_s, "display_advance": shown, "register_advance": counted,
        "difference_first": first.register.value - first.display.value,
        "difference_last": last.register.value - last.display.value,
        "display_step": first.display.step, "register_step": first.register.step,
    }  # fmt: skip
    limit = max(first.limit, last.limit)
    source = (
        "表显与寄存器各一个末位，加读数与抄表之间 60 秒的用量",
        "one step of display and register each, and what flows in 60 s between looking and reading",
    )
    if any(abs(p.register.value - p.display.value) > p.limit for p in pairs):
        return _check(
            "display", False, measured, shown_number(limit), source,
            ("表显与寄存器不一致。", "Display and register differ."),
        )  # fmt: skip
    if apart_s < DISPLAY_APART_S:
        return not_done(
            "display", "两次表显读数间隔不足 15 分钟。",
            "The display readings are less than 15 minutes apart.", measured,
        )  # fmt: skip
    if shown < 2 * first.display.step:
        return not_done(
            "display", "两次读数之间表显走字不足两个末位；请等待更久或加大负荷。",
            "The display moved by less than two steps; wait longer or under more load.",
            measured,
        )  # fmt: skip
    return _check(
        "display", abs(shown - counted) <= first.limit + last.limit, measured,
        shown_number(limit), source,
        ("表显与寄存器走字不一致。", "Display and register advance differently."),
    )  # fmt: skip


def check_clamp(clamp_a: Mapping[str, float], values: Mapping[str, Measured]) -> Check:
    """A clamp around each primary conductor against the currents [A]."""
    shown = {x: values[f"current.{x}"] for x in PHASES if f"current.{x}" in values}
    if not shown:
        return not_done("clamp", "规约中没有电流。", "The profile has no current.", applies=False)
    missing = [x for x in shown if x not in clamp_a]
    if missing:
        return not_done(
            "clamp", f"{'、'.join(missing)} 相没有钳表读数。",
            f"No clamp reading of {', '.join(missing)}.",
        )  # fmt: skip
    measured: dict[str, float | str] = {f"clamp_{x}_a": clamp_a[x] for x in shown}
    measured |= {f"register_{x}_a": m.value for x, m in shown.items()}
    if all(clamp_a[x] < _LEAST_STEPS * m.step for x, m in shown.items()):
        return not_done(
            "clamp", "电流太小，无法与钳表比较。", "Too little current to compare with a clamp.",
            measured,
        )  # fmt: skip
    wrong = [
        x for x, m in shown.items()
        if abs(m.value - clamp_a[x]) > _CLAMP_SHARE * max(clamp_a.values()) + m.step
    ]  # fmt: skip
    return _check(
        "clamp", not wrong, measured, "0.05",
        (
            "钳表 2 %，互感器与电表各 1 %，读数间负荷变动 1 %；以最大相电流计",
            ("2 % clamp, 1 % transformer and meter each, 1 % for a load that moves; of the highest "
            "phase current"),
        ),
        (
            f"{'、'.join(wrong)} 相电流与钳表不符。",
            f"Current of {', '.join(wrong)} is not the clamp's.",
        ),
    )  # fmt: skip


def check_power_sum(history: Sequence[Mapping[str, Measured]]) -> Check:
    """Power against ΣU·I·PF, by the majority of some instants."""
    results = [check_power(values) for values in history]
    checks = [r for r in results if isinstance(r, PowerCheck)]
    if len(checks) <= len(results) / 2:
        said = next((r for r in results if isinstance(r, str)), "no_power")
        reason = _NOT_COMPARABLE[said]
        lacks = said in ("no_power", "no_voltage_or_current", "three_wire")
        return not_done("power_sum", reason.zh, reason.en, applies=not lacks)
    middle = sorted(checks, key=lambda c: abs(c.ratio))[len(checks) // 2]
    measured: dict[str, float | str] = {
        "power_kw": middle.power_kw, "expected_kw": middle.expected_kw, "basis": middle.basis,
        "instants": str(len(checks)),
    }  # fmt: skip
    verdicts = [c.agrees for c in checks]
    if verdicts.count(None) > len(checks) / 2:
        return not_done(
            "power_sum", "总功率因数可能含相间不对称；请在较平衡的负荷下重做。",
            "The total power factor may contain asymmetry; repeat under a balanced load.",
            measured, applies=middle.basis != "bound",
        )  # fmt: skip
    return _check(
        "power_sum", verdicts.count(True) >= len(checks) / 2, measured,
        shown_number(middle.limit_kw),
        (
            "预期功率的 5 %（两个 1 级量值，先后读取），加寄存器分辨率",
            ("5 % of the expected power (two values of class 1, read one after another) and the "
            "registers' resolution"),
        ),
        ("有功功率与 ΣU·I·PF 不符。", "Active power is not ΣU·I·PF."),
    )  # fmt: skip


def check_energy_integral(
    advance: float, integral: float, step: float, seconds: float, samples: int
) -> Check:
    """The counter's advance against the integral of power or flow [unit of the quantity]."""
    measured: dict[str, float | str] = {
        "advance": advance, "integral": integral, "register_step": step, "seconds": seconds,
        "samples": str(samples),
    }  # fmt: skip
    if max(abs(advance), abs(integral)) < _LEAST_STEPS * step or not step:
        return not_done(
            "energy_integral", "计数不足 20 个末位，无法判断；请等待更久或加大负荷。",
            "Less than 20 steps of the counter; wait longer or under more load.",
            measured,
        )  # fmt: skip
    return _check(
        "energy_integral", abs(advance - integral) <= _INTEGRAL_SHARE * abs(integral) + 2 * step,
        measured, "0.05",
        (
            "功率积分的 5 %（采样与两个 1 级量值），加两个末位",
            "5 % of the integral (sampling, and two values of class 1) and two steps",
        ),
        ("电量与功率积分不符。", "The counter does not advance as power says."),
    )  # fmt: skip


def check_signs(values: Mapping[str, Measured], flow: str) -> Check:
    """The sign of each phase's power, under a load whose direction is known."""
    loads = phase_loads(values)
    measured: dict[str, float | str] = {f"power_{x}_kw": p.power_kw for x, p in loads.items()}
    measured |= {f"p_over_ui_{x}": p.cosine for x, p in loads.items()}
    if not any(f"active_power.{x}" in values or f"power_factor.{x}" in values for x in PHASES):
        return not_done(
            "signs", "规约中没有分相功率。", "The profile has no power per phase.", applies=False
        )
    if flow == "either":
        return not_done(
            "signs", "不知道此刻用电还是送电。",
            "It is not known whether energy is taken or fed in just now.", measured,
        )  # fmt: skip
    if len(loads) < sum(f"current.{x}" in values for x in PHASES):
        return not_done(
            "signs", "有相负荷太小，无法判断方向。",
            "A phase has too little load to tell its direction.", measured,
        )  # fmt: skip
    turn = 1 if flow == "import" else -1
    back = [x for x, p in loads.items() if turn * p.cosine < 0]
    if back and all(turn * loads[x].cosine > -_WEAK for x in back):
        return not_done(
            "signs", "某相功率略为反向，相间负荷也会如此；请在阻性负荷下重做。",
            "A phase gives back a little, which a load between two phases does too; repeat under a "
            "resistive load.", measured,
        )  # fmt: skip
    return _check(
        "signs", not back, measured, "0",
        ("工程师所述能量方向", "the direction that the engineer stated"),
        (f"{'、'.join(back)} 相方向相反。", f"{', '.join(back)} flows the other way."),
    )  # fmt: skip


def check_load_step(
    before: Measured, after: Measured, others: Mapping[str, float], nominal_kw: float | None
) -> Check:
    """A load that was switched, to prove which load the meter sees [kW].

    Parameters
    ----------
    before, after
        Power at the point.
    others
        By how much the power of other points changed that are neither above nor below.
    nominal_kw
        What was switched, if that is known.
    """
    change = after.value - before.value
    measured: dict[str, float | str] = {
        "before_kw": before.value, "after_kw": after.value, "change_kw": change,
    }  # fmt: skip
    measured |= {f"other_{point}_kw": value for point, value in others.items()}
    least = max(5 * before.step, 0.02 * abs(before.value))
    limit, source = shown_number(least), ("五个末位或原功率的 2 %", "5 steps, or 2 % of the power")
    if nominal_kw:
        measured["nominal_kw"] = nominal_kw
        least = (1 - _NOMINAL_SHARE) * nominal_kw
        limit, source = "0.3", ("所投切负荷的 30 %", "30 % of the load that was switched")
    seen = abs(change) >= least
    if nominal_kw:
        seen = seen and abs(change) <= (1 + _NOMINAL_SHARE) * nominal_kw
    alike = [p for p, other in others.items() if abs(other) >= 0.5 * max(abs(change), least)]
    if seen and alike:
        return not_done(
            "load_step", f"其他测点同时变化：{'、'.join(alike)}；请重做。",
            f"Other points changed at the same time: {', '.join(alike)}; repeat.",
            measured,
        )  # fmt: skip
    return _check(
        "load_step", seen, measured, limit, source,
        ("投切负荷时本测点没有相应变化。", "The point did not change as the load was switched."),
    )  # fmt: skip


def check_parent_child(parent: Measured, children: Mapping[str, Measured]) -> Check:
    """Power of a point against the sum of those below it [kW]."""
    total = sum(m.value for m in children.values())
    measured: dict[str, float | str] = {
        "parent_kw": parent.value, "children_kw": total, "residual_kw": parent.value - total,
        "children": ", ".join(sorted(children)),
    }  # fmt: skip
    steps = parent.step + sum(m.step for m in children.values())
    limit = _FAMILY_SHARE * max(abs(parent.value), abs(total)) + steps
    return _check(
        "parent_child", total <= parent.value + limit, measured, shown_number(limit),
        (
            "较大者的 5 %（先后读取、1 级表），加寄存器分辨率",
            "5 % of the larger (read one after another, class 1) and the registers' resolution",
        ),
        ("下级之和大于上级。", "The points below take more than the one above."),
    )  # fmt: skip


def check_frames(requests: int, errors: int) -> Check:
    """Requests to the unit that went without a proper reply; every attempt is counted."""
    measured: dict[str, float | str] = {"requests": str(requests), "errors": str(errors)}
    if requests < _LEAST_REQUESTS:
        return not_done(
            "frames", "请求少于 100 次，无法判断误码率。",
            "Fewer than 100 requests say nothing of the error rate.", measured,
        )  # fmt: skip
    return _check(
        "frames", errors <= _MAX_ERROR_SHARE * requests, measured, "0.01",
        ("本项目约定：逐次计数，不超过 1 %", "this project's: at most 1 % of all attempts"),
        (
            "误码率过高：检查接线、终端电阻、波特率与从站地址冲突。",
            "Too many errors: check wires, termination, baud and double addresses.",
        ),
    )  # fmt: skip


def check_nameplate(
    serial: str | None, known_serial: str | None, ct: Mapping[str, float | None], ct_ratio: float
) -> Check:
    """The meter's serial number, and the transformers' ratio, against the plant file.

    Parameters
    ----------
    serial, known_serial
        On site, and in the plant file.
    ct
        ``primary_a``, ``secondary_a`` [A] and ``turns`` through the window [1], None if not given;
        empty where there is no electricity.
    ct_ratio
        Of the installation [1].
    """
    measured: dict[str, Any] = {"serial": serial or "", "serial_in_plant_file": known_serial or ""}
    measured |= {f"ct_{k}": v for k, v in ct.items() if v is not None}
    if not serial:
        return not_done("nameplate", "没有序列号。", "No serial number.", measured)
    wrong = bool(known_serial and known_serial.strip() != serial.strip())
    if ct:
        primary, secondary, turns = (ct.get(k) for k in ("primary_a", "secondary_a", "turns"))
        if not (primary and secondary):
            return not_done(
                "nameplate", "没有互感器铭牌（无互感器时一次、二次均填 1）。",
                "No nameplate of the current transformer (1 and 1 if there is none).",
                measured,
            )  # fmt: skip
        ratio = primary / secondary / (turns or 1.0)
        measured |= {"ct_ratio": ratio, "ct_ratio_in_plant_file": ct_ratio}
        wrong = wrong or abs(ratio / ct_ratio - 1) > _RATIO_SHARE
    return _check(
        "nameplate", not wrong, measured, "0.001", ("配置文件", "the plant file"),
        (
            "铭牌与配置文件的序列号或变比不符。",
            "Serial number or ratio on the nameplates are not those of the plant file.",
        ),
    )  # fmt: skip


def check_photos(files: Sequence[EvidenceFile]) -> Check:
    """Photographs of nameplate and display."""
    kinds = {f.kind for f in files}
    measured: dict[str, float | str] = {}
    measured |= {
        k: str(sum(f.kind == k for f in files)) for k in ("nameplate", "display", "wiring")
    }
    if not {"nameplate", "display"} <= kinds:
        return not_done(
            "photos", "缺少铭牌或表显照片。", "A photograph of nameplate or display is missing.",
            measured,
        )  # fmt: skip
    return _check(
        "photos", True, measured, "1", ("铭牌、表显各至少一张", "one of each at least"), ("", "")
    )


def middle(values: Sequence[Measured]) -> Measured:
    """Return the median of some readings, with the coarsest step."""
    return Measured(median(v.value for v in values), max(v.step for v in values))
