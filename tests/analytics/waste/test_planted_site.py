"""Clean meters alarm nobody; planted faults of meters, ratios and states are found."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analytics.accounting.site_facts import load_site_facts
from analytics.engine import run_once
from analytics.waste.stored import look_for_waste
from enpilot.database import connect
from tests.analytics.conftest import WORKS
from tests.analytics.cost_works import ACCOUNT, TARIFF
from tests.analytics.waste.test_site_waste import (
    CALENDAR,
    SINCE,
    UNTIL,
    ZONE,
    import_load,
    is_workday,
    rows,
)
from tests.imported import apply_plant, import_counts


def sub(code: str, medium: str = "electricity", parent: str = "main", more: str = "") -> str:
    return f"""
[[point]]
code = "{code}"
name = {{ zh = "{code}", en = "{code}" }}
medium = "{medium}"
role = "sub"
{f'parent = "{parent}"' if parent else ""}
commissioning = "accepted"
{more}"""


class Noisy:
    """A load with noise of its own by the quarter-hour and by the day."""

    def __init__(self, seed: int, open_kw: float, closed_kw: float) -> None:
        random = np.random.default_rng(seed)
        self.quarter = random.standard_normal((400, 96)) * 0.04
        self.day = random.standard_normal(400) * 0.05
        self.open_kw, self.closed_kw = open_kw, closed_kw

    def __call__(self, at: dt.datetime) -> float:
        day = (at.date() - dt.date(2025, 1, 1)).days
        is_open = is_workday(at) and 8 <= at.hour < 18
        kw = self.open_kw if is_open else self.closed_kw
        noise = self.quarter[day, at.hour * 4 + at.minute // 15]
        return max(0.0, kw * (1 + noise) * (1 + self.day[day]))


def found(url: str) -> dict[tuple[str, str], Any]:
    with connect(url, "test", autocommit=True) as connection:
        while run_once(connection).did_anything:
            pass
        row = connection.execute("SELECT site_id FROM site").fetchone()
        assert row is not None
        facts = load_site_facts(connection, row[0])
        codes = dict(connection.execute("SELECT point_id, code FROM point").fetchall())
        looked = look_for_waste(connection, facts, SINCE, UNTIL)
    return {(p.waste.kind.value, codes[p.waste.point_id]): p for p in looked.ranked}


def test_a_clean_works_alarms_nobody(tmp_path: Path, postgres_url: str) -> None:
    apply_plant(postgres_url, tmp_path, WORKS + sub("hall") + sub("yard"))
    hall, yard = Noisy(1, 80, 8), Noisy(2, 40, 12)
    import_load(postgres_url, tmp_path, "main", lambda at: hall(at) + yard(at) + 5)
    import_load(postgres_url, tmp_path, "hall", hall)
    import_load(postgres_url, tmp_path, "yard", yard)
    assert found(postgres_url) == {}


def test_planted_faults_are_found_with_their_energy(tmp_path: Path, postgres_url: str) -> None:
    apply_plant(
        postgres_url,
        tmp_path,
        WORKS + TARIFF + ACCOUNT
        + sub("stuck") + sub("drifts") + sub("compressor") + sub("mill") + sub("silent", parent="")
        + sub("air", "compressed_air", "")
        + """
