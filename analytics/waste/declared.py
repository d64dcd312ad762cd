"""What the plant says of machines, opening hours, ratios and prices."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from analytics.accounting.energy_parts import Scheme
from analytics.accounting.enpi_facts import load_scheme
from analytics.accounting.holidays import DayKind
from analytics.waste.quarter_hours import LocalQuarters
from enpilot.tariff_hours import hours_of_day

__all__ = [
    "DeclaredHours",
    "DeclaredMachine",
    "DeclaredRatio",
    "FlatPrice",
    "PointPlace",
    "WasteFacts",
    "load_waste_facts",
]

_MINUTES_A_QUARTER: Final = 15


@dataclass(frozen=True, slots=True)
class _Held:
    valid_from: dt.datetime
    valid_to: dt.datetime | None

    def at(self, when: dt.datetime) -> bool:
        """Whether it holds at an instant."""
        return self.valid_from <= when and (self.valid_to is None or when < self.valid_to)


@dataclass(frozen=True, slots=True)
class DeclaredMachine(_Held):
    """A machine, see `enpilot.plant.waste.Machine`; bands in units of the point per hour."""

    code: str
    point_id: int
    idle_from: float | None
    running_from: float | None
    status_series_id: int | None
    off_values: tuple[int, ...]
    idle_values: tuple[int, ...]
    output_point_id: int | None


@dataclass(frozen=True, slots=True)
class DeclaredHours(_Held):
    """Opening hours, see `enpilot.plant.waste.OpeningHours`."""

    code: str
    days: tuple[str, ...]
    hours: tuple[str, ...]
    point_ids: tuple[int, ...]

    def closed(self, quarters: LocalQuarters) -> NDArray[np.bool_]:
        """Return which quarter-hours are closed; planned shutdowns are not judged, shape (n,)."""
        opened = np.zeros(len(quarters.day), dtype=np.bool_)
        for text in self.hours:
            for begin, end in hours_of_day(text):
                low, high = begin // _MINUTES_A_QUARTER, end // _MINUTES_A_QUARTER
                opened |= (quarters.quarter >= low) & (quarters.quarter < high)
        opened &= quarters.of_kind(*(DayKind(day) for day in self.days))
        return ~opened & ~quarters.of_kind(DayKind.SHUTDOWN)


@dataclass(frozen=True, slots=True)
class DeclaredRatio(_Held):
    """A ratio with its range, see `enpilot.plant.waste.RatioCheck`."""

    code: str
    numerator_id: int
    denominator_id: int
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class FlatPrice(_Held):
    """What a kWh costs about [yuan/kWh]."""

    yuan_per_kwh: Fraction
    verified: bool


@dataclass(frozen=True, slots=True)
class PointPlace:
    """Where a point stands in the tree, as it is known now."""

    point_id: int
    code: str
    medium: str
    role: str
    parent_id: int | None


@dataclass(frozen=True, slots=True)
class WasteFacts:
    """All that waste depends on beside intervals, tariffs and the site's facts.

    ``place`` and ``power`` go by the number of the point: where it stands, and its gauge of active
    power; ``schemes`` are those in kgce with their codes, in order.
    """

    machines: Sequence[DeclaredMachine]
    hours: Sequence[DeclaredHours]
    ratios: Sequence[DeclaredRatio]
    flat_prices: Sequence[FlatPrice]
    place: Mapping[int, PointPlace]
    schemes: Sequence[tuple[str, Scheme]]
    power: Mapping[int, int] = field(default_factory=dict)

    def ancestors(self, point_id: int) -> list[int]:
        """Return the points above a point, the nearest first."""
        found: list[int] = []
        at = self.place.get(point_id)
        while at is not None and at.parent_id is not None and at.parent_id not in found:
            found.append(at.parent_id)
            at = self.place.get(at.parent_id)
        return found

    def children(self, point_id: int) -> list[PointPlace]:
        """Return the sub-meters right below a point, of its own medium."""
        own = self.place[point_id]
        return [
            p
            for p in self.place.values()
            if p.parent_id == point_id and p.role == "sub" and p.medium == own.medium
        ]

    def hours_of(self, point_id: int, at: dt.datetime) -> DeclaredHours | None:
        """Return the opening hours of a point: its own before those of the whole site."""
        held = [h for h in self.hours if h.at(at)]
        own = [h for h in held if point_id in h.point_ids]
        return next(iter([*own, *(h for h in held if not h.point_ids)]), None)


def load_waste_facts(connection: psycopg.Connection[Any], site_id: int) -> WasteFacts:
    """Load what holds now for a site.

    Parameters
    ----------
    connection
        To the database.
    site_id
        The site.

    Returns
    -------
    WasteFacts
        Empty where the plant file declares nothing.
    """

    def rows(table: str, columns: str) -> list[tuple[Any, ...]]:
        return connection.execute(
            f"SELECT valid_from, valid_to, {columns} FROM {table} WHERE site_id = %s"
            " AND superseded_commit_no IS NULL ORDER BY 3, valid_from",
            (site_id,),
        ).fetchall()

    return WasteFacts(
        [
            DeclaredMachine(since, until, code, point, _real(idle), _real(running), status,
                            tuple(off), tuple(idling), output)
            for since, until, code, point, idle, running, status, off, idling, output in rows(
                "machine", "code, point_id, idle_from, running_from, status_series_id, off_values,"
                " idle_values, output_point_id")
        ],
        [
            DeclaredHours(since, until, code, tuple(days), tuple(hours), tuple(points))
            for since, until, code, days, hours, points in rows(
                "opening_hours", "code, days, hours, point_ids")
        ],
        [
            DeclaredRatio(since, until, code, above, below, _real(low), _real(high))
            for since, until, code, above, below, low, high in rows(
                "ratio_check", "code, numerator_point_id, denominator_point_id, low, high")
        ],
        [
            FlatPrice(since, until, Fraction(yuan), verified)
            for since, until, yuan, verified in rows("flat_price", "yuan_per_kwh, verified")
        ],
        _places(connection, site_id),
        [
            (code, load_scheme(connection, scheme_id))
            for scheme_id, code in connection.execute(
                "SELECT DISTINCT scheme_id, code FROM scheme JOIN scheme_record r USING (scheme_id)"
                " WHERE site_id = %s AND r.superseded_commit_no IS NULL"
                " AND r.energy_unit = 'kgce' ORDER BY code", (site_id,)).fetchall()
        ],
        dict(connection.execute(
            "SELECT point_id, series_id FROM series WHERE site_id = %s"
            " AND quantity = 'active_power' AND channel = 'total'", (site_id,)).fetchall()),
    )  # fmt: skip


def _places(connection: psycopg.Connection[Any], site_id: int) -> dict[int, PointPlace]:
    return {
        row[0]: PointPlace(*row)
        for row in connection.execute(
            "SELECT DISTINCT ON (p.point_id) p.point_id, p.code, p.medium, r.role,"
            " r.parent_point_id FROM point p JOIN point_record r USING (point_id)"
            " WHERE p.site_id = %s AND r.superseded_commit_no IS NULL"
            " AND r.commissioning = 'accepted' AND r.direction <> 'export'"
            " ORDER BY p.point_id, r.valid_from DESC",
            (site_id,),
        )
    }


def _real(value: Any) -> float | None:
    return None if value is None else float(value)
