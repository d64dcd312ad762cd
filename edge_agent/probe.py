"""Read some registers of one unit and say what they may mean; only functions 3 and 4 go out."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Final

import msgspec

from edge_agent.blocks import Function, plan_blocks
from edge_agent.decode import Order, compile_decoder
from edge_agent.errors import ReadError
from edge_agent.lines import FieldLine, make_line
from edge_agent.probe_checks import Finding, cross_check
from edge_agent.probe_decodings import (
    ORDERS,
    Decoding,
    Layout,
    decodings,
    guess_layouts,
    letters_of,
)
from edge_agent.probe_sets import ElectricalSet, find_set
from edge_agent.profile import Profile, ProfileRegister
from enpilot.errors import ConfigurationError
from enpilot.plant import Line, Names
from enpilot.quantities import unit_ratio
from enpilot.wire import Quality

__all__ = [
    "ProbeReport",
    "ProfileReading",
    "Range",
    "explain",
    "explain_by_profile",
    "probe_now",
    "profile_readings",
    "read_words",
]

Words = dict[tuple[str, int], int]

_MAX_REGISTERS: Final = 125
_REFUSED: Final = (2, 3)  # illegal address, illegal number of registers
_ILLEGAL_FUNCTION: Final = 1
_SHIFTS: Final = (0, -1, 1)
# How much better another order or address must make the readings look.
_CLEARLY_BETTER: Final = 3
_AS_GOOD: Final = 4
# What may be compared: transformers divide these.
_TRANSFORMED: Final = frozenset(
    {"voltage", "current", "active_power", "reactive_power", "apparent_power"}
)
_CHECKED: Final = _TRANSFORMED | {"power_factor", "frequency"}


@dataclass(frozen=True, slots=True)
class Range:
    """Registers to read: ``count`` of one function from ``address``."""

    function: Function
    address: int
    count: int


class ProfileReading(msgspec.Struct, frozen=True):
    """One value as a profile reads it: in the profile's unit, None where the unit has none."""

    name: str
    address: int
    type: str
    letters: str
    value: float | None
    unit: str
    side: str
    quality: str = "GOOD"


class ProbeReport(msgspec.Struct):
    """What was read, what it may mean, and what does not fit.

    ``unread`` are sentences about registers that the unit did not give.
    """

    where: str
    unit: int
    words: dict[str, dict[str, int]]
    unread: list[str]
    decodings: list[Decoding] = []
    layouts: list[Layout] = []
    found: ElectricalSet | None = None
    profile: str | None = None
    readings: list[ProfileReading] = []
    findings: list[Finding] = []


async def read_words(line: FieldLine, unit: int, wanted: Range) -> tuple[Words, list[str]]:
    """Read registers; a refused range is halved until what can be read is read.

    Returns
    -------
    tuple
        Words by function and address, and sentences about what was not read.

    Raises
    ------
    ReadError
        If the unit does not answer.
    """
    words: Words = {}
    unread: list[str] = []
    end = wanted.address + wanted.count
    queue = [
        Range(wanted.function, a, min(_MAX_REGISTERS, end - a))
        for a in range(wanted.address, end, _MAX_REGISTERS)
    ]
    while queue:
        part = queue.pop(0)
        try:
            data = await line.read(unit, part)
        except ReadError as error:
            if error.quality != Quality.EXCEPTION_REPLY:
                raise
            if part.count == 1 or error.exception_code not in _REFUSED:
                hint = ""
                if error.exception_code == _ILLEGAL_FUNCTION:
                    other = "input" if part.function == "holding" else "holding"
                    hint = f"; try --function {other}"
                unread.append(f"{error}{hint}")
                continue
            half = part.count // 2
            queue[:0] = [
                Range(part.function, part.address, half),
                Range(part.function, part.address + half, part.count - half),
            ]
            continue
        for i in range(part.count):
            words[part.function, part.address + i] = int.from_bytes(data[2 * i : 2 * i + 2], "big")
    return words, unread


