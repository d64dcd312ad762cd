"""Energy of a plant's areas and products that adds up to the scheme's total (F11).

In-house media carry the month's real input: input of the conversion over what it put out. Chains
and circles of conversions are one small linear system, solved exactly. What an in-house medium
loses on its way, what no area's meters have and what no key gives to a product stay visible:
products + ancillary + losses + unallocated + unmetered is the scheme's total, whatever the meters
say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, Literal, TypeAlias

from analytics.errors import ConversionCycleError

__all__ = [
    "AreaKind",
    "AreaUse",
    "Carrier",
    "EnergyRow",
    "Made",
    "MediumFactor",
    "RowPart",
    "SharedOut",
    "input_shares",
    "share_out",
]

AreaKind: TypeAlias = Literal["line", "conversion", "ancillary", "auxiliary"]
RowPart: TypeAlias = Literal["product", "ancillary", "loss", "unallocated", "unmetered"]
_NOTHING: Final = Fraction(0)


@dataclass(frozen=True, slots=True)
class Carrier:
    """What the scheme counts of a medium: energy [its unit] and quantity [unit of the medium]."""

    energy: Fraction
    quantity: Fraction


@dataclass(frozen=True, slots=True)
class AreaUse:
    """What an area took in a month.

    Attributes
    ----------
    code, kind
        Of the area.
    quantities
        By medium, as its points measured [unit of the medium].
    rest
        Media of which it has what no other area's points have.
    keys
        Weights of products that share its energy; one product of its own has all of it.
    missing
        Whether a point of it was not read.
    """

    code: str
    kind: AreaKind
    quantities: Mapping[str, Fraction]
    rest: frozenset[str] = frozenset()
    keys: Mapping[str, Fraction] = field(default_factory=dict)
    own_product: str | None = None
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What a conversion put out of a medium, and its share of the area's input; 0 .. 1."""

    area: str
    medium: str
    quantity: Fraction
    share: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class MediumFactor:
    """Input over output of an in-house medium; ``factor`` is None if nothing came out."""

    medium: str
    input: Fraction
    output: Fraction
    used: Fraction

    @property
    def factor(self) -> Fraction | None:
        """Energy in one unit of it [energy unit per unit of the medium]."""
        return self.input / self.output if self.output > 0 else None


@dataclass(frozen=True, slots=True)
class EnergyRow:
    """A part of the scheme's total; ``missing`` if a meter that makes it was not read."""

    part: RowPart
    code: str
    direct: Fraction = _NOTHING
    media: Fraction = _NOTHING
    allocated: Fraction = _NOTHING
    missing: bool = False

    @property
    def energy(self) -> Fraction:
        """Its energy [energy unit of the scheme]."""
        return self.direct + self.media + self.allocated


@dataclass(frozen=True, slots=True)
class SharedOut:
    """Rows that add up to the scheme's total, and what in-house media took.

    ``overdrawn`` are media of which areas measured more than there was.
    """

    rows: Sequence[EnergyRow]
    factors: Sequence[MediumFactor]
    overdrawn: Sequence[str]


