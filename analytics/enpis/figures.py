"""Figures of one site: which periods a change touches, and their rows (D11, F4, F8).

A figure of the running day or month covers what has been read so far; an EnPI is only taken over
whole days, so that energy and output are cut alike.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from analytics.accounting.enpi_facts import Enpi
from analytics.accounting.site_calendar import (
    JUDGED_KINDS,
    Period,
    SiteCalendar,
    local_date,
    midnight,
)
from analytics.accounting.site_facts import Counter, SiteFacts
from analytics.accounting.site_intervals import SiteIntervals
from analytics.accounting.withheld import WithheldCode
from analytics.enpis.closed_months import closed_months
from analytics.enpis.enpi import EnpiFigure, EnpiYears
from analytics.enpis.targets import Status
from analytics.intervals.sums import SeriesIntervals, load_intervals
from enpilot.quantities import QUANTITIES

__all__ = ["Span", "forget_figures", "write_energy_figures", "write_enpi_figures"]

_GRID: Final = dt.timedelta(minutes=15)
# Interval rows that are held in memory at once.
_ROWS_TOGETHER: Final = 2_000_000
_MARGIN: Final = dt.timedelta(days=1)  # a production day and its shifts reach into the next one


@dataclass(frozen=True, slots=True)
class Span:
    """Local days [since, until) that a change touches, and how far the site's data reach.

    Attributes
    ----------
    data_through
        Last instant that the data reach.
    complete_until
        The first local day that is not complete yet.
    """

    since: dt.date
    until: dt.date
    data_through: dt.datetime
    complete_until: dt.date


def write_energy_figures(
    connection: psycopg.Connection[Any], facts: SiteFacts, span: Span, version: int
) -> int:
    """Write what each counter did on the days and in the months of a span.

    Parameters
    ----------
    connection
        In the transaction that claimed the span.
    facts, span, version
        Of the site, the touched days, and the data version that the rows will name.

    Returns
    -------
    int
        Rows written.
    """
    # What was retracted leaves no figure behind: of a span only what is computed anew remains.
    connection.execute(
        "DELETE FROM energy_period WHERE site_id = %s AND period_from < %s"
        " AND period_from >= CASE period_kind WHEN 'day' THEN %s::date ELSE %s::date END",
        (facts.site_id, span.until, span.since, span.since.replace(day=1)),
    )
    today = local_date(span.data_through, facts.zone)
    until = min(span.until, today + dt.timedelta(days=1))
    if span.since >= until:
        return 0
    civil = SiteCalendar(facts.zone)
    months = list(civil.months(span.since, until))
    periods = [*civil.days(span.since, until), *months]
    whole = (midnight(months[0].first, facts.zone), midnight(months[-1].after, facts.zone))
    together = max(1, _ROWS_TOGETHER // max(1, (whole[1] - whole[0]) // _GRID))
    rows: list[tuple[object, ...]] = []
    for at in range(0, len(facts.counters), together):
        counters = facts.counters[at : at + together]
        loaded = load_intervals(connection, {c.series_id: c.quantity for c in counters}, *whole)
        for counter in counters:
            series = loaded.get(counter.series_id)
            if series is None:
                continue
            for period in periods:
                row = _energy_row(facts, counter, series, period, span.data_through)
                if row is not None:
                    rows.append((*row, version))
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO energy_period (site_id, point_id, quantity, channel, period_kind,"
            " period_from, period_to, amount, unit, estimated_share, coverage,"
            " distribution_coverage, reporting_completeness, simulated, withheld_code,"
            " data_version) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (point_id, quantity, channel, period_kind, period_from) DO UPDATE SET"
            " period_to = excluded.period_to, amount = excluded.amount, unit = excluded.unit,"
            " estimated_share = excluded.estimated_share, coverage = excluded.coverage,"
            " distribution_coverage = excluded.distribution_coverage,"
            " reporting_completeness = excluded.reporting_completeness,"
            " simulated = excluded.simulated, withheld_code = excluded.withheld_code,"
            " data_version = excluded.data_version, computed_at = now(), closing_version = NULL",
            rows,
        )
    return len(rows)


def forget_figures(connection: psycopg.Connection[Any], site_id: int) -> None:
    """Delete every figure of a site that has no data any more.

    Parameters
    ----------
    connection
        In the site's transaction.
    site_id
        The site.
    """
    for table in (
        "energy_period", "enpi_period", "scheme_energy_period", "carbon_period",
        "product_energy_period", "medium_factor_period", "balance_period",
        "virtual_point_period", "lot_energy", "enpi_year_end",
        "declared_enpi_period", "reconciliation_period",
    ):  # fmt: skip
        connection.execute(f"DELETE FROM {table} WHERE site_id = %s", (site_id,))


def _energy_row(
    facts: SiteFacts,
    counter: Counter,
    series: SeriesIntervals,
    period: Period,
    data_through: dt.datetime,
) -> tuple[object, ...] | None:
    since, until = midnight(period.first, facts.zone), midnight(period.after, facts.zone)
    high = min(until, data_through)
    if high - since < _GRID:
        return None
    summed = series.over(since, high)
    if summed.amount is None and not series.within(since, high):
        return None
    return (
        facts.site_id, counter.point_id, counter.amounts_to, counter.channel, period.kind,
        period.first, period.after, None if summed.amount is None else float(summed.amount),
        QUANTITIES[counter.amounts_to].unit, summed.estimated_share, summed.coverage,
        summed.distribution_coverage, summed.reporting_completeness, summed.simulated,
        WithheldCode.ENERGY_MISSING if summed.amount is None else None,
    )  # fmt: skip


def write_enpi_figures(
    connection: psycopg.Connection[Any], facts: SiteFacts, span: Span, version: int
) -> int:
    """Write what every EnPI says of the periods that a span touches.

    Parameters
    ----------
    connection
        In the transaction that claimed the span.
    facts, span, version
        Of the site, the touched days, and the data version that the rows will name.

    Returns
    -------
    int
        Rows written.
    """
    # An EnPI that ended says nothing of the time after it.
    for table in ("enpi_period", "lot_energy"):
        connection.execute(
            f"DELETE FROM {table} f USING enpi_record r WHERE f.site_id = %s"
            " AND r.enpi_id = f.enpi_id AND r.superseded_commit_no IS NULL"
            " AND r.valid_to < f.to_ts",
            (facts.site_id,),
        )
    return sum(_write_enpi(connection, facts, enpi, span, version) for enpi in facts.enpis)


def _write_enpi(
    connection: psycopg.Connection[Any], facts: SiteFacts, enpi: Enpi, span: Span, version: int
) -> int:
    first = _first_day(facts, enpi, connection)
    complete = min(span.complete_until, enpi.calendar.day_of(span.data_through))
    connection.execute(
        "DELETE FROM enpi_period WHERE enpi_id = %(e)s"
        " AND (period_to > %(until)s OR period_to <= coalesce(%(first)s, 'infinity'::date))",
        {"e": enpi.enpi_id, "until": complete, "first": first},
    )
    if first is None or first >= complete:
        return 0
    # What other shifts, another calendar or another source wrote of these days is no figure now.
    connection.execute(
        "DELETE FROM enpi_period WHERE enpi_id = %s AND period_from < %s AND period_to > %s",
        (enpi.enpi_id, span.until, enpi.calendar.day_of(midnight(span.since, facts.zone))),
    )
    touched = list(_touched(facts, enpi, span, first, complete))
    if not touched:
        return 0
    known_from = [p.first for p in touched]
    known_from += [p.moved(-1).first for p in touched if p.kind in JUDGED_KINDS]
    if enpi.target is not None:
        known_from.append(enpi.target.base_from)
    since = max(first, min(known_from)) - _MARGIN
    years = EnpiYears(
        facts,
        enpi,
        SiteIntervals(
            connection,
            facts,
            midnight(since, facts.zone),
            midnight(complete + _MARGIN, facts.zone),
        ),
        closed_months(connection, facts.site_id),
    )
    rows = []
    for period in touched:
        figure = years.figure(period.cut(complete))
        connection.execute(
            "DELETE FROM enpi_period WHERE enpi_id = %s AND period_kind = %s AND period_from = %s"
            " AND shift = %s AND period_to > %s AND period_to <= %s",
            (
                enpi.enpi_id, period.kind, period.first, period.shift, _last_month(enpi, period),
                period.after,
            ),
        )  # fmt: skip
        rows.append(_enpi_row(facts, enpi, figure, version))
    _insert(connection, rows)
    return len(rows)


def _insert(connection: psycopg.Connection[Any], rows: Sequence[Sequence[object]]) -> None:
    names = (
        "site_id", "enpi_id", "period_kind", "period_from", "period_to", "shift", "from_ts",
        "to_ts", "energy", "energy_unit", "energy_tce", "output", "output_unit", "intensity",
        "base_intensity", "target_intensity", "progress_ratio", "cumulative_progress", "status",
        "withheld_code", "provisional", "within_uncertainty", "coverage", "output_coverage",
        "reporting_completeness", "estimated_share", "synthetic_energy", "synthetic_output",
        "factor_verified", "target_id", "matched_share", "previous_intensity",
        "original_target_intensity", "original_status", "volume_effect", "mix_effect",
        "efficiency_effect", "data_version",
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO enpi_period ({', '.join(names)})"
            f" VALUES ({', '.join(['%s'] * len(names))})",
            rows,
        )


def _last_month(enpi: Enpi, period: Period) -> dt.date:
    """Return the day up to which rows belong to an earlier month's end of the same year."""
    if period.kind != "year_to_date":
        return period.first
    return enpi.calendar.month_start(period.after - dt.timedelta(days=1))