def probe_now(
    line: Line, unit: int, wanted: Range | None, profile: Profile | None = None
) -> ProbeReport:
    """Probe from a command.

    Parameters
    ----------
    line
        Where.
    unit
        Whom.
    wanted
        What to read; left out, all that the profile reads.
    profile
        What the registers should be; left out, every decoding is shown.

    Raises
    ------
    ConfigurationError
        If there is nothing to read, the line cannot be opened, or the unit does not answer.
    """
    ranges = _ranges(wanted, profile)

    async def main() -> tuple[str, Words, list[str]]:
        opened = make_line(line)
        words: Words = {}
        unread: list[str] = []
        try:
            for part in ranges:
                read, refused = await read_words(opened, unit, part)
                words |= read
                unread += refused
        except ReadError as error:
            raise ConfigurationError(str(error)) from error
        finally:
            opened.close()
        return opened.where, words, unread

    where, words, unread = asyncio.run(main())
    by_function: dict[str, dict[str, int]] = {}
    for (function, address), word in sorted(words.items()):
        by_function.setdefault(function, {})[f"{address:#06x}"] = word
    report = ProbeReport(where, unit, by_function, unread)
    if profile is None:
        for function in by_function:
            explain(report, {a: w for (f, a), w in words.items() if f == function})
    else:
        explain_by_profile(report, words, profile)
    return report


def _ranges(wanted: Range | None, profile: Profile | None) -> list[Range]:
    if wanted is None:
        if profile is None:
            raise ConfigurationError("say what to read: --address and --count, or --profile")
        return [Range(b.function, b.address, b.count) for b in plan_blocks(profile, 0)]
    if wanted.count < 1 or not 0 <= wanted.address <= wanted.address + wanted.count - 1 <= 0xFFFF:
        raise ConfigurationError(
            f"--address {wanted.address} --count {wanted.count} is not within 0 to 65535"
        )
    return [wanted]


def explain(report: ProbeReport, words: Mapping[int, int]) -> None:
    """Add to a report what registers of one function may mean.

    Parameters
    ----------
    report
        Is added to.
    words
        16-bit words by address.
    """
    report.decodings += decodings(words)
    layouts = guess_layouts(words)
    report.layouts += layouts
    for layout in layouts:
        report.found = report.found or find_set(words, layout)
        if report.found is not None:
            report.findings += cross_check(report.found.readings)
            return


def explain_by_profile(
    report: ProbeReport, words: Mapping[tuple[str, int], int], profile: Profile
) -> None:
    """Add to a report what registers are by a profile, and whether they fit.

    Parameters
    ----------
    report
        Is added to.
    words
        16-bit words by function and address.
    profile
        The map that is held against them.
    """
    report.profile = profile.code
    report.readings = profile_readings(profile.register, words)
    if not report.readings:
        report.findings.append(
            _say("nothing_of_the_profile", "该配置的寄存器都不在所读范围内",
                 "no register of the profile lies within what was read")
        )  # fmt: skip
        return
    report.findings += _other_places(profile, words)
    report.findings += _beyond_limits(profile, report.readings)
    sides = {r.side for r in report.readings if r.name.split(".")[0] in _TRANSFORMED}
    if len(sides) > 1:
        report.findings.append(
            _say("mixed_sides", "电压、电流、功率不都在互感器的同一侧，不能互相核对",
                 "voltages, currents and powers are not all on the same side of the transformers: "
                 "they cannot be held against each other")
        )  # fmt: skip
    report.findings += cross_check(_comparable(report.readings))


def profile_readings(
    registers: list[ProfileRegister], words: Mapping[tuple[str, int], int]
) -> list[ProfileReading]:
    """Return the values of those registers whose words were all read, scaled to their units.

    Parameters
    ----------
    registers
        What stands where.
    words
        16-bit words by function and address.
    """
    readings = []
    for r in registers:
        sent = [words.get((r.function, a)) for a in range(r.first, r.end)]
        present = [w for w in sent if w is not None]
        if len(present) < len(sent):
            continue
        data = b"".join(w.to_bytes(2, "big") for w in present)
        (number,), (quality,) = compile_decoder([r], r.first)(data)
        value = None
        if number is not None:
            value = float(Decimal(number) * Decimal(r.scale) + Decimal(r.offset))
        readings.append(
            ProfileReading(
                r.name, r.address, r.type, r.byte_letters, value, r.unit, r.side,
                Quality(quality).name,
            )
        )  # fmt: skip
    return readings


def _comparable(readings: list[ProfileReading]) -> dict[str, float]:
    """Return what can be checked, in the platform's units."""
    values = {}
    for r in readings:
        quantity = r.name.split(".")[0]
        if quantity in _CHECKED and r.value is not None and math.isfinite(r.value):
            values[r.name] = r.value * float(unit_ratio(quantity, r.unit))
    return values


def _beyond_limits(profile: Profile, readings: list[ProfileReading]) -> list[Finding]:
    limits = {r.name: (r.rated_min, r.rated_max) for r in profile.register}
    found = []
    for reading in readings:
        low, high = limits[reading.name]
        value = reading.value
        if value is None or not (
            (low is not None and value < low) or (high is not None and value > high)
        ):
            continue
        found.append(
            Finding(
                "beyond_limits", "doubt",
                Names(
                    zh=f"{reading.name} = {value:g} {reading.unit} 超出配置的额定范围",
                    en=f"{reading.name} = {value:g} {reading.unit} is beyond the profile's limits",
                ),
                {k: v for k, v in (("value", value), ("min", low), ("max", high)) if v is not None},
            )
        )  # fmt: skip
    return found


