"""Raw readings as they came, with what the accounting and people said of them."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.portal.period import parse_period, period_of
from dashboards.portal.site import Site

__all__ = ["RawFinding", "Reading", "Readings", "Span", "load_readings", "parse_span"]

_MOST = 1500  # rows of a page; a longer span is cut there and says so


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Instants ``[since, until)``, and how the address says it."""

    since: dt.datetime
    until: dt.datetime
    text: str


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A register's own number, unscaled."""

    at: dt.datetime
    raw_int: int | None
    raw_real: float | None
    quality: int
    late_ms: int | None
    batch: int
    scale: float | None  # of the epoch that holds then; None: the number has no meaning yet
    offset: float | None
    unit: str | None
    counter: bool
    retracted: bool

    @property
    def raw(self) -> float | None:
        """The number, None of a reading that failed."""
        return self.raw_real if self.raw_int is None else float(self.raw_int)


class RawFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What the accounting decided about readings of the span."""

    code: str
    severity: str
    at: dt.datetime
    to: dt.datetime | None
    evidence: dict[str, Any]


class Readings(msgspec.Struct, frozen=True, kw_only=True):
    """The page of one series and span."""

    site: Site
    series_id: int
    point: str
    point_zh: str
    point_en: str
    quantity: str
    channel: str
    span: Span
    readings: list[Reading]
    more: bool
    findings: list[RawFinding]
    misread: str | None = None


class _Series(msgspec.Struct, kw_only=True):
    series_id: int
    point_id: int
    point: str
    point_zh: str
    point_en: str
    quantity: str
    channel: str


def parse_span(text: str | None, site: Site) -> Span | None:
    """Read ``2018-09-12``, or ``2018-09-12T14:00..16:00`` in the site's zone; else None."""
    found = re.fullmatch(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2})\.\.(\d{2}:\d{2})", text or "")
    if found is not None:
        try:
            day = dt.date.fromisoformat(found[1])
            since, until = (
                dt.datetime.combine(day, dt.time.fromisoformat(t), site.zone)
                for t in (found[2], found[3])
            )
        except ValueError:
            return None
        return Span(since=since, until=until, text=found[0]) if since < until else None
    period = parse_period(text, site.today)
    if period is None:
        return None
    return Span(
        since=site.midnight(period.first), until=site.midnight(period.end), text=period.text()
    )


def load_readings(
    connection: psycopg.Connection[Any], site: Site, series: str, t: str | None
) -> Readings | None:
    """Read a span of a series; without one the last day that has readings."""
    if not re.fullmatch(r"[0-9]{1,9}", series):
        return None
    found = (
        connection.cursor(row_factory=class_row(_Series))
        .execute(
            "SELECT s.series_id, s.point_id, p.code AS point, r.name_zh AS point_zh,"
            " r.name_en AS point_en, s.quantity, s.channel FROM series s"
            " JOIN point p USING (point_id) JOIN LATERAL (SELECT * FROM point_record r"
            "  WHERE r.point_id = p.point_id AND r.superseded_commit_no IS NULL"
            "  ORDER BY r.valid_from DESC LIMIT 1) r ON true"
            " WHERE s.series_id = %s AND s.site_id = %s",
            (int(series), site.site_id),
        )
        .fetchone()
    )
    if found is None:
        return None
    span = parse_span(t, site) or _last_day(connection, site, found.series_id)
    rows = _rows(connection, found.series_id, span)
    return Readings(
        site=site, series_id=found.series_id, point=found.point, point_zh=found.point_zh,
        point_en=found.point_en, quantity=found.quantity, channel=found.channel, span=span,
        readings=rows[:_MOST], more=len(rows) > _MOST,
        findings=_findings(connection, site, found, span),
        misread=t[:40] if t and parse_span(t, site) is None else None,
    )  # fmt: skip


def _last_day(connection: psycopg.Connection[Any], site: Site, series_id: int) -> Span:
    row = connection.execute(
        "SELECT ts FROM latest_value WHERE series_id = %s", (series_id,)
    ).fetchone()
    day = site.today if row is None else row[0].astimezone(site.zone).date()
    period = period_of("day", day)
    return Span(
        since=site.midnight(period.first), until=site.midnight(period.end), text=period.text()
    )


def _rows(connection: psycopg.Connection[Any], series_id: int, span: Span) -> list[Reading]:
    return (
        connection.cursor(row_factory=class_row(Reading))
        .execute(
            "SELECT r.ts AS at, r.raw_int, r.raw_real, r.quality, r.late_ms, r.batch,"
            " e.scale::double precision AS scale,"
            ' e."offset"::double precision AS "offset", e.unit,'
            " coalesce(e.counter_kind IS NOT NULL, false) AS counter,"
            " EXISTS (SELECT 1 FROM retracted_batch x WHERE r.batch BETWEEN x.from_batch AND"
            "  x.to_batch) AS retracted"
            " FROM visible_reading r LEFT JOIN current_epoch e ON e.series_id = r.series_id"
            "  AND r.ts >= e.valid_from AND (e.valid_to IS NULL OR r.ts < e.valid_to)"
            " WHERE r.series_id = %s AND r.ts >= %s AND r.ts < %s ORDER BY r.ts, r.batch LIMIT %s",
            (series_id, span.since, span.until, _MOST + 1),
        )
        .fetchall()
    )


def _findings(
    connection: psycopg.Connection[Any], site: Site, series: _Series, span: Span
) -> list[RawFinding]:
    return (
        connection.cursor(row_factory=class_row(RawFinding))
        .execute(
            'SELECT code, severity, at_ts AS at, to_ts AS "to", evidence FROM finding'
            " WHERE site_id = %s AND withdrawn_version IS NULL AND at_ts < %s"
            " AND coalesce(to_ts, at_ts) >= %s"
            " AND (series_id = %s OR (series_id IS NULL AND point_id = %s)) ORDER BY at_ts",
            (site.site_id, span.until, span.since, series.series_id, series.point_id),
        )
        .fetchall()
    )
