"""Parts of a plant file about who uses energy: areas, conversions, allocations, own factors."""

from __future__ import annotations

import csv
import functools
import io
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from enpilot.forms import DecimalText, PositiveDecimalText
from enpilot.plant.base import Code, Dated, Names, PositiveShare, Strict
from enpilot.quantities import MEDIA, QUANTITIES, energy_quantity

if TYPE_CHECKING:
    from enpilot.plant.model import Plant

__all__ = [
    "Allocation",
    "AllocationProduct",
    "Area",
    "AreaPoint",
    "Conversion",
    "Factor",
    "LedgerShape",
    "check_accounting",
]


class AreaPoint(Strict, kw_only=True):
    """A point that an area counts, or with -1 subtracts."""

    point: Code
    sign: Literal[-1, 1] = 1


class Area(Dated, kw_only=True):
    """A part of the plant that uses energy (F11).

    A ``line`` makes ``products``, a ``conversion`` makes an in-house medium; ``auxiliary`` areas
    serve production, ``ancillary`` ones people. ``media`` are those of which it has whatever no
    other area's points have: the coal of the ledger for the one boiler house.
    """

    code: Code
    name: Names
    kind: Literal["line", "conversion", "ancillary", "auxiliary"]
    products: list[Code] = []
    points: list[AreaPoint] = []
    media: list[str] = []


class Conversion(Dated, kw_only=True):
    """What an area makes of its input: an in-house medium, measured by ``points``.

    An area with two of them (heat and power) shares its input by ``input_share``, or by the energy
    that each holds.
    """

    area: Code
    medium: str
    points: list[AreaPoint]
    input_share: PositiveShare | None = None


class AllocationProduct(Strict, kw_only=True):
    """A product's part in an allocation: its coefficient, or the point that measures for it."""

    product: Code
    coefficient: PositiveDecimalText = "1"
    point: Code | None = None


class Allocation(Dated, kw_only=True):
    """How the energy of a shared area is given to products, month by month."""

    area: Code
    method: Literal["metered", "equivalents", "hours", "batches", "output"]
    products: list[AllocationProduct]
    stage: Literal["counted", "qualified", "warehoused", "shipped"] = "qualified"


class LedgerShape(Dated, kw_only=True):
    """How what the ledger says of a medium lies inside its span: as the output of a product.

    Without one it lies flat. Span totals stay what the documents say (F5).
    """

    medium: str
    product: Code
    stage: Literal["counted", "qualified", "warehoused", "shipped"] = "qualified"


class Factor(Dated, kw_only=True):
    """A factor of the plant's own [kgce or kgCO2 per ``per_unit``], before published ones."""

    kind: Literal["standard_coal", "carbon"]
    medium: str
    basis: Literal["physical", "primary"] = "physical"
    value: DecimalText
    per_unit: str
    source: str


def check_accounting(plant: Plant) -> Iterator[str]:
    """Yield what in these parts refers to nothing or contradicts itself, with path and remedy.

    Parameters
    ----------
    plant
        As it was written.

    Yields
    ------
    str
        One sentence for each mistake.
    """
    yield from _reference_errors(plant)
    yield from _area_errors(plant)
    yield from _conversion_errors(plant)
    yield from _allocation_errors(plant)
    for i, scheme in enumerate(plant.scheme):
        region = scheme.grid_region
        if region is not None and region not in _grid_regions():
            yield (
                f"no grid region {region!r}; use one of: {', '.join(sorted(_grid_regions()))}"
                f" - at `$.scheme[{i}].grid_region`"
            )
    yield from _use_errors(plant)
    for i, factor in enumerate(plant.factor):
        yield from _factor_errors(factor, f"$.factor[{i}]")


@functools.cache
def _grid_regions() -> frozenset[str]:
    # By path: importing the database package needs a driver that agents do not have.
    text = files("enpilot").joinpath("database/data/grid_factors.csv").read_text("utf-8")
    return frozenset(row["region"] for row in csv.DictReader(io.StringIO(text)))