def _other_places(profile: Profile, words: Mapping[tuple[str, int], int]) -> list[Finding]:
    """Say if another order, or addresses one further on or back, make more of the registers.

    Read from the middle of one float to that of the next, neighbours look alike in the other word
    order; then the sum of the phases, which is exact, tells which is likelier, and both are said.
    """
    own = _looks(profile.register, words)
    orders = {(r.word_order, r.byte_order) for r in profile.register if r.width > 1}
    better: list[tuple[float, int, int, tuple[Order, Order] | None]] = []
    for shift, order in product(_SHIFTS, (None, *ORDERS)):
        if {order} == orders or (shift == 0 and order is None):
            continue
        moved = [_moved(r, shift, order) for r in profile.register]
        there = [r for r in moved if r is not None]
        score = _looks(there, words)
        if score >= own + _CLEARLY_BETTER:
            better.append((_residual(profile_readings(there, words)), -score, shift, order))
    most = -min((b[1] for b in better), default=0)
    likely = sorted((b for b in better if -b[1] >= most - _AS_GOOD), key=lambda b: b[:2])
    return [
        _place_finding(shift, order, -score, own, first=i == 0)
        for i, (_, score, shift, order) in enumerate(likely[:2])
    ]


def _place_finding(
    shift: int, order: tuple[Order, Order] | None, score: int, own: int, *, first: bool
) -> Finding:
    letters = None if order is None else letters_of("float32", *order)
    places = [
        (f"地址 {shift:+d}", f"at addresses {shift:+d}") if shift else None,
        (f"字序 {letters}", f"in the order {letters}") if letters else None,
    ]
    zh = "、".join(p[0] for p in places if p is not None)
    en = " and ".join(p[1] for p in places if p is not None)
    text = Names(
        zh=f"配置与寄存器不符：按{zh}读取才合理",
        en=f"the profile does not fit the registers: {en} they make sense",
    )
    if not first:
        text = Names(zh=f"也可能：按{zh}读取", en=f"also possible: {en}")
    return Finding(
        "shifted" if shift else "word_order", "doubt" if first else "note", text,
        {"plausible": score, "as_it_is": own, "shift": shift},
    )  # fmt: skip


def _residual(readings: list[ProfileReading]) -> float:
    """Return by how much of itself the total power differs from the sum of the phases."""
    kw = {r.name: r.value for r in readings if r.name.startswith("active_power.")}
    total = kw.get("active_power.total")
    phases = [v for n, v in kw.items() if n.removeprefix("active_power.") in ("L1", "L2", "L3")]
    known = [v for v in phases if v is not None]
    if not total or len(known) < 3:
        return math.inf
    # To two digits, so that what is as good counts as equal.
    return float(f"{abs(sum(known) - total) / abs(total):.2g}")


def _moved(
    r: ProfileRegister, shift: int, order: tuple[Order, Order] | None
) -> ProfileRegister | None:
    factor = r.scale_register
    moved = {"address": r.address + shift} | (
        {} if factor is None else {"scale_register": factor + shift}
    )
    if min(moved.values()) < 0:
        return None
    word_order, byte_order = order or (r.word_order, r.byte_order)
    if r.width == 1:
        word_order = r.word_order
    return msgspec.structs.replace(r, **moved, word_order=word_order, byte_order=byte_order)


def _looks(registers: list[ProfileRegister], words: Mapping[tuple[str, int], int]) -> int:
    """Count what looks like a mains, less what looks like nothing."""
    score = 0
    for reading in profile_readings(registers, words):
        quantity, channel = reading.name.split(".")
        value = reading.value
        if value is None or quantity not in _CHECKED:
            continue
        value *= float(unit_ratio(quantity, reading.unit))
        size = abs(value)
        if quantity == "voltage":
            low, high = (342, 440) if "-" in channel else (198, 253)
            score += 2 if low <= value <= high else -1
        elif quantity == "frequency":
            score += 2 if 49 <= value <= 51 else -1
        elif quantity == "power_factor":
            score += 1 if 0.05 < size <= 1 else -1
        elif size and not 1e-5 < size < 1e6:
            score -= 1
    return score


def _say(code: str, zh: str, en: str, **numbers: float) -> Finding:
    return Finding(code, "doubt", Names(zh=zh, en=en), dict(numbers))
