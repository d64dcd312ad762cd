"""A month's load: its day curves, its highest quarter-hours, and demand month by month."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.portal.period import Period, parse_period, period_of
from dashboards.portal.points import Point, load_points, main_import
from dashboards.portal.rates import QUARTER_S, Curve, amounts_at, load_curve
from dashboards.portal.site import Site
from dashboards.portal.usual import USUAL_DAYS, Usual, usual_range

__all__ = ["Contributor", "DemandMonth", "LoadPage", "Peak", "day_kinds", "load_load"]

_TOP = 20


class Contributor(msgspec.Struct, frozen=True, kw_only=True):
    """A sub-meter's part of a quarter-hour."""

    code: str
    name_zh: str
    name_en: str
    kw: float


class Peak(msgspec.Struct, frozen=True, kw_only=True):
    """One of the highest quarter-hours."""

    at: dt.datetime
    kw: float
    estimated: bool
    parts: list[Contributor]  # the sub-meters, the largest first


class DemandMonth(msgspec.Struct, frozen=True, kw_only=True):
    """The highest demand of a month, as computed from readings (F26)."""

    month: dt.date
    demand_kw: float
    at: dt.datetime
    least_kw: float | None
    most_kw: float | None
    provisional: bool


class LoadPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page of one month, with one of its days."""

    site: Site
    month: Period
    day: Period
    meters: list[Point]  # that can be chosen
    meter: Point | None  # None: the sum at the boundary
    curve: Curve  # of the day
    usual: Usual | None
    peaks: list[Peak]
    sorted_kw: list[float]  # the month's quarter-hours, the highest first
    mean_kw: float | None
    least_kw: float | None
    estimated_share: float
    declared_kw: float | None
    months: list[DemandMonth]
    simulated: bool
    misread: str | None = None


def load_load(
    connection: psycopg.Connection[Any], site: Site, asked: str | None, meter: str | None
) -> LoadPage | None:
    """Read the month that a day or month in the address names; by default the last finished day."""
    points = [p for p in load_points(connection, site) if p.series_id is not None]
    meters = [p for p in points if p.medium == "electricity" and p.role != "production"]
    chosen = next((p for p in meters if p.code == meter), None)
    if meter is not None and chosen is None:
        return None
    summed = [chosen] if chosen is not None else main_import(points)
    period = parse_period(asked, site.today)
    misread = asked[:40] if asked and (period is None or period.days > 31) else None
    if misread is not None:
        period = None
    month = period_of("month", _last_day(site) if period is None else period.first)
    curve = load_curve(connection, summed, site.midnight(month.first), site.midnight(month.end))
    highest = _highest(curve)
    day = period or period_of("day", _last_day(site))
    if day.kind != "day":
        first = next(iter(highest), None)
        at = month.first if first is None else _date(site, curve, first)
        day = period_of("day", at)
    rates = [r for r in curve.rates if r is not None]
    guessed = sum(1 for a, e in zip(curve.amounts, curve.estimated, strict=True)
                  if a is not None and e)  # fmt: skip
    day_curve, usual = _day(connection, site, summed, day.first)
    return LoadPage(
        site=site, month=month, day=day, meters=meters, meter=chosen,
        curve=day_curve, usual=usual,
        peaks=_peaks(connection, curve, highest, summed, meters),
        sorted_kw=sorted(rates, reverse=True),
        mean_kw=sum(rates) / len(rates) if rates else None,
        least_kw=min(rates, default=None),
        estimated_share=guessed / len(rates) if rates else 0.0,
        declared_kw=None if chosen is not None else _declared(connection, site, month),
        months=[] if chosen is not None else _months(connection, site, month),
        simulated=curve.simulated, misread=misread,
    )  # fmt: skip


def _last_day(site: Site) -> dt.date:
    """Return the last day that is over and has figures."""
    known = site.now if site.data_through is None else site.data_through
    return known.astimezone(site.zone).date() - dt.timedelta(days=1)


def _date(site: Site, curve: Curve, index: int) -> dt.date:
    return (curve.begin + dt.timedelta(seconds=index * QUARTER_S)).astimezone(site.zone).date()


def _highest(curve: Curve) -> list[int]:
    known = [i for i, amount in enumerate(curve.amounts) if amount is not None]
    return sorted(known, key=lambda i: -(curve.amounts[i] or 0.0))[:_TOP]


def _peaks(
    connection: psycopg.Connection[Any],
    curve: Curve,
    highest: list[int],
    summed: list[Point],
    meters: list[Point],
) -> list[Peak]:
    whole = {p.point_id for p in summed}
    subs = [p for p in meters if p.parent_point_id in whole]
    kw = 3600.0 / QUARTER_S
    starts = [curve.begin + dt.timedelta(seconds=i * QUARTER_S) for i in highest]
    parts = amounts_at(connection, subs, starts) if subs and starts else {}
    peaks = []
    for index, start in zip(highest, starts, strict=True):
        running = [
            Contributor(code=p.code, name_zh=p.name_zh, name_en=p.name_en, kw=amount * kw)
            for p in subs
            if (amount := parts.get((p.point_id, start))) is not None
        ]
        peaks.append(
            Peak(
                at=start,
                kw=(curve.amounts[index] or 0.0) * kw, estimated=curve.estimated[index],
                parts=sorted(running, key=lambda c: -c.kw),
            )
        )  # fmt: skip
    return peaks


def _day(
    connection: psycopg.Connection[Any], site: Site, summed: list[Point], day: dt.date
) -> tuple[Curve, Usual | None]:
    """Read the day and the days before it in one go, and what is usual on such a day."""
    begin, end = site.midnight(day), site.midnight(day + dt.timedelta(days=1))
    first = day - dt.timedelta(days=USUAL_DAYS)
    wide = load_curve(connection, summed, site.midnight(first), begin)
    kinds = day_kinds(connection, site, first, day)
    days: dict[dt.date, list[float | None]] = {}
    at, rates = 0, wide.rates
    for offset in range(USUAL_DAYS):
        date = first + dt.timedelta(days=offset)
        seconds = (site.midnight(date + dt.timedelta(days=1)) - site.midnight(date)).total_seconds()
        count = int(seconds) // QUARTER_S
        days[date] = rates[at : at + count]
        at += count
    curve = load_curve(connection, summed, begin, end, known_to=site.data_through)
    return curve, usual_range(days, day, kinds)


def day_kinds(
    connection: psycopg.Connection[Any], site: Site, first: dt.date, last: dt.date
) -> dict[dt.date, str]:
    """Return what kind of day each of [first, last] is, by weekday and the site's calendar."""
    named = {
        day: str(kind)
        for day, kind in connection.execute(
            "SELECT day, kind FROM calendar_day WHERE site_id = %s AND day BETWEEN %s AND %s"
            " AND superseded_commit_no IS NULL",
            (site.site_id, first, last),
        )
    }
    weekdays = ("monday", "workday", "workday", "workday", "workday", "saturday", "sunday")
    kinds = {}
    for offset in range((last - first).days + 1):
        date = first + dt.timedelta(days=offset)
        kinds[date] = named.get(date, weekdays[date.weekday()])
    return kinds


