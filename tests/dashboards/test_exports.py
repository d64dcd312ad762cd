"""Files of figures: read back they are what was stored, nothing runs, long ones are jobs."""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import io
import zoneinfo
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import openpyxl
import psycopg
import pyarrow.parquet as pq
import pytest

from dashboards.errors import ExportsBusyError, ExportTooLongError
from dashboards.portal.access.identity import Identity, acting_as
from dashboards.portal.exports import formats, jobs
from dashboards.portal.exports.columns import column
from dashboards.portal.exports.datasets import DATASETS
from dashboards.portal.exports.formats import open_writer
from dashboards.portal.exports.jobs import Asked, Export, Exports
from dashboards.portal.exports.routes import progress_page
from dashboards.portal.exports.statements import open_table

Connection = psycopg.Connection[Any]
_ZONE = zoneinfo.ZoneInfo("Asia/Shanghai")
_AT = dt.datetime(2025, 9, 13, 16, tzinfo=dt.UTC)
_COLUMNS = [column(c) for c in ("text", "number:number:kW", "yuan:exact", "n:integer",
                                "flag:flag", "day:date", "at:time")]  # fmt: skip
_EVIL = ['=HYPERLINK("x")', "+1", "-1", "@SUM(A1)", "\t=1", "plain, 普通"]
_ROWS = [
    *((text, -1.5, Decimal("12345678901234567.891"), -3, False, dt.date(2025, 9, 13), _AT)
      for text in _EVIL),
    (None, None, None, None, None, None, None),
]  # fmt: skip
_LABELS = [("site", "steel"), ("note", "a\nline")]


def _write(kind: str, path: Path, *, bom: bool = False) -> None:
    writer = open_writer(kind, path, _COLUMNS, _LABELS, zone=_ZONE, language="en", bom=bom)
    try:
        writer.write(_ROWS[:3])
        writer.write(_ROWS[3:])
    finally:
        writer.close()


def test_a_csv_says_what_it_is_and_runs_nothing(tmp_path: Path) -> None:
    _write("csv", tmp_path / "f", bom=True)
    raw = (tmp_path / "f").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf# site: steel\r\n# note: a line\r\n")
    lines = raw.decode("utf-8-sig").splitlines(keepends=True)[2:]
    rows = list(csv.reader(io.StringIO("".join(lines), newline="")))
    assert rows[0] == ["text", "number [kW]", "yuan", "n", "flag", "day", "at"]
    assert [r[0] for r in rows[1:6]] == [f"'{text}" for text in _EVIL[:5]]
    assert rows[6] == ["plain, 普通", "-1.5", "12345678901234567.891", "-3", "false",
                       "2025-09-13", "2025-09-14T00:00:00+08:00"]  # fmt: skip
    assert rows[7] == [""] * 7


def test_an_excel_file_holds_texts_and_no_formula(tmp_path: Path) -> None:
    _write("xlsx", tmp_path / "f.xlsx")
    book = openpyxl.load_workbook(tmp_path / "f.xlsx")
    sheet = book["data"]
    assert [cell.value for cell in sheet["A"]][:7] == ["text", *_EVIL]
    assert {cell.data_type for cell in sheet["A"][1:7]} <= {"s", "inlineStr"}
    assert [c.value for c in sheet[2]][1:] == [
        -1.5, pytest.approx(12345678901234567.891), -3, False,
        dt.datetime(2025, 9, 13),  # noqa: DTZ001  (a sheet's day has no zone)
        "2025-09-14T00:00:00+08:00",
    ]  # fmt: skip
    assert [c.value for c in book["about"][1]] == ["site", "steel"]


def test_parquet_keeps_types_units_and_exact_decimals(tmp_path: Path) -> None:
    _write("parquet", tmp_path / "f")
    table = pq.read_table(tmp_path / "f")
    assert table.schema.metadata[b"site"] == b"steel"
    assert table.schema.field("number").metadata[b"unit"] == b"kW"
    first, last = table.slice(0, 1).to_pylist()[0], table.slice(6, 1).to_pylist()[0]
    assert first["text"] == _EVIL[0]  # nothing runs here
    assert first["yuan"] == Decimal("12345678901234567.891")
    assert (first["at"], first["at"].utcoffset()) == (_AT, dt.timedelta(hours=8))
    assert set(last.values()) == {None}


