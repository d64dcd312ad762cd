"""Every detector over a site's points: base load, closed hours, odd runs, idle machines, ratios."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analytics.accounting.holidays import DayKind
from analytics.waste.base_load import (
    BaseLoad,
    Rise,
    base_load,
    base_load_rise,
    closed_load,
    learned_closed,
    night,
)
from analytics.waste.declared import DeclaredMachine, DeclaredRatio
from analytics.waste.doubtful_meters import find_doubtful_meters
from analytics.waste.found import Waste, WasteKind
from analytics.waste.job import Job
from analytics.waste.machine_states import (
    MachineState,
    PowerBands,
    find_power_bands,
    idle_energy,
    states_by_output,
    states_by_power,
)
from analytics.waste.meter_checks import check_ratio
from analytics.waste.quarter_hours import (
    QUARTERS_AN_HOUR,
    LocalQuarters,
    QuarterHours,
)
from analytics.waste.weekly_profile import deviations, expected_profile

__all__ = ["BaseLoadRow", "base_loads", "find_waste"]

# Smaller shares are within what a works does not notice, and detectors do not tell from noise.
_CLOSED_SHARE: Final = 0.05
_CLOSED_HOURS: Final = 2.0
_IDLE_SHARE: Final = 0.03
_IDLE_HOURS: Final = 1.0
_FEWEST_RATIO_DAYS: Final = 7
_OFF_SHARE: Final = 0.02
_DAY: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class BaseLoadRow:
    """The base load of a point at certain hours, and its rise against last year's season."""

    point_id: int
    hours: str
    load: BaseLoad
    rise: Rise | None
    unit: str
    simulated: bool


def find_waste(job: Job) -> list[Waste]:
    """Look for every kind of waste and every doubtful meter.

    Parameters
    ----------
    job
        Loads and facts of a site.

    Returns
    -------
    list of Waste
        Not priced, in no order. The same energy may be found by several detectors, and at a meter
        and the one above it: findings are not added up.

    Notes
    -----
    F23, F31, F33, F38. Nothing is found on days of a planned shutdown.
    """
    found: list[Waste] = []
    for point_id in job.points():
        found += [*_risen(job, point_id), *_closed(job, point_id), *_exceeded(job, point_id)]
        found += find_doubtful_meters(job, point_id)
    at = job.quarters.instant(len(job.quarters.day)) - dt.timedelta(minutes=15)
    for machine in job.declared.machines:
        if machine.at(at) and machine.point_id in job.declared.place:
            found += _idle(job, machine)
    for ratio in job.declared.ratios:
        if ratio.at(at):
            found += _ratio(job, ratio)
    return found


def base_loads(job: Job) -> list[BaseLoadRow]:
    """Measure each point's base load at all hours, nights, weekends and holidays.

    Parameters
    ----------
    job
        Loads and facts of a site.

    Returns
    -------
    list of BaseLoadRow
        Without hours of which too little is known.

    Notes
    -----
    The year before is the same 52 weeks earlier, the same season and weekdays (F8).
    """
    rows = []
    for point_id in job.points():
        used = job.load(point_id)
        for hours, when in _hours(job.quarters).items():
            load = base_load(used, job.quarters, when & job.judged)
            if load is not None:
                rise = _rise(job, point_id, hours, load)
                unit = job.loads.unit(point_id)
                rows.append(BaseLoadRow(point_id, hours, load, rise, unit, used.simulated))
    return rows


def _hours(quarters: LocalQuarters) -> dict[str, NDArray[np.bool_]]:
    running = ~quarters.of_kind(DayKind.SHUTDOWN)
    return {
        "all": running,
        "night": night(quarters) & running,
        "weekend": quarters.of_kind(DayKind.REST),
        "holiday": quarters.of_kind(DayKind.HOLIDAY),
    }


def _rise(job: Job, point_id: int, hours: str, load: BaseLoad) -> Rise | None:
    earlier = None if job.before is None else job.before.of(point_id)
    if job.before is None or earlier is None:
        return None
    quarters = job.before.quarters
    before = base_load(earlier, quarters, _hours(quarters)[hours])
    return None if before is None else base_load_rise(load, before)


def _risen(job: Job, point_id: int) -> Iterator[Waste]:
    used = job.load(point_id)
    when = _hours(job.quarters)["all"] & job.judged
    load = base_load(used, job.quarters, when)
    rise = None if load is None else _rise(job, point_id, "all", load)
    if load is None or rise is None or not rise.is_significant:
        return
    own = when & used.known
    evidence = {
        "rate": load.rate, "rate_before": rise.before, "rise": rise.rate, "p": rise.p,
        "days": load.days, "unit": f"{job.loads.unit(point_id)}/h",
    }  # fmt: skip
    by_quarter = np.where(own, rise.rate / QUARTERS_AN_HOUR, 0.0)
    yield job.waste(WasteKind.BASE_LOAD_RISEN, point_id, by_quarter, evidence, known=own)