def _declared(connection: psycopg.Connection[Any], site: Site, month: Period) -> float | None:
    """Return the contracted demand of the site's only account, None of several."""
    rows = connection.execute(
        "SELECT (terms->>'contract_demand_kw')::double precision FROM account_record r"
        " JOIN account a USING (account_id) WHERE a.site_id = %s"
        " AND r.superseded_commit_no IS NULL AND r.valid_from < %s"
        " AND (r.valid_to IS NULL OR r.valid_to > %s)",
        (site.site_id, site.midnight(month.end), site.midnight(month.first)),
    ).fetchall()
    return float(rows[0][0]) if len(rows) == 1 and rows[0][0] is not None else None


def _months(connection: psycopg.Connection[Any], site: Site, month: Period) -> list[DemandMonth]:
    """Return the highest demand of the last 13 months of each month's highest account."""
    since = month.first.replace(year=month.first.year - 1)
    return (
        connection.cursor(row_factory=class_row(DemandMonth))
        .execute(
            "SELECT DISTINCT ON (1) date_trunc('month', day)::date AS month, demand_kw,"
            " at_ts AS at, least_kw, most_kw,"
            " date_trunc('month', day) + interval '1 month' > %(today)s AS provisional"
            " FROM demand_day WHERE site_id = %(site)s AND day >= %(since)s AND day < %(end)s"
            " AND demand_kw IS NOT NULL ORDER BY 1, demand_kw DESC",
            {"site": site.site_id, "since": since, "end": month.end, "today": site.today},
        )
        .fetchall()
    )
