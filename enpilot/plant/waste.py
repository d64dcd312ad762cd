"""What tells waste: machines with their states, opening hours, ratios that have a range."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from msgspec import Meta, field

from enpilot.forms import DecimalText, PositiveDecimalText
from enpilot.plant.base import Code, Dated, Names, Strict
from enpilot.tariff_hours import hours_of_day

if TYPE_CHECKING:
    from enpilot.plant.model import Plant

__all__ = [
    "FlatPrice",
    "Machine",
    "MachineStatus",
    "OpenDay",
    "OpeningHours",
    "RatioCheck",
    "check_waste",
    "references",
]

OpenDay: TypeAlias = Literal["workday", "rest", "holiday"]
_Hours = Annotated[
    str,
    Meta(
        pattern=r"^([01][0-9]|2[0-3]):(00|15|30|45)-(([01][0-9]|2[0-3]):(00|15|30|45)|24:00)\Z",
        description='hours such as "08:00-18:30", in quarters of an hour',
    ),
]


class MachineStatus(Strict, kw_only=True):
    """A `status` series that says a machine's state; every other value means that it works."""

    point: Code
    channel: str = "total"
    off: list[int] = []
    idle: Annotated[list[int], Meta(min_length=1)]


class Machine(Dated, kw_only=True):
    """A machine that may idle. What tells its state: its status, its output, or its power.

    ``idle_from`` and ``running_from`` are bands of its mean power or flow [unit of the point per
    hour]; left out, they are found from its load. ``output_point`` counts its pieces.
    """

    code: Code
    name: Names
    point: Code
    idle_from: PositiveDecimalText | None = None
    running_from: PositiveDecimalText | None = None
    status: MachineStatus | None = None
    output_point: Code | None = None


class OpeningHours(Dated, kw_only=True):
    """When people work at some points, or at all; outside of it they are closed."""

    code: Code
    name: Names
    days: Annotated[list[OpenDay], Meta(min_length=1)] = field(default_factory=lambda: ["workday"])
    hours: Annotated[list[_Hours], Meta(min_length=1)]
    points: list[Code] = []


class RatioCheck(Dated, kw_only=True):
    """A ratio of what two points count that has a range: kWh/m3 of a compressor."""

    code: Code
    name: Names
    numerator: Code
    denominator: Code
    low: DecimalText | None = None
    high: DecimalText | None = None


class FlatPrice(Dated, kw_only=True):
    """What a kWh costs about, where no account with a tariff says it."""

    yuan_per_kwh: PositiveDecimalText
    source: str
    verified: bool = False


def references(plant: Plant) -> Iterator[tuple[str, str | None, str]]:
    """Yield path, code and kind of everything that machines, hours and ratios refer to.

    Parameters
    ----------
    plant
        A plant file.

    Yields
    ------
    tuple
        Path, code, and "point".
    """
    for i, m in enumerate(plant.machine):
        yield f"$.machine[{i}].point", m.point, "point"
        yield f"$.machine[{i}].output_point", m.output_point, "point"
        if m.status is not None:
            yield f"$.machine[{i}].status.point", m.status.point, "point"
    for i, h in enumerate(plant.opening_hours):
        for j, code in enumerate(h.points):
            yield f"$.opening_hours[{i}].points[{j}]", code, "point"
    for i, r in enumerate(plant.ratio_check):
        yield f"$.ratio_check[{i}].numerator", r.numerator, "point"
        yield f"$.ratio_check[{i}].denominator", r.denominator, "point"


def check_waste(plant: Plant) -> Iterator[str]:
    """Yield every mistake of machines, opening hours, ratios and calibrations.

    Parameters
    ----------
    plant
        A plant file whose references hold.

    Yields
    ------
    str
        A mistake with its path and remedy.
    """
    media = {p.code: p.medium for p in plant.point}
    for i, m in enumerate(plant.machine):
        yield from _machine_mistakes(m, media, f"$.machine[{i}]")
    for i, h in enumerate(plant.opening_hours):
        minutes = [span for text in h.hours for span in hours_of_day(text)]
        minutes.sort()
        if any(b[0] < a[1] for a, b in itertools.pairwise(minutes)):
            yield f"hours overlap: {', '.join(h.hours)} - at `$.opening_hours[{i}].hours`"
    for i, r in enumerate(plant.ratio_check):
        path = f"$.ratio_check[{i}]"
        if r.numerator == r.denominator:
            yield f"a ratio of a point to itself is always 1 - at `{path}.denominator`"
        if r.low is None and r.high is None:
            yield f"a ratio without `low` and `high` has no range to leave - at `{path}`"
        elif r.low is not None and r.high is not None and Decimal(r.low) >= Decimal(r.high):
            yield f"`low` {r.low} is not below `high` {r.high} - at `{path}`"
    for i, d in enumerate(plant.device):
        path = f"$.device[{i}]"
        if d.calibrated_on is None and (d.calibration_due or d.certificate):
            yield f"say when device {d.code!r} was calibrated - at `{path}.calibrated_on`"
        if d.calibrated_on and d.calibration_due and d.calibration_due <= d.calibrated_on:
            yield (
                f"calibrated on {d.calibrated_on} and due on {d.calibration_due}: due is the last "
                f"day on which the calibration holds - at `{path}.calibration_due`"
            )


def _machine_mistakes(m: Machine, media: dict[str, str], path: str) -> Iterator[str]:
    if m.status is not None and m.output_point is not None:
        yield f"the state is told by `status` or by `output_point`, not by both - at `{path}`"
    if m.running_from is not None and m.idle_from is None:
        yield f"`running_from` needs `idle_from`, below which it is off - at `{path}.idle_from`"
    if (
        m.idle_from is not None
        and m.running_from is not None
        and Decimal(m.idle_from) >= Decimal(m.running_from)
    ):
        yield f"`idle_from` {m.idle_from} is not below `running_from` - at `{path}.running_from`"
    if m.idle_from is not None and m.running_from is None and m.output_point is None:
        yield f"power bands need `running_from` too, or `output_point` - at `{path}.running_from`"
    if m.output_point is not None and media[m.output_point] != "product":
        yield (
            f"point {m.output_point!r} counts no product: name the point of the machine's counter "
            f"of pieces - at `{path}.output_point`"
        )
    if m.status is not None and not set(m.status.off).isdisjoint(m.status.idle):
        yield f"a value means off or idle, not both - at `{path}.status`"
