"""Amounts over any window, from the registers at its own ends (F22).

Energy over [a, b) is the interpolated register at b minus that at a. Interval rows answer for
windows on the 15-minute grid; a production lot begins when it begins.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import psycopg

from analytics.counters.account import Account
from analytics.counters.decisions import REFRESH_US
from analytics.counters.levels import MICRO
from analytics.intervals.account_runs import Part, account_parts
from analytics.intervals.counter_facts import (
    CounterEpoch,
    PointSeries,
    load_epochs,
    load_replacements,
)
from analytics.intervals.many_readings import Wanted, load_many
from analytics.intervals.readings import SeriesReadings, microseconds
from analytics.intervals.sums import WindowSum, load_scales
from enpilot.archive import reading_after, reading_before

__all__ = ["ExactWindows"]

_CONTEXT: Final = dt.timedelta(microseconds=REFRESH_US)
_NOTHING: Final = WindowSum(None, 0.0, 0.0, 0.0, 0.0, 0.0, simulated=False)


@dataclass(frozen=True, slots=True)
class _SeriesWindows:
    """One series, to be asked like its interval rows."""

    connection: psycopg.Connection[Any]
    series: PointSeries
    epochs: Sequence[CounterEpoch]

    def over(self, since: dt.datetime, until: dt.datetime) -> WindowSum:
        """Sum a window with any ends; see `analytics.intervals.sums.SeriesIntervals.over`."""
        connection, series_id = self.connection, self.series.series_id
        before = reading_before(connection, series_id, since)
        after = reading_after(connection, series_id, until)
        wanted = Wanted(series_id, (before or since) - _CONTEXT, after or until, None)
        [readings] = load_many(connection, [wanted])
        if not isinstance(readings, SeriesReadings):
            raise readings
        window = (microseconds(since), microseconds(until))
        replaced = load_replacements(connection, [self.series]).get(series_id, ())
        parts = [
            Part(readings, epoch, part, replaced)
            for epoch in self.epochs
            if (part := epoch.within(window)) is not None
        ]
        accounts = [
            (part.epoch, account)
            for part, account in zip(parts, account_parts(parts), strict=True)
            if account is not None and len(account.start_us)
        ]
        if not accounts:
            return _NOTHING
        scales = load_scales(connection, series_id, self.series.quantity)
        amount = estimated = guessed = Fraction(0)
        for epoch, account in accounts:
            scale = scales[epoch.epoch_id].scale / MICRO
            amount += int(account.advance_micro.sum()) * scale
            estimated += int(account.estimated_micro.sum()) * scale
            guessed += sum(_straddling(account, end) for end in window) * abs(scale)
        measured_us = sum(int(account.measured_us.sum()) for _, account in accounts)
        known_us = min(window[1], max(a.last_us or 0 for _, a in accounts)) - max(
            window[0], min(a.first_us or window[1] for _, a in accounts)
        )
        span_us = window[1] - window[0]
        total = float(abs(amount))
        return WindowSum(
            amount,
            _share(abs(float(estimated)), total),
            max(0.0, known_us / span_us) * (1.0 - _share(float(guessed), total)),
            min(1.0, measured_us / span_us),
            float(sum(int(a.readings.sum()) for _, a in accounts)),
            0.0,
            bool(readings.simulated.any()),
        )


def _straddling(account: Account, end_us: int) -> int:
    """Return the advance of a gap across an end: how much of it is inside is a guess."""
    return sum(g.advance_micro for g in account.gaps if g.from_us < end_us < g.to_us)


def _share(part: float, whole: float) -> float:
    if whole <= 0:
        return 0.0 if part <= 0 else 1.0
    return min(1.0, part / whole)


class ExactWindows:
    """Amounts of a site's series over windows with any ends.

    Parameters
    ----------
    connection
        Inside a transaction.
    series
        That will be asked for.
    """

    def __init__(self, connection: psycopg.Connection[Any], series: Sequence[PointSeries]) -> None:
        epochs = load_epochs(connection, [s.series_id for s in series])
        self._known = {
            s.series_id: _SeriesWindows(connection, s, epochs[s.series_id])
            for s in series
            if epochs.get(s.series_id)
        }

    def __call__(self, series_id: int) -> _SeriesWindows | None:
        """Return the series; None if its numbers mean no amount."""
        return self._known.get(series_id)