def input_shares(contents: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """Return how the input of a conversion is shared by what each output holds.

    Parameters
    ----------
    contents
        Energy that the outputs hold, by medium [one unit], 0 or more.

    Returns
    -------
    dict
        Shares that add up to 1; equal ones if nothing came out.

    Notes
    -----
    The heat quantity method (热量法) of combined heat and power: fuel by the heat and power that
    it became.
    """
    whole = sum(contents.values(), _NOTHING)
    if whole <= 0:
        return {m: Fraction(1, len(contents)) for m in contents}
    return {m: content / whole for m, content in contents.items()}


def share_out(
    carriers: Mapping[str, Carrier], areas: Sequence[AreaUse], made: Sequence[Made]
) -> SharedOut:
    """Give the scheme's energy to areas and products.

    Parameters
    ----------
    carriers
        What the scheme counts, by medium.
    areas
        All of the plant; media that the scheme does not count and nobody makes are left out.
    made
        What conversions put out; shares of one area add up to 1.

    Returns
    -------
    SharedOut
        Rows whose energy adds up to that of the carriers, exactly.

    Raises
    ------
    ConversionCycleError
        If conversions only feed each other, so that no factor solves it.

    Notes
    -----
    GB/T 2589: in-house working media count in what made them; F11: by the month's real input.
    """
    pools = {m.medium for m in made}
    supply = {
        medium: carriers.get(medium, Carrier(_NOTHING, _NOTHING)).quantity
        + sum((m.quantity for m in made if m.medium == medium), _NOTHING)
        for medium in {*carriers, *pools}
    }
    taken = _taken(areas, supply)
    inputs = _conversion_inputs(carriers, areas, made, supply, taken)
    energy = {
        medium: (carriers[medium].energy if medium in carriers else _NOTHING)
        + sum((m.share * inputs[m.area] for m in made if m.medium == medium), _NOTHING)
        for medium in supply
    }
    rows = _area_rows(areas, pools, supply, energy, taken)
    factors, overdrawn = [], []
    for medium in sorted(supply):
        used = sum((t.get(medium, _NOTHING) for t in taken.values()), _NOTHING)
        left = energy[medium] - _per_unit(supply, energy, medium) * used
        if medium in pools:
            factors.append(MediumFactor(medium, energy[medium], supply[medium], used))
        rows.append(EnergyRow("loss" if medium in pools else "unmetered", medium, left))
        if used > max(supply[medium], _NOTHING):
            overdrawn.append(medium)
    return SharedOut(rows, factors, overdrawn)


def _taken(
    areas: Sequence[AreaUse], supply: Mapping[str, Fraction]
) -> dict[str, dict[str, Fraction]]:
    """Return what each area took by medium, the rest of a medium included."""
    taken = {a.code: {m: q for m, q in a.quantities.items() if m in supply} for a in areas}
    for area in areas:
        for medium in area.rest & supply.keys():
            others = sum(
                (t.get(medium, _NOTHING) for code, t in taken.items() if code != area.code),
                _NOTHING,
            )
            taken[area.code][medium] = supply[medium] - others
    return taken


def _per_unit(
    supply: Mapping[str, Fraction], energy: Mapping[str, Fraction], medium: str
) -> Fraction:
    # Nothing came out, or more left than came in: what it took is a loss, not somebody's.
    return energy[medium] / supply[medium] if supply[medium] > 0 else _NOTHING


def _conversion_inputs(
    carriers: Mapping[str, Carrier],
    areas: Sequence[AreaUse],
    made: Sequence[Made],
    supply: Mapping[str, Fraction],
    taken: Mapping[str, Mapping[str, Fraction]],
) -> dict[str, Fraction]:
    """Solve what went into each conversion: bought energy plus what other conversions made."""
    makers = sorted({m.area for m in made} & {a.code for a in areas})
    bought = {medium: c.energy for medium, c in carriers.items()}
    matrix: list[list[Fraction]] = []
    for maker in makers:
        row = {other: Fraction(int(other == maker)) for other in makers}
        right = _NOTHING
        for medium, quantity in taken[maker].items():
            if supply[medium] <= 0:
                continue
            part = quantity / supply[medium]
            right += part * bought.get(medium, _NOTHING)
            for m in made:
                if m.medium == medium and m.area in row:
                    row[m.area] -= part * m.share
        matrix.append([*row.values(), right])
    solved = _solve(matrix, makers)
    return defaultdict(Fraction, zip(makers, solved, strict=True))


def _solve(matrix: list[list[Fraction]], makers: Sequence[str]) -> list[Fraction]:
    """Solve a small linear system exactly, by elimination."""
    n = len(matrix)
    for i in range(n):
        pivot = next((j for j in range(i, n) if matrix[j][i] != 0), None)
        if pivot is None:
            raise ConversionCycleError(
                f"areas {', '.join(makers)} feed each other with all that they make, so that their"
                " input cannot be told: give one of them a point of what it takes from outside"
            )
        matrix[i], matrix[pivot] = matrix[pivot], matrix[i]
        matrix[i] = [v / matrix[i][i] for v in matrix[i]]
        for j in range(n):
            if j != i and matrix[j][i] != 0:
                times = matrix[j][i]
                matrix[j] = [a - times * b for a, b in zip(matrix[j], matrix[i], strict=True)]
    return [row[-1] for row in matrix]


def _area_rows(
    areas: Sequence[AreaUse],
    pools: set[str],
    supply: Mapping[str, Fraction],
    energy: Mapping[str, Fraction],
    taken: Mapping[str, Mapping[str, Fraction]],
) -> list[EnergyRow]:
    products: dict[str, list[Fraction]] = defaultdict(lambda: [_NOTHING] * 3)
    lost: set[str] = set()
    rows: list[EnergyRow] = []
    for area in areas:
        if area.kind == "conversion":
            continue
        direct = media = _NOTHING
        for medium, quantity in taken[area.code].items():
            amount = quantity * _per_unit(supply, energy, medium)
            if medium in pools:
                media += amount
            else:
                direct += amount
        weights = sum(area.keys.values(), _NOTHING)
        if area.own_product is not None:
            products[area.own_product][0] += direct
            products[area.own_product][1] += media
        elif weights > 0:
            for product, weight in area.keys.items():
                products[product][2] += (direct + media) * weight / weights
        elif area.keys or area.kind == "line":
            rows.append(EnergyRow("unallocated", area.code, direct, media))
        else:
            rows.append(EnergyRow("ancillary", area.code, direct, media, missing=area.missing))
        if area.missing:
            lost |= {area.own_product} if area.own_product is not None else set(area.keys)
    for product, (direct, media, allocated) in sorted(products.items()):
        rows.append(
            EnergyRow("product", product, direct, media, allocated, missing=product in lost)
        )
    return rows
