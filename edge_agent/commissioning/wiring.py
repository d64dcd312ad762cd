"""Named wiring faults from what a meter shows: pure functions over scaled readings.

Each says nothing where a right meter could show the same. The angles are in `phase_angles`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edge_agent.commissioning.findings import Confidence, Finding, make_finding, shown_number
from edge_agent.commissioning.phase_angles import Flow, angle_findings
from edge_agent.power_check import (
    PHASES,
    Measured,
    PowerCheck,
    check_power,
    phase_volt_amperes,
)

__all__ = [
    "Ratios",
    "clamp_findings",
    "energy_findings",
    "implausible",
    "phase_findings",
    "power_findings",
    "ratio_findings",
    "shift_findings",
]

_MISSING_SHARE: Final = 0.2
_PRESENT_SHARE: Final = 0.8
_DEAD_V: Final = 10.0
_ENOUGH: Final = 3
_STEADY: Final = 0.04
_KVAR_FIT: Final = 0.05
_KVAR_APART: Final = 0.15
_LEAST_STEPS: Final = 20
_DECADE_SHARE: Final = 0.08
_RATIO_SHARE: Final = 0.05
_CLAMP_SHARE: Final = 0.08
_HERTZ: Final = (45.0, 65.0)
# The lowest phase voltage of a live meter is 57.7 V, behind a 100 V transformer.
_LEAST_VOLTAGE: Final = 40.0


@dataclass(frozen=True, slots=True)
class Ratios:
    """The transformer ratios of an installation [1]."""

    ct: float = 1.0
    pt: float = 1.0

    def named(self) -> Iterable[tuple[str, float]]:
        """Yield factors by which a forgotten or doubled ratio is wrong, with their names."""
        known = {"ct_ratio": self.ct, "pt_ratio": self.pt, "ct_ratio·pt_ratio": self.ct * self.pt}
        for name, ratio in known.items():
            if abs(ratio - 1) > 2 * _RATIO_SHARE:
                yield name, ratio
                yield f"1/{name}", 1 / ratio


def phase_findings(values: Mapping[str, Measured], flow: Flow) -> list[Finding]:
    """Return reversed, exchanged and missing phases.

    Parameters
    ----------
    values, flow
        See `edge_agent.commissioning.phase_angles.angle_findings`.
    """
    missing = _missing_voltage(values)
    return missing or angle_findings(values, flow)


def _missing_voltage(values: Mapping[str, Measured]) -> list[Finding]:
    volts = {x: values[f"voltage.{x}"].value for x in PHASES if f"voltage.{x}" in values}
    if len(volts) < len(PHASES):
        return []
    low, *others = sorted(volts, key=lambda x: volts[x])
    top = max(volts.values())
    if volts[low] > _MISSING_SHARE * top or min(volts[x] for x in others) < _PRESENT_SHARE * top:
        return []
    if top < _DEAD_V:
        return []
    current = values.get(f"current.{low}")
    flows = current is not None and current.value > 3 * current.step
    if low == "L2" and not flows:
        return []  # two elements on three wires show nothing on the middle phase
    text = (
        f"{low} 相无电压（{shown_number(volts[low])} V，其他相 {shown_number(top)} V）"
        + ("，但有电流。" if flows else "。"),
        f"{low} has no voltage ({shown_number(volts[low])} V, the others {shown_number(top)} V)"
        + (", yet current." if flows else "."),
    )
    evidence: dict[str, float | str] = {f"voltage_{x}_v": v for x, v in volts.items()}
    if current is not None:
        evidence[f"current_{low}_a"] = current.value
    confidence: Confidence = "certain" if flows else "likely"
    return [make_finding("missing_phase", text, evidence, confidence, phases=[low])]


def power_findings(history: Sequence[Mapping[str, Measured]], ratios: Ratios) -> list[Finding]:
    """Return what is wrong with active power, from readings at several instants.

    Parameters
    ----------
    history
        Amounts at the point at three instants or more.
    ratios
        Of the installation, to name the factor.
    """
    if len(history) < _ENOUGH:
        return []
    return _kvar_as_kw(history) or _steady_ratio(history, ratios)


def _kvar_as_kw(history: Sequence[Mapping[str, Measured]]) -> list[Finding]:
    factors, shares, by_register, refused = [], [], 0, 0
    for values in history:
        power, factor = values.get("active_power.total"), values.get("power_factor.total")
        apparent = sum(p.value for p in phase_volt_amperes(values).values())
        if power is None or factor is None or apparent <= 0:
            return []
        cosine = abs(factor.value)
        sine = math.sqrt(max(0.0, 1 - cosine * cosine))
        shown = abs(power.value) / apparent
        if abs(shown - sine) > _KVAR_FIT or abs(shown - cosine) < _KVAR_APART:
            return []
        result = check_power(values)
        if isinstance(result, str):
            return []
        refused += result.agrees is False
        reactive = values.get("reactive_power.total")
        by_register += reactive is not None and (
            abs(abs(reactive.value) / apparent - cosine) <= _KVAR_FIT
        )
        factors.append(cosine)
        shares.append(shown)
    exchanged = by_register == len(history)
    if not exchanged and (not refused or max(factors) - min(factors) < _KVAR_FIT):
        return []
    evidence: dict[str, float | str] = {
        "power_over_ui": shares[-1],
        "power_factor": factors[-1],
        "sine": math.sqrt(max(0.0, 1 - factors[-1] ** 2)),
        "readings": str(len(history)),
    }
    text = (
        "有功功率等于 U·I·sinφ：读到的可能是无功功率。",
        "Active power equals U·I·sinφ: what is read may be reactive power.",
    )
    return [make_finding("kvar_as_kw", text, evidence, "certain" if exchanged else "likely")]


def _steady_ratio(history: Sequence[Mapping[str, Measured]], ratios: Ratios) -> list[Finding]:
    factors = []
    for values in history:
        result = check_power(values)
        if not isinstance(result, PowerCheck) or result.agrees is not False:
            return []
        factors.append(abs(result.ratio))
    # The middle one is not moved by a load that changed while it was read.
    factor = sorted(factors)[len(factors) // 2]
    if max(abs(f / factor - 1) for f in factors) > _STEADY:
        return []
    text = (
        (
            f"有功功率恒为 ΣU·I·PF 的 {shown_number(factor)} 倍{_named(factor, ratios, zh=True)}："
            "变比不符。"
        ),
        (
            f"Active power is always {shown_number(factor)} times ΣU·I·PF"
            f"{_named(factor, ratios, zh=False)}: a ratio is wrong."
        ),
    )
    evidence: dict[str, float | str] = {"factor": factor, "readings": str(len(history))}
    return [make_finding("wrong_ratio", text, evidence, "likely")]


def energy_findings(
    advance_kwh: float, integral_kwh: float, step_kwh: float, ratios: Ratios
) -> list[Finding]:
    """Return a wrong unit or ratio of the energy counter, from its advance against ∫P.

    Parameters
    ----------
    advance_kwh, integral_kwh
        What the counter advanced, and the integral of power over the same time; power must have
        kept its direction.
    step_kwh
        One step of the counter; an advance of fewer than 20 says nothing.
    ratios
        Of the installation.
    """
    if advance_kwh < _LEAST_STEPS * step_kwh or integral_kwh <= 0:
        return []
    factor = advance_kwh / integral_kwh
    evidence: dict[str, float | str] = {
        "advance_kwh": advance_kwh, "integral_kwh": integral_kwh, "factor": factor,
    }  # fmt: skip
    for name, ratio in ratios.named():
        if abs(factor / ratio - 1) <= _RATIO_SHARE:
            text = (
                f"电能增量是功率积分的 {shown_number(factor)} 倍，恰为 {name}。",
                f"Energy advances {shown_number(factor)} times as fast as ∫P: that is {name}.",
            )
            return [make_finding("wrong_ratio", text, evidence | {"is": name}, "likely")]
    decade = round(math.log10(factor))
    if decade and abs(factor / 10.0**decade - 1) <= _DECADE_SHARE:
        power = "1000" if decade == 3 else "1/1000" if decade == -3 else f"10^{decade}"
        text = (
            f"电能增量是功率积分的 {shown_number(factor)} 倍（{power}）：单位或小数位不符。",
            (
                f"Energy advances {shown_number(factor)} times as fast as ∫P ({power}): unit or "
                "decimals "
                "are wrong."
            ),
        )
        return [make_finding("energy_unit", text, evidence, "likely")]
    return []


def ratio_findings(display_kwh: float, register_kwh: float, ratios: Ratios) -> list[Finding]:
    """Return a wrong ratio or unit, from the advance on the display against the register's.

    Parameters
    ----------
    display_kwh, register_kwh
        Advances between two display readings, both as amounts at the point and well above their
        steps.
    ratios
        Of the installation.
    """
    return energy_findings(register_kwh, display_kwh, 0.0, ratios)


def clamp_findings(
    clamp_a: Mapping[str, float], values: Mapping[str, Measured], ratios: Ratios
) -> list[Finding]:
    """Return wrong ratio, phase or missing current, from a clamp around the primary conductors.

    Parameters
    ----------
    clamp_a
        Current by phase [A].
    values
        Amounts at the point by ``quantity.channel``.
    ratios
        Of the installation.
    """
    shown = {x: values[f"current.{x}"] for x in clamp_a if f"current.{x}" in values}
    significant = [x for x, m in shown.items() if clamp_a[x] > 10 * m.step]
    dead = [x for x in significant if shown[x].value <= 0.02 * clamp_a[x]]
    evidence: dict[str, float | str] = {f"clamp_{x}_a": clamp_a[x] for x in shown}
    evidence |= {f"register_{x}_a": m.value for x, m in shown.items()}
    if dead and len(dead) < len(shown):
        text = (
            f"{'、'.join(dead)} 相钳表有电流，寄存器没有。",
            f"The clamp shows current on {', '.join(dead)}, the register shows none.",
        )
        return [make_finding("missing_phase", text, evidence, "certain", phases=dead)]
    if dead or not significant:
        return []
    factors = {x: shown[x].value / clamp_a[x] for x in significant}
    middle = sorted(factors.values())[len(factors) // 2]
    if all(abs(f - 1) <= _CLAMP_SHARE for f in factors.values()):
        return []
    if len(factors) > 1 and all(abs(f / middle - 1) <= _CLAMP_SHARE for f in factors.values()):
        text = (
            (
                f"寄存器电流在各相恒为钳表的 {shown_number(middle, 3)} 倍"
                f"{_named(middle, ratios, zh=True)}：变比不符。"
            ),
            (
                f"The registers' currents are {shown_number(middle, 3)} times the clamp's on every "
                f"phase{_named(middle, ratios, zh=False)}: the ratio is wrong."
            ),
        )
        evidence["factor"] = middle
        return [make_finding("wrong_ratio", text, evidence, "certain")]
    return _exchanged_currents(clamp_a, shown, evidence)


def _exchanged_currents(
    clamp_a: Mapping[str, float],
    shown: Mapping[str, Measured],
    evidence: dict[str, float | str],
) -> list[Finding]:
    if len(shown) < len(PHASES):
        return []
    cycle = dict(zip(PHASES, PHASES[1:] + PHASES[:1], strict=True))
    back = {b: a for a, b in cycle.items()}
    swaps = [
        {a: b, b: a, c: c}
        for a, b, c in (("L1", "L2", "L3"), ("L1", "L3", "L2"), ("L2", "L3", "L1"))
    ]
    for carries in (*swaps, cycle, back):
        if all(
            abs(shown[x].value - clamp_a[carries[x]])
            <= _CLAMP_SHARE * clamp_a[carries[x]] + 2 * shown[x].step
            for x in PHASES
        ):
            moved = [x for x in PHASES if carries[x] != x]
            pairs = ", ".join(f"{x}: {carries[x]}" for x in moved)
            text = (
                f"寄存器电流与别的相的钳表读数一致（{pairs}）：互感器接错相。",
                (
                    f"The registers' currents are those of other phases ({pairs}): transformers "
                    "are on "
                    "the wrong phase."
                ),
            )
            evidence["current_carries"] = pairs
            return [make_finding("ct_wrong_phase", text, evidence, "certain", phases=moved)]
    return []


def implausible(values: Mapping[str, Measured]) -> list[str]:
    """Return the values that no three-phase low or medium voltage meter on 50 or 60 Hz shows."""
    wrong = []
    volts = [x for x in PHASES if f"voltage.{x}" in values]
    live = max((values[f"voltage.{x}"].value for x in volts), default=0.0) > _LEAST_VOLTAGE
    hertz = values.get("frequency.total")
    if hertz is not None and not _HERTZ[0] <= hertz.value <= _HERTZ[1] and (live or hertz.value):
        wrong.append("frequency.total")
    for name, m in values.items():
        if name.startswith("power_factor.") and abs(m.value) > 1 + 2 * m.step:
            wrong.append(name)
    if live:
        top = max(values[f"voltage.{x}"].value for x in volts)
        wrong += [f"voltage.{x}" for x in volts if not 0 <= values[f"voltage.{x}"].value <= 50_000]
        wrong += [
            f"voltage.{x}" for x in volts if 0 < values[f"voltage.{x}"].value < _MISSING_SHARE * top
        ]
    elif volts:
        wrong += [f"voltage.{x}" for x in volts if values[f"voltage.{x}"].value]
    return sorted(set(wrong))


def shift_findings(
    as_planned: Mapping[str, Measured],
    shifted: Mapping[int, Mapping[str, Measured]],
    *,
    refused: bool = False,
) -> list[Finding]:
    """Return whether the registers make sense one further on or back, but not where they are read.

    Parameters
    ----------
    as_planned
        Amounts as the profile has them.
    shifted
        Amounts by how many registers further on they were read; empty when only watching, in
        which case impossible numbers in two quantities are "possible" evidence.
    refused
        The unit gives nothing as planned.
    """
    wrong = ["all"] if refused else implausible(as_planned)
    if not wrong:
        return []
    evidence: dict[str, float | str] = {
        n: as_planned[n].value if n in as_planned else "refused" for n in wrong
    }
    right = [
        by for by, values in shifted.items() if len(values) >= len(wrong) and _makes_sense(values)
    ]
    if len(right) == 1:
        text = (
            f"按规约读到的数不可能（{'、'.join(wrong)}），移动 {right[0]:+d} 个寄存器后全部合理。",
            (
                f"What the profile reads is impossible ({', '.join(wrong)}); {right[0]:+d} "
                "register "
                "further on all of it makes sense."
            ),
        )
        evidence["registers_further_on"] = f"{right[0]:+d}"
        return [make_finding("register_off_by_one", text, evidence, "certain")]
    kinds = {n.partition(".")[0] for n in wrong}
    if not shifted and len(kinds) > 1:
        text = (
            f"读到的数不可能（{'、'.join(wrong)}）：寄存器地址可能差一。",
            f"What is read is impossible ({', '.join(wrong)}): the registers may be off by one.",
        )
        return [make_finding("register_off_by_one", text, evidence, "possible")]
    return []


def _makes_sense(values: Mapping[str, Measured]) -> bool:
    """Whether nothing is impossible, and something says so: live voltages or a frequency."""
    volts = [values[f"voltage.{x}"].value for x in PHASES if f"voltage.{x}" in values]
    hertz = values.get("frequency.total")
    seen = (hertz is not None and hertz.value > 0) or (
        len(volts) == len(PHASES) and min(volts) > _PRESENT_SHARE * max(volts) > _LEAST_VOLTAGE
    )
    result = check_power(values)
    contradicted = isinstance(result, PowerCheck) and result.agrees is False
    return seen and not implausible(values) and not contradicted


def _named(factor: float, ratios: Ratios, *, zh: bool) -> str:
    for name, ratio in ratios.named():
        if abs(factor / ratio - 1) <= _RATIO_SHARE:
            return f"（即 {name}）" if zh else f" ({name})"
    return ""
