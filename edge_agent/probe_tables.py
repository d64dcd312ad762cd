"""A probe's report as lines of text, every decoding of a register side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from edge_agent.probe import ProbeReport
from edge_agent.probe_checks import Finding
from edge_agent.probe_decodings import Decoding, Layout, Mark
from edge_agent.probe_sets import ElectricalSet

__all__ = ["report_lines", "table"]

_MARKS: Final = {
    "phase_voltage": "U", "line_voltage": "UL", "frequency": "Hz", "power_factor": "PF",
    "not_available": "n/a", "zero": "",
}  # fmt: skip
_LEGEND: Final = (
    "U phase voltage 相电压, UL line voltage 线电压, Hz frequency 频率, PF power factor 功率因数,",
    "n/a marker for no value 无效值标志, · no sensible magnitude 数值不合理, x0.1 scaled 乘比例后",
)
_WEIGHTS: Final = {"fits": "ok   ", "note": "note ", "doubt": "DOUBT"}
_FOUR: Final = ("ABCD", "CDAB", "BADC", "DCBA")
_EIGHT: Final = ("ABCDEFGH", "GHEFCDAB", "BADCFEHG", "HGFEDCBA")
# What each table shows: heading, type, letters.
_Column = tuple[str, str, str]
_TABLES: Final[tuple[tuple[str, tuple[_Column, ...]], ...]] = (
    (
        "16 bits; float of 32 bits",
        (
            ("uint16", "uint16", "AB"), ("int16", "int16", "AB"), ("BCD", "bcd16", "AB"),
            *((f"float {o}", "float32", o) for o in _FOUR),
        ),
    ),
    (
        "integers of 32 bits",
        (
            *((f"uint {o}", "uint32", o) for o in _FOUR),
            *((f"int {o}", "int32", o) for o in _FOUR[:2]),
            ("BCD ABCD", "bcd32", "ABCD"), ("mod-10k ABCD", "m10k32", "ABCD"),
            ("mod-10k CDAB", "m10k32", "CDAB"),
        ),
    ),
    (
        "64 bits, by the order of four words",
        (
            *((f"float {o}", "float64", o) for o in _EIGHT[:2]),
            *((f"int {o}", "int64", o) for o in _EIGHT[:2]),
            ("BCD", "bcd64", _EIGHT[0]), ("mod-10k", "m10k64", _EIGHT[0]),
        ),
    ),
)  # fmt: skip


def table(rows: Iterable[Iterable[str]]) -> list[str]:
    """Return rows with their columns aligned; the first row is the heading."""
    cells = [[str(c) for c in row] for row in rows]
    widths = [max(len(c) for c in column) for column in zip(*cells, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in cells]


def report_lines(report: ProbeReport) -> Iterator[str]:
    """Yield what a probe found, for people, in both languages where it is a judgement.

    Parameters
    ----------
    report
        What was found.
    """
    count = sum(len(words) for words in report.words.values())
    yield f"{report.where} unit {report.unit}: {count} registers read"
    yield from report.unread
    if report.profile is not None:
        yield from _readings(report)
    else:
        yield from _decodings(report)
        yield from _layouts(report.layouts)
        if report.found is not None:
            yield from _set(report.found)
    if report.findings:
        yield ""
    for finding in report.findings:
        yield from _finding(finding)


def _readings(report: ProbeReport) -> Iterator[str]:
    rows = [("address", "register", "type", "order", "reading", "unit", "side")]
    for r in report.readings:
        shown = r.quality if r.value is None else f"{r.value:.10g}"
        rows.append((f"{r.address:#06x}", r.name, r.type, r.letters, shown, r.unit, r.side))
    yield f"by profile {report.profile}:"
    yield from table(rows)


def _decodings(report: ProbeReport) -> Iterator[str]:
    by_place: dict[tuple[int, str, str], Decoding] = {
        (d.address, d.type, d.letters): d for d in report.decodings
    }
    for function, words in report.words.items():
        for title, columns in _TABLES:
            rows = [["address", "hex", *(heading for heading, _, _ in columns)]]
            for shown, word in words.items():
                cells = [by_place.get((int(shown, 16), kind, order)) for _, kind, order in columns]
                # A row of nothing sensible is left out where the first table has the register.
                if columns is _TABLES[0][1] or any(d and d.sensible and d.value for d in cells):
                    rows.append([shown, f"{word:04x}", *map(_cell, cells)])
            if len(rows) > 1:
                yield ""
                yield f"{function}, {title}:"
                yield from table(rows)
    yield ""
    yield from _LEGEND


def _cell(decoding: Decoding | None) -> str:
    if decoding is None:
        return ""
    mark = _mark(decoding.marks)
    if not decoding.sensible or decoding.value is None:
        return mark.strip() or "·"
    shown = f"{decoding.value:.6g}" if isinstance(decoding.value, float) else f"{decoding.value:d}"
    return shown + mark


def _mark(marks: tuple[Mark, ...]) -> str:
    for mark in marks:
        if _MARKS[mark.code]:
            scale = "" if mark.scale == 1 or mark.code == "not_available" else f"x{mark.scale:g}"
            return f" {_MARKS[mark.code]}{scale}"
    return ""


def _layouts(layouts: list[Layout]) -> Iterator[str]:
    for layout in layouts:
        places = ", ".join(f"{a:#06x}" for a in layout.voltages)
        volts = ", ".join(f"{v:.1f}" for v in layout.values_v)
        scale = "" if layout.scale == 1 else f" x {layout.scale:g}"
        hertz = "" if layout.frequency is None else f"; frequency 频率 {layout.frequency:#06x}"
        yield ""
        yield (
            f"likely 可能: {layout.type} {layout.letters}{scale}, phase voltages 相电压 {places} = "
            f"{volts} V{hertz}"
        )


def _set(found: ElectricalSet) -> Iterator[str]:
    def places(addresses: tuple[int, ...]) -> str:
        return ", ".join(f"{a:#06x}" for a in addresses)

    yield f"  currents 电流 {places(found.currents)}"
    yield (
        f"  powers 有功 {places(found.powers)}, total 合计 {found.total_power:#06x} "
        f"({found.power_type} {found.power_letters}); one count is {found.power_scale_kw:g} kW if "
        "one of current is 1 A"
    )
    if found.power_factor is not None:
        yield f"  power factor 功率因数 {found.power_factor:#06x}"


def _finding(finding: Finding) -> Iterator[str]:
    yield f"{_WEIGHTS[finding.weight]} {finding.text.zh}"
    yield f"      {finding.text.en}"
    if finding.numbers:
        yield "      " + ", ".join(f"{k} {v:g}" for k, v in finding.numbers.items())
