"""What is wrong with the wiring of a meter, by name, with what shows it and what helps."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import msgspec

from enpilot.plant import Names

__all__ = ["FINDING_CODES", "Confidence", "Finding", "FindingCode", "make_finding", "shown_number"]

FindingCode: TypeAlias = Literal[
    "reversed_ct", "ct_wrong_phase", "wrong_ratio", "missing_phase", "energy_unit",
    "swapped_meters", "same_unit_twice", "register_off_by_one", "kvar_as_kw",
]  # fmt: skip
Confidence: TypeAlias = Literal["certain", "likely", "possible"]

_REMEDIES: Final[MappingProxyType[FindingCode, tuple[str, str]]] = MappingProxyType(
    {
        "reversed_ct": (
            (
                "核对互感器 P1/P2 朝向及 S1/S2 接线，断电短接二次侧后对调；若三相全反且不便停电，"
                "可在安装记录中设 sign = -1。"
            ),
            (
                "Check P1/P2 and S1/S2; short the secondary, then exchange its wires. If all "
                "phases are "
                "reversed and cannot be switched off, set sign = -1 in the installation."
            ),
        ),
        "ct_wrong_phase": (
            "逐相核对电流线与电压线是否同相，短接二次侧后对调电流线。",
            (
                "Follow each phase's current and voltage wires; short the secondaries, then "
                "exchange the "
                "current wires."
            ),
        ),
        "wrong_ratio": (
            (
                "核对互感器铭牌、穿心匝数、表内变比设置与安装记录中的 ct_ratio、pt_ratio，"
                "以及规约中的一次侧/二次侧。"
            ),
            (
                "Compare the transformers' nameplates, the turns through the window and the "
                "ratio set in "
                "the meter with ct_ratio and pt_ratio, and the profile's primary or secondary side."
            ),
        ),
        "missing_phase": (
            "检查该相电压熔断器、接线端子及互感器二次回路。",
            "Check this phase's voltage fuse, terminals and the transformer's secondary circuit.",
        ),
        "energy_unit": (
            "核对电能寄存器的单位与小数位（Wh、kWh、MWh、×10），改正规约文件中的 unit 或 scale。",
            (
                "Check unit and decimals of the energy register (Wh, kWh, MWh, ×10) and correct "
                "unit or "
                "scale in the profile."
            ),
        ),
        "swapped_meters": (
            "到现场核对两块表的地址与回路，改正安装记录。",
            "Compare address and circuit of both meters on site and correct the installations.",
        ),
        "same_unit_twice": (
            "检查两处的从站地址、线路和网关转发设置，使每块表只被读取一次。",
            "Check unit addresses, lines and the gateway's routing until each meter is read once.",
        ),
        "register_off_by_one": (
            "手册地址可能从 1 开始：把规约文件中的地址整体移动一个寄存器。",
            "The manual may count from 1: move the profile's addresses by one register.",
        ),
        "kvar_as_kw": (
            "有功与无功寄存器可能对调：核对规约文件中的地址。",
            (
                "The registers of active and reactive power may be exchanged: check the profile's "
                "addresses."
            ),
        ),
    }
)
FINDING_CODES: Final[tuple[FindingCode, ...]] = tuple(_REMEDIES)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One named wiring fault.

    Attributes
    ----------
    code
        Its name, which never changes.
    point
        Where.
    phases
        Which phases, if it has any.
    text, remedy
        For people.
    evidence
        The numbers that show it, as decimals or words.
    confidence
        "certain": no right wiring shows this; "likely": only an unusual plant does; "possible".
    """

    code: FindingCode
    point: str
    text: Names
    remedy: Names
    evidence: dict[str, str]
    confidence: Confidence
    phases: list[str] = []


def make_finding(
    code: FindingCode,
    text: tuple[str, str],
    evidence: dict[str, float | str],
    confidence: Confidence,
    *,
    point: str = "",
    phases: list[str] | None = None,
) -> Finding:
    """Return a finding with its remedy.

    Parameters
    ----------
    code, confidence, point, phases
        See `Finding`.
    text
        What is the matter, in Chinese and in English.
    evidence
        Numbers, which are rounded to four significant digits, or words.
    """
    zh, en = _REMEDIES[code]
    return Finding(
        code=code,
        point=point,
        text=Names(zh=text[0], en=text[1]),
        remedy=Names(zh=zh, en=en),
        evidence={
            k: v if isinstance(v, str) else shown_number(v) for k, v in sorted(evidence.items())
        },
        confidence=confidence,
        phases=phases or [],
    )


def shown_number(value: float, digits: int = 4) -> str:
    """Return a number as a plain decimal of so many significant digits, without an exponent."""
    if value == 0:
        return "0"
    text = f"{float(f'{value:.{digits - 1}e}'):.12f}".rstrip("0").rstrip(".")
    return text if text not in ("-0", "") else "0"
