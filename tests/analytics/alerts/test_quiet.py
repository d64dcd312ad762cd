"""Hours, kinds of days, shifts and shutdowns in which a rule is silent."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from analytics.accounting.holidays import HolidayCalendar
from analytics.accounting.site_calendar import Shift, SiteCalendar
from analytics.alerts.quiet import counts_at
from analytics.alerts.rules import AlertSite

ZONE = ZoneInfo("Asia/Shanghai")
SHIFTS = [
    Shift("day", dt.time(8), dt.time(20), dt.datetime(2025, 1, 1, tzinfo=ZONE)),
    Shift("night", dt.time(20), dt.time(8), dt.datetime(2025, 1, 1, tzinfo=ZONE)),
]
SITE = AlertSite(
    1,
    "works",
    "厂",
    "Works",
    SiteCalendar(ZONE, dt.time(8), 1, SHIFTS),
    HolidayCalendar(chinese=True),
)
NIGHTS = {"hours": ["22:00-06:00"]}


@pytest.mark.parametrize(
    ("schedule", "local", "counts"),
    [
        ({}, "2026-03-02T03:00", True),
        (NIGHTS, "2026-03-02T21:59", False),
        (NIGHTS, "2026-03-02T22:00", True),
        (NIGHTS, "2026-03-03T05:59", True),
        (NIGHTS, "2026-03-03T06:00", False),
        ({"hours": ["08:00-12:00", "13:00-24:00"]}, "2026-03-02T12:30", False),
        ({"hours": ["08:00-12:00", "13:00-24:00"]}, "2026-03-02T23:59", True),
        # A Saturday; its night goes on into Sunday, and that of Friday into it.
        ({"days": ["rest"]}, "2026-03-07T12:00", True),
        (NIGHTS | {"days": ["rest"]}, "2026-03-07T05:00", False),
        (NIGHTS | {"days": ["rest"]}, "2026-03-09T05:00", True),
        # Worked on a Saturday, for Spring Festival.
        ({"days": ["workday"]}, "2026-02-28T12:00", True),
        ({"days": ["holiday"]}, "2026-02-17T12:00", True),
        ({"shifts": ["night"]}, "2026-03-03T07:59", True),
        ({"shifts": ["night"]}, "2026-03-03T08:00", False),
        ({"shifts": ["day"]}, "2026-03-03T08:00", True),
    ],
)
def test_a_schedule(schedule: dict[str, Any], local: str, counts: bool) -> None:
    at = dt.datetime.fromisoformat(local).replace(tzinfo=ZONE)
    assert counts_at(SITE, schedule, at) is counts
