"""The bill that the documentation computes by hand, computed by the code."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from analytics.accounting.holidays import HolidayCalendar
from analytics.cost.band_time import band_spans
from analytics.cost.bill import BandUse, Metered, Segment, compute_bill
from enpilot.plant.tariffs import Account, Tariff, with_regime

PAGES = Path(__file__).parents[2] / "docs" / "examples"
ZONE = ZoneInfo("Asia/Shanghai")
MINUTE = dt.timedelta(minutes=1)


def number(cell: str) -> Fraction:
    return Fraction(cell.replace(",", "").replace("−", "-"))


def load_of(page: str) -> list[tuple[int, int, Fraction]]:
    found = re.findall(r"^\| (\d\d):00 \| (\d\d):00 \| (\d+) \|$", page, re.MULTILINE)
    return [(int(a), int(b), Fraction(kw)) for a, b, kw in found]


def printed(page: str, year: int) -> dict[str, list[str]]:
    table = re.search(rf"^\| (?:line )?{year}.*?\n\| ---.*?\n((?:\|.*\n)+)", page, re.MULTILINE)
    assert table is not None
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in table[1].splitlines()]
    return {cells[0].split(" ")[0]: cells[1:] for cells in rows}


def use(tariff: Tariff, load: list[tuple[int, int, Fraction]]) -> dict[Any, BandUse]:
    """Add up the load of July by band, minute for minute."""
    spans = band_spans(
        tariff, HolidayCalendar(chinese=True), ZONE, dt.date(2025, 7, 1), dt.date(2025, 8, 1)
    )
    found: dict[Any, BandUse] = {}
    for span in spans:
        kwh, at = Fraction(0), span.since
        while at < span.until:
            hour = at.astimezone(ZONE).hour
            kwh += next(kw for a, b, kw in load if a <= hour < b) / 60
            at += MINUTE
        hours = Fraction((span.until - span.since) // MINUTE, 60)
        before = found.get(span.band, BandUse(Fraction(0), Fraction(0)))
        found[span.band] = BandUse(before.kwh + kwh, before.hours + hours)
    return found


@pytest.mark.parametrize("name", ["electricity-bill.md", "electricity-bill.zh.md"])
@pytest.mark.parametrize("year", [2024, 2026])
def test_the_page_s_bill_is_the_code_s(name: str, year: int) -> None:
    page = (PAGES / name).read_text("utf-8")
    said = tomllib.loads(re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[0])
    tariff = with_regime(msgspec.convert({**said["tariff"], "regime": f"zhejiang-{year}"}, Tariff))
    account = msgspec.convert(said["account"], Account)
    july = Segment(
        dt.date(2025, 7, 1), dt.date(2025, 8, 1), tariff, account, use(tariff, load_of(page))
    )
    kvarh = re.search(r"([\d,]+) (?:kvarh|千乏时)", page)
    demand = re.search(r"(?:shows|示数) (\d+)", page)
    assert kvarh is not None
    assert demand is not None
    bill = compute_bill(
        Metered([july], number(kvarh[1]), number(demand[1]), demand_is_register=True)
    )
    rows = printed(page, year)
    assert rows.pop("total")[2] == f"{bill.total_yuan:,}"
    assert set(rows) == {line.code for line in bill.lines}
    for line in bill.lines:
        quantity, price, amount = rows[line.code]
        assert line.quantity == number(quantity), line.code
        assert line.price_yuan == number(price), line.code
        assert line.amount_yuan is not None
        assert Fraction(line.amount_yuan) == number(amount), line.code


def test_what_is_said_of_the_difference_is_so() -> None:
    for name in ("electricity-bill.md", "electricity-bill.zh.md"):
        page = (PAGES / name).read_text("utf-8")
        totals = [number(printed(page, year)["total"][2]) for year in (2024, 2026)]
        assert f"{float(totals[0] - totals[1]):,.2f}" in page
