"""Waste findings by what they cost, the evidence of one, and the load that never goes away."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.portal.points import Point, load_points
from dashboards.portal.rates import Curve, load_curve
from dashboards.portal.site import Site

__all__ = [
    "METER_KINDS",
    "STANDS_ALONE",
    "BaseLoad",
    "Decided",
    "Evidence",
    "Waste",
    "WastePage",
    "fold_excess",
    "load_waste",
]

# Doubts about a meter: nobody wastes what a register does not count.
METER_KINDS = ("meter_stuck", "meter_silent", "meter_drifting", "energy_and_power_differ")
_EXCESS = "profile_exceeded"
# Of a finding w: nothing of its kind and time stands at a main meter above it.
STANDS_ALONE = (
    "(w.kind <> 'profile_exceeded' OR NOT EXISTS (WITH RECURSIVE up (point_id) AS ("
    "  SELECT r.parent_point_id FROM point_record r WHERE r.point_id = w.point_id"
    "   AND r.superseded_commit_no IS NULL AND r.parent_point_id IS NOT NULL"
    "  UNION SELECT r.parent_point_id FROM point_record r JOIN up USING (point_id)"
    "   WHERE r.superseded_commit_no IS NULL AND r.parent_point_id IS NOT NULL)"
    " SELECT 1 FROM up JOIN waste_finding m USING (point_id) WHERE m.kind = w.kind"
    " AND m.withdrawn_version IS NULL AND m.measured_from < w.measured_to"
    " AND w.measured_from < m.measured_to))"
)
_CURVE_DAYS = 7
_LISTED = 200


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What someone decided about a finding."""

    state: str
    author: str
    reason: str
    at: dt.datetime


class Waste(msgspec.Struct, frozen=True, kw_only=True):
    """One finding; amounts are what was measured, a year of them only of a standing one."""

    waste_id: int
    kind: str
    subject: str
    point: str
    point_zh: str
    point_en: str
    point_id: int
    first_seen: dt.datetime
    measured_from: dt.datetime
    measured_to: dt.datetime
    standing: bool
    amount: float | None
    unit: str
    withheld_code: str | None
    tce: float | None
    yuan: float | None
    yuan_withheld_code: str | None
    amount_a_year: float | None
    tce_a_year: float | None
    yuan_a_year: float | None
    evidence: dict[str, Any]
    simulated: bool
    verified: bool
    state: str
    also: list[str] = []  # sub-meters that show the same excess, by code

    @property
    def about_a_meter(self) -> bool:
        """Whether a meter is in doubt rather than energy wasted."""
        return self.kind in METER_KINDS


class BaseLoad(msgspec.Struct, frozen=True, kw_only=True):
    """The load that never goes away, of a point and kind of hours."""

    point_id: int
    point_zh: str
    point_en: str
    hours: str
    period_from: dt.date
    period_to: dt.date
    rate: float
    low: float
    high: float
    share: float | None
    rate_before: float | None
    rise: float | None
    rise_p: float | None
    unit: str


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """The finding shown: its curve around when it was measured, and what was decided."""

    waste: Waste
    curve: Curve | None
    decisions: list[Decided]


class WastePage(msgspec.Struct, frozen=True, kw_only=True):
    """The page."""

    site: Site
    state: str
    wastes: list[Waste]
    meters: list[Waste]
    evidence: Evidence | None
    base_loads: list[BaseLoad]
    through: dt.date | None  # exclusive: the days before it were looked at
    unknown: str | None = None  # an id in the address that is none


def load_waste(
    connection: psycopg.Connection[Any], site: Site, state: str, chosen: str | None
) -> WastePage:
    """Read the findings of one state, the dearest a year first, and one of them in detail."""
    found = _wastes(connection, site)
    parents = {p.point_id: p.parent_point_id for p in load_points(connection, site)}
    of_state = fold_excess([w for w in found if w.state == state], parents)
    wastes = [w for w in of_state if not w.about_a_meter][:_LISTED]
    meters = [w for w in of_state if w.about_a_meter][:_LISTED]
    shown = next((w for w in found if str(w.waste_id) == chosen), None)
    unknown = None if chosen is None or shown is not None else chosen[:20]
    first = shown or next(iter(wastes + meters), None)
    base_loads = _base_loads(connection, site)
    return WastePage(
        site=site, state=state, wastes=wastes, meters=meters,
        evidence=None if first is None else _evidence(connection, site, first),
        base_loads=base_loads,
        through=max((b.period_to for b in base_loads), default=None),
        unknown=unknown,
    )  # fmt: skip


