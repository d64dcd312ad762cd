"""Local times to UTC: the nights when clocks change, ends of intervals, dates only, 24:00."""

from __future__ import annotations

import datetime as dt
import itertools
import zoneinfo
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import ImportRefusedError
from ingest.imports.instants import (
    ClockChanges,
    ambiguous,
    civil_spans,
    midnights_after,
    nonexistent,
    read_serials,
    read_texts,
    to_utc,
)
from ingest.imports.readings import import_readings
from tests.imported import apply_plant
from tests.imported_tables import (
    AMOUNT,
    REGISTER,
    UTC,
    found,
    mapping_file,
    rows,
    run_import,
    stored,
    text_file,
)
from tests.ingest.gateway import PLANT

US = dt.timedelta(microseconds=1)


def clock(*parts: int) -> dt.datetime:
    """What a wall clock shows."""
    return dt.datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001  # parts of a date; wall-clock time without zone is what is tested


UNIX = clock(1970, 1, 1)


@pytest.fixture
def works(tmp_path: Path, postgres_url: str) -> str:
    apply_plant(postgres_url, tmp_path, PLANT.replace("2026-01-01", "1985-01-01"))
    return postgres_url


def mapping(tmp_path: Path, time: str, series: str = REGISTER) -> Path:
    return mapping_file(tmp_path, f'[time]\n{time}\n[[series]]\ncolumn = "kwh"\n{series}')


def table(tmp_path: Path, *stamps: str) -> Path:
    lines = [f"{stamp},{100 + i}" for i, stamp in enumerate(stamps)]
    return text_file(tmp_path, "\n".join(["ts,kwh", *lines]) + "\n")


# The clock went back at 03:00 summer time on 26 October 2025 in Berlin; in China at 02:00 summer
# time (then UTC+9) on 14 September 1986, as long as it had one.
BERLIN = ("Europe/Berlin", "2025-10-26", ["01:45", "02:00", "02:30", "02:00", "02:30", "03:00"])
SHANGHAI = ("Asia/Shanghai", "1986-09-14", ["00:45", "01:00", "01:30", "01:00", "01:30", "02:00"])


@pytest.mark.parametrize(("zone", "day", "times"), [BERLIN, SHANGHAI])
def test_an_hour_that_came_twice_is_placed_by_order(
    works: str, tmp_path: Path, zone: str, day: str, times: list[str]
) -> None:
    file = table(tmp_path, *(f"{day} {c}" for c in times))
    by_order = f'zone = "{zone}"\nambiguous = "by_order"'
    # A chunk a line: the order holds across chunks.
    result = run_import(works, import_readings, file, mapping(tmp_path, by_order), chunk_values=1)
    instants = [ts for ts, _ in stored(works)]
    steps = [(b - a) // dt.timedelta(minutes=1) for a, b in itertools.pairwise(instants)]
    assert steps == [15, 30, 30, 30, 30]
    assert found(result)["clock_change"] == 4


@pytest.mark.parametrize(("zone", "day", "times"), [BERLIN, SHANGHAI])
def test_an_hour_that_came_twice_is_refused_unless_a_rule_is_declared(
    works: str, tmp_path: Path, zone: str, day: str, times: list[str]
) -> None:
    file = table(tmp_path, *(f"{day} {c}" for c in times))
    with pytest.raises(ImportRefusedError, match=r"line 3.*came twice") as refused:
        run_import(works, import_readings, file, mapping(tmp_path, f'zone = "{zone}"'))
    assert len(refused.value.errors) == 4
    # Declared "first", the second coming contradicts it, and says how to tell them apart.
    first = mapping(tmp_path, f'zone = "{zone}"\nambiguous = "first"')
    with pytest.raises(ImportRefusedError, match=r"line 5.*line 3.*by_order"):
        run_import(works, import_readings, file, first)


@pytest.mark.parametrize(
    ("rule", "hour"), [("first", 0), ("second", 1)]
)  # fmt: skip
def test_first_and_second_are_an_hour_apart(
    works: str, tmp_path: Path, rule: str, hour: int
) -> None:
    time = f'zone = "Europe/Berlin"\nambiguous = "{rule}"'
    run_import(works, import_readings, table(tmp_path, "2025-10-26 02:30"), mapping(tmp_path, time))
    assert stored(works)[0][0] == dt.datetime(2025, 10, 26, hour, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "stamp"),
    [("Europe/Berlin", "2026-03-29 02:30"), ("Asia/Shanghai", "1986-05-04 02:30"),
     ("Asia/Shanghai", "1991-04-14 02:00")],
)  # fmt: skip
def test_a_time_that_never_was_is_refused_with_its_line(
    works: str, tmp_path: Path, zone: str, stamp: str
) -> None:
    file = table(tmp_path, "2020-01-01 00:00", stamp)
    with pytest.raises(ImportRefusedError, match=r"line 3, column 'ts'.*never was"):
        run_import(works, import_readings, file, mapping(tmp_path, f'zone = "{zone}"'))


def test_an_offset_in_the_cell_needs_no_rule(works: str, tmp_path: Path) -> None:
    file = table(tmp_path, "2025-10-26T02:30+02:00", "2025-10-26T02:30+0100", "2025-10-26 02:00Z")
    run_import(works, import_readings, file, mapping(tmp_path, 'zone = "Europe/Berlin"'))
    assert [ts.hour for ts, _ in stored(works)] == [0, 1, 2]


