"""Files as they come in plants: encodings, separators, Excel, Parquet, long and wide tables."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import ImportRefusedError
from ingest.imports.cells import READ, WRONG, from_objects, real_numbers, whole_numbers
from ingest.imports.mapping import FileForm
from ingest.imports.readings import import_readings
from tests.imported import apply_plant
from tests.imported_tables import (
    REGISTER,
    SHANGHAI,
    found,
    mapping_file,
    rows,
    run_import,
    stored,
    text_file,
    workbook,
)
from tests.ingest.gateway import PLANT

START = dt.datetime(2026, 3, 1, tzinfo=SHANGHAI)
QUARTER = dt.timedelta(minutes=15)
NAIVE = START.replace(tzinfo=None)  # as Excel keeps a date
WIDE = f'[time]\ncolumn = "时间"\n[[series]]\ncolumn = "总有功"{REGISTER}'
EXPECTED = [(START, 10), (START + QUARTER, 2_000)]


@pytest.fixture
def works(tmp_path: Path, postgres_url: str) -> str:
    apply_plant(postgres_url, tmp_path, PLANT)
    return postgres_url


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_encodings_and_separators(
    works: str, tmp_path: Path, encoding: str, separator: str
) -> None:
    lines = (("时间", "总有功"), ("2026-03-01 00:00", "10"), ("2026-03-01 00:15", "2000"))
    file = text_file(tmp_path, "\r\n".join(separator.join(c) for c in lines), encoding)
    declared = "utf-8" if encoding == "utf-8-sig" else encoding
    form = f'[file]\nencoding = "{declared}"\nseparator = {json.dumps(separator)}\n'
    run_import(works, import_readings, file, mapping_file(tmp_path, form + WIDE))
    assert stored(works) == EXPECTED


def test_decimal_comma_thousands_and_quotes(works: str, tmp_path: Path) -> None:
    text = '时间;总有功\n2026-03-01 00:00;"0,10"\n2026-03-01 00:15;"1.234.567,8"\n'
    form = '[file]\nseparator = ";"\ndecimal = ","\nthousands = "."\n'
    mapping = mapping_file(tmp_path, form + WIDE + "decimals = 2\n")
    run_import(works, import_readings, text_file(tmp_path, text), mapping)
    assert [v for _, v in stored(works)] == [10, 123_456_780]


def test_an_undecodable_byte_names_its_line_and_the_remedy(works: str, tmp_path: Path) -> None:
    file = text_file(tmp_path, "时间,总有功\n2026-03-01 00:00,1\n", "gb18030")
    with pytest.raises(ImportRefusedError, match=r'line 1: byte [0-9]+ .*encoding = "gb18030"'):
        run_import(works, import_readings, file, mapping_file(tmp_path, WIDE))


@pytest.mark.parametrize(
    "cells",
    [
        # Excel dates and numbers, text for both, and a mixture.
        [(NAIVE, 10), (NAIVE + QUARTER, 2000)],
        [("2026-03-01 00:00", "10"), ("2026-03-01 00:15", "2,000")],
        [("2026-03-01 00:00", 10.0), (NAIVE + QUARTER, "2,000")],
    ],
)
def test_excel_below_merged_titles(
    works: str, tmp_path: Path, cells: list[tuple[object, object]]
) -> None:
    file = workbook(
        tmp_path,
        [["一号工厂能耗月报", None, None], [None, "单位:0.01 kWh", None],
         ["时间", "备注", "总有功"], *[(t, "正常", v) for t, v in cells],
         ["合计", None, 2010]],
        sheet="能耗", merged=["A1:C1"], other_sheets=["说明"],
    )  # fmt: skip
    form = '[file]\nsheet = "能耗"\nthousands = ","\nfooter = "合计"\n'
    run_import(works, import_readings, file, mapping_file(tmp_path, form + WIDE))
    assert stored(works) == EXPECTED


def test_excel_serials_are_times_if_the_mapping_says_so(works: str, tmp_path: Path) -> None:
    # 46082 is 1 March 2026; a quarter of an hour is 1/96 of a day.
    file = workbook(tmp_path, [["时间", "总有功"], [46082, 10], [46082 + 1 / 96, 2000]])
    with pytest.raises(ImportRefusedError, match=r'line 2.*format = "excel"'):
        run_import(works, import_readings, file, mapping_file(tmp_path, WIDE))
    mapping = mapping_file(tmp_path, WIDE.replace("[time]", '[time]\nformat = "excel"'))
    run_import(works, import_readings, file, mapping)
    assert stored(works) == EXPECTED


def test_a_sheet_must_be_named_among_several(works: str, tmp_path: Path) -> None:
    file = workbook(tmp_path, [["时间", "总有功"]], sheet="能耗", other_sheets=["产量"])
    with pytest.raises(ImportRefusedError, match=r"能耗, 产量.*\$\.file\.sheet"):
        run_import(works, import_readings, file, mapping_file(tmp_path, WIDE))


@pytest.mark.parametrize("zoned", [True, False])
def test_parquet_with_its_own_types(works: str, tmp_path: Path, zoned: bool) -> None:
    instants = [START, START + QUARTER]
    times = pa.array(
        instants if zoned else [t.replace(tzinfo=None) for t in instants],
        pa.timestamp("ms", "Asia/Shanghai" if zoned else None),
    )
    file = tmp_path / "table.parquet"
    pq.write_table(pa.table({"时间": times, "总有功": pa.array([10, 2000], pa.uint32())}), file)
    run_import(works, import_readings, file, mapping_file(tmp_path, WIDE))
    assert stored(works) == EXPECTED


LONG = f"""[time]
column = ["日期", "时刻"]
format = "%Y/%m/%d %H:%M"
[long]
value = "数值"
[[series]]
match = {{ "测点" = "1#进线", "指标" = "正向有功" }}{REGISTER}
"""
LONG_TABLE = """测点,指标,日期,时刻,数值
1#进线,正向有功,2026/3/1,0:00,10
1#进线,功率,2026/3/1,0:00,88.5
1#进线,正向有功,2026/3/1,0:15,2000
"""


def test_a_long_table_takes_the_lines_that_match(works: str, tmp_path: Path) -> None:
    file = text_file(tmp_path, LONG_TABLE)
    with pytest.raises(ImportRefusedError, match=r"line 3: 测点 '1#进线', 指标 '功率'"):
        run_import(works, import_readings, file, mapping_file(tmp_path, LONG))
    mapping = mapping_file(tmp_path, LONG.replace("[long]", '[long]\nothers = "ignore"'))
    result = run_import(works, import_readings, file, mapping)
    assert stored(works) == EXPECTED
    assert found(result) == {"other_lines": 1}


def test_all_mistakes_are_said_at_once_and_nothing_is_written(works: str, tmp_path: Path) -> None:
    lines = [f"2026-03-01 {h:02d}:00,{h}" for h in range(24)]
    lines[3] = "2026-03-01 03:00,x"
    lines[5] = "2026-02-30 05:00,5"
    lines[7] = "2026-03-01 07:00,7,extra"
    lines[9] = "2026-03-01 08:00,9"
    lines[11] = '"2026-03-01\n11:00",11'
    file = text_file(tmp_path, "\n".join(["# 导出", "时间,总有功", *lines, "2026-03-02,1.5"]))
    with pytest.raises(ImportRefusedError) as refused:
        run_import(works, import_readings, file, mapping_file(tmp_path, WIDE), chunk_values=4)
    said = refused.value.errors
    assert len(said) == 6
    for line, hint in (
        (6, "not a whole number"), (8, "not a time"), (10, "3 cells"), (12, "than line 11"),
        (14, "not a time"), (28, "`decimals`"),
    ):  # fmt: skip
        assert any(s.startswith(f"line {line}") and hint in s for s in said), (line, said)
    assert rows(works, "SELECT (SELECT count(*) FROM reading), (SELECT count(*) FROM stream)") == [
        (0, 0)
    ]


def test_many_mistakes_are_bounded(works: str, tmp_path: Path) -> None:
    text = "时间,总有功\n" + "".join(f"2026-03-01 00:00,x{i}\n" for i in range(500))
    with pytest.raises(ImportRefusedError) as refused:
        run_import(works, import_readings, text_file(tmp_path, text), mapping_file(tmp_path, WIDE))
    assert len(refused.value.errors) == 21
    assert refused.value.errors[-1] == "and 480 more"


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ('[file]\nencodin = "gbk"\n' + WIDE, ["$.file"]),
        ('[file]\ndecimal = ","\nthousands = ","\n' + WIDE, ["$.file.thousands"]),
        (WIDE.replace("[time]", '[time]\nzone = "Mars/Base"'), ["$.time.zone"]),
        (WIDE.replace("[time]", '[time]\nformat = "%d.%m.%y"'), ["$.time.format", "%y"]),
        (WIDE.replace("[time]", '[time]\nstamp = "end"'), ["$.series[0]", "consumption"]),
        (WIDE + 'kind = "consumption"\n', ["$.time.stamp", "$.series[0].counter"]),
        (WIDE.replace('unit = "kWh"', 'unit = "m3"'), ["no unit 'm3'"]),
        (WIDE + f'[[series]]\ncolumn = "b"{REGISTER}', ["the same series as `$.series[0]`"]),
        (WIDE.replace('point = "main"', 'point = "nowhere"'), ["$.series[0].point"]),
    ],
)  # fmt: skip
def test_a_mapping_names_all_its_mistakes_with_their_path(
    works: str, tmp_path: Path, mapping: str, said: list[str]
) -> None:
    file = text_file(tmp_path, "时间,总有功,b\n2026-03-01,1,2\n")
    with pytest.raises(ImportRefusedError) as refused:
        run_import(works, import_readings, file, mapping_file(tmp_path, mapping))
    for words in said:
        assert words in str(refused.value)


def test_a_file_of_another_kind_says_so(works: str, tmp_path: Path) -> None:
    file = text_file(tmp_path, "no workbook", name="table.xlsx")
    with pytest.raises(ImportRefusedError, match="not an Excel workbook"):
        run_import(works, import_readings, file, mapping_file(tmp_path, WIDE))
    file = text_file(tmp_path, "no parquet", name="table.parquet")
    with pytest.raises(ImportRefusedError, match="not a Parquet file"):
        run_import(works, import_readings, file, mapping_file(tmp_path, WIDE))
    file = text_file(tmp_path, "什么", name="table.doc")
    with pytest.raises(ImportRefusedError, match=r"\[file\]"):
        run_import(works, import_readings, file, mapping_file(tmp_path, WIDE))


FORM = FileForm(thousands=",")


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 3)), min_size=1),
    st.booleans(),
)
def test_whole_numbers_stay_exact_at_any_size(
    given_numbers: list[tuple[int, int]], grouped: bool
) -> None:
    texts, expected = [], []
    for number, zeros in given_numbers:
        shown = f"{number:,}" if grouped else str(number)
        texts.append(shown + ("." + "0" * zeros if zeros else ""))
        expected.append(number)
    values, states = whole_numbers(from_objects(texts), 0, FORM)
    assert (states == READ).all()
    assert values.tolist() == expected


@settings(deadline=None)
@given(st.integers(-(10**12), 10**12), st.integers(0, 6))
def test_decimals_become_counts_exactly(counts: int, decimals: int) -> None:
    whole, rest = divmod(abs(counts), 10**decimals)
    text = f"{'-' if counts < 0 else ''}{whole}" + (f".{rest:0{decimals}d}" if decimals else "")
    # The same as text, and as the double that Excel keeps.
    for cell in (text, float(text)):
        values, states = whole_numbers(from_objects([cell]), decimals, FORM)
        assert (values.tolist(), states.tolist()) == ([counts], [READ])


@pytest.mark.parametrize(
    "cell", ["12,34", "1.5", "0x10", "1e3", str(2**63), "1 000", "一", 1.5, 2.0**60, True]
)
def test_what_is_no_whole_number_is_not_taken_for_one(cell: object) -> None:
    _, states = whole_numbers(from_objects([cell]), 0, FORM)
    assert states.tolist() == [WRONG]


def test_floating_point_is_read_as_it_is_written() -> None:
    values, states = real_numbers(from_objects(["1,234.5", "-1e-3", "+.5", "nan", "x"]), FORM)
    assert states.tolist() == [READ, READ, READ, READ, WRONG]
    assert values[:3].tolist() == [1234.5, -1e-3, 0.5]
    assert np.isnan(values[3])
