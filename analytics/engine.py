"""One pass over what is dirty: points first, then the figures of their sites (D11)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from analytics.accounting.site_calendar import local_date
from analytics.accounting.site_facts import SiteFacts, load_site_facts
from analytics.cost.figures import forget_cost_figures, write_cost_figures
from analytics.enpis.figures import Span, forget_figures, write_energy_figures, write_enpi_figures
from analytics.intervals.recompute import recompute_point
from analytics.intervals.spans import merge_spans
from enpilot import __version__
from enpilot.archive import ArchiveMismatchError, ArchiveUnavailableError
from enpilot.database import data_version

__all__ = ["Pass", "mark_site_dirty", "recompute_site", "run_once"]

# Touched times nearer than this are computed in one go.
_NEAR: Final = dt.timedelta(days=31)


@dataclass(slots=True)
class Pass:
    """What one pass did."""

    points: int = 0
    intervals: int = 0
    figures: int = 0
    # Points that stay dirty, and why: their readings are in an archive that cannot be read.
    waiting: dict[int, str] = field(default_factory=dict)

    @property
    def did_anything(self) -> bool:
        """Whether something was dirty."""
        return bool(self.points or self.figures)


def run_once(connection: psycopg.Connection[Any]) -> Pass:
    """Compute everything that is dirty now.

    Parameters
    ----------
    connection
        In autocommit mode; one transaction a point and a site is opened on it.
    """
    done = Pass()
    points = connection.execute(
        "SELECT DISTINCT s.point_id FROM dirty d JOIN series s USING (series_id) ORDER BY 1"
    ).fetchall()
    # Rows name the last version that was complete when the pass began; what arrives meanwhile
    # leaves its own dirty mark and is computed, and named, by the next pass.
    version = data_version(connection)
    for (point_id,) in points:
        try:
            touched = recompute_point(connection, point_id, version)
        except (ArchiveMismatchError, ArchiveUnavailableError) as error:
            done.waiting[point_id] = str(error)  # its transaction was rolled back, claim and all
            continue
        done.points += bool(touched)
        done.intervals += sum(t.intervals for t in touched)
    for (site_id,) in connection.execute(
        "SELECT DISTINCT site_id FROM dirty_site ORDER BY 1"
    ).fetchall():
        done.figures += recompute_site(connection, site_id, version)
    return done


def mark_site_dirty(
    connection: psycopg.Connection[Any], site: str, since: dt.datetime, until: dt.datetime
) -> int:
    """Mark every counter of a site, and the site, for computing [since, until) anew.

    Returns
    -------
    int
        Counters marked; -1 if there is no such site.
    """
    with connection.transaction():
        row = connection.execute("SELECT site_id FROM site WHERE code = %s", (site,)).fetchone()
        if row is None:
            return -1
        marked = connection.execute(
            "INSERT INTO dirty (series_id, from_ts, to_ts, commit_no)"
            " SELECT DISTINCT s.series_id, %s::timestamptz, %s::timestamptz, 0 FROM series s"
            " JOIN series_epoch e USING (series_id) WHERE s.site_id = %s"
            " AND e.counter_kind IS NOT NULL AND e.superseded_commit_no IS NULL",
            (since, until, row[0]),
        ).rowcount
        connection.execute(
            "INSERT INTO dirty_site (site_id, from_ts, to_ts, commit_no) VALUES (%s, %s, %s, 0)",
            (row[0], since, until),
        )
    return marked


def recompute_site(connection: psycopg.Connection[Any], site_id: int, version: int) -> int:
    """Compute a site's figures where they are dirty; return how many rows were written."""
    with connection.transaction():
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('enpilot.site', %s))", (site_id,)
        )
        claimed = connection.execute(
            "DELETE FROM dirty_site WHERE site_id = %s RETURNING from_ts, to_ts", (site_id,)
        ).fetchall()
        if not claimed:
            return 0
        facts = load_site_facts(connection, site_id)
        through = _data_through(connection, site_id)
        if through is None:
            forget_figures(connection, site_id)
            forget_cost_figures(connection, site_id)
            return 0
        rows = 0
        for since, until in merge_spans([*claimed, *_newly_complete(connection, site_id, through)],
                                        _NEAR):  # fmt: skip
            span = _span(facts, since, until, through)
            rows += write_energy_figures(connection, facts, span, version)
            rows += write_enpi_figures(connection, facts, span, version)
            rows += write_cost_figures(connection, facts, span, version)
        connection.execute(
            "INSERT INTO computation (site_id, data_version, data_through, code_version)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT (site_id) DO UPDATE SET"
            " data_version = excluded.data_version, data_through = excluded.data_through,"
            " code_version = excluded.code_version, computed_at = now()",
            (site_id, version, through, __version__),
        )
        return rows


def _newly_complete(
    connection: psycopg.Connection[Any], site_id: int, through: dt.datetime
) -> list[tuple[dt.datetime, dt.datetime]]:
    """Return the time since the last pass: its days may have become complete."""
    row = connection.execute(
        "SELECT data_through FROM computation WHERE site_id = %s", (site_id,)
    ).fetchone()
    return [] if row is None or row[0] is None or row[0] > through else [(row[0], through)]


def _span(facts: SiteFacts, since: dt.datetime, until: dt.datetime, through: dt.datetime) -> Span:
    first, last = local_date(since, facts.zone), local_date(until, facts.zone)
    return Span(first, last + dt.timedelta(days=1), through, local_date(through, facts.zone))


def _data_through(connection: psycopg.Connection[Any], site_id: int) -> dt.datetime | None:
    """Return how far counters, or else the ledger, of a site reach."""
    row = connection.execute(
        "SELECT coalesce((SELECT max(l.ts) FROM latest l JOIN series s USING (series_id)"
        "  JOIN series_epoch e USING (series_id) WHERE s.site_id = %(s)s"
        "  AND e.counter_kind IS NOT NULL AND e.superseded_commit_no IS NULL),"
        " (SELECT max(to_ts) FROM energy_ledger WHERE site_id = %(s)s"
        "  AND superseded_commit_no IS NULL))",
        {"s": site_id},
    ).fetchone()
    return None if row is None else row[0]