def _first_day(facts: SiteFacts, enpi: Enpi, connection: psycopg.Connection[Any]) -> dt.date | None:
    """Return the first day with energy or output of an EnPI."""
    if enpi.points is None:
        series = [p.series_id for p in facts.points if p.medium in enpi.scheme.media]
    else:
        series = [p.series_id for p in enpi.points]
    row = connection.execute(
        "SELECT min(ts) FROM interval_advance WHERE series_id = ANY(%s)", (series,)
    ).fetchone()
    known = [row[0]] if row is not None and row[0] is not None else []
    if enpi.points is None:
        known += [e.since for e in facts.ledger if e.medium in enpi.scheme.media]
    known += [e.since for p in enpi.products for e in p.entries]
    return enpi.calendar.day_of(min(known)) if known else None


def _touched(
    facts: SiteFacts, enpi: Enpi, span: Span, first: dt.date, complete: dt.date
) -> Iterator[Period]:
    """Yield the periods that have a touched day, themselves, the year before or in their base."""
    years = EnpiYears(facts, enpi, _no_intervals)
    calendar, target = enpi.calendar, enpi.target
    # The rate towards an end value comes from the whole base year.
    whole_base = (
        Period(target.base_from, target.base_to, "rolling_12")
        if target is not None and target.annual_rate is None
        else None
    )
    # The first hours of a civil day may belong to the production day before.
    since = calendar.day_of(midnight(span.since, facts.zone))
    makers: list[Callable[[dt.date, dt.date], Iterator[Period]]] = [
        calendar.months, calendar.quarters, calendar.years_to_date, calendar.rolling_years,
    ]  # fmt: skip
    if years.metered:
        makers += [calendar.days, calendar.shifts_of, calendar.weeks]
    for make in makers:
        for period in make(first, complete):
            if period.kind == "rolling_12" and (period.after > complete or period.first < first):
                continue
            if period.kind == "week" and period.first < first:
                continue
            # Of the running day nothing is in a figure yet, so its change touches none.
            known = period.cut(complete)
            held = [known, years.base_period(known)]
            if period.kind in JUDGED_KINDS:
                held += [known.moved(-1), whole_base]
            if any(p is not None and p.overlaps(since, span.until) for p in held):
                yield period


