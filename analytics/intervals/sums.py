"""Interval rows of one series summed over windows, exactly, in the unit of the series (F4, F36)."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Protocol

import numpy as np
import psycopg
from numpy.typing import NDArray

from analytics.counters.levels import MICRO
from analytics.intervals.readings import microseconds
from enpilot.database.binary_copy import POSTGRES_EPOCH_US, array_values, raw_rows
from enpilot.quantities import INTEGRALS, unit_ratio

__all__ = [
    "GRID_US",
    "SeriesIntervals",
    "SummedSeries",
    "WindowSum",
    "load_intervals",
    "load_scales",
]

GRID_US: Final = 900 * 1_000_000
_COLUMNS: Final = {
    "ts": "timestamptz", "epoch_id": "int4", "advance_micro": "int8", "estimated_micro": "int8",
    "measured_s": "float4", "readings": "int4", "simulated": "bool",
}  # fmt: skip
_KINDS: Final = (np.int64, np.int64, np.int64, np.int64, np.float64, np.int64, np.bool_)


@dataclass(frozen=True, slots=True)
class WindowSum:
    """What one series did in one window.

    Attributes
    ----------
    amount
        Advance times scale, summed over epochs; None without any interval [unit of the quantity].
    estimated_share
        Part of the amount whose place in time, or whose truth, is a guess; 0 .. 1.
    coverage
        Share of the window's amount that its registers bracket; 0 .. 1 (F4).
    distribution_coverage
        Share of the window's time that lies between neighbouring readings; 0 .. 1.
    received, expected
        Values received, at most as many an interval as expected of it, and values expected; both 0
        if nobody said how often they should come.
    simulated
        Some reading that decided it came from a simulated source.
    """

    amount: Fraction | None
    estimated_share: float
    coverage: float
    distribution_coverage: float
    received: float
    expected: float
    simulated: bool

    @property
    def reporting_completeness(self) -> float | None:
        """Values received of values expected; 0 .. 1; None if none were expected."""
        return min(1.0, self.received / self.expected) if self.expected > 0 else None


class SummedSeries(Protocol):
    """A series that can be summed over windows."""

    def over(self, since: dt.datetime, until: dt.datetime) -> WindowSum:
        """Sum a window."""


@dataclass(frozen=True, slots=True)
class _EpochScale:
    scale: Fraction
    period_s: int | None
    integrated: bool = False


@dataclass(frozen=True, slots=True)
class SeriesIntervals:
    """Interval rows of one series in order of time, with its gaps, its epochs and its extent.

    ``first_us`` and ``last_us`` are the series' first and last good reading that counts [us]: a
    window beyond them is not bracketed.
    """

    start_us: NDArray[np.int64]
    epoch: NDArray[np.int64]
    advance: NDArray[np.int64]
    estimated: NDArray[np.int64]
    measured_s: NDArray[np.float64]
    readings: NDArray[np.int64]
    simulated: NDArray[np.bool_]
    gaps: NDArray[np.int64]
    scales: dict[int, _EpochScale]
    first_us: int
    last_us: int

    def over(self, since: dt.datetime, until: dt.datetime) -> WindowSum:
        """Sum a window whose ends lie on the 15-minute grid."""
        low, high = microseconds(since), microseconds(until)
        a, b = np.searchsorted(self.start_us, (low, high)).tolist()
        if a == b:
            return WindowSum(None, 0.0, 0.0, 0.0, 0.0, self._due(high - low), simulated=False)
        amount = estimated = Fraction(0)
        for epoch_id, scale in self.scales.items():
            own = self.epoch[a:b] == epoch_id
            amount += int(self.advance[a:b][own].sum()) * scale.scale / MICRO
            estimated += int(self.estimated[a:b][own].sum()) * scale.scale / MICRO
        seconds = (high - low) / 1e6
        return WindowSum(
            amount,
            _share(abs(float(estimated)), abs(float(amount))),
            self._coverage(low, high, float(abs(amount)), self._unknown_us(a, b, low, high)),
            min(1.0, float(self.measured_s[a:b].sum()) / seconds),
            *self._reported(a, b, seconds),
            bool(self.simulated[a:b].any()),
        )

    def within(self, since: dt.datetime, until: dt.datetime) -> bool:
        """Whether a window touches the time between the first and the last reading."""
        return microseconds(since) < self.last_us and microseconds(until) > self.first_us

    def _unknown_us(self, a: int, b: int, low: int, high: int) -> int:
        """Return the time between first and last reading of which no register tells [us].

        An amount per interval that is missing leaves such a hole, and so do numbers without a
        meaning: their intervals have no row, while a gap between two registers has rows.
        """
        first = max(low, self.first_us // GRID_US * GRID_US)
        last = min(high, -(-self.last_us // GRID_US) * GRID_US)
        if any(scale.integrated for scale in self.scales.values()):
            # Beside a gap a quarter of an hour of a gauge has a row, and knows a part of itself.
            return max(0, last - first - int(self.measured_s[a:b].sum() * 1e6))
        starts = self.start_us[a:b]
        known = len(np.unique(starts[(starts >= first) & (starts < last)]))
        return max(0, last - first - known * GRID_US)

    def _coverage(self, low: int, high: int, amount: float, unknown_us: int) -> float:
        """Return the bracketed share: only a gap that straddles an end of the window is a guess."""
        known_us = min(high, self.last_us) - max(low, self.first_us) - unknown_us
        bracketed = known_us / (high - low)
        if bracketed <= 0:
            return 0.0
        guessed = 0.0
        for start, end, advance, epoch_id in self.gaps.tolist():
            if (start < low < end) or (start < high < end):
                inside = (min(end, high) - max(start, low)) / (end - start)
                guessed += advance * inside * abs(float(self.scales[epoch_id].scale)) / MICRO
        return max(0.0, min(1.0, bracketed) * (1.0 - _share(guessed, amount)))

    def _reported(self, a: int, b: int, seconds: float) -> tuple[float, float]:
        received = expected = covered_s = 0.0
        period = None
        for epoch_id, scale in self.scales.items():
            own = self.epoch[a:b] == epoch_id
            if scale.period_s is None or not own.any():
                continue
            period = scale.period_s
            due = GRID_US / 1e6 / period
            received += float(np.minimum(self.readings[a:b][own], due).sum())
            expected += due * int(own.sum())
            covered_s += GRID_US / 1e6 * int(own.sum())
        if period is None:
            return 0.0, 0.0
        # Intervals that have no row at all were expected too; the running one is cut short.
        return received, min(expected, seconds / period) + max(0.0, seconds - covered_s) / period

    def _due(self, span_us: int) -> float:
        periods = [s.period_s for s in self.scales.values() if s.period_s is not None]
        return span_us / 1e6 / periods[-1] if periods else 0.0


def _share(part: float, whole: float) -> float:
    if whole <= 0:
        return 0.0 if part <= 0 else 1.0
    return min(1.0, part / whole)


def load_scales(
    connection: psycopg.Connection[Any], series_id: int, quantity: str
) -> dict[int, _EpochScale]:
    """Return what an advance of one count is by each epoch of a series, superseded ones too.

    Parameters
    ----------
    connection
        To the platform's database.
    series_id, quantity
        The series, and what it reads; a gauge's advance is its integral over an hour.

    Returns
    -------
    dict
        By epoch, in order of time [unit of the amount per count].
    """
    return _scales(connection, {series_id: quantity}).get(series_id, {})


def _scales(
    connection: psycopg.Connection[Any], series: Mapping[int, str]
) -> dict[int, dict[int, _EpochScale]]:
    found: dict[int, dict[int, _EpochScale]] = defaultdict(dict)
    for series_id, epoch_id, scale, unit, period_s in connection.execute(
        # Superseded ones too: rows outside of what was superseded still name them, and what is
        # inside is dirty and computed before it is summed. The present one comes last.
        "SELECT series_id, epoch_id, scale, unit, period_s FROM series_epoch"
        " WHERE series_id = ANY(%s) ORDER BY series_id, superseded_commit_no IS NULL, valid_from",
        (list(series),),
    ):
        quantity = series[series_id]
        per_hour = INTEGRALS[quantity][1] if quantity in INTEGRALS else Fraction(1)
        found[series_id][epoch_id] = _EpochScale(
            Fraction(scale) * unit_ratio(quantity, unit) * per_hour,
            period_s,
            quantity in INTEGRALS,
        )
    return found


def load_intervals(
    connection: psycopg.Connection[Any],
    series: Mapping[int, str],
    since: dt.datetime,
    until: dt.datetime,
) -> dict[int, SeriesIntervals]:
    """Load the interval rows of some series in [since, until).

    Parameters
    ----------
    connection
        As a role that may read ``interval_advance`` and ``reading``.
    series
        What each reads, by its number.
    since, until
        On the 15-minute grid, the second excluded.

    Returns
    -------
    dict
        By series; one without any reading at all is left out.
    """
    extents = _extents(connection, list(series))
    scales = _scales(connection, series)
    rows = _rows(connection, list(extents), since, until)
    gaps: dict[int, list[list[int]]] = defaultdict(list)
    for series_id, first, last, advance, epoch_id in connection.execute(
        "SELECT series_id, from_ts, to_ts, advance_micro, epoch_id FROM gap"
        " WHERE series_id = ANY(%s) AND to_ts > %s AND from_ts < %s ORDER BY series_id, from_ts",
        (list(extents), since, until),
    ):
        gaps[series_id].append([microseconds(first), microseconds(last), advance, epoch_id])
    found = {}
    for series_id, (first, last) in extents.items():
        start, epoch, advance, estimated, measured, count, simulated = _own(rows.get(series_id))
        found[series_id] = SeriesIntervals(
            start, epoch, advance, estimated, measured, count, simulated,
            np.array(gaps.get(series_id, ()), dtype=np.int64).reshape(-1, 4),
            scales.get(series_id, {}), microseconds(first), microseconds(last),
        )  # fmt: skip
    return found


def _extents(
    connection: psycopg.Connection[Any], series_ids: list[int]
) -> dict[int, tuple[dt.datetime, dt.datetime]]:
    """Return the first and last instant at which each series was read."""
    # The first and last of what was dropped are kept rows, so this needs no archive.
    first, last = (
        f"(SELECT ts + late_ms * interval '1 ms' FROM {{}} WHERE series_id = w.s"
        f" AND quality & 255 = 0 ORDER BY ts {order} LIMIT 1)"
        for order in ("ASC", "DESC")
    )
    return {
        series_id: (begin, end)
        for series_id, begin, end in connection.execute(
            f"SELECT w.s, least({first.format('counted_reading')},"
            f" {first.format('counted_kept_reading')}), greatest({last.format('counted_reading')},"
            f" {last.format('counted_kept_reading')}) FROM unnest(%s::int[]) w(s)",
            (series_ids,),
        )
        if begin is not None
    }


def _rows(
    connection: psycopg.Connection[Any],
    series_ids: list[int],
    since: dt.datetime,
    until: dt.datetime,
) -> dict[int, list[NDArray[Any]]]:
    """Return the columns of the interval rows of each series in order of time, as sent."""
    columns = ", ".join(_COLUMNS)
    aggregates = ", ".join(f"array_agg({column})" for column in _COLUMNS)
    found: dict[int, list[NDArray[Any]]] = {}
    for number, *row in raw_rows(
        connection,
        f"SELECT series_id, {aggregates} FROM (SELECT series_id, {columns} FROM interval_advance"
        " WHERE series_id = ANY(%s) AND ts >= %s AND ts < %s ORDER BY series_id, ts, epoch_id)"
        " ordered GROUP BY series_id",
        (series_ids, since, until),
    ):
        assert number is not None
        values = [
            None if value is None else array_values(value, kind)
            for value, kind in zip(row, _COLUMNS.values(), strict=True)
        ]
        # All columns are declared NOT NULL.
        found[int.from_bytes(number, "big")] = [v for v in values if v is not None]
    return found


def _own(sent: list[NDArray[Any]] | None) -> list[NDArray[Any]]:
    """Return the columns of `SeriesIntervals` in the machine's own order of bytes."""
    if sent is None:
        return [np.empty(0, kind) for kind in _KINDS]
    columns: list[NDArray[Any]] = [
        column.astype(kind) for column, kind in zip(sent, _KINDS, strict=True)
    ]
    return [columns[0] + POSTGRES_EPOCH_US, *columns[1:]]
