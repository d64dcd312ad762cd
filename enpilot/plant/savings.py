"""Retrofits that promise savings, what else changed, and the programmes they belong to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from enpilot.forms import DecimalText, PositiveDecimalText
from enpilot.plant.base import Code, Dated, Names

if TYPE_CHECKING:
    from enpilot.plant.model import Plant

__all__ = ["NonRoutineAdjustment", "Programme", "Retrofit", "check_savings", "references"]


class Programme(Dated, kw_only=True):
    """What an authority promises over many sites; its code is one in the whole system."""

    code: Code
    name: Names
    goal_projects: Annotated[int, Meta(ge=1)] | None = None
    goal_tce_per_year: PositiveDecimalText | None = None


class Retrofit(Dated, kw_only=True):
    """A project and its windows; days, each ``to`` the day after the last.

    Its boundary, baseline window and variables are those of its ``baseline``. ``overlaps`` names
    projects that may save the same energy; ``scheme`` converts the energy of points to tce.
    """

    code: Code
    name: Names
    kind: Literal["efficiency", "renewable", "fuel_switch"] = "efficiency"
    option: Literal["B", "C"]
    baseline: Code
    implementation_from: dt.date
    implementation_to: dt.date
    reporting_from: dt.date
    reporting_to: dt.date | None = None
    promised_tce_per_year: PositiveDecimalText | None = None
    cost_yuan: PositiveDecimalText | None = None
    programme: Code | None = None
    overlaps: list[Code] = []
    scheme: Code | None = None


class NonRoutineAdjustment(Dated, kw_only=True):
    """What changed the energy from .. to for another reason than a retrofit.

    ``amount_per_month`` [energy unit of the baseline] is positive where it raised the energy.
    """

    code: Code
    retrofit: Code
    amount_per_month: DecimalText
    reason: str
    evidence: str


def references(plant: Plant) -> Iterator[tuple[str, str | None, str]]:
    """Yield path, code and kind of everything that retrofits and adjustments refer to."""
    for i, r in enumerate(plant.retrofit):
        yield f"$.retrofit[{i}].baseline", r.baseline, "baseline"
        yield f"$.retrofit[{i}].programme", r.programme, "programme"
        yield f"$.retrofit[{i}].scheme", r.scheme, "scheme"
        for j, other in enumerate(r.overlaps):
            yield f"$.retrofit[{i}].overlaps[{j}]", other, "retrofit"
    for i, a in enumerate(plant.non_routine_adjustment):
        yield f"$.non_routine_adjustment[{i}].retrofit", a.retrofit, "retrofit"


def check_savings(plant: Plant) -> Iterator[str]:
    """Yield what contradicts itself in retrofits, each with path and remedy."""
    baselines = {b.code: b for b in plant.baseline}
    kgce = {s.code for s in plant.scheme if s.energy_unit == "kgce"}
    for i, r in enumerate(plant.retrofit):
        path = f"$.retrofit[{i}]"
        baseline = baselines.get(r.baseline)
        if not r.implementation_from <= r.implementation_to <= r.reporting_from:
            yield (
                f"the reporting window begins after the implementation: {r.implementation_from} to"
                f" {r.implementation_to}, then from {r.reporting_from} - at `{path}`"
            )
        if r.reporting_to is not None and r.reporting_to <= r.reporting_from:
            yield f"reporting_to is not after reporting_from - at `{path}.reporting_to`"
        if baseline is not None and baseline.training_to > r.implementation_from:
            yield (
                f"the baseline {r.baseline!r} is trained until {baseline.training_to}, and the work"
                f" began on {r.implementation_from}: what is judged is not part of its own"
                f" yardstick - at `{path}.implementation_from`"
            )
        if baseline is not None and baseline.period == "month":
            for name in ("reporting_from", "reporting_to"):
                day = getattr(r, name)
                if day is not None and day.day != 1:
                    yield f"a baseline by month reports whole months - at `{path}.{name}`"
        if r.code in r.overlaps:
            yield f"a retrofit does not overlap with itself - at `{path}.overlaps`"
        if r.scheme is not None and r.scheme not in kgce:
            yield f"{r.scheme!r} does not convert to kgce - at `{path}.scheme`"
        if r.option == "C" and baseline is not None and not baseline.whole_site:
            yield (
                "option C looks at the whole site: its baseline is `whole_site`; of a part of it"
                f" use option B - at `{path}.option`"
            )
