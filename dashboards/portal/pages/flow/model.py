"""A month's energy from where it came in down to the last meter, in standard coal."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.portal.period import Period, parse_period, period_of
from dashboards.portal.points import Point, load_points
from dashboards.portal.site import Site

__all__ = [
    "Balance", "Band", "FlowPage", "Medium", "ProductPart", "bands_of_month", "load_flow",
]  # fmt: skip

_SITE = 0  # parent of a balance over the site's boundary


class Medium(msgspec.Struct, frozen=True, kw_only=True):
    """What one unit of a medium counts in standard coal, by the site's accounting scheme."""

    medium: str
    kgce_per_unit: float
    unit: str
    verified: bool


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """One band of the flow: so much from one place to another.

    A place is a medium (``m:electricity``), a meter (``p:12``), what of a meter no sub-meter
    counted (``r:12``), own generation (``g:12``), or what was given away (``x:12``).
    """

    source: str
    target: str
    tce: float
    amount: float
    unit: str


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """A main meter against its sub-meters."""

    medium: str
    parent_point_id: int
    main: float | None
    children: float | None
    remainder: float | None
    tolerance: float | None
    unit: str
    incomplete: list[str]
    status: str


class ProductPart(msgspec.Struct, frozen=True, kw_only=True):
    """What a product, or what is not one, took of the scheme's energy."""

    part: str
    code: str
    name_zh: str | None
    name_en: str | None
    direct: float | None
    media: float | None
    allocated: float | None
    energy: float | None
    energy_unit: str
    output: float | None
    output_unit: str | None
    withheld_code: str | None


class FlowPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page."""

    site: Site
    month: Period
    points: list[Point]
    amounts: dict[str, float]  # of points that have one, by id
    withheld: list[int]  # points whose amount is withheld
    media: list[Medium]
    left_out: list[str]  # media without a factor in the scheme
    bands: list[Band]
    balances: list[Balance]
    products: list[ProductPart]
    simulated: bool
    misread: str | None = None


def load_flow(connection: psycopg.Connection[Any], site: Site, asked: str | None) -> FlowPage:
    """Read the month in the address, by default the last one that has figures."""
    period = parse_period(asked, site.today)
    month = period_of("month", _last(connection, site) if period is None else period.first)
    points = [p for p in load_points(connection, site) if p.role != "production"]
    amounts: dict[int, float] = {}
    withheld: list[int] = []
    simulated = False
    by_id = {p.point_id: p for p in points}
    for point_id, quantity, amount, from_simulator in connection.execute(
        "SELECT point_id, quantity, amount, simulated FROM energy_period WHERE site_id = %s"
        " AND period_kind = 'month' AND period_from = %s AND channel = 'total'",
        (site.site_id, month.first),
    ):
        if point_id not in by_id or by_id[point_id].quantity != quantity:
            continue
        simulated = simulated or bool(from_simulator)
        if amount is None:
            withheld.append(point_id)
        else:
            amounts[point_id] = amount
    media = _media(connection, site, month)
    known = {m.medium for m in media}
    return FlowPage(
        site=site, month=month, points=points,
        amounts={str(point_id): amount for point_id, amount in amounts.items()},
        withheld=withheld, media=media,
        left_out=sorted({p.medium for p in points if p.point_id in amounts} - known),
        bands=bands_of_month(points, amounts, {m.medium: m for m in media}),
        balances=_balances(connection, site, month), products=_products(connection, site, month),
        simulated=simulated, misread=asked[:40] if asked and period is None else None,
    )  # fmt: skip


def bands_of_month(
    points: list[Point], amounts: dict[int, float], media: dict[str, Medium]
) -> list[Band]:
    """Draw the tree of meters as bands; what no sub-meter counts is a band of its own.

    Parameters
    ----------
    points
        Of every medium.
    amounts
        What each counted [its unit].
    media
        Factors; a medium without one is left out, since widths are standard coal.

    Returns
    -------
    list of Band
        Sub-meters that count more than their main meter leave no remainder; the balance says so.
    """
    bands = []
    children: dict[int, list[Point]] = {}
    for point in points:
        if point.parent_point_id is not None:
            children.setdefault(point.parent_point_id, []).append(point)

    def add(source: str, target: str, amount: float, point: Point) -> None:
        factor = media[point.medium].kgce_per_unit
        if amount > 0:
            bands.append(
                Band(source=source, target=target, tce=amount * factor / 1000, amount=amount,
                     unit=point.unit)
            )  # fmt: skip

    for point in points:
        amount = amounts.get(point.point_id)
        if amount is None or point.medium not in media:
            continue
        medium, place = f"m:{point.medium}", f"p:{point.point_id}"
        if point.role == "generation":
            add(f"g:{point.point_id}", medium, amount, point)
        elif point.direction == "export":
            add(medium, f"x:{point.point_id}", amount, point)
        elif point.role == "boundary":
            add(medium, place, amount, point)
        elif point.parent_point_id in amounts:
            add(f"p:{point.parent_point_id}", place, amount, point)
        below = children.get(point.point_id, [])
        if below:
            counted = sum(amounts.get(c.point_id, 0.0) for c in below)
            add(place, f"r:{point.point_id}", amount - counted, point)
    return bands


def _last(connection: psycopg.Connection[Any], site: Site) -> dt.date:
    row = connection.execute(
        "SELECT max(period_from) FROM energy_period WHERE site_id = %s AND period_kind = 'month'"
        " AND period_to <= %s AND amount IS NOT NULL",
        (site.site_id, site.today),
    ).fetchone()
    return site.today if row is None or row[0] is None else row[0]


def _media(connection: psycopg.Connection[Any], site: Site, month: Period) -> list[Medium]:
    """Return factors of the scheme that counts most media, as its figures used them."""
    return (
        connection.cursor(row_factory=class_row(Medium))
        .execute(
            "WITH used AS (SELECT scheme_id, carrier, factor, quantity_unit, energy_unit,"
            "  factor_verified, period_from FROM scheme_energy_period WHERE site_id = %(site)s"
            "  AND period_kind = 'month' AND part = 'import' AND factor IS NOT NULL"
            "  AND energy_unit IN ('kgce', 'tce') AND period_from <= %(month)s),"
            " widest AS (SELECT scheme_id FROM used GROUP BY scheme_id"
            "  ORDER BY count(DISTINCT carrier) DESC, scheme_id LIMIT 1)"
            " SELECT DISTINCT ON (carrier) carrier AS medium, factor * CASE energy_unit"
            "  WHEN 'tce' THEN 1000 ELSE 1 END AS kgce_per_unit, quantity_unit AS unit,"
            "  factor_verified AS verified FROM used JOIN widest USING (scheme_id)"
            " ORDER BY carrier, period_from DESC",
            {"site": site.site_id, "month": month.first},
        )
        .fetchall()
    )


def _balances(connection: psycopg.Connection[Any], site: Site, month: Period) -> list[Balance]:
    return (
        connection.cursor(row_factory=class_row(Balance))
        .execute(
            "SELECT medium, parent_point_id, main, children, remainder, tolerance, unit,"
            " incomplete, status FROM balance_period WHERE site_id = %s AND period_kind = 'month'"
            " AND period_from = %s ORDER BY array_position("
            "ARRAY['off', 'incomplete', 'remainder', 'closed'], status), medium, parent_point_id",
            (site.site_id, month.first),
        )
        .fetchall()
    )


def _products(connection: psycopg.Connection[Any], site: Site, month: Period) -> list[ProductPart]:
    return (
        connection.cursor(row_factory=class_row(ProductPart))
        .execute(
            "SELECT e.part, e.code, coalesce(p.name_zh, a.name_zh) AS name_zh,"
            " coalesce(p.name_en, a.name_en) AS name_en, e.direct, e.media, e.allocated, e.energy,"
            " e.energy_unit, e.output, e.output_unit, e.withheld_code"
            " FROM product_energy_period e"
            " LEFT JOIN LATERAL (SELECT r.name_zh, r.name_en FROM product t"
            "  JOIN product_record r USING (product_id) WHERE e.part = 'product'"
            "  AND t.site_id = e.site_id AND t.code = e.code AND r.superseded_commit_no IS NULL"
            "  ORDER BY r.valid_from DESC LIMIT 1) p ON true"
            " LEFT JOIN LATERAL (SELECT r.name_zh, r.name_en FROM area t"
            "  JOIN area_record r USING (area_id) WHERE e.part <> 'product'"
            "  AND t.site_id = e.site_id AND t.code = e.code AND r.superseded_commit_no IS NULL"
            "  ORDER BY r.valid_from DESC LIMIT 1) a ON true"
            " WHERE e.site_id = %s AND e.period_kind = 'month' AND e.period_from = %s"
            " AND e.scheme_id = (SELECT min(scheme_id) FROM product_energy_period"
            "  WHERE site_id = %s AND period_kind = 'month' AND period_from = %s)"
            " ORDER BY array_position(ARRAY['product', 'ancillary', 'loss', 'unallocated',"
            " 'unmetered'], e.part), e.energy DESC NULLS LAST",
            (site.site_id, month.first, site.site_id, month.first),
        )
        .fetchall()
    )
