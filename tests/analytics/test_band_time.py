"""Every instant of every local day belongs to exactly one band, also where clocks change."""

from __future__ import annotations

import datetime as dt
import itertools
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.accounting.holidays import HolidayCalendar
from analytics.accounting.site_calendar import midnight
from analytics.cost.band_time import band_at, band_spans
from enpilot.plant import Names
from enpilot.plant.tariffs import Tariff, regimes, with_regime
from enpilot.tariff_hours import BandHours

SHANGHAI = ZoneInfo("Asia/Shanghai")
CHINA = HolidayCalendar(chinese=True)
MINUTE = dt.timedelta(minutes=1)


def tariff(regime: str | None = None, hours: list[BandHours] | None = None) -> Tariff:
    return with_regime(
        Tariff(
            code="t", name=Names(zh="t", en="t"), regime=regime, hours=hours or [], source="test"
        )
    )


ODD = tariff(
    hours=[
        BandHours(band="valley", hours=("22:40-01:30", "02:30-08:10")),
        BandHours(band="sharp", hours=("01:30-02:30",)),
        BandHours(band="peak", hours=("08:10-22:40",)),
    ]
)
ZONES = [
    "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo",
    "America/Santiago", "Asia/Kathmandu",
]  # fmt: skip


@given(
    st.sampled_from(ZONES),
    st.dates(dt.date(2023, 1, 1), dt.date(2027, 12, 31)),
    st.sampled_from([ODD, *(tariff(code) for code in regimes())]),
    st.data(),
)
def test_spans_cover_the_day_and_agree_with_the_clock(
    zone_name: str, day: dt.date, of: Tariff, data: st.DataObject
) -> None:
    zone = ZoneInfo(zone_name)
    calendar = HolidayCalendar(chinese=zone_name == "Asia/Shanghai")
    after = day + dt.timedelta(days=1)
    spans = band_spans(of, calendar, zone, day, after)
    assert spans[0].since == midnight(day, zone)
    assert spans[-1].until == midnight(after, zone)
    for one, other in itertools.pairwise(spans):
        assert one.until == other.since
        assert one.band != other.band
    minutes = (spans[-1].until - spans[0].since) // MINUTE
    assert minutes in {1380, 1410, 1440, 1470, 1500}
    edges = [e for s in spans for e in (s.since, s.until - MINUTE)]
    drawn = spans[0].since + data.draw(st.integers(0, minutes - 1)) * MINUTE
    for at in (*edges, drawn):
        holders = [s.band for s in spans if s.since <= at < s.until]
        assert holders == [band_at(of, calendar, zone, at)]


@pytest.mark.parametrize(
    ("clock", "band"), [((8, 9), "valley"), ((8, 10), "peak"), ((8, 30), "peak")]
)
def test_the_minute_counts(clock: tuple[int, int], band: str) -> None:
    at = dt.datetime(2024, 5, 20, *clock, tzinfo=SHANGHAI)
    assert band_at(ODD, CHINA, SHANGHAI, at) == band


def test_a_festival_has_its_deep_valley_and_a_worked_sunday_does_not() -> None:
    of = tariff("zhejiang-2024")
    noon = dt.time(12)
    for day, band in (
        (dt.date(2024, 10, 5), "deep_valley"),  # a Saturday inside the arrangement
        (dt.date(2024, 9, 29), "valley"),  # a Sunday that is worked
        (dt.date(2024, 9, 16), "valley"),  # Mid-Autumn has none
    ):
        at = dt.datetime.combine(day, noon, SHANGHAI)
        assert band_at(of, CHINA, SHANGHAI, at) == band


def test_an_hour_that_the_clock_shows_twice_has_its_band_twice() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    spans = band_spans(
        ODD, HolidayCalendar(chinese=False), berlin, dt.date(2024, 10, 27), dt.date(2024, 10, 28)
    )
    # 02:00 to 02:30 comes twice; between them lies half an hour of valley.
    sharp = [(s.until - s.since) // MINUTE for s in spans if s.band == "sharp"]
    assert sharp == [60, 30]


def test_a_regime_is_written_out_once() -> None:
    of = tariff("zhejiang-2026")
    assert msgspec.json.decode(msgspec.json.encode(of), type=Tariff) == of
    assert "浙发改价格〔2026〕112号" in of.source