def test_a_sheet_that_would_overflow_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "XLSX_ROWS", 2)
    with pytest.raises(ExportTooLongError, match="CSV or Parquet"):
        _write("xlsx", tmp_path / "f.xlsx")


@pytest.mark.parametrize("code", [*DATASETS, "explore"])
def test_every_dataset_can_be_had_in_every_format(
    visitor: httpx.Client, connection: Connection, code: str
) -> None:
    row = connection.execute(
        "SELECT min(series_id) FROM series JOIN site USING (site_id) WHERE site.code = 'steel'"
    ).fetchone()
    assert row is not None
    query = {"t": "2025-09", "lang": "en"}
    if code in ("readings", "explore"):
        query["series"] = str(row[0]) if code == "readings" else "main,main.active_power.total"
    counts = set()
    for kind in ("csv", "xlsx", "parquet"):
        answer = visitor.get(f"/api/v1/s/steel/export/{code}.{kind}", params=query)
        assert answer.status_code == 200, answer.text
        assert f'steel_{code}_2025-09.{kind}"' in answer.headers["content-disposition"]
        if kind == "csv":
            lines = answer.text.splitlines()
            assert any(line.startswith("# demonstration, partly synthetic: ") for line in lines)
            assert "# data version: 4711" in lines
            assert "# time zone: Asia/Shanghai" in lines
            counts.add(sum(not line.startswith("# ") for line in lines) - 1)
        elif kind == "xlsx":
            book = openpyxl.load_workbook(io.BytesIO(answer.content), read_only=True)
            counts.add(sum(1 for _ in book["data"].iter_rows()) - 1)
        else:
            counts.add(pq.read_table(io.BytesIO(answer.content)).num_rows)
    assert len(counts) == 1
    if code == "energy":
        stored = connection.execute(
            "SELECT count(*) FROM energy_period JOIN site USING (site_id) WHERE code = 'steel'"
        ).fetchone()
        assert counts == {stored and stored[0]}
    if code == "explore":
        assert counts == {30 * 96}


def test_unverified_rows_and_unknown_series_are_said(visitor: httpx.Client) -> None:
    enpi = visitor.get("/api/v1/s/steel/export/enpi.csv", params={"lang": "zh"}).text
    assert "# 系数或电价未核的行: " in enpi
    explored = visitor.get(
        "/api/v1/s/steel/export/explore.csv", params={"series": "nothing", "lang": "en"}
    ).text
    assert "# no such series: nothing" in explored


def test_pages_of_rows_are_the_whole_without_a_gap(visitor: httpx.Client) -> None:
    whole = visitor.get("/api/v1/s/steel/rows/enpi").json()
    assert whole["next"] is None
    assert whole["timezone"] == "Asia/Shanghai"
    rows, after = [], None
    for _ in range(100):
        query = {"limit": "7"} | ({} if after is None else {"after": after})
        page = visitor.get("/api/v1/s/steel/rows/enpi", params=query).json()
        rows += page["rows"]
        after = page["next"]
        if after is None:
            break
    assert rows == whole["rows"]
    assert len(rows) > 30


def test_wrong_questions_are_answered_in_words(visitor: httpx.Client) -> None:
    for query in ("limit=0", "limit=9999999", "limit=x", "after=x", "after=WzFd"):
        assert visitor.get(f"/api/v1/s/steel/rows/enpi?{query}").status_code == 400, query
    assert visitor.get("/api/v1/s/steel/rows/readings").status_code == 400
    assert visitor.get("/api/v1/s/nowhere/rows/enpi").status_code == 404
    assert visitor.get("/api/v1/s/nowhere/export/enpi.csv").status_code == 404
    assert visitor.get("/api/v1/s/steel/export/enpi.exe").status_code == 404
    assert visitor.get("/s/steel/export/gone").status_code == 404
    first = visitor.get("/api/v1/s/steel/rows/enpi")
    again = visitor.get(
        "/api/v1/s/steel/rows/enpi", headers={"if-none-match": first.headers["etag"]}
    )
    assert again.status_code == 304


