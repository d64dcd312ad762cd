"""What the performance page shows of one EnPI and year, read in one snapshot."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import msgspec
import psycopg

from dashboards.portal.figures import (
    EnpiFigure,
    Target,
    enpi_figures,
    latest_year_to_date,
    targets,
    year_to_dates,
)
from dashboards.portal.pages.enpi.filters import EnpiFilters
from dashboards.portal.pages.enpi.story import (
    Baseline,
    Event,
    MeterDay,
    YearEnd,
    load_baseline,
    load_events,
    load_meters,
    load_year_end,
)
from dashboards.portal.site import Indicator, Site

__all__ = ["EnpiPage", "MonthFigure", "PathYear", "load_enpi", "target_path"]


class MonthFigure(msgspec.Struct, frozen=True, kw_only=True):
    """A month of the year: its figure if there is one, and the same month of the base year."""

    month: dt.date
    figure: EnpiFigure | None
    base_intensity: float | None


class PathYear(msgspec.Struct, frozen=True, kw_only=True):
    """A year on the path from base to end."""

    year: int
    target_intensity: float | None  # the base itself in the base year
    figure: EnpiFigure | None  # the year to date that reaches furthest
    base: bool

    @property
    def closed(self) -> bool:
        """Whether the figure covers the whole year; a part is not compared with a year (F8)."""
        return self.figure is not None and self.figure.period_to == dt.date(self.year + 1, 1, 1)


class EnpiPage(msgspec.Struct, frozen=True, kw_only=True):
    """The performance page."""

    site: Site
    indicator: Indicator
    year: int
    years: list[int]
    months: list[MonthFigure]
    year_to_date: EnpiFigure | None
    target: Target | None
    path: list[PathYear]
    month: dt.date | None
    days: list[EnpiFigure]  # of the chosen month
    to_date: list[EnpiFigure] = []  # the year to the end of each month
    year_end: YearEnd | None = None
    baseline: Baseline | None = None
    events: list[Event] = []
    day: dt.date | None = None
    meters: list[MeterDay] = []  # of the chosen day
    normalised: bool = False  # against the baseline, where it can be used
    misread: str | None = None

    @property
    def is_base_year(self) -> bool:
        """Whether the year shown is the one that others are compared with."""
        return self.target is not None and self.target.base_from.year == self.year


def load_enpi(
    connection: psycopg.Connection[Any], site: Site, indicator: Indicator, filters: EnpiFilters
) -> EnpiPage:
    """Read an EnPI's year; without one asked for, the latest that has figures."""
    number = indicator.enpi_id
    years = [
        int(row[0])
        for row in connection.execute(
            "SELECT DISTINCT extract(year FROM period_from)::int FROM enpi_period"
            " WHERE enpi_id = %s ORDER BY 1",
            (number,),
        ).fetchall()
    ]
    year = filters.year or (years[-1] if years else site.today.year)
    chosen = targets(connection, number)
    target = chosen[0] if chosen else None
    base = _base_months(connection, number, target)
    found = {
        f.period_from: f
        for f in enpi_figures(connection, number, "month", dt.date(year, 1, 1),
                              dt.date(year + 1, 1, 1))
    }  # fmt: skip
    is_base = target is not None and target.base_from.year == year
    months = []
    for index in range(1, 13):
        month = dt.date(year, index, 1)
        figure = found.get(month)
        same = figure.base_intensity if figure is not None else None
        if same is None and index in base:
            same = base[index].intensity
        months.append(
            MonthFigure(month=month, figure=figure, base_intensity=None if is_base else same)
        )
    days: list[EnpiFigure] = []
    if filters.month is not None:
        end = (filters.month + dt.timedelta(days=32)).replace(day=1)
        days = enpi_figures(connection, number, "day", filters.month, end)
    baseline = load_baseline(connection, indicator, year)
    return EnpiPage(
        site=site, indicator=indicator, year=year, years=years or [year], months=months,
        year_to_date=latest_year_to_date(connection, number, year), target=target,
        path=_path(connection, number, target, list(base.values())),
        month=filters.month, days=days, misread=filters.misread,
        to_date=year_to_dates(connection, number, year),
        year_end=load_year_end(connection, number, year), baseline=baseline,
        events=load_events(connection, site, year, list(found.values()), baseline),
        day=filters.day,
        meters=[] if filters.day is None else load_meters(connection, site, filters.day),
        normalised=filters.normalised and baseline is not None and baseline.usable,
    )  # fmt: skip


def target_path(base_intensity: float, target: Target) -> dict[int, float]:
    """Return the intensity that each year from the base to the end should have, by year.

    I0 (1 - r)^k after k whole years; an end value stands for the rate that leads there.
    """
    first, last = target.base_from.year, (target.end_to - dt.timedelta(days=1)).year
    span = last - first
    if target.annual_rate is not None:
        keep = 1.0 - target.annual_rate
    elif target.end_value is not None and span > 0 and target.end_value * base_intensity > 0:
        keep = math.pow(target.end_value / base_intensity, 1.0 / span)
    else:
        return {first: base_intensity}
    return {first + k: base_intensity * keep**k for k in range(span + 1)}


def _base_months(
    connection: psycopg.Connection[Any], enpi_id: int, target: Target | None
) -> dict[int, EnpiFigure]:
    if target is None:
        return {}
    rows = enpi_figures(connection, enpi_id, "month", target.base_from, target.base_to)
    return {row.period_from.month: row for row in rows}


def _path(
    connection: psycopg.Connection[Any],
    enpi_id: int,
    target: Target | None,
    base: list[EnpiFigure],
) -> list[PathYear]:
    if target is None:
        return []
    whole = latest_year_to_date(connection, enpi_id, target.base_from.year)
    start = None
    if whole is not None and whole.period_to == target.base_to:
        start = whole.intensity
    elif len(base) == 12 and all(m.energy is not None and m.output for m in base):
        # The ratio of sums, never the mean of monthly ratios (F25).
        start = sum(m.energy or 0.0 for m in base) / sum(m.output or 0.0 for m in base)
    if start is None:
        return []
    return [
        PathYear(
            year=year,
            target_intensity=value,
            figure=latest_year_to_date(connection, enpi_id, year),
            base=year == target.base_from.year,
        )
        for year, value in target_path(start, target).items()
    ]
