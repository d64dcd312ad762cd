"""A month's data by meter and day, its findings, its quality index, and what was corrected."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row, dict_row

from dashboards.portal.period import Period, parse_period, period_of
from dashboards.portal.points import Point, load_points
from dashboards.portal.site import Site

__all__ = [
    "Correction", "Criterion", "DayQuality", "Found", "MeterRow", "MonthIndex", "QualityPage",
    "load_quality",
]  # fmt: skip

_FINDINGS = 200
_MONTHS = 13
_LIMIT = 0.9  # of reporting completeness, where no quality index says another


class DayQuality(msgspec.Struct, frozen=True, kw_only=True):
    """One meter on one day."""

    day: dt.date
    completeness: float | None  # readings that came of those scheduled
    coverage: float | None  # energy that readings bracket
    estimated_share: float | None
    withheld_code: str | None


class MeterRow(msgspec.Struct, frozen=True, kw_only=True):
    """One meter's month."""

    point: Point
    days: dict[str, DayQuality]  # by ISO date
    index_share: float | None
    failed: list[str]


class Criterion(msgspec.Struct, frozen=True, kw_only=True):
    """One criterion of the site's month with its number."""

    code: str
    kind: str  # at_least, at_most
    unit: str
    limit: float
    value: float | None
    weight: float
    outcome: str
    verified: bool = True


class MonthIndex(msgspec.Struct, frozen=True, kw_only=True):
    """The site's quality index of a month."""

    month: dt.date
    index_share: float | None
    known_share: float
    failed: list[str]
    criteria: list[Criterion]
    provisional: bool


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A finding of the month."""

    finding_id: int
    code: str
    severity: str
    at: dt.datetime
    to: dt.datetime | None
    point_zh: str | None
    point_en: str | None
    series_id: int | None
    subject: str
    evidence: dict[str, Any]


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """A correction of readings: old and new stay, with who and why."""

    correction_id: int
    point_zh: str
    point_en: str
    kind: str
    at: dt.datetime
    to: dt.datetime | None
    state: str
    author: str
    reason: str
    proposed_at: dt.datetime
    approver: str | None
    self_approved: bool


class QualityPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page."""

    site: Site
    month: Period
    days: list[dt.date]
    meters: list[MeterRow]
    limit: float
    index: MonthIndex | None
    months: list[MonthIndex]
    findings: list[Found]
    findings_more: int
    corrections: list[Correction]
    misread: str | None = None


def load_quality(connection: psycopg.Connection[Any], site: Site, asked: str | None) -> QualityPage:
    """Read the month in the address, by default the running one."""
    period = parse_period(asked, site.today)
    month = period_of("month", site.today if period is None else period.first)
    days = [month.first + dt.timedelta(days=i) for i in range(month.days)]
    months = _months(connection, site, month)
    index = next((m for m in months if m.month == month.first), None)
    limit = _LIMIT
    if index is not None:
        limit = next((c.limit for c in index.criteria if c.code == "reporting_completeness"), limit)
    findings, more = _findings(connection, site, month)
    return QualityPage(
        site=site, month=month, days=days, meters=_meters(connection, site, month), limit=limit,
        index=index, months=months, findings=findings, findings_more=more,
        corrections=_corrections(connection, site, month),
        misread=asked[:40] if asked and period is None else None,
    )  # fmt: skip


class _Day(msgspec.Struct, kw_only=True):
    point_id: int
    quantity: str
    day: dt.date
    completeness: float | None
    coverage: float | None
    estimated_share: float | None
    withheld_code: str | None


