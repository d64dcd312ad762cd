"""Telemetry against what a person read: the register must pass through it (F23).

A person reads at a time that is sure to some minutes, off a display with so many digits. The
register lies on the line between its neighbouring readings; over the minutes in doubt it has a
lowest and a highest level. The two agree if what was read lies between them, give or take the
display's last digit.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import psycopg

from enpilot.wire import QualityFlag

__all__ = ["Anchor", "compare_anchor", "earlier_level", "has_telemetry_around"]

# Telemetry nearer than this to either side makes a manual reading an anchor.
_AROUND: Final = dt.timedelta(hours=24)
_FROM_PEOPLE: Final = int(QualityFlag.MANUAL)
_GOOD: Final = (
    "series_id = %(s)s AND quality & 255 = 0 AND (quality & %(manual)s) = 0"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Anchor:
    """How a manual reading compares; levels in register counts.

    ``low`` and ``high`` bound what the register was within the minutes in doubt; None where
    telemetry lies on one side only.
    """

    read: Fraction
    low: Fraction | None
    high: Fraction | None
    tolerance: Fraction
    before: tuple[dt.datetime, Fraction] | None
    after: tuple[dt.datetime, Fraction] | None

    @property
    def checked(self) -> bool:
        """Whether there was telemetry on both sides."""
        return self.low is not None

    @property
    def agrees(self) -> bool:
        """Whether the register passes through what was read."""
        if self.low is None or self.high is None:
            return True
        return self.low - self.tolerance <= self.read <= self.high + self.tolerance

    def evidence(self) -> dict[str, Any]:
        """Return what a finding keeps."""
        return {
            "read_counts": float(self.read),
            "low_counts": None if self.low is None else float(self.low),
            "high_counts": None if self.high is None else float(self.high),
            "tolerance_counts": float(self.tolerance),
            "before": _shown(self.before),
            "after": _shown(self.after),
        }


def has_telemetry_around(
    connection: psycopg.Connection[Any], series_id: int, at: dt.datetime
) -> bool:
    """Say whether a reading that no person wrote lies within a day of an instant."""
    row = connection.execute(
        f"SELECT EXISTS (SELECT FROM counted_reading WHERE {_GOOD} AND ts BETWEEN %(a)s AND %(b)s)",
        {"s": series_id, "manual": _FROM_PEOPLE, "a": at - _AROUND, "b": at + _AROUND},
    ).fetchone()
    return bool(row and row[0])


def compare_anchor(
    connection: psycopg.Connection[Any],
    series_id: int,
    at: dt.datetime,
    plus_minus: dt.timedelta,
    read: Fraction,
    resolution: Fraction,
) -> Anchor:
    """Compare what was read with the register interpolated over the minutes in doubt.

    Parameters
    ----------
    at, plus_minus
        When it was read, and how sure that is.
    read, resolution
        What stood there, and the display's last digit [register counts].
    """
    levels = _levels_around(connection, series_id, at - plus_minus, at + plus_minus)
    before = next((p for p in reversed(levels) if p[0] <= at), None)
    after = next((p for p in levels if p[0] >= at), None)
    first, last = _at(levels, at - plus_minus), _at(levels, at + plus_minus)
    if first is None or last is None:
        return Anchor(read, None, None, resolution, before, after)
    inside = [first, last] + [
        level for ts, level in levels if at - plus_minus <= ts <= at + plus_minus
    ]
    # A register that shows whole counts stands up to one above what it shows.
    return Anchor(read, min(inside), max(inside) + 1, resolution, before, after)


def earlier_level(
    connection: psycopg.Connection[Any], series_id: int, at: dt.datetime
) -> Fraction | None:
    """Return the register before an instant, None if none is known or the device has changed."""
    row = connection.execute(
        "SELECT r.raw_int, r.raw_real FROM counted_reading r WHERE r.series_id = %(s)s"
        " AND r.quality & 255 = 0 AND r.ts < %(at)s AND r.ts >= coalesce("
        "  (SELECT max(i.valid_from) FROM installation i JOIN series s USING (point_id)"
        "   WHERE s.series_id = %(s)s AND i.superseded_commit_no IS NULL"
        "   AND i.valid_from <= %(at)s), '-infinity')"
        " ORDER BY r.ts DESC, r.batch LIMIT 1",
        {"s": series_id, "at": at},
    ).fetchone()
    return None if row is None else _level(*row)


def _levels_around(
    connection: psycopg.Connection[Any], series_id: int, since: dt.datetime, until: dt.datetime
) -> list[tuple[dt.datetime, Fraction]]:
    rows = connection.execute(
        f"(SELECT ts, raw_int, raw_real FROM counted_reading WHERE {_GOOD} AND ts <= %(a)s"
        "  AND ts >= %(a)s - %(far)s ORDER BY ts DESC LIMIT 1)"
        f" UNION (SELECT ts, raw_int, raw_real FROM counted_reading WHERE {_GOOD}"
        "  AND ts > %(a)s AND ts < %(b)s)"
        f" UNION (SELECT ts, raw_int, raw_real FROM counted_reading WHERE {_GOOD}"
        "  AND ts >= %(b)s AND ts <= %(b)s + %(far)s ORDER BY ts LIMIT 1) ORDER BY 1",
        {"s": series_id, "manual": _FROM_PEOPLE, "a": since, "b": until, "far": _AROUND},
    ).fetchall()
    return [(ts, _level(whole, real)) for ts, whole, real in rows]


def _at(levels: list[tuple[dt.datetime, Fraction]], at: dt.datetime) -> Fraction | None:
    """Return the level on the line between the neighbours of an instant."""
    before = next((p for p in reversed(levels) if p[0] <= at), None)
    after = next((p for p in levels if p[0] >= at), None)
    if before is None or after is None:
        return None
    if before[0] == after[0]:
        return before[1]
    step = dt.timedelta(microseconds=1)
    share = Fraction((at - before[0]) // step, (after[0] - before[0]) // step)
    return before[1] + (after[1] - before[1]) * share


def _level(whole: int | None, real: float | None) -> Fraction:
    return Fraction(Decimal(repr(real))) if whole is None else Fraction(whole)


def _shown(point: tuple[dt.datetime, Fraction] | None) -> dict[str, Any] | None:
    return None if point is None else {"at": point[0].isoformat(), "counts": float(point[1])}
