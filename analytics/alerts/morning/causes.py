"""The one cause behind a day's distance from what was expected, and the one action.

Candidates are what was wasted that day, sub-meters beside the same weekdays before, and shifts. The
one that moved most is told, if it moved enough of the distance: else there is no single cause.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import psycopg

from analytics.alerts.morning.said import Action, Cause, Morning
from analytics.alerts.rules import AlertSite
from analytics.waste.declared import load_waste_facts
from analytics.waste.prices import coal_equivalent

__all__ = ["Candidate", "Excess", "choose", "find_cause"]

_DAY: Final = dt.timedelta(days=1)
# Of the distance, from which on something is its cause; of two shifts each has half of it anyway.
_ENOUGH: Final = {"waste": 1 / 3, "point": 1 / 3, "shift": 0.6}
# Within this of what was expected, there is nothing to explain.
_NEAR: Final = 0.005
# A sub-meter below another one that has most of its difference is the better name for it.
_MOST: Final = 0.8
_LEAST_LIKE_DAYS: Final = 2
# Doubts about a meter: nobody wastes what a register does not count.
_METER_KINDS: Final = ("meter_stuck", "meter_silent", "meter_drifting", "energy_and_power_differ")


@dataclass(frozen=True, slots=True)
class Excess:
    """Distance of the day: ``tce`` above what was expected [tce], ``intensity`` if that was one."""

    tce: float | None
    intensity: float | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may be the cause: what it moved [tce], and the point it is at and below."""

    cause: Cause
    tce: float
    point_id: int | None = None
    parent_id: int | None = None


def choose(candidates: Sequence[Candidate], excess_tce: float | None) -> Cause:
    """Choose the one cause.

    Parameters
    ----------
    candidates
        With what each moved [tce].
    excess_tce
        The day's distance [tce]; None if nothing was expected.

    Returns
    -------
    Cause
        The one that moved most in the distance's direction, if it moved a third of it (a shift six
        tenths). A waste at the same meter, or a meter below with most of the difference, is the
        better name. Without a distance the largest waste; else of kind "none" (F38).
    """
    if excess_tce is None:
        wastes = [c for c in candidates if c.cause.kind == "waste" and c.tce > 0]
        best = max(wastes, key=lambda c: c.tce, default=None)
        return Cause(kind="none") if best is None else _said(best, None)
    sign = 1.0 if excess_tce > 0 else -1.0
    enough = [
        c for c in candidates
        if c.tce * sign > 0 and c.tce * sign >= _ENOUGH[c.cause.kind] * abs(excess_tce)
    ]  # fmt: skip
    if not enough:
        return Cause(kind="none")
    best = max(enough, key=lambda c: c.tce * sign)
    while best.cause.kind == "point":
        better = [
            c for c in enough
            if (c.cause.kind == "waste" and c.point_id == best.point_id)
            or (c.cause.kind == "point" and c.parent_id == best.point_id
                and c.tce * sign >= _MOST * best.tce * sign)
        ]  # fmt: skip
        if not better:
            break
        best = max(better, key=lambda c: (c.cause.kind == "waste", c.tce * sign))
    return _said(best, excess_tce)


def _said(chosen: Candidate, excess_tce: float | None) -> Cause:
    share = None if not excess_tce else min(1.0, chosen.tce / excess_tce)
    c = chosen.cause
    return Cause(kind=c.kind, code=c.code, name_zh=c.name_zh, name_en=c.name_en, tce=chosen.tce,
                 share=share)  # fmt: skip


