"""Bands of a tariff as instants: local hours of local days, in any zone (F21, F22)."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from analytics.accounting.holidays import HolidayCalendar
from analytics.accounting.site_calendar import days_of, midnight
from enpilot.plant.tariffs import Tariff
from enpilot.tariff_hours import Band, DayBand, day_bands

__all__ = ["BandSpan", "band_at", "band_spans"]

_SECOND = dt.timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class BandSpan:
    """One band over instants [since, until)."""

    since: dt.datetime
    until: dt.datetime
    band: Band


def band_spans(
    tariff: Tariff, calendar: HolidayCalendar, zone: ZoneInfo, since: dt.date, until: dt.date
) -> list[BandSpan]:
    """Cut local days [since, until) by the bands of a tariff.

    Parameters
    ----------
    tariff
        With its regime written out.
    calendar
        Of the site.
    zone
        Of the site; a day of 23 or 25 hours is cut by its clock.
    since, until
        Local days.

    Returns
    -------
    list of BandSpan
        In order, without gap or overlap, from midnight to midnight; neighbours differ in band.

    Notes
    -----
    F21. The clock decides, to the minute: 08:30 is not priced as 08:00. An hour that the clock
    shows twice has the same band twice; one that it skips is in none.
    """
    found: list[BandSpan] = []
    for day in days_of(since, until):
        bands = _bands_of(tariff, calendar, day.first)
        for low, high in _pieces(day.first, bands, zone):
            band = _band_of(bands, low.astimezone(zone))
            if found and found[-1].band == band:
                found[-1] = BandSpan(found[-1].since, high, band)
            else:
                found.append(BandSpan(low, high, band))
    return found


def band_at(tariff: Tariff, calendar: HolidayCalendar, zone: ZoneInfo, at: dt.datetime) -> Band:
    """Return the band that an instant lies in.

    Parameters
    ----------
    tariff, calendar, zone
        As of `band_spans`.
    at
        An instant.

    Returns
    -------
    Band
        The one and only (F21).
    """
    local = at.astimezone(zone)
    return _band_of(_bands_of(tariff, calendar, local.date()), local)


def _bands_of(tariff: Tariff, calendar: HolidayCalendar, day: dt.date) -> list[DayBand]:
    found = calendar.of(day)
    classes = {found.kind.value} | ({found.festival.value} if found.festival else set())
    return day_bands(tariff.hours, tariff.special_hours, day.month, frozenset(classes))


def _band_of(bands: list[DayBand], local: dt.datetime) -> Band:
    minute = local.hour * 60 + local.minute
    return next(b.band for b in bands if b.begin <= minute < b.end)


def _pieces(
    day: dt.date, bands: list[DayBand], zone: ZoneInfo
) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """Yield spans of a local day within which neither band nor offset changes."""
    begin, end = midnight(day, zone), midnight(day + dt.timedelta(days=1), zone)
    cuts = {begin, end}
    for band in bands[1:]:
        clock = dt.time(band.begin // 60, band.begin % 60)
        for fold in (0, 1):  # the clock may show it twice
            cuts.add(dt.datetime.combine(day, clock, zone).replace(fold=fold).astimezone(dt.UTC))
    if begin.astimezone(zone).utcoffset() != end.astimezone(zone).utcoffset():
        cuts.add(_clock_change(begin, end, zone))
    ordered = sorted(c for c in cuts if begin <= c <= end)
    yield from itertools.pairwise(ordered)


def _clock_change(begin: dt.datetime, end: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """Return the first instant of the new offset, by halving."""
    before = begin.astimezone(zone).utcoffset()
    low, high = 0, (end - begin) // _SECOND
    while high - low > 1:
        middle = (low + high) // 2
        if (begin + middle * _SECOND).astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return begin + high * _SECOND
