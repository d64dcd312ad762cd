"""Wiring faults found while the agent runs, from what its pollers read anyway.

Every sample is taken by reference, one instant a minute is followed, and a unit is judged every
quarter of an hour. A finding is raised when it has been there for an hour, or where generation that
nobody described could show the same, for a whole day and night; it goes when it is gone for half an
hour. What is not there because there is too little load counts neither way.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from edge_agent.commissioning.conclusion import rate_of
from edge_agent.commissioning.findings import Finding, make_finding
from edge_agent.commissioning.phase_angles import Flow, phase_loads
from edge_agent.commissioning.progress import Stretch
from edge_agent.commissioning.scaling import BlockScaling, installation_of, scalings_of
from edge_agent.commissioning.wiring import (
    Ratios,
    energy_findings,
    phase_findings,
    power_findings,
    shift_findings,
)
from edge_agent.lines.exchange import UnitAddress
from edge_agent.plan import ReadPlan, UnitPlan
from edge_agent.poller import Sample
from edge_agent.power_check import Measured, PowerCheck, check_power
from enpilot.plant import Plant

__all__ = ["WiringWatch", "expected_flow"]

_LOOK_EVERY_US: Final = 60_000_000
_JUDGE_EVERY_US: Final = 900_000_000
_TOGETHER_US: Final = 5_000_000
_HOUR_US: Final = 3_600_000_000
_DAY_US: Final = 24 * _HOUR_US
_RAISE: Final = 4
_RAISE_HOURS: Final = 3
# The sun is away for longer each night.
_LONGEST_GAP_US: Final = 3 * _HOUR_US
_MORE_THAN_PARENT: Final = 1.2
_CLEAR: Final = 2
_KEPT: Final = 4
_SAME_STEPS: Final = 2
_MOVED_STEPS: Final = 10
# A sun that nobody described turns phases and totals round, but not at night.
_BY_ANGLE: Final = frozenset({"reversed_ct", "ct_wrong_phase"})
_SLOW: Final = _BY_ANGLE | {"swapped_meters"}
_BY_ENERGY: Final = "energy: "
_LONGEST_US: Final = 2 * 900_000_000


@dataclass(slots=True)
class _Suspicion:
    since_us: int
    finding: Finding
    last_us: int = 0
    seen: int = 0
    gone: int = 0
    raised: bool = False


@dataclass(slots=True)
class _Energy:
    """A counter against its rate over an hour, and what the last hours said."""

    stretch: Stretch = field(default_factory=lambda: Stretch(max_gap_s=180.0))
    findings: list[Finding] = field(default_factory=list)
    judged: bool = False


@dataclass(slots=True)
class _Watched:
    """One point: what it was like at the last looks, and what is suspected.

    Suspicions that rest on a counter's hours are kept apart from those of an instant.
    """

    point: str
    device: str
    profile: str
    part: int
    flow: Flow
    ratios: Ratios
    counter: str | None
    rate: str | None
    per_rate: float
    values: dict[str, Measured] = field(default_factory=dict)
    at_us: int = 0
    history: list[dict[str, Measured]] = field(default_factory=list)
    energy: _Energy = field(default_factory=_Energy)
    suspicions: dict[str, _Suspicion] = field(default_factory=dict)


@dataclass(slots=True)
class _Unit:
    """One physical unit: its latest samples, and which of them says that all are there."""

    groups: tuple[int, ...]
    points: list[_Watched]
    look_us: int = 0
    judge_us: int = 0


class WiringWatch:
    """Watch the wiring of everything that an agent reads.

    Memory is bounded: a sample of each block, and four looks of each point. It neither reads nor
    waits; `observe` belongs into the event loop.

    Parameters
    ----------
    plan
        What the agent reads.
    plant
        For ratios, parents and generation.
    now
        Which installations count; left out, the present.
    """

    def __init__(self, plan: ReadPlan, plant: Plant, now: dt.datetime | None = None) -> None:
        at = now or dt.datetime.now(dt.UTC)
        self._scalings: dict[int, BlockScaling] = {}
        self._latest: dict[int, Sample] = {}
        # Only the last block of a unit's slowest plan is looked at; the others wait for it.
        self._last_of: dict[int, _Unit] = {}
        self._twins: dict[tuple[str, str], tuple[int, float, _Suspicion]] = {}
        self._points: list[_Watched] = []
        self._by_point: dict[str, _Watched] = {}
        self._twins_us = 0
        self._parents = {p.code: p.parent for p in plant.point if p.parent is not None}
        for _, plans in plan.lines:
            by_unit: dict[UnitAddress, list[UnitPlan]] = {}
            for unit_plan in plans:
                by_unit.setdefault(unit_plan.unit, []).append(unit_plan)
            for unit_plans in by_unit.values():
                self._add(unit_plans, plant, at)

    def _add(self, plans: list[UnitPlan], plant: Plant, at: dt.datetime) -> None:
        parts = plans[0].parts
        installed = {p.device.code: installation_of(plant, p.device.code, at) for p in parts}
        for plan in plans:
            self._scalings |= scalings_of(plan.blocks, plan.parts, installed)
        asked = [p for p in plans if p.period_s * 1e6 <= _LONGEST_US] or plans
        watched = []
        for number, part in enumerate(parts):
            i = installed[part.device.code]
            direction = next((p.direction for p in plant.point if p.code == part.point), "import")
            counter, rate, per_rate = rate_of(part.profile, direction)
            watched.append(
                _Watched(
                    part.point, part.device.code, part.profile.code, number,
                    expected_flow(plant, part.point),
                    Ratios(float(i.ct_ratio), float(i.pt_ratio)), counter, rate, per_rate,
                )
            )  # fmt: skip
        groups = tuple(b.group for p in asked for b in p.blocks)
        slowest = max(asked, key=lambda p: p.period_s)
        self._points += watched
        self._by_point |= {w.point: w for w in watched}
        self._last_of[slowest.blocks[-1].group] = _Unit(groups, watched)

    def observe(self, sample: Sample) -> None:
        """Take note of a sample, as a poller delivers it."""
        group = sample.group
        self._latest[group] = sample
        unit = self._last_of.get(group)
        if unit is not None and sample.ts_us >= unit.look_us:
            self._look(unit, sample.ts_us)

    def findings(self) -> list[Finding]:
        """Return what is wrong now, by point and code."""
        raised = {
            (s.finding.point, s.finding.code): s.finding
            for w in self._points
            for s in w.suspicions.values()
            if s.raised
        }
        for *_, s in self._twins.values():
            if s.raised:
                raised[s.finding.point, s.finding.code] = s.finding
        return [raised[key] for key in sorted(raised)]

    def codes_by_device(self) -> list[tuple[str, str]]:
        """Return the findings' codes with the devices that they concern, as a status has them."""
        return [(f.code, self._by_point[f.point].device) for f in self.findings()]

    def take_over(self, before: WiringWatch) -> None:
        """Go on from the watch of an earlier plan, for points that are measured as they were."""
        for watched in self._points:
            old = before._by_point.get(watched.point)
            if old is None or _measured_by(old) != _measured_by(watched):
                continue
            watched.history, watched.energy = old.history, old.energy
            watched.suspicions = old.suspicions

    def _look(self, unit: _Unit, ts_us: int) -> None:
        unit.look_us = ts_us + _LOOK_EVERY_US
        for watched in unit.points:
            watched.values = {}
            watched.at_us = ts_us
        for group in unit.groups:
            sample = self._latest.get(group)
            if sample is None or abs(ts_us - sample.ts_us) > _TOGETHER_US:
                continue
            amounts = self._scalings[group].apply(sample.values, sample.quality)
            for watched in unit.points:
                if watched.part < len(amounts):
                    watched.values |= amounts[watched.part]
        for watched in unit.points:
            self._follow(watched)
        if not unit.judge_us:
            unit.judge_us = ts_us + _JUDGE_EVERY_US
        if ts_us >= unit.judge_us:
            unit.judge_us = ts_us + _JUDGE_EVERY_US
            for watched in unit.points:
                _judge(watched)
            self._compare(ts_us)
            for watched in unit.points:
                self._compare_with_parent(watched)

    def _compare_with_parent(self, watched: _Watched) -> None:
        """A child that takes more than its parent, day and night: exchanged, or a wrong ratio."""
        above = self._parents.get(watched.point)
        parent = self._by_point.get(above or "")
        if parent is None or watched.flow != "import":
            return
        own = watched.values.get("active_power.total")
        whole = parent.values.get("active_power.total")
        if own is None or whole is None or watched.at_us - parent.at_us > 2 * _LOOK_EVERY_US:
            return
        found = {}
        if own.value > _MORE_THAN_PARENT * max(whole.value, 0.0) + 5 * (own.step + whole.step):
            text = (
                f"本测点功率一直大于上级 {parent.point}：两块表可能互换，或变比不符。",
                (
                    f"The point always takes more than {parent.point} above it: the meters may be "
                    "exchanged, or a ratio is wrong."
                ),
            )
            evidence: dict[str, float | str] = {
                "power_kw": own.value, "parent_power_kw": whole.value, "other_point": parent.point,
            }  # fmt: skip
            found["swapped_meters"] = make_finding("swapped_meters", text, evidence, "possible")
        _settle(watched, found, {"swapped_meters"})

    def _follow(self, watched: _Watched) -> None:
        level = watched.values.get(watched.counter or "")
        rate = watched.values.get(watched.rate or "")
        energy = watched.energy
        if level is None or rate is None:
            return
        amount = Measured(abs(level.value), level.step)
        if not energy.stretch.add(watched.at_us / 1e6, amount, rate.value * watched.per_rate):
            energy.stretch = Stretch(max_gap_s=180.0)
            energy.stretch.add(watched.at_us / 1e6, amount, rate.value * watched.per_rate)
        s = energy.stretch
        # Longer than an hour where the counter is coarse, but not for ever.
        enough = s.advance >= 20 * s.step
        if s.seconds >= 3600 and (enough or s.seconds >= 24 * 3600):
            energy.judged = enough and not s.turned
            energy.findings = (
                energy_findings(s.advance, s.integral, s.step, watched.ratios)
                if energy.judged
                else []
            )
            energy.stretch = Stretch(max_gap_s=180.0)

    def _compare(self, ts_us: int) -> None:
        """Look for two points that read one unit: the same counter, again and again, moving."""
        if ts_us < self._twins_us:
            return
        self._twins_us = ts_us + _JUDGE_EVERY_US
        levels = sorted(
            (abs(level.value), level.step, w.point, w)
            for w in self._points
            if (level := w.values.get(w.counter or "")) is not None
            and level.value
            and ts_us - w.at_us <= 2 * _LOOK_EVERY_US
        )
        known, self._twins = self._twins, {}
        for (a, step, first, one), (b, other_step, second, two) in itertools.pairwise(levels):
            pair = (min(first, second), max(first, second))
            rate = one.values.get(one.rate or "")
            apart_s = abs(one.at_us - two.at_us) / 1e6
            flowed = 0.0 if rate is None else abs(rate.value) * one.per_rate * apart_s / 3600
            if b - a > _SAME_STEPS * max(step, other_step) + 1.5 * flowed or not _alike(one, two):
                continue
            since = known.get(pair)
            if since is None:
                self._twins[pair] = (0, a, _Suspicion(ts_us, _same_unit(*pair)))
                continue
            times, level_before, suspicion = since
            moved = a - level_before >= _MOVED_STEPS * step
            times += moved
            suspicion.raised = times >= _RAISE
            self._twins[pair] = (times, a if moved else level_before, suspicion)