def find_cause(
    connection: psycopg.Connection[Any],
    site: AlertSite,
    day: dt.date,
    like: Sequence[dt.date],
    enpi_id: int | None,
    morning: Morning,
    excess: Excess,
) -> tuple[Cause, Action]:
    """Find the one cause of a day's distance, and the one action.

    Parameters
    ----------
    connection
        To the database.
    site, day
        Of which day.
    like
        The days that it is compared with.
    enpi_id
        The EnPI that is told; None if there is none.
    morning
        What is known of the day.
    excess
        Its distance [tce].

    Returns
    -------
    Cause, Action
        A figure that is withheld is its own cause, and what helps against that is the action. The
        action of no cause is the dearest waste that stands and that nobody decided about (F38).
    """
    if morning.withheld_code is not None and morning.intensity is None:
        code = morning.withheld_code
        return Cause(kind="withheld", code=code), Action(kind="withheld", code=code)
    if not morning.has_figure:
        return Cause(kind="none"), Action(kind="none")
    if morning.distance is not None and abs(morning.distance) < _NEAR:
        return Cause(kind="none"), _dearest(connection, site)
    points = _points(connection, site, day, like, enpi_id, morning)
    wastes = _within(_wastes(connection, site, day), points)
    cause = choose([*wastes, *points, *_shifts(connection, day, enpi_id, excess)], excess.tce)
    if cause.kind in ("waste", "point", "shift") and (cause.tce or 0.0) > 0:
        return cause, Action(kind=cause.kind, code=cause.code, name_zh=cause.name_zh,
                             name_en=cause.name_en)  # fmt: skip
    return cause, _dearest(connection, site)


_OPEN_WASTE: Final = (
    " FROM waste_finding w JOIN LATERAL (SELECT name_zh, name_en, role FROM point_record r"
    "  WHERE r.point_id = w.point_id AND r.superseded_commit_no IS NULL"
    "  ORDER BY r.valid_from DESC LIMIT 1) r ON true"
    " LEFT JOIN waste_decision d ON d.waste_id = w.waste_id AND d.superseded_commit_no IS NULL"
    " WHERE w.site_id = %(site)s AND w.withdrawn_version IS NULL AND w.kind <> ALL(%(meters)s)"
)


def _dearest(connection: psycopg.Connection[Any], site: AlertSite) -> Action:
    row = connection.execute(
        "SELECT w.kind, r.name_zh, r.name_en, w.yuan_a_year::double precision"
        + _OPEN_WASTE
        + " AND w.standing AND w.yuan_a_year > 0 AND coalesce(d.state, 'open') = 'open'"
        " ORDER BY w.yuan_a_year DESC LIMIT 1",
        {"site": site.site_id, "meters": list(_METER_KINDS)},
    ).fetchone()
    if row is None:
        return Action(kind="none")
    return Action(kind="waste", code=row[0], name_zh=row[1], name_en=row[2], yuan_a_year=row[3])


def _wastes(connection: psycopg.Connection[Any], site: AlertSite, day: dt.date) -> list[Candidate]:
    """Return what was wasted, each with the part of its span that lies in the day."""
    begin = dt.datetime.combine(day, dt.time(0), site.zone)
    until = dt.datetime.combine(day + _DAY, dt.time(0), site.zone)
    found = []
    for kind, zh, en, point_id, tce, since, to in connection.execute(
        "SELECT w.kind, r.name_zh, r.name_en, w.point_id, w.tce, w.measured_from, w.measured_to"
        + _OPEN_WASTE
        + " AND w.tce > 0 AND w.measured_from < %(until)s AND w.measured_to > %(begin)s"
        " AND coalesce(d.state, 'open') <> 'not_waste'"
        # That the site as a whole used more than on comparable days is no cause of it.
        " AND NOT (w.kind = 'profile_exceeded' AND r.role = 'boundary')",
        {"site": site.site_id, "meters": list(_METER_KINDS), "begin": begin, "until": until},
    ):
        part = (min(to, until) - max(since, begin)) / (to - since)
        cause = Cause(kind="waste", code=kind, name_zh=zh, name_en=en)
        found.append(Candidate(cause, tce * part, point_id))
    return found


def _within(wastes: Sequence[Candidate], points: Sequence[Candidate]) -> list[Candidate]:
    """Let a waste explain no more than its meter is above its usual: the rest is usual."""
    known = {c.point_id: c.tce for c in points}
    return [replace(w, tce=min(w.tce, known.get(w.point_id, w.tce))) for w in wastes]


