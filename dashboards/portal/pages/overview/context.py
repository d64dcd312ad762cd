"""What stands around a day's figures: what is usual, what to do, who ran, how the weeks went."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.portal.figures import EnpiFigure, enpi_figures
from dashboards.portal.pages.alerts.model import load_open
from dashboards.portal.pages.load.model import day_kinds
from dashboards.portal.pages.waste.model import STANDS_ALONE
from dashboards.portal.points import load_points, main_import
from dashboards.portal.rates import QUARTER_S, load_curve
from dashboards.portal.site import Indicator, Site
from dashboards.portal.usual import USUAL_DAYS, Usual, usual_range

__all__ = ["Around", "DayCost", "DayDemand", "IndicatorMonth", "ShiftFigure", "Task", "load_around"]

WEEKS_DAYS = 35
_TASKS = 5
_HOUR = 3600 // QUARTER_S


class DayDemand(msgspec.Struct, frozen=True, kw_only=True):
    """The day's highest demand and the month's, as computed from readings."""

    kw: float
    at: dt.datetime
    month_kw: float | None
    declared_kw: float | None


class DayCost(msgspec.Struct, frozen=True, kw_only=True):
    """What the day's electricity costs, without basic charges."""

    yuan: float
    kwh: float | None
    verified: bool
    simulated: bool


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do: an alert, a waste finding."""

    kind: str  # alert, waste
    code: str  # of the rule, or the kind of waste
    severity: str
    name_zh: str
    name_en: str
    place_zh: str
    place_en: str
    at: dt.datetime
    yuan: float | None
    yearly: bool  # yuan is of a year
    page: str  # below the site


class IndicatorMonth(msgspec.Struct, frozen=True, kw_only=True):
    """An indicator's month to date."""

    indicator: Indicator
    figure: EnpiFigure


class ShiftFigure(msgspec.Struct, frozen=True, kw_only=True):
    """A shift of the day."""

    code: str
    name_zh: str
    name_en: str
    intensity: float | None
    energy: float | None
    energy_unit: str
    output_unit: str
    to_target: float | None
    estimated_share: float | None
    withheld_code: str | None


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """All of it; every part may be missing."""

    usual: Usual | None = None
    typical_kwh: float | None = None
    demand: DayDemand | None = None
    cost: DayCost | None = None
    tasks: list[Task] = []
    tasks_more: int = 0
    months: list[IndicatorMonth] = []
    shifts: list[ShiftFigure] = []
    weeks: list[list[float | None]] = []  # days, the oldest first, by hour [kW]
    weeks_from: dt.date | None = None


def load_around(
    connection: psycopg.Connection[Any], site: Site, day: dt.date, indicator: Indicator | None
) -> Around:
    """Read what surrounds a day of a metered site."""
    usual, weeks, first = _loads(connection, site, day)
    typical = None
    if usual is not None and all(v is not None for v in usual.middle):
        typical = sum(v or 0.0 for v in usual.middle) * QUARTER_S / 3600
    tasks = _tasks(connection, site)
    return Around(
        usual=usual, typical_kwh=typical, demand=_demand(connection, site, day),
        cost=_cost(connection, site, day), tasks=tasks[:_TASKS],
        tasks_more=max(0, len(tasks) - _TASKS), months=_months(connection, site, day),
        shifts=[] if indicator is None else _shifts(connection, indicator, day),
        weeks=weeks, weeks_from=first,
    )  # fmt: skip


def _loads(
    connection: psycopg.Connection[Any], site: Site, day: dt.date
) -> tuple[Usual | None, list[list[float | None]], dt.date | None]:
    """Read the days before, once, for the usual range and for the weeks."""
    points = main_import(load_points(connection, site))
    if not points:
        return None, [], None
    first = day - dt.timedelta(days=USUAL_DAYS)
    end = site.midnight(day + dt.timedelta(days=1))
    curve = load_curve(connection, points, site.midnight(first), end, known_to=site.data_through)
    rates = curve.rates
    days: dict[dt.date, list[float | None]] = {}
    at = 0
    for offset in range(USUAL_DAYS + 1):
        date = first + dt.timedelta(days=offset)
        length = site.midnight(date + dt.timedelta(days=1)) - site.midnight(date)
        count = int(length.total_seconds()) // QUARTER_S
        days[date] = rates[at : at + count]
        at += count
    usual = usual_range(days, day, day_kinds(connection, site, first, day))
    begin = day - dt.timedelta(days=WEEKS_DAYS - 1)
    weeks = [_hours(days[begin + dt.timedelta(days=i)]) for i in range(WEEKS_DAYS)]
    if not any(v is not None for row in weeks for v in row):
        return usual, [], None
    return usual, weeks, begin


def _hours(quarters: list[float | None]) -> list[float | None]:
    """Return hourly means; an hour with a gap is unknown."""
    hours: list[float | None] = []
    for start in range(0, len(quarters) - _HOUR + 1, _HOUR):
        part = [q for q in quarters[start : start + _HOUR] if q is not None]
        hours.append(sum(part) / _HOUR if len(part) == _HOUR else None)
    return hours