def _use_errors(plant: Plant) -> Iterator[str]:
    uses: dict[str, str] = {p.code: p.use for p in plant.point if p.use != "production"}
    parents = {p.code: p.parent for p in plant.point}
    for i, point in enumerate(plant.point):
        if point.use == "production":
            continue
        above, seen = point.parent, {point.code}
        while above is not None and above not in seen:
            if above in uses:
                yield (
                    f"point {point.code!r} lies below {above!r}, which is for {uses[above]} as a"
                    f" whole: it would be taken off twice - at `$.point[{i}].use`"
                )
                break
            seen.add(above)
            above = parents.get(above)


def _reference_errors(plant: Plant) -> Iterator[str]:
    known = {
        "point": {p.code for p in plant.point} | {v.code for v in plant.virtual_point},
        "product": {p.code for p in plant.product},
        "area": {a.code for a in plant.area},
    }
    named = [
        *((f"$.area[{i}].points[{j}].point", p.point, "point")
          for i, a in enumerate(plant.area) for j, p in enumerate(a.points)),
        *((f"$.area[{i}].products", p, "product")
          for i, a in enumerate(plant.area) for p in a.products),
        *((f"$.conversion[{i}].area", c.area, "area") for i, c in enumerate(plant.conversion)),
        *((f"$.conversion[{i}].points[{j}].point", p.point, "point")
          for i, c in enumerate(plant.conversion) for j, p in enumerate(c.points)),
        *((f"$.allocation[{i}].area", a.area, "area") for i, a in enumerate(plant.allocation)),
        *((f"$.allocation[{i}].products[{j}].product", p.product, "product")
          for i, a in enumerate(plant.allocation) for j, p in enumerate(a.products)),
        *((f"$.ledger_shape[{i}].product", s.product, "product")
          for i, s in enumerate(plant.ledger_shape)),
        *((f"$.allocation[{i}].products[{j}].point", p.point, "point")
          for i, a in enumerate(plant.allocation) for j, p in enumerate(a.products) if p.point),
    ]  # fmt: skip
    for path, code, kind in named:
        if code not in known[kind]:
            there = ", ".join(sorted(known[kind])) or "none"
            yield f"no {kind} {code!r} in this file (there is: {there}) - at `{path}`"
    media = [
        *((f"$.area[{i}].media", m) for i, a in enumerate(plant.area) for m in a.media),
        *((f"$.conversion[{i}].medium", c.medium) for i, c in enumerate(plant.conversion)),
        *((f"$.ledger_shape[{i}].medium", s.medium) for i, s in enumerate(plant.ledger_shape)),
        *((f"$.factor[{i}].medium", f.medium) for i, f in enumerate(plant.factor)),
    ]
    for path, medium in media:
        if medium not in MEDIA:
            yield f"no medium {medium!r}; use one of: {', '.join(sorted(MEDIA))} - at `{path}`"


def _area_errors(plant: Plant) -> Iterator[str]:
    makes = {c.area for c in plant.conversion}
    shared = {a.area for a in plant.allocation}
    for i, area in enumerate(plant.area):
        path = f"$.area[{i}]"
        if area.kind == "conversion":
            if area.code not in makes:
                yield (
                    f"area {area.code!r} is a conversion, but no `[[conversion]]` says what it"
                    f" makes - at `{path}.kind`"
                )
        elif area.code in makes:
            yield (
                f'area {area.code!r} makes a medium, so its `kind` is "conversion"'
                f" - at `{path}.kind`"
            )
        if area.kind != "line" and area.products:
            yield (
                f"only a line makes products; give the energy of area {area.code!r} to products by"
                f" an `[[allocation]]` - at `{path}.products`"
            )
        if area.kind == "line" and not area.products:
            yield f"line {area.code!r} makes nothing: name its `products` - at `{path}.products`"
        if area.kind == "line" and len(area.products) > 1 and area.code not in shared:
            yield (
                f"line {area.code!r} makes {len(area.products)} products: say by an"
                f" `[[allocation]]` how they share its energy - at `{path}.products`"
            )
    counted: dict[str, str] = {}
    for i, area in enumerate(plant.area):
        for j, point in enumerate(area.points):
            owner = counted.setdefault(f"{point.point} {point.sign}", area.code)
            if owner != area.code:
                yield (
                    f"point {point.point!r} counts in area {owner!r} already: energy counts once"
                    f" - at `$.area[{i}].points[{j}].point`"
                )
        for medium in area.media:
            owner = counted.setdefault(f"{medium} rest", area.code)
            if owner != area.code:
                yield (f"area {owner!r} has the rest of {medium} already - at `$.area[{i}].media`")