def _closed(job: Job, point_id: int) -> Iterator[Waste]:
    used, quarters = job.load(point_id), job.quarters
    hours = job.declared.hours_of(point_id, quarters.instant(len(quarters.day) - 1))
    closed = learned_closed(used, quarters) if hours is None else hours.closed(quarters)
    if closed is None:
        return
    own = closed & job.judged & ~quarters.of_kind(DayKind.SHUTDOWN)
    found = closed_load(used, own)
    if (
        found is None
        or found.hours_above < _CLOSED_HOURS
        or found.avoidable < _CLOSED_SHARE * abs(found.amount)
    ):
        return
    evidence = {
        "closed_hours": found.hours, "hours_above": found.hours_above, "amount": found.amount,
        "usual_rate": found.usual_rate, "learned": hours is None,
    }  # fmt: skip
    yield job.waste(
        WasteKind.CLOSED_HOURS_LOAD, point_id, found.above, evidence,
        subject="" if hours is None else hours.code, known=used.known,
    )  # fmt: skip


def _exceeded(job: Job, point_id: int) -> Iterator[Waste]:
    used = job.load(point_id)
    expected = expected_profile(used, job.quarters, job.since)
    for run in deviations(used, expected):
        by_quarter = np.zeros(len(used.amount))
        own = slice(run.first, run.after)
        both = (used.known & expected.known)[own]
        by_quarter[own] = np.where(both, used.amount[own] - expected.amount[own], 0.0)
        evidence = {"hours": run.hours, "expected": run.expected, "z": run.z}
        yield job.waste(
            WasteKind.PROFILE_EXCEEDED, point_id, by_quarter, evidence, run=(run.first, run.after)
        )


def _idle(job: Job, machine: DeclaredMachine) -> Iterator[Waste]:
    used = job.loads.of(machine.point_id)
    if used is None:
        return
    told_by, states, bands = _states(job, machine, used)
    if states is None:
        return
    states = np.where(job.judged, states, MachineState.UNKNOWN).astype(np.int8)
    states[job.quarters.of_kind(DayKind.SHUTDOWN)] = MachineState.UNKNOWN
    found = idle_energy(used, states)
    if found.share < _IDLE_SHARE or found.hours < _IDLE_HOURS:
        return
    evidence: dict[str, Any] = {
        "told_by": told_by, "hours": found.hours, "running_hours": found.running_hours,
        "share": found.share, "by_shift": _by_shift(job, found.by_quarter),
    }  # fmt: skip
    if bands is not None:
        evidence |= {"idle_from": bands.idle_from, "running_from": bands.running_from}
    yield job.waste(
        WasteKind.MACHINE_IDLE, machine.point_id, found.by_quarter, evidence,
        subject=machine.code, known=states != MachineState.UNKNOWN,
    )  # fmt: skip


def _states(
    job: Job, machine: DeclaredMachine, used: QuarterHours
) -> tuple[str, NDArray[np.int8] | None, PowerBands | None]:
    """Return what tells a machine's states, the states, and its bands if power tells them."""
    if machine.status_series_id is not None:
        value, known = job.loads.status(machine.status_series_id)
        state = np.where(
            np.isin(value, machine.idle_values),
            MachineState.IDLE,
            np.where(np.isin(value, machine.off_values), MachineState.OFF, MachineState.RUNNING),
        )
        told = known & used.known
        return "status", np.where(told, state, MachineState.UNKNOWN).astype(np.int8), None
    if machine.output_point_id is not None:
        made = job.loads.of(machine.output_point_id)
        top = float(np.quantile(used.rate[used.known], 0.95)) if used.known.any() else 0.0
        idle_from = _OFF_SHARE * top if machine.idle_from is None else machine.idle_from
        states = None if made is None else states_by_output(used, made, idle_from)
        return "output", states, None
    if machine.idle_from is not None and machine.running_from is not None:
        bands: PowerBands | None = PowerBands(machine.idle_from, machine.running_from)
        told_by = "declared_bands"
    else:
        bands, told_by = find_power_bands(used), "found_bands"
    return told_by, None if bands is None else states_by_power(used, bands), bands


def _by_shift(job: Job, by_quarter: NDArray[np.float64]) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    begin, n = job.quarters.since, len(by_quarter)
    for shift in job.shifts.shifts_of(job.since - _DAY, job.until):
        low, high = (int((at - begin).total_seconds() // 900) for at in job.shifts.span(shift))
        found[shift.shift] += float(by_quarter[max(0, low) : max(0, min(n, high))].sum())
    return dict(found)


def _ratio(job: Job, declared: DeclaredRatio) -> Iterator[Waste]:
    place = job.declared.place
    if not {declared.numerator_id, declared.denominator_id} <= place.keys():
        return
    above, below = job.loads.of(declared.numerator_id), job.loads.of(declared.denominator_id)
    if above is None or below is None:
        return
    numerator, whole = above.day_sums(job.quarters)
    denominator, also = below.day_sums(job.quarters)
    judged = np.array([d >= job.since for d in job.quarters.days], dtype=np.bool_)
    found = check_ratio(numerator, denominator, whole & also & judged, declared.low, declared.high)
    if found is None or found.inside or found.days < _FEWEST_RATIO_DAYS:
        return
    evidence = {
        "ratio": found.ratio, "low": declared.low, "high": declared.high, "days": found.days,
        "numerator": found.numerator, "denominator": found.denominator,
        "of": place[declared.denominator_id].code,
    }  # fmt: skip
    own = (whole & also & judged & (denominator > 0))[job.quarters.day]
    by_quarter = None
    if found.excess > 0:
        by_quarter = np.where(own, above.amount * (found.excess / found.numerator), 0.0)
    yield job.waste(
        WasteKind.RATIO_OUT_OF_RANGE, declared.numerator_id, by_quarter, evidence,
        subject=declared.code, known=own,
    )  # fmt: skip