def _asked(kind: str = "csv", owner: int = 1) -> Asked:
    return Asked(
        site="steel", kind=kind, permission="see", query={}, language="en", owner=owner,
        open=lambda c, s, q: open_table(c, s, DATASETS["enpi"], q),
    )  # fmt: skip


@pytest.fixture
def tester() -> Iterator[None]:
    with acting_as(Identity(person_id=1, login="tester", name="Tester")):
        yield


@pytest.mark.usefixtures("tester")
async def test_a_long_export_is_its_owners_bounded_and_gone_after_an_hour(
    portal_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(jobs._AT_ONCE, "csv", 10)
    exports = Exports(portal_database)
    try:
        export = exports.begin(_asked())
        await export.counted.wait()
        assert not export.at_once
        await exports.finished(export)
        assert (export.state, export.written, export.progress) == ("done", export.count, 1.0)
        assert exports.find(export.export_id, 1) is export
        assert exports.find(export.export_id, 2) is None
        others = [exports.begin(_asked()) for _ in range(3)]
        exports.begin(_asked(owner=2))  # another person's count is another
        fifth = exports.begin(_asked())  # the one that is written makes room
        assert exports.find(export.export_id, 1) is None
        with pytest.raises(ExportsBusyError):
            exports.begin(_asked())
        await asyncio.gather(*(exports.finished(e) for e in (*others, fifth)))
        monkeypatch.setattr(jobs, "_KEPT_S", -1.0)
        assert exports.find(fifth.export_id, 1) is None
        assert not fifth.path.exists()
    finally:
        folder = export.path.parent
        await exports.close()
    assert not folder.exists()


@pytest.mark.usefixtures("tester")
async def test_an_export_that_fails_leaves_no_file_that_looks_whole(
    portal_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_BYTES", 10)
    exports = Exports(portal_database)
    try:
        export: Export = exports.begin(_asked("parquet"))
        await exports.finished(export)
        assert export.state == "failed"
        assert "choose a shorter period" in export.failure
        assert not export.path.exists()
    finally:
        await exports.close()


def _defect(*_: object) -> Any:
    return 1 / 0


@pytest.mark.usefixtures("tester")
async def test_what_a_person_may_not_see_is_in_no_file(portal_database: str) -> None:
    exports = Exports(portal_database)
    try:
        with acting_as(None):
            export = exports.begin(_asked())
            await exports.finished(export)
        assert (export.state, export.status) == ("failed", 404)
        asked = msgspec.structs.replace(_asked(), permission="not_a_permission")
        export = exports.begin(asked)
        await exports.finished(export)
        assert (export.state, export.status) == ("failed", 403)
        # A defect of ours ends the export too, in words.
        export = exports.begin(msgspec.structs.replace(asked, permission="see", open=_defect))
        await exports.finished(export)
        assert (export.state, export.status) == ("failed", 500)
        assert "division" not in export.failure
    finally:
        await exports.close()


@pytest.mark.parametrize(
    ("state", "zh", "en"),
    [
        ("running", "正在写 a.csv：50%", "Writing a.csv: 50%"),
        ("done", "文件写好了", "The file is ready"),
        ("failed", "导出没有完成", "The export was not finished"),
    ],
)
def test_a_long_export_has_a_page_that_says_how_far_it_is(
    state: Any, zh: str, en: str, tmp_path: Path
) -> None:
    export = Export(
        export_id="x", owner=1, site="steel", permission="see", name="a.csv", path=tmp_path,
        kind="csv", begun=0.0, count=10, written=5, state=state, failure="too long",
    )  # fmt: skip
    for language, said in (("zh", zh), ("en", en)):
        page = progress_page(language, export)  # type: ignore[arg-type]  # both are languages
        text = bytes(page.body).decode()
        assert said in text
        assert ("refresh" in page.headers) is (state == "running")
        assert ("/api/v1/s/steel/export/file/x" in text) is (state == "done")
