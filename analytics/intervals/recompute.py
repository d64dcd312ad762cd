"""Dirty spans of a group of points to interval rows, gaps and findings (D11).

One transaction a group: lock its points, claim their dirty spans, read, compute, write, commit. A
span is widened to the neighbouring readings first, because they decide what the advance at its
edges is. What comes out is the same however points are grouped, one alone included.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from analytics.counters.account import Account, CounterRules, Replacement
from analytics.counters.decisions import REFRESH_US
from analytics.intervals.account_runs import Part, account_parts
from analytics.intervals.counter_facts import (
    LEAST_GAP_S,
    CounterEpoch,
    PointSeries,
    load_epochs,
    load_replacements,
)
from analytics.intervals.interval_rows import (
    GRID_US,
    Computed,
    clear_windows,
    write_findings,
    write_gaps,
    write_intervals,
)
from analytics.intervals.many_readings import Wanted, load_many
from analytics.intervals.readings import (
    ARCHIVE_AWAY,
    ArchiveAway,
    SeriesReadings,
    instant,
    microseconds,
)
from analytics.intervals.spans import merge_spans
from analytics.intervals.substitution import Substitution, load_substitutions, substitute
from enpilot.archive import reading_after, reading_before, readings_around
from enpilot.archive.manifest import dropped_spans

__all__ = ["Recomputed", "Touched", "recompute_point", "recompute_points"]

# Dirty spans nearer than this are computed in one go.
_NEAR: Final = dt.timedelta(days=1)
_INSTANT: Final = dt.timedelta(microseconds=1)  # the least that two instants differ by
# Readings before a window by which a decision is mostly made, and those that always suffice.
_CONTEXT: Final = dt.timedelta(microseconds=REFRESH_US)
_FAR_CONTEXT: Final = dt.timedelta(seconds=CounterRules(gap_s=LEAST_GAP_S).glitch_s)
_FIRST: Final = dt.datetime.min.replace(tzinfo=dt.UTC)
_LAST: Final = dt.datetime.max.replace(tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Touched:
    """A span of a site whose figures must be computed anew."""

    site_id: int
    since: dt.datetime
    until: dt.datetime
    intervals: int


@dataclass(slots=True)
class Recomputed:
    """What became of a group of points.

    Attributes
    ----------
    touched
        What changed; empty if another process had claimed all of it.
    points
        How many points were computed.
    waiting
        Points that are as dirty as before, because their readings are in an archive that cannot be
        read, and the error.
    """

    touched: list[Touched] = field(default_factory=list)
    points: int = 0
    waiting: dict[int, ArchiveAway] = field(default_factory=dict)


class _WaitingError(Exception):
    """Points whose archive cannot be read: the group begins anew without them."""

    def __init__(self, points: dict[int, ArchiveAway]) -> None:
        super().__init__(str(points))
        self.points = points


@dataclass(slots=True)
class _Job:
    """A dirty span of one series on its way to rows."""

    series: PointSeries
    since: dt.datetime
    until: dt.datetime
    epochs: Sequence[CounterEpoch]
    replacements: Sequence[Replacement]
    window: tuple[int, int] = (0, 0)
    substitutions: Sequence[Substitution] = ()
    readings: SeriesReadings | None = None
    accounts: Sequence[tuple[CounterEpoch, Account]] = ()


def recompute_point(
    connection: psycopg.Connection[Any], point_id: int, version: int
) -> list[Touched]:
    """Compute what is dirty at one point; see `recompute_points`.

    Parameters
    ----------
    connection, version
        As there.
    point_id
        The point.

    Returns
    -------
    list of Touched
        Empty if nothing was dirty or another process had claimed it.

    Raises
    ------
    enpilot.archive.ArchiveMismatchError, enpilot.archive.ArchiveUnavailableError
        If its readings are in an archive that cannot be read; it is as dirty as before.
    """
    done = recompute_points(connection, [point_id], version)
    for error in done.waiting.values():
        raise error
    return done.touched


def recompute_points(
    connection: psycopg.Connection[Any], point_ids: Sequence[int], version: int
) -> Recomputed:
    """Compute what is dirty at some points, in one transaction.

    Parameters
    ----------
    connection
        Not inside a transaction, or inside one that is to be rolled back.
    point_ids
        The points, in any order, of any sites.
    version
        Data version that the rows will name.

    Returns
    -------
    Recomputed
    """
    done = Recomputed()
    while True:
        able = sorted(set(point_ids) - done.waiting.keys())
        try:
            with connection.transaction():
                done.touched, done.points = _recompute(connection, able, version)
        except _WaitingError as error:
            done.waiting |= error.points  # nothing of the group was kept
        else:
            return done


def _recompute(
    connection: psycopg.Connection[Any], point_ids: list[int], version: int
) -> tuple[list[Touched], int]:
    # In one order everywhere, so that two groups never wait for each other.
    connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('enpilot.point', p))"
        " FROM (SELECT unnest(%s::int[]) AS p ORDER BY 1) points",
        (point_ids,),
    )
    # A statement of its own, after the locks: it sees what the last holder left (D11).
    claimed = connection.execute(
        "DELETE FROM dirty d USING series s WHERE s.series_id = d.series_id"
        " AND s.point_id = ANY(%s) RETURNING d.from_ts, d.to_ts, d.series_id, s.site_id,"
        " s.point_id, s.quantity",
        (point_ids,),
    ).fetchall()
    if not claimed:
        return [], 0
    spans: dict[PointSeries, list[tuple[dt.datetime, dt.datetime]]] = defaultdict(list)
    for since, until, *series in claimed:
        spans[PointSeries(*series)].append((since, until))
    touched = []
    for jobs in _rounds(connection, spans):
        _widen(connection, jobs)
        _load(connection, [job for job in jobs if job.epochs])
        _write(connection, jobs, version)
        touched += [
            Touched(
                job.series.site_id, instant(job.window[0]), instant(job.window[1]),
                sum(len(account.start_us) for _, account in job.accounts),
            )
            for job in jobs
        ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO dirty_site (site_id, from_ts, to_ts, commit_no) VALUES (%s, %s, %s, %s)",
            [(t.site_id, t.since, t.until, version) for t in touched],
        )
    return touched, len({series.point_id for series in spans})


def _rounds(
    connection: psycopg.Connection[Any],
    spans: dict[PointSeries, list[tuple[dt.datetime, dt.datetime]]],
) -> Iterator[list[_Job]]:
    """Yield the first dirty span of every series, then the second of those that have one, ...

    One after the other, because what an earlier one finds may reach into a later one.
    """
    everything = sorted(spans)
    epochs = load_epochs(connection, [series.series_id for series in everything])
    replaced = load_replacements(connection, everything)
    merged = {series: merge_spans(spans[series], _NEAR) for series in everything}
    for number in range(max(map(len, merged.values()))):
        yield [
            _Job(
                series, *merged[series][number], epochs.get(series.series_id, ()),
                replaced.get(series.series_id, ()),
            )
            for series in everything
            if number < len(merged[series])
        ]  # fmt: skip


def _widen(connection: psycopg.Connection[Any], jobs: Sequence[_Job]) -> None:
    """Set each window out to the reading before and after, to open questions, to the grid."""
    ids = [job.series.series_id for job in jobs]
    pending: dict[int, dt.datetime] = dict(
        connection.execute(
            "SELECT f.series_id, min(f.at_ts) FROM finding f"
            " JOIN unnest(%s::int[], %s::timestamptz[]) w(s, a)"
            " ON f.series_id = w.s AND f.at_ts < w.a WHERE f.withdrawn_version IS NULL"
            " AND (f.evidence->>'pending')::boolean GROUP BY f.series_id",
            (ids, [job.since for job in jobs]),
        ).fetchall()
    )
    substituted = {
        row[0]
        for row in connection.execute(
            "SELECT DISTINCT series_id FROM energy_substitution WHERE series_id = ANY(%s)"
            " AND superseded_commit_no IS NULL",
            (ids,),
        )
    }
    around = _around(connection, jobs, [(job.since, job.until + _INSTANT) for job in jobs])
    for job, (before, after) in zip(jobs, around, strict=True):
        series_id = job.series.series_id
        low = min(x for x in (job.since, before, pending.get(series_id)) if x is not None)
        # One microsecond more, so that the last reading's own quarter hour is inside the window.
        high = max(x for x in (job.until, after) if x is not None) + _INSTANT
        if series_id in substituted:
            job.substitutions = load_substitutions(
                connection, series_id, job.series.quantity, low, high
            )
        # A substitution is shared out over its whole span, so all of that is computed.
        low = min([low, *(s.since for s in job.substitutions)])
        high = max([high, *(s.until for s in job.substitutions)])
        job.window = (
            microseconds(low) // GRID_US * GRID_US,
            -(-microseconds(high) // GRID_US) * GRID_US,
        )


def _around(
    connection: psycopg.Connection[Any],
    jobs: Sequence[_Job],
    ends: Sequence[tuple[dt.datetime, dt.datetime]],
) -> list[tuple[dt.datetime | None, dt.datetime | None]]:
    """Return the reading before the first and from the second of two instants of each job."""
    found = readings_around(
        connection, [job.series.series_id for job in jobs], *zip(*ends, strict=True)
    )
    dropped = dropped_spans(connection, _FIRST, _LAST)
    if not dropped:
        return found
    waiting: dict[int, ArchiveAway] = {}
    complete = []
    for job, (low, high), (before, after) in zip(jobs, ends, found, strict=True):
        series_id = job.series.series_id
        try:
            if any(a < low and b > (before or _FIRST) for a, b in dropped):
                before = reading_before(connection, series_id, low)
            if any(a < (after or _LAST) and b > high for a, b in dropped):
                after = reading_after(connection, series_id, high)
        except ARCHIVE_AWAY as error:
            waiting[job.series.point_id] = error
        complete.append((before, after))
    if waiting:
        raise _WaitingError(waiting)
    return complete


def _load(connection: psycopg.Connection[Any], jobs: Sequence[_Job]) -> None:
    """Load each window with enough before it to decide and the first reading after; account it."""
    ends = [(instant(job.window[0]), instant(job.window[1])) for job in jobs]
    spans = [
        (before or low, after or high)
        for (low, high), (before, after) in zip(
            ends, _around(connection, jobs, ends) if jobs else (), strict=True
        )
    ]
    _read(connection, jobs, [(low - _CONTEXT, high) for low, high in spans])
    first = account_parts([Part(_of(job), job.epochs[0], job.window, ()) for job in jobs])
    short = [n for n, account in enumerate(first) if account is not None and account.context_short]
    _read(
        connection,
        [jobs[n] for n in short],
        [(spans[n][0] - _FAR_CONTEXT, spans[n][1]) for n in short],
    )
    again: list[tuple[_Job, CounterEpoch, Part]] = []
    for n, job in enumerate(jobs):
        account = first[n]
        if n in short or job.replacements or len(job.epochs) > 1 or (
            job.epochs[0].within(job.window) != job.window
        ):  # fmt: skip
            again += [
                (job, epoch, Part(_of(job), epoch, part, job.replacements))
                for epoch in job.epochs
                if (part := epoch.within(job.window)) is not None
            ]
        elif account is not None:
            job.accounts = [(job.epochs[0], account)]
    for (job, epoch, _), account in zip(
        again, account_parts([part for _, _, part in again]), strict=True
    ):
        if account is not None:
            job.accounts = [*job.accounts, (epoch, account)]


def _of(job: _Job) -> SeriesReadings:
    assert job.readings is not None  # `_read` set them
    return job.readings


def _read(
    connection: psycopg.Connection[Any],
    jobs: Sequence[_Job],
    spans: Sequence[tuple[dt.datetime, dt.datetime]],
) -> None:
    if not jobs:
        return
    wanted = [
        Wanted(job.series.series_id, *span, _whole(job.epochs))
        for job, span in zip(jobs, spans, strict=True)
    ]
    waiting = {}
    for job, readings in zip(jobs, load_many(connection, wanted), strict=True):
        if isinstance(readings, ARCHIVE_AWAY):
            waiting[job.series.point_id] = readings
        else:
            job.readings = readings
    if waiting:
        raise _WaitingError(waiting)


def _whole(epochs: Sequence[CounterEpoch]) -> bool | None:
    kinds = {epoch.recoding.reads_whole for epoch in epochs}
    return kinds.pop() if len(kinds) == 1 else None


def _write(connection: psycopg.Connection[Any], jobs: Sequence[_Job], version: int) -> None:
    computed = [Computed(job.series, job.window, job.readings, job.accounts) for job in jobs]
    clear_windows(connection, computed)
    write_intervals(connection, computed, version)
    write_gaps(connection, computed, version)
    for job in jobs:
        if job.epochs:
            for substitution in job.substitutions:
                substitute(
                    connection, job.series.series_id, job.series.quantity, substitution, version
                )
    write_findings(connection, computed, version)
