"""What is usual for a day: the range in which like days before it lay."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

__all__ = ["LIKE_DAYS", "USUAL_DAYS", "Usual", "usual_range"]

LIKE_DAYS = 20  # so many like days make a range
USUAL_DAYS = 98  # looked for in so many days before
_LEAST = 5  # fewer like days say nothing
_BAND = (15.0, 50.0, 85.0)  # percentiles


class Usual(msgspec.Struct, frozen=True, kw_only=True):
    """Percentiles 15, 50 and 85 of each quarter-hour over like days; NaN never, None unknown."""

    days: int
    low: list[float | None]
    middle: list[float | None]
    high: list[float | None]


def usual_range(
    days: Mapping[dt.date, Sequence[float | None]],
    day: dt.date,
    kinds: Mapping[dt.date, str],
) -> Usual | None:
    """Return the range of the last like days before ``day``, None if there are too few.

    Parameters
    ----------
    days
        Load of each day by quarter-hour, 96 long; shorter and longer days are left out.
    kinds
        What each day is (workday, saturday ...); like days are of one kind.

    Returns
    -------
    Usual or None
        From the last 20 like days that are at least half known.
    """
    like = [
        d
        for d in sorted(days, reverse=True)
        if d < day and kinds.get(d) == kinds.get(day) and len(days[d]) == 96
        and sum(v is not None for v in days[d]) >= 48
    ][:LIKE_DAYS]  # fmt: skip
    if len(like) < _LEAST:
        return None
    values = np.array([[np.nan if v is None else v for v in days[d]] for d in like])
    enough = np.sum(~np.isnan(values), axis=0) >= _LEAST
    columns = [np.nanpercentile(values[:, i], _BAND) if ok else None for i, ok in enumerate(enough)]
    low, middle, high = ([None if c is None else float(c[k]) for c in columns] for k in range(3))
    return Usual(days=len(like), low=low, middle=middle, high=high)
