"""Months of the archive: UTC, so that they never move, and filed under who owned the site then."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass
from typing import Any, Self

import psycopg

from enpilot.archive.manifest import Span
from enpilot.errors import ConfigurationError

__all__ = ["Month", "finished_months", "has_rows", "owners", "series_of", "why_unfinished"]


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month in UTC."""

    first: dt.date

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``YYYY-MM``; raises `ConfigurationError` otherwise."""
        try:
            return cls(dt.datetime.strptime(text, "%Y-%m").replace(tzinfo=dt.UTC).date())
        except ValueError as error:
            raise ConfigurationError(f"month {text!r}: write it as 2026-03") from error

    @classmethod
    def of(cls, at: dt.datetime) -> Self:
        """Return the month that holds an instant."""
        return cls(at.astimezone(dt.UTC).date().replace(day=1))

    def earlier(self, months: int) -> Month:
        """Return the month so many before it; after it if negative."""
        number = self.first.year * 12 + self.first.month - 1 - months
        return Month(dt.date(number // 12, number % 12 + 1, 1))

    @property
    def span(self) -> Span:
        """Its begin, and the next month's."""
        return _midnight(self.first), _midnight(self.earlier(-1).first)

    def __str__(self) -> str:
        return f"{self.first:%Y-%m}"


def finished_months(
    connection: psycopg.Connection[Any], site_id: int, quiet: dt.timedelta
) -> list[Month]:
    """Return the finished months of a site that have readings in the database, oldest first.

    Finished is what is past, quiet and not dirty; see `why_unfinished`.
    """
    row = connection.execute(
        "SELECT min(first.ts), now() FROM series s CROSS JOIN LATERAL (SELECT ts FROM reading r"
        " WHERE r.series_id = s.series_id ORDER BY ts LIMIT 1) first WHERE s.site_id = %s",
        (site_id,),
    ).fetchone()
    assert row is not None  # an aggregate has one row
    if row[0] is None:
        return []
    month, found = Month.of(row[0]), []
    while month < Month.of(row[1]):
        if (
            has_rows(connection, site_id, month.span)
            and why_unfinished(connection, site_id, month, quiet) is None
        ):
            found.append(month)
        month = month.earlier(-1)
    return found


def has_rows(connection: psycopg.Connection[Any], site_id: int, span: Span) -> bool:
    """Say whether a site has any reading in a span of the database; one index probe a series."""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM series s CROSS JOIN LATERAL (SELECT 1 FROM reading r"
        " WHERE r.series_id = s.series_id AND r.ts >= %s AND r.ts < %s LIMIT 1) one"
        " WHERE s.site_id = %s)",
        (*span, site_id),
    ).fetchone()
    return row == (True,)


def why_unfinished(
    connection: psycopg.Connection[Any], site_id: int, month: Month, quiet: dt.timedelta
) -> str | None:
    """Say why a month cannot be archived yet; None if it can.

    Parameters
    ----------
    connection, site_id, month
        Which month of which site.
    quiet
        How long nothing may have come for it. Batches of agents count for their own site; files
        that were imported for every site.
    """
    since, until = month.span
    row = connection.execute(
        "SELECT now() < %(b)s,"
        " EXISTS (SELECT 1 FROM batch_ledger l JOIN stream m USING (stream_no)"
        "  LEFT JOIN agent a USING (agent_id) WHERE l.received_at > now() - %(quiet)s::interval"
        "  AND l.first_ts < %(b)s AND l.last_ts >= %(a)s"
        "  AND coalesce(a.site_id, %(site)s) = %(site)s),"
        " EXISTS (SELECT 1 FROM dirty d JOIN series s USING (series_id) WHERE s.site_id = %(site)s"
        "  AND d.from_ts < %(b)s AND d.to_ts >= %(a)s)",
        {"a": since, "b": until, "quiet": quiet, "site": site_id},
    ).fetchone()
    assert row is not None  # three expressions always make a row
    running, restless, dirty = row
    if running:
        return "the month is not over"
    if restless:
        return f"readings for it came within the last {quiet / dt.timedelta(hours=1):g} hours"
    if dirty:
        return "its figures are not computed yet (`enpilot analyze run`)"
    return None


def series_of(connection: psycopg.Connection[Any], site_id: int) -> list[int]:
    """Return the series of a site in order."""
    return [
        row[0]
        for row in connection.execute(
            "SELECT series_id FROM series WHERE site_id = %s ORDER BY series_id", (site_id,)
        )
    ]


def owners(
    connection: psycopg.Connection[Any], site_id: int, span: Span
) -> list[tuple[tuple[int, str] | None, Span]]:
    """Return who owned a site, piece by piece of a span (F14).

    With several at once it is who held most, and of equals the first by code.

    Returns
    -------
    list of ((enterprise_id, code) or None, (from, to))
        In order of time, without a hole.
    """
    held = connection.execute(
        "SELECT enterprise_id, code, share, valid_from, least(coalesce(valid_to, %(b)s), %(b)s)"
        " FROM site_enterprise JOIN enterprise USING (enterprise_id) WHERE site_id = %(site)s"
        " AND superseded_commit_no IS NULL AND valid_from < %(b)s"
        " AND (valid_to IS NULL OR valid_to > %(a)s)",
        {"site": site_id, "a": span[0], "b": span[1]},
    ).fetchall()
    borders = sorted({span[0], *(max(h[3], span[0]) for h in held), *(h[4] for h in held), span[1]})
    pieces: list[tuple[tuple[int, str] | None, Span]] = []
    for since, until in itertools.pairwise(borders):
        here = [h for h in held if h[3] <= since and h[4] >= until]
        owner = None
        if here:
            most = min(here, key=lambda h: (-h[2], h[1]))
            owner = (most[0], most[1])
        if pieces and pieces[-1][0] == owner:
            pieces[-1] = (owner, (pieces[-1][1][0], until))
        else:
            pieces.append((owner, (since, until)))
    return pieces


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)
