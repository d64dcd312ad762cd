"""Findings as rows: kept while they are found again, withdrawn when they are gone."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import psycopg

__all__ = ["FindingRow", "Severity", "insert_findings", "keep_findings"]

Severity: TypeAlias = Literal["note", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class FindingRow:
    """Something that was found out about a site, with its evidence.

    Attributes
    ----------
    code
        What it is; the portal has its name in both languages.
    since, until
        The time it concerns; ``since`` identifies it together with what it is about.
    severity
        "note", "warning" or "fault".
    evidence
        Numbers and names that prove it; JSON.
    point_id, series_id
        What it is about.
    subject
        Code of something else that it is about: an account, an EnPI, an area.
    """

    code: str
    since: dt.datetime
    until: dt.datetime | None
    severity: Severity
    evidence: Mapping[str, Any]
    point_id: int | None = None
    series_id: int | None = None
    subject: str = ""


def keep_findings(
    connection: psycopg.Connection[Any],
    site_id: int,
    codes: Collection[str],
    span: tuple[dt.datetime, dt.datetime],
    found: Sequence[FindingRow],
    version: int,
) -> None:
    """Make the findings of some codes that begin in a span be exactly those that hold now.

    Parameters
    ----------
    connection
        In the transaction that computed them.
    site_id
        The site.
    codes
        All that this computation can find.
    span
        Instants [since, until) for which it looked.
    found
        What holds now; each begins in the span.
    version
        Data version that new and withdrawn ones name.
    """
    now = {(f.code, f.since, f.point_id, f.series_id, f.subject) for f in found}
    gone = [
        (version, finding_id)
        for finding_id, *key in connection.execute(
            "SELECT finding_id, code, at_ts, point_id, series_id, subject FROM finding"
            " WHERE site_id = %s AND code = ANY(%s) AND withdrawn_version IS NULL"
            " AND at_ts >= %s AND at_ts < %s",
            (site_id, list(codes), *span),
        ).fetchall()
        if tuple(key) not in now
    ]
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE finding SET withdrawn_version = %s WHERE finding_id = %s", gone)
    insert_findings(connection, [(site_id, f) for f in found], version)


def insert_findings(
    connection: psycopg.Connection[Any], found: Sequence[tuple[int, FindingRow]], version: int
) -> None:
    """Insert findings of some sites; one that is there gets the new evidence.

    Parameters
    ----------
    connection
        In the transaction that computed them.
    found
        Site and finding.
    version
        Data version that they name.
    """
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO finding (site_id, point_id, series_id, subject, code, at_ts, to_ts,"
            " severity, evidence, data_version) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (site_id, code, at_ts, coalesce(point_id, 0), coalesce(series_id, 0),"
            " subject) WHERE withdrawn_version IS NULL DO UPDATE SET evidence = excluded.evidence,"
            " to_ts = excluded.to_ts, severity = excluded.severity,"
            " data_version = excluded.data_version",
            [
                (
                    site_id, f.point_id, f.series_id, f.subject, f.code, f.since, f.until,
                    f.severity, json.dumps(f.evidence), version,
                )
                for site_id, f in found
            ],
        )  # fmt: skip