def expected_flow(plant: Plant, point: str) -> Flow:
    """Return which way energy flows at a point for certain, as far as the plant file tells.

    A point that takes energy may feed some back if anything in the plant generates or feeds out;
    then, and for points that are meant to, nothing is certain.
    """
    own = next((p for p in plant.point if p.code == point), None)
    if own is None or own.medium != "electricity":
        return "either"
    if any(
        p.medium == "electricity" and (p.role == "generation" or p.direction == "export")
        for p in plant.point
    ):
        return "either"
    return "import"


def _measured_by(watched: _Watched) -> tuple[object, ...]:
    return watched.device, watched.profile, watched.ratios, watched.flow, watched.counter


def _judge(watched: _Watched) -> None:
    values = watched.values
    if not values:
        return
    watched.history.append(values)
    del watched.history[:-_KEPT]
    found: dict[str, Finding] = {}
    looked: set[str] = set()
    loads = phase_loads(values)
    if loads or "active_power.total" in values:
        looked |= {"missing_phase", "register_off_by_one"}
        if loads or _has_load(values):
            looked |= _BY_ANGLE
    for f in phase_findings(values, watched.flow):
        found[f.code] = f
    if "missing_phase" not in found:  # a meter may take its frequency from that phase
        for f in shift_findings(values, {}):
            found[f.code] = f
    if len(watched.history) == _KEPT and isinstance(check_power(values), PowerCheck):
        looked |= {"wrong_ratio", "kvar_as_kw"}
        for f in power_findings(watched.history, watched.ratios):
            found[f.code] = f
    if watched.energy.judged:
        watched.energy.judged = False
        looked |= {f"{_BY_ENERGY}energy_unit", f"{_BY_ENERGY}wrong_ratio"}
        for f in watched.energy.findings:
            found[f"{_BY_ENERGY}{f.code}"] = f
    _settle(watched, found, looked)