def _meters(connection: psycopg.Connection[Any], site: Site, month: Period) -> list[MeterRow]:
    rows = (
        connection.cursor(row_factory=class_row(_Day))
        .execute(
            "SELECT point_id, quantity, period_from AS day, reporting_completeness AS completeness,"
            " coverage, estimated_share, withheld_code FROM energy_period"
            " WHERE site_id = %s AND period_kind = 'day' AND channel = 'total'"
            " AND period_from >= %s AND period_from < %s",
            (site.site_id, month.first, month.end),
        )
        .fetchall()
    )
    days: dict[tuple[int, str], dict[str, DayQuality]] = {}
    for row in rows:
        days.setdefault((row.point_id, row.quantity), {})[row.day.isoformat()] = DayQuality(
            day=row.day, completeness=row.completeness, coverage=row.coverage,
            estimated_share=row.estimated_share, withheld_code=row.withheld_code,
        )  # fmt: skip
    indexes: dict[int, tuple[float | None, list[str]]] = {
        point_id: (share, failed)
        for point_id, share, failed in connection.execute(
            "SELECT point_id, index_share, failed FROM quality_period WHERE site_id = %s"
            " AND period_from = %s AND point_id IS NOT NULL",
            (site.site_id, month.first),
        )
    }
    return [
        MeterRow(
            point=point, days=days.get((point.point_id, point.quantity), {}),
            index_share=indexes.get(point.point_id, (None, []))[0],
            failed=indexes.get(point.point_id, (None, []))[1],
        )
        for point in load_points(connection, site)
        if point.series_id is not None
    ]  # fmt: skip


def _months(connection: psycopg.Connection[Any], site: Site, month: Period) -> list[MonthIndex]:
    rows = (
        connection.cursor(row_factory=dict_row)
        .execute(
            "SELECT period_from AS month, index_share, known_share, failed, criteria, provisional"
            " FROM quality_period WHERE site_id = %s AND point_id IS NULL AND period_from <= %s"
            " ORDER BY period_from DESC LIMIT %s",
            (site.site_id, month.first, _MONTHS),
        )
        .fetchall()
    )
    return msgspec.convert(rows, list[MonthIndex])


def _findings(
    connection: psycopg.Connection[Any], site: Site, month: Period
) -> tuple[list[Found], int]:
    rows = (
        connection.cursor(row_factory=class_row(Found))
        .execute(
            'SELECT f.finding_id, f.code, f.severity, f.at_ts AS at, f.to_ts AS "to",'
            " r.name_zh AS point_zh, r.name_en AS point_en, f.series_id, f.subject, f.evidence"
            " FROM finding f LEFT JOIN LATERAL (SELECT * FROM point_record r"
            "  WHERE r.point_id = f.point_id AND r.superseded_commit_no IS NULL"
            "  ORDER BY r.valid_from DESC LIMIT 1) r ON true"
            " WHERE f.site_id = %s AND f.withdrawn_version IS NULL AND f.at_ts < %s"
            " AND coalesce(f.to_ts, f.at_ts) >= %s ORDER BY array_position("
            "ARRAY['fault', 'warning', 'note'], f.severity), f.at_ts DESC",
            (site.site_id, site.midnight(month.end), site.midnight(month.first)),
        )
        .fetchall()
    )
    return rows[:_FINDINGS], max(0, len(rows) - _FINDINGS)


def _corrections(
    connection: psycopg.Connection[Any], site: Site, month: Period
) -> list[Correction]:
    return (
        connection.cursor(row_factory=class_row(Correction))
        .execute(
            "SELECT c.correction_id, r.name_zh AS point_zh, r.name_en AS point_en, c.kind,"
            ' c.from_ts AS at, c.to_ts AS "to", c.state, c.author, c.reason, c.proposed_at,'
            " c.approver, c.self_approved FROM correction_state c JOIN LATERAL"
            " (SELECT * FROM point_record r WHERE r.point_id = c.point_id"
            "  AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) r ON true"
            " WHERE c.site_id = %s AND c.from_ts < %s AND coalesce(c.to_ts, c.from_ts) >= %s"
            " OR (c.site_id = %s AND c.state = 'proposed') ORDER BY c.proposed_at DESC",
            (site.site_id, site.midnight(month.end), site.midnight(month.first), site.site_id),
        )
        .fetchall()
    )
