"""The real steel year from readings through import and kernel to demand, power factor and bills."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from analytics.cost.power_factor import adjustment_percent, power_factor
from analytics.engine import run_once
from edge_agent.simulator.steel_load import real_year
from enpilot.database import connect
from tests.analytics.conftest import WORKS
from tests.imported import apply_plant, import_files

YEAR = 2018
TARIFF = """
[[tariff]]
code = "industry"
name = { zh = "大工业（价格虚构）", en = "Large industry (prices made up)" }
regime = "zhejiang-large-industry-2017"
to = 2021-10-15
band_prices = { sharp = "1.10", peak = "0.90", valley = "0.45" }
demand_yuan_per_kw = "40"
source = "made up for tests"
[[account]]
code = "main"
name = { zh = "主", en = "Main" }
tariff = "industry"
points = ["main"]
basic_charge = "demand"
capacity_kva = "1000"
power_factor_standard = "0.90"
"""
PLANT = WORKS.replace("from = 2024-01-01", f"from = {YEAR}-01-01") + TARIFF
MAPPING = """
site = "works"
source = "UCI Steel Industry Energy Consumption, V E, Shin, Cho; CC BY 4.0"
period_s = 900
[time]
stamp = "end"
""" + "".join(
    f'[[series]]\ncolumn = "{column}"\npoint = "main"\nquantity = "{quantity}"\n'
    f'channel = "{channel}"\nunit = "{unit}"\nkind = "consumption"\ndecimals = 2\n'
    for column, quantity, channel, unit in (
        ("kwh", "active_energy", "total", "kWh"),
        ("lagging", "reactive_energy", "lagging", "kvarh"),
        ("leading", "reactive_energy", "leading", "kvarh"),
    )
)


def write_year(folder: Path, *, midnight: str) -> tuple[Path, Path]:
    """Write the year as the source has it: each quarter hour named by its end."""
    real = real_year()
    rows = zip(real.centi_kwh, real.lagging_centi_kvarh, real.leading_centi_kvarh, strict=True)
    lines = ["ts,kwh,lagging,leading"]
    for place, cells in enumerate(rows):
        day = dt.date(YEAR, 1, 1) + dt.timedelta(days=place // 96)
        hour, minute = divmod((place % 96 + 1) * 15, 60)
        clock = midnight if hour == 24 else f"{hour:02}:{minute:02}"
        lines.append(f"{day} {clock}," + ",".join(f"{c / 100:.2f}" for c in cells))
    table, mapping = folder / "steel.csv", folder / "steel.toml"
    table.write_text("\n".join(lines) + "\n", "utf-8")
    mapping.write_text(MAPPING, "utf-8")
    return table, mapping


@pytest.fixture
def works(tmp_path: Path, postgres_url: str) -> str:
    apply_plant(postgres_url, tmp_path, PLANT)
    return postgres_url


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with connect(url, "test") as connection:
        return connection.execute(query).fetchall()


def test_each_day_s_last_row_as_the_source_labels_it_is_told(works: str, tmp_path: Path) -> None:
    """0:00 of the same date would move 365 quarter hours by a day: each such line is found."""
    told = import_files(works, *write_year(tmp_path, midnight="00:00")).findings
    assert [f.count for f in told if f.code == "disorder"] == [365] * 3  # of each column


def test_the_year_s_total_peak_power_factor_and_bills(works: str, tmp_path: Path) -> None:
    import_files(works, *write_year(tmp_path, midnight="24:00"))
    with connect(works, "test", autocommit=True) as connection:
        while run_once(connection).did_anything:
            pass
    ((days, total),) = rows(
        works,
        "SELECT count(*), sum(amount) FROM energy_period WHERE period_kind = 'day'"
        " AND quantity = 'active_energy'",
    )
    assert days == 365
    assert total == pytest.approx(959_637, abs=1)
    ((peak, left_out),) = rows(works, "SELECT max(least_kw), sum(windows_left_out) FROM demand_day")
    # The registers prove the highest quarter hour; a window between two may have had more.
    assert peak == pytest.approx(628.7, abs=0.05)
    assert left_out == 14  # before the first reading of the year
    year = {
        (quantity, channel): Fraction(amount)
        for quantity, channel, amount in rows(
            works,
            "SELECT quantity, channel, sum(amount)::numeric(20, 2) FROM energy_period"
            " WHERE period_kind = 'month' GROUP BY 1, 2",
        )
    }
    active = year["active_energy", "total"]
    lagging, leading = (year["reactive_energy", c] for c in ("lagging", "leading"))
    # The figure that is quoted of the year, 0.903, leaves the leading kvarh out. The rule adds them
    # in absolute value.
    assert _factor(active, lagging) == pytest.approx(0.903, abs=0.0005)
    assert _factor(active, lagging + leading) == pytest.approx(0.851, abs=0.0005)
    bills = rows(
        works,
        "SELECT extract(month FROM period_from)::int, amount, power_factor, power_factor_yuan,"
        " energy_yuan, basic_yuan, cost_yuan, withheld_code FROM cost_period"
        " WHERE period_kind = 'billing' AND band = 'total' ORDER BY 1",
    )
    assert [b[0] for b in bills] == list(range(1, 13))
    assert sum(Fraction(b[1]) for b in bills) == active
    for month, _, factor, adjustment, energy, basic, cost, withheld in bills:
        assert withheld is None
        by_hand = month_factor(month)
        assert Fraction(factor) == by_hand
        expected = (energy + basic) * Decimal(float(adjustment_percent(by_hand, "0.90"))) / 100
        assert adjustment == pytest.approx(expected, abs=Decimal("0.01"))
        assert cost == energy + basic + adjustment


def _factor(kwh: Fraction, kvarh: Fraction) -> float:
    return float(kwh) / float(kwh**2 + kvarh**2) ** 0.5


def month_factor(month: int) -> Fraction:
    """Return the power factor of a month, straight from the source's rows."""
    real = real_year()
    first = (dt.date(YEAR, month, 1) - dt.date(YEAR, 1, 1)).days * 96
    after = ((dt.date(YEAR, month, 28) + dt.timedelta(days=4)).replace(day=1)
             - dt.date(YEAR, 1, 1)).days * 96  # fmt: skip
    months = slice(first, after)
    kvarh = sum(real.lagging_centi_kvarh[months]) + sum(real.leading_centi_kvarh[months])
    found = power_factor(Fraction(sum(real.centi_kwh[months])), Fraction(kvarh))
    assert found is not None
    return found
