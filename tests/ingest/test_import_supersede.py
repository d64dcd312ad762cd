"""Superseding takes effect in the figures, a retraction brings back, a kill loses nothing."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from enpilot.database import connect
from enpilot.errors import ConfigurationError
from ingest.errors import ImportRefusedError
from ingest.imports.output import import_output
from ingest.imports.readings import import_readings
from ingest.imports.retract import retract
from ingest.imports.run_list import list_imports
from tests.analytics.conftest import WORKS
from tests.analytics.test_engine import compute
from tests.imported import apply_plant, import_counts, import_files, write_counts
from tests.imported_tables import (
    REGISTER,
    SHANGHAI,
    found,
    mapping_file,
    rows,
    run_import,
    text_file,
)

TIMES = [dt.datetime(2026, 3, 1, tzinfo=SHANGHAI) + i * dt.timedelta(minutes=15) for i in range(5)]
COUNTS = [100, 110, 120, 130, 140]
ADVANCE = "SELECT coalesce(sum(advance_micro), 0)::bigint / 1000000 FROM interval_advance"
PER_QUARTER = "SELECT advance_micro / 1000000 FROM interval_advance ORDER BY ts"


@pytest.fixture
def works(tmp_path: Path, database_url: str) -> str:
    apply_plant(database_url, tmp_path, WORKS)
    return database_url


def quarters(url: str) -> list[int]:
    compute(url)
    return [row[0] for row in rows(url, PER_QUARTER)]


def undo(url: str, stream: object) -> int:
    with connect(url, "test", autocommit=True) as connection:
        return retract(connection, stream, "auditor", "wrong")  # type: ignore[arg-type]  # the stream's UUID out of a row


def test_a_superseding_value_counts_and_a_retraction_brings_the_old_one_back(
    works: str, tmp_path: Path
) -> None:
    import_counts(works, tmp_path, TIMES, COUNTS)
    assert quarters(works) == [10, 10, 10, 10]
    mended = write_counts(tmp_path, TIMES, [100, 110, 125, 130, 150])
    assert import_files(works, *mended).conflicts == 2
    assert quarters(works) == [10, 10, 10, 10]
    result = import_files(works, *mended, supersede=True)
    assert (result.rows_written, result.rows_present) == (2, 3)
    assert found(result) == {"superseded": 2}
    assert quarters(works) == [10, 15, 5, 20]
    assert rows(works, "SELECT raw_int FROM latest") == [(150,)]
    # Both values are still there, and the correction says which counts and why.
    assert rows(works, "SELECT count(*) FROM reading") == [(7,)]
    assert rows(works, "SELECT DISTINCT kind, origin, author FROM reading_correction") == [
        ("void", "import", "tester")
    ]
    # The same again changes nothing.
    assert import_files(works, *mended, supersede=True).rows_written == 0
    assert undo(works, result.stream) == 2
    assert quarters(works) == [10, 10, 10, 10]
    assert rows(works, "SELECT raw_int FROM latest") == [(140,)]


def test_the_last_of_several_superseding_imports_counts(works: str, tmp_path: Path) -> None:
    import_counts(works, tmp_path, TIMES, COUNTS)
    second = import_counts(works, tmp_path, TIMES, [100, 110, 121, 130, 140], supersede=True)
    third = import_counts(works, tmp_path, TIMES, [100, 110, 122, 130, 140], supersede=True)
    assert quarters(works) == [10, 12, 8, 10]
    undo(works, second)  # what it had superseded is superseded by the third too
    assert quarters(works) == [10, 12, 8, 10]
    undo(works, third)
    assert quarters(works) == [10, 10, 10, 10]


def test_a_retracted_file_can_be_imported_again_under_a_mended_mapping(
    works: str, tmp_path: Path
) -> None:
    table, mapping = write_counts(tmp_path, TIMES, COUNTS, register_scale="0.1")
    wrong = import_files(works, table, mapping)
    with pytest.raises(ImportRefusedError, match=r"register_scale 0\.1 there, 0\.01 here"):
        import_files(works, *write_counts(tmp_path, TIMES, COUNTS))
    undo(works, wrong.stream)
    assert quarters(works) == []
    import_files(works, *write_counts(tmp_path, TIMES, COUNTS))
    assert quarters(works) == [10, 10, 10, 10]
    # The very same import after its retraction is a new one.
    undo(works, rows(works, "SELECT stream FROM stream ORDER BY stream_no DESC LIMIT 1")[0][0])
    again = import_files(works, table, mapping)
    assert again.rows_written == 5
    assert again.stream != wrong.stream


def test_coverage_ends_with_what_counts(works: str, tmp_path: Path) -> None:
    days = [TIMES[0] + i * dt.timedelta(minutes=15) for i in range(193)]
    import_counts(works, tmp_path, days[:49], list(range(49)))
    late = import_counts(works, tmp_path, days[49:], list(range(49, 193)))
    # Another counter says how far the site's data reach.
    reactive = {"quantity": "reactive_energy", "unit": "kvarh"}
    other = import_counts(works, tmp_path, days, list(range(193)), **reactive)
    compute(works)
    coverage = (
        "SELECT period_from::text, coverage, withheld_code FROM energy_period"
        " WHERE period_kind = 'day' AND quantity = 'active_energy' ORDER BY 1"
    )
    assert rows(works, coverage) == [("2026-03-01", 1.0, None), ("2026-03-02", 1.0, None)]
    undo(works, late)
    compute(works)
    assert rows(works, coverage) == [("2026-03-01", 0.5, None)]
    undo(works, other)
    compute(works)
    periods = "SELECT DISTINCT quantity, period_to::text FROM energy_period"
    assert rows(works, periods + " WHERE period_kind = 'day'") == [("active_energy", "2026-03-02")]


def test_a_person_s_correction_replaces_or_voids(works: str, tmp_path: Path) -> None:
    import_counts(works, tmp_path, TIMES, COUNTS)
    with connect(works, "test", autocommit=True) as connection:
        connection.execute(
            "INSERT INTO reading_correction (kind, series_id, ts, batch, raw_int, origin, author,"
            " reason, commit_no) SELECT 'replace', series_id, %s, NULL::bigint, 115, 'human', 'an',"
            " 'seen',"
            " 1 FROM series UNION ALL SELECT 'void', series_id, %s, NULL, NULL, 'human', 'an',"
            " 'frozen', 1 FROM series",
            (TIMES[1], TIMES[3]),
        )
        connection.execute(
            "INSERT INTO dirty SELECT series_id, %s, %s, 1 FROM series", (TIMES[0], TIMES[4])
        )
    assert quarters(works) == [15, 5, 10, 10]
    with connect(works, "test", autocommit=True) as connection:
        connection.execute("UPDATE reading_correction SET superseded_commit_no = 2")
        connection.execute(
            "INSERT INTO dirty SELECT series_id, %s, %s, 1 FROM series", (TIMES[0], TIMES[4])
        )
    assert quarters(works) == [10, 10, 10, 10]


OUTPUT = "product,stage,disposition,quantity,from,to\n"


def production(folder: Path, quantity: str) -> tuple[Path, Path]:
    line = f"section,qualified,good,{quantity},2026-03-01,2026-03-02\n"
    return text_file(folder, OUTPUT + line), mapping_file(folder, "")


def test_retracting_production_brings_the_earlier_version_back(works: str, tmp_path: Path) -> None:
    def current() -> list[tuple[float, int, str]]:
        return [
            (float(q), v, a)
            for q, v, a in rows(
                works,
                "SELECT quantity, version, reason FROM output WHERE superseded_commit_no IS NULL",
            )
        ]

    first = run_import(works, import_output, *production(tmp_path, "10"))
    second = production(tmp_path, "12")
    assert run_import(works, import_output, *second).conflicts == 1
    mended = run_import(works, import_output, *second, supersede=True)
    third = run_import(works, import_output, *production(tmp_path, "13"), supersede=True)
    assert current()[0][:2] == (13.0, 3)
    undo(works, mended.stream)  # superseded already: the third stands
    assert current()[0][:2] == (13.0, 3)
    undo(works, third.stream)  # the second is retracted, so the first counts again
    assert current() == [(10.0, 4, "brought back: wrong")]
    undo(works, first.stream)
    assert current() == []
    assert rows(works, "SELECT count(*) FROM output") == [(4,)]
    spans = rows(works, "SELECT count(*) FROM dirty_site WHERE to_ts = '2026-03-02T00:00+08:00'")
    assert spans[0][0] >= 5


def test_the_list_says_what_still_counts(works: str, tmp_path: Path) -> None:
    import_counts(works, tmp_path, TIMES, COUNTS)
    gone = run_import(works, import_output, *production(tmp_path, "10")).stream
    undo(works, gone)
    with connect(works, "test", autocommit=True) as connection:
        runs = list_imports(connection, "works")
    assert [(r.kind, r.state, r.written, r.reason) for r in runs] == [
        ("output", "retracted", 1, "wrong"), ("readings", "complete", 5, None),
    ]  # fmt: skip
    with pytest.raises(ConfigurationError, match="auditor: wrong"):
        undo(works, gone)


KILLED = """
import sys
from pathlib import Path
from enpilot.database import connect
from ingest.imports.readings import import_readings
url, file, mapping = sys.argv[1:]
with connect(url, "test", autocommit=True) as connection:
    import_readings(connection, Path(file), Path(mapping), "tester", chunk_values=100)
