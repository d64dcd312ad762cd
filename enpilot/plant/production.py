"""Parts of a plant file about production: shifts, counters of PLCs, EnPIs, targets, bases."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from enpilot.forms import PositiveDecimalText
from enpilot.plant.base import Code, Dated, Names, Rate, Share, Strict
from enpilot.plant.formula import FormulaError, parse_formula
from enpilot.quantities import MEDIA

if TYPE_CHECKING:
    from enpilot.plant.model import Plant

__all__ = [
    "BaseAdjustment",
    "Enpi",
    "EnpiPoint",
    "EnpiProduct",
    "Integrated",
    "ProductionCounter",
    "Shift",
    "Target",
    "VirtualPoint",
    "check_production",
]

_PriceYear = Annotated[int, Meta(ge=1949, le=2200)]
_GRID_MINUTES = 15


class Shift(Dated, kw_only=True):
    """A crew's hours; one that ends no later than it starts ends on the next civil day."""

    code: Code
    name: Names
    starts: dt.time
    ends: dt.time


class ProductionCounter(Dated, kw_only=True):
    """A point whose counter counts a product: output at the stage "counted".

    ``per_count`` is the product's unit in one unit counted (t in one piece).
    """

    point: Code
    product: Code
    line: str = ""
    disposition: Literal["good", "scrap", "rework"] = "good"
    per_count: PositiveDecimalText = "1"


class Integrated(Dated, kw_only=True):
    """A gauge of a point without a counter: its integral over time is the point's amount."""

    point: Code
    quantity: Literal["active_power", "reactive_power", "thermal_power", "mass_flow", "volume_flow"]
    channel: str = "total"


class VirtualPoint(Dated, kw_only=True):
    """A sum of points, as a formula; its parts measure the same medium."""

    code: Code
    name: Names
    medium: str
    formula: str


class EnpiProduct(Strict, kw_only=True):
    """A product of an EnPI with its frozen base intensity [energy unit per unit of it]."""

    product: Code
    base_intensity: PositiveDecimalText | None = None


class EnpiPoint(Strict, kw_only=True):
    """A point whose energy an EnPI counts, or with -1 subtracts."""

    point: Code
    sign: Literal[-1, 1] = 1


class Enpi(Dated, kw_only=True):
    """Energy of a scheme per output: of one product, or of several as an energy index (F10).

    Of the whole plant, or with ``points`` of a line or a machine; ``subject`` "product" takes what
    the plant's areas and their allocations give the product, by whole months. ``mixed`` adds
    products of one unit and is never judged; ``value_added`` divides by the enterprise's value
    added [10,000 yuan].
    """

    code: Code
    name: Names
    scheme: Code
    kind: Literal["intensity", "index", "mixed", "value_added"] = "intensity"
    product: Code | None = None
    products: list[EnpiProduct] = []
    points: list[EnpiPoint] = []
    subject: Literal["plant", "product"] = "plant"
    line: str = ""
    stage: Literal["counted", "qualified", "warehoused", "shipped"] = "qualified"
    calendar: Literal["civil", "production"] = "civil"
    coverage_limit: Share = "0.95"
    price_year: _PriceYear | None = None
    of_enterprise: bool = False


class Target(Strict, kw_only=True):
    """What an EnPI is judged against: data with an authority, never just a rate (F7).

    ``base_to`` and ``end_to`` are the days after the last one. ``slow_from`` and ``on_track_from``
    are the progress ratios at which its light turns.
    """

    enpi: Code
    base_from: dt.date
    base_to: dt.date
    end_to: dt.date
    annual_rate: Rate | None = None
    end_value: PositiveDecimalText | None = None
    kind: Literal["intensity"] = "intensity"
    target_class: Literal["official", "assigned", "internal"]
    authority: str
    document: str | None = None
    slow_from: PositiveDecimalText = "0.8"
    on_track_from: PositiveDecimalText = "1"


class BaseAdjustment(Dated, kw_only=True):
    """An event that changes what the base can be compared with (F18).

    From ``from`` on the base intensity is multiplied by ``factor``, if that differs from 1 by the
    ``threshold`` at least.
    """

    code: Code
    enpi: Code
    event: Literal["boundary", "acquisition", "new_line", "scheme", "meter_error"]
    factor: PositiveDecimalText
    threshold: Share = "0.05"
    document: str


def check_production(plant: Plant) -> Iterator[str]:
    """Yield what in these parts refers to nothing or contradicts itself, with path and remedy.

    Parameters
    ----------
    plant
        With its dates settled.
    """
    yield from _reference_errors(plant)
    for i, enpi in enumerate(plant.enpi):
        yield from _enpi_errors(enpi, plant, f"$.enpi[{i}]")
    yield from _virtual_errors(plant)
    for i, shift in enumerate(plant.shift):
        for name, at in (("starts", shift.starts), ("ends", shift.ends)):
            if at.minute % _GRID_MINUTES or at.second or at.microsecond:
                yield f"{at} is not on a quarter of an hour - at `$.shift[{i}].{name}`"
    start = plant.site.production_day_start
    if start.minute % _GRID_MINUTES or start.second or start.microsecond:
        yield f"{start} is not on a quarter of an hour - at `$.site.production_day_start`"
    for i, target in enumerate(plant.target):
        if float(target.slow_from) > float(target.on_track_from):
            yield (
                f"`slow_from` {target.slow_from} is above `on_track_from` {target.on_track_from}"
                f" - at `$.target[{i}].slow_from`"
            )


