"""Months and years that people prepared or signed, with the hash of what they signed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.portal.site import Site

__all__ = ["Report", "ReportsPage", "load_reports"]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a month's or year's figures."""

    kind: str  # month, year
    period_from: dt.date
    period_to: dt.date
    version: int
    action: str  # the last word about it
    author: str
    self_approved: bool
    at: dt.datetime
    data_version: int
    code_version: str
    snapshot_sha256: str  # of the figures
    sha256: str  # of the step, chained to all before it
    latest: bool  # no later version of the same period


class ReportsPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page."""

    site: Site
    reports: list[Report]


def load_reports(connection: psycopg.Connection[Any], site: Site) -> ReportsPage:
    """Read every version of every period, the newest first."""
    reports = (
        connection.cursor(row_factory=class_row(Report))
        .execute(
            "SELECT DISTINCT ON (kind, period_from, version) kind, period_from, period_to,"
            " version, action, author, self_approved, recorded_at AS at, data_version,"
            " code_version, encode(snapshot_sha256, 'hex') AS snapshot_sha256,"
            " encode(sha256, 'hex') AS sha256, version = max(version) OVER"
            "  (PARTITION BY kind, period_from) AS latest"
            " FROM visible_closing WHERE site_id = %s"
            " ORDER BY kind, period_from, version, closing_id DESC",
            (site.site_id,),
        )
        .fetchall()
    )
    reports.sort(key=lambda r: (r.period_to, r.kind, r.version), reverse=True)
    return ReportsPage(site=site, reports=reports)