def _wastes(connection: psycopg.Connection[Any], site: Site) -> list[Waste]:
    return (
        connection.cursor(row_factory=class_row(Waste))
        .execute(
            "SELECT w.waste_id, w.kind, w.subject, p.code AS point, r.name_zh AS point_zh,"
            " r.name_en AS point_en, w.point_id, w.first_seen, w.measured_from, w.measured_to,"
            " w.standing, w.amount, w.unit, w.withheld_code, w.tce, w.yuan::double precision"
            " AS yuan, w.yuan_withheld_code, w.amount_a_year, w.tce_a_year,"
            " w.yuan_a_year::double precision AS yuan_a_year, w.evidence, w.simulated,"
            " w.verified, coalesce(d.state, 'open') AS state"
            " FROM waste_finding w JOIN point p USING (point_id)"
            " JOIN LATERAL (SELECT * FROM point_record r WHERE r.point_id = w.point_id"
            "  AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) r ON true"
            " LEFT JOIN waste_decision d ON d.waste_id = w.waste_id"
            "  AND d.superseded_commit_no IS NULL"
            " WHERE w.site_id = %s AND w.withdrawn_version IS NULL"
            " ORDER BY w.yuan_a_year DESC NULLS LAST, w.yuan DESC NULLS LAST, w.waste_id",
            (site.site_id,),
        )
        .fetchall()
    )


def fold_excess(wastes: list[Waste], parents: Mapping[int, int | None]) -> list[Waste]:
    """Take an excess that a main meter and its sub-meters show at one time as one.

    Parameters
    ----------
    wastes
        In any order.
    parents
        The main meter of each point.

    Returns
    -------
    list of Waste
        The main meter's, with the codes of the sub-meters in ``also``; the rest as it was.
    """
    excess = [w for w in wastes if w.kind == _EXCESS]
    inside: dict[int, Waste] = {}
    for waste in excess:
        above = parents.get(waste.point_id)
        while above is not None:
            main = next((w for w in excess if w.point_id == above and _overlap(w, waste)), None)
            if main is not None:
                inside[waste.waste_id] = main
            above = parents.get(above)
    also: dict[int, list[str]] = {}
    for waste in excess:
        if waste.waste_id in inside:
            also.setdefault(inside[waste.waste_id].waste_id, []).append(waste.point)
    return [
        msgspec.structs.replace(w, also=sorted(set(also.get(w.waste_id, []))))
        for w in wastes
        if w.waste_id not in inside
    ]


def _overlap(one: Waste, other: Waste) -> bool:
    return one.measured_from < other.measured_to and other.measured_from < one.measured_to


def _evidence(connection: psycopg.Connection[Any], site: Site, waste: Waste) -> Evidence:
    decisions = (
        connection.cursor(row_factory=class_row(Decided))
        .execute(
            "SELECT state, author, reason, recorded_at AS at FROM waste_decision"
            " WHERE waste_id = %s ORDER BY recorded_at DESC",
            (waste.waste_id,),
        )
        .fetchall()
    )
    points: list[Point] = [
        p for p in load_points(connection, site) if p.point_id == waste.point_id and p.series_id
    ]
    curve = None
    if points:
        begin, end = evidence_days(waste, site)
        curve = load_curve(connection, points, begin, end)
    return Evidence(waste=waste, curve=curve, decisions=decisions)


def evidence_days(waste: Waste, site: Site) -> tuple[dt.datetime, dt.datetime]:
    """Return the whole days drawn: of a long finding the last week, of a short one its own."""
    last = (waste.measured_to - dt.timedelta(seconds=1)).astimezone(site.zone).date()
    first = max(
        waste.measured_from.astimezone(site.zone).date(),
        last - dt.timedelta(days=_CURVE_DAYS - 1),
    )
    return site.midnight(first), site.midnight(last + dt.timedelta(days=1))


def _base_loads(connection: psycopg.Connection[Any], site: Site) -> list[BaseLoad]:
    return (
        connection.cursor(row_factory=class_row(BaseLoad))
        .execute(
            "SELECT b.point_id, r.name_zh AS point_zh, r.name_en AS point_en, b.hours,"
            " b.period_from, b.period_to, b.rate, b.low, b.high, b.share, b.rate_before, b.rise,"
            " b.rise_p, b.unit FROM base_load b JOIN LATERAL (SELECT * FROM point_record r"
            "  WHERE r.point_id = b.point_id AND r.superseded_commit_no IS NULL"
            "  ORDER BY r.valid_from DESC LIMIT 1) r ON true WHERE b.site_id = %s"
            " ORDER BY b.point_id, array_position(ARRAY['all', 'night', 'weekend', 'holiday'],"
            " b.hours)",
            (site.site_id,),
        )
        .fetchall()
    )
