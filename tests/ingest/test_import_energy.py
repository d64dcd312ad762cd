"""The energy ledger with stock: words and units of the file, checks of the whole, versions."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from enpilot.database import connect
from ingest.errors import ImportRefusedError
from ingest.imports.energy import import_energy
from ingest.imports.output import import_output
from ingest.imports.result import ImportResult
from ingest.imports.retract import retract
from tests.analytics.conftest import WORKS
from tests.imported import apply_plant
from tests.imported_tables import (
    SHANGHAI,
    found,
    mapping_file,
    rows,
    run_import,
    text_file,
    workbook,
)

HEADER = "medium,kind,quantity,unit,from,to,document\n"


@pytest.fixture
def works(tmp_path: Path, database_url: str) -> str:
    apply_plant(database_url, tmp_path, WORKS)
    return database_url


@pytest.fixture
def plain_works(tmp_path: Path, postgres_url: str) -> str:
    """On one kind of server, for what never asks it anything of its own."""
    apply_plant(postgres_url, tmp_path, WORKS)
    return postgres_url


def bring(url: str, folder: Path, lines: str, **options: Any) -> ImportResult:
    file = text_file(folder, HEADER + lines)
    return run_import(url, import_energy, file, mapping_file(folder, ""), **options)


def open_findings(url: str) -> list[str]:
    return [
        r[0]
        for r in rows(url, "SELECT code FROM finding WHERE withdrawn_version IS NULL ORDER BY code")
    ]


WORDS = """
calorific_unit = "kcal/kg"
[file]
sheet = "煤"
[time]
format = "%Y年%m月"
span = "month"
[columns]
from = "月份"
kind = "类别"
quantity = "数量"
unit = "单位"
calorific_value = "低位热值"
moisture_percent = "全水分%"
document = "单据"
[constants]
medium = "raw_coal"
[words.kind]
"期初库存" = "opening"
"购入" = "purchase"
"期末库存" = "closing"
[units]
"万吨" = { unit = "t", times = "10000" }
"吨" = { unit = "t" }
"""


def test_a_stock_book_in_excel_with_the_words_of_the_plant(works: str, tmp_path: Path) -> None:
    file = workbook(
        tmp_path,
        [["2026年煤炭台账"], ["月份", "类别", "数量", "单位", "低位热值", "全水分%", "单据"],
         ["2026年1月", "期初库存", 120, "吨", None, None, "盘点1"],
         ["2026年1月", "购入", 0.05, "万吨", 5500, 8.5, "发票7"],
         ["2026年1月", "期末库存", "100", "吨", None, None, "盘点2"]],
        sheet="煤",
    )  # fmt: skip
    result = run_import(works, import_energy, file, mapping_file(tmp_path, WORDS))
    assert (result.rows_written, found(result), result.months) == (3, {}, ["2026-01"])
    entries = rows(
        works,
        "SELECT kind, quantity, unit, calorific_value_kj_per_kg, moisture_share, from_ts, to_ts"
        " FROM energy_ledger ORDER BY entry_id",
    )
    span = (dt.datetime(2026, 1, 1, tzinfo=SHANGHAI), dt.datetime(2026, 2, 1, tzinfo=SHANGHAI))
    assert entries == [
        ("opening", 120, "t", None, None, *span),
        ("purchase", 500, "t", Decimal("23027.4"), Decimal("0.085"), *span),
        ("closing", 100, "t", None, None, *span),
    ]


ODD = """\
raw_coal,opening,100,t,2026-01-01,2026-02-01,stock
raw_coal,purchase,50,t,2026-01-01,2026-02-01,invoice 1
raw_coal,closing,160,t,2026-01-01,2026-02-01,stock
raw_coal,opening,150,t,2026-02-01,2026-03-01,stock
raw_coal,closing,140,t,2026-02-01,2026-03-01,stock
raw_coal,purchase,10,t,2026-03-01,2026-04-01,invoice 2
raw_coal,purchase,10,t,2026-03-15,2026-04-01,invoice 2
diesel,purchase,10,kWh,2026-01-01,2026-02-01,invoice 3
"""


def test_what_is_odd_about_a_ledger_becomes_findings_and_goes_when_it_is_mended(
    works: str, tmp_path: Path
) -> None:
    rehearsal = bring(works, tmp_path, ODD, dry_run=True)
    expected = {
        "stock_mismatch": 1, "consumption_negative": 1, "stock_missing": 1, "document_overlap": 1,
        "unit_not_of_medium": 1,
    }  # fmt: skip
    assert found(rehearsal) == expected
    assert rows(works, "SELECT count(*) FROM energy_ledger") == [(0,)]
    result = bring(works, tmp_path, ODD)
    assert found(result) == expected
    assert open_findings(works) == sorted(expected)
    mended = (
        ODD.replace("closing,160", "closing,120").replace("opening,150", "opening,120")
        .replace("10,kWh", "10,t").replace("closing,140", "closing,110")
    )  # fmt: skip
    again = bring(works, tmp_path, mended, supersede=True)
    assert found(again) == {"superseded": 4, "stock_missing": 1, "document_overlap": 1}
    assert open_findings(works) == ["document_overlap", "stock_missing"]
    with connect(works, "test", autocommit=True) as connection:
        assert retract(connection, again.stream, "auditor", "wrong") == 4
    assert open_findings(works) == sorted(expected)
    with connect(works, "test", autocommit=True) as connection:
        retract(connection, result.stream, "auditor", "wrong")
    assert open_findings(works) == []
    assert rows(works, "SELECT count(*) FROM energy_ledger WHERE superseded_commit_no IS NULL") == [
        (0,)
    ]


def test_mistakes_of_a_ledger_are_all_said_with_line_and_column(
    plain_works: str, tmp_path: Path
) -> None:
    with pytest.raises(ImportRefusedError) as refused:
        bring(
            plain_works, tmp_path,
            "charcoal,purchase,5,t,2026-01-01,2026-02-01,a\n"
            "raw_coal,bought,-5,t,2026-01-01,2026-02-01,b\n"
            "raw_coal,purchase,x,t,2026-02-01,2026-01-01,c\n",
        )  # fmt: skip
    starts = [s.partition(":")[0] for s in refused.value.errors]
    assert sorted(starts) == [
        "line 2, column 'medium'", "line 3, column 'kind'", "line 3, column 'quantity'",
        "line 4, column 'quantity'", "line 4, column 'to'",
    ]  # fmt: skip
    assert "[words.kind]" in str(refused.value)


def test_two_lines_of_one_entry_must_agree(plain_works: str, tmp_path: Path) -> None:
    line = "raw_coal,purchase,5,t,2026-01-01,2026-02-01,a\n"
    assert found(bring(plain_works, tmp_path, line + line)) == {"duplicate": 1}
    with pytest.raises(ImportRefusedError, match="line 3: says something else than line 2"):
        bring(plain_works, tmp_path, line + line.replace("5", "6"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[columns]\nquantiti = "x"\n', r"\$\.columns"),
        ('[columns]\nkind = "x"\n[constants]\nkind = "closing"\n', r"\$\.constants\.kind"),
        ('[units]\n"吨" = { unit = "ton" }\n', r"\$\.units\.吨\.unit"),
        ('[columns]\nquantity = "数量"\n', "no column '数量'"),
        ('[time]\nspan = "day"\nlast_day_included = true\n', r"\$\.time\.last_day_included"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(
    plain_works: str, tmp_path: Path, text: str, said: str
) -> None:
    file = text_file(tmp_path, HEADER)
    with pytest.raises(ImportRefusedError, match=said):
        run_import(plain_works, import_energy, file, mapping_file(tmp_path, text))


def test_production_by_the_day_with_the_last_day_named(plain_works: str, tmp_path: Path) -> None:
    text = "品种,数量,起,止\n型钢,10.5,2026-03-01,2026-03-01\n型钢,21,2026-03-02,2026-03-03\n"
    mapping = mapping_file(
        tmp_path,
        '[time]\nlast_day_included = true\n[columns]\nproduct = "品种"\nquantity = "数量"\n'
        'from = "起"\nto = "止"\n[constants]\nstage = "qualified"\ndisposition = "good"\n'
        '[words.product]\n"型钢" = "section"\n',
    )
    file = text_file(tmp_path, text)
    rehearsal = run_import(plain_works, import_output, file, mapping, dry_run=True)
    assert (rehearsal.rows_written, rehearsal.months) == (2, ["2026-03"])
    assert rows(plain_works, "SELECT count(*) FROM output") == [(0,)]
    run_import(plain_works, import_output, file, mapping)
    days = rows(plain_works, "SELECT quantity, (to_ts - from_ts) = %s FROM output ORDER BY from_ts",
                dt.timedelta(days=1))  # fmt: skip
    assert days == [(Decimal("10.5"), True), (21, False)]
