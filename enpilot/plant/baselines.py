"""What energy depends on, and the baselines that say what it should have been (ISO 50006)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final, Literal

from msgspec import Meta

from enpilot.forms import DecimalText
from enpilot.plant.base import Code, Dated, Names
from enpilot.quantities import QUANTITIES

if TYPE_CHECKING:
    from enpilot.plant.model import Plant

__all__ = ["Baseline", "Variable", "check_baselines", "references"]

VariableSource = Literal[
    "entered", "output", "output_share", "heating_degree_days", "cooling_degree_days", "mean",
    "amount", "calendar_days",
]  # fmt: skip


class Variable(Dated, kw_only=True):
    """A relevant variable: something that energy depends on, and where its values come from.

    ``entered`` values come by `enpilot import variables` and are taken together by ``entered_as``:
    amounts such as operating days are added, levels such as a temperature averaged. ``output`` is
    what was made of a ``product``, ``output_share`` its share in what was made of all
    ``of_products``. Degree days are counted to ``base_temperature`` from the thermometer of a
    ``point``, or from the means that another variable gives as ``temperature``. ``mean`` and
    ``amount`` are of a series of a point. ``sign`` 1 says that it can only raise energy, -1 that it
    can only lower it.
    """

    code: Code
    name: Names
    unit: str
    source: VariableSource = "entered"
    entered_as: Literal["sum", "mean"] = "sum"
    product: Code | None = None
    of_products: list[Code] = []
    stage: Literal["counted", "qualified", "warehoused", "shipped"] = "qualified"
    point: Code | None = None
    quantity: str | None = None
    channel: str = "total"
    base_temperature: DecimalText | None = None
    temperature: Code | None = None
    sign: Literal[-1, 0, 1] = 0


class Baseline(Dated, kw_only=True):
    """Energy of an EnPI, or of points together, as it depends on variables in a training window.

    ``training_to`` is the day after the last one. With ``choose`` the variables are candidates, of
    which at most ``most`` are taken; ``change_points`` are tried on ``temperature``, one of them.
    ``block`` neighbouring periods are left out together when models are compared. ``whole_site``
    marks the one that tells what the site as a whole saved.
    """

    code: Code
    name: Names
    enpi: Code | None = None
    points: list[Code] = []
    quantity: str | None = None
    channel: str = "total"
    period: Literal["day", "month"] = "month"
    training_from: dt.date
    training_to: dt.date
    variables: Annotated[list[Code], Meta(min_length=1)]
    choose: bool = False
    most: Annotated[int, Meta(ge=1, le=4)] = 2
    temperature: Code | None = None
    change_points: list[Literal["heating_3p", "cooling_3p", "heating_cooling_4p"]] = []
    block: Annotated[int, Meta(ge=1, le=62)] = 1
    whole_site: bool = False


# Which keys a source needs; any other of them is refused there.
_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "entered": (),
    "output": ("product",),
    "output_share": ("product", "of_products"),
    "heating_degree_days": ("base_temperature",),
    "cooling_degree_days": ("base_temperature",),
    "mean": ("point", "quantity"),
    "amount": ("point", "quantity"),
    "calendar_days": (),
}
_DEGREE_DAYS: Final = ("heating_degree_days", "cooling_degree_days")


def references(plant: Plant) -> Iterator[tuple[str, str | None, str]]:
    """Yield path, code and kind of everything that variables and baselines refer to."""
    for i, v in enumerate(plant.variable):
        yield f"$.variable[{i}].product", v.product, "product"
        for j, product in enumerate(v.of_products):
            yield f"$.variable[{i}].of_products[{j}]", product, "product"
        yield f"$.variable[{i}].point", v.point, "point"
        yield f"$.variable[{i}].temperature", v.temperature, "variable"
    for i, b in enumerate(plant.baseline):
        yield f"$.baseline[{i}].enpi", b.enpi, "enpi"
        for j, point in enumerate(b.points):
            yield f"$.baseline[{i}].points[{j}]", point, "point"
        for j, variable in enumerate(b.variables):
            yield f"$.baseline[{i}].variables[{j}]", variable, "variable"
        yield f"$.baseline[{i}].temperature", b.temperature, "variable"


def check_baselines(plant: Plant) -> Iterator[str]:
    """Yield what contradicts itself in variables and baselines, each with path and remedy."""
    sources = {v.code: v for v in plant.variable}
    for i, v in enumerate(plant.variable):
        yield from _variable_mistakes(v, sources, f"$.variable[{i}]")
    for i, b in enumerate(plant.baseline):
        yield from _baseline_mistakes(b, f"$.baseline[{i}]")
    whole = [b.code for b in plant.baseline if b.whole_site]
    if len(whole) > 1:
        yield (
            f"only one baseline tells what the whole site saved, not {', '.join(whole)} - at"
            " `$.baseline`"
        )


def _variable_mistakes(v: Variable, known: dict[str, Variable], path: str) -> Iterator[str]:
    needed = _KEYS[v.source]
    for key in ("product", "of_products", "base_temperature"):
        given = bool(getattr(v, key))
        if given != (key in needed):
            yield (
                f"a variable by {v.source!r} {'needs' if not given else 'has no'} `{key}` - at"
                f" `{path}.{key}`"
            )
    if v.source == "output_share" and v.product and v.product not in v.of_products:
        yield f"a share is of all `of_products`, the product among them - at `{path}.of_products`"
    if v.source in _DEGREE_DAYS:
        if (v.point is None) == (v.temperature is None):
            yield (
                "degree days come from the thermometer of a `point`, or from another variable as"
                f" `temperature`: one of the two - at `{path}`"
            )
        of = known.get(v.temperature or "")
        if of is not None and (of.source, of.entered_as) not in (
            ("entered", "mean"),
            ("mean", "sum"),
        ):
            yield (
                f"{v.temperature!r} is no temperature: that is a mean of a thermometer, or entered"
                f" as one - at `{path}.temperature`"
            )
    elif v.temperature is not None:
        yield f"`temperature` belongs to degree days - at `{path}.temperature`"
    elif ("point" in needed) != (v.point is not None) or (
        ("quantity" in needed) != (v.quantity is not None)
    ):
        yield f'`point` and `quantity` go with "mean" and "amount" only - at `{path}`'
    if v.entered_as == "mean" and v.source != "entered":
        yield f"`entered_as` is for entered values - at `{path}.entered_as`"
    if v.quantity is None:
        return
    if v.quantity not in QUANTITIES:
        yield f"no quantity {v.quantity!r} - at `{path}.quantity`"
    elif QUANTITIES[v.quantity].cumulative != (v.source == "amount"):
        yield (
            f"{v.quantity} is {'counted' if v.source != 'amount' else 'a level'}: use"
            f' "{"amount" if v.source != "amount" else "mean"}" - at `{path}.source`'
        )


def _baseline_mistakes(b: Baseline, path: str) -> Iterator[str]:
    if (b.enpi is None) == (not b.points):
        yield f"a baseline is of an `enpi` or of `points`: one of the two - at `{path}`"
    if bool(b.points) != (b.quantity is not None):
        yield f"points have a `quantity` that is added up, an EnPI has none - at `{path}.quantity`"
    elif b.quantity is not None and (
        b.quantity not in QUANTITIES or not QUANTITIES[b.quantity].cumulative
    ):
        yield f"{b.quantity!r} is no quantity that is counted - at `{path}.quantity`"
    if len(set(b.points)) < len(b.points):
        yield f"a point is counted once - at `{path}.points`"
    if not b.training_from < b.training_to:
        yield (
            f"training_to ({b.training_to}) is not after training_from ({b.training_from}) - at"
            f" `{path}.training_to`"
        )
    elif b.period == "month" and (b.training_from.day != 1 or b.training_to.day != 1):
        yield f"months are trained on from a first to a first of a month - at `{path}`"
    if len(set(b.variables)) < len(b.variables):
        yield f"a variable is taken once - at `{path}.variables`"
    if len(b.variables) > 4 and not b.choose:
        yield (
            "more than four variables are candidates: say `choose = true`, or take fewer - at"
            f" `{path}.variables`"
        )
    if len(b.variables) > 12:
        yield f"more than twelve candidates find chance fits - at `{path}.variables`"
    if bool(b.change_points) != (b.temperature is not None):
        yield f"`change_points` and the `temperature` that bends go together - at `{path}`"
    if b.temperature is not None and b.temperature not in b.variables:
        yield f"the `temperature` is one of the `variables` - at `{path}.temperature`"
    if b.change_points and not b.choose and len(b.change_points) > 1:
        yield f"of several change points one is chosen: say `choose = true` - at `{path}`"
