"""What people read: an anchor beside telemetry, a reading where there is none, never a reset."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path
from typing import Any

import pytest

from enpilot.database import connect
from ingest.errors import ImportRefusedError
from ingest.imports.manual import import_manual
from ingest.imports.result import ImportResult
from ingest.imports.retract import retract
from tests.analytics.conftest import WORKS
from tests.analytics.test_engine import compute
from tests.imported import apply_plant, import_counts
from tests.imported_tables import SHANGHAI, found, mapping_file, rows, run_import, text_file

START = dt.datetime(2026, 3, 1, tzinfo=SHANGHAI)
QUARTER = dt.timedelta(minutes=15)
MAPPING = """
[time]
column = "时间"
[columns]
level = "读数"
person = "抄表人"
plus_minus_min = "误差分钟"
photo = "照片"
[[series]]
match = { "测点" = "总表" }
point = "main"
quantity = "active_energy"
unit = "kWh"
side = "secondary"
decimals = 1
modulus = "10000000"
"""
HEADER = "测点,时间,读数,误差分钟,抄表人,照片\n"


@pytest.fixture
def works(tmp_path: Path, database_url: str) -> str:
    apply_plant(database_url, tmp_path, WORKS)
    return database_url


@pytest.fixture
def plain_works(tmp_path: Path, postgres_url: str) -> str:
    """On one kind of server, for what never asks it anything of its own."""
    apply_plant(postgres_url, tmp_path, WORKS)
    return postgres_url


def bring(url: str, folder: Path, *lines: str, **options: Any) -> ImportResult:
    file = text_file(folder, HEADER + "\n".join(lines))
    return run_import(url, import_manual, file, mapping_file(folder, MAPPING), **options)


def telemetry(url: str, folder: Path) -> None:
    """A day in counts of 0.01 kWh, 50 a quarter of an hour; 1000.00 kWh at its beginning."""
    times = [START + i * QUARTER for i in range(97)]
    import_counts(url, folder, times, [100_000 + 50 * i for i in range(97)])


def test_telemetry_passes_through_its_anchors_or_a_finding_says_so(
    works: str, tmp_path: Path
) -> None:
    telemetry(works, tmp_path)
    compute(works)
    intervals = rows(works, "SELECT ts, advance_micro FROM interval_advance ORDER BY ts")
    # At noon the register is 1024.0 kWh; in ten minutes it moves by 0.33.
    result = bring(
        works, tmp_path,
        "总表,2026-03-01 12:00,1024.0,0,张,", "总表,2026-03-01 12:05,1024.4,10,张,",
        "总表,2026-03-01 13:00,1032.0,1,李,", "总表,2026-03-02 00:05,1048.1,1,李,",
    )  # fmt: skip
    assert result.rows_written == 4
    assert found(result) == {"anchor_disagrees": 1, "anchor_unchecked": 1}
    code, at, evidence = rows(works, "SELECT code, at_ts, evidence FROM finding")[0]
    assert (code, at) == ("anchor_disagrees", START + dt.timedelta(hours=13))
    # 1026.0 kWh in between, within a minute up and down: 102,596.67 to 102,603.33 counts.
    assert evidence["read_counts"] == 103_200
    assert evidence["low_counts"] == pytest.approx(102_596.67, abs=0.01)
    assert evidence["high_counts"] == pytest.approx(102_604.33, abs=0.01)
    assert (evidence["tolerance_counts"], evidence["person"]) == (10, "李")
    # Anchors are no readings: nothing of the accounting moves.
    assert rows(works, "SELECT DISTINCT role FROM manual_reading") == [("anchor",)]
    assert rows(works, "SELECT count(*) FROM reading") == [(97,)]
    compute(works)
    assert rows(works, "SELECT ts, advance_micro FROM interval_advance ORDER BY ts") == intervals


def test_a_hand_read_meter_has_energy_exact_between_its_readings(
    works: str, tmp_path: Path
) -> None:
    bring(
        works, tmp_path, "总表,2026-01-31 17:00,1000.0,5,张,", "总表,2026-02-28 17:00,1100.5,5,张,",
        "总表,2026-03-31 17:00,1300.0,5,张,",
    )  # fmt: skip
    assert rows(works, "SELECT raw_int, quality FROM reading ORDER BY ts") == [
        (10_000, 0x1400), (11_005, 0x1400), (13_000, 0x1400)
    ]  # fmt: skip
    assert compute(works) > 0
    advance = "SELECT sum(advance_micro), sum(estimated_micro) FROM interval_advance"
    assert rows(works, advance) == [(3_000_000_000, 3_000_000_000)]
    # 0.1 kWh a count behind a CT of 40; at the edge of a month it is a guess, and says so.
    march = rows(
        works,
        "SELECT amount, coverage, estimated_share FROM energy_period WHERE period_kind = 'month'"
        " AND period_from = '2026-03-01'",
    )[0]
    assert march[0] == pytest.approx(1_995 * 0.1 * 40 * (1 - 7 / 744), rel=0.001)
    assert march[1] < 1
    assert march[2] == 1.0


def test_a_register_below_the_one_before_is_evidence_and_makes_no_reset(
    works: str, tmp_path: Path
) -> None:
    result = bring(
        works, tmp_path, "总表,2026-01-31 17:00,1000.0,5,张,", "总表,2026-02-28 17:00,110.5,5,张,",
        "总表,2026-03-31 17:00,1300.0,5,张,",
    )  # fmt: skip
    assert found(result) == {"register_below_previous": 1}
    compute(works)
    assert rows(works, "SELECT sum(advance_micro) FROM interval_advance") == [(3_000_000_000,)]
    assert rows(works, "SELECT code FROM finding") == [("register_below_previous",)]
    roles = rows(works, "SELECT role FROM manual_reading ORDER BY ts")
    assert roles == [("reading",), ("evidence",), ("reading",)]


def test_a_register_that_has_gone_round_is_a_reading(works: str, tmp_path: Path) -> None:
    bring(
        works, tmp_path, "总表,2026-01-31 17:00,999999.0,5,张,", "总表,2026-02-28 17:00,100.0,5,张,"
    )
    compute(works)
    assert rows(works, "SELECT sum(advance_micro) FROM interval_advance") == [(1_010_000_000,)]
    assert rows(works, "SELECT code, severity FROM finding") == [("rollover", "note")]


def test_superseding_and_retracting_what_was_read(works: str, tmp_path: Path) -> None:
    lines = ["总表,2026-01-31 17:00,1000.0,5,张,", "总表,2026-02-28 17:00,1100.5,5,张,"]
    bring(works, tmp_path, *lines)
    wrong = [lines[0], lines[1].replace("1100.5", "1200.0")]
    assert found(bring(works, tmp_path, *wrong)) == {"differs": 1}
    mended = bring(works, tmp_path, *wrong, supersede=True)
    compute(works)
    advance = "SELECT sum(advance_micro) / 1000000 FROM interval_advance"
    assert rows(works, advance) == [(2_000,)]
    with connect(works, "test", autocommit=True) as connection:
        retract(connection, mended.stream, "auditor", "misread")
    compute(works)
    assert rows(works, advance) == [(1_005,)]
    current = "SELECT level, version FROM manual_reading WHERE superseded_commit_no IS NULL"
    assert sorted(rows(works, current)) == [(1000, 1), (1100.5, 3)]


def test_a_photo_is_kept_by_its_hash(plain_works: str, tmp_path: Path) -> None:
    (tmp_path / "meter.jpg").write_bytes(b"a display")
    bring(plain_works, tmp_path, "总表,2026-01-31 17:00,1000.0,5,张,meter.jpg")
    kept = rows(plain_works, "SELECT photo_name, photo_sha256 FROM manual_reading")[0]
    assert kept == ("meter.jpg", hashlib.sha256(b"a display").digest())


def test_mistakes_are_all_said(plain_works: str, tmp_path: Path) -> None:
    with pytest.raises(ImportRefusedError) as refused:
        bring(
            plain_works, tmp_path,
            "别表,2026-01-31 17:00,1000.0,5,张,", "总表,2026-01-31 17:00,1000.55,5,张,",
            "总表,2026-01-31 25:00,1000,5,张,", "总表,2026-01-31 18:00,x,5,,",
            "总表,2026-01-31 19:00,1,5,张,../../etc/passwd",
        )  # fmt: skip
    said = "\n".join(refused.value.errors)
    for words in (
        "line 2: of no series", "line 3, column '读数': 1000.55 has more than 1", "line 4, column",
        "line 5, column '读数': 'x'", "line 5, column '抄表人'", "line 6, column '照片'",
    ):  # fmt: skip
        assert words in said
    assert rows(plain_works, "SELECT count(*) FROM manual_reading") == [(0,)]


def test_a_rehearsal_writes_nothing(works: str, tmp_path: Path) -> None:
    telemetry(works, tmp_path)
    result = bring(works, tmp_path, "总表,2026-03-01 13:00,1032.0,1,李,", dry_run=True)
    assert found(result) == {"anchor_disagrees": 1}
    assert rows(works, "SELECT count(*) FROM manual_reading") == [(0,)]
    assert rows(works, "SELECT count(*) FROM finding") == [(0,)]
