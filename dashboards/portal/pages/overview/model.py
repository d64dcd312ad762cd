"""What the overview shows, read in one snapshot; the page and the API serve the same struct."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.portal.figures import EnpiFigure, enpi_figures, latest_year_to_date
from dashboards.portal.live import LiveState, load_live
from dashboards.portal.pages.overview.context import Around, load_around
from dashboards.portal.pages.overview.filters import OverviewFilters
from dashboards.portal.pages.overview.load import Load, load_of_day
from dashboards.portal.site import Indicator, Site

__all__ = ["Electricity", "FindingRow", "Overview", "load_overview"]

_FINDINGS = 6


class Electricity(msgspec.Struct, frozen=True, kw_only=True):
    """Electricity through the site's boundary in the period."""

    amount_kwh: float | None
    estimated_share: float | None
    coverage: float | None
    reporting_completeness: float | None
    simulated: bool
    withheld_code: str | None


class FindingRow(msgspec.Struct, frozen=True, kw_only=True):
    """A decision of the accounting, or a doubt about a figure."""

    code: str
    severity: str
    at: dt.datetime
    to: dt.datetime | None
    point_zh: str | None
    point_en: str | None
    evidence: dict[str, Any]


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """The overview of one period of a site."""

    site: Site
    kind: str  # day, or month where nothing is metered
    period_from: dt.date
    period_to: dt.date  # exclusive
    in_progress: bool
    defaulted: bool  # the address named no period
    has_figures: bool
    previous: dt.date | None
    following: dt.date | None
    indicator: Indicator | None
    figure: EnpiFigure | None  # of the period
    month: EnpiFigure | None  # of the month that contains it: its target
    year: EnpiFigure | None  # year to the end of that month
    electricity: Electricity | None
    load: Load | None
    findings: list[FindingRow]
    findings_more: int
    live: LiveState
    around: Around = Around()
    misread: str | None = None


def load_overview(
    connection: psycopg.Connection[Any], site: Site, filters: OverviewFilters
) -> Overview:
    """Read the overview of the period asked for, else of the last complete one with figures."""
    kind = "day" if site.metered else "month"
    asked = _asked(kind, filters)
    default = asked is None
    first = asked or _last_complete(connection, site, kind) or _before(kind, site.today)
    end = _after(kind, first)
    indicator = site.indicators[0] if site.indicators else None
    figure = month = year = None
    if indicator is not None:
        figure = _first(enpi_figures(connection, indicator.enpi_id, kind, first, end))
        start = first.replace(day=1)
        month = _first(enpi_figures(connection, indicator.enpi_id, "month", start, _next(start)))
        year = latest_year_to_date(connection, indicator.enpi_id, first.year, _next(start))
    electricity = _electricity(connection, site, kind, first) if site.metered else None
    known = _known(connection, site, kind)
    begin, until = site.midnight(first), site.midnight(end)
    findings, more = _findings(connection, site, begin, until)
    return Overview(
        site=site, kind=kind, period_from=first, period_to=end,
        in_progress=end > site.today, defaulted=default,
        has_figures=figure is not None or electricity is not None,
        previous=max((d for d in known if d < first), default=None),
        following=min((d for d in known if d > first), default=None),
        indicator=indicator, figure=figure, month=month, year=year, electricity=electricity,
        load=load_of_day(connection, site, first) if site.metered else None,
        findings=findings, findings_more=more,
        live=load_live(connection, site.site_id),
        around=load_around(connection, site, first, indicator) if kind == "day" else Around(),
        misread=filters.misread,
    )  # fmt: skip


def _asked(kind: str, filters: OverviewFilters) -> dt.date | None:
    given = filters.day or filters.month
    if given is None:
        return None
    return given if kind == "day" else given.replace(day=1)


def _before(kind: str, date: dt.date) -> dt.date:
    yesterday = date - dt.timedelta(days=1)
    return yesterday if kind == "day" else yesterday.replace(day=1)


def _after(kind: str, first: dt.date) -> dt.date:
    return first + dt.timedelta(days=1) if kind == "day" else _next(first)


def _next(month: dt.date) -> dt.date:
    return (month.replace(day=1) + dt.timedelta(days=32)).replace(day=1)


def _first(rows: list[EnpiFigure]) -> EnpiFigure | None:
    return rows[0] if rows else None


