"""What the plant says about a site: calendars, counters, points that count, ledger, EnPIs."""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

import psycopg

from analytics.accounting.area_facts import PlantAreas, load_areas
from analytics.accounting.energy_parts import LedgerEntry, MeteredPoint
from analytics.accounting.enpi_facts import Enpi, load_enpis
from analytics.accounting.product_output import ProductionShape, load_output
from analytics.accounting.site_calendar import Shift, SiteCalendar
from analytics.accounting.virtual_points import VirtualPoint, expand, load_virtual_points
from enpilot.quantities import INTEGRALS, QUANTITIES, energy_quantity, tariff_base

__all__ = ["Counter", "SiteFacts", "class_share", "load_shifts", "load_site_facts"]


_CUMULATIVE: Final = [q.code for q in QUANTITIES.values() if q.cumulative]


@dataclass(frozen=True, slots=True)
class Counter:
    """A series of a point that adds up: a counter, or a gauge that is integrated over time.

    ``quantity`` is what it reads, ``amounts_to`` what that adds up to.
    """

    series_id: int
    point_id: int
    quantity: str
    channel: str

    @property
    def amounts_to(self) -> str:
        """The quantity of its advances."""
        return INTEGRALS[self.quantity][0] if self.quantity in INTEGRALS else self.quantity


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """Everything but intervals that a site's figures depend on.

    ``points`` are those of the plant's boundary, and its own generation; ``other_uses`` are inside,
    for what is no production; ``areas`` are who uses energy; ``metered`` is what counts
    of every accepted point and of every virtual one, by code.
    """

    site_id: int
    zone: ZoneInfo
    calendars: Mapping[str, SiteCalendar]
    counters: Sequence[Counter]
    points: Sequence[MeteredPoint]
    metered: Mapping[str, Sequence[MeteredPoint]]
    virtual: Sequence[VirtualPoint]
    ledger: Sequence[LedgerEntry]
    enpis: Sequence[Enpi]
    other_uses: Sequence[MeteredPoint] = ()
    areas: PlantAreas = field(default_factory=PlantAreas)

    @property
    def counted(self) -> list[MeteredPoint]:
        """What schemes count, or take off."""
        return [*self.points, *self.other_uses]


def load_site_facts(connection: psycopg.Connection[Any], site_id: int) -> SiteFacts:
    """Load the facts that hold now for a site (F2).

    Parameters
    ----------
    connection
        To the platform's database.
    site_id
        The site.

    Returns
    -------
    SiteFacts
        As a session sees them: one of the past sees what held then.
    """
    row = connection.execute(
        "SELECT timezone, production_day_start, month_day FROM site_record WHERE site_id = %s"
        " AND superseded_commit_no IS NULL ORDER BY valid_from DESC LIMIT 1",
        (site_id,),
    ).fetchone()
    assert row is not None  # importing a plant writes site and record together
    zone, shifts = ZoneInfo(row[0]), load_shifts(connection, site_id)
    calendars = {
        "civil": SiteCalendar(zone, dt.time(0), row[2], shifts),
        "production": SiteCalendar(zone, row[1], row[2], shifts),
    }
    counters = [
        Counter(*found)
        for found in connection.execute(
            # A counter comes before a gauge that would amount to the same.
            "SELECT series_id, point_id, quantity, channel FROM series s WHERE site_id = %s"
            " AND (quantity = ANY(%s) OR EXISTS (SELECT FROM integrated_series i"
            "  WHERE i.series_id = s.series_id AND i.superseded_commit_no IS NULL))"
            " ORDER BY quantity <> ALL(%s), series_id",
            (site_id, _CUMULATIVE, _CUMULATIVE),
        )
    ]
    real = _points(connection, site_id, counters)
    virtual = load_virtual_points(connection, site_id)
    points = real | expand(virtual, real)
    return SiteFacts(
        site_id,
        zone,
        calendars,
        counters,
        [p for found in real.values() for p in found if p.boundary],
        points,
        virtual,
        _ledger(connection, site_id),
        load_enpis(connection, site_id, calendars, points),
        [p for found in real.values() for p in found if not p.boundary and p.use != "production"],
        load_areas(connection, site_id),
    )


