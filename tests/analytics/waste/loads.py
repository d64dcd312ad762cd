"""Loads of a works that opens on workdays from 08:00 to 18:00, planted by the quarter-hour."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from analytics.accounting.holidays import DayKind, HolidayCalendar
from analytics.waste.quarter_hours import LocalQuarters, QuarterHours, local_quarters

ZONE = ZoneInfo("Asia/Shanghai")
FIRST = dt.date(2025, 5, 5)  # a Monday, after the holiday of May
OPENS, CLOSES = 32, 72


def quarters_of(days: int, since: dt.date = FIRST, *, chinese: bool = False) -> LocalQuarters:
    return local_quarters(ZONE, HolidayCalendar(chinese), since, since + dt.timedelta(days=days))


def open_hours(quarters: LocalQuarters) -> NDArray[np.bool_]:
    return (
        quarters.of_kind(DayKind.WORKDAY)
        & (quarters.quarter >= OPENS)
        & (quarters.quarter < CLOSES)
    )


def works(
    quarters: LocalQuarters,
    *,
    closed_kw: float = 20.0,
    open_kw: float = 200.0,
    noise: float = 0.0,
    day_noise: float = 0.0,
    seed: int = 0,
) -> QuarterHours:
    """Return energy by quarter-hours [kWh]; noise is relative, by quarter-hour and by day."""
    random = np.random.default_rng(seed)
    kw = np.where(open_hours(quarters), open_kw, closed_kw)
    kw = kw * (1 + noise * random.standard_normal(len(kw)))
    kw = kw * (1 + day_noise * random.standard_normal(len(quarters.days)))[quarters.day]
    return QuarterHours(np.maximum(kw, 0.0) / 4, np.ones(len(kw), dtype=np.bool_))


def planted(used: QuarterHours, first: int, after: int, more_kw: float) -> QuarterHours:
    """Add a load from one quarter-hour to another."""
    amount = used.amount.copy()
    amount[first:after] += more_kw / 4
    return QuarterHours(amount, used.known)
