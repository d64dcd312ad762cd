"""Alert rules: what is watched, when it counts, whom it concerns; and what to change in presets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta, field

from enpilot.forms import DecimalText
from enpilot.plant.base import Code, Dated, Names, Strict

if TYPE_CHECKING:
    from enpilot.plant.model import Plant

__all__ = [
    "AlertDay",
    "AlertPreset",
    "AlertRule",
    "AlertSchedule",
    "EscalationStep",
    "RuleKind",
    "RuleWatch",
    "check_alerts",
    "references",
]

RuleKind: TypeAlias = Literal[
    "threshold", "enpi", "target_path", "demand", "cost", "expected", "data_quality", "finding",
    "silent", "gateway", "deadline", "output_missing", "correction",
]  # fmt: skip
AlertDay: TypeAlias = Literal["workday", "rest", "holiday", "shutdown"]
_Severity: TypeAlias = Literal["note", "warning", "fault"]
_Seconds = Annotated[int, Meta(ge=0)]
_Hours = Annotated[
    str,
    Meta(
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)\Z",
        description='hours such as "22:00-06:00"; past midnight if they end before they begin',
    ),
]
# Rules that are shipped; analytics holds what they say.
PRESETS: Final = (
    "gateway-down", "meter-silent", "meter-stuck", "demand-about-to-exceed", "power-factor-low",
    "output-missing", "coverage-falling", "completeness-low", "calibration-60-days",
    "calibration-30-days", "report-due", "month-to-close", "correction-waiting",
    "month-behind-target", "parent-below-children", "energy-and-power-differ",
    "ratio-out-of-range", "closed-hours-load", "pv-below-expected", "cost-deviates",
    "tariff-expires", "factor-expires", "invoice-differs", "fault-open",
)  # fmt: skip
# What a rule of a kind may measure; the first is what it measures if it does not say.
MEASURES: Final[dict[str, tuple[str, ...]]] = {
    "threshold": ("level", "rate"),
    "enpi": ("over_target", "intensity", "progress"),
    "cost": ("deviation", "yuan", "power_factor"),
    "data_quality": ("coverage", "reporting_completeness", "index"),
    "finding": ("age", "working_days"),
    "deadline": ("calibration", "tariff", "factor", "yearly_report", "monthly_report"),
}
_PERIODS: Final[dict[str, tuple[str, ...]]] = {
    "enpi": ("month", "year_to_date", "day", "quarter", "rolling_12"),
    "cost": ("day", "month", "billing"),
}
# Kinds whose subjects are of a table of the plant file, and may be named by their codes.
_SUBJECTS: Final = {
    "enpi": "enpi", "target_path": "enpi", "demand": "account", "cost": "account",
    "expected": "baseline", "data_quality": "point", "silent": "point", "gateway": "agent",
    "output_missing": "product",
}  # fmt: skip


class AlertSchedule(Strict, kw_only=True):
    """When a rule counts: local hours, kinds of days, shifts; all of them if it says nothing."""

    hours: list[_Hours] = []
    days: list[AlertDay] = []
    shifts: list[Code] = []


class EscalationStep(Strict, kw_only=True):
    """Who else is told, or how loudly, if nobody acknowledged for a while."""

    after_min: Annotated[int, Meta(ge=1)]
    severity: _Severity | None = None
    recipients: str = ""


class RuleWatch(Strict, kw_only=True):
    """What a rule of a kind other than ``threshold`` watches; see docs/reference/alerts.md."""

    measure: str | None = None
    period: str | None = None
    subjects: list[str] = []
    codes: list[str] = []
    severities: list[_Severity] = []
    roles: list[Literal["boundary", "sub", "generation", "production", "check"]] = []
    window_s: Annotated[int, Meta(ge=900, multiple_of=900)] = 900
    of_contract: bool = False
    by: dt.time | None = None


class AlertRule(Dated, kw_only=True):
    """Something that is watched, and what happens when it is beyond its threshold.

    Of the kind ``threshold`` it is a series, by ``point``, ``quantity`` and ``channel``: its level,
    or with ``watch.measure = "rate"`` the advance of a counter per hour.
    """

    code: Code
    name: Names
    kind: RuleKind = "threshold"
    point: Code | None = None
    quantity: str | None = None
    channel: str = "total"
    watch: RuleWatch = field(default_factory=RuleWatch)
    comparison: Literal["above", "below"]
    threshold: DecimalText
    hysteresis: DecimalText = "0"
    for_s: _Seconds = 0
    period_s: Annotated[int, Meta(ge=1)] | None = None
    severity: _Severity = "warning"
    schedule: AlertSchedule = field(default_factory=AlertSchedule)
    mute_in_shutdown: bool = True
    escalation: list[EscalationStep] = []
    remind_s: _Seconds = 14400
    flaps: Annotated[int, Meta(ge=1)] = 3
    flap_s: _Seconds = 1800
    owner: str = ""
    recipients: str = ""
    runbook: Names = field(default_factory=lambda: Names(zh="", en=""))
    page: str = ""


class AlertPreset(Dated, kw_only=True):
    """What is other at this site than in the preset of this code; left out, as shipped."""

    code: Code
    enabled: bool = True
    threshold: DecimalText | None = None
    hysteresis: DecimalText | None = None
    for_s: _Seconds | None = None
    period_s: Annotated[int, Meta(ge=1)] | None = None
    severity: _Severity | None = None
    schedule: AlertSchedule | None = None
    mute_in_shutdown: bool | None = None
    escalation: list[EscalationStep] | None = None
    remind_s: _Seconds | None = None
    owner: str | None = None
    recipients: str | None = None
    by: dt.time | None = None

    def changes(self) -> dict[str, Any]:
        """Return what it changes, as JSON values by key."""
        said = msgspec.to_builtins(self)
        kept = {k: v for k, v in said.items() if v is not None}
        return {k: v for k, v in kept.items() if k not in ("code", "enabled", "from", "to")}


def references(plant: Plant) -> Iterator[tuple[str, str | None, str]]:
    """Yield path, code and kind of everything that rules refer to.

    Parameters
    ----------
    plant
        A plant file.

    Yields
    ------
    tuple
        Path, code, and the kind of thing it names.
    """
    for i, r in enumerate(plant.rule):
        yield f"$.rule[{i}].point", r.point, "point"
        kind = _SUBJECTS.get(r.kind)
        if kind in ("enpi", "point", "agent", "baseline", "product"):
            for j, code in enumerate(r.watch.subjects):
                yield f"$.rule[{i}].watch.subjects[{j}]", code, kind


def check_alerts(plant: Plant) -> Iterator[str]:
    """Yield every mistake of alert rules and presets.

    Parameters
    ----------
    plant
        A plant file whose references hold.

    Yields
    ------
    str
        A mistake with its path and remedy.
    """
    shifts = {s.code for s in plant.shift}
    accounts = {a.code for a in plant.account}
    rules = {r.code for r in plant.rule}
    for i, r in enumerate(plant.rule):
        path = f"$.rule[{i}]"
        yield from _rule_mistakes(r, path, accounts)
        yield from _schedule_mistakes(r.schedule, shifts, f"{path}.schedule")
        yield from _step_mistakes(r.escalation, f"{path}.escalation")
    for i, p in enumerate(plant.preset):
        path = f"$.preset[{i}]"
        if p.code not in PRESETS:
            yield f"no preset {p.code!r}; there are: {', '.join(PRESETS)} - at `{path}.code`"
        if p.code in rules:
            yield f"{p.code!r} is a rule of this file and a preset: rename the rule - at `{path}`"
        if p.schedule is not None:
            yield from _schedule_mistakes(p.schedule, shifts, f"{path}.schedule")
        yield from _step_mistakes(p.escalation or (), f"{path}.escalation")


def _rule_mistakes(r: AlertRule, path: str, accounts: set[str]) -> Iterator[str]:
    if r.kind == "threshold":
        if r.point is None or r.quantity is None:
            yield f"a threshold needs the `point` and `quantity` of its series - at `{path}`"
    elif r.point is not None or r.quantity is not None:
        yield (
            f"only a threshold has `point` and `quantity`; a rule of kind {r.kind!r} names its"
            f" `watch.subjects` - at `{path}`"
        )
    for key, known in (("measure", MEASURES), ("period", _PERIODS)):
        said = getattr(r.watch, key)
        words = known.get(r.kind, ())
        if said is not None and said not in words:
            yield (
                f"a rule of kind {r.kind!r} knows no {key} {said!r} (it knows:"
                f" {', '.join(words) or 'none'}) - at `{path}.watch.{key}`"
            )
    if r.kind == "finding" and not (r.watch.codes or r.watch.severities):
        yield f"say which findings: `watch.codes` or `watch.severities` - at `{path}.watch`"
    if r.kind == "deadline" and r.watch.measure is None:
        yield (
            f"say which deadline: `watch.measure` {', '.join(MEASURES['deadline'])}"
            f" - at `{path}.watch.measure`"
        )
    if _SUBJECTS.get(r.kind) == "account":
        for j, code in enumerate(r.watch.subjects):
            if code not in accounts:
                yield f"no account {code!r} in this file - at `{path}.watch.subjects[{j}]`"


def _schedule_mistakes(schedule: AlertSchedule, shifts: set[str], path: str) -> Iterator[str]:
    for j, code in enumerate(schedule.shifts):
        if code not in shifts:
            yield f"no shift {code!r} in this file - at `{path}.shifts[{j}]`"


def _step_mistakes(steps: object, path: str) -> Iterator[str]:
    assert isinstance(steps, list | tuple)
    minutes = [s.after_min for s in steps]
    if minutes != sorted(set(minutes)):
        yield f"steps are in order, each later than the one before - at `{path}`"


assert set(MEASURES) <= set(get_args(RuleKind))
