"""What stays in the database when a month is dropped: registers around day boundaries (F19)."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import psycopg
from numpy.typing import NDArray

from enpilot.archive.manifest import Span
from enpilot.archive.rows import Rows, microseconds

__all__ = ["base_years", "day_boundaries_us", "kept_rows"]

# Summaries and what they rest on outlive a target by so much, for whoever audits its verdict.
_YEARS_AFTER_TARGET: Final = 5


def base_years(connection: psycopg.Connection[Any]) -> list[Span]:
    """Return the base periods that a verdict may still rest on; their readings are not dropped.

    A target keeps its base until five years after its end, also one that was superseded.
    """
    return [
        (
            dt.datetime.combine(since, dt.time(), ZoneInfo(zone)),
            dt.datetime.combine(until, dt.time(), ZoneInfo(zone)),
        )
        for since, until, zone in connection.execute(
            "SELECT DISTINCT t.base_from, t.base_to, r.timezone FROM target t"
            " JOIN enpi USING (enpi_id) JOIN site_record r USING (site_id)"
            " WHERE r.superseded_commit_no IS NULL"
            " AND t.end_to + make_interval(years => %s) > now()",
            (_YEARS_AFTER_TARGET,),
        )
    ]


def day_boundaries_us(
    connection: psycopg.Connection[Any], site_id: int, span: Span
) -> NDArray[np.int64]:
    """Return where a site's days meet in and next to a span [µs since 1970].

    Civil days and production days, in every time zone that a record of the site names.
    """
    found: set[int] = set()
    day = span[0].date() - dt.timedelta(days=2)
    days = []
    while day <= span[1].date() + dt.timedelta(days=2):
        days.append(day)
        day += dt.timedelta(days=1)
    for zone, start in connection.execute(
        "SELECT DISTINCT timezone, production_day_start FROM site_record WHERE site_id = %s",
        (site_id,),
    ):
        for clock in {dt.time(), start}:
            found.update(
                microseconds(dt.datetime.combine(day, clock, ZoneInfo(zone))) for day in days
            )
    return np.array(sorted(found), np.int64)


def kept_rows(
    rows: Rows, boundaries_us: NDArray[np.int64], retracted: list[tuple[int, int]]
) -> Rows:
    """Return the good rows of one series next to each boundary, and its first and last.

    Parameters
    ----------
    rows
        One series over the span and some days around it, shape (n,).
    boundaries_us
        Ascending [µs since 1970], shape (b,).
    retracted
        First and last batch number of each retraction; such rows count for nothing.

    Returns
    -------
    ndarray, shape (k,)
        At each boundary the last before it and the first at or after it, by the instant of
        reading (``ts + late_ms``).
    """
    good = rows["quality"].astype(np.int32) & 255 == 0
    for low, high in retracted:
        good &= (rows["batch"] < low) | (rows["batch"] > high)
    rows = rows[good]
    if not len(rows):
        return rows
    read_us = rows["ts_us"] + rows["late_ms"].astype(np.int64) * 1000
    order = np.argsort(read_us, kind="stable")
    after = np.searchsorted(read_us[order], boundaries_us, "left")
    wanted = np.concatenate((after - 1, after, [0, len(rows) - 1]))
    wanted = np.unique(wanted[(wanted >= 0) & (wanted < len(rows))])
    return rows[np.sort(order[wanted])]
