"""``enpilot edge check``: whether a plant file is right, and its plan can be carried out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from edge_agent.errors import WiringError
from edge_agent.line_load import LineLoad, line_loads
from edge_agent.outbox.forecast import bytes_per_day, hours_of_room
from edge_agent.plan import ReadPlan, UnitPlan, birth_bytes, birth_parts, plan_for_agent
from edge_agent.settings import EdgeSettings
from enpilot.plant import load_plant
from enpilot.settings import load_settings

__all__ = ["check"]

_BUSY: Final = 0.8
_DAY_S: Final = 86_400


def check(
    plant: Path,
    *,
    agent: str | None = None,
    settings: Path | None = None,
    reply_ms: float = 30.0,
    json: bool = False,
) -> None:
    """Check a plant file, print what each agent would read, and refuse what cannot be done.

    Parameters
    ----------
    plant
        The plant file.
    agent
        Only this agent.
    settings
        The agent's settings, for the limits of its outbox; left out, the defaults.
    reply_ms
        How long units take to answer [ms], where that does not follow from the baud rate.
    json
        One JSON document instead of text.
    """
    described = load_plant(plant)
    chosen = EdgeSettings(plant=plant, agent=agent or "", outbox=Path("outbox.sqlite"))
    if settings is not None:
        chosen = load_settings(settings, EdgeSettings)
    reports = []
    impossible: list[str] = []
    for name in [a.id for a in described.agent] if agent is None else [agent]:
        plan = plan_for_agent(described, name, plant)
        loads = line_loads(plan, reply_ms / 1000)
        reports.append(_report(name, plan, loads, chosen))
        impossible += [_refusal(load, reply_ms) for load in loads if not load.possible]
        if not json:
            _show(reports[-1], plan, loads, chosen)
    if json:
        print(msgspec.json.encode(reports).decode())
    if impossible:
        raise WiringError(f"{plant}: " + "; ".join(impossible))


def _report(
    agent: str, plan: ReadPlan, loads: list[LineLoad], settings: EdgeSettings
) -> dict[str, Any]:
    readings_per_day = sum(len(g.series) / g.period_s for g in plan.birth.groups) * _DAY_S
    a_day = bytes_per_day(plan.birth, settings.batch_s, settings.batch_readings)
    return {
        "agent": agent,
        "requests_per_scan": plan.requests_per_scan,
        "series": sum(len(g.series) for g in plan.birth.groups),
        "birth_bytes": sum(len(birth_bytes(part)) for part in birth_parts(plan.birth)),
        "readings_per_day": round(readings_per_day),
        "outbox_mb_per_day": round(a_day / 2**20, 2),
        "outbox_bytes_per_reading": round(a_day / readings_per_day, 1),
        "outbox_mb": settings.limits.max_mb,
        "outbox_hours": round(hours_of_room(a_day, settings.limits), 1),
        "lines": [
            {
                "line": load.line.code,
                "requests_per_s": round(load.requests_per_s, 3),
                "busy": round(load.busy, 4),
                "longest_scan_s": round(load.longest_scan_s, 4),
                "period_s": load.period_s,
                "silent_unit_s": load.silent_s,
            }
            for load in loads
        ],
    }


def _show(
    report: dict[str, Any], plan: ReadPlan, loads: list[LineLoad], settings: EdgeSettings
) -> None:
    print(
        f"agent {report['agent']}: {report['requests_per_scan']} requests a scan, "
        f"{report['series']} series, {report['birth_bytes']:,} bytes birth"
    )
    print(
        f"  outbox: {report['readings_per_day']:,} readings a day, about "
        f"{report['outbox_mb_per_day']:g} MiB "
        f"({report['outbox_bytes_per_reading']} bytes a reading); "
        f"{settings.limits.max_mb:g} MiB last {report['outbox_hours']:,} hours, then "
        + (
            f"the oldest are thinned to {settings.limits.thin_to_s} s"
            if settings.limits.policy == "thin"
            else "the oldest are dropped"
        )
    )
    for load, (line, units) in zip(loads, plan.lines, strict=True):
        print(f"  line {line.code} {line.kind} {line.address}: {_load(load)}")
        for unit in units:
            _show_unit(unit)


def _load(load: LineLoad) -> str:
    basis = "reckoned" if load.reckoned else "if replies take as long as assumed"
    tight = ", TIGHT" if load.busy > _BUSY else ""
    return (
        f"busy {load.busy:.1%} of the time ({basis}{tight}), longest scan "
        f"{load.longest_scan_s:.3g} s of {load.period_s:g} s, a silent unit costs "
        f"{load.silent_s:g} s"
    )


def _show_unit(unit: UnitPlan) -> None:
    parts = ", ".join(f"{p.device.code} at {p.point} ({p.profile.code})" for p in unit.parts)
    print(f"    unit {unit.unit:3} every {unit.period_s:g} s: {parts}")
    for block in unit.blocks:
        names = ", ".join(r.name for r in block.registers)
        print(f"      {block.place}: {names}")


def _refusal(load: LineLoad, reply_ms: float) -> str:
    basis = f"at {load.line.baud} baud" if load.reckoned else f"if a reply takes {reply_ms:g} ms"
    return (
        f"line {load.line.code!r} cannot be read in time: a scan takes {load.longest_scan_s:.3g} s "
        f"{basis}, its period is {load.period_s:g} s, and the line would be busy {load.busy:.0%} "
        "of the time: longer periods, `quantity_period_s` for what may be slow, `only` for what is "
        "wanted, or a second line - at `$.line`"
    )
