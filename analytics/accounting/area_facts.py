"""What a plant declares of its areas, conversions and allocations, dated (F11)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol, TypeVar

import psycopg

from analytics.accounting.area_energy import AreaKind
from analytics.accounting.enpi_facts import load_product_output
from analytics.accounting.product_output import ProductOutput

__all__ = ["Allocation", "Area", "Conversion", "PlantAreas", "load_areas"]


class _Dated(Protocol):
    @property
    def key(self) -> str: ...
    @property
    def valid_from(self) -> dt.datetime: ...
    @property
    def valid_to(self) -> dt.datetime | None: ...


_Record = TypeVar("_Record", bound=_Dated)


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the plant; ``points`` with their signs, ``products`` by their numbers."""

    key: str
    kind: AreaKind
    products: Sequence[int]
    points: Sequence[tuple[str, int]]
    media: frozenset[str]
    valid_from: dt.datetime
    valid_to: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Conversion:
    """What an area makes, measured by points; ``share`` of its input, None: by energy content."""

    key: str
    area: str
    medium: str
    points: Sequence[tuple[str, int]]
    share: Fraction | None
    valid_from: dt.datetime
    valid_to: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Allocation:
    """How an area's energy is shared; ``rule`` is the commit that says so."""

    key: str
    method: str
    stage: str
    products: Sequence[int]
    coefficients: Sequence[Fraction]
    points: Sequence[str]
    rule: int
    valid_from: dt.datetime
    valid_to: dt.datetime | None


@dataclass(frozen=True, slots=True)
class PlantAreas:
    """All records of a site that are known now, with the output that allocations need.

    ``products`` are their codes by number, ``outputs`` by number and stage.
    """

    areas: Sequence[Area] = ()
    conversions: Sequence[Conversion] = ()
    allocations: Sequence[Allocation] = ()
    products: Mapping[int, str] = field(default_factory=dict)
    outputs: Mapping[tuple[int, str], ProductOutput] = field(default_factory=dict)

    def over(
        self, since: dt.datetime, until: dt.datetime
    ) -> tuple[list[Area], list[Conversion], list[Allocation]]:
        """Return what holds in a month: of a record that changes in it the one it began with.

        Parameters
        ----------
        since, until
            The month.

        Returns
        -------
        tuple
            Areas, conversions, allocations, each in order of their codes.
        """
        return (
            _held(self.areas, since, until),
            _held(self.conversions, since, until),
            _held(self.allocations, since, until),
        )


def _held(records: Iterable[_Record], since: dt.datetime, until: dt.datetime) -> list[_Record]:
    found: dict[str, _Record] = {}
    for record in sorted(records, key=lambda r: (r.key, r.valid_from)):
        if record.valid_from < until and (record.valid_to is None or since < record.valid_to):
            found.setdefault(record.key, record)
    return list(found.values())


def load_areas(connection: psycopg.Connection[Any], site_id: int) -> PlantAreas:
    """Load the areas of a site.

    Parameters
    ----------
    connection
        To the platform's database.
    site_id
        The site.

    Returns
    -------
    PlantAreas
        Empty if the plant file declares none.
    """
    areas = [
        Area(
            code, kind, products, list(zip(points, signs, strict=True)), frozenset(media), *span
        )
        for code, kind, products, points, signs, media, *span in connection.execute(
            "SELECT a.code, r.kind, r.product_ids, r.point_codes, r.point_signs, r.media,"
            " r.valid_from, r.valid_to FROM area a JOIN area_record r USING (area_id)"
            " WHERE a.site_id = %s AND r.superseded_commit_no IS NULL ORDER BY 1, 7",
            (site_id,),
        )
    ]  # fmt: skip
    if not areas:
        return PlantAreas()
    conversions = [
        Conversion(
            f"{code} {medium}", code, medium, list(zip(points, signs, strict=True)),
            None if share is None else Fraction(share), *span,
        )
        for code, medium, points, signs, share, *span in connection.execute(
            "SELECT a.code, c.medium, c.point_codes, c.point_signs, c.input_share, c.valid_from,"
            " c.valid_to FROM area a JOIN conversion c USING (area_id)"
            " WHERE a.site_id = %s AND c.superseded_commit_no IS NULL ORDER BY 1, 2, 6",
            (site_id,),
        )
    ]  # fmt: skip
    allocations = [
        Allocation(code, method, stage, products, [Fraction(k) for k in factors], *rest)
        for code, method, stage, products, factors, *rest in connection.execute(
            "SELECT a.code, l.method, l.stage, l.product_ids, l.coefficients, l.point_codes,"
            " l.commit_no, l.valid_from, l.valid_to FROM area a JOIN allocation l USING (area_id)"
            " WHERE a.site_id = %s AND l.superseded_commit_no IS NULL ORDER BY 1, 8",
            (site_id,),
        )
    ]
    wanted = {(p, "qualified") for a in areas for p in a.products}
    wanted |= {(p, rule.stage) for rule in allocations for p in rule.products}
    wanted |= {(p, "qualified") for p, _ in wanted}
    codes = dict(
        connection.execute(
            "SELECT product_id, code FROM product WHERE site_id = %s", (site_id,)
        ).fetchall()
    )
    outputs = {
        (p, stage): load_product_output(connection, site_id, p, stage)
        for p, stage in sorted(wanted)
    }
    return PlantAreas(areas, conversions, allocations, codes, outputs)