def load_shifts(connection: psycopg.Connection[Any], site_id: int) -> list[Shift]:
    """Read the shifts of a site.

    Parameters
    ----------
    connection
        To the database.
    site_id
        The site.

    Returns
    -------
    list of Shift
        As they hold, in the order in which they start.
    """
    return [
        Shift(*row)
        for row in connection.execute(
            "SELECT s.code, r.starts, r.ends, r.valid_from, r.valid_to FROM shift s"
            " JOIN shift_record r USING (shift_id) WHERE s.site_id = %s"
            " AND r.superseded_commit_no IS NULL ORDER BY r.starts, s.code",
            (site_id,),
        )
    ]


def _points(
    connection: psycopg.Connection[Any], site_id: int, counters: Sequence[Counter]
) -> dict[str, list[MeteredPoint]]:
    """Return what counts of each accepted point (F30), by its code."""
    channels: dict[tuple[int, str], dict[str, int]] = defaultdict(dict)
    for counter in counters:
        channels[counter.point_id, counter.amounts_to].setdefault(
            counter.channel, counter.series_id
        )
    points: dict[str, list[MeteredPoint]] = defaultdict(list)
    for (
        point_id,
        code,
        medium,
        role,
        direction,
        since,
        until,
        use,
        accuracy,
    ) in connection.execute(
        "SELECT p.point_id, p.code, p.medium, r.role, r.direction, r.valid_from, r.valid_to,"
        " r.use, (SELECT d.accuracy_class FROM installation i JOIN device d USING (device_id)"
        "  WHERE i.point_id = p.point_id AND i.superseded_commit_no IS NULL"
        "  ORDER BY i.valid_from DESC LIMIT 1)"
        " FROM point p JOIN point_record r USING (point_id) WHERE p.site_id = %s"
        " AND r.superseded_commit_no IS NULL AND r.commissioning = 'accepted'"
        " ORDER BY p.point_id, r.valid_from",
        (site_id,),
    ):
        quantity = energy_quantity(medium)
        known = channels.get((point_id, quantity), {})
        # A meter that separates directions says so in its channels; another has one total.
        # Where it has no such register, those of its tariffs make it together.
        for series_id in _registers(known, direction) or _registers(known, "total"):
            points[code].append(
                MeteredPoint(
                    series_id,
                    medium,
                    QUANTITIES[quantity].unit,
                    -1 if direction == "export" else 1,
                    role == "generation",
                    since,
                    until,
                    class_share(accuracy),
                    boundary=role in ("boundary", "generation"),
                    code=code,
                    use=use,
                    direction_out=direction == "export",
                )
            )
    return points


def _registers(known: Mapping[str, int], channel: str) -> list[int]:
    if channel in known:
        return [known[channel]]
    return [series_id for name, series_id in sorted(known.items()) if tariff_base(name) == channel]


def class_share(accuracy_class: str | None) -> float | None:
    """Return the limit of error that an accuracy class stands for.

    Parameters
    ----------
    accuracy_class
        As it is written on the meter: "0.5S"; None if nobody said it.

    Returns
    -------
    float or None
        As a share, 0 .. 1: 0.005; None if it is no number.

    Notes
    -----
    The class is the limit of error in percent (GB/T 17215).
    """
    found = re.match(r"\d+(\.\d+)?", accuracy_class or "")
    return None if found is None else float(found.group()) / 100


def _ledger(connection: psycopg.Connection[Any], site_id: int) -> list[LedgerEntry]:
    shapes = [
        (medium, ProductionShape(tuple(load_output(connection, product_id, stage))), since, until)
        for medium, product_id, stage, since, until in connection.execute(
            "SELECT medium, product_id, stage, valid_from, valid_to FROM ledger_shape"
            " WHERE site_id = %s AND superseded_commit_no IS NULL ORDER BY medium, valid_from",
            (site_id,),
        ).fetchall()
    ]

    def shape_of(medium: str, at: dt.datetime) -> ProductionShape | None:
        for name, shape, since, until in shapes:
            if name == medium and since <= at and (until is None or at < until):
                return shape
        return None

    return [
        LedgerEntry(
            medium, kind, Fraction(quantity), unit, since, until, synthetic,
            None if calorific is None else Fraction(calorific), shape_of(medium, since),
        )
        for medium, kind, quantity, unit, since, until, synthetic, calorific in connection.execute(
            "SELECT medium, kind, quantity, unit, from_ts, to_ts, synthetic,"
            " calorific_value_kj_per_kg FROM energy_ledger"
            " WHERE site_id = %s AND superseded_commit_no IS NULL ORDER BY from_ts",
            (site_id,),
        )
    ]  # fmt: skip