def _reference_errors(plant: Plant) -> Iterator[str]:
    real, products = {p.code for p in plant.point}, {p.code for p in plant.product}
    points = real | {v.code for v in plant.virtual_point}
    enpis = {e.code for e in plant.enpi}
    named = [
        *((f"$.production_counter[{i}].point", c.point, "point", real)
          for i, c in enumerate(plant.production_counter)),
        *((f"$.production_counter[{i}].product", c.product, "product", products)
          for i, c in enumerate(plant.production_counter)),
        *((f"$.integrated[{i}].point", x.point, "point", real)
          for i, x in enumerate(plant.integrated)),
        *((f"$.base_adjustment[{i}].enpi", a.enpi, "enpi", enpis)
          for i, a in enumerate(plant.base_adjustment)),
        *((f"$.enpi[{i}].points[{j}].point", p.point, "point", points)
          for i, e in enumerate(plant.enpi) for j, p in enumerate(e.points)),
        *((f"$.enpi[{i}].products[{j}].product", p.product, "product", products)
          for i, e in enumerate(plant.enpi) for j, p in enumerate(e.products)),
    ]  # fmt: skip
    for path, code, kind, known in named:
        if code not in known:
            yield (
                f"no {kind} {code!r} in this file (there is: {', '.join(sorted(known)) or 'none'})"
                f" - at `{path}`"
            )


def _virtual_errors(plant: Plant) -> Iterator[str]:
    media = _media(plant)
    real = {p.code for p in plant.point}
    parts: dict[str, set[str]] = {}
    for i, virtual in enumerate(plant.virtual_point):
        path = f"$.virtual_point[{i}]"
        if virtual.medium not in MEDIA:
            yield f"no medium {virtual.medium!r} - at `{path}.medium`"
        if virtual.code in real:
            yield f"{virtual.code!r} is a real point already - at `{path}.code`"
        try:
            points = parse_formula(virtual.formula)
        except FormulaError as error:
            yield f"{error} - at `{path}.formula`"
            continue
        parts.setdefault(virtual.code, set()).update(points)
        for code in points:
            if code not in media:
                known = ", ".join(sorted(media))
                yield f"no point {code!r} in this file (there is: {known}) - at `{path}.formula`"
            elif media[code] != virtual.medium:
                yield (
                    f"{code!r} measures {media[code]}, which is no {virtual.medium}"
                    f" - at `{path}.formula`"
                )
    for i, virtual in enumerate(plant.virtual_point):
        if virtual.code in _within(virtual.code, parts):
            yield f"{virtual.code!r} is a part of itself - at `$.virtual_point[{i}].formula`"


def _media(plant: Plant) -> dict[str, str]:
    virtual = {v.code: v.medium for v in plant.virtual_point}
    return virtual | {p.code: p.medium for p in plant.point}


def _within(code: str, parts: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    todo = [code]
    while todo:
        new = parts.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return found


def _enpi_errors(enpi: Enpi, plant: Plant, path: str) -> Iterator[str]:
    if enpi.kind == "value_added":
        if enpi.product is not None or enpi.products:
            yield f"value added has no product: leave it out - at `{path}.product`"
    elif enpi.kind == "intensity":
        if enpi.product is None or enpi.products:
            yield (
                "an intensity has one `product`; of several make an index"
                f' (kind = "index" with `products`) - at `{path}.product`'
            )
    elif len(enpi.products) < 2 or enpi.product is not None:
        yield f"an EnPI of kind {enpi.kind!r} has two `products` at least - at `{path}.products`"
    if enpi.kind == "mixed":
        units = {p.code: p.unit for p in plant.product}
        used = sorted({units[p.product] for p in enpi.products if p.product in units})
        if len(used) > 1:
            yield (
                f"products in {', '.join(used)} cannot be added: make an energy index of them"
                f' (kind = "index") - at `{path}.products`'
            )
    twice = {p.product for p in enpi.products if
             [q.product for q in enpi.products].count(p.product) > 1}  # fmt: skip
    for code in sorted(twice):
        yield f"product {code!r} is named twice - at `{path}.products`"
    if enpi.subject == "product":
        yield from _allocated_errors(enpi, plant, path)
    if (enpi.price_year is not None) and enpi.kind != "value_added":
        yield f'`price_year` belongs to kind "value_added" - at `{path}.price_year`'
    by_code = {s.code: s for s in plant.scheme}
    scheme = by_code.get(enpi.scheme)
    if scheme is not None:
        media = _media(plant)
        for j, point in enumerate(enpi.points):
            medium = media.get(point.point)
            if medium is not None and medium not in scheme.media:
                yield (
                    f"point {point.point!r} measures {medium}, which scheme {scheme.code!r} does"
                    f" not count - at `{path}.points[{j}].point`"
                )


def _allocated_errors(enpi: Enpi, plant: Plant, path: str) -> Iterator[str]:
    if enpi.kind != "intensity" or enpi.points or enpi.line or enpi.calendar != "civil":
        yield (
            "energy that is allocated to a product makes an intensity of it, without `points`,"
            f" `line` or another calendar - at `{path}.subject`"
        )
    shares = {p for a in plant.area for p in a.products}
    shares |= {p.product for a in plant.allocation for p in a.products}
    if enpi.product is not None and enpi.product not in shares:
        yield (
            f"no area gives product {enpi.product!r} energy: name it in an `[[area]]` or an"
            f" `[[allocation]]` - at `{path}.subject`"
        )
