"""What a table's series look like: extent, extremes, rates against limits, falls and gaps."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from enpilot.quantities import QUANTITIES, unit_ratio
from ingest.imports.findings import Findings
from ingest.imports.mapping import ReadingColumn
from ingest.imports.reading_table import SeriesPart, series_name
from ingest.rows import KIND_INT, KIND_NULL

__all__ = ["SeriesCheck", "SeriesSummary", "shown_time"]

_UNIX: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_HOUR_US: Final = 3_600_000_000
# As in the accounting: beyond so many periods neighbouring lines leave a gap.
_GAP_PERIODS: Final = 2.5
# A margin above the rated limit, as the accounting gives it.
_RATED_MARGIN: Final = 1.2
# More than any one point of a works delivers [own unit of the quantity per hour].
_MOST_PER_H: Final = {
    "active_energy": 2e6, "reactive_energy": 2e6, "apparent_energy": 2e6, "heat": 1e4,
    "mass": 1e4, "volume": 1e6, "pieces": 1e7, "operating_time": 1.01,
}  # fmt: skip
# A history and a file whose mean rates differ by this factor hardly share a unit.
_UNLIKE: Final = 300.0


@dataclass(frozen=True, slots=True)
class SeriesSummary:
    """What the findings table says of one series; numbers in ``unit``.

    ``largest_per_h`` is the fastest rise of a counter, None for a gauge.
    """

    name: str
    unit: str
    values: int
    first: dt.datetime | None
    last: dt.datetime | None
    least: float | None
    most: float | None
    largest_per_h: float | None
    rated_per_h: float | None


class SeriesCheck:
    """Follows one series through a table, part by part."""

    def __init__(
        self,
        column: ReadingColumn,
        zone: zoneinfo.ZoneInfo,
        period_us: int,
        scale: float,
        known_per_h: float | None,
        findings: Findings,
    ) -> None:
        self._column = column
        self._zone = zone
        self._period_us = period_us
        self._scale = scale
        self._known_per_h = known_per_h
        self._findings = findings
        self._name = series_name(column)
        self._values = 0
        self._first_us: int | None = None
        self._last_us: int | None = None
        self._least: float | None = None
        self._most: float | None = None
        self._largest_per_h: float | None = None
        self._risen = 0.0
        self._rising_us = 0
        self._tail: SeriesPart | None = None

    def feed(self, part: SeriesPart) -> None:
        """Look at the next lines of the series."""
        self._values += len(part)
        good = part.take(part.kind != KIND_NULL)
        if not len(good):
            return
        first, last = int(good.ts_us[0]), int(good.end_us[-1])
        self._first_us = first if self._first_us is None else min(self._first_us, first)
        self._last_us = last if self._last_us is None else max(self._last_us, last)
        numbers = _numbers(good) * self._scale
        least, most = float(numbers.min()), float(numbers.max())
        self._least = least if self._least is None else min(self._least, least)
        self._most = most if self._most is None else max(self._most, most)
        if self._column.kind == "consumption":
            self._amounts(good, numbers)
        self._steps(good)

    def summary(self) -> SeriesSummary:
        """Return the figures, and judge the unit by the whole file."""
        self._judge_unit()
        return SeriesSummary(
            self._name, self._column.unit, self._values, _instant(self._first_us),
            _instant(self._last_us), self._least, self._most, self._largest_per_h,
            self._column.rated_max_per_h,
        )  # fmt: skip

    def _amounts(self, part: SeriesPart, amounts: NDArray[np.float64]) -> None:
        hours = (part.end_us - part.ts_us) / _HOUR_US
        self._rates(part, amounts / hours, part.end_us)
        self._risen += float(amounts.sum())
        self._rising_us += int((part.end_us - part.ts_us).sum())

    def _steps(self, part: SeriesPart) -> None:
        before = self._tail
        self._tail = part.take(np.array([-1]))
        if before is not None and before.ts_us[0] < part.ts_us[0]:
            ts = np.append(before.ts_us, part.ts_us)
            end = np.append(before.end_us, part.end_us)
            numbers = np.append(_numbers(before), _numbers(part))
            lines = np.append(before.lines, part.lines)
        else:
            ts, end, numbers, lines = part.ts_us, part.end_us, _numbers(part), part.lines
        if len(ts) < 2:
            return
        self._gaps(ts, end, lines)
        if self._column.kind == "consumption" or self._column.counter is None:
            return
        step_us, rise = np.diff(ts), np.diff(numbers) * self._scale
        fell = np.flatnonzero(rise < 0)
        if self._column.counter == "lifetime" and len(fell):
            i = int(fell[0])
            self._findings.add(
                "fell", self._name,
                f"line {lines[i + 1]}: from {numbers[i]:.15g} to {numbers[i + 1]:.15g} counts",
                len(fell),
            )  # fmt: skip
        per_h = np.where(rise >= 0, rise, 0.0) / (step_us / _HOUR_US)
        self._risen += float(rise[rise > 0].sum())
        self._rising_us += int(step_us.sum())
        stepped = SeriesPart(
            part.series, lines[1:], ts[1:], end[1:], np.zeros(len(per_h), np.int8),
            np.zeros(len(per_h), np.int64), per_h, np.zeros(len(per_h), np.int16),
        )  # fmt: skip
        self._rates(stepped, per_h, ts[1:])

    def _rates(
        self, part: SeriesPart, per_h: NDArray[np.float64], at_us: NDArray[np.int64]
    ) -> None:
        largest = float(per_h.max())
        if self._largest_per_h is None or largest > self._largest_per_h:
            self._largest_per_h = largest
        rated = self._column.rated_max_per_h
        if rated is None:
            return
        above = np.flatnonzero(per_h > rated * _RATED_MARGIN)
        if len(above):
            i = int(above[0])
            self._findings.add(
                "above_rated", self._name,
                f"line {part.lines[i]}, {shown_time(int(at_us[i]), self._zone)}: "
                f"{per_h[i]:,.6g} {self._column.unit}/h, rated {rated:,.6g}",
                len(above),
            )  # fmt: skip

    def _gaps(
        self, ts: NDArray[np.int64], end: NDArray[np.int64], lines: NDArray[np.int64]
    ) -> None:
        if self._column.kind == "consumption":
            apart = np.flatnonzero(ts[1:] > end[:-1])
            since = end
        else:
            apart = np.flatnonzero(np.diff(ts) > self._period_us * _GAP_PERIODS)
            since = ts
        if len(apart):
            i = int(apart[0])
            self._findings.add(
                "gap", self._name,
                f"before line {lines[i + 1]}: {shown_time(int(since[i]), self._zone)} to "
                f"{shown_time(int(ts[i + 1]), self._zone)}",
                len(apart),
            )  # fmt: skip

    def _judge_unit(self) -> None:
        if self._rising_us <= 0 or not QUANTITIES[self._column.quantity].cumulative:
            return
        per_h = self._risen / (self._rising_us / _HOUR_US)
        own = float(unit_ratio(self._column.quantity, self._column.unit))
        most = _MOST_PER_H.get(self._column.quantity)
        unit = self._column.unit
        if most is not None and per_h * own > most:
            self._findings.add("implausible_unit", self._name, f"{per_h:,.6g} {unit}/h on average")
        known = self._known_per_h
        if known and per_h and not 1 / _UNLIKE < per_h * own / known < _UNLIKE:
            self._findings.add(
                "implausible_unit", self._name,
                f"{per_h:,.6g} {unit}/h on average, {known / own:,.6g} {unit}/h so far",
            )  # fmt: skip


def shown_time(us: int, zone: zoneinfo.ZoneInfo) -> str:
    """Return an instant as the site's wall clock shows it."""
    return (_UNIX + dt.timedelta(microseconds=us)).astimezone(zone).isoformat(" ", "seconds")


def _numbers(part: SeriesPart) -> NDArray[np.float64]:
    return np.where(part.kind == KIND_INT, part.whole.astype(np.float64), part.real)


def _instant(us: int | None) -> dt.datetime | None:
    return None if us is None else _UNIX + dt.timedelta(microseconds=us)