def test_the_end_of_an_interval_is_moved_to_its_start(works: str, tmp_path: Path) -> None:
    file = table(tmp_path, "2026-03-01 00:15", "2026-03-01 24:00")
    gauge = '\npoint = "main"\nquantity = "active_power"\nunit = "kW"\nraw_type = "float64"\n'
    run_import(works, import_readings, file, mapping(tmp_path, 'stamp = "end"', gauge))
    assert [ts for ts, _ in stored(works)] == [
        dt.datetime(2026, 2, 28, 16, tzinfo=UTC), dt.datetime(2026, 3, 1, 15, 45, tzinfo=UTC),
    ]  # fmt: skip


@pytest.mark.parametrize(("stamp", "first"), [("start", "2026-03-28"), ("end", "2026-03-29")])
def test_civil_days_have_the_hours_they_have(
    works: str, tmp_path: Path, stamp: str, first: str
) -> None:
    day = dt.date.fromisoformat(first)
    file = table(tmp_path, *(str(day + dt.timedelta(days=i)) for i in range(3)))
    text = f'period = "day"\n[time]\nzone = "Europe/Berlin"\nstamp = "{stamp}"\n'
    said = mapping_file(tmp_path, text + f'[[series]]\ncolumn = "kwh"\n{AMOUNT}')
    run_import(works, import_readings, file, said)
    instants = [ts for ts, _ in stored(works)]
    hours = [(b - a) // dt.timedelta(hours=1) for a, b in itertools.pairwise(instants)]
    assert instants[0] == dt.datetime(2026, 3, 27, 23, tzinfo=UTC)
    assert hours == [24, 23, 24]
    # What a day holds is not known by the hour: no schedule, all of it a gap.
    assert rows(works, "SELECT DISTINCT period_s FROM series_epoch") == [(None,)]


def test_chinese_dates_unpadded_and_two_digit_impossible_ones(works: str, tmp_path: Path) -> None:
    form = 'format = "%Y年%m月%d日 %H时%M分"'
    file = table(tmp_path, "2026年3月1日 0时15分", "2026年2月29日 0时0分")
    with pytest.raises(ImportRefusedError, match=r"line 3.*2026年2月29日"):
        run_import(works, import_readings, file, mapping(tmp_path, form))


@settings(deadline=None)
@given(
    st.sampled_from(["Europe/Berlin", "Asia/Shanghai", "Australia/Lord_Howe", "America/Sao_Paulo"]),
    st.lists(st.datetimes(clock(1980, 1, 1), clock(2030, 12, 31)), min_size=1, max_size=50),
)
def test_wall_clock_times_are_placed_as_the_zone_says(name: str, times: list[dt.datetime]) -> None:
    zone = zoneinfo.ZoneInfo(name)
    local = np.array([(t - UNIX) // US for t in times], np.int64)
    changes = ClockChanges.of(zone, local)
    skipped, twice = nonexistent(changes, local), ambiguous(changes, local)
    for fold in (0, 1):
        utc = to_utc(changes, local, np.full(len(local), bool(fold)))
        for i, t in enumerate(times):
            placed = t.replace(tzinfo=zone, fold=fold)
            back = placed.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
            other = t.replace(tzinfo=zone, fold=1 - fold)
            assert skipped[i] == (back != t)
            if not skipped[i]:
                assert twice[i] == (placed.utcoffset() != other.utcoffset())
                expected = placed.astimezone(UTC).replace(tzinfo=None)
                assert int(utc[i]) == (expected - UNIX) // US


@settings(deadline=None)
@given(st.datetimes(clock(1900, 1, 1), clock(2100, 1, 1)))
def test_what_python_writes_is_read_back(instant: dt.datetime) -> None:
    forms = {
        "iso": instant.isoformat(),
        "%Y/%m/%d %H:%M:%S.%f": instant.strftime("%Y/%m/%d %H:%M:%S.%f"),
        "%d.%m.%Y %H:%M": instant.strftime("%d.%m.%Y %H:%M"),
    }
    for form, text in forms.items():
        expected = instant.replace(second=0, microsecond=0) if form.endswith("%M") else instant
        read = read_texts(pa.array([text, None, "no time"]), form)
        assert read.is_read.tolist() == [True, False, False]
        assert UNIX + int(read.us[0]) * US == expected


def test_excel_serials_are_seconds() -> None:
    read = read_serials(np.array([46082.0, 46082.0104166667, 46082 + 1 / 96, 0.5, np.nan]))
    assert read.is_read.tolist() == [True, True, True, False, False]
    instants = [UNIX + int(us) * US for us in read.us[:3]]
    assert instants == [clock(2026, 3, 1), *[clock(2026, 3, 1, 0, 15)] * 2]


def test_civil_spans_of_months_across_a_clock_change() -> None:
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    middle = np.array([(clock(2026, 3, 15, 12) - UNIX) // US], np.int64)
    since, until = civil_spans(middle, zone, "month")
    assert (until - since)[0] == (31 * 24 - 1) * 3_600_000_000
    assert midnights_after(until, zone, "month", back=True)[0] == since[0]