"""


def test_a_killed_import_goes_on_where_it_stopped(works: str, tmp_path: Path) -> None:
    n = 4_000
    start = TIMES[0]
    lines = [f"{(start + i * dt.timedelta(minutes=1)).isoformat()},{i}" for i in range(n)]
    file = text_file(tmp_path, "\n".join(["ts,kwh", *lines]))
    mapping = mapping_file(tmp_path, f'period_s = 60\n[[series]]\ncolumn = "kwh"\n{REGISTER}')
    process = subprocess.Popen([sys.executable, "-c", KILLED, works, str(file), str(mapping)])
    try:
        with connect(works, "test") as lock:
            deadline = time.monotonic() + 60
            while not rows(works, "SELECT 1 FROM batch_ledger LIMIT 1"):
                assert time.monotonic() < deadline
                assert process.poll() is None
            # No import can commit while this lock is held: it dies in the middle of a chunk.
            lock.execute("SELECT pg_advisory_xact_lock(hashtextextended('enpilot.commit_no', 0))")
            time.sleep(0.1)
            os.kill(process.pid, signal.SIGKILL)
            process.wait(30)
    finally:
        process.kill()
        process.wait(30)
    batches = rows(works, "SELECT count(*) FROM batch_ledger")[0][0]
    assert 0 < batches < n // 100
    assert rows(works, "SELECT count(*) FROM reading") == [(batches * 100,)]
    with connect(works, "test", autocommit=True) as connection:
        assert [r.state for r in list_imports(connection)] == ["cut off"]
    result = run_import(works, import_readings, file, mapping, chunk_values=100)
    assert (result.rows_read, result.rows_present) == (n, batches * 100)
    assert rows(works, "SELECT count(*), count(DISTINCT ts), sum(raw_int) FROM reading") == [
        (n, n, n * (n - 1) // 2)
    ]
    with connect(works, "test", autocommit=True) as connection:
        runs = list_imports(connection)
    assert [(r.state, r.written) for r in runs] == [("complete", n)]


def test_a_file_that_was_superseded_can_supersede_again(works: str, tmp_path: Path) -> None:
    one = write_counts(tmp_path, TIMES, COUNTS)
    two = write_counts(tmp_path, TIMES, [100, 115, 120, 130, 140])
    for files, expected in ((one, 10), (two, 15), (one, 10), (two, 15)):
        import_files(works, *files, supersede=True)
        assert quarters(works)[0] == expected