def _has_load(values: Mapping[str, Measured]) -> bool:
    power = values.get("active_power.total")
    return power is not None and abs(power.value) > 20 * power.step


def _settle(watched: _Watched, found: Mapping[str, Finding], looked: set[str]) -> None:
    for code, finding in found.items():
        s = watched.suspicions.get(code)
        at = _placed(finding, watched.point)
        if s is None or not (s.raised or _goes_on(s, finding, watched.at_us, code)):
            s = watched.suspicions[code] = _Suspicion(watched.at_us, at)
        s.finding, s.gone, s.last_us = at, 0, watched.at_us
        s.seen += 1
        s.raised = s.raised or _is_lasting(code, s, watched.at_us)
    for code in (looked - set(found)) & set(watched.suspicions):
        s = watched.suspicions[code]
        s.gone += 1
        if not s.raised or s.gone >= _CLEAR:
            del watched.suspicions[code]


def _goes_on(suspicion: _Suspicion, finding: Finding, now_us: int, code: str) -> bool:
    paused = code in _SLOW and now_us - suspicion.last_us > _LONGEST_GAP_US
    return suspicion.finding.phases == finding.phases and not paused


def _is_lasting(code: str, suspicion: _Suspicion, now_us: int) -> bool:
    lasted_us = now_us - suspicion.since_us
    if code.startswith(_BY_ENERGY):
        return suspicion.seen >= _RAISE_HOURS
    if code in _SLOW:
        return lasted_us >= _DAY_US
    return suspicion.seen >= _RAISE and lasted_us >= _HOUR_US - _JUDGE_EVERY_US


def _placed(finding: Finding, point: str) -> Finding:
    fields = {name: getattr(finding, name) for name in finding.__struct_fields__}
    return Finding(**fields | {"point": point})


def _alike(one: _Watched, two: _Watched) -> bool:
    """Whether voltages are the same too, where both have them."""
    names = [n for n in one.values if n in two.values and n.startswith("voltage.")]
    return all(
        abs(one.values[n].value - two.values[n].value) <= 0.02 * abs(one.values[n].value)
        for n in names
    )


def _same_unit(first: str, second: str) -> Finding:
    return make_finding(
        "same_unit_twice",
        (
            f"测点 {first} 与 {second} 的计数一直相同：同一块表可能被读了两次。",
            (
                f"The counters of points {first} and {second} are always the same: one unit may be "
                "read twice."
            ),
        ),
        {"other_point": second},
        "likely",
        point=first,
    )
