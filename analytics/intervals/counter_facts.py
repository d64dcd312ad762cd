"""What must be known of counters before their readings mean anything; many series at a time."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from analytics.counters.account import CounterKind, CounterRules, Replacement
from analytics.counters.levels import MICRO
from analytics.counters.recode import Recoding
from analytics.intervals.readings import microseconds

__all__ = ["LEAST_GAP_S", "CounterEpoch", "PointSeries", "load_epochs", "load_replacements"]

# Readings this much further apart than scheduled leave a gap; five minutes are nothing to a
# quarter-hourly figure.
_GAP_PERIODS: Final = 2.5
LEAST_GAP_S: Final = 300
# What a meter may deliver beyond its rated maximum before a reading is called impossible.
_RATED_MARGIN: Final = 1.2


@dataclass(frozen=True, slots=True, order=True)
class PointSeries:
    """A series, and whose it is."""

    series_id: int
    site_id: int
    point_id: int
    quantity: str


@dataclass(frozen=True, slots=True)
class CounterEpoch:
    """A dated meaning of a counter's numbers, as far as advances on the grid depend on it."""

    epoch_id: int
    recoding: Recoding
    rules: CounterRules
    valid_from: dt.datetime
    valid_to: dt.datetime | None
    integrated: bool = False  # a gauge: its integral over time is the advance

    def within(self, window: tuple[int, int]) -> tuple[int, int] | None:
        """Return the part of a window [µs] in which it holds; None if there is none."""
        low = max(window[0], microseconds(self.valid_from))
        high = window[1] if self.valid_to is None else min(window[1], microseconds(self.valid_to))
        return (low, high) if low < high else None


def load_epochs(
    connection: psycopg.Connection[Any], series_ids: Sequence[int]
) -> dict[int, list[CounterEpoch]]:
    """Return the epochs in which each series counts, or is integrated, in order of time.

    Parameters
    ----------
    connection
        As a role that may read the plant.
    series_ids
        The series.

    Returns
    -------
    dict
        Epochs by series; a series without one is left out.
    """
    found: dict[int, list[CounterEpoch]] = defaultdict(list)
    rows = connection.execute(
        "SELECT e.series_id, e.epoch_id, e.counter_kind, coalesce(e.read_type, e.raw_type),"
        " e.raw_type, e.decoding, e.modulus, e.rated_max_per_h, e.scale, e.period_s,"
        " greatest(e.valid_from, i.valid_from), least(e.valid_to, i.valid_to)"
        " FROM series_epoch e LEFT JOIN integrated_series i ON i.series_id = e.series_id"
        " AND e.counter_kind IS NULL AND i.superseded_commit_no IS NULL"
        " AND tstzrange(i.valid_from, i.valid_to) && tstzrange(e.valid_from, e.valid_to)"
        " WHERE e.series_id = ANY(%s) AND e.superseded_commit_no IS NULL"
        " AND (e.counter_kind IS NOT NULL OR i.series_id IS NOT NULL)"
        " ORDER BY e.series_id, 11",
        (list(series_ids),),
    )
    for series_id, epoch_id, kind, *recoding, modulus, rated, scale, period, since, until in rows:
        rules = CounterRules(
            gap_s=max(LEAST_GAP_S, int((period or 0) * _GAP_PERIODS)),
            kind=CounterKind(kind or "lifetime"),
            modulus_micro=int((modulus or 0) * MICRO),
            rated_micro_per_s=(
                int(float(rated) / float(abs(scale)) / 3600 * MICRO * _RATED_MARGIN) if rated else 0
            ),
        )
        found[series_id].append(
            CounterEpoch(epoch_id, Recoding(*recoding), rules, since, until, kind is None)
        )
    return found


def load_replacements(
    connection: psycopg.Connection[Any], series: Sequence[PointSeries]
) -> dict[int, list[Replacement]]:
    """Return where one device followed another at the points of some series.

    With what was noted of the series' register then.

    Parameters
    ----------
    connection
        As a role that may read the plant.
    series
        The series with their points.

    Returns
    -------
    dict
        Replacements by series, in order of time.
    """
    rows = connection.execute(
        "SELECT w.s, i.valid_from, i.device_id, r.opening_raw, r.closing_raw"
        " FROM unnest(%s::int[], %s::int[]) w(s, p)"
        " JOIN installation i ON i.point_id = w.p AND i.superseded_commit_no IS NULL"
        " LEFT JOIN installation_register r ON r.installation_id = i.installation_id"
        " AND r.series_id = w.s AND r.superseded_commit_no IS NULL ORDER BY w.s, i.valid_from",
        ([s.series_id for s in series], [s.point_id for s in series]),
    ).fetchall()
    return {
        series_id: [
            Replacement(
                microseconds(after[1]),
                None if before[4] is None else int(before[4] * MICRO),
                None if after[3] is None else int(after[3] * MICRO),
            )
            for before, after in itertools.pairwise(held)
            if before[2] != after[2]
        ]
        for series_id, held in itertools.groupby(rows, key=lambda row: row[0])
    }
