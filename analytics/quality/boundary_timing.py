"""How near readings lie to the boundaries of days and months (on-line monitoring: ±1 min, ±1 d)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg

from enpilot.wire import QualityFlag

__all__ = ["BoundaryTiming", "boundary_timing", "load_boundary_timing"]

# Nine of ten midnights decide, as nine of ten values do for completeness.
_OF_TEN: Final = 0.9
_NEAR_DAY: Final = dt.timedelta(minutes=10)
_NEAR_MONTH: Final = dt.timedelta(hours=36)


@dataclass(frozen=True, slots=True)
class BoundaryTiming:
    """How near a series' readings lie to the midnights of a month.

    Attributes
    ----------
    day_s
        Within which nine of ten midnights have a reading [s].
    month_s
        The farther one of the month's two ends from its nearest reading [s].
    clock_held_share
        Of the readings at midnights, those whose clock was not believed; 0 .. 1; None without any.
    """

    day_s: float
    month_s: float
    clock_held_share: float | None


def boundary_timing(
    days_s: Sequence[float | None], ends_s: Sequence[float | None], held: Sequence[bool]
) -> BoundaryTiming:
    """Sum up the distances of a month.

    Parameters
    ----------
    days_s
        Distance of the reading next to each midnight [s]; None where none is within 10 minutes.
    ends_s
        Of that next to the first and to the last one [s]; None where none is within 36 hours.
    held
        Of each reading found at a midnight, whether its clock was not believed.

    Returns
    -------
    BoundaryTiming
        A midnight without a reading counts as 10 minutes, an end as 36 hours: more than any limit.

    Notes
    -----
    Day boundary 00:00 within a minute, month boundary within a day: rules of on-line monitoring
    (发改环资〔2017〕1711号 and its technical rules, not verified).
    """
    days = [_NEAR_DAY.total_seconds() if d is None else d for d in days_s]
    ends = [_NEAR_MONTH.total_seconds() if d is None else d for d in ends_s]
    return BoundaryTiming(
        float(np.quantile(days, _OF_TEN, method="higher")),
        max(ends),
        sum(held) / len(held) if held else None,
    )


def load_boundary_timing(
    connection: psycopg.Connection[Any], series_ids: Sequence[int], midnights: Sequence[dt.datetime]
) -> dict[int, BoundaryTiming]:
    """Look up the readings next to each midnight of a month.

    Parameters
    ----------
    connection
        To the database.
    series_ids
        Counters.
    midnights
        All of the month's, its two ends included.

    Returns
    -------
    dict of int to BoundaryTiming
        By series. Readings whose month was archived are found among those kept around day
        boundaries (F19).
    """
    days = _distances(connection, series_ids, midnights, _NEAR_DAY)
    # Only what has no reading near an end is looked for further away: that reads days.
    far = [s for s in series_ids if {None} & {d for d, _ in (*days[s][:1], *days[s][-1:])}]
    ends = _distances(connection, far, (midnights[0], midnights[-1]), _NEAR_MONTH) if far else {}
    found = {}
    for series_id in series_ids:
        near = days[series_id]
        found[series_id] = boundary_timing(
            [d for d, _ in near],
            [d for d, _ in ends.get(series_id, (near[0], near[-1]))],
            [bool(q & QualityFlag.CLOCK_HELD) for _, q in near if q is not None],
        )
    return found


def _distances(
    connection: psycopg.Connection[Any],
    series_ids: Sequence[int],
    instants: Sequence[dt.datetime],
    near: dt.timedelta,
) -> dict[int, list[tuple[float | None, int | None]]]:
    """Return distance [s] and quality of the reading next to each instant, by series."""
    nearest = (
        "SELECT abs(extract(epoch FROM ts + late_ms * interval '1 ms' - m)) AS distance, quality"
        " FROM {} WHERE series_id = s AND ts >= m - %(near)s AND ts <= m + %(near)s"
        " AND quality & 255 = 0"
    )
    found: dict[int, list[tuple[float | None, int | None]]] = {}
    for series_id, distance, quality in connection.execute(
        "SELECT s, d.distance, d.quality FROM unnest(%(series)s::int[]) s"
        " CROSS JOIN unnest(%(instants)s::timestamptz[]) m LEFT JOIN LATERAL ("
        + nearest.format("counted_reading")
        + " UNION ALL "
        + nearest.format("counted_kept_reading")
        + " ORDER BY 1 LIMIT 1) d ON true ORDER BY s, m",
        {"series": list(series_ids), "instants": list(instants), "near": near},
    ):
        found.setdefault(series_id, []).append(
            (None if distance is None else float(distance), quality)
        )
    return found