def _conversion_errors(plant: Plant) -> Iterator[str]:
    media = {p.code: p.medium for p in plant.point} | {
        v.code: v.medium for v in plant.virtual_point
    }
    for i, made in enumerate(plant.conversion):
        path = f"$.conversion[{i}]"
        if not made.points:
            yield f"name the `points` that measure what comes out - at `{path}.points`"
        for j, point in enumerate(made.points):
            medium = media.get(point.point)
            if medium is not None and medium != made.medium:
                yield (
                    f"point {point.point!r} measures {medium}, which is no {made.medium}"
                    f" - at `{path}.points[{j}].point`"
                )
    beside: dict[str, list[int]] = {}
    for i, made in enumerate(plant.conversion):
        if made.valid_from is None and made.valid_to is None:
            beside.setdefault(made.area, []).append(i)
    for area, numbers in beside.items():
        shares = [plant.conversion[i].input_share for i in numbers]
        given = [Decimal(s) for s in shares if s is not None]
        if given and (len(given) < len(shares) or sum(given) != 1):
            yield (
                f"the `input_share`s of area {area!r} are given for all that it makes and add up to"
                f" 1, or for none - at `$.conversion[{numbers[0]}].input_share`"
            )


def _allocation_errors(plant: Plant) -> Iterator[str]:
    kinds = {a.code: a.kind for a in plant.area}
    units = {p.code: p.unit for p in plant.product}
    for i, rule in enumerate(plant.allocation):
        path = f"$.allocation[{i}]"
        if not rule.products:
            yield f"name the `products` that share - at `{path}.products`"
        for code, count in Counter(p.product for p in rule.products).items():
            if count > 1:
                yield f"product {code!r} is named {count} times - at `{path}.products`"
        if kinds.get(rule.area) == "conversion":
            yield (
                f"area {rule.area!r} makes a medium: who takes it is charged for it, and it has no"
                f" allocation - at `{path}.area`"
            )
        if rule.method == "metered" and any(p.point is None for p in rule.products):
            yield f'by method "metered" every product has its `point` - at `{path}.products`'
        if rule.method != "metered" and any(p.point is not None for p in rule.products):
            yield f'a `point` belongs to method "metered" - at `{path}.products`'
        if rule.method != "equivalents" and any(p.coefficient != "1" for p in rule.products):
            yield f'a `coefficient` belongs to method "equivalents" - at `{path}.products`'
        used = sorted({units[p.product] for p in rule.products if p.product in units})
        if rule.method == "output" and len(used) > 1:
            yield (
                f'outputs in {", ".join(used)} cannot be compared: use method "equivalents" with'
                f" coefficients - at `{path}.method`"
            )


def _factor_errors(factor: Factor, path: str) -> Iterator[str]:
    if factor.medium not in MEDIA:
        return  # said already
    units = QUANTITIES[energy_quantity(factor.medium)].units
    if factor.per_unit not in units:
        yield (
            f"{factor.medium} is measured in {', '.join(sorted(units))}, not in {factor.per_unit!r}"
            f" - at `{path}.per_unit`"
        )
    if factor.value.startswith("-"):
        yield f"a factor is not below 0 - at `{path}.value`"
    if factor.basis == "primary" and factor.medium != "electricity":
        yield f'only electricity has a `basis` "primary" - at `{path}.basis`'
