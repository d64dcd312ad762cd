"""A meter as someone standing in front of it sees it: every register now, and what it should be.

The walk compares the display with the register at that instant (F30): a wrong ratio, word order or
sign shows as a factor between them.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.portal.points import Point, load_points
from dashboards.portal.site import Site

__all__ = [
    "Comparison", "Installation", "MeterPage", "Register", "compare_display", "load_meter",
    "parse_display",
]  # fmt: skip

# What a display may differ by: it shows fewer digits, and time passes between look and reading.
_AGREES = 0.002
_FACTORS = (10.0, 100.0, 1000.0, 2.0, math.sqrt(3), 3.0, 65536.0)


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """A device at the point, for a span of time."""

    device: str
    maker: str | None
    model: str | None
    serial: str | None
    accuracy_class: str | None
    simulated: bool
    ct_ratio: float
    pt_ratio: float
    sign: int
    since: dt.datetime
    until: dt.datetime | None
    author: str
    reason: str


class Register(msgspec.Struct, frozen=True, kw_only=True):
    """A register's newest value, raw and scaled."""

    series_id: int
    quantity: str
    channel: str
    at: dt.datetime | None
    value: float | None  # scaled; of a counter its level
    unit: str | None
    quality: int | None
    counter: bool
    scale: float | None
    register_scale: float | None
    ratio: float | None
    period_s: int | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A number read off the display beside the register."""

    series_id: int
    display: float
    level: float  # of the register as the display shows it: without CT and PT
    share: float  # display / level - 1
    agrees: bool
    factor: float | None  # display / level, if that is a usual mistake


class MeterPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page."""

    site: Site
    point: Point
    commissioning: str
    installations: list[Installation]
    registers: list[Register]
    comparison: Comparison | None
    display_misread: str | None = None


def parse_display(series: str | None, shown: str | None) -> tuple[int, float] | None:
    """Read the series and the number on its display, with or without separators."""
    try:
        return int(series or ""), float((shown or "").replace(",", "").replace(" ", ""))
    except ValueError:
        return None


def compare_display(register: Register, display: float) -> Comparison | None:
    """Compare a display's number with the register that it shows.

    Parameters
    ----------
    register
        With a value; a display shows the meter's own counts in its unit, before CT and PT.
    display
        As read off [unit of the register].

    Returns
    -------
    Comparison or None
        None if the register has no value to compare with, or is zero.
    """
    if register.value is None or not register.ratio:
        return None
    level = register.value / register.ratio
    if level == 0:
        return None
    factor = display / level
    usual = next(
        (
            signed
            for candidate in (*_FACTORS, abs(register.ratio))
            for signed in (candidate, 1 / candidate, -candidate, -1.0)
            if candidate != 1 and abs(factor / signed - 1) <= _AGREES
        ),
        None,
    )
    agrees = abs(factor - 1) <= _AGREES
    return Comparison(
        series_id=register.series_id, display=display, level=level, share=factor - 1,
        agrees=agrees, factor=None if agrees else usual,
    )  # fmt: skip


def load_meter(
    connection: psycopg.Connection[Any],
    site: Site,
    code: str,
    series: str | None,
    display: str | None,
) -> MeterPage | None:
    """Read a point with its devices and registers."""
    point = next((p for p in load_points(connection, site) if p.code == code), None)
    if point is None:
        return None
    row = connection.execute(
        "SELECT commissioning FROM point_record WHERE point_id = %s"
        " AND superseded_commit_no IS NULL ORDER BY valid_from DESC LIMIT 1",
        (point.point_id,),
    ).fetchone()
    registers = _registers(connection, point)
    shown = parse_display(series, display)
    comparison = None
    if shown is not None:
        of_series = next((r for r in registers if r.series_id == shown[0]), None)
        comparison = None if of_series is None else compare_display(of_series, shown[1])
    return MeterPage(
        site=site, point=point, commissioning="planned" if row is None else row[0],
        installations=_installations(connection, point), registers=registers,
        comparison=comparison,
        display_misread=display[:40] if display and comparison is None else None,
    )  # fmt: skip


def _registers(connection: psycopg.Connection[Any], point: Point) -> list[Register]:
    return (
        connection.cursor(row_factory=class_row(Register))
        .execute(
            "SELECT s.series_id, s.quantity, s.channel, l.ts AS at, l.value, e.unit, l.quality,"
            " e.counter_kind IS NOT NULL AS counter, e.scale::double precision AS scale,"
            " e.register_scale::double precision AS register_scale,"
            " e.ratio::double precision AS ratio, e.period_s"
            " FROM series s LEFT JOIN latest_value l USING (series_id) LEFT JOIN LATERAL"
            " (SELECT * FROM series_epoch e WHERE e.series_id = s.series_id"
            "  AND e.superseded_commit_no IS NULL ORDER BY e.valid_from DESC LIMIT 1) e ON true"
            " WHERE s.point_id = %s ORDER BY e.counter_kind IS NULL, s.quantity, s.channel",
            (point.point_id,),
        )
        .fetchall()
    )


def _installations(connection: psycopg.Connection[Any], point: Point) -> list[Installation]:
    return (
        connection.cursor(row_factory=class_row(Installation))
        .execute(
            "SELECT device, maker, model, serial, accuracy_class, simulated,"
            " ct_ratio::double precision AS ct_ratio, pt_ratio::double precision AS pt_ratio,"
            ' sign, valid_from AS since, valid_to AS "until", author, reason'
            " FROM visible_installation WHERE point_id = %s ORDER BY valid_from DESC",
            (point.point_id,),
        )
        .fetchall()
    )
