"""Which months of a site an import changes (F2). Closing a period will ask here."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["ChangedMonths"]

_UNIX: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_HOUR_US: Final = 3_600_000_000


class ChangedMonths:
    """Collects months of the site's calendar that hold something new or something else."""

    def __init__(self, zone: zoneinfo.ZoneInfo) -> None:
        self._zone = zone
        self._hours: set[int] = set()
        self._spans: list[tuple[dt.datetime, dt.datetime]] = []

    def add_instants(self, ts_us: NDArray[np.int64]) -> None:
        """Add the months of some instants [µs since 1970, UTC]."""
        self._hours.update(np.unique(ts_us // _HOUR_US).tolist())

    def add_spans(self, spans: Iterable[tuple[dt.datetime, dt.datetime]]) -> None:
        """Add the months that spans touch."""
        self._spans += spans

    def named(self) -> list[str]:
        """Return them in order, as "2026-03"."""
        months = {
            self._month(_UNIX + dt.timedelta(hours=hour)) for hour in self._hours
        }  # fmt: skip
        for since, until in self._spans:
            first, last = self._month(since), self._month(until - dt.timedelta(microseconds=1))
            months.update(range(first, last + 1))
        return [f"{m // 12:04d}-{m % 12 + 1:02d}" for m in sorted(months)]

    def _month(self, at: dt.datetime) -> int:
        local = at.astimezone(self._zone)
        return local.year * 12 + local.month - 1
