"""How busy a read plan keeps its lines, reckoned before anything is connected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge_agent.plan import ReadPlan, UnitPlan
from enpilot.plant import Line

__all__ = ["LineLoad", "line_loads"]

# MODBUS over Serial Line 1.02: a byte is eleven bits with start, parity and stop.
_CHARACTER_BITS: Final = 11
_SILENT_CHARACTERS: Final = 3.5
_FIXED_ABOVE_BAUD: Final = 19_200
_FIXED_SILENCE_S: Final = 0.00175


@dataclass(frozen=True, slots=True)
class LineLoad:
    """What a line's plan takes.

    ``busy`` is the share of time that requests take, ``longest_scan_s`` [s] what its longest scan
    takes and ``period_s`` [s] how often that is wanted; ``silent_s`` [s] is what a unit costs at
    most each time that it is asked and does not answer. ``reckoned`` if the times follow from the
    bytes and the baud rate, else the reply time is assumed.
    """

    line: Line
    requests_per_s: float
    busy: float
    longest_scan_s: float
    period_s: float
    silent_s: float
    reckoned: bool

    @property
    def possible(self) -> bool:
        """Whether everything can be read in its period."""
        return self.busy <= 1.0


def line_loads(plan: ReadPlan, reply_s: float) -> list[LineLoad]:
    """Return how busy each line of a plan is.

    Parameters
    ----------
    plan
        What is read.
    reply_s
        From a request to its reply [s]: behind a gateway all of it, on a serial line the unit's own
        time on top of what the bytes take.
    """
    return [_load(line, units, reply_s) for line, units in plan.lines]


def _load(line: Line, units: tuple[UnitPlan, ...], reply_s: float) -> LineLoad:
    scans = [(sum(_request_s(line, b.serial_bytes, reply_s) for b in u.blocks), u) for u in units]
    by_period: dict[float, float] = {}
    for scan_s, unit in scans:
        by_period[unit.period_s] = by_period.get(unit.period_s, 0.0) + scan_s
    period_s, longest_s = max(
        by_period.items(), key=lambda item: item[1] / item[0], default=(1.0, 0.0)
    )
    return LineLoad(
        line=line,
        requests_per_s=sum(len(u.blocks) / u.period_s for u in units),
        busy=sum(scan_s / u.period_s for scan_s, u in scans),
        longest_scan_s=longest_s,
        period_s=period_s,
        silent_s=max((u.timeout_s for u in units), default=0.0),
        reckoned=line.kind == "serial",
    )


def _request_s(line: Line, characters: int, reply_s: float) -> float:
    if line.kind != "serial":
        return reply_s + (line.pause_s or 0.0)
    character_s = _CHARACTER_BITS / line.baud
    silence_s = (
        _FIXED_SILENCE_S if line.baud > _FIXED_ABOVE_BAUD else _SILENT_CHARACTERS * character_s
    )
    pause_s = silence_s if line.pause_s is None else line.pause_s
    return characters * character_s + 2 * silence_s + pause_s + reply_s
