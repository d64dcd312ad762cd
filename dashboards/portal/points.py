"""The meters of a site and what each of them measures, as pages name them."""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.portal.site import Site
from enpilot.quantities import QUANTITIES, energy_quantity
from enpilot.text import Language

__all__ = ["Point", "load_points", "main_import"]


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A metering point with the counter that stands for it, as it is today."""

    point_id: int
    code: str
    name_zh: str
    name_en: str
    medium: str
    role: str
    direction: str
    parent_point_id: int | None
    quantity: str
    series_id: int | None = None  # of its total register; None of a virtual or entered point

    def name(self, language: Language) -> str:
        """Return its name."""
        return self.name_zh if language == "zh" else self.name_en

    @property
    def unit(self) -> str:
        """In which its amounts are stored and shown."""
        return QUANTITIES[self.quantity].unit


class _Row(msgspec.Struct, kw_only=True):
    point_id: int
    code: str
    name_zh: str
    name_en: str
    medium: str
    role: str
    direction: str
    parent_point_id: int | None


def load_points(connection: psycopg.Connection[Any], site: Site) -> list[Point]:
    """Read the points of a site in the order of their codes, whatever their medium."""
    rows = (
        connection.cursor(row_factory=class_row(_Row))
        .execute(
            "SELECT p.point_id, p.code, r.name_zh, r.name_en, p.medium, r.role, r.direction,"
            " r.parent_point_id FROM point p JOIN LATERAL (SELECT * FROM point_record r"
            "  WHERE r.point_id = p.point_id AND r.superseded_commit_no IS NULL"
            "  ORDER BY r.valid_from DESC LIMIT 1) r ON true"
            " WHERE p.site_id = %s ORDER BY p.code",
            (site.site_id,),
        )
        .fetchall()
    )
    series: dict[tuple[int, str], int] = {
        (point_id, quantity): series_id
        for point_id, quantity, series_id in connection.execute(
            "SELECT point_id, quantity, series_id FROM series"
            " WHERE site_id = %s AND channel = 'total'",
            (site.site_id,),
        )
    }
    points = []
    for row in rows:
        quantity = "pieces" if row.role == "production" else energy_quantity(row.medium)
        points.append(
            Point(
                **msgspec.structs.asdict(row),
                quantity=quantity,
                series_id=series.get((row.point_id, quantity)),
            )
        )
    return points


def main_import(points: list[Point]) -> list[Point]:
    """Return the electricity meters at the boundary, whose sum is what the plant draws."""
    return [
        p
        for p in points
        if (p.medium, p.role, p.direction) == ("electricity", "boundary", "import")
        and p.series_id is not None
    ]