def _points(
    connection: psycopg.Connection[Any],
    site: AlertSite,
    day: dt.date,
    like: Sequence[dt.date],
    enpi_id: int | None,
    morning: Morning,
) -> list[Candidate]:
    """Return how sub-meters differ from the like days, at the day's own output."""
    outputs: dict[dt.date, float] = dict(
        connection.execute(
            "SELECT period_from, output FROM enpi_period WHERE enpi_id = %s"
            " AND period_kind = 'day' AND shift = '' AND period_from = ANY(%s) AND output > 0",
            (enpi_id, list(like)),
        ).fetchall()
    )
    schemes = load_waste_facts(connection, site.site_id).schemes
    at = dt.datetime.combine(day, dt.time(0), site.zone)
    found = []
    for point_id, parent, zh, en, medium, unit, today, before in connection.execute(
        "SELECT e.point_id, r.parent_point_id, r.name_zh, r.name_en, p.medium, e.unit,"
        " max(e.amount) FILTER (WHERE e.period_from = %(day)s),"
        " jsonb_object_agg(e.period_from, e.amount) FILTER (WHERE e.period_from <> %(day)s)"
        " FROM energy_period e JOIN point p USING (point_id) JOIN LATERAL (SELECT * FROM"
        "  point_record r WHERE r.point_id = p.point_id AND r.superseded_commit_no IS NULL"
        "  ORDER BY r.valid_from DESC LIMIT 1) r ON true"
        " WHERE e.site_id = %(site)s AND e.period_kind = 'day' AND e.channel = 'total'"
        " AND e.quantity = CASE p.medium WHEN 'electricity' THEN 'active_energy'"
        "  ELSE e.quantity END AND r.role = 'sub' AND e.amount IS NOT NULL"
        " AND (e.period_from = %(day)s OR e.period_from = ANY(%(like)s))"
        " GROUP BY e.point_id, r.parent_point_id, r.name_zh, r.name_en, p.medium, e.quantity,"
        " e.unit ORDER BY e.point_id",
        {"site": site.site_id, "day": day, "like": list(like)},
    ):
        known = {dt.date.fromisoformat(d): float(a) for d, a in (before or {}).items()}
        usual = _usual(known, outputs, morning.output)
        if today is None or usual is None:
            continue
        coal = coal_equivalent(today - usual, medium, unit, schemes, at)
        if coal.value is not None:
            cause = Cause(kind="point", name_zh=zh, name_en=en)
            found.append(Candidate(cause, coal.value, point_id, parent))
    return found


def _usual(
    known: dict[dt.date, float], outputs: dict[dt.date, float], output: float | None
) -> float | None:
    """Return what a meter would have counted: in proportion to output where that is known."""
    both = [d for d in known if d in outputs]
    if output is not None and len(both) >= _LEAST_LIKE_DAYS:
        return sum(known[d] for d in both) / sum(outputs[d] for d in both) * output
    return sum(known.values()) / len(known) if len(known) >= _LEAST_LIKE_DAYS else None


def _shifts(
    connection: psycopg.Connection[Any], day: dt.date, enpi_id: int | None, excess: Excess
) -> list[Candidate]:
    """Return how far shifts are from the expected intensity, where one was expected."""
    if excess.intensity is None:
        return []
    rows = connection.execute(
        "SELECT f.shift, coalesce(n.name_zh, f.shift), coalesce(n.name_en, f.shift), f.intensity,"
        " f.output, f.energy_tce / nullif(f.energy, 0) FROM enpi_period f LEFT JOIN LATERAL ("
        "  SELECT r.name_zh, r.name_en FROM shift s JOIN shift_record r USING (shift_id)"
        "  WHERE s.site_id = f.site_id AND s.code = f.shift AND r.superseded_commit_no IS NULL"
        "  ORDER BY r.valid_from DESC LIMIT 1) n ON true"
        " WHERE f.enpi_id = %s AND f.period_kind = 'shift' AND f.period_from = %s"
        " AND f.intensity IS NOT NULL AND f.output > 0 ORDER BY f.shift",
        (enpi_id, day),
    ).fetchall()
    if len(rows) < 2:  # one shift is the day
        return []
    return [
        Candidate(
            Cause(kind="shift", code=code, name_zh=zh, name_en=en),
            (intensity - excess.intensity) * output * tce_per_unit,
        )
        for code, zh, en, intensity, output, tce_per_unit in rows
        if tce_per_unit is not None
    ]  # fmt: skip