def _demand(connection: psycopg.Connection[Any], site: Site, day: dt.date) -> DayDemand | None:
    row = connection.execute(
        "SELECT d.demand_kw, d.at_ts, (SELECT max(m.demand_kw) FROM demand_day m"
        "  WHERE m.account_id = d.account_id AND m.day >= date_trunc('month', d.day)"
        "  AND m.day < date_trunc('month', d.day) + interval '1 month'),"
        " (SELECT (terms->>'contract_demand_kw')::double precision FROM account_record r"
        "  WHERE r.account_id = d.account_id AND r.superseded_commit_no IS NULL"
        "  ORDER BY r.valid_from DESC LIMIT 1)"
        " FROM demand_day d WHERE d.site_id = %s AND d.day = %s AND d.demand_kw IS NOT NULL"
        " ORDER BY d.demand_kw DESC LIMIT 1",
        (site.site_id, day),
    ).fetchone()
    if row is None:
        return None
    return DayDemand(kw=row[0], at=row[1], month_kw=row[2], declared_kw=row[3])


def _cost(connection: psycopg.Connection[Any], site: Site, day: dt.date) -> DayCost | None:
    row = connection.execute(
        "SELECT sum(cost_yuan)::double precision, sum(amount)::double precision,"
        " bool_and(tariff_verified), bool_or(simulated), bool_or(cost_yuan IS NULL)"
        " FROM cost_period WHERE site_id = %s AND account_id IS NOT NULL"
        " AND period_kind = 'day' AND period_from = %s AND band = 'total'",
        (site.site_id, day),
    ).fetchone()
    if row is None or row[0] is None or row[4]:
        return None  # a part of the accounts is no day's cost
    return DayCost(yuan=row[0], kwh=row[1], verified=row[2], simulated=row[3])


class _Waste(msgspec.Struct, kw_only=True):
    waste_id: int
    kind: str
    point_zh: str
    point_en: str
    measured_to: dt.datetime
    yuan: float | None
    yuan_a_year: float | None


def _tasks(connection: psycopg.Connection[Any], site: Site) -> list[Task]:
    """Return alerts that nobody has, then open waste by what it costs."""
    tasks = [
        Task(
            kind="alert", code=a.rule, severity=a.severity, name_zh=a.rule_zh, name_en=a.rule_en,
            place_zh=a.subject_zh or a.subject, place_en=a.subject_en or a.subject, at=a.since,
            yuan=None, yearly=False, page=f"alerts/{a.rule}",
        )
        for a in load_open(connection, site)
        if a.state == "firing" and not a.muted
    ]  # fmt: skip
    wastes = (
        connection.cursor(row_factory=class_row(_Waste))
        .execute(
            "SELECT w.waste_id, w.kind, r.name_zh AS point_zh, r.name_en AS point_en,"
            " w.measured_to, w.yuan::double precision AS yuan,"
            " w.yuan_a_year::double precision AS yuan_a_year FROM waste_finding w"
            " JOIN LATERAL (SELECT * FROM point_record r WHERE r.point_id = w.point_id"
            "  AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) r ON true"
            " WHERE w.site_id = %s AND w.withdrawn_version IS NULL"
            f" AND {STANDS_ALONE} AND NOT EXISTS"
            "  (SELECT FROM waste_decision d WHERE d.waste_id = w.waste_id"
            "   AND d.superseded_commit_no IS NULL AND d.state <> 'open')"
            " ORDER BY w.yuan_a_year DESC NULLS LAST, w.yuan DESC NULLS LAST, w.waste_id",
            (site.site_id,),
        )
        .fetchall()
    )
    return tasks + [
        Task(
            kind="waste", code=waste.kind, severity="warning" if waste.yuan_a_year else "note",
            name_zh="", name_en="", place_zh=waste.point_zh, place_en=waste.point_en,
            at=waste.measured_to, yuan=waste.yuan_a_year or waste.yuan,
            yearly=waste.yuan_a_year is not None, page=f"waste?id={waste.waste_id}",
        )
        for waste in wastes
    ]  # fmt: skip


def _months(connection: psycopg.Connection[Any], site: Site, day: dt.date) -> list[IndicatorMonth]:
    first = day.replace(day=1)
    end = (first + dt.timedelta(days=32)).replace(day=1)
    found = []
    for indicator in site.indicators:
        figures = enpi_figures(connection, indicator.enpi_id, "month", first, end)
        found += [IndicatorMonth(indicator=indicator, figure=f) for f in figures[:1]]
    return found


def _shifts(
    connection: psycopg.Connection[Any], indicator: Indicator, day: dt.date
) -> list[ShiftFigure]:
    """Return the day's shifts; without the right to crews' figures there are none to see."""
    return (
        connection.cursor(row_factory=class_row(ShiftFigure))
        .execute(
            "SELECT f.shift AS code, coalesce(r.name_zh, f.shift) AS name_zh,"
            " coalesce(r.name_en, f.shift) AS name_en, f.intensity, f.energy,"
            " f.energy_unit, f.output_unit, CASE WHEN f.target_intensity > 0"
            "  THEN f.intensity / f.target_intensity - 1 END AS to_target, f.estimated_share,"
            " f.withheld_code FROM enpi_period f LEFT JOIN LATERAL (SELECT r.name_zh, r.name_en"
            "  FROM shift s JOIN shift_record r USING (shift_id) WHERE s.site_id = f.site_id"
            "  AND s.code = f.shift AND r.superseded_commit_no IS NULL"
            "  ORDER BY r.valid_from DESC LIMIT 1) r ON true"
            " WHERE f.enpi_id = %s AND f.period_kind = 'shift' AND f.period_from = %s"
            " ORDER BY f.shift",
            (indicator.enpi_id, day),
        )
        .fetchall()
    )
