"""From imported registers to cost by band, demand, bills and findings in a real database."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from analytics.cost.cli import bill, demand, invoice
from analytics.cost.cost_facts import load_cost_facts
from analytics.engine import run_once
from enpilot.database import connect
from enpilot.errors import ConfigurationError
from ingest.errors import ImportRefusedError
from ingest.imports.invoice import import_invoice
from tests.analytics.cost_works import COST_WORKS
from tests.imported import apply_plant, import_counts

ZONE = dt.timezone(dt.timedelta(hours=8))
QUARTER = dt.timedelta(minutes=15)


def local(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=ZONE)  # type: ignore[arg-type,misc]  # parts of a date, and no tzinfo among them


@pytest.fixture
def works(tmp_path: Path, postgres_url: str) -> str:
    apply_plant(postgres_url, tmp_path, COST_WORKS)
    return postgres_url


def compute(url: str) -> None:
    with connect(url, "test", autocommit=True) as connection:
        while run_once(connection).did_anything:
            pass


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with connect(url, "test") as connection:
        return connection.execute(query).fetchall()


def import_load(
    url: str,
    folder: Path,
    since: dt.datetime,
    until: dt.datetime,
    *,
    step: dt.timedelta = QUARTER,
    busy: int = 100,
    idle: int = 20,
    **column: str | None,
) -> None:
    """Import a load that is ``busy`` counts a quarter from 08:00 to 18:00; a count is 0.4 kWh."""
    times, counts, at, level = [], [], since, 0
    while at <= until:
        times.append(at)
        counts.append(level)
        level += (busy if 8 <= at.hour < 18 else idle) * (step // dt.timedelta(minutes=1)) // 15
        at += step
    import_counts(url, folder, times, counts, period_s=int(step.total_seconds()), **column)


def test_a_month_by_band_its_bill_and_its_days(database_url: str, tmp_path: Path) -> None:
    works = database_url
    apply_plant(works, tmp_path, COST_WORKS)
    import_load(works, tmp_path, local(2025, 3, 1), local(2025, 4, 1, 0, 30))
    compute(works)
    # Spring: peak 8-11 and 13-17 busy; flat 17-18 busy, 18-24 idle; valley 11-13 busy, 0-8 idle.
    month = dict(
        rows(works, "SELECT band, amount FROM cost_period WHERE period_kind = 'month'"
             " AND period_from = '2025-03-01'")
    )  # fmt: skip
    assert month == {
        "peak": Decimal(31 * 28 * 40), "flat": Decimal(31 * (4 * 40 + 24 * 8)),
        "valley": Decimal(31 * (8 * 40 + 32 * 8)), "total": Decimal(31 * 2048),
    }  # fmt: skip
    ((cost, energy, basic, demand, verified, provisional, lines, coverage),) = rows(
        works,
        "SELECT cost_yuan, energy_yuan, basic_yuan, demand_kw, tariff_verified, provisional, lines,"
        " coverage FROM cost_period WHERE period_kind = 'billing' AND band = 'total'"
        " AND period_from = '2025-03-01'",
    )
    assert demand == 160  # 100 counts x 0.4 kWh x 4
    assert basic == Decimal("7680.00")
    by_hand = (
        Decimal("34372.80")  # 34,720 kWh peak at 0.6 x 1.65
        + Decimal("6547.20")  # 10,912 kWh flat at 0.6
        + Decimal("4071.17")  # 17,856 kWh valley at 0.228
        + Decimal("1904.64")  # funds on 63,488 kWh
    )
    assert energy == by_hand
    assert cost == by_hand + basic
    assert (verified, provisional, coverage) == (False, False, 1.0)
    assert [x["code"] for x in lines] == ["peak", "flat", "valley", "funds", "demand"]
    assert lines[-1]["note"] == "demand computed from readings"
    # Days add up to the month but for the basic charge, which no day has.
    ((days, energy_of_days),) = rows(
        works,
        "SELECT count(*), sum(cost_yuan) FROM cost_period WHERE period_kind = 'day'"
        " AND band = 'total' AND period_from < '2025-04-01'",
    )
    assert days == 31
    assert abs(energy_of_days - energy) < Decimal("0.05")
    ((running,),) = rows(
        works,
        "SELECT provisional FROM cost_period WHERE period_kind = 'day' AND band = 'total'"
        " AND period_from = '2025-04-01'",
    )
    assert running


def test_the_running_month_is_provisional_and_a_missing_register_withholds(
    works: str, tmp_path: Path
) -> None:
    import_load(works, tmp_path, local(2025, 3, 10), local(2025, 4, 5))
    compute(works)
    found = rows(
        works,
        "SELECT period_from, provisional, withheld_code, cost_yuan IS NULL FROM cost_period"
        " WHERE period_kind = 'billing' AND band = 'total' ORDER BY 1",
    )
    # Nothing tells of the first nine days of March.
    assert found[-2:] == [
        (dt.date(2025, 3, 1), False, "register_missing", True),
        (dt.date(2025, 4, 1), True, None, False),
    ]


def test_a_meter_a_little_behind_the_site_is_not_missing_and_one_far_behind_is(
    works: str, tmp_path: Path
) -> None:
    import_load(works, tmp_path, local(2025, 3, 10), local(2025, 3, 11, 8, 15))
    ahead = [local(2025, 3, 10) + i * QUARTER for i in range(133)]  # to 09:00
    import_counts(works, tmp_path, ahead, list(range(133)), quantity="reactive_energy",
                  unit="kvarh", channel="total")  # fmt: skip
    compute(works)
    running = (
        "SELECT withheld_code, amount FROM cost_period WHERE period_kind = 'day'"
        " AND band = 'total' AND period_from = '2025-03-11'"
    )
    # 32 idle quarters and one busy one, of 0.4 kWh a count.
    assert rows(works, running) == [(None, Decimal(32 * 8 + 40))]
    import_counts(works, tmp_path, [local(2025, 3, 11, 10)], [140], quantity="reactive_energy",
                  unit="kvarh", channel="total")  # fmt: skip
    compute(works)
    assert rows(works, running) == [("register_missing", None)]


def test_a_day_without_a_tariff_says_so(works: str, tmp_path: Path) -> None:
    gap = COST_WORKS.replace("to = 2026-07-01\n", "to = 2025-03-15\n", 1)
    apply_plant(works, tmp_path, gap)
    import_load(works, tmp_path, local(2025, 3, 14), local(2025, 3, 17))
    compute(works)
    found = rows(
        works,
        "SELECT period_from, withheld_code FROM cost_period WHERE period_kind = 'day'"
        " AND band = 'total' AND period_from BETWEEN '2025-03-14' AND '2025-03-16' ORDER BY 1",
    )
    assert found == [
        (dt.date(2025, 3, 14), None), (dt.date(2025, 3, 15), "tariff_missing"),
        (dt.date(2025, 3, 16), "tariff_missing"),
    ]  # fmt: skip


def test_an_interval_across_two_bands_is_divided_by_the_register(
    works: str, tmp_path: Path
) -> None:
    odd = COST_WORKS.replace(
        'regime = "zhejiang-2024"\n',
        'hours = [{ band = "valley", hours = ["22:00-08:10"] },'
        ' { band = "peak", hours = ["08:10-22:00"] }]\n'
        'ratios = { valley = "0.5", peak = "1.5" }\n',
    )
    apply_plant(works, tmp_path, odd)
    # Minute readings: 1 kWh in each of the ten minutes before 08:10, 10 kWh in each after.
    times = [local(2025, 3, 10, 8) + dt.timedelta(minutes=m) for m in range(-480, 961)]
    counts, level = [], 0
    for at in times:
        counts.append(level)
        level += 25 if at >= local(2025, 3, 10, 8, 10) else (25 // 10 if at.hour >= 8 else 0)
    import_counts(works, tmp_path, times, counts, period_s=60)
    compute(works)
    found = dict(
        rows(works, "SELECT band, amount FROM cost_period WHERE period_kind = 'day'"
             " AND period_from = '2025-03-10'")
    )  # fmt: skip
    # By its start the interval 08:00-08:15 would be all valley: 58 kWh of it is not.
    assert found["valley"] == pytest.approx(Decimal(20 + 120 * 25) * Decimal("0.4"))
    assert found["peak"] == pytest.approx(Decimal(830 * 25) * Decimal("0.4"))
    assert found["valley"] + found["peak"] == found["total"]


def test_demand_slides_by_minutes_and_a_gap_is_no_maximum(works: str, tmp_path: Path) -> None:
    times = [local(2025, 3, 10) + dt.timedelta(minutes=m) for m in range(24 * 60 + 1)]
    counts, level = [], 0
    for at in times:
        counts.append(level)
        # Fifteen hard minutes that begin at 10:07.
        level += 100 if local(2025, 3, 10, 10, 7) <= at < local(2025, 3, 10, 10, 22) else 10
    keep = [
        i for i, t in enumerate(times) if not local(2025, 3, 10, 15) < t < local(2025, 3, 10, 16)
    ]
    counts = [
        c + (90_000 if times[i] >= local(2025, 3, 10, 16) else 0) for i, c in enumerate(counts)
    ]
    import_counts(works, tmp_path, [times[i] for i in keep], [counts[i] for i in keep], period_s=60)
    compute(works)
    ((kw, at, least, most, share, left_out),) = rows(
        works,
        "SELECT demand_kw, at_ts, least_kw, most_kw, distribution_coverage, windows_left_out"
        " FROM demand_day WHERE day = '2025-03-10'",
    )
    assert kw == least == most == pytest.approx(100 * 0.4 * 60)
    assert at == local(2025, 3, 10, 10, 22)
    assert share == pytest.approx(23 / 24)
    # 74 windows reach into the hour; the first 14 of the day reach before the first reading.
    assert left_out == 74 + 14


def test_a_gauge_tells_demand_and_no_bill(works: str, tmp_path: Path) -> None:
    times = [local(2025, 3, 10) + dt.timedelta(minutes=m) for m in range(24 * 60 + 1)]
    power = [6000 if local(2025, 3, 10, 9) <= t <= local(2025, 3, 10, 10) else 1000 for t in times]
    import_counts(
        works, tmp_path, times, power, period_s=60, quantity="active_power", unit="kW",
        register_scale="0.1", side="primary", counter=None, modulus=None,
    )  # fmt: skip
    # Some counter must say how far the site's data reach.
    import_counts(works, tmp_path, times, list(range(len(times))), period_s=60, unit="kvarh",
                  quantity="reactive_energy")  # fmt: skip
    compute(works)
    ((kw, at, least),) = rows(
        works, "SELECT demand_kw, at_ts, least_kw FROM demand_day WHERE day = '2025-03-10'"
    )
    assert (kw, at, least) == (pytest.approx(600.0), local(2025, 3, 10, 9, 15), None)
    assert rows(
        works,
        "SELECT DISTINCT withheld_code FROM cost_period WHERE period_kind = 'billing'",
    ) == [("register_missing",)]


def test_the_meter_s_register_is_the_billed_demand_and_a_contradiction_is_found(
    works: str, tmp_path: Path
) -> None:
    import_load(works, tmp_path, local(2025, 3, 1), local(2025, 4, 2))
    times = [local(2025, 3, 1, 1) + dt.timedelta(days=d) for d in range(32)]
    # Last month's figure until the reset at 02:00, then this month's; counts of 0.1 kW.
    shown = [7000, *([1500] * 9), *([1900] * 21), 300]
    import_counts(
        works, tmp_path, times, shown, quantity="maximum_demand", unit="kW", channel="total",
        register_scale="0.1", side="primary", counter=None, modulus=None,
    )  # fmt: skip
    compute(works)
    billing = (
        "SELECT demand_kw, lines->-1->>'note' FROM cost_period WHERE period_kind = 'billing'"
        " AND band = 'total' AND period_from = '2025-03-01'"
    )
    assert rows(works, billing) == [(Decimal(190), "")]
    # The readings allow 160 kW on the quarter, and up to 320 in a window between: no finding.
    assert rows(works, "SELECT count(*) FROM finding WHERE code = 'demand_differs'") == [(0,)]
    import_counts(
        works, tmp_path, [local(2025, 3, 20, 12)], [9000], quantity="maximum_demand", unit="kW",
        channel="total", register_scale="0.1", side="primary", counter=None, modulus=None,
    )  # fmt: skip
    compute(works)
    ((evidence,),) = rows(works, "SELECT evidence FROM finding WHERE code = 'demand_differs'"
                          " AND withdrawn_version IS NULL")  # fmt: skip
    assert evidence["register_kw"] == 900.0
    assert evidence["computed_kw"] == pytest.approx(160.0)


def test_the_power_factor_adds_both_directions_in_absolute_value(
    works: str, tmp_path: Path
) -> None:
    judged = COST_WORKS.replace(
        'basic_charge = "demand"\n', 'basic_charge = "none"\npower_factor_standard = "0.90"\n'
    )
    apply_plant(works, tmp_path, judged)
    span = (local(2025, 3, 1), local(2025, 4, 1))
    import_load(works, tmp_path, *span, busy=100, idle=100)
    for channel, counts in (("import", 40), ("export", 20)):
        import_load(works, tmp_path, *span, busy=counts, idle=counts, quantity="reactive_energy",
                    unit="kvarh", channel=channel)  # fmt: skip
    compute(works)
    ((factor, percent, adjustment, energy),) = rows(
        works,
        "SELECT power_factor, (lines->-1->>'price_yuan')::numeric * 100, power_factor_yuan,"
        " energy_yuan FROM cost_period WHERE period_kind = 'billing' AND band = 'total'"
        " AND period_from = '2025-03-01'",
    )
    # 100 / sqrt(100² + 60²) = 0.857 -> 0.86, four hundredths below the standard.
    assert (factor, percent) == (Decimal("0.86"), Decimal(2))
    funds = Decimal("0.03") * 31 * 96 * 40
    assert adjustment == pytest.approx((energy - funds) * Decimal("0.02"), abs=Decimal("0.01"))


def test_other_media_cost_by_steps_and_by_dated_prices(works: str, tmp_path: Path) -> None:
    priced = COST_WORKS + (
        '[[medium_price]]\nmedium = "electricity_"\n'.replace("electricity_", "natural_gas")
        + 'unit = "m3"\nyuan = "3.50"\nsource = "made up"\n'
        'steps = [{ above = "1000", surcharge_yuan = "0.50" }]\n'
    )
    apply_plant(works, tmp_path, priced)
    with connect(works, "test") as connection, connection.transaction():
        connection.execute(
            "INSERT INTO energy_ledger (site_id, medium, kind, quantity, unit, from_ts, to_ts,"
            " document, source, synthetic, batch, author, reason, commit_no)"
            " SELECT site_id, 'natural_gas', 'purchase', 1500, 'm3', %s, %s, 'g1', 'test', true, 1,"
            " 'tester', 'test', 1 FROM site",
            (local(2025, 3, 1), local(2025, 4, 1)),
        )
        connection.execute(
            "INSERT INTO dirty_site SELECT site_id, %s, %s, 0 FROM site",
            (local(2025, 3, 1), local(2025, 4, 1)),
        )
    import_load(works, tmp_path, local(2025, 3, 30), local(2025, 4, 2))
    compute(works)
    assert rows(
        works,
        "SELECT amount, cost_yuan, unit, tariff_verified FROM cost_period"
        " WHERE medium = 'natural_gas' AND period_kind = 'month' AND period_from = '2025-03-01'",
    ) == [(Decimal(1500), Decimal(5500), "m3", False)]


INVOICE = """
number = "3302-2025-03"
site = "works"
account = "main"
from = 2025-03-01
to = 2025-04-01
multiplier = "40"
total_kwh = "63488"
demand_kw = "160"
total_yuan = "54575.81"
synthetic = { zh = "虚构", en = "made up" }
register = [{ band = "total", opening = "100.0", closing = "1687.2" }]
"""
# kind, code, quantity, price, amount
PRINTED = [
    ("energy", "peak", "34720", "0.99", "34372.80"),
    ("energy", "flat", "10912", "0.6", "6547.20"),
    ("energy", "valley", "17856", "0.228", "4071.17"),
    ("part", "funds", "63488", "0.03", "1904.64"),
    ("basic", "demand", "160", "48", "7680.00"),
]


def write_invoice(folder: Path, basic: str = "7680.00") -> Path:
    file = folder / "invoice.toml"
    lines = "".join(
        f'[[line]]\nkind = "{kind}"\ncode = "{code}"\nquantity = "{quantity}"\n'
        f'price_yuan = "{price}"\namount_yuan = "{basic if kind == "basic" else amount}"\n'
        for kind, code, quantity, price, amount in PRINTED
    )
    file.write_text(INVOICE + lines, "utf-8")
    return file


def bring(url: str, file: Path) -> tuple[int, bool]:
    with connect(url, "test", autocommit=True) as connection:
        done = import_invoice(connection, file, "tester")
    return done.version, done.changed


def test_an_invoice_that_agrees_is_silent_and_one_that_differs_is_a_finding(
    works: str, tmp_path: Path
) -> None:
    import_load(works, tmp_path, local(2025, 3, 1), local(2025, 4, 2))
    assert bring(works, write_invoice(tmp_path)) == (1, True)
    assert bring(works, write_invoice(tmp_path)) == (0, False)
    compute(works)
    held = (
        "SELECT severity, evidence FROM finding WHERE code = 'invoice_differs'"
        " AND withdrawn_version IS NULL"
    )
    assert rows(works, held) == []
    # The utility charges for 360 kW, and typed its total accordingly.
    dear = write_invoice(tmp_path, basic="17280.00")
    dear.write_text(dear.read_text("utf-8").replace("54575.81", "64175.81"), "utf-8")
    assert bring(works, dear) == (2, True)
    compute(works)
    ((severity, evidence),) = rows(works, held)
    assert severity == "fault"  # 17.6 % of the month's total
    assert evidence["largest_share"] == pytest.approx(9600 / 54575.81)
    told = {(x["kind"], x["code"], x["unit"]) for x in evidence["lines"]}
    assert told == {
        ("basic", "demand", "yuan"), ("printed basic", "demand", "yuan"),
        ("total", "amount", "yuan"),
    }  # fmt: skip
    assert bring(works, write_invoice(tmp_path)) == (3, True)
    compute(works)
    assert rows(works, held) == []
    assert rows(works, "SELECT count(*) FROM invoice") == [(3,)]


def test_an_invoice_that_does_not_add_up_or_fits_nothing_is_refused(
    works: str, tmp_path: Path
) -> None:
    with pytest.raises(ImportRefusedError, match=r"add up to 54575\.77 .* 54575\.81"):
        bring(works, _changed(tmp_path, "1904.64", "1904.60"))
    with pytest.raises(ImportRefusedError, match=r"no account 'other' at site 'works'"):
        bring(works, _changed(tmp_path, 'account = "main"', 'account = "other"'))
    with pytest.raises(ImportRefusedError, match=r"closes at 1687\.2 below 2000"):
        bring(works, _changed(tmp_path, '"100.0"', '"2000"'))
    with pytest.raises(ImportRefusedError, match=r"is the day after the last"):
        bring(works, _changed(tmp_path, "to = 2025-04-01", "to = 2025-03-01"))
    with pytest.raises(ImportRefusedError, match=r"unknown field `totals`"):
        bring(works, _changed(tmp_path, "total_kwh", "totals"))
    with pytest.raises(ImportRefusedError, match="cannot be read"):
        bring(works, tmp_path / "nowhere.toml")
    assert rows(works, "SELECT count(*) FROM invoice") == [(0,)]


def _changed(folder: Path, old: str, new: str) -> Path:
    file = write_invoice(folder)
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")
    return file


def test_applying_the_same_plant_again_changes_nothing(works: str, tmp_path: Path) -> None:
    before = rows(works, "SELECT count(*) FROM tariff_record")
    apply_plant(works, tmp_path, COST_WORKS)
    day = (
        '[[calendar_day]]\ndate = 2025-03-10\nkind = "shutdown"\n'
        'name = { zh = "检修", en = "overhaul" }\n'
    )
    apply_plant(works, tmp_path, COST_WORKS + day)
    apply_plant(works, tmp_path, COST_WORKS + day)
    assert rows(works, "SELECT count(*) FROM tariff_record") == before == [(1,)]
    assert rows(works, "SELECT count(*) FROM account_record") == [(1,)]
    with connect(works, "test") as connection:
        facts = load_cost_facts(connection, 1, ZoneInfo("Asia/Shanghai"))
    assert facts.calendar.of(dt.date(2025, 3, 10)).name_en == "overhaul"
    apply_plant(works, tmp_path, COST_WORKS)
    assert rows(works, "SELECT count(*) FROM calendar_day WHERE superseded_commit_no IS NULL") == [
        (0,)
    ]


def test_the_commands_print_bill_demand_and_comparison(
    works: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENPILOT_DATABASE_URL", works)
    import_load(works, tmp_path, local(2025, 3, 1), local(2025, 4, 1, 12))
    bring(works, write_invoice(tmp_path, basic="7680.00"))
    with pytest.raises(ConfigurationError, match="nothing is computed yet"):
        bill("main", month="2025-03")
    compute(works)
    bill("main", month="2025-03")
    said = capsys.readouterr().out
    assert "main  2025-03-01 to 2025-03-31" in said
    assert re.search(r"energy peak +34,720 +kWh +0\.99 +34,372\.80", said)
    assert re.search(r"total +63,488 +kWh +54,575\.81", said)
    assert "covered by registers 100.0%, estimated 0.0%, tariff not verified" in said
    invoice("3302-2025-03")
    said = capsys.readouterr().out
    assert re.search(r"total +amount +yuan +54,575\.81 +54,575\.81 +0\n", said)
    assert "differs" not in said
    demand("main", limit=200.0)
    said = capsys.readouterr().out
    assert "running window 12:00 to 12:15, 15 min left: 160.0 kW so far" in said
    assert "limit 200.0 kW: up to 200.0 kW from now on keep it\n" in said
    assert re.search(r"2025-03-31 +160\.0 +08:15 +160\.0", said)
    for wrong, sentence in (
        (lambda: bill("other", month="2025-03"), "no account 'other'"),
        (lambda: bill("main", month="March"), "is no month"),
        (lambda: bill("main", month="2024-01"), "does not exist in 2024-01"),
        (lambda: invoice("7"), "no invoice '7'"),
    ):
        with pytest.raises(ConfigurationError, match=sentence):
            wrong()