def _no_intervals(series_id: int) -> None:
    del series_id


def _enpi_row(facts: SiteFacts, enpi: Enpi, figure: EnpiFigure, version: int) -> Sequence[object]:
    energy, output, verdict = figure.energy, figure.output, figure.verdict
    original, change = figure.original, figure.change
    return (
        facts.site_id, enpi.enpi_id, figure.period.kind, figure.period.first, figure.period.after,
        figure.period.shift, *enpi.calendar.span(figure.period),
        energy.energy, enpi.scheme.energy_unit, energy.energy_tce, output.quantity,
        enpi.output_unit, figure.intensity, figure.base_intensity, verdict.target_intensity,
        verdict.progress_ratio, verdict.cumulative_progress, verdict.status, figure.withheld,
        # Nothing can be closed and signed yet, so no verdict is final (F8, F13).
        verdict.status not in (Status.BASE, Status.NO_TARGET),
        figure.within_uncertainty, energy.coverage, output.coverage,
        energy.reporting_completeness, energy.estimated_share, energy.synthetic, output.synthetic,
        energy.factor_verified, None if enpi.target is None else enpi.target.target_id,
        figure.matched_share, figure.previous_intensity,
        None if original is None else original.target_intensity,
        None if original is None else original.status,
        *((None, None, None) if change is None
          else (float(change.volume), float(change.mix), float(change.efficiency))),
        version,
    )  # fmt: skip
