"""Variables out of meters, thermometers and entries; a baseline by day over points together."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from analytics.accounting.site_calendar import Period
from analytics.baselines.declared import load_baselines
from analytics.baselines.values import VariableReader
from analytics.engine import run_once
from enpilot.database import connect
from tests.analytics.conftest import WORKS
from tests.imported import apply_plant, import_counts, import_production

ZONE = ZoneInfo("Asia/Shanghai")
START = dt.datetime(2026, 3, 1, tzinfo=ZONE)
HOUR = dt.timedelta(hours=1)
DAYS = 30
RNG = np.random.default_rng(12)
TEMPERATURE = RNG.integers(-20, 240, DAYS) / 10  # °C, the same all day
# Counts of 0.4 kWh an hour: more where it is colder than 18 °C.
NOISE = RNG.normal(0, 4, DAYS)
HOURLY = np.round(100 + 6 * np.maximum(0.0, 18 - TEMPERATURE) + NOISE).astype(int).tolist()
PLANT = (
    WORKS
    + """
[[device]]
code = "m2"
line = "l1"
unit = 2
profile = "acrel-adl400"
[[point]]
code = "press"
name = {zh = "压机", en = "Press"}
medium = "electricity"
role = "sub"
commissioning = "accepted"
[[installation]]
point = "press"
device = "m2"
ct_ratio = "40"
[[point]]
code = "air"
name = {zh = "室外", en = "Outside"}
medium = "heat"
role = "check"
[[product]]
code = "bar"
name = {zh = "棒材", en = "Bars"}
unit = "t"
[[variable]]
code = "mean"
name = {zh = "气温", en = "Temperature"}
unit = "degC"
source = "mean"
point = "air"
quantity = "temperature"
[[variable]]
code = "hdd"
name = {zh = "采暖度日", en = "Heating degree days"}
unit = "K.d"
source = "heating_degree_days"
base_temperature = "18"
point = "air"
[[variable]]
code = "cdd"
name = {zh = "制冷度日", en = "Cooling degree days"}
unit = "K.d"
source = "cooling_degree_days"
base_temperature = "10"
temperature = "mean"
[[variable]]
code = "press"
name = {zh = "压机电量", en = "Press"}
unit = "kWh"
source = "amount"
point = "press"
quantity = "active_energy"
[[variable]]
code = "share"
name = {zh = "型钢占比", en = "Share of sections"}
unit = "1"
source = "output_share"
product = "section"
of_products = ["section", "bar"]
[[variable]]
code = "days"
name = {zh = "日历天", en = "Calendar days"}
unit = "d"
source = "calendar_days"
[[baseline]]
code = "everything"
name = {zh = "全部", en = "All"}
points = ["main", "press"]
quantity = "active_energy"
period = "day"
training_from = 2026-03-01
training_to = 2026-03-21
variables = ["hdd"]
[[baseline]]
code = "values"
name = {zh = "取值", en = "Values"}
enpi = "per-tonne"
period = "day"
training_from = 2026-03-01
training_to = 2026-03-21
variables = ["mean", "hdd", "cdd", "press", "share", "days"]
choose = true
"""
)


@pytest.fixture
def works(tmp_path: Path, database_url: str) -> str:
    apply_plant(database_url, tmp_path, PLANT)
    times = [START + i * HOUR for i in range(24 * DAYS + 1)]
    counts = np.concatenate([[0], np.cumsum(np.repeat(HOURLY, 24))]).tolist()
    import_counts(database_url, tmp_path, times, counts, period_s=3600)
    import_counts(
        database_url, tmp_path, times, [10 * i for i in range(len(times))], period_s=3600,
        point="press",
    )  # fmt: skip
    import_counts(
        database_url, tmp_path, times[:-1],
        np.repeat(np.round(TEMPERATURE * 10), 24).astype(int).tolist(), period_s=3600,
        point="air", quantity="temperature", unit="degC", raw_type="int32", register_scale="0.1",
        side=None, counter=None, modulus=None,
    )  # fmt: skip
    day = dt.timedelta(days=1)
    for product, made in (("section", "3"), ("bar", "1")):
        spans = [(START + i * day, START + (i + 1) * day, made) for i in range(5)]
        import_production(database_url, tmp_path, spans, product=product)
    with connect(database_url, "test", autocommit=True) as connection:
        while run_once(connection).did_anything:
            pass
    return database_url


def test_variables_are_what_was_measured(works: str) -> None:
    with connect(works, "test", autocommit=True) as connection:
        declared = {b.code: b for b in load_baselines(connection, 1)}["values"]
        reader = VariableReader(connection, ZONE)
        first = dt.date(2026, 3, 3)
        known, synthetic = reader.values(
            declared.variables, Period(first, first + dt.timedelta(days=1), "day")
        )
        late, _ = reader.values(
            declared.variables, Period(dt.date(2026, 3, 20), dt.date(2026, 3, 21), "day")
        )
        future, _ = reader.values(
            declared.variables, Period(dt.date(2026, 5, 1), dt.date(2026, 5, 2), "day")
        )
    t = float(TEMPERATURE[2])
    # Within an hour's reading of the day before: a level holds until the next one.
    assert known == {
        "mean": pytest.approx(t),
        "hdd": pytest.approx(max(0.0, 18 - t)),
        "cdd": pytest.approx(max(0.0, t - 10)),
        "press": pytest.approx(24 * 10 * 0.4),
        "share": 0.75,
        "days": 1.0,
    }
    assert synthetic is False
    assert late["share"] is None  # nothing was booked
    assert late["mean"] is not None
    assert future == {**dict.fromkeys(known), "days": 1.0}


def test_a_baseline_by_day_over_points_together(works: str) -> None:
    with connect(works, "test") as connection:
        usability, unit, s = connection.execute(
            "SELECT usability, energy_unit, s FROM baseline_model JOIN baseline b"
            " USING (baseline_id) WHERE b.code = 'everything'"
        ).fetchone() or ("", "", 0)
        rows = connection.execute(
            "SELECT actual, difference, expected, shift FROM baseline_period JOIN baseline b"
            " USING (baseline_id) WHERE b.code = 'everything' ORDER BY period_from"
        ).fetchall()
    assert (usability, unit) == ("usable", "kWh")
    # The thermometer's last reading is an hour before the last midnight: that day is known too.
    assert len(rows) == DAYS
    assert [r[0] for r in rows] == pytest.approx([24 * 0.4 * (c + 10) for c in HOURLY])
    assert all(abs(r[1]) < 4 * s for r in rows)
    assert not any(r[3] for r in rows)