def _known(connection: psycopg.Connection[Any], site: Site, kind: str) -> list[dt.date]:
    """Return the periods that have figures, and the running one where something is metered."""
    rows = connection.execute(
        "SELECT period_from FROM enpi_period WHERE site_id = %s AND period_kind = %s"
        " UNION SELECT period_from FROM energy_period WHERE site_id = %s AND period_kind = %s"
        " ORDER BY 1",
        (site.site_id, kind, site.site_id, kind),
    ).fetchall()
    known = [row[0] for row in rows if row[0] <= site.today]
    if site.metered and site.today not in known:
        known.append(site.today)
    return known


def _last_complete(connection: psycopg.Connection[Any], site: Site, kind: str) -> dt.date | None:
    """Return the last period that is over and has a figure (yesterday, if it has one)."""
    row = connection.execute(
        "SELECT max(period_from) FROM ("
        " SELECT period_from FROM enpi_period WHERE site_id = %(site)s AND period_kind = %(kind)s"
        "  AND period_to <= %(today)s AND (energy IS NOT NULL OR output IS NOT NULL)"
        " UNION ALL SELECT period_from FROM energy_period WHERE site_id = %(site)s"
        "  AND period_kind = %(kind)s AND period_to <= %(today)s AND amount IS NOT NULL) known",
        {"site": site.site_id, "kind": kind, "today": site.today},
    ).fetchone()
    return None if row is None else row[0]


def _electricity(
    connection: psycopg.Connection[Any], site: Site, kind: str, first: dt.date
) -> Electricity | None:
    row = (
        connection.cursor(row_factory=class_row(_Sum))
        .execute(
            "SELECT count(*) AS points, sum(amount) AS amount_kwh,"
            " sum(amount * estimated_share) / nullif(sum(amount), 0) AS estimated_share,"
            " min(coverage) AS coverage, min(reporting_completeness) AS reporting_completeness,"
            " coalesce(bool_or(e.simulated), false) AS simulated,"
            " min(withheld_code) AS withheld_code"
            " FROM energy_period e JOIN point p USING (point_id)"
            " JOIN LATERAL (SELECT * FROM point_record r WHERE r.point_id = p.point_id"
            "  AND r.superseded_commit_no IS NULL AND r.valid_from < %s"
            "  ORDER BY r.valid_from DESC LIMIT 1) r ON true"
            " WHERE e.site_id = %s AND e.period_kind = %s AND e.period_from = %s"
            " AND e.quantity = 'active_energy' AND e.channel = 'total' AND e.unit = 'kWh'"
            " AND p.medium = 'electricity' AND r.role = 'boundary' AND r.direction = 'import'",
            (site.midnight(_after(kind, first)), site.site_id, kind, first),
        )
        .fetchone()
    )
    if row is None or row.points == 0:
        return None
    # One withheld point withholds the sum: a part shown as the whole would be a wrong figure.
    amount = None if row.withheld_code is not None else row.amount_kwh
    return Electricity(
        amount_kwh=amount, estimated_share=row.estimated_share, coverage=row.coverage,
        reporting_completeness=row.reporting_completeness, simulated=row.simulated,
        withheld_code=row.withheld_code,
    )  # fmt: skip


class _Sum(msgspec.Struct, kw_only=True):
    points: int
    amount_kwh: float | None
    estimated_share: float | None
    coverage: float | None
    reporting_completeness: float | None
    simulated: bool
    withheld_code: str | None


def _findings(
    connection: psycopg.Connection[Any], site: Site, begin: dt.datetime, until: dt.datetime
) -> tuple[list[FindingRow], int]:
    rows = (
        connection.cursor(row_factory=class_row(FindingRow))
        .execute(
            'SELECT f.code, f.severity, f.at_ts AS at, f.to_ts AS "to", r.name_zh AS point_zh,'
            " r.name_en AS point_en, f.evidence FROM finding f"
            " LEFT JOIN LATERAL (SELECT * FROM point_record r WHERE r.point_id = f.point_id"
            "  AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) r ON true"
            " WHERE f.site_id = %s AND f.withdrawn_version IS NULL AND f.at_ts < %s"
            " AND coalesce(f.to_ts, f.at_ts) >= %s"
            " ORDER BY array_position(ARRAY['fault', 'warning', 'note'], f.severity), f.at_ts",
            (site.site_id, until, begin),
        )
        .fetchall()
    )
    return rows[:_FINDINGS], max(0, len(rows) - _FINDINGS)
