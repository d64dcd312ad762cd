"""One pass over what is dirty: points first, then the figures of their sites (D11)."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from analytics.accounting.balance import write_balance_figures
from analytics.accounting.output_checks import check_output
from analytics.accounting.reconciliation import reconciled_spans, write_reconciliation_figures
from analytics.accounting.site_calendar import local_date, midnight
from analytics.accounting.site_facts import SiteFacts, load_site_facts
from analytics.accounting.site_intervals import SiteIntervals
from analytics.accounting.tariff_registers import check_tariff_registers
from analytics.baselines.figures import forget_baseline_figures, write_baseline_figures
from analytics.cost.figures import forget_cost_figures, write_cost_figures
from analytics.enpis.accounting_figures import write_accounting_figures
from analytics.enpis.declared_totals import write_declared_enpis
from analytics.enpis.enterprises import write_enterprise_figures
from analytics.enpis.figures import Span, forget_figures, write_energy_figures, write_enpi_figures
from analytics.enpis.lots import write_lot_figures
from analytics.enpis.year_end import write_year_ends
from analytics.errors import NoSuchSiteError
from analytics.intervals.recompute import recompute_points
from analytics.intervals.spans import merge_spans
from analytics.quality.figures import forget_quality_figures, write_quality_figures
from analytics.savings.figures import forget_saving_figures, write_saving_figures
from analytics.signed import apply_closings
from analytics.waste.stored import forget_waste_figures, write_waste_figures
from analytics.workers import Done, Here, PointGroup, SiteFigures, Task, Workers
from enpilot import __version__
from enpilot.database import data_version
from enpilot.progress import Tell

__all__ = ["Pass", "mark_dirty", "perform", "plan_groups", "recompute_site", "run_once"]

# Touched times nearer than this are computed in one go.
_NEAR: Final = dt.timedelta(days=31)
# What a group holds in memory at once, here and in the server: some 100 bytes a reading together.
_GROUP_READINGS: Final = 3_000_000
# Every point is a lock; the server has room for some thousand.
_GROUP_POINTS: Final = 200


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

    def add(self, done: Done) -> None:
        """Count what came of a task."""
        self.points += done.points
        self.intervals += done.intervals
        self.figures += done.figures
        self.waiting |= dict(done.waiting)


def run_once(
    connection: psycopg.Connection[Any],
    workers: Workers | None = None,
    tell: Tell | None = None,
) -> Pass:
    """Compute everything that is dirty now.

    Parameters
    ----------
    connection
        In autocommit mode; a transaction for each group of points and each site is opened on it.
    workers
        Who does it; None for one after the other on the connection.
    tell
        Is told how far it is.

    Returns
    -------
    Pass
        What was computed, and which points stay dirty because their archive is away.
    """
    workers = workers or Here(connection)
    # Rows name the last version that was complete when the pass began; what arrives meanwhile
    # leaves its own dirty mark and is computed, and named, by the next pass.
    version = data_version(connection)
    done = Pass()

    def do(what: str, tasks: Sequence[Task]) -> None:
        for number, one in enumerate(workers.run(perform, tasks), 1):
            done.add(one)
            if tell is not None:
                tell(what, number / len(tasks))

    do("points", plan_groups(connection, version))
    sites = connection.execute("SELECT DISTINCT site_id FROM dirty_site ORDER BY 1").fetchall()
    do("figures", [SiteFigures(site_id, version) for (site_id,) in sites])
    return done


def perform(connection: psycopg.Connection[Any], task: Task) -> Done:
    """Do one task of a pass.

    Parameters
    ----------
    connection
        In autocommit mode.
    task
        What to compute.

    Returns
    -------
    Done
    """
    if isinstance(task, SiteFigures):
        return Done(figures=recompute_site(connection, task.site_id, task.version))
    found = recompute_points(connection, task.point_ids, task.version)
    return Done(
        points=found.points,
        intervals=sum(touched.intervals for touched in found.touched),
        waiting=tuple((point_id, str(error)) for point_id, error in found.waiting.items()),
    )


def plan_groups(
    connection: psycopg.Connection[Any],
    version: int,
    most_readings: int = _GROUP_READINGS,
    most_points: int = _GROUP_POINTS,
) -> list[PointGroup]:
    """Put the points that are dirty into groups, each of one site.

    Parameters
    ----------
    connection
        Where they are dirty.
    version
        Data version that rows will name.
    most_readings, most_points
        A group is full with these; one point may have more readings.

    Returns
    -------
    list of PointGroup
        In order of site and point.
    """
    # How many readings a span holds is guessed from its length and the schedule.
    rows = connection.execute(
        "SELECT site_id, point_id, sum(least(marked_s, reach_s) / period_s + 100)::bigint FROM ("
        " SELECT s.site_id, s.point_id, d.series_id, sum(extract(epoch FROM"
        "   least(d.to_ts, l.ts) - greatest(d.from_ts, e.since))) AS marked_s,"
        "  extract(epoch FROM least(max(d.to_ts), max(l.ts))"
        "   - greatest(min(d.from_ts), min(e.since))) AS reach_s,"
        "  coalesce(min(e.period_s), 60) AS period_s"
        " FROM dirty d JOIN series s USING (series_id) LEFT JOIN latest l USING (series_id)"
        " LEFT JOIN (SELECT series_id, min(valid_from) AS since, min(period_s) AS period_s"
        "  FROM series_epoch WHERE superseded_commit_no IS NULL GROUP BY series_id) e"
        "  USING (series_id)"
        " GROUP BY s.site_id, s.point_id, d.series_id) dirty_series"
        " GROUP BY site_id, point_id ORDER BY site_id, point_id"
    ).fetchall()
    groups: list[PointGroup] = []
    for site_id, points in itertools.groupby(rows, key=lambda row: row[0]):
        here: list[int] = []
        held = 0
        for _, point_id, readings in points:
            size = max(0, readings)
            if here and (held + size > most_readings or len(here) == most_points):
                groups.append(PointGroup(site_id, tuple(here), version))
                here, held = [], 0
            here.append(point_id)
            held += size
        groups.append(PointGroup(site_id, tuple(here), version))
    return groups


def mark_dirty(
    connection: psycopg.Connection[Any],
    sites: Sequence[str],
    since: dt.datetime,
    until: dt.datetime,
) -> int:
    """Mark every counter of some sites, and the sites, for computing [since, until) anew.

    Parameters
    ----------
    connection
        In autocommit mode.
    sites
        Their codes; all sites without any.
    since, until
        The span.

    Returns
    -------
    int
        Counters marked.

    Raises
    ------
    NoSuchSiteError
        If a code names no site; nothing is marked.
    """
    with connection.transaction():
        known: dict[str, int] = dict(
            connection.execute("SELECT code, site_id FROM site").fetchall()
        )
        for code in sites:
            if code not in known:
                raise NoSuchSiteError(f"no site {code!r}: see `enpilot import plant`")
        chosen = [known[code] for code in sites] or list(known.values())
        marked = connection.execute(
            "INSERT INTO dirty (series_id, from_ts, to_ts, commit_no)"
            " SELECT DISTINCT s.series_id, %s::timestamptz, %s::timestamptz, 0 FROM series s"
            " JOIN series_epoch e USING (series_id) WHERE s.site_id = ANY(%s)"
            " AND (e.counter_kind IS NOT NULL OR EXISTS (SELECT FROM integrated_series i"
            "  WHERE i.series_id = s.series_id AND i.superseded_commit_no IS NULL))"
            " AND e.superseded_commit_no IS NULL",
            (since, until, chosen),
        ).rowcount
        connection.execute(
            "INSERT INTO dirty_site (site_id, from_ts, to_ts, commit_no)"
            " SELECT unnest(%s::int[]), %s, %s, 0",
            (chosen, since, until),
        )
    return marked


def recompute_site(connection: psycopg.Connection[Any], site_id: int, version: int) -> int:
    """Compute a site's figures where they are dirty; return how many rows were written.

    Parameters
    ----------
    connection
        Not inside a transaction, or inside one that is to be rolled back.
    site_id
        The site.
    version
        Data version that the rows will name.

    Returns
    -------
    int
        Rows written; 0 if nothing was dirty or another process had claimed it.
    """
    with connection.transaction():
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('enpilot.site', %s))", (site_id,)
        )
        # Named by the record of what was shown, see migration 0013.
        connection.execute(
            "SELECT set_config('enpilot.data_version', %s, true),"
            " set_config('enpilot.code_version', %s, true)",
            (str(version), __version__),
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
            forget_baseline_figures(connection, site_id, version)
            forget_saving_figures(connection, site_id)
            forget_cost_figures(connection, site_id)
            forget_waste_figures(connection, site_id, version)
            forget_quality_figures(connection, site_id)
            write_enterprise_figures(connection, facts, version)
            apply_closings(connection, site_id, dt.date.min, version)
            return 0
        rows = 0
        for since, until in merge_spans([*claimed, *_newly_complete(connection, site_id, through)],
                                        _NEAR):  # fmt: skip
            span = _span(facts, since, until, through)
            rows += write_energy_figures(connection, facts, span, version)
            rows += write_enpi_figures(connection, facts, span, version)
            rows += write_accounting_figures(connection, facts, span, version)
            rows += _write_balances(connection, facts, span, version)
            rows += _write_totals(connection, facts, span, version)
            check_output(connection, facts, span.since, span.until, version)
            check_tariff_registers(connection, facts, span.since, span.complete_until, version)
            rows += write_lot_figures(connection, facts, since, until, version)
            rows += write_baseline_figures(connection, facts, span, version)
            rows += write_saving_figures(connection, facts, span, version)
            rows += write_cost_figures(connection, facts, span, version)
            rows += write_waste_figures(connection, facts, span, version)
            # Last, since it counts what the others found.
            rows += write_quality_figures(connection, facts, span, version)
            apply_closings(connection, site_id, _signed_since(connection, site_id, span, version),
                           version)  # fmt: skip
        rows += write_declared_enpis(connection, facts, version)
        rows += write_enterprise_figures(connection, facts, version)
        rows += write_year_ends(connection, facts, local_date(through, facts.zone), version)
        connection.execute(
            "INSERT INTO computation (site_id, data_version, data_through, code_version)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT (site_id) DO UPDATE SET"
            " data_version = excluded.data_version, data_through = excluded.data_through,"
            " code_version = excluded.code_version, computed_at = now()",
            (site_id, version, through, __version__),
        )
        return rows


def _write_balances(
    connection: psycopg.Connection[Any], facts: SiteFacts, span: Span, version: int
) -> int:
    until = min(span.until, span.complete_until)
    if span.since >= until:
        return 0
    begin, end = midnight(span.since.replace(day=1), facts.zone), midnight(until, facts.zone)
    intervals = SiteIntervals(connection, facts, begin, end)
    return write_balance_figures(connection, facts, intervals, span.since, until, version)


def _signed_since(
    connection: psycopg.Connection[Any], site_id: int, span: Span, version: int
) -> dt.date:
    """Return the first day of what was written anew: a later grid factor reaches back (F35)."""
    row = connection.execute(
        "SELECT min(period_to) FROM scheme_energy_period WHERE site_id = %s AND data_version = %s"
        " AND closing_version IS NULL",
        (site_id, version),
    ).fetchone()
    assert row is not None
    return span.since if row[0] is None else min(span.since, row[0])


def _write_totals(
    connection: psycopg.Connection[Any], facts: SiteFacts, span: Span, version: int
) -> int:
    until = min(span.until, span.complete_until)
    spans = reconciled_spans(connection, facts, span.since, until)
    if not spans:
        return 0
    low, high = midnight(spans[0][0], facts.zone), midnight(until, facts.zone)
    intervals = SiteIntervals(connection, facts, low, high)
    return write_reconciliation_figures(connection, facts, intervals, span.since, until, version)


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
        "  AND (e.counter_kind IS NOT NULL OR EXISTS (SELECT FROM integrated_series i"
        "   WHERE i.series_id = s.series_id AND i.superseded_commit_no IS NULL))"
        "  AND e.superseded_commit_no IS NULL),"
        " (SELECT max(to_ts) FROM energy_ledger WHERE site_id = %(s)s"
        "  AND superseded_commit_no IS NULL))",
        {"s": site_id},
    ).fetchone()
    return None if row is None else row[0]
