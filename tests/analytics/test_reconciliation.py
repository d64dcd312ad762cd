"""Metered, invoiced and declared: side by side, each over its own span, never merged."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.accounting.reconciliation import Pair, Totals, differences
from analytics.enpis.totals_cli import totals_lines
from enpilot.database import connect
from ingest.errors import ImportRefusedError
from ingest.imports.declared import import_declared
from ingest.imports.energy import import_energy
from ingest.imports.invoice import import_invoice
from ingest.imports.result import ImportResult
from ingest.imports.retract import retract
from tests.analytics.conftest import WORKS
from tests.analytics.cost_works import COST_WORKS
from tests.analytics.test_engine import compute, local, quarters, rows, steady
from tests.imported import apply_plant, import_counts, import_production
from tests.imported_tables import mapping_file, run_import, text_file

DAY = dt.timedelta(days=1)
DAY_KWH = 3840
OFFICIAL = WORKS.replace('target_class = "internal"', 'target_class = "official"')
INVOICE = """
number = "{number}"
site = "works"
account = "main"
from = {since}
to = {until}
multiplier = "40"
total_kwh = "{kwh}"
line_loss_kwh = "100"
total_yuan = "10"
register = [{{ band = "total", opening = "0", closing = "1" }}]
[[line]]
kind = "other"
code = "all"
amount_yuan = "10"
"""


def months(works: str, folder: Path, year: int, count: int, per_quarter: int, start: int) -> int:
    """Import whole months of a steady load, ten tonnes a day; return the last count."""
    times = quarters(local(year, 1, 1), local(year, count + 1, 1))
    counts = steady(times, per_quarter, start)
    import_counts(works, folder, times, counts)
    days = (local(year, count + 1, 1) - local(year, 1, 1)).days
    spans = [
        (local(year, 1, 1) + i * DAY, local(year, 1, 1) + (i + 1) * DAY, "10") for i in range(days)
    ]
    import_production(works, folder, spans)
    return counts[-1]


@pytest.fixture
def two_months(tmp_path: Path, postgres_url: str) -> str:
    apply_plant(postgres_url, tmp_path, COST_WORKS)
    months(postgres_url, tmp_path, 2026, 2, 100, 0)
    compute(postgres_url)
    return postgres_url


def declare(url: str, folder: Path, lines: str, more: str = "", **options: Any) -> ImportResult:
    table = text_file(folder, "medium,quantity,unit,from,to,document\n" + lines)
    done = run_import(url, import_declared, table, mapping_file(folder, more), **options)
    compute(url)
    return done


def reconciled(url: str, medium: str = "electricity") -> list[tuple[Any, ...]]:
    return rows(
        url,
        "SELECT period_from, period_to, metered, invoiced, declared, most"
        f" FROM reconciliation_period WHERE medium = '{medium}' ORDER BY 1, 2",
    )


def open_findings(url: str) -> list[tuple[Any, ...]]:
    return rows(
        url,
        "SELECT subject, evidence->>'pair', evidence->>'owner', (evidence->>'share')::float8"
        " FROM finding WHERE code = 'totals_differ' AND withdrawn_version IS NULL"
        " ORDER BY at_ts, subject",
    )


def test_a_declared_month_stands_beside_the_meters(two_months: str, tmp_path: Path) -> None:
    january, february = 31 * DAY_KWH, 28 * DAY_KWH
    declare(
        two_months, tmp_path,
        f"electricity,{january * 0.9:.1f},kWh,2026-01-01,2026-02-01,205-1\n"
        f"electricity,{february * 1.04:.1f},kWh,2026-02-01,2026-03-01,205-1\n",
    )  # fmt: skip
    assert reconciled(two_months) == [
        (dt.date(2026, 1, 1), dt.date(2026, 2, 1), pytest.approx(january), None,
         pytest.approx(january * 0.9), "metered_declared"),
        (dt.date(2026, 2, 1), dt.date(2026, 3, 1), pytest.approx(february), None,
         pytest.approx(february * 1.04), "metered_declared"),
    ]  # fmt: skip
    # 4 % is printed, 10 % has an owner.
    assert open_findings(two_months) == [
        ("electricity", "metered_declared", "tester", pytest.approx(-0.1))
    ]


def test_a_declaration_handed_in_again_ends_the_finding(two_months: str, tmp_path: Path) -> None:
    line = "electricity,{},万千瓦时,2026-01,205-1\n"
    form = (
        '[time]\nformat = "%Y-%m"\nspan = "month"\n[units."万千瓦时"]\nunit = "kWh"\n'
        'times = "10000"\n'
    )
    table = "medium,quantity,unit,from,document\n"
    run_import(
        two_months, import_declared, text_file(tmp_path, table + line.format("10")),
        mapping_file(tmp_path, form),
    )  # fmt: skip
    compute(two_months)
    assert len(open_findings(two_months)) == 1
    again = run_import(
        two_months, import_declared, text_file(tmp_path, table + line.format("11.904")),
        mapping_file(tmp_path, form), supersede=True,
    )  # fmt: skip
    compute(two_months)
    assert open_findings(two_months) == []
    assert rows(two_months, "SELECT version FROM declared_total WHERE quantity = 119040") == [(2,)]
    with connect(two_months, "test", autocommit=True) as connection:
        retract(connection, again.stream, "tester", "wrong month")
    compute(two_months)
    assert [r[4] for r in reconciled(two_months)] == [100_000, None]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("electricity,7,t,2026-01-01,2026-02-01,d", "is compared in"),
        ("electricity,-7,kWh,2026-01-01,2026-02-01,d", "not a number of 0 or more"),
        ("electricity,7,kWh,2026-01-01T06:00,2026-02-01,d", "whole days"),
        ("electricity,7,kWh,2026-01-01,2026-02-01,", "name the declaration"),
        ("power,7,kWh,2026-01-01,2026-02-01,d", "is none of"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    two_months: str, tmp_path: Path, line: str, sentence: str
) -> None:
    with pytest.raises(ImportRefusedError, match=sentence):
        declare(two_months, tmp_path, line + "\n")
    assert rows(two_months, "SELECT count(*) FROM declared_total") == [(0,)]


def test_fuel_is_held_against_what_was_bought(two_months: str, tmp_path: Path) -> None:
    header = "medium,kind,quantity,unit,from,to,document\n"
    run_import(
        two_months, import_energy,
        text_file(
            tmp_path,
            header + "diesel,purchase,3,t,2026-01-02,2026-01-03,a\n"
            "diesel,purchase,4,t,2026-01-20,2026-01-21,b\n"
            "raw_coal,opening,1,t,2026-01-01,2026-01-02,c\n"
            "raw_coal,purchase,9,t,2026-01-10,2026-01-11,d\n"
            "raw_coal,closing,8,t,2026-01-30,2026-02-01,e\n",
        ),
        mapping_file(tmp_path, ""),
    )  # fmt: skip
    declare(
        two_months, tmp_path,
        "diesel,6,t,2026-01-01,2026-02-01,205-1\nraw_coal,2,t,2026-01-01,2026-02-01,205-1\n",
    )  # fmt: skip
    diesel, coal = reconciled(two_months, "diesel"), reconciled(two_months, "raw_coal")
    assert diesel[0][2:] == (None, 7, 6, "invoiced_declared")
    # What went onto the heap was not burnt: nothing to compare.
    assert coal[0][2:] == (None, 9, 2, None)
    assert open_findings(two_months) == [
        ("diesel", "invoiced_declared", "tester", pytest.approx(-1 / 7))
    ]


def test_an_invoice_is_held_against_its_own_span(two_months: str, tmp_path: Path) -> None:
    def bring(number: str, since: str, until: str, kwh: float) -> None:
        file = tmp_path / f"{number}.toml"
        file.write_text(INVOICE.format(number=number, since=since, until=until, kwh=kwh), "utf-8")
        with connect(two_months, "test", autocommit=True) as connection:
            import_invoice(connection, file, "clerk")
        compute(two_months)

    bring("a", "2026-01-11", "2026-02-11", 31 * DAY_KWH + 100)
    month, own, _ = reconciled(two_months)
    # Nobody knows how much of it was January's.
    assert month[:4] == (dt.date(2026, 1, 1), dt.date(2026, 2, 1), 31 * DAY_KWH, None)
    assert own[:4] == (
        dt.date(2026, 1, 11), dt.date(2026, 2, 11), pytest.approx(31 * DAY_KWH), 31 * DAY_KWH
    )  # fmt: skip
    assert open_findings(two_months) == []
    bring("b", "2026-02-01", "2026-03-01", 30 * DAY_KWH + 100)
    assert reconciled(two_months)[-1][3] == 30 * DAY_KWH
    assert open_findings(two_months) == [
        ("electricity", "metered_invoiced", "clerk", pytest.approx(1 / 14))
    ]
    # Another account is billed too: the sum is not known, and which one is missing is said.
    second = COST_WORKS + COST_WORKS[COST_WORKS.index("[[account]]") :].replace(
        'code = "main"', 'code = "annex"'
    )
    apply_plant(two_months, tmp_path, second)
    compute(two_months)
    assert reconciled(two_months)[-1][3] is None
    assert rows(
        two_months,
        "SELECT invoices_missing FROM reconciliation_period WHERE period_from = '2026-02-01'",
    ) == [(["annex"],)]
    assert open_findings(two_months) == []


def test_an_official_verdict_by_declared_totals(tmp_path: Path, postgres_url: str) -> None:
    apply_plant(postgres_url, tmp_path, OFFICIAL)
    level = months(postgres_url, tmp_path, 2025, 3, 100, 0)
    months(postgres_url, tmp_path, 2026, 3, 100, level)
    compute(postgres_url)
    query = (
        "SELECT period_kind, period_to, energy, intensity, base_intensity, target_intensity, status"
        " FROM declared_enpi_period ORDER BY period_kind, period_to"
    )
    assert rows(postgres_url, query) == []
    lines = [
        f"electricity,{kwh},kWh,{year}-0{m}-01,{year}-0{m + 1}-01,205-1\n"
        for year, kwh in ((2025, 100_000), (2026, 90_000))
        for m in (1, 2, 3)
    ]
    # Without February of 2026 there is no year to date after January.
    declare(postgres_url, tmp_path, "".join(x for x in lines if "2026-02-01,2026" not in x))
    found = {(r[0], r[1]): r[2:] for r in rows(postgres_url, query)}
    assert ("year_to_date", dt.date(2026, 4, 1)) not in found
    march = found["month", dt.date(2026, 4, 1)]
    base = 100_000 * 0.1229 / 310
    assert march == (
        pytest.approx(90_000 * 0.1229), pytest.approx(0.9 * base), pytest.approx(base),
        pytest.approx(0.96 * base), "on_track",
    )  # fmt: skip
    assert found["month", dt.date(2025, 4, 1)][-1] == "base"
    assert found["month", dt.date(2026, 2, 1)][-1] == "joint"
    # The meters saw no change, and the internal verdict stays theirs.
    metered = rows(
        postgres_url,
        "SELECT status FROM enpi_period WHERE period_kind = 'month' AND period_to = '2026-04-01'",
    )
    assert metered == [("behind",)]
    declare(postgres_url, tmp_path, "".join(x for x in lines if "2026-02-01,2026" in x))
    found = {(r[0], r[1]): r[2:] for r in rows(postgres_url, query)}
    assert found["year_to_date", dt.date(2026, 4, 1)][0] == pytest.approx(270_000 * 0.1229)
    with connect(postgres_url, "test", autocommit=True) as connection:
        printed = totals_lines(connection, "works", "2026-03")
    assert "-24.4%" in printed[1]  # 90,000 declared, 119,040 metered
    assert printed[-1].split()[-2:] == ["on_track", "behind"]


SIDES = st.none() | st.integers(0, 1000).map(Fraction)


@given(metered=SIDES, bought=SIDES, invoiced=SIDES, declared=SIDES, stocked=st.booleans())
def test_only_like_is_compared_with_like(
    metered: Fraction | None,
    bought: Fraction | None,
    invoiced: Fraction | None,
    declared: Fraction | None,
    stocked: bool,
) -> None:
    found = differences(Totals(metered, bought, invoiced, declared, stocked))
    sides: dict[Pair, Sequence[Fraction | None]] = {
        "metered_declared": (metered, declared),
        "metered_invoiced": (bought, invoiced),
        "invoiced_declared": (invoiced, declared),
    }
    assert all(None not in sides[pair] for pair in (*found.shares, *found.beyond))
    if stocked:
        assert set(found.shares) <= {"metered_declared"}
    for pair, share in found.shares.items():
        one, other = sides[pair]
        assert one is not None
        assert other == one * (1 + share)
        assert abs(share) <= 0.05 or pair in found.beyond
    assert not found.beyond or found.most in found.beyond