[[ratio_check]]
code = "air"
name = { zh = "气电比", en = "Air" }
numerator = "compressor"
denominator = "air"
high = "0.12"
[[machine]]
code = "mill"
name = { zh = "磨机", en = "Mill" }
point = "mill"
status = { point = "mill", off = [0], idle = [1] }
[[opening_hours]]
code = "day"
name = { zh = "白班", en = "Day" }
hours = ["08:00-18:00"]
points = ["compressor"]
""",
    )  # fmt: skip
    stood_still = (
        dt.datetime(2025, 5, 20, 8, tzinfo=ZONE),
        dt.datetime(2025, 5, 21, 8, tzinfo=ZONE),
    )
    true_kw = 2 * 40.0

    def compressor(at: dt.datetime) -> float:
        # 70 kW in open hours; on three Sundays it was left on from 00:00 to 04:00 at 30 kW.
        if is_workday(at) and 8 <= at.hour < 18:
            return 70.0
        return 30.0 if at.day in (11, 18, 25) and at.month == 5 and at.hour < 4 else 2.0

    def mill(at: dt.datetime) -> float:
        return {0: 0.0, 1: 10.0, 2: 60.0}[mill_state(at)]

    first = dt.datetime.combine(UNTIL, dt.time(), ZONE) - dt.timedelta(days=98)

    def drifting(at: dt.datetime) -> float:
        return 40.0 * (1 - 0.15 * (at - first) / dt.timedelta(days=98))

    import_load(
        postgres_url, tmp_path, "main",
        lambda at: true_kw + compressor(at) + mill(at),
    )  # fmt: skip
    import_load(postgres_url, tmp_path, "stuck",
                lambda at: 0.0 if stood_still[0] <= at < stood_still[1] else 40.0)  # fmt: skip
    import_load(postgres_url, tmp_path, "drifts", drifting)
    import_load(postgres_url, tmp_path, "compressor", compressor)
    import_load(postgres_url, tmp_path, "mill", mill)
    import_volume(
        postgres_url, tmp_path, lambda at: compressor(at) / 0.14 if compressor(at) > 60 else 0
    )
    import_states(postgres_url, tmp_path)
    import_silent(postgres_url, tmp_path)
    looked = found(postgres_url)

    stuck = looked["meter_stuck", "stuck"].waste
    assert stuck.evidence["witness"] == "main_meter"
    # Its main meter is the witness, and there the drift of a sibling is in it.
    assert stuck.amount == pytest.approx(24 * 40, rel=0.08)
    assert (stuck.since, stuck.until) == stood_still
    drift = looked["meter_drifting", "main"].waste
    assert drift.evidence["points"] == ["stuck", "drifts", "compressor", "mill"]
    assert drift.evidence["change"] > 0.02
    silent = looked["meter_silent", "silent"]
    assert (silent.waste.amount, silent.yuan.value, silent.yuan.withheld) == (
        None, None, "energy_missing",
    )  # fmt: skip
    # 19 workdays of 700 kWh and 5,000 m3; other hours of the day draw 2 kW for 14 h.
    air = looked["ratio_out_of_range", "compressor"].waste
    assert air.evidence["days"] == 19
    assert air.evidence["ratio"] == pytest.approx(728 / 5_000, rel=0.001)
    assert air.amount == pytest.approx(19 * (728 - 600), rel=0.001)
    # Three nights of four hours, 30 kW where 2 kW is usual: 336 kWh, at the valley price.
    closed = looked["closed_hours_load", "compressor"]
    assert closed.waste.subject == "day"
    assert closed.waste.amount == pytest.approx(336, abs=0.5)
    price = Decimal(str(closed.yuan.value)) / Decimal(str(closed.waste.amount))
    [(valley,)] = rows(postgres_url, "SELECT rules -> 'ratios' ->> 'valley' FROM tariff_record")
    assert float(price) == pytest.approx(float(valley) * 0.60 + 0.03)
    assert closed.yuan.source == "main"
    # Idle 2 h at 10 kW on 19 workdays, told by the status.
    idle = looked["machine_idle", "mill"].waste
    assert idle.evidence["told_by"] == "status"
    assert idle.amount == pytest.approx(19 * 2 * 10)


def mill_state(at: dt.datetime) -> int:
    if CALENDAR.of(at.date()).kind != "workday" or not 8 <= at.hour < 18:
        return 0
    return 1 if 12 <= at.hour < 14 else 2


def import_volume(url: str, folder: Path, rate: Any) -> None:
    import_load(url, folder, "air", rate, quantity="volume", unit="m3")


def import_states(url: str, folder: Path) -> None:
    at = dt.datetime.combine(SINCE, dt.time(), ZONE)
    times, states = [], []
    while at < dt.datetime.combine(UNTIL, dt.time(), ZONE):
        times.append(at)
        states.append(mill_state(at))
        at += dt.timedelta(minutes=15)
    import_counts(url, folder, times, states, point="mill", quantity="status", unit="1",
                  register_scale="1", side="primary", counter=None, modulus=None)  # fmt: skip


def import_silent(url: str, folder: Path) -> None:
    at = dt.datetime.combine(SINCE, dt.time(), ZONE)
    times = [at + dt.timedelta(minutes=15 * n) for n in range(96 * 20)]
    import_counts(url, folder, times, list(range(len(times))), point="silent", side="primary")
